//! Positions as operations, and the table that is gathered by row and multiplied.
use sconce_kernels::positions::Order;

use super::{Operation, Plan, ValueId};
use crate::{
    layers::{PositionKind, PositionalEncodingOptions, ReversibleEmbeddingOptions, Signature},
    shape::Dimension,
};

/// Positions of steps, resolved: `factor x + table`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PositionPlan {
    /// How sines and cosines lie; `None`: the table is the first weight.
    pub order: Option<Order>,
    /// The longest wave, divided by 2 pi.
    pub wavelength: f64,
    /// Steps that a sequence has at most.
    pub longest: Option<usize>,
    /// Factor of the sequence.
    pub factor: f32,
}

impl PositionPlan {
    pub(super) fn new(options: &PositionalEncodingOptions, outputs: &[Signature]) -> Self {
        // Inference has checked that the width is known.
        let width = match outputs.first().and_then(|output| output.shape.last()) {
            Some(&Dimension::Size(width)) => width,
            _ => 1,
        };
        let order = if options.interleaved { Order::Interleaved } else { Order::Halves };
        Self {
            order: (options.kind == PositionKind::Sinusoidal).then_some(order),
            wavelength: options.max_wavelength,
            longest: options.max_length,
            factor: options.factor(width),
        }
    }
}

impl Plan {
    /// Rows of a table, or scores of its rows.
    pub(super) fn expand_reversible(
        &mut self,
        options: &ReversibleEmbeddingOptions,
        layer: usize,
        inputs: Vec<ValueId>,
        outputs: Vec<Signature>,
    ) -> Vec<ValueId> {
        if !ReversibleEmbeddingOptions::is_reverse(&self.values[inputs[0]]) {
            return self.push(Operation::Embedding { mask_zero: options.mask_zero }, layer, inputs, outputs);
        }
        let values = self.push(Operation::Linear, layer, inputs, outputs);
        if let Some(node) = self.nodes.last_mut() {
            node.first_weight = options.reverse_weight();
        }
        values
    }
}
