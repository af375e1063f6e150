//! The mean or the maximum of all steps of sequences.
//!
//! # Legend
//! `N` sequences of `T` steps of `D` elements. A mask `[N, T]` says which steps count (not 0).
#[cfg(test)]
mod tests;

use crate::{
    Context, Destination,
    rows::for_rows,
    simd::{Kernel, Lanes},
};

/// Sizes of a pooling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolingShape {
    /// `N`.
    pub sequences: usize,
    /// `T`.
    pub steps: usize,
    /// `D`.
    pub width: usize,
}

impl PoolingShape {
    fn check(self, x: usize, y: usize, mask: Option<&[u8]>) {
        let Self { sequences, steps, width } = self;
        assert_eq!(x, sequences * steps * width, "global_pooling: x is not [N, T, D]");
        assert_eq!(y, sequences * width, "global_pooling: y is not [N, D]");
        assert!(mask.is_none_or(|mask| mask.len() == sequences * steps), "global_pooling: the mask is not [N, T]");
    }

    /// Elements of a sequence.
    fn length(self) -> usize {
        self.steps * self.width
    }

    /// 1 by the number of steps of a sequence that count; 0 if there are none.
    fn share(self, mask: Option<&[u8]>, sequence: usize) -> f32 {
        let count = match mask {
            Some(mask) => mask[sequence * self.steps..][..self.steps].iter().filter(|&&counts| counts != 0).count(),
            None => self.steps,
        };
        if count == 0 { 0.0 } else { 1.0 / count as f32 }
    }
}

fn counts(mask: Option<&[u8]>, step: usize) -> bool {
    mask.is_none_or(|mask| mask[step] != 0)
}

/// `y[n] = mean of x[n, t] over the steps t that count`; zeros if none does.
///
/// # Shapes
/// `x [N, T, D]`, `y [N, D]`, `mask [N, T]`.
///
/// # Panics
/// If the lengths do not fit.
pub fn mean(context: &Context, shape: PoolingShape, x: &[f32], mask: Option<&[u8]>, y: &mut [f32]) {
    shape.check(x.len(), y.len(), mask);
    for_rows(context, y, shape.width, shape.length(), |first, y| {
        for (row, y) in y.chunks_exact_mut(shape.width).enumerate() {
            let sequence = first + row;
            y.fill(0.0);
            for step in (sequence * shape.steps..(sequence + 1) * shape.steps).filter(|&step| counts(mask, step)) {
                context.simd.run(Add { x: &x[step * shape.width..][..shape.width], y });
            }
            let share = shape.share(mask, sequence);
            y.iter_mut().for_each(|y| *y *= share);
        }
    });
}

/// Gradient of [`mean`].
///
/// # Shapes
/// `dy [N, D]`, `dx [N, T, D]`, `mask [N, T]`.
///
/// # Gradient
/// `dx[n, t] = dy[n] / count[n]` for steps that count, zeros for the others.
///
/// # Panics
/// If the lengths do not fit.
pub fn mean_backward(context: &Context, shape: PoolingShape, mask: Option<&[u8]>, dy: &[f32], dx: Destination<'_>) {
    shape.check(dx.data.len(), dy.len(), mask);
    let Destination { data, accumulate } = dx;
    if data.is_empty() {
        return;
    }
    for_rows(context, data, shape.length(), shape.length(), |first, dx| {
        for (row, dx) in dx.chunks_exact_mut(shape.length()).enumerate() {
            let sequence = first + row;
            let (dy, share) = (&dy[sequence * shape.width..][..shape.width], shape.share(mask, sequence));
            for (step, dx) in dx.chunks_exact_mut(shape.width).enumerate() {
                let factor = if counts(mask, sequence * shape.steps + step) { Some(share) } else { None };
                context.simd.run(Scaled { x: dy, factor, y: dx, accumulate });
            }
        }
    });
}

