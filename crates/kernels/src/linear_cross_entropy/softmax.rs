//! Exponentials of the logits and, while they are in the cache, their product with the weights.
use super::{
    chunk::{Chunk, Factors, Linear, NO_CLASS, SUMS, Sums},
    plan::{BLOCK, GROUP, STEP},
    target::ChunkTargets,
};
use crate::{
    Context,
    buffer::Buffer,
    math::exp,
    panels::pack_panel,
    simd::{Kernel, LANES, Lanes, prefetch},
    tile::{Left, Out, Product, Right, Start},
};

/// What is done with the logits of a chunk.
pub(super) struct Softmax<'a> {
    pub chunk: &'a Chunk<'a>,
    pub targets: Option<&'a ChunkTargets<'a>>,
    /// Logits become exponentials of their distance to the largest one, and are summed. Otherwise they are such
    /// exponentials already, and become gradients of logits.
    pub exponentiate: bool,
    /// Multiply with the weights: the gradient of `h`, before its factor.
    pub multiply: bool,
}

impl Softmax<'_> {
    pub(super) fn run(&self, context: &Context) {
        let groups = self.chunk.groups();
        context.pool.run(groups * self.chunk.plan.ranges, &|piece| {
            let (range, group) = (piece / groups, piece % groups);
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
        let Self { softmax: &Softmax { chunk, targets, exponentiate, multiply }, range, group } = self;
        let Linear { features, classes, kernel, .. } = chunk.linear;
        let (panels, range_classes) = (chunk.group(group), chunk.range(range));
        let mut maxima = [[0.0; LANES]; GROUP];
        let mut sums = [[[0.0; LANES]; SUMS]; GROUP];
        // SAFETY: the panels of the group within the range of classes belong to this piece.
        unsafe {
            if exponentiate {
                for (panel, maximum) in panels.clone().zip(&mut maxima) {
                    largest::<L>(chunk, panel, maximum);
                    observe(chunk, targets, panel, range, maximum);
                }
            }
            for first in range_classes.clone().step_by(STEP) {
                let count = STEP.min(range_classes.end - first);
                for (index, panel) in panels.clone().enumerate() {
                    let values = chunk.logits.part(chunk.logit(panel, first), count * LANES);
                    // The same classes of the next panel, or the next classes of the first one.
                    let next = if index + 1 < panels.len() {
                        chunk.logit(panel + 1, first)
                    } else {
                        chunk.logit(panels.start, first + STEP)
                    };
                    let block = Block { chunk, targets, panel, first, values, next };
                    if exponentiate {
                        block.exponentiate::<L>(&maxima[index], &mut sums[index]);
                    } else {
                        block.subtract::<L>();
                    }
                }
                if multiply {
                    let dh = (range * chunk.panels + panels.start) * features * LANES;
                    Product {
                        left: Left::columns(kernel[first * features..].as_ptr(), features),
                        right: Right::panels(chunk.logits.at(chunk.logit(panels.start, first)), classes * LANES),
                        out: Out::panels(chunk.dh.at(dh), features * LANES),
                        rows: features,
                        columns: panels.len() * LANES,
                        inner: count,
                        start: if first == range_classes.start { Start::Zero } else { Start::Keep },
                    }
                    .inline::<L>();
                }
            }
            if exponentiate {
                for (panel, sums) in panels.zip(&sums) {
                    let to = chunk.sums.part(chunk.sum(range, panel, Sums::Exponentials), sums.len() * LANES);
                    to.copy_from_slice(sums.as_flattened());
                }
            }
        }
    }
}

/// The largest logit of each token of a panel.
#[inline(always)]
unsafe fn largest<L: Lanes>(chunk: &Chunk<'_>, panel: usize, to: &mut [f32; LANES]) {
    // SAFETY: one vector for each block and panel.
    unsafe {
        let mut maximum = L::splat(f32::NEG_INFINITY);
        for block in 0..chunk.plan.blocks {
            maximum = L::load(chunk.maxima.at((block * chunk.panels + panel) * LANES)).max(maximum);
        }
        maximum.store(to.as_mut_ptr());
    }
}

/// Notes the logit of the target and the first class with the largest logit, if they lie in the range.
///
/// # Safety
/// The piece of this panel and range calls it, before it makes exponentials.
unsafe fn observe(
    chunk: &Chunk<'_>,
    targets: Option<&ChunkTargets<'_>>,
    panel: usize,
    range: usize,
    maxima: &[f32; LANES],
) {
    let classes = chunk.range(range);
    let blocks = classes.start / BLOCK..classes.end.div_ceil(BLOCK);
    for (lane, maximum) in maxima.iter().enumerate() {
        let token = panel * LANES + lane;
        if token >= chunk.tokens {
            return;
        }
        // SAFETY: logits of this range and panel, and one element for each token (and range); only the piece whose
        // range holds the target writes its logit.
        unsafe {
            let logit = |class: usize| *chunk.logits.at(chunk.logit(panel, class) + lane);
            if let Some(id) = targets.and_then(|targets| targets.id(token)).filter(|id| classes.contains(id)) {
                *chunk.picked.at(token) = logit(id);
            }
            let block_maximum = |block: usize| *chunk.maxima.at((block * chunk.panels + panel) * LANES + lane);
            let block = blocks.clone().find(|&block| block_maximum(block) == *maximum);
            let class = block.and_then(|block| {
                (block * BLOCK..classes.end.min((block + 1) * BLOCK)).find(|&class| logit(class) == *maximum)
            });
            *chunk.best.at(chunk.best_of(range, token)) = class.map_or(NO_CLASS, |class| class as u32);
        }
    }
}

/// At most `STEP` classes of one panel.
struct Block<'a> {
    chunk: &'a Chunk<'a>,
    targets: Option<&'a ChunkTargets<'a>>,
    panel: usize,
    first: usize,
    values: &'a mut [f32],
    /// Where the block lies that comes next.
    next: usize,
}

