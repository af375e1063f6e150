//! What recurrent layers share: the order of the work, rows in and out of panels, the gradients of the weights.
//!
//! The batch is cut into blocks of 16 rows that fill the lanes; a piece of work is one or two blocks over all time steps,
//! without any waiting between pieces. A step of a block is left out where all of its rows are masked, and rows are sorted
//! by length so that this is frequent. The gradients of the weights are one product over all steps that were computed.
mod activations;
mod around;
mod backward;
mod forward;
mod plan;
mod prepared;
mod sequence;
mod steps;
#[cfg(test)]
pub(crate) mod testing;
mod weights;

pub(crate) use crate::panels::rows;

pub(crate) use activations::{Activations, slope, value, value_and_slope};
pub(crate) use around::{BackwardAround, ForwardAround};
pub(crate) use backward::{Backward, BackwardCell, BackwardLayer, BackwardRunning, BackwardStep};
pub(crate) use forward::{Forward, ForwardCell, ForwardLayer, ForwardRunning, Step};
pub(crate) use plan::{PIECE_BLOCKS, Plan, Run};
pub(crate) use prepared::{LayerGradients, LayerOutputGradients, LayerOutputs, Prepared, PreparedBackward};
pub(crate) use sequence::{Gradients, GradientsTo, Sequence};
pub(crate) use weights::{Operand, WeightGradients};

use crate::{Destination, shared::Shared};

/// Sizes of a recurrent layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Sequences.
    pub batch: usize,
    /// Time steps.
    pub steps: usize,
    /// Features of an input.
    pub input: usize,
    /// Features of an output.
    pub units: usize,
}

/// A [`Destination`] that pieces share.
#[derive(Clone, Copy)]
pub(crate) struct To<'a> {
    pub data: Shared<'a>,
    pub accumulate: bool,
}

impl<'a> To<'a> {
    pub(crate) fn new(destination: Destination<'a>) -> Self {
        Self { data: Shared::new(destination.data), accumulate: destination.accumulate }
    }
}

/// Variants of factors of `single` floats for all `gates`, or as many for each of them; 1 if there are none.
fn variants(factors: Option<&[f32]>, single: usize, gates: usize) -> usize {
    if factors.is_some_and(|factors| factors.len() > single) { gates } else { 1 }
}