/// `y[n] = maximum of x[n, t] over t`, element by element; what is not a number stays. Zeros if there are no steps.
///
/// # Shapes
/// `x [N, T, D]`, `y [N, D]`.
///
/// # Panics
/// If the lengths do not fit.
pub fn maximum(context: &Context, shape: PoolingShape, x: &[f32], y: &mut [f32]) {
    shape.check(x.len(), y.len(), None);
    for_rows(context, y, shape.width, shape.length(), |first, y| {
        for (row, y) in y.chunks_exact_mut(shape.width).enumerate() {
            let x = &x[(first + row) * shape.length()..][..shape.length()];
            y.fill(if shape.steps == 0 { 0.0 } else { f32::NEG_INFINITY });
            for x in x.chunks_exact(shape.width) {
                context.simd.run(Larger { x, y });
            }
        }
    });
}

/// Gradient of [`maximum`] from its result.
///
/// # Shapes
/// `x`, `dx`: `[N, T, D]`; `y`, `dy`: `[N, D]`.
///
/// # Gradient
/// `dx[n, t, d] = dy[n, d] / k` where `x[n, t, d]` is one of the `k` that are the maximum, 0 elsewhere.
///
/// # Panics
/// If the lengths do not fit.
pub fn maximum_backward(context: &Context, shape: PoolingShape, x: &[f32], y: &[f32], dy: &[f32], dx: Destination<'_>) {
    shape.check(x.len(), dy.len(), None);
    assert!(y.len() == dy.len() && dx.data.len() == x.len(), "global_pooling: lengths of y and dx");
    let Destination { data, accumulate } = dx;
    if data.is_empty() {
        return;
    }
    for_rows(context, data, shape.length(), 2 * shape.length(), |first, dx| {
        let mut ties = vec![0.0f32; shape.width];
        for (row, dx) in dx.chunks_exact_mut(shape.length()).enumerate() {
            let sequence = first + row;
            let x = &x[sequence * shape.length()..][..shape.length()];
            let range = sequence * shape.width..(sequence + 1) * shape.width;
            let (y, dy) = (&y[range.clone()], &dy[range]);
            ties.fill(0.0);
            for x in x.chunks_exact(shape.width) {
                for ((ties, x), y) in ties.iter_mut().zip(x).zip(y) {
                    *ties += f32::from(u8::from(x == y));
                }
            }
            for (x, dx) in x.chunks_exact(shape.width).zip(dx.chunks_exact_mut(shape.width)) {
                for (at, dx) in dx.iter_mut().enumerate() {
                    let share = if x[at] == y[at] { dy[at] / ties[at] } else { 0.0 };
                    *dx = if accumulate { *dx + share } else { share };
                }
            }
        }
    });
}

// Plain loops, which become SIMD inside the instruction set of a path.

struct Add<'a> {
    x: &'a [f32],
    y: &'a mut [f32],
}

impl Kernel for Add<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        self.y.iter_mut().zip(self.x).for_each(|(y, x)| *y += x);
    }
}

struct Scaled<'a> {
    x: &'a [f32],
    /// `None`: zeros, also for what is not finite.
    factor: Option<f32>,
    y: &'a mut [f32],
    accumulate: bool,
}

impl Kernel for Scaled<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        match (self.factor, self.accumulate) {
            (Some(factor), true) => self.y.iter_mut().zip(self.x).for_each(|(y, x)| *y += x * factor),
            (Some(factor), false) => self.y.iter_mut().zip(self.x).for_each(|(y, x)| *y = x * factor),
            (None, true) => {}
            (None, false) => self.y.fill(0.0),
        }
    }
}

struct Larger<'a> {
    x: &'a [f32],
    y: &'a mut [f32],
}

impl Kernel for Larger<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        for (y, &x) in self.y.iter_mut().zip(self.x) {
            *y = if x > *y || x.is_nan() { x } else { *y };
        }
    }
}
