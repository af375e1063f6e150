//! Gradients of the attention's own weights: products over all slots and lanes.
use super::{AttentiveShape, Kept, Layer, Order};
use crate::{
    Context, Destination,
    shared::Shared,
    simd::LANES,
    tile::{Ahead, Left, Out, Product, Right, Start},
};

/// Rows of a weight in a piece of work: a multiple of the heights of all tiles.
const HEIGHT: usize = 48;
/// Floats of 16 rows of 16 features.
const TILE: usize = LANES * LANES;

/// Arguments.
pub(super) struct Own<'a, 'd> {
    pub layer: Layer<'a>,
    pub slots: usize,
    /// With the gradients that the backward pass left there.
    pub kept: &'a Kept,
    /// `[block][keys][16]`.
    pub dscale: &'a [f32],
    /// Of `W_q`, `v` and `W_c`.
    pub to: [Option<Destination<'d>>; 3],
}

/// Some columns of the gradient of a weight: `left^T right` over all slots and lanes.
struct Part<'a> {
    /// `[slot][rows][16]`.
    left: &'a [f32],
    rows: usize,
    /// `[columns / 16][slot][16 rows][16 columns]`.
    right: &'a [f32],
    /// First column.
    first: usize,
    columns: usize,
}

impl Own<'_, '_> {
    pub(super) fn run(self, context: &Context) {
        let AttentiveShape { units, memory, keys, .. } = self.layer.shape;
        let Kept { queries, hidden, context: contexts, outputs, .. } = self.kept;
        let [dquery, dscale, dcombine] = self.to;
        if let Some(to) = dquery {
            let parts = [Part { left: queries, rows: keys, right: hidden, first: 0, columns: units }];
            products(context, self.slots, &parts, units, to);
        }
        if let Some(to) = dscale {
            if !to.accumulate {
                to.data.fill(0.0);
            }
            // Block by block, then lane by lane: one order for any number of threads.
            let mut sums = vec![[0.0f32; LANES]; keys];
            for block in self.dscale.chunks_exact((keys * LANES).max(1)) {
                for (sum, row) in sums.iter_mut().zip(block.as_chunks::<LANES>().0) {
                    sum.iter_mut().zip(row).for_each(|(sum, x)| *sum += x);
                }
            }
            to.data.iter_mut().zip(sums).for_each(|(to, sum)| *to += sum.iter().sum::<f32>());
        }
        if let Some(to) = dcombine.filter(|_| matches!(self.layer.weights.order, Order::After { .. })) {
            let parts = [
                Part { left: outputs, rows: units, right: contexts, first: 0, columns: memory },
                Part { left: outputs, rows: units, right: hidden, first: memory, columns: units },
            ];
            products(context, self.slots, &parts, memory + units, to);
        }
    }
}

/// The gradient of a weight with rows `stride` floats apart.
fn products(context: &Context, slots: usize, parts: &[Part<'_>], stride: usize, to: Destination<'_>) {
    let Destination { data, accumulate } = to;
    let rows = parts.first().map_or(0, |part| part.rows);
    let to = Shared::new(data);
    context.pool.run(rows.div_ceil(HEIGHT), &|piece| {
        let row = piece * HEIGHT;
        for part in parts {
            let from = (row * LANES).min(part.left.len());
            let product = Product {
                left: Left::panels(part.left[from..].as_ptr(), part.rows * LANES),
                right: Right::panels(part.right.as_ptr(), slots * TILE),
                out: Out::rows(to.at(row * stride + part.first), stride),
                rows: HEIGHT.min(rows - row),
                columns: part.columns,
                inner: slots * LANES,
                start: if accumulate { Start::Keep } else { Start::Zero },
                ahead: Ahead::NOTHING,
            };
            // SAFETY: the operands have these sizes, and these rows of the gradient belong to this piece.
            unsafe { product.run(context.simd) };
        }
    });
}

/// Sets `to`, or adds to it, the first `width` features of rows with `stride` features.
pub(super) fn first_features(context: &Context, from: &[f32], stride: usize, to: Destination<'_>, width: usize) {
    /// Rows of a piece of work.
    const ROWS: usize = 64;
    let Destination { data, accumulate } = to;
    let Some(rows) = data.len().checked_div(width) else { return };
    let to = Shared::new(data);
    context.pool.run(rows.div_ceil(ROWS), &|piece| {
        for row in piece * ROWS..rows.min((piece + 1) * ROWS) {
            // SAFETY: rows belong to one piece each.
            let to = unsafe { to.part(row * width, width) };
            let from = &from[row * stride..][..width];
            if accumulate {
                to.iter_mut().zip(from).for_each(|(to, from)| *to += from);
            } else {
                to.copy_from_slice(from);
            }
        }
    });
}
