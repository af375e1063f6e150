//! Softmax over the rows of a matrix.
#[cfg(test)]
mod tests;

use crate::{
    Context, Destination, math,
    pieces::{PIECE, load_at, store_at},
    shared::Shared,
    simd::{Kernel, LANES, Lanes},
};

/// Calls `work(start, length)` for whole rows of `width`, in pieces whose size depends on the width alone.
fn for_rows(context: &Context, length: usize, width: usize, work: impl Fn(usize, usize) + Sync) {
    assert!(width > 0 || length == 0, "softmax: rows of no elements");
    assert!(width == 0 || length.is_multiple_of(width), "softmax: {length} elements are no rows of {width}");
    let step = (PIECE / width.max(1)).max(1) * width;
    context.pool.run(length.div_ceil(step.max(1)), &|piece| {
        let start = piece * step;
        work(start, step.min(length - start));
    });
}

/// `y = e^x / sum(e^x)`, row by row.
///
/// # Shapes
/// `x` and `y`: `[rows, width]`, row-major.
///
/// # Panics
/// If the lengths differ or are no multiple of `width`.
pub fn forward(context: &Context, width: usize, x: &[f32], y: &mut [f32]) {
    run(context, width, x, y, false);
}

/// `y = x - log(sum(e^x))`, row by row.
///
/// # Shapes
/// `x` and `y`: `[rows, width]`, row-major.
///
/// # Panics
/// If the lengths differ or are no multiple of `width`.
pub fn log_forward(context: &Context, width: usize, x: &[f32], y: &mut [f32]) {
    run(context, width, x, y, true);
}

fn run(context: &Context, width: usize, x: &[f32], y: &mut [f32], logarithm: bool) {
    assert_eq!(x.len(), y.len(), "softmax: length of y");
    let y = Shared::new(y);
    for_rows(context, x.len(), width, |start, length| {
        // SAFETY: pieces do not overlap.
        let y = unsafe { y.part(start, length) };
        context.simd.run(Forward { width, x: &x[start..start + length], y, logarithm });
    });
}

/// `log(sum(e^x))` of one row, on this thread; `largest` is its largest element, or one not far from it.
#[must_use]
pub fn log_sum_exp(context: &Context, x: &[f32], largest: f32) -> f64 {
    f64::from(largest) + context.simd.run(SumExp { x, largest }).ln()
}

/// Elements that are summed in 32 bits.
const SUMMED: usize = 1024;

struct SumExp<'a> {
    x: &'a [f32],
    largest: f32,
}

impl Kernel for SumExp<'_> {
    type Output = f64;

    #[inline(always)]
    unsafe fn run<L: Lanes>(self) -> f64 {
        let mut total = 0.0;
        for x in self.x.chunks(SUMMED) {
            let (vectors, rest) = x.as_chunks::<LANES>();
            let mut sums = [0.0; LANES];
            // SAFETY: vectors of 16 floats, and the `rest`; the path is available.
            unsafe {
                let largest = L::splat(self.largest);
                let mut sum = L::splat(0.0);
                for vector in vectors {
                    sum = sum.add(math::exp(L::load(vector.as_ptr()).sub(largest)));
                }
                sum.store(sums.as_mut_ptr());
                let mut last = [0.0; LANES];
                math::exp(L::load_first(rest.as_ptr(), rest.len()).sub(largest)).store(last.as_mut_ptr());
                sums.iter_mut().zip(&last[..rest.len()]).for_each(|(sum, last)| *sum += last);
            }
            total += sums.iter().map(|&sum| f64::from(sum)).sum::<f64>();
        }
        total
    }
}

/// Gradient of [`forward`] from its result.
///
/// # Shapes
/// `y`, `dy` and `dx`: `[rows, width]`, row-major.
///
/// # Gradient
/// `dx = y (dy - sum(y dy))`, row by row.
///
/// # Panics
/// If the lengths differ or are no multiple of `width`.
pub fn backward(context: &Context, width: usize, y: &[f32], dy: &[f32], dx: Destination<'_>) {
    gradient(context, width, y, dy, dx, false);
}

/// Gradient of [`log_forward`] from its result.
///
/// # Shapes
/// `y`, `dy` and `dx`: `[rows, width]`, row-major.
///
/// # Gradient
/// `dx = dy - e^y sum(dy)`, row by row.
///
/// # Panics
/// If the lengths differ or are no multiple of `width`.
pub fn log_backward(context: &Context, width: usize, y: &[f32], dy: &[f32], dx: Destination<'_>) {
    gradient(context, width, y, dy, dx, true);
}

