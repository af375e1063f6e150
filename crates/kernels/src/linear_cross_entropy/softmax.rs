//! Logits, their exponentials and the product of those with the weights, block by block, while all of it is in L2.
use std::ops::Range;

use super::{
    chunk::{Chunk, Factors, Linear, SUMS, Sums},
    plan::GROUP,
    target::ChunkTargets,
};
use crate::{
    Context,
    buffer::Buffer,
    math::exp,
    panels::Pack,
    simd::{Kernel, LANES, Lanes},
    tile::{Ahead, Left, Out, Product, Right, Start},
};

/// What is done with the values of a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Work {
    /// Exponentials of logits, and their sums.
    Exponentials,
    /// The same, and their product with the weights: the gradient of `h`, before its factor.
    ExponentialsAndProduct,
    /// Exponentials become gradients of logits, then as above.
    GradientsAndProduct,
}

/// One pass over all classes.
pub(super) struct Softmax<'a> {
    pub chunk: &'a Chunk<'a>,
    pub targets: Option<&'a ChunkTargets<'a>>,
    pub work: Work,
}

impl Softmax<'_> {
    pub(super) fn run(&self, context: &Context) {
        self.run_groups(context, &self.chunk.groups());
        if self.work != Work::GradientsAndProduct {
            self.run_groups(context, &self.chunk.raise_references());
        }
    }

    fn run_groups(&self, context: &Context, groups: &[usize]) {
        let ranges = self.chunk.plan.ranges;
        // Group by group, so that ranges of unequal length do not add up to unequal shares of the threads.
        context.pool.run(groups.len() * ranges, &|piece| {
            let (group, range) = (groups[piece / ranges], piece % ranges);
            context.simd.run(Piece { softmax: self, range, group });
        });
    }
}

/// Some panels and a range of classes.
struct Piece<'a> {
    softmax: &'a Softmax<'a>,
    range: usize,
    group: usize,
}

impl Kernel for Piece<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let Self { softmax: &Softmax { chunk, targets, work }, range, group } = self;
        let (panels, blocks) = (chunk.group(group), chunk.plan.range(range));
        let begin = blocks.start * chunk.plan.block;
        let mut found: [Found<L>; GROUP] = [Found::new(); GROUP];
        // SAFETY: the panels of the group within the range of classes belong to this piece.
        unsafe {
            for block in blocks.clone() {
                let classes = chunk.block(block);
                if work != Work::GradientsAndProduct {
                    match chunk.rounded {
                        Some(rounded) => rounded.logits(chunk, panels.clone(), block),
                        None => logits::<L>(chunk, panels.clone(), block),
                    }
                }
                for (found, panel) in found.iter_mut().zip(panels.clone()) {
                    let values = chunk.values.part(chunk.values_of(panel, block), classes.len() * LANES);
                    let block = Block { chunk, targets, panel, classes: classes.clone(), values };
                    if work == Work::GradientsAndProduct {
                        block.subtract::<L>();
                    } else {
                        block.exponentiate(begin, found);
                    }
                }
                if work != Work::Exponentials {
                    let start = if block == blocks.start { Start::Zero } else { Start::Keep };
                    match chunk.rounded {
                        Some(rounded) => rounded.multiply(chunk, panels.clone(), range, block, start),
                        None => multiply::<L>(chunk, panels.clone(), range, block, start),
                    }
                }
            }
            if work != Work::GradientsAndProduct {
                for (found, panel) in found.into_iter().zip(panels) {
                    found.store(chunk.sums.part(chunk.sum(range, panel, Sums::Exponentials), SUMS * LANES));
                }
            }
        }
    }
}

