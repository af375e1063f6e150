//! Gradients of the weights: products over all slots and lanes.
use super::{Plan, Shape, To};
use crate::{
    Context,
    buffer::Buffer,
    panels::panels_length,
    pieces::load_at,
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
    /// Slots before which all outputs are 0, the first ones.
    pub rests: usize,
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
                let fill = |operand, to, source: Source<'_>| {
                    context.simd.run(Fill { weights: self, step, operand, to, source });
                };
                if self.dkernel.is_some() {
                    fill(x, x_to, Source::Rows(self.x));
                }
                if dropped {
                    fill(h, h_to, Source::Tiles(self.hidden));
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
            let parts = [(self.drecurrent, hidden, units, h_row, self.rests), (self.dkernel, from_x, input, x_row, 0)];
            for (to, right, features, from, rests) in parts {
                let Some(to) = to else { continue };
                let stride = self.panels * units * LANES;
                let from = (rests * stride + from * LANES).min(self.sums.len());
                let product = Product {
                    left: Left::panels(self.sums[from..].as_ptr(), stride),
                    right: Right::panels(right.as_ptr().wrapping_add(rests * TILE), self.plan.slots() * TILE),
                    out: Out::rows(to.data.at(row * features), features),
                    rows,
                    columns: features,
                    inner: (self.plan.slots() - rests) * LANES,
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
}

/// Where the rows of an operand are.
#[derive(Clone, Copy)]
enum Source<'a> {
    /// `[batch, steps, features]`.
    Rows(&'a [f32]),
    /// `[features / 16][slot][16 rows][16 features]`.
    Tiles(&'a [f32]),
}

/// Fills the tiles of a step, `[variant][features / 16][slot][16 rows][16 features]`, with rows times their factors.
struct Fill<'a> {
    weights: &'a WeightGradients<'a>,
    step: usize,
    operand: &'a Operand<'a>,
    to: Shared<'a>,
    source: Source<'a>,
}

impl Kernel for Fill<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let Self { weights: WeightGradients { plan, .. }, step, operand, to, source } = self;
        let Operand { features, variants, factors } = *operand;
        let (slots, Shape { batch, steps, .. }) = (plan.slots(), plan.shape());
        for block in 0..plan.blocks() {
            let Some(slot) = plan.slot(step, block) else { continue };
            for lane in 0..LANES {
                let row = plan.valid_row(step, block, lane);
                for (panel, first) in (0..features).step_by(LANES).enumerate() {
                    // SAFETY: the tiles of this slot belong to this step alone; the caller vouches for the path.
                    unsafe {
                        let from = match (source, row) {
                            (_, None) => L::splat(0.0),
                            (Source::Rows(rows), Some(row)) => {
                                load_at(&rows[(row * steps + plan.time(step)) * features..][..features], first)
                            }
                            (Source::Tiles(tiles), _) => {
                                load_at(&tiles[(panel * slots + slot) * TILE + lane * LANES..][..LANES], 0)
                            }
                        };
                        for variant in 0..variants {
                            let factor = match (factors, row) {
                                (Some(factors), Some(row)) => {
                                    load_at(&factors[(variant * batch + row) * features..][..features], first)
                                }
                                _ => L::splat(1.0),
                            };
                            let at = ((variant * features.div_ceil(LANES) + panel) * slots + slot) * TILE;
                            from.mul(factor).store(to.part(at + lane * LANES, LANES).as_mut_ptr());
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
