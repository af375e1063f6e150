//! Elements of lists times rows of the other operand, one at a time.
use super::{
    CACHED, STEPS,
    lists::{Lists, Sparse},
};
use crate::{
    simd::{Kernel, LANES, Lanes},
    tile::Start,
};

/// One piece: rows of the sparse operand times at most 256 columns of the other one, on this thread.
///
/// # Safety
/// To run it, all elements that the strides describe must be readable, those of `out` writable and by this thread alone.
pub(super) struct Listed {
    pub left: Sparse,
    /// `[inner, columns]`.
    pub right: *const f32,
    pub out: *mut f32,
    pub out_row: usize,
    pub rows: usize,
    pub columns: usize,
    pub inner: usize,
    /// Not [`Start::Rows`].
    pub start: Start,
}

/// What a row of the result gets.
#[derive(Clone, Copy)]
struct List<'a> {
    values: &'a [f32],
    places: &'a [u32],
    /// First row of the other operand.
    right: *const f32,
    out: *mut f32,
    start: Start,
}

impl Kernel for Listed {
    type Output = ();

    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let length = (CACHED / self.columns / LANES * LANES).clamp(LANES, STEPS);
        let places: [u32; STEPS] = std::array::from_fn(|step| (step * self.columns) as u32);
        let mut lists = Lists::new();
        for k in (0..self.inner).step_by(length) {
            let steps = k..self.inner.min(k + length);
            let right = self.right.wrapping_add(k * self.columns);
            let start = if k == 0 { self.start } else { Start::Keep };
            for row in (0..self.rows).step_by(LANES) {
                let rows = row..self.rows.min(row + LANES);
                // SAFETY: rows below `rows`, steps below `inner`; the caller vouches for them and the path.
                unsafe {
                    lists.fill::<L, false>(self.left, &places, rows.clone(), steps.clone());
                    let mut first = 0;
                    for (row, &end) in rows.zip(&lists.ends) {
                        let values = lists.values.get_unchecked(first..end);
                        let places = lists.places.get_unchecked(first..end);
                        let out = self.out.wrapping_add(row * self.out_row);
                        List { values, places, right, out, start }.add::<L>(self.columns);
                        first = end;
                    }
                }
            }
        }
    }
}

impl List<'_> {
    /// Adds what the list makes to a row of the result.
    #[inline(always)]
    unsafe fn add<L: Lanes>(self, columns: usize) {
        let whole = columns / LANES;
        let mut panel = 0;
        // SAFETY: panels below `columns`; the caller vouches for the operands and the path.
        unsafe {
            while panel < whole {
                panel += match whole - panel {
                    16.. if L::PANELS >= 16 => self.sums::<L, 16>(panel),
                    8.. if L::PANELS >= 8 => self.sums::<L, 8>(panel),
                    6.. if L::PANELS >= 6 => self.sums::<L, 6>(panel),
                    4.. if L::PANELS >= 4 => self.sums::<L, 4>(panel),
                    2.. if L::PANELS >= 2 => self.sums::<L, 2>(panel),
                    _ => self.sums::<L, 1>(panel),
                };
            }
            if columns > whole * LANES {
                self.tail::<L>(whole * LANES, columns % LANES);
            }
        }
    }

    /// `P` whole panels; gives their number.
    #[inline(always)]
    unsafe fn sums<L: Lanes, const P: usize>(self, panel: usize) -> usize {
        let column = panel * LANES;
        let (out, right) = (self.out.wrapping_add(column), self.right.wrapping_add(column));
        // SAFETY: the caller's contract.
        unsafe {
            let mut sums = [L::splat(0.0); P];
            match self.start {
                Start::Keep => {
                    for (p, sum) in sums.iter_mut().enumerate() {
                        *sum = L::load(out.wrapping_add(p * LANES));
                    }
                }
                Start::Columns(bias) => {
                    for (p, sum) in sums.iter_mut().enumerate() {
                        *sum = L::load(bias.wrapping_add(column + p * LANES));
                    }
                }
                Start::Zero | Start::Rows(_) => {}
            }
            for (&value, &place) in self.values.iter().zip(self.places) {
                let value = L::splat(value);
                let right = right.wrapping_add(place as usize);
                for (p, sum) in sums.iter_mut().enumerate() {
                    *sum = value.fma(L::load(right.wrapping_add(p * LANES)), *sum);
                }
            }
            for (p, sum) in sums.iter().enumerate() {
                sum.store(out.wrapping_add(p * LANES));
            }
        }
        P
    }

    /// The first `count` lanes from a column on.
    #[inline(always)]
    unsafe fn tail<L: Lanes>(self, column: usize, count: usize) {
        let (out, right) = (self.out.wrapping_add(column), self.right.wrapping_add(column));
        // SAFETY: the caller's contract.
        unsafe {
            let mut sum = match self.start {
                Start::Keep => L::load_first(out, count),
                Start::Columns(bias) => L::load_first(bias.wrapping_add(column), count),
                Start::Zero | Start::Rows(_) => L::splat(0.0),
            };
            for (&value, &place) in self.values.iter().zip(self.places) {
                sum = L::splat(value).fma(L::load_first(right.wrapping_add(place as usize), count), sum);
            }
            sum.store_first(out, count);
        }
    }
}
