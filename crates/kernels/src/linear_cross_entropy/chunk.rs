//! The rows that are in work, and the product that makes their logits.
use super::plan::{BLOCK, Buffers, GROUP, Plan};
use crate::{
    Context,
    panels::pack_panel,
    shared::Shared,
    simd::{Kernel, LANES, Lanes},
    tile::{Left, Out, Product, Right, Start},
};

/// The linear layer.
#[derive(Clone, Copy)]
pub(super) struct Linear<'a> {
    pub features: usize,
    pub classes: usize,
    pub kernel: &'a [f32],
    pub bias: Option<&'a [f32]>,
}

/// Some rows as token panels, and everything that is known of them. `N` is the number of panels.
pub(super) struct Chunk<'a> {
    pub plan: &'a Plan,
    pub linear: Linear<'a>,
    /// Rows; the other lanes of the last panel are padding.
    pub tokens: usize,
    pub panels: usize,
    /// `[N][features][16]`.
    pub h: Shared<'a>,
    /// `[N][classes][16]`: logits, then their exponentials, then (if targets are explicit) their gradient.
    pub logits: Shared<'a>,
    /// `[blocks][N][16]`: largest logit of each block of classes.
    pub maxima: Shared<'a>,
    /// `[ranges][N][Sums][16]`.
    pub sums: Shared<'a>,
    /// `[N][16]`: logit of the target.
    pub picked: Shared<'a>,
    /// `[ranges][N][16]`: first class with the largest logit of all, `NO_CLASS` where the range has none.
    pub best: Shared<'a, u32>,
    /// `[N][Factors][16]`.
    pub factors: Shared<'a>,
    /// `[ranges][N][features][16]`: gradient of `h`, before its factor.
    pub dh: Shared<'a>,
    /// `[tokens][scaled_stride]`: rows of `h` times their factor.
    pub scaled: Shared<'a>,
}

/// Sums of a range of classes, each a vector of 16 tokens.
#[derive(Clone, Copy)]
pub(super) enum Sums {
    /// Of the exponentials.
    Exponentials,
    /// Of the logits.
    Logits,
    /// Of the targets.
    Targets,
    /// Of target times logit.
    Products,
}

/// Says that a range does not hold the largest logit.
pub(super) const NO_CLASS: u32 = u32::MAX;

/// Number of `Sums`.
pub(super) const SUMS: usize = 4;

/// What turns exponentials into gradients of logits, each a vector of 16 tokens.
#[derive(Clone, Copy)]
pub(super) enum Factors {
    /// Factor of the exponential.
    Exponential,
    /// Factor of the target.
    Target,
    /// Factor of what the logits of the chunk hold at the end: 0 in the lanes of the padding.
    Gradient,
}

/// Number of `Factors`.
pub(super) const FACTORS: usize = 3;

impl<'a> Chunk<'a> {
    pub(super) fn new(plan: &'a Plan, linear: Linear<'a>, tokens: usize, buffers: &'a mut Buffers) -> Self {
        Self {
            plan,
            linear,
            tokens,
            panels: tokens.div_ceil(LANES),
            h: Shared::new(&mut buffers.h),
            logits: Shared::new(&mut buffers.logits),
            maxima: Shared::new(&mut buffers.maxima),
            sums: Shared::new(&mut buffers.sums),
            picked: Shared::new(&mut buffers.picked),
            best: Shared::new(&mut buffers.best),
            factors: Shared::new(&mut buffers.factors),
            dh: Shared::new(&mut buffers.dh),
            scaled: Shared::new(&mut buffers.scaled),
        }
    }

    /// Groups of panels that share a piece.
    pub(super) fn groups(&self) -> usize {
        self.panels.div_ceil(GROUP)
    }

    /// Panels of a group.
    pub(super) fn group(&self, group: usize) -> std::ops::Range<usize> {
        group * GROUP..self.panels.min((group + 1) * GROUP)
    }

    /// Classes of a range.
    pub(super) fn range(&self, range: usize) -> std::ops::Range<usize> {
        range * self.plan.range..self.linear.classes.min((range + 1) * self.plan.range)
    }

    /// Where the logits of a class lie in a panel.
    pub(super) fn logit(&self, panel: usize, class: usize) -> usize {
        (panel * self.linear.classes + class) * LANES
    }

    pub(super) fn sum(&self, range: usize, panel: usize, sum: Sums) -> usize {
        ((range * self.panels + panel) * SUMS + sum as usize) * LANES
    }

    /// The class with the largest logit, the lowest of equals; 0 if no logit is a number.
    ///
    /// # Safety
    /// The exponentials have been made, and no piece that makes any runs.
    pub(super) unsafe fn best_class(&self, token: usize) -> u32 {
        // SAFETY: nobody writes any more.
        let best = |range: usize| unsafe { *self.best.at(self.best_of(range, token)) };
        (0..self.plan.ranges).map(best).find(|&class| class != NO_CLASS).unwrap_or(0)
    }

    /// Where the candidate of a range lies.
    pub(super) fn best_of(&self, range: usize, token: usize) -> usize {
        range * self.panels * LANES + token
    }

    pub(super) fn factor(&self, panel: usize, factor: Factors) -> usize {
        (panel * FACTORS + factor as usize) * LANES
    }

    /// Packs the rows `rows` of `h`.
    pub(super) fn pack(&self, context: &Context, h: &[f32], rows: &[usize]) {
        let features = self.linear.features;
        context.pool.run(self.panels, &|panel| {
            // SAFETY: each panel belongs to one piece.
            let to = unsafe { self.h.part(panel * features * LANES, features * LANES) };
            pack_panel(to, |lane| rows.get(panel * LANES + lane).map(|row| &h[row * features..][..features]));
        });
    }

    /// Logits and the maxima of their blocks.
    pub(super) fn logits(&self, context: &Context) {
        context.pool.run(self.plan.blocks, &|block| context.simd.run(Logits { chunk: self, block }));
    }
}

/// Logits of one block of classes for all panels.
struct Logits<'a> {
    chunk: &'a Chunk<'a>,
    block: usize,
}

impl Kernel for Logits<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let Self { chunk, block } = self;
        let Linear { features, classes, kernel, bias } = chunk.linear;
        let first = block * BLOCK;
        let rows = BLOCK.min(classes - first);
        // Two panels at a time, so that the maxima are taken from L1.
        for panel in (0..chunk.panels).step_by(2) {
            let panels = 2.min(chunk.panels - panel);
            let logits = chunk.logits.at(chunk.logit(panel, first));
            let product = Product {
                left: Left::rows(kernel[first * features..].as_ptr(), features),
                right: Right::panels(chunk.h.at(panel * features * LANES), features * LANES),
                out: Out::panels(logits, classes * LANES),
                rows,
                columns: panels * LANES,
                inner: features,
                start: bias.map_or(Start::Zero, |bias| Start::Rows(bias[first..].as_ptr())),
            };
            // SAFETY: operands have these sizes; no other piece touches these classes.
            unsafe {
                product.inline::<L>();
                for panel in panel..panel + panels {
                    let logits = chunk.logits.at(chunk.logit(panel, first)).cast_const();
                    let mut maximum = L::load(logits);
                    for row in 1..rows {
                        maximum = L::load(logits.add(row * LANES)).max(maximum);
                    }
                    maximum.store(chunk.maxima.part((block * chunk.panels + panel) * LANES, LANES).as_mut_ptr());
                }
            }
        }
    }
}
