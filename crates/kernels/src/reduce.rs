//! Sums, scaling and the search for values that are not finite.
use crate::{
    Context, Destination,
    pieces::{PIECE, for_pieces, load_at, store_at},
    shared::Shared,
    simd::{Kernel, LANES, Lanes},
};

struct Add<'a>(&'a [f32], &'a mut [f32]);

impl Kernel for Add<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let mut at = 0;
        while at < self.1.len() {
            // SAFETY: `at` is inside both slices, which are equally long.
            unsafe { store_at(self.1, at, load_at::<L>(self.1, at).add(load_at(self.0, at))) };
            at += LANES;
        }
    }
}

/// `y += x`.
pub fn add_into(ctx: &Context, x: &[f32], y: &mut [f32]) {
    assert_eq!(x.len(), y.len(), "add_into: the slices differ in length");
    let y = Shared::new(y);
    for_pieces(ctx, x.len(), |start, length| {
        // SAFETY: pieces do not overlap.
        let y = unsafe { y.part(start, length) };
        ctx.simd.run(Add(&x[start..][..length], y));
    });
}

struct Scale<'a>(&'a mut [f32], f32);

impl Kernel for Scale<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let mut at = 0;
        while at < self.0.len() {
            // SAFETY: `at` is inside the slice.
            unsafe { store_at(self.0, at, load_at::<L>(self.0, at).mul(L::splat(self.1))) };
            at += LANES;
        }
    }
}

/// `x *= factor`.
pub fn scale(ctx: &Context, x: &mut [f32], factor: f32) {
    let length = x.len();
    let x = Shared::new(x);
    for_pieces(ctx, length, |start, length| {
        // SAFETY: pieces do not overlap.
        let x = unsafe { x.part(start, length) };
        ctx.simd.run(Scale(x, factor));
    });
}

/// Rows whose sum is taken before it is added to that of the others, which keeps the error of long sums small.
const ROWS: usize = 128;
/// Columns of a piece.
const COLUMNS: usize = 4 * LANES;

struct SumRows<'a> {
    x: &'a [f32],
    width: usize,
    /// First column.
    start: usize,
    y: &'a mut [f32],
    accumulate: bool,
}

impl Kernel for SumRows<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        // SAFETY: the columns of this piece are inside a row; lanes of columns behind its end are zeros and not stored.
        unsafe {
            let mut totals = [L::splat(0.0); COLUMNS / LANES];
            for block in self.x.chunks(ROWS * self.width) {
                let mut sums = [L::splat(0.0); COLUMNS / LANES];
                for row in block.chunks_exact(self.width) {
                    let row = &row[self.start..][..self.y.len()];
                    let mut part = 0;
                    // All columns at once: a row is read as one run of memory.
                    while part < sums.len() {
                        if part * LANES < row.len() {
                            sums[part] = sums[part].add(load_at(row, part * LANES));
                        }
                        part += 1;
                    }
                }
                let mut part = 0;
                while part < sums.len() {
                    totals[part] = totals[part].add(sums[part]);
                    part += 1;
                }
            }
            let mut part = 0;
            while part * LANES < self.y.len() {
                let mut sum = totals[part];
                if self.accumulate {
                    sum = sum.add(load_at(self.y, part * LANES));
                }
                store_at(self.y, part * LANES, sum);
                part += 1;
            }
        }
    }
}

/// `y[d] = sum over n of x[n, d]`: the gradient of a bias.
///
/// # Shapes
/// `x [N, D]`, `y [D]`.
pub fn sum_rows(ctx: &Context, x: &[f32], y: Destination<'_>) {
    let Destination { data, accumulate } = y;
    let width = data.len();
    if width == 0 {
        assert!(x.is_empty(), "sum_rows: x is not [N, D]");
        return;
    }
    assert!(x.len().is_multiple_of(width), "sum_rows: x is not [N, D]");
    let y = Shared::new(data);
    ctx.pool.run(width.div_ceil(COLUMNS), &|piece| {
        let start = piece * COLUMNS;
        // SAFETY: pieces do not overlap.
        let y = unsafe { y.part(start, COLUMNS.min(width - start)) };
        ctx.simd.run(SumRows { x, width, start, y, accumulate });
    });
}

struct Sum<'a>(&'a [f32]);

impl Kernel for Sum<'_> {
    type Output = f64;

    #[inline(always)]
    unsafe fn run<L: Lanes>(self) -> f64 {
        let mut sums = [0.0f64; LANES];
        let chunks = self.0.chunks_exact(LANES);
        for (sum, &x) in sums.iter_mut().zip(chunks.remainder()) {
            *sum = f64::from(x);
        }
        for chunk in chunks {
            for lane in 0..LANES {
                sums[lane] += f64::from(chunk[lane]);
            }
        }
        sums.iter().sum()
    }
}

