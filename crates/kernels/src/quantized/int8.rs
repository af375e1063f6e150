//! Kernels of 8 bits. Each unit has a scale, the largest number of its row being 127; the rows of `x` are rounded in the same way when
//! they come. Sums are exact, so that results have the same bits on every path.
use super::round::{Rounded, round};
use crate::{
    Context,
    place::Stored,
    shared::Shared,
    simd::{
        LANES,
        quads::{LINE, QuadKernel, Quads},
    },
};

/// Sixteen units of four features each: a line of the cache.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
struct Line([u8; LINE]);

/// What a number is kept above itself, so that it is none below zero.
const ZERO: u8 = 128;
/// Most features whose sums fit into 32 bits.
const LONGEST: usize = i32::MAX as usize / (255 * 127);
/// Panels of a piece.
const PIECE: usize = 4;
/// Floats of `x` that are worth a second thread.
const SMALL: usize = 1 << 14;

/// A kernel `[units, input]` of whole numbers from -127 to 127, each times the scale of its unit.
#[derive(Debug)]
pub struct Int8Matrix {
    units: usize,
    input: usize,
    /// `[units / 16][input / 4]`.
    lines: Stored<Line>,
    /// `[units]`, with zeros up to a whole panel; no number for a unit that holds such.
    scales: Vec<f32>,
}

impl Int8Matrix {
    /// Zeros; `None` if there are more features than sums of 32 bits can hold.
    #[must_use]
    pub fn zeros(units: usize, input: usize) -> Option<Self> {
        if input > LONGEST {
            return None;
        }
        let lines = Stored::filled(Line([ZERO; LINE]), units.div_ceil(LANES) * input.div_ceil(4));
        Some(Self { units, input, lines, scales: vec![0.0; units.next_multiple_of(LANES)] })
    }

    pub(super) fn set_rows(&mut self, context: &Context, first: usize, rows: &[f32]) {
        let Self { input, lines, scales, .. } = self;
        let input = *input;
        let quads = input.div_ceil(4);
        let mut numbers = vec![0i8; quads * 4];
        for (row, unit) in rows.chunks_exact(input.max(1)).zip(first..) {
            scales[unit] = round(context.simd, row, &mut numbers[..input]).scale;
            let panel = &mut lines[unit / LANES * quads..][..quads];
            for (line, four) in panel.iter_mut().zip(numbers.as_chunks::<4>().0) {
                for (byte, number) in line.0[unit % LANES * 4..].iter_mut().zip(four) {
                    *byte = number.cast_unsigned().wrapping_add(ZERO);
                }
            }
        }
    }

    pub(super) fn sizes(&self) -> [usize; 2] {
        [self.units, self.input]
    }

    pub(super) fn row(&self, unit: usize, to: &mut [f32]) {
        let quads = self.input.div_ceil(4);
        let panel = &self.lines[unit / LANES * quads..][..quads];
        for (line, to) in panel.iter().zip(to.chunks_mut(4)) {
            let four = &line.0[unit % LANES * 4..];
            for (to, &byte) in to.iter_mut().zip(four) {
                *to = (f32::from(byte) - f32::from(ZERO)) * self.scales[unit];
            }
        }
    }

    pub(super) fn forward(&self, context: &Context, rows: usize, x: &[f32], bias: Option<&[f32]>, y: &mut [f32]) {
        if rows == 0 || self.units == 0 {
            return;
        }
        let quads = self.input.div_ceil(4);
        let mut numbers = vec![0i8; rows * quads * 4];
        let mut of_rows = vec![Rounded::default(); rows];
        self.round(context, x, &mut numbers, &mut of_rows);
        let panels = self.units.div_ceil(LANES);
        let y = Shared::new(y);
        let work = |piece: usize| {
            let panels = piece * PIECE..panels.min((piece + 1) * PIECE);
            context.simd.run_quads(Product { matrix: self, numbers: &numbers, rows: &of_rows, bias, y, panels });
        };
        if rows * self.lines.len() <= 1 << 12 {
            (0..panels.div_ceil(PIECE)).for_each(work);
        } else {
            context.pool.run(panels.div_ceil(PIECE), &work);
        }
    }

    /// Rounds the rows of `x`.
    fn round(&self, context: &Context, x: &[f32], numbers: &mut [i8], of_rows: &mut [Rounded]) {
        let (input, quads) = (self.input, self.input.div_ceil(4));
        let rows = of_rows.len();
        let (numbers, of_rows) = (Shared::new(numbers), Shared::new(of_rows));
        let one = |row: usize| {
            // SAFETY: each row is rounded by one piece.
            let (numbers, of_row) = unsafe { (numbers.part(row * quads * 4, quads * 4), of_rows.part(row, 1)) };
            of_row[0] = round(context.simd, &x[row * input..][..input], &mut numbers[..input]);
        };
        if x.len() <= SMALL {
            (0..rows).for_each(one);
        } else {
            context.pool.run(rows, &one);
        }
    }
}

