//! Gradients of weights and bias.
use std::ops::Range;

use super::{
    chunk::{Chunk, Factors, Linear},
    plan::{LARGEST_BLOCK, scaled_stride},
};
use crate::{
    Context,
    shared::Shared,
    simd::{Kernel, LANES, Lanes},
    tile::{Ahead, Left, Out, Product, Right, Start},
};

/// Where gradients go, and whether what is there is kept.
pub(super) struct Gradient<'a> {
    pub dh: Shared<'a>,
    pub dh_keeps: bool,
    pub dkernel: Shared<'a>,
    pub kernel_keeps: bool,
    pub dbias: Option<Shared<'a>>,
    pub bias_keeps: bool,
}

impl Gradient<'_> {
    /// Gradients of no rows.
    pub(super) fn clear(&self) {
        // SAFETY: called by one thread, outside of any job.
        unsafe {
            if !self.kernel_keeps {
                self.dkernel.whole().fill(0.0);
            }
            if let Some(dbias) = self.dbias.filter(|_| !self.bias_keeps) {
                dbias.whole().fill(0.0);
            }
        }
    }
}

/// Adds the chunk's share to the gradients of weights and bias.
pub(super) fn dkernel(context: &Context, chunk: &Chunk<'_>, gradient: &Gradient<'_>) {
    if let Some(rounded) = chunk.rounded {
        rounded.pack_scaled(context, chunk);
    }
    // Smaller pieces of work leave threads fewer to wait for; in bfloat16 a block is packed as a whole.
    let parts = if chunk.rounded.is_some() { 1 } else { 2 };
    let height = chunk.plan.block / parts;
    context.pool.run(chunk.plan.blocks * parts, &|piece| {
        let (block, part) = (piece / parts, piece % parts);
        let classes = chunk.block(block).len();
        let rows = classes.min(part * height)..classes.min((part + 1) * height);
        context.simd.run(Piece { chunk, gradient, block, rows });
    });
}

/// Some classes of a block.
struct Piece<'a> {
    chunk: &'a Chunk<'a>,
    gradient: &'a Gradient<'a>,
    block: usize,
    rows: Range<usize>,
}

impl Kernel for Piece<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let Self { chunk, gradient, block, rows } = self;
        let Linear { features, .. } = chunk.linear;
        let classes = chunk.block(block);
        let first = classes.start + rows.start;
        let values = |panel: usize, row: usize| chunk.values_of(panel, block) + row * LANES;
        let next = if rows.end < classes.len() { values(0, rows.end) } else { values(chunk.panels, 0) };
        let start = |keeps: bool| if keeps { Start::Keep } else { Start::Zero };
        let product = Product {
            left: Left::panels(chunk.values.at(values(0, rows.start)), chunk.stride()),
            right: Right::rows(chunk.scaled.at(0), scaled_stride(features)),
            out: Out::rows(gradient.dkernel.at(first * features), features),
            rows: rows.len(),
            columns: features,
            inner: chunk.tokens,
            start: start(gradient.kernel_keeps),
            ahead: Ahead::rows(chunk.values.at(next), rows.len() * LANES, chunk.panels, chunk.stride()),
        };
        // SAFETY: operands have these sizes; the rows of these classes belong to this piece.
        unsafe {
            match chunk.rounded {
                Some(rounded) => rounded.dkernel(chunk, gradient, block),
                None => product.run_on::<L>(),
            }
            let Some(dbias) = gradient.dbias else { return };
            let dbias = dbias.part(first, rows.len());
            let mut sums = [[0.0; LANES]; LARGEST_BLOCK];
            for panel in 0..chunk.panels {
                let factor = L::load(chunk.factors.at(chunk.factor(panel, Factors::Gradient)));
                let values = chunk.values.part(values(panel, rows.start), rows.len() * LANES);
                for (sum, values) in sums.iter_mut().zip(values.as_chunks::<LANES>().0) {
                    factor.fma(L::load(values.as_ptr()), L::load(sum.as_ptr())).store(sum.as_mut_ptr());
                }
            }
            for (dbias, sum) in dbias.iter_mut().zip(&sums) {
                let sum: f32 = sum.iter().sum();
                *dbias = if gradient.bias_keeps { *dbias + sum } else { sum };
            }
        }
    }
}
