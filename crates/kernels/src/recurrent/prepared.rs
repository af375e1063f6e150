//! Layers whose passes can be a part of another one: what a pass works on, apart from running it.
use super::{Backward, BackwardCell, Forward, ForwardCell};
use crate::Destination;

/// The results that are asked for; a cell state only of a layer that has one.
#[derive(Debug, Default)]
pub(crate) struct LayerOutputs<'a> {
    /// `[batch, steps, units]`.
    pub y: Option<&'a mut [f32]>,
    /// `[batch, units]`.
    pub h: Option<&'a mut [f32]>,
    /// `[batch, units]`.
    pub c: Option<&'a mut [f32]>,
}

/// Gradients of the results.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct LayerOutputGradients<'a> {
    pub dy: Option<&'a [f32]>,
    pub dh: Option<&'a [f32]>,
    pub dc: Option<&'a [f32]>,
}

/// The gradients that are asked for.
#[derive(Debug, Default)]
pub(crate) struct LayerGradients<'a> {
    pub dx: Option<Destination<'a>>,
    pub dh0: Option<Destination<'a>>,
    pub dc0: Option<Destination<'a>>,
    pub dkernel: Option<Destination<'a>>,
    pub drecurrent: Option<Destination<'a>>,
    pub dbias: Option<Destination<'a>>,
    pub drecurrent_bias: Option<Destination<'a>>,
    /// Whether the panels of the gradients of the inputs are wanted too.
    pub passes_dx: bool,
}

/// What a forward pass works on.
pub(crate) trait Prepared: Sized {
    /// Its steps.
    type Cell<'b>: ForwardCell + Sync
    where
        Self: 'b;
    /// What its backward pass needs.
    type Saved;

    /// The pass.
    ///
    /// # Panics
    /// If a slice has another length.
    fn parts<'b>(&'b mut self, to: LayerOutputs<'b>) -> (Forward<'b>, Self::Cell<'b>);

    /// What it has kept once it is done.
    fn saved(self) -> Self::Saved;
}

/// What a backward pass works on.
pub(crate) trait PreparedBackward: Sized {
    /// Its steps.
    type Cell<'b>: BackwardCell + Sync
    where
        Self: 'b;

    /// The pass.
    ///
    /// # Panics
    /// If a slice has another length.
    fn parts<'b>(&'b mut self, d: LayerOutputGradients<'b>, to: LayerGradients<'b>) -> (Backward<'b>, Self::Cell<'b>);
}