fn gradient(context: &Context, width: usize, y: &[f32], dy: &[f32], dx: Destination<'_>, logarithm: bool) {
    assert_eq!(y.len(), dy.len(), "softmax: length of dy");
    assert_eq!(dx.data.len(), dy.len(), "softmax: length of dx");
    let accumulate = dx.accumulate;
    let dx = Shared::new(dx.data);
    for_rows(context, y.len(), width, |start, length| {
        // SAFETY: pieces do not overlap.
        let dx = unsafe { dx.part(start, length) };
        let range = start..start + length;
        context.simd.run(Backward { width, y: &y[range.clone()], dy: &dy[range], dx, accumulate, logarithm });
    });
}

/// The 16 partial results of a row in one, in a fixed order.
#[inline(always)]
pub(crate) unsafe fn fold<L: Lanes>(lanes: L, combine: fn(f32, f32) -> f32) -> f32 {
    let mut values = [0.0; LANES];
    // SAFETY: room for 16 floats; the caller vouches for the path.
    unsafe { lanes.store(values.as_mut_ptr()) };
    for width in [8, 4, 2, 1] {
        for lane in 0..width {
            values[lane] = combine(values[lane], values[lane + width]);
        }
    }
    values[0]
}

/// `lanes` for the first `count` lanes, `other` behind them.
#[inline(always)]
pub(crate) unsafe fn keep<L: Lanes>(lanes: L, count: usize, other: L) -> L {
    if count >= LANES {
        return lanes;
    }
    // SAFETY: the caller vouches for the path.
    unsafe { lanes.select(L::mask_from_bits((1 << count) - 1), other) }
}

struct Forward<'a> {
    width: usize,
    x: &'a [f32],
    y: &'a mut [f32],
    logarithm: bool,
}

impl Kernel for Forward<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        if self.width == 0 {
            return;
        }
        for (x, y) in self.x.chunks_exact(self.width).zip(self.y.chunks_exact_mut(self.width)) {
            // SAFETY: the path is available, offsets are below the width.
            unsafe {
                let mut largest = L::splat(f32::NEG_INFINITY);
                for at in (0..x.len()).step_by(LANES) {
                    largest = largest.max(keep(load_at(x, at), x.len() - at, L::splat(f32::NEG_INFINITY)));
                }
                let largest = fold(largest, |a, b| if a > b || a.is_nan() { a } else { b });
                let largest = L::splat(largest);
                let mut sum = L::splat(0.0);
                for at in (0..x.len()).step_by(LANES) {
                    let shifted = load_at::<L>(x, at).sub(largest);
                    let power = keep(math::exp(shifted), x.len() - at, L::splat(0.0));
                    sum = sum.add(power);
                    store_at(y, at, if self.logarithm { shifted } else { power });
                }
                let sum = L::splat(fold(sum, |a, b| a + b));
                let subtract = math::log(sum);
                let factor = L::splat(1.0).div(sum);
                for at in (0..x.len()).step_by(LANES) {
                    let value = load_at::<L>(y, at);
                    store_at(y, at, if self.logarithm { value.sub(subtract) } else { value.mul(factor) });
                }
            }
        }
    }
}

struct Backward<'a> {
    width: usize,
    y: &'a [f32],
    dy: &'a [f32],
    dx: &'a mut [f32],
    accumulate: bool,
    logarithm: bool,
}

impl Kernel for Backward<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        if self.width == 0 {
            return;
        }
        let rows = self.y.chunks_exact(self.width).zip(self.dy.chunks_exact(self.width));
        for ((y, dy), dx) in rows.zip(self.dx.chunks_exact_mut(self.width)) {
            // SAFETY: the path is available, offsets are below the width.
            unsafe {
                let mut sum = L::splat(0.0);
                for at in (0..y.len()).step_by(LANES) {
                    let dy = load_at::<L>(dy, at);
                    sum = if self.logarithm { sum.add(dy) } else { load_at::<L>(y, at).fma(dy, sum) };
                }
                let sum = L::splat(fold(sum, |a, b| a + b));
                for at in (0..y.len()).step_by(LANES) {
                    let (y, dy) = (load_at::<L>(y, at), load_at::<L>(dy, at));
                    let mut value = if self.logarithm { dy.sub(math::exp(y).mul(sum)) } else { y.mul(dy.sub(sum)) };
                    if self.accumulate {
                        value = value.add(load_at(dx, at));
                    }
                    store_at(dx, at, value);
                }
            }
        }
    }
}
