//! Kernels in bfloat16. Only they are rounded: products and sums are as with floats, in the same order.
use crate::{
    Context,
    buffer::Buffer,
    place::Stored,
    shared::Shared,
    simd::{Kernel, LANES, Lanes, pairs},
    tile::{Ahead, INNER_BLOCK, Left, Out, Product, Right, Start},
};

/// Panels of a piece.
const PIECE: usize = 4;

/// A kernel `[units, input]` of bfloat16.
#[derive(Debug)]
pub struct Bfloat16Matrix {
    units: usize,
    input: usize,
    /// `[units / 16][input][16]`: the upper halves of floats.
    panels: Stored<[u16; LANES]>,
}

impl Bfloat16Matrix {
    /// Zeros.
    #[must_use]
    pub fn zeros(units: usize, input: usize) -> Self {
        Self { units, input, panels: Stored::filled([0; LANES], units.div_ceil(LANES) * input) }
    }

    pub(super) fn set_rows(&mut self, first: usize, rows: &[f32]) {
        let input = self.input;
        for (row, unit) in rows.chunks_exact(input.max(1)).zip(first..) {
            for (lanes, &value) in self.panels[unit / LANES * input..].iter_mut().zip(row) {
                lanes[unit % LANES] = pairs::round(value) as u16;
            }
        }
    }

    pub(super) fn sizes(&self) -> [usize; 2] {
        [self.units, self.input]
    }

    pub(super) fn row(&self, unit: usize, to: &mut [f32]) {
        for (lanes, to) in self.panels[unit / LANES * self.input..].iter().zip(to) {
            *to = widened(lanes[unit % LANES]);
        }
    }

    pub(super) fn forward(&self, context: &Context, rows: usize, x: &[f32], bias: Option<&[f32]>, y: &mut [f32]) {
        let y = Shared::new(y);
        let work = |piece: usize| context.simd.run(Part { matrix: self, rows, x, bias, y, first: piece * PIECE });
        let pieces = self.units.div_ceil(PIECE * LANES);
        if rows * self.panels.len() <= 1 << 13 {
            (0..pieces).for_each(work);
        } else {
            context.pool.run(pieces, &work);
        }
    }
}

fn widened(half: u16) -> f32 {
    f32::from_bits(u32::from(half) << 16)
}

/// Some panels for all rows.
struct Part<'a> {
    matrix: &'a Bfloat16Matrix,
    rows: usize,
    x: &'a [f32],
    bias: Option<&'a [f32]>,
    y: Shared<'a>,
    /// First panel.
    first: usize,
}

impl Kernel for Part<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let Self { matrix, rows, x, bias, y, first } = self;
        let Bfloat16Matrix { units, input, .. } = *matrix;
        let column = first * LANES;
        let columns = (units - column).min(PIECE * LANES);
        let panels = columns.div_ceil(LANES);
        let mut wide = Buffer::new(panels * INNER_BLOCK.min(input) * LANES);
        let mut k = 0;
        loop {
            let steps = INNER_BLOCK.min(input - k);
            for panel in 0..panels {
                let from = &matrix.panels[(first + panel) * input + k..][..steps];
                let to = wide[panel * steps * LANES..][..steps * LANES].as_chunks_mut::<LANES>().0;
                for (from, to) in from.iter().zip(to) {
                    *to = from.map(widened);
                }
            }
            let product = Product {
                left: Left::rows(x.as_ptr().wrapping_add(k), input),
                right: Right::panels(wide.as_ptr(), steps * LANES),
                out: Out::rows(y.at(column), units),
                rows,
                columns,
                inner: steps,
                start: match bias {
                    _ if k > 0 => Start::Keep,
                    Some(bias) => Start::Columns(bias[column..].as_ptr()),
                    None => Start::Zero,
                },
                ahead: Ahead::NOTHING,
            };
            // SAFETY: the operands have these sizes, no other piece touches these columns; the caller vouches for the path.
            unsafe { product.run_on::<L>() };
            k += steps;
            if k >= input {
                return;
            }
        }
    }
}
