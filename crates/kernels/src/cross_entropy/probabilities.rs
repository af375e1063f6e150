//! A row of probabilities.
use super::{Row, maximum, prediction};
use crate::{
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

#[inline(always)]
fn write(dx: &mut f32, value: f32, accumulate: bool) {
    *dx = if accumulate { *dx + value } else { value };
}

impl Kernel for Probabilities<'_> {
    type Output = (f32, u32);

    #[inline(always)]
    unsafe fn run<L: Lanes>(self) -> (f32, u32) {
        let mut row = self.0;
        let x = row.x;
        // SAFETY: as the caller.
        let most = unsafe { maximum::<L>(x) };
        let sum = sum(x) as f32;
        let (y, factor, addend) = row.smoothed();
        let target = |class: usize| y.map_or(addend, |y| y[class] * factor + addend);
        let mut loss = 0.0f64;
        // Targets of the classes whose probability is not clipped.
        let mut kept = 0.0f64;
        // The part of a class: its term of the loss, and the target that its gradient sees.
        let term = |class: usize, y: f32| {
            let q = x[class] / sum;
            let inside = (LOWEST..=HIGHEST).contains(&q);
            let clipped = if q.is_nan() { q } else { q.clamp(LOWEST, HIGHEST) };
            (-f64::from(y) * f64::from(clipped.ln()), if inside { y } else { 0.0 })
        };
        let everywhere = y.is_some() || addend != 0.0;
        if everywhere {
            for class in (0..x.len()).filter(|&class| target(class) != 0.0) {
                let (lost, seen) = term(class, target(class));
                loss += lost;
                kept += f64::from(seen);
            }
        }
        let single = match row.target {
            RowTarget::Id(id) => Some((id, term(id, 1.0 - row.smoothing))),
            RowTarget::Probabilities(_) => None,
        };
        if let Some((_, (lost, seen))) = single {
            loss += lost;
            kept += f64::from(seen);
        }
        if sum.is_nan() {
            loss = f64::NAN;
        }
        if let Some(dx) = row.dx.take() {
            let scale = row.scale / sum;
            let common = kept as f32 * scale;
            for (class, dx) in dx.iter_mut().enumerate() {
                let q = x[class] / sum;
                let seen = if everywhere && (LOWEST..=HIGHEST).contains(&q) { target(class) / q } else { 0.0 };
                write(dx, common - seen * scale, row.accumulate);
            }
            if let Some((id, (_, seen))) = single
                && seen != 0.0
            {
                dx[id] -= seen / (x[id] / sum) * scale;
            }
        }
        (loss as f32, prediction(x, most))
    }
}
