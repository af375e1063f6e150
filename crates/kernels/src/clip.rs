//! Clipping of gradients: by value in place, by norm as a factor that an optimiser applies on the way.
//!
//! # Source
//! `keras/src/optimizers/base_optimizer.py` of Keras 3.15, where only one of `clipvalue`, `clipnorm` (for each weight)
//! and `global_clipnorm` may be set.
use crate::{
    Context,
    pieces::{PIECE, for_pieces, load_at, store_at},
    shared::Shared,
    simd::{Kernel, LANES, Lanes},
};

struct Clamp<'a>(&'a mut [f32], f32);

impl Kernel for Clamp<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let mut at = 0;
        while at < self.0.len() {
            // SAFETY: `at` is inside the slice.
            unsafe {
                let gradient: L = load_at(self.0, at);
                // In this order NaN stays NaN.
                store_at(self.0, at, L::splat(-self.1).max(L::splat(self.1).min(gradient)));
            }
            at += LANES;
        }
    }
}

/// Clamps every gradient to `-limit..=limit`; NaN stays.
pub fn value(ctx: &Context, gradients: &mut [f32], limit: f32) {
    let length = gradients.len();
    let gradients = Shared::new(gradients);
    for_pieces(ctx, length, |start, length| {
        // SAFETY: pieces do not overlap.
        let part = unsafe { gradients.part(start, length) };
        ctx.simd.run(Clamp(part, limit));
    });
}

pub(crate) struct Squares<'a>(pub(crate) &'a [f32]);

impl Kernel for Squares<'_> {
    type Output = f64;

    #[inline(always)]
    unsafe fn run<L: Lanes>(self) -> f64 {
        let mut sums = [0.0f64; LANES];
        let chunks = self.0.chunks_exact(LANES);
        for (sum, &x) in sums.iter_mut().zip(chunks.remainder()) {
            *sum = f64::from(x) * f64::from(x);
        }
        for chunk in chunks {
            for lane in 0..LANES {
                sums[lane] += f64::from(chunk[lane]) * f64::from(chunk[lane]);
            }
        }
        sums.iter().sum()
    }
}

/// Sum of squares in f64, in one order on every path and for any number of threads.
#[must_use]
pub fn sum_of_squares(ctx: &Context, gradients: &[f32]) -> f64 {
    let mut sums = vec![0.0f64; gradients.len().div_ceil(PIECE)];
    let shared = Shared::new(&mut sums);
    for_pieces(ctx, gradients.len(), |start, length| {
        // SAFETY: each piece has its own sum.
        let sum = unsafe { shared.part(start / PIECE, 1) };
        sum[0] = ctx.simd.run(Squares(&gradients[start..][..length]));
    });
    sums.iter().sum()
}

/// Euclidean norm, summed as [`sum_of_squares`] does. (A global norm is the root of the summed squares of all weights.)
#[must_use]
pub fn norm(ctx: &Context, gradients: &[f32]) -> f64 {
    sum_of_squares(ctx, gradients).sqrt()
}

/// Factor of the gradients of one weight with this norm: `limit / max(norm, limit)`; NaN if the norm is.
#[must_use]
pub fn norm_factor(norm: f64, limit: f64) -> f32 {
    if norm.is_nan() { f32::NAN } else { (limit / norm.max(limit)) as f32 }
}

/// Factor of the gradients of all weights with this norm together: as [`norm_factor`], but NaN if the norm is infinite.
#[must_use]
pub fn global_norm_factor(norm: f64, limit: f64) -> f32 {
    if norm.is_finite() { norm_factor(norm, limit) } else { f32::NAN }
}

#[cfg(test)]
mod tests {
    use super::{global_norm_factor, norm, norm_factor, value};
    use crate::testing::{Random, contexts};

    #[test]
    fn values_are_clamped_and_nan_stays() {
        for ctx in contexts() {
            for length in [0, 1, 17, 20_000] {
                let mut found = Random::new(3).floats(length);
                let expected: Vec<f32> = found.iter().map(|x| x.clamp(-0.25, 0.25)).collect();
                value(&ctx, &mut found, 0.25);
                assert_eq!(found, expected);
            }
            let mut special = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY];
            value(&ctx, &mut special, 2.0);
            assert!(special[0].is_nan());
            assert_eq!(special[1..], [2.0, -2.0]);
        }
    }

    #[test]
    fn norms_are_those_of_f64_with_the_same_bits_everywhere() {
        for length in [0, 1, 15, 16, 100, 50_001] {
            let x = Random::new(4).floats(length);
            let expected = x.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>().sqrt();
            let mut first = None;
            for ctx in contexts() {
                let found = norm(&ctx, &x);
                assert!((found - expected).abs() <= 1e-12 * expected);
                assert_eq!(found.to_bits(), *first.get_or_insert(found.to_bits()));
            }
        }
    }

    #[test]
    fn factors_only_shrink() {
        for factor in [norm_factor, global_norm_factor] {
            assert_eq!([factor(0.0, 2.0), factor(2.0, 2.0), factor(8.0, 2.0)], [1.0, 1.0, 0.25]);
            assert!(factor(f64::NAN, 2.0).is_nan());
        }
        assert_eq!(norm_factor(f64::INFINITY, 2.0), 0.0);
        assert!(global_norm_factor(f64::INFINITY, 2.0).is_nan());
    }
}
