//! Gradients of the weights: products over all slots and lanes.
use super::{Plan, Shape, To};
use crate::{
    Context,
    buffer::Buffer,
    panels::panels_length,
    shared::Shared,
    simd::{Kernel, LANES, Lanes},
    tile::{Ahead, Left, Out, Product, Right, Start},
};

/// Rows of the weights in a piece of work: a multiple of the heights of all tiles.
const HEIGHT: usize = 48;
/// Floats of 16 rows of 16 features.
const TILE: usize = LANES * LANES;

/// Arguments.
pub(crate) struct WeightGradients<'a> {
    pub plan: &'a Plan,
    /// Gradients of the sums of the inputs of each gate, and of the sums of the outputs that go into the step: their place
    /// among the `[units][16]` of a slot.
    pub places: &'a [[usize; 2]],
    /// `[slot][..][units][16]`.
    pub sums: &'a [f32],
    /// Places in a slot of `sums`.
    pub panels: usize,
    /// `[batch, steps, input]`.
    pub x: &'a [f32],
    pub x_operand: Operand<'a>,
    /// The output before each slot, `[units / 16][slot][16 rows][16 units]`.
    pub hidden: &'a [f32],
    pub hidden_operand: Operand<'a>,
    /// What the last gate is multiplied with instead, if not with `hidden`.
    pub last_hidden: Option<&'a [f32]>,
    pub dkernel: Option<To<'a>>,
    pub drecurrent: Option<To<'a>>,
    pub dbias: Option<To<'a>>,
    /// Of a bias that is added to the sums of the outputs.
    pub drecurrent_bias: Option<To<'a>>,
}

/// Rows of the batch as an operand of products.
#[derive(Clone, Copy)]
pub(crate) struct Operand<'a> {
    pub features: usize,
    pub variants: usize,
    pub factors: Option<&'a [f32]>,
}

