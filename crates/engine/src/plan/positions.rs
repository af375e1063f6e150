//! Positions as operations, and the table that is gathered by row and multiplied.
use sconce_kernels::positions::Order;

use super::{Operation, Plan, ValueId};
use crate::{
    layers::{PositionKind, PositionalEncodingOptions, ReversibleEmbeddingOptions, Signature},
    shape::Dimension,
};

/// What stands for positions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PositionTable {
    /// Nothing.
    None,
    /// Sines and cosines, which lie so.
    Waves(Order),
    /// The first weight.
    Learned,
}

/// Positions of steps, resolved: `factor x + table`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PositionPlan {
    /// What stands for a position.
    pub table: PositionTable,
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
            table: match options.kind {
                PositionKind::None => PositionTable::None,
                PositionKind::Sinusoidal => PositionTable::Waves(order),
                PositionKind::Learned => PositionTable::Learned,
            },
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
