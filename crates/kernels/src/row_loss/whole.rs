//! Losses that are a function of a whole row.
use super::{BLOCK, Slope, total};
use crate::{
    pieces::{load_at, store_at},
    simd::{LANES, Lanes},
};

/// One divided by Keras' `epsilon()`.
const LARGEST_INVERSE: f64 = 1e7;

/// Minus the cosine of the angle between two rows, and its gradient.
///
/// # Safety
/// The instruction set of `L` is available; all slices have one length.
#[inline(always)]
pub(super) unsafe fn cosine<L: Lanes>(x: &[f32], y: &[f32], slope: Option<Slope<'_>>) -> f32 {
    let (mut product, mut squares, mut target_squares) = (0.0f64, 0.0f64, 0.0f64);
    for start in (0..x.len()).step_by(BLOCK) {
        // SAFETY: offsets are inside the rows.
        unsafe {
            let mut parts = [L::splat(0.0); 3];
            for at in (start..x.len().min(start + BLOCK)).step_by(LANES) {
                let (x, y) = (load_at::<L>(x, at), load_at::<L>(y, at));
                parts = [x.fma(y, parts[0]), x.fma(x, parts[1]), y.fma(y, parts[2])];
            }
            product += total(parts[0]);
            squares += total(parts[1]);
            target_squares += total(parts[2]);
        }
    }
    // As `x * min(rsqrt(sum(x^2)), 1 / epsilon)`; NaN stays NaN.
    let inverse = |squares: f64| {
        let inverse = 1.0 / squares.sqrt();
        if inverse > LARGEST_INVERSE { LARGEST_INVERSE } else { inverse }
    };
    let (of_x, of_y) = (inverse(squares), inverse(target_squares));
    if let Some(Slope { dx, accumulate, scale }) = slope {
        let toward = -f64::from(scale) * of_x * of_y;
        // A length that is set to epsilon has no slope.
        let back = if of_x == LARGEST_INVERSE { 0.0 } else { -toward * of_x * of_x * product };
        for at in (0..x.len()).step_by(LANES) {
            // SAFETY: as above.
            unsafe {
                let d = load_at::<L>(y, at).mul(L::splat(toward as f32));
                let d = load_at::<L>(x, at).fma(L::splat(back as f32), d);
                store_at(dx, at, if accumulate { d.add(load_at(dx, at)) } else { d });
            }
        }
    }
    (-product * of_x * of_y) as f32
}

/// How far the largest wrong element lies above the right one less 1, and the gradient of that.
pub(super) fn categorical_hinge(x: &[f32], y: &[f32], slope: Option<Slope<'_>>) -> f32 {
    let (mut right, mut wrong, mut best) = (0.0f64, f64::NEG_INFINITY, 0);
    for (at, (&x, &y)) in x.iter().zip(y).enumerate() {
        right += f64::from(y) * f64::from(x);
        let other = (1.0 - f64::from(y)) * f64::from(x);
        if other > wrong || other.is_nan() {
            (wrong, best) = (other, at);
        }
    }
    let gap = wrong - right + 1.0;
    if let Some(Slope { dx, accumulate, scale }) = slope {
        let scale = if gap > 0.0 { scale } else { 0.0 };
        for (at, (dx, &y)) in dx.iter_mut().zip(y).enumerate() {
            let other = if at == best { 1.0 - y } else { 0.0 };
            let d = scale * (other - y);
            *dx = if accumulate { *dx + d } else { d };
        }
    }
    if gap < 0.0 { 0.0 } else { gap as f32 }
}
