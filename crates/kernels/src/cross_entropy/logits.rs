//! A row of logits.
use super::{BLOCK, Row, first_lanes, load_padded, maximum, prediction, target, total};
use crate::{
    math::exp,
    pieces::{load_at, store_at},
    simd::{Kernel, LANES, Lanes},
    targets::RowTarget,
};

pub(super) struct Logits<'a>(pub(super) Row<'a>);

impl Kernel for Logits<'_> {
    type Output = (f32, u32);

    #[inline(always)]
    unsafe fn run<L: Lanes>(self) -> (f32, u32) {
        let row = self.0;
        let (x, classes) = (row.x, row.x.len());
        let smoothed = row.smoothed();
        // SAFETY: every `at` is inside the row, and `x`, `y` and `dx` have its length.
        unsafe {
            let most = maximum::<L>(x);
            let mut sum = L::splat(0.0);
            for block in x.chunks(BLOCK) {
                let mut part = L::splat(0.0);
                let mut at = 0;
                while at < block.len() {
                    let d = load_padded::<L>(block, at, f32::NEG_INFINITY).sub(L::splat(most));
                    part = part.add(exp(d));
                    at += LANES;
                }
                sum = sum.add(part);
            }
            let sum = total(sum);
            // Logarithm of the sum of exponentials, less the maximum.
            let log_sum = sum.ln();
            let (mut loss, mut mass) = (0.0f32, 0.0f32);
            if smoothed.is_everywhere() {
                let (mut losses, mut masses) = (L::splat(0.0), L::splat(0.0));
                let mut start = 0;
                while start < classes {
                    let end = classes.min(start + BLOCK);
                    let (mut part, mut part_mass) = (L::splat(0.0), L::splat(0.0));
                    let mut at = start;
                    while at < end {
                        let y = first_lanes(target::<L>(smoothed, at), classes - at);
                        let lost = L::splat(log_sum).sub(load_padded::<L>(x, at, most).sub(L::splat(most)));
                        // A class without a target may have a logit of minus infinity.
                        let lost = y.mul(lost).select(L::splat(0.0).less(y.abs()), L::splat(0.0));
                        part = part.add(lost);
                        part_mass = part_mass.add(y);
                        at += LANES;
                    }
                    losses = losses.add(part);
                    masses = masses.add(part_mass);
                    start = end;
                }
                loss = total(losses);
                mass = total(masses);
            }
            if let RowTarget::Id(id) = row.target {
                loss += smoothed.factor * (log_sum - (x[id] - most));
                mass = row.smoothing.mass(1.0, classes) as f32;
            }
            if sum.is_nan() {
                loss = f32::NAN;
            }
            if let Some(dx) = row.dx {
                let (factor, scale) = (L::splat(row.scale * mass / sum), L::splat(row.scale));
                let mut at = 0;
                while at < classes {
                    let e = exp(load_at::<L>(x, at).sub(L::splat(most)));
                    let mut d = e.mul(factor).sub(target::<L>(smoothed, at).mul(scale));
                    if row.accumulate {
                        d = d.add(load_at(dx, at));
                    }
                    store_at(dx, at, d);
                    at += LANES;
                }
                if let RowTarget::Id(id) = row.target {
                    dx[id] -= row.scale * smoothed.factor;
                }
            }
            (loss, prediction(x, most))
        }
    }
}
