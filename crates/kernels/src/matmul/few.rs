//! A few rows times a large matrix that is stored `[columns, inner]`, as when a text is decoded: the matrix is read once, in place.
//! Sixteen of its rows become lanes on the way, so that no lane is empty and nothing is packed.
use crate::{
    shared::Shared,
    simd::{Kernel, LANES, Lanes, Simd, prefetch_second},
    tile::Start,
};

/// Most rows for which this is the fastest way: as many sums as registers have room for.
pub(super) fn most(simd: Simd) -> usize {
    if simd == Simd::Avx512 { 8 } else { 4 }
}

/// Columns of a piece.
pub(super) const WIDTH: usize = 256;

/// `c[rows, first..first + width] (+)= a b^T + bias`; sums are made as by `tile::Product`, with the same bits.
///
/// # Safety
/// To run it, the operands must have the sizes that are told, and nothing else may touch these elements of `c`.
pub(super) struct Few<'a> {
    /// `[rows, inner]`.
    pub a: &'a [f32],
    /// `[columns, inner]`.
    pub b: &'a [f32],
    /// `[rows, columns]`.
    pub c: Shared<'a>,
    pub rows: usize,
    pub columns: usize,
    pub inner: usize,
    /// Columns of this piece.
    pub first: usize,
    pub width: usize,
    /// Nothing, what `c` holds, or a float for each column, from the first one of `c` on.
    pub start: Start,
}

impl Kernel for Few<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        for column in (self.first..self.first + self.width).step_by(LANES) {
            let count = LANES.min(self.first + self.width - column);
            let mut row = 0;
            // SAFETY: rows and columns of the operands; the caller vouches for the path.
            unsafe {
                while row < self.rows {
                    row += match self.rows - row {
                        8.. => self.panel::<L, 8>(row, column, count),
                        6.. => self.panel::<L, 6>(row, column, count),
                        4.. => self.panel::<L, 4>(row, column, count),
                        2.. => self.panel::<L, 2>(row, column, count),
                        _ => self.panel::<L, 1>(row, column, count),
                    };
                }
            }
        }
    }
}

impl Few<'_> {
    /// `R` rows times the `count` columns from `column` on; gives the number of rows.
    #[inline(always)]
    unsafe fn panel<L: Lanes, const R: usize>(&self, row: usize, column: usize, count: usize) -> usize {
        let Self { columns, inner, .. } = *self;
        let of_a = self.a[row * inner..].as_ptr();
        // Lanes without a column read the last one.
        let of_b: [*const f32; LANES] =
            std::array::from_fn(|lane| self.b[(column + lane.min(count - 1)) * inner..].as_ptr());
        // SAFETY: elements below `inner` of rows of `a` and `b`, `count` lanes of rows of `c`; the caller vouches for the path.
        unsafe {
            // Loops in place of closures, which would be calls without the instruction set.
            let mut sums = [L::splat(0.0); R];
            for (r, sum) in sums.iter_mut().enumerate() {
                match self.start {
                    Start::Keep => *sum = L::load_first(self.c.at((row + r) * columns + column), count),
                    Start::Columns(bias) => *sum = L::load_first(bias.wrapping_add(column), count),
                    Start::Zero | Start::Rows(_) => {}
                }
            }
            let mut k = 0;
            while k + LANES <= inner {
                // What follows these sixteen rows, in the order of memory.
                for line in 0..LANES {
                    prefetch_second(of_b[0].wrapping_add(LANES * (inner + k + line)));
                }
                let mut rows = [L::splat(0.0); LANES];
                for (lanes, row) in rows.iter_mut().zip(of_b) {
                    *lanes = L::load(row.add(k));
                }
                for (step, lanes) in L::transpose(rows).into_iter().enumerate() {
                    for (r, sum) in sums.iter_mut().enumerate() {
                        *sum = L::splat(*of_a.add(r * inner + k + step)).fma(lanes, *sum);
                    }
                }
                k += LANES;
            }
            if k < inner {
                let mut rows = [L::splat(0.0); LANES];
                for (lanes, row) in rows.iter_mut().zip(of_b) {
                    *lanes = L::load_first(row.add(k), inner - k);
                }
                for (step, lanes) in L::transpose(rows).into_iter().take(inner - k).enumerate() {
                    for (r, sum) in sums.iter_mut().enumerate() {
                        *sum = L::splat(*of_a.add(r * inner + k + step)).fma(lanes, *sum);
                    }
                }
            }
            for (r, sum) in sums.into_iter().enumerate() {
                sum.store_first(self.c.at((row + r) * columns + column), count);
            }
        }
        R
    }
}
