//! Gradients of weights and bias.
use super::{
    chunk::{Chunk, Factors, Linear},
    plan::scaled_stride,
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
    context.pool.run(chunk.plan.blocks, &|block| context.simd.run(Block { chunk, gradient, block }));
}

/// One block of classes.
struct Block<'a> {
    chunk: &'a Chunk<'a>,
    gradient: &'a Gradient<'a>,
    block: usize,
}

impl Kernel for Block<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let Self { chunk, gradient, block } = self;
        let Linear { features, .. } = chunk.linear;
        let classes = chunk.block(block);
        let (first, rows) = (classes.start, classes.len());
        let next = chunk.values.at(chunk.values_of(chunk.panels, block)).cast_const();
        let start = |keeps: bool| if keeps { Start::Keep } else { Start::Zero };
        let product = Product {
            left: Left::panels(chunk.values.at(chunk.values_of(0, block)), chunk.stride()),
            right: Right::rows(chunk.scaled.at(0), scaled_stride(features)),
            out: Out::rows(gradient.dkernel.at(first * features), features),
            rows,
            columns: features,
            inner: chunk.tokens,
            start: start(gradient.kernel_keeps),
            ahead: Ahead::lines(next, chunk.panels * chunk.plan.block),
        };
        // SAFETY: operands have these sizes; the rows of these classes belong to this piece.
        unsafe {
            match chunk.rounded {
                Some(rounded) => rounded.dkernel(chunk, gradient, block),
                None => product.run_on::<L>(),
            }
            let Some(dbias) = gradient.dbias else { return };
            let dbias = dbias.part(first, rows);
            for (row, dbias) in dbias.iter_mut().enumerate() {
                let mut sum = L::splat(0.0);
                for panel in 0..chunk.panels {
                    let factor = L::load(chunk.factors.at(chunk.factor(panel, Factors::Gradient)));
                    sum = factor.fma(L::load(chunk.values.at(chunk.values_of(panel, block) + row * LANES)), sum);
                }
                let mut lanes = [0.0; LANES];
                sum.store(lanes.as_mut_ptr());
                let sum: f32 = lanes.iter().sum();
                *dbias = if gradient.bias_keeps { *dbias + sum } else { sum };
            }
        }
    }
}