/// Some panels of sixteen units for all rows.
struct Product<'a> {
    matrix: &'a Int8Matrix,
    /// `[rows][input / 4 * 4]`.
    numbers: &'a [i8],
    rows: &'a [Rounded],
    bias: Option<&'a [f32]>,
    y: Shared<'a>,
    panels: std::ops::Range<usize>,
}

impl QuadKernel for Product<'_> {
    #[inline(always)]
    unsafe fn run<Q: Quads>(self) {
        let mut panel = self.panels.start;
        let mut room = Vec::new();
        // SAFETY: panels of the matrix; the caller vouches for the path.
        unsafe {
            let numbers = Q::numbers(self.numbers, &mut room);
            if Q::TILE.1 == 4 {
                while panel + 4 <= self.panels.end {
                    self.rows::<Q, 4>(numbers, panel);
                    panel += 4;
                }
            }
            while panel < self.panels.end {
                self.rows::<Q, 1>(numbers, panel);
                panel += 1;
            }
        }
    }
}

impl Product<'_> {
    #[inline(always)]
    unsafe fn rows<Q: Quads, const P: usize>(&self, numbers: &[Q::Number], panel: usize) {
        let rows = self.rows.len();
        let mut row = 0;
        // SAFETY: as in `run`; rows below their number.
        unsafe {
            while row < rows {
                row += match rows - row {
                    6.. if Q::TILE.0 >= 6 => self.tile::<Q, 6, P>(numbers, row, panel),
                    4.. if Q::TILE.0 >= 4 => self.tile::<Q, 4, P>(numbers, row, panel),
                    2.. if Q::TILE.0 >= 2 => self.tile::<Q, 2, P>(numbers, row, panel),
                    _ => self.tile::<Q, 1, P>(numbers, row, panel),
                };
            }
        }
    }

    #[inline(always)]
    unsafe fn tile<Q: Quads, const R: usize, const P: usize>(
        &self,
        numbers: &[Q::Number],
        row: usize,
        panel: usize,
    ) -> usize {
        let Self { matrix, rows, bias, y, .. } = self;
        let quads = matrix.input.div_ceil(4);
        let lines: [*const u8; P] = std::array::from_fn(|p| matrix.lines[(panel + p) * quads..].as_ptr().cast());
        let of_x = numbers[row * quads * 4..].as_ptr();
        let mut totals = [[[0; LANES]; P]; R];
        for part in 0..Q::PARTS {
            // SAFETY: `quads` lines of each panel, `4 quads` numbers of each row; the caller vouches for the path.
            unsafe {
                let mut sums = [[Q::zero(); P]; R];
                for quad in 0..quads {
                    let here = lines.map(|from| Q::line(from.add(quad * LINE + part * (LINE / Q::PARTS))));
                    for (r, sums) in sums.iter_mut().enumerate() {
                        let factors = Q::factors(of_x.add((r * quads + quad) * 4));
                        for (sum, line) in sums.iter_mut().zip(here) {
                            *sum = Q::add(*sum, line, factors);
                        }
                    }
                }
                for (totals, sums) in totals.iter_mut().zip(sums) {
                    for (totals, sums) in totals.iter_mut().zip(sums) {
                        Q::totals(sums, &mut totals[part * (LANES / Q::PARTS)..]);
                    }
                }
            }
        }
        for (r, totals) in totals.iter().enumerate() {
            let Rounded { scale, sum: own } = rows[row + r];
            // The matrix is kept above itself.
            let above = i32::from(ZERO) * own;
            for (p, totals) in totals.iter().enumerate() {
                let first = (panel + p) * LANES;
                let count = LANES.min(matrix.units - first);
                let Some(scales) = matrix.scales[first..].first_chunk::<LANES>() else { continue };
                let added = match bias.map(|bias| &bias[first..]) {
                    Some(bias) => bias.first_chunk::<LANES>().copied().unwrap_or_else(|| {
                        let mut last = [0.0; LANES];
                        last[..count].copy_from_slice(bias);
                        last
                    }),
                    None => [0.0; LANES],
                };
                let mut results = [0.0; LANES];
                for lane in 0..LANES {
                    results[lane] = (totals[lane] - above) as f32 * (scale * scales[lane]) + added[lane];
                }
                // SAFETY: units of this piece alone.
                let y = unsafe { y.part((row + r) * matrix.units + first, count) };
                // Of a known length, or it would be a call.
                match y.first_chunk_mut::<LANES>() {
                    Some(y) => *y = results,
                    None => y.copy_from_slice(&results[..count]),
                }
            }
        }
        R
    }
}
