//! Products whose factors are rounded to bfloat16.
use std::ops::Range;

use super::{
    chunk::{Chunk, Linear},
    gradient::Gradient,
    plan::{Plan, scaled_stride},
};
use crate::{
    Context, Precision,
    bfloat16::{
        Layout, Left, Pack, Packed, PairProduct, STRIP, Source, left_length, pairs, right_length, row_stride,
        with_scratch,
    },
    buffer::Buffer,
    matmul::precision,
    shared::Shared,
    simd::{LANES, Simd},
    tile::{Out, Start},
};

/// The packed weights, which all chunks share, and space for one chunk.
pub(super) struct RoundedBuffers {
    rows: Buffer,
    columns: Buffer,
    h: Buffer,
    scaled: Buffer,
}

/// Operands of products in bfloat16.
#[derive(Clone, Copy)]
pub(super) struct Rounded<'a> {
    simd: Simd,
    /// Weights with classes as rows, [`row_stride`] apart.
    rows: Shared<'a>,
    /// Weights of each block with features as rows, `left_length(features, block)` pairs apart.
    columns: Shared<'a>,
    /// `[N][pairs of features][16]`.
    h: Shared<'a>,
    /// Rows of `h` times their factor, with features as columns: `[features / 16][pairs of tokens][16]`.
    scaled: Shared<'a>,
}

impl RoundedBuffers {
    /// Packs the weights; `None` if the context asks for `f32`.
    pub(super) fn new(context: &Context, plan: &Plan, linear: Linear<'_>, gradient: bool) -> Option<Self> {
        let Linear { features, classes, kernel, .. } = linear;
        if precision(context, [features, classes]) == Precision::Float32 {
            return None;
        }
        let wanted = |length: usize| Buffer::new(if gradient { length } else { 0 });
        let mut buffers = Self {
            rows: Buffer::new(classes.next_multiple_of(STRIP) * row_stride(features)),
            columns: wanted(plan.blocks * left_length(features, plan.block)),
            h: Buffer::new(right_length(plan.tokens, features)),
            scaled: wanted(right_length(features, plan.tokens)),
        };
        let (rows, columns) = (Shared::new(&mut buffers.rows), Shared::new(&mut buffers.columns));
        context.pool.run(plan.blocks, &|block| {
            let of_block = plan.classes(block, classes);
            let data = &kernel[of_block.start * features..of_block.end * features];
            let layout = Layout::Along { stride: features };
            let source = Source { data, count: of_block.len(), inner: features, layout };
            let part = source.whole::<STRIP>();
            let stride = row_stride(features);
            // SAFETY: the rows of the block belong to this piece: blocks are whole strips.
            let to = unsafe { rows.part(of_block.start * stride, part.strips.len() * STRIP * stride) };
            source.pack_left(&part, to, context.simd);
            if gradient {
                let layout = Layout::Across { stride: features };
                let source = Source { data, count: features, inner: of_block.len(), layout };
                let start = block * left_length(features, plan.block);
                // SAFETY: the place of the block belongs to this piece.
                let to = unsafe { columns.part(start, left_length(features, of_block.len())) };
                pack::<STRIP>(context.simd, source, to);
            }
        });
        Some(buffers)
    }

    pub(super) fn share(&mut self, simd: Simd) -> Rounded<'_> {
        let Self { rows, columns, h, scaled } = self;
        let [rows, columns, h, scaled] = [rows, columns, h, scaled].map(|buffer| Shared::new(buffer));
        Rounded { simd, rows, columns, h, scaled }
    }
}

/// Packs all strips of an operand.
fn pack<const W: usize>(simd: Simd, source: Source<'_>, to: &mut [f32]) {
    simd.run_pairs(Pack::<W> { source, part: source.whole::<W>(), to: Packed::whole(Shared::new(to), source.inner) });
}