impl WeightGradients<'_> {
    pub(crate) fn run(&self, context: &Context) {
        let Shape { steps, input, units, .. } = self.plan.shape();
        let tiles = |features| self.plan.slots() * panels_length(features, LANES);
        let (x, h) = (&self.x_operand, &self.hidden_operand);
        let mut x_tiles = Buffer::new(if self.dkernel.is_some() { x.variants * tiles(input) } else { 0 });
        let dropped = self.drecurrent.is_some() && h.factors.is_some();
        let mut h_tiles = Buffer::new(if dropped { h.variants * tiles(units) } else { 0 });
        if self.dkernel.is_some() || dropped {
            let (x_to, h_to) = (Shared::new(&mut x_tiles), Shared::new(&mut h_tiles));
            context.pool.run(steps, &|step| {
                if self.dkernel.is_some() {
                    self.fill(step, x, x_to, |row, _, _, feature| {
                        let token = row * steps + self.plan.time(step);
                        &self.x[token * input + feature..]
                    });
                }
                if dropped {
                    self.fill(step, h, h_to, |_, slot, lane, feature| {
                        &self.hidden[(feature / LANES * self.plan.slots() + slot) * TILE + lane * LANES..]
                    });
                }
            });
        }
        let hidden = if dropped { &h_tiles[..] } else { self.hidden };
        let per_gate = units.div_ceil(HEIGHT);
        let gates = self.places.len();
        context.pool.run(gates * per_gate, &|piece| {
            let (gate, first) = (piece / per_gate, piece % per_gate * HEIGHT);
            let rows = HEIGHT.min(units - first);
            let row = gate * units + first;
            let [x_row, h_row] = self.places[gate].map(|place| place * units + first);
            let last = self.last_hidden.filter(|_| gate + 1 == gates);
            let hidden = last.unwrap_or_else(|| &hidden[gate % h.variants * if dropped { tiles(units) } else { 0 }..]);
            let from_x = &x_tiles[gate % x.variants * if self.dkernel.is_some() { tiles(input) } else { 0 }..];
            let parts = [(self.drecurrent, hidden, units, h_row), (self.dkernel, from_x, input, x_row)];
            for (to, right, features, from) in parts {
                let Some(to) = to else { continue };
                let from = (from * LANES).min(self.sums.len());
                let product = Product {
                    left: Left::panels(self.sums[from..].as_ptr(), self.panels * units * LANES),
                    right: Right::panels(right.as_ptr(), self.plan.slots() * TILE),
                    out: Out::rows(to.data.at(row * features), features),
                    rows,
                    columns: features,
                    inner: self.plan.slots() * LANES,
                    start: if to.accumulate { Start::Keep } else { Start::Zero },
                    ahead: Ahead::NOTHING,
                };
                // SAFETY: the operands have these sizes, and these rows of the gradient belong to this piece.
                unsafe { product.run(context.simd) };
            }
            for (to, from) in [(self.dbias, x_row), (self.drecurrent_bias, h_row)] {
                let Some(to) = to else { continue };
                // SAFETY: these rows of the gradient belong to this piece.
                let to_rows = unsafe { to.data.part(row, rows) };
                if !to.accumulate {
                    to_rows.fill(0.0);
                }
                context.simd.run(Bias { sums: self.sums, row: from, stride: self.panels * units, to: to_rows });
            }
        });
    }

    /// Fills the tiles of a step, `[variant][features / 16][slot][16 rows][16 features]`, with rows times their factors;
    /// `source(row, slot, lane, feature)` begins with the features from `feature` on.
    fn fill<'a>(
        &self,
        step: usize,
        operand: &Operand<'_>,
        to: Shared<'_>,
        source: impl Fn(usize, usize, usize, usize) -> &'a [f32],
    ) {
        let Operand { features, variants, factors } = *operand;
        let slots = self.plan.slots();
        for block in 0..self.plan.blocks() {
            let Some(slot) = self.plan.slot(step, block) else { continue };
            for (panel, first) in (0..features).step_by(LANES).enumerate() {
                let width = LANES.min(features - first);
                for variant in 0..variants {
                    let at = ((variant * features.div_ceil(LANES) + panel) * slots + slot) * TILE;
                    // SAFETY: the tile of this slot, which belongs to this step alone.
                    let tile = unsafe { to.part(at, TILE) };
                    for (lane, vector) in tile.as_chunks_mut::<LANES>().0.iter_mut().enumerate() {
                        *vector = [0.0; LANES];
                        let Some(row) = self.plan.valid_row(step, block, lane) else { continue };
                        let from = &source(row, slot, lane, first)[..width];
                        vector[..width].copy_from_slice(from);
                        if let Some(factors) = factors {
                            let at = (variant * self.plan.shape().batch + row) * features + first;
                            vector.iter_mut().zip(&factors[at..at + width]).for_each(|(x, factor)| *x *= factor);
                        }
                    }
                }
            }
        }
    }
}

/// Adds the sums of panel rows over all slots and lanes.
struct Bias<'a> {
    sums: &'a [f32],
    row: usize,
    /// Rows of a slot.
    stride: usize,
    /// One for each row from `row` on.
    to: &'a mut [f32],
}

impl Kernel for Bias<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let mut sums = [[0.0; LANES]; HEIGHT];
        for slot in self.sums.chunks_exact((self.stride * LANES).max(1)) {
            let rows = &slot[self.row * LANES..][..self.to.len() * LANES];
            for (sum, row) in sums.iter_mut().zip(rows.as_chunks::<LANES>().0) {
                // SAFETY: both are 16 floats, and the path is available.
                unsafe { L::load(sum.as_ptr()).add(L::load(row.as_ptr())).store(sum.as_mut_ptr()) };
            }
        }
        for (to, sum) in self.to.iter_mut().zip(sums) {
            *to += sum.iter().sum::<f32>();
        }
    }
}
