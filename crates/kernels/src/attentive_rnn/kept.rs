//! What a forward pass keeps for the backward pass.
use super::{AttentiveShape, Layer, Order, Score, memory::Positions};
#[cfg(doc)]
use super::{backward, forward};
use crate::{buffer::Buffer, gru::GruSaved, lstm::LstmSaved, panels::panels_length, shared::Shared, simd::LANES};

/// What the cells keep, the first one first.
#[derive(Debug)]
pub(super) enum CellsSaved {
    Lstm(Vec<LstmSaved>),
    Gru(Vec<GruSaved>),
}

/// What [`forward`] keeps for [`backward`].
#[derive(Debug)]
pub struct AttentiveSaved {
    pub(super) cells: CellsSaved,
    pub(super) positions: Positions,
    pub(super) slots: usize,
    /// `[batch, steps, input + fed]`, empty if nothing is fed.
    pub(super) inputs: Buffer,
    /// `[batch, steps, units]`: what each cell but the last gives the one above.
    pub(super) between: Vec<Buffer>,
    pub(super) kept: Kept,
}

/// Parts of [`AttentiveSaved`] that steps write.
#[derive(Debug)]
pub(super) struct Kept {
    /// `[slot][sources][16]`: weights of the positions.
    pub(super) weights: Buffer,
    /// `[slot][keys][16]`: `W_q h` of additive scores; the backward pass replaces it with its gradient.
    pub(super) queries: Buffer,
    /// `[units / 16][slot][16 rows][16 units]`: `h`, as the query.
    pub(super) hidden: Buffer,
    /// `[memory / 16][slot][16 rows][16 features]`: the context, of [`Order::After`].
    pub(super) context: Buffer,
    /// `[slot][units][16]`: the output `a`; the backward pass replaces it with the gradient of what goes into its `tanh`.
    pub(super) outputs: Buffer,
}

impl Kept {
    pub(super) fn new(layer: &Layer<'_>, slots: usize) -> Self {
        let AttentiveShape { sources, units, memory, keys, .. } = layer.shape;
        let additive = matches!(layer.weights.score, Score::Additive { .. });
        let after = matches!(layer.weights.order, Order::After { .. });
        let of = |wanted: bool, length: usize| Buffer::new(if wanted { slots * length } else { 0 });
        Self {
            weights: of(true, sources * LANES),
            queries: of(additive, keys * LANES),
            hidden: of(true, panels_length(units, LANES)),
            context: of(after, panels_length(memory, LANES)),
            outputs: of(after, units * LANES),
        }
    }

    pub(super) fn share(&mut self) -> KeptParts<'_> {
        KeptParts {
            weights: Shared::new(&mut self.weights),
            queries: Shared::new(&mut self.queries),
            hidden: Shared::new(&mut self.hidden),
            context: Shared::new(&mut self.context),
            outputs: Shared::new(&mut self.outputs),
        }
    }
}

/// [`Kept`] for pieces to share.
#[derive(Clone, Copy)]
pub(super) struct KeptParts<'a> {
    pub(super) weights: Shared<'a>,
    pub(super) queries: Shared<'a>,
    pub(super) hidden: Shared<'a>,
    pub(super) context: Shared<'a>,
    pub(super) outputs: Shared<'a>,
}
