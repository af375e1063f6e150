//! Penalties on weights, and their gradients.
//!
//! # Source
//! `keras/src/regularizers/regularizers.py` of Keras 3.15; penalties are summed in f64.
use crate::{
    Context,
    pieces::{PIECE, for_pieces, load_at, store_at},
    shared::Shared,
    simd::{Kernel, LANES, Lanes},
};

mod orthogonal;

pub use orthogonal::{Vectors, orthogonal};

/// Factors of the sum of absolute values and of the sum of squares.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SumPenalty {
    /// Of the absolute values, at least 0.
    pub l1: f64,
    /// Of the squares, at least 0.
    pub l2: f64,
}

/// Sums of absolute values and squares.
struct Sums<'a>(&'a [f32]);

impl Kernel for Sums<'_> {
    type Output = [f64; 2];

    #[inline(always)]
    unsafe fn run<L: Lanes>(self) -> [f64; 2] {
        let mut absolute = [0.0f64; LANES];
        let mut squares = [0.0f64; LANES];
        for chunk in self.0.chunks(LANES) {
            for ((absolute, square), &x) in absolute.iter_mut().zip(&mut squares).zip(chunk) {
                let x = f64::from(x);
                *absolute += x.abs();
                *square += x * x;
            }
        }
        [absolute.iter().sum(), squares.iter().sum()]
    }
}

impl SumPenalty {
    /// `l1 sum |w| + l2 sum w^2`, in one order on every path and for any number of threads.
    #[must_use]
    pub fn value(self, ctx: &Context, weights: &[f32]) -> f64 {
        let mut sums = vec![[0.0f64; 2]; weights.len().div_ceil(PIECE)];
        let shared = Shared::new(&mut sums);
        for_pieces(ctx, weights.len(), |start, length| {
            // SAFETY: each piece has its own sums.
            let sum = unsafe { shared.part(start / PIECE, 1) };
            sum[0] = ctx.simd.run(Sums(&weights[start..][..length]));
        });
        let total = |of: fn(&[f64; 2]) -> f64| sums.iter().map(of).sum::<f64>();
        // A factor of 0 leaves out a sum that is not finite.
        let part = |factor: f64, sum: f64| if factor == 0.0 { 0.0 } else { factor * sum };
        part(self.l1, total(|sums| sums[0])) + part(self.l2, total(|sums| sums[1]))
    }

    /// `g <- g + scale (l1 sign(w) + 2 l2 w)`; the sign of 0 is 0.
    ///
    /// # Panics
    /// If the slices differ in length.
    pub fn add_gradient(self, ctx: &Context, weights: &[f32], scale: f64, gradients: &mut [f32]) {
        assert_eq!(weights.len(), gradients.len(), "penalty: one gradient a weight is needed");
        let (l1, twice_l2) = ((scale * self.l1) as f32, (2.0 * scale * self.l2) as f32);
        let length = weights.len();
        let gradients = Shared::new(gradients);
        for_pieces(ctx, length, |start, length| {
            // SAFETY: pieces do not overlap.
            let gradients = unsafe { gradients.part(start, length) };
            ctx.simd.run(Gradient { weights: &weights[start..][..length], gradients, l1, twice_l2 });
        });
    }
}

struct Gradient<'a> {
    weights: &'a [f32],
    gradients: &'a mut [f32],
    l1: f32,
    twice_l2: f32,
}

impl Kernel for Gradient<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let mut at = 0;
        while at < self.weights.len() {
            // SAFETY: `at` is inside both slices, which have one length.
            unsafe {
                let (weight, zero): (L, L) = (load_at(self.weights, at), L::splat(0.0));
                let sign = L::splat(-self.l1).select(weight.less(zero), zero);
                let sign = L::splat(self.l1).select(zero.less(weight), sign);
                let added = weight.mul(L::splat(self.twice_l2)).add(sign);
                let gradient: L = load_at(self.gradients, at);
                store_at(self.gradients, at, gradient.add(added));
            }
            at += LANES;
        }
    }
}

#[cfg(test)]
mod tests;