/// Logits of a block for some panels.
///
/// # Safety
/// The values belong to the calling piece; the path is available.
#[inline(always)]
unsafe fn logits<L: Lanes>(chunk: &Chunk<'_>, panels: Range<usize>, block: usize) {
    let Linear { features, kernel, bias, .. } = chunk.linear;
    let classes = chunk.block(block);
    // The weights of the next block come from the last-level cache.
    let next = kernel.as_ptr().wrapping_add(classes.end * features);
    let product = Product {
        left: Left::rows(kernel[classes.start * features..].as_ptr(), features),
        right: Right::panels(chunk.h.at(panels.start * features * LANES), features * LANES),
        out: Out::panels(chunk.values.at(chunk.values_of(panels.start, block)), chunk.stride()),
        rows: classes.len(),
        columns: panels.len() * LANES,
        inner: features,
        start: bias.map_or(Start::Zero, |bias| Start::Rows(bias[classes.start..].as_ptr())),
        ahead: Ahead::lines(next, classes.len() * features / LANES),
    };
    // SAFETY: operands have these sizes.
    unsafe { product.run_on::<L>() };
}

/// Values of a block times its weights.
///
/// # Safety
/// As for [`logits`]; so does `dh` of the range.
#[inline(always)]
unsafe fn multiply<L: Lanes>(chunk: &Chunk<'_>, panels: Range<usize>, range: usize, block: usize, start: Start) {
    let Linear { features, kernel, .. } = chunk.linear;
    let classes = chunk.block(block);
    let dh = (range * chunk.panels + panels.start) * features * LANES;
    let product = Product {
        left: Left::columns(kernel[classes.start * features..].as_ptr(), features),
        right: Right::panels(chunk.values.at(chunk.values_of(panels.start, block)), chunk.stride()),
        out: Out::panels(chunk.dh.at(dh), features * LANES),
        rows: features,
        columns: panels.len() * LANES,
        inner: classes.len(),
        start,
        ahead: Ahead::NOTHING,
    };
    // SAFETY: operands have these sizes.
    unsafe { product.run_on::<L>() };
}

/// `Sums` of a panel.
#[derive(Clone, Copy)]
struct Found<L> {
    exponentials: L,
    logits: L,
    targets: L,
    products: L,
    largest: L,
    best: L,
}

impl<L: Lanes> Found<L> {
    #[inline(always)]
    fn new() -> Self {
        // SAFETY: only made in kernels of this path.
        unsafe {
            let (zero, none) = (L::splat(0.0), L::splat(-1.0));
            let largest = L::splat(f32::NEG_INFINITY);
            Self { exponentials: zero, logits: zero, targets: zero, products: zero, largest, best: none }
        }
    }

    /// In the order of `Sums`.
    #[inline(always)]
    unsafe fn store(self, to: &mut [f32]) {
        let Self { exponentials, logits, targets, products, largest, best } = self;
        let all = [exponentials, logits, targets, products, largest, best];
        for (to, lanes) in to.as_chunks_mut::<LANES>().0.iter_mut().zip(all) {
            // SAFETY: 16 floats.
            unsafe { lanes.store(to.as_mut_ptr()) };
        }
    }
}

/// The classes of a block in one panel.
struct Block<'a> {
    chunk: &'a Chunk<'a>,
    targets: Option<&'a ChunkTargets<'a>>,
    panel: usize,
    classes: Range<usize>,
    values: &'a mut [f32],
}

