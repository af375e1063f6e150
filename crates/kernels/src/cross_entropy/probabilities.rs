//! A row of probabilities.
use super::{BLOCK, Row, first_lanes, maximum, prediction, target, total};
use crate::{
    math::log,
    pieces::{load_at, store_at},
    simd::{Kernel, LANES, Lanes},
    targets::RowTarget,
};

/// Keras' `epsilon()`.
const LOWEST: f32 = 1e-7;
const HIGHEST: f32 = (1.0 - 1e-7f64) as f32;

pub(super) struct Probabilities<'a>(pub(super) Row<'a>);

/// Sum in f64, in a fixed order.
#[inline(always)]
fn sum(x: &[f32]) -> f64 {
    let mut sums = [0.0f64; LANES];
    let chunks = x.chunks_exact(LANES);
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

/// `value` where a probability is not clipped, 0 elsewhere.
///
/// # Safety
/// The instruction set of `L` is available.
#[inline(always)]
unsafe fn unclipped<L: Lanes>(q: L, value: L) -> L {
    // SAFETY: as the caller.
    unsafe {
        let zero = L::splat(0.0);
        zero.select(q.less(L::splat(LOWEST)), zero.select(L::splat(HIGHEST).less(q), value))
    }
}

impl Kernel for Probabilities<'_> {
    type Output = (f32, u32);

    #[inline(always)]
    unsafe fn run<L: Lanes>(self) -> (f32, u32) {
        let row = self.0;
        let x = row.x;
        // SAFETY: as the caller.
        let most = unsafe { maximum::<L>(x) };
        let sum = sum(x) as f32;
        let smoothed = row.smoothed();
        let everywhere = smoothed.is_everywhere();
        let (mut loss, mut kept) = (0.0f32, 0.0f32);
        if everywhere {
            // SAFETY: every `at` is inside the row, and `x` and `y` have its length.
            unsafe {
                let (mut losses, mut keeps) = (L::splat(0.0), L::splat(0.0));
                let mut start = 0;
                while start < x.len() {
                    let end = x.len().min(start + BLOCK);
                    let (mut part, mut part_kept) = (L::splat(0.0), L::splat(0.0));
                    let mut at = start;
                    while at < end {
                        let y = first_lanes(target::<L>(smoothed, at), x.len() - at);
                        let q = load_at::<L>(x, at).div(L::splat(sum));
                        // In this order NaN stays NaN.
                        let clipped = L::splat(LOWEST).max(L::splat(HIGHEST).min(q));
                        part = part.sub(y.mul(log(clipped)));
                        part_kept = part_kept.add(unclipped(q, y));
                        at += LANES;
                    }
                    losses = losses.add(part);
                    keeps = keeps.add(part_kept);
                    start = end;
                }
                loss = total(losses);
                kept = total(keeps);
            }
        }
        let single = match row.target {
            RowTarget::Id(id) => Some((id, x[id] / sum)),
            RowTarget::Probabilities(_) => None,
        };
        let share = smoothed.factor;
        let inside = |q: &f32| (LOWEST..=HIGHEST).contains(q);
        if let Some((_, q)) = single {
            loss -= share * q.clamp(LOWEST, HIGHEST).ln();
            kept += if inside(&q) { share } else { 0.0 };
        }
        if sum.is_nan() {
            loss = f32::NAN;
        }
        if let Some(dx) = row.dx {
            let scale = row.scale / sum;
            let mut at = 0;
            while at < x.len() {
                // SAFETY: `at` is inside the row, and `x`, `y` and `dx` have its length.
                unsafe {
                    let mut d = L::splat(kept * scale);
                    if everywhere {
                        let q = load_at::<L>(x, at).div(L::splat(sum));
                        let seen = unclipped(q, target::<L>(smoothed, at).div(q));
                        d = d.sub(seen.mul(L::splat(scale)));
                    }
                    if row.accumulate {
                        d = d.add(load_at(dx, at));
                    }
                    store_at(dx, at, d);
                }
                at += LANES;
            }
            if let Some((id, q)) = single.filter(|(_, q)| inside(q)) {
                dx[id] -= share / q * scale;
            }
        }
        (loss, prediction(x, most))
    }
}
