//! The rows that are in work, and where everything that is known of them lies.
use super::{
    plan::{Buffers, GROUP, Plan},
    rounded::Rounded,
};
use crate::{
    Context,
    panels::Pack,
    shared::Shared,
    simd::{Kernel, LANES, Lanes},
    tile::{Ahead, Left, Out, Product, Right, Start},
};

/// Classes whose largest logit is the reference of a token.
const SAMPLE: usize = 24;
/// How far a logit may lie above its reference: exponentials and their sums stay far from the largest number.
const HEADROOM: f32 = 30.0;

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
    /// `[blocks][N][block][16]`: exponentials of the distances of logits to their token's reference; if targets are
    /// explicit, later their gradients.
    pub values: Shared<'a>,
    /// `[N][16]`.
    pub references: Shared<'a>,
    /// `[ranges][N][Sums][16]`.
    pub sums: Shared<'a>,
    /// `[N][16]`: logit of the target.
    pub picked: Shared<'a>,
    /// `[N][Factors][16]`.
    pub factors: Shared<'a>,
    /// `[ranges][N][features][16]`: gradient of `h`, before its factor.
    pub dh: Shared<'a>,
    /// `[tokens][scaled_stride]`: rows of `h` times their factor.
    pub scaled: Shared<'a>,
    /// In bfloat16: what products take instead of `h`, `scaled` and the weights.
    pub rounded: Option<Rounded<'a>>,
}

/// What is found in a range of classes, each a vector of 16 tokens.
#[derive(Clone, Copy)]
pub(super) enum Sums {
    /// Sum of the exponentials.
    Exponentials,
    /// Of the logits.
    Logits,
    /// Of the targets.
    Targets,
    /// Of target times logit.
    Products,
    /// The largest logit.
    Largest,
    /// The first class of the range with that logit, counted from the begin of the range; -1 if there is none.
    Best,
}

/// Number of `Sums`.
pub(super) const SUMS: usize = 6;

/// What turns exponentials into gradients of logits, each a vector of 16 tokens.
#[derive(Clone, Copy)]
pub(super) enum Factors {
    /// Factor of the exponential.
    Exponential,
    /// Factor of the target.
    Target,
    /// Factor of what the values of the chunk hold at the end: 0 in the lanes of the padding.
    Gradient,
}

/// Number of `Factors`.
pub(super) const FACTORS: usize = 3;

impl<'a> Chunk<'a> {
    pub(super) fn new(
        plan: &'a Plan,
        linear: Linear<'a>,
        tokens: usize,
        buffers: &'a mut Buffers,
        rounded: Option<Rounded<'a>>,
    ) -> Self {
        Self {
            plan,
            linear,
            tokens,
            panels: tokens.div_ceil(LANES),
            h: Shared::new(&mut buffers.h),
            values: Shared::new(&mut buffers.values),
            references: Shared::new(&mut buffers.references),
            sums: Shared::new(&mut buffers.sums),
            picked: Shared::new(&mut buffers.picked),
            factors: Shared::new(&mut buffers.factors),
            dh: Shared::new(&mut buffers.dh),
            scaled: Shared::new(&mut buffers.scaled),
            rounded,
        }
    }

    /// All groups of panels.
    pub(super) fn groups(&self) -> Vec<usize> {
        (0..self.panels.div_ceil(GROUP)).collect()
    }

    /// Panels of a group.
    pub(super) fn group(&self, group: usize) -> std::ops::Range<usize> {
        group * GROUP..self.panels.min((group + 1) * GROUP)
    }

    /// Classes of a block.
    pub(super) fn block(&self, block: usize) -> std::ops::Range<usize> {
        self.plan.classes(block, self.linear.classes)
    }

    /// Floats from a panel of `values` to the next one of the same block.
    pub(super) fn stride(&self) -> usize {
        self.plan.block * LANES
    }

    /// Where the values of a block begin in a panel.
    pub(super) fn values_of(&self, panel: usize, block: usize) -> usize {
        (block * self.panels + panel) * self.stride()
    }

    /// Where the values of a class lie in a panel.
    pub(super) fn value(&self, panel: usize, class: usize) -> usize {
        self.values_of(panel, class / self.plan.block) + class % self.plan.block * LANES
    }

    pub(super) fn sum(&self, range: usize, panel: usize, sum: Sums) -> usize {
        ((range * self.panels + panel) * SUMS + sum as usize) * LANES
    }

    pub(super) fn factor(&self, panel: usize, factor: Factors) -> usize {
        (panel * FACTORS + factor as usize) * LANES
    }

    /// Packs the rows `rows` of `h`, and takes the largest of their first logits as their references: nobody needs the
    /// largest of all in advance, only one that is not far below.
    pub(super) fn pack(&self, context: &Context, h: &[f32], rows: &[usize]) {
        let features = self.linear.features;
        context.pool.run(self.panels, &|panel| {
            // SAFETY: each panel belongs to one piece.
            let to = unsafe { self.h.part(panel * features * LANES, features * LANES) };
            let row = |lane| rows.get(panel * LANES + lane).map(|row| &h[row * features..][..features]);
            context.simd.run(Pack::new(to, row));
            if let Some(rounded) = self.rounded {
                rounded.pack_panel(panel, to);
            }
            context.simd.run(Reference { chunk: self, panel });
        });
    }

    /// Raises the references that lie too far below the largest logit to that logit, and returns the groups they are in:
    /// the exponentials of these have to be made again.
    pub(super) fn raise_references(&self) -> Vec<usize> {
        let raise = |panel: usize| {
            let mut raised = false;
            for lane in 0..LANES {
                // SAFETY: no job runs.
                unsafe {
                    let largest = |range| *self.sums.at(self.sum(range, panel, Sums::Largest) + lane);
                    let largest = (0..self.plan.ranges).map(largest).fold(f32::NEG_INFINITY, f32::max);
                    let reference = self.references.at(panel * LANES + lane);
                    if largest.is_finite() && largest - *reference > HEADROOM {
                        *reference = largest;
                        raised = true;
                    }
                }
            }
            raised
        };
        // Every panel of a group: `any` alone would stop at the first.
        let any = |group: &usize| self.group(*group).filter(|&panel| raise(panel)).count() > 0;
        self.groups().into_iter().filter(any).collect()
    }
}

/// Finds the references of a panel.
struct Reference<'a> {
    chunk: &'a Chunk<'a>,
    panel: usize,
}

impl Kernel for Reference<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let Self { chunk, panel } = self;
        let Linear { features, classes, kernel, bias } = chunk.linear;
        let rows = SAMPLE.min(classes);
        let mut logits = [[0.0; LANES]; SAMPLE];
        let product = Product {
            left: Left::rows(kernel.as_ptr(), features),
            right: Right::panels(chunk.h.at(panel * features * LANES), features * LANES),
            out: Out::panels(logits.as_mut_ptr().cast(), SAMPLE * LANES),
            rows,
            columns: LANES,
            inner: features,
            start: bias.map_or(Start::Zero, |bias| Start::Rows(bias.as_ptr())),
            ahead: Ahead::NOTHING,
        };
        // SAFETY: operands have these sizes; the references of the panel belong to this piece.
        unsafe {
            product.run_on::<L>();
            let mut largest = L::splat(f32::NEG_INFINITY);
            for logit in &logits[..rows] {
                largest = L::load(logit.as_ptr()).max(largest);
            }
            largest.store(chunk.references.at(panel * LANES));
        }
    }
}