impl Block<'_> {
    /// Packs the probabilities of the block into the buffer; `None` if the targets are none.
    #[inline(always)]
    unsafe fn probabilities<'b, L: Lanes>(&self, space: &'b mut Option<Buffer>) -> Option<&'b [f32]> {
        let targets = self.targets?;
        let row =
            |lane: usize| targets.probabilities(self.panel * LANES + lane, self.classes.start, self.classes.len());
        row(0)?;
        let space = &mut space.get_or_insert_with(|| Buffer::new(self.values.len()))[..self.values.len()];
        // SAFETY: the caller vouches for the path.
        unsafe { L::call(Pack::new(space, row)) };
        Some(space)
    }

    /// Which value of the block, if any, is that of a token's target.
    #[inline(always)]
    fn target(&self, lane: usize) -> Option<usize> {
        let id = self.targets?.id(self.panel * LANES + lane)?;
        self.classes.contains(&id).then(|| (id - self.classes.start) * LANES + lane)
    }

    /// Which class of the block, if any, gets no share of the targets.
    #[inline(always)]
    fn left_out(&self) -> Option<usize> {
        let class = self.targets?.smoothing.left_out?;
        self.classes.contains(&class).then(|| class - self.classes.start)
    }

    /// Logits become exponentials of their distance to the reference. `begin` is the first class of the range.
    #[inline(always)]
    unsafe fn exponentiate<L: Lanes>(self, begin: usize, found: &mut Found<L>) {
        let mut space = None;
        // SAFETY: whole vectors of 16, one for each panel; only this piece has the target of a token.
        unsafe {
            if let Some(y) = self.probabilities::<L>(&mut space) {
                let (mut mass, mut product) = (L::splat(0.0), L::splat(0.0));
                for (y, z) in y.as_chunks::<LANES>().0.iter().zip(self.values.as_chunks::<LANES>().0) {
                    let y = L::load(y.as_ptr());
                    mass = mass.add(y);
                    product = y.fma(L::load(z.as_ptr()), product);
                }
                found.targets = found.targets.add(mass);
                found.products = found.products.add(product);
            }
            for lane in 0..LANES {
                if let Some(target) = self.target(lane) {
                    *self.chunk.picked.at(self.panel * LANES + lane) = self.values[target];
                }
            }
            let reference = L::load(self.chunk.references.at(self.panel * LANES));
            let (mut sum, mut total) = (L::splat(0.0), L::splat(0.0));
            let (mut largest, mut best) = (found.largest, found.best);
            let mut class = (self.classes.start - begin) as f32;
            let left_out = self.left_out();
            for (index, vector) in self.values.as_chunks_mut::<LANES>().0.iter_mut().enumerate() {
                let z = L::load(vector.as_ptr());
                let better = largest.less(z);
                largest = z.select(better, largest);
                best = L::splat(class).select(better, best);
                class += 1.0;
                if left_out != Some(index) {
                    total = total.add(z);
                }
                let e = exp(z.sub(reference));
                sum = sum.add(e);
                e.store(vector.as_mut_ptr());
            }
            // Block by block: shorter sums lose fewer bits.
            found.exponentials = found.exponentials.add(sum);
            found.logits = found.logits.add(total);
            (found.largest, found.best) = (largest, best);
        }
    }

    /// Exponentials become gradients of logits.
    #[inline(always)]
    unsafe fn subtract<L: Lanes>(self) {
        let Some(targets) = self.targets else { return };
        let mut space = None;
        let (chunk, panel) = (self.chunk, self.panel);
        let factors = chunk.factors.at(chunk.factor(panel, Factors::Target)).cast_const();
        let (kept, spread) = (targets.smoothing.kept as f32, targets.smoothing.spread as f32);
        let left_out = self.left_out();
        // SAFETY: whole vectors of 16; factors of this panel.
        unsafe {
            let exponential = L::load(chunk.factors.at(chunk.factor(panel, Factors::Exponential)));
            let target = L::load(factors);
            let (kept_lanes, spread) = (target.mul(L::splat(-kept)), target.mul(L::splat(-spread)));
            let spread_to = |index: usize| if left_out == Some(index) { L::splat(0.0) } else { spread };
            if let Some(y) = self.probabilities::<L>(&mut space) {
                let vectors = self.values.as_chunks_mut::<LANES>().0.iter_mut().zip(y.as_chunks::<LANES>().0);
                for (index, (vector, y)) in vectors.enumerate() {
                    let rest = kept_lanes.fma(L::load(y.as_ptr()), spread_to(index));
                    exponential.fma(L::load(vector.as_ptr()), rest).store(vector.as_mut_ptr());
                }
                return;
            }
            for (index, vector) in self.values.as_chunks_mut::<LANES>().0.iter_mut().enumerate() {
                exponential.fma(L::load(vector.as_ptr()), spread_to(index)).store(vector.as_mut_ptr());
            }
            for lane in 0..LANES {
                if let Some(at) = self.target(lane) {
                    self.values[at] -= *factors.add(lane) * kept;
                }
            }
        }
    }
}