impl Block<'_> {
    /// Packs the probabilities of the block into the buffer; `None` if the targets are none.
    #[inline(always)]
    fn probabilities<'b>(&self, space: &'b mut Option<Buffer>) -> Option<&'b [f32]> {
        let targets = self.targets?;
        let count = self.values.len() / LANES;
        let row = |lane: usize| targets.probabilities(self.panel * LANES + lane, self.first, count);
        row(0)?;
        let space = &mut space.get_or_insert_with(|| Buffer::new(STEP * LANES))[..self.values.len()];
        pack_panel(space, row);
        Some(space)
    }

    #[inline(always)]
    unsafe fn exponentiate<L: Lanes>(self, maximum: &[f32; LANES], sums: &mut [[f32; LANES]; SUMS]) {
        let mut space = None;
        // SAFETY: whole vectors of 16.
        unsafe {
            if let Some(y) = self.probabilities(&mut space) {
                let (mut mass, mut product) = (L::splat(0.0), L::splat(0.0));
                for (y, z) in y.as_chunks::<LANES>().0.iter().zip(self.values.as_chunks::<LANES>().0) {
                    let y = L::load(y.as_ptr());
                    mass = mass.add(y);
                    product = y.fma(L::load(z.as_ptr()), product);
                }
                add_to(mass, &mut sums[Sums::Targets as usize]);
                add_to(product, &mut sums[Sums::Products as usize]);
            }
            let maximum = L::load(maximum.as_ptr());
            let (mut sum, mut total) = (L::splat(0.0), L::splat(0.0));
            let next = self.chunk.logits.at(0).wrapping_add(self.next);
            for (index, vector) in self.values.as_chunks_mut::<LANES>().0.iter_mut().enumerate() {
                prefetch(next.wrapping_add(index * LANES));
                let z = L::load(vector.as_ptr());
                total = total.add(z);
                let e = exp(z.sub(maximum));
                sum = sum.add(e);
                e.store(vector.as_mut_ptr());
            }
            // Block by block: shorter sums lose fewer bits.
            add_to(sum, &mut sums[Sums::Exponentials as usize]);
            add_to(total, &mut sums[Sums::Logits as usize]);
        }
    }

    /// Exponentials become gradients of logits.
    #[inline(always)]
    unsafe fn subtract<L: Lanes>(self) {
        let Some(targets) = self.targets else { return };
        let mut space = None;
        let (chunk, panel) = (self.chunk, self.panel);
        let factors = chunk.factors.at(chunk.factor(panel, Factors::Target)).cast_const();
        let (kept, spread) = (1.0 - targets.smoothing, targets.smoothing / targets.classes as f32);
        // SAFETY: whole vectors of 16; factors of this panel; one element for each token with its class in the block.
        unsafe {
            let exponential = L::load(chunk.factors.at(chunk.factor(panel, Factors::Exponential)));
            let target = L::load(factors);
            let (kept_lanes, spread) = (target.mul(L::splat(-kept)), target.mul(L::splat(-spread)));
            let count = self.values.len() / LANES;
            if let Some(y) = self.probabilities(&mut space) {
                for (vector, y) in self.values.as_chunks_mut::<LANES>().0.iter_mut().zip(y.as_chunks::<LANES>().0) {
                    let rest = kept_lanes.fma(L::load(y.as_ptr()), spread);
                    exponential.fma(L::load(vector.as_ptr()), rest).store(vector.as_mut_ptr());
                }
                return;
            }
            for vector in self.values.as_chunks_mut::<LANES>().0 {
                exponential.fma(L::load(vector.as_ptr()), spread).store(vector.as_mut_ptr());
            }
            for lane in 0..LANES {
                let id = targets.id(panel * LANES + lane).and_then(|id| id.checked_sub(self.first));
                if let Some(id) = id.filter(|&id| id < count) {
                    self.values[id * LANES + lane] -= *factors.add(lane) * kept;
                }
            }
        }
    }
}

#[inline(always)]
unsafe fn add_to<L: Lanes>(lanes: L, sum: &mut [f32; LANES]) {
    // SAFETY: an array of 16.
    unsafe { L::load(sum.as_ptr()).add(lanes).store(sum.as_mut_ptr()) };
}