impl Rounded<'_> {
    /// Packs a panel of `h`, `[features][16]`.
    pub(super) fn pack_panel(&self, panel: usize, h: &[f32]) {
        let features = h.len() / LANES;
        let length = right_length(LANES, features);
        let source = Source { data: h, count: LANES, inner: features, layout: Layout::Across { stride: LANES } };
        // SAFETY: each panel belongs to one piece.
        pack::<LANES>(self.simd, source, unsafe { self.h.part(panel * length, length) });
    }

    /// Logits of a block for some panels.
    ///
    /// # Safety
    /// The values belong to the calling piece.
    pub(super) unsafe fn logits(&self, chunk: &Chunk<'_>, panels: Range<usize>, block: usize) {
        let Linear { features, bias, .. } = chunk.linear;
        let classes = chunk.block(block);
        let length = pairs(features);
        let product = PairProduct {
            left: Left::rows(self.rows.at(classes.start * row_stride(features)), row_stride(features)),
            right: self.h.at(panels.start * LANES * length),
            panel: LANES * length,
            out: Out::panels(chunk.values.at(chunk.values_of(panels.start, block)), chunk.stride()),
            rows: classes.len(),
            columns: panels.len() * LANES,
            pairs: length,
            start: bias.map_or(Start::Zero, |bias| Start::Rows(bias[classes.start..].as_ptr())),
        };
        // SAFETY: operands have these sizes.
        unsafe { product.run_with(self.simd) };
    }

    /// Values of a block times its weights.
    ///
    /// # Safety
    /// As for [`Self::logits`]; so does `dh` of the range.
    pub(super) unsafe fn multiply(
        &self,
        chunk: &Chunk<'_>,
        panels: Range<usize>,
        range: usize,
        block: usize,
        start: Start,
    ) {
        let features = chunk.linear.features;
        let classes = chunk.block(block).len();
        let length = right_length(LANES, classes);
        with_scratch(panels.len() * length, |values| {
            for (panel, to) in panels.clone().zip(values.chunks_exact_mut(length)) {
                // SAFETY: the caller's contract.
                let data = unsafe { chunk.values.part(chunk.values_of(panel, block), classes * LANES) };
                let layout = Layout::Across { stride: LANES };
                pack::<LANES>(self.simd, Source { data, count: LANES, inner: classes, layout }, to);
            }
            let dh = (range * chunk.panels + panels.start) * features * LANES;
            let product = PairProduct {
                left: Left::strips(self.columns.at(block * left_length(features, chunk.plan.block)), pairs(classes)),
                right: values.as_ptr(),
                panel: length,
                out: Out::panels(chunk.dh.at(dh), features * LANES),
                rows: features,
                columns: panels.len() * LANES,
                pairs: pairs(classes),
                start,
            };
            // SAFETY: operands have these sizes.
            unsafe { product.run_with(self.simd) };
        });
    }

    /// Packs the scaled rows of `h`.
    pub(super) fn pack_scaled(&self, context: &Context, chunk: &Chunk<'_>) {
        let (features, tokens) = (chunk.linear.features, chunk.tokens);
        let stride = scaled_stride(features);
        // SAFETY: no job runs, and the job below only reads.
        let data = unsafe { &*chunk.scaled.part(0, tokens * stride) };
        let source = Source { data, count: features, inner: tokens, layout: Layout::Across { stride } };
        let parts = source.parts::<LANES>();
        context.pool.run(parts.len(), &|piece| {
            let to = Packed::whole(self.scaled, tokens);
            self.simd.run_pairs(Pack::<LANES> { source, part: parts[piece].clone(), to });
        });
    }

    /// The share of a block in the gradient of the weights.
    ///
    /// # Safety
    /// The values and the gradient of these classes belong to the calling piece.
    pub(super) unsafe fn dkernel(&self, chunk: &Chunk<'_>, gradient: &Gradient<'_>, block: usize) {
        let (features, tokens) = (chunk.linear.features, chunk.tokens);
        let classes = chunk.block(block);
        // SAFETY: the caller's contract.
        let data = unsafe { chunk.values.part(chunk.values_of(0, block), chunk.panels * chunk.stride()) };
        let layout = Layout::Panels { stride: chunk.stride() };
        let source = Source { data, count: classes.len(), inner: tokens, layout };
        let part = source.whole::<STRIP>();
        with_scratch(part.strips.len() * STRIP * row_stride(tokens), |space| {
            let product = PairProduct {
                left: source.pack_left(&part, space, self.simd),
                right: self.scaled.at(0),
                panel: LANES * pairs(tokens),
                out: Out::rows(gradient.dkernel.at(classes.start * features), features),
                rows: classes.len(),
                columns: features,
                pairs: pairs(tokens),
                start: if gradient.kernel_keeps { Start::Keep } else { Start::Zero },
            };
            // SAFETY: operands have these sizes.
            unsafe { product.run_with(self.simd) };
        });
    }
}