/// Sum in f64, in one order on every path and for any number of threads.
#[must_use]
pub fn sum(ctx: &Context, x: &[f32]) -> f64 {
    let mut sums = vec![0.0f64; x.len().div_ceil(PIECE)];
    let shared = Shared::new(&mut sums);
    for_pieces(ctx, x.len(), |start, length| {
        // SAFETY: each piece has its own sum.
        let sum = unsafe { shared.part(start / PIECE, 1) };
        sum[0] = ctx.simd.run(Sum(&x[start..][..length]));
    });
    sums.iter().sum()
}

struct Finite<'a>(&'a [f32]);

impl Kernel for Finite<'_> {
    type Output = bool;

    #[inline(always)]
    unsafe fn run<L: Lanes>(self) -> bool {
        // An exponent of ones means infinity or NaN. No early exit, so that the loop becomes SIMD.
        self.0.iter().fold(true, |finite, x| finite & (x.to_bits() & 0x7f80_0000 != 0x7f80_0000))
    }
}

/// Whether no element is infinite or NaN.
#[must_use]
pub fn all_finite(ctx: &Context, x: &[f32]) -> bool {
    let finite = std::sync::atomic::AtomicBool::new(true);
    for_pieces(ctx, x.len(), |start, length| {
        if !ctx.simd.run(Finite(&x[start..][..length])) {
            finite.store(false, std::sync::atomic::Ordering::Relaxed);
        }
    });
    finite.into_inner()
}

#[cfg(test)]
mod tests {
    use super::{add_into, all_finite, scale, sum, sum_rows};
    use crate::{
        Destination,
        testing::{Random, assert_close, bits, contexts},
    };

    const LENGTHS: [usize; 6] = [0, 1, 15, 16, 33, 40_001];

    #[test]
    fn sums_and_products_of_slices() {
        for length in LENGTHS {
            let (x, y) = (Random::new(6).floats(length), Random::new(7).floats(length));
            for ctx in contexts() {
                let mut found = y.clone();
                add_into(&ctx, &x, &mut found);
                assert!(found.iter().zip(&x).zip(&y).all(|((found, x), y)| *found == x + y));
                scale(&ctx, &mut found, -3.0);
                assert!(found.iter().zip(&x).zip(&y).all(|((found, x), y)| *found == (x + y) * -3.0));
            }
        }
    }

    #[test]
    fn sums_are_those_of_f64_with_the_same_bits_everywhere() {
        for length in LENGTHS {
            let x = Random::new(8).floats(length);
            let expected: f64 = x.iter().map(|&x| f64::from(x)).sum();
            let mut first = None;
            for ctx in contexts() {
                let found = sum(&ctx, &x);
                assert!((found - expected).abs() <= 1e-10);
                assert_eq!(found.to_bits(), *first.get_or_insert(found.to_bits()));
            }
        }
    }

    #[test]
    fn rows_are_summed_column_by_column() {
        for (n, d) in [(0, 3), (1, 1), (5, 16), (300, 50), (1000, 131), (20_000, 3), (4, 0)] {
            let x = Random::new(9).floats(n * d);
            let mut expected = vec![0.0; d];
            for row in x.chunks_exact(d.max(1)) {
                expected.iter_mut().zip(row).for_each(|(sum, &x)| *sum += f64::from(x));
            }
            let twice: Vec<f64> = expected.iter().map(|x| 2.0 * x).collect();
            let mut first = None;
            for ctx in contexts() {
                let mut found = vec![9.0; d];
                sum_rows(&ctx, &x, Destination { data: &mut found, accumulate: false });
                assert_close(&found, &expected, "set");
                assert_eq!(bits(&found), *first.get_or_insert_with(|| bits(&found)));
                sum_rows(&ctx, &x, Destination { data: &mut found, accumulate: true });
                assert_close(&found, &twice, "add");
            }
        }
    }

    #[test]
    fn one_value_that_is_not_finite_is_found() {
        for ctx in contexts() {
            for length in LENGTHS {
                let mut x = Random::new(10).floats(length);
                assert!(all_finite(&ctx, &x));
                for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                    if let Some(last) = x.last_mut() {
                        *last = bad;
                        assert!(!all_finite(&ctx, &x));
                    }
                }
            }
            assert!(all_finite(&ctx, &[f32::MAX, f32::MIN_POSITIVE, -0.0, 1e-45]));
        }
    }
}
