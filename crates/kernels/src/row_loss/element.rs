//! Losses that are a sum over the elements of a row.
#![allow(unsafe_op_in_unsafe_fn, reason = "every line is a `Lanes` method under its contract")]
use super::{BLOCK, RowLoss, Slope, first_lanes, total};
use crate::{
    math::{exp, log, log_1p, sigmoid, tanh},
    pieces::{load_at, store_at},
    simd::{LANES, Lanes},
};

/// Keras' `epsilon()`.
const EPSILON: f32 = 1e-7;
const HIGHEST: f32 = (1.0 - 1e-7f64) as f32;

/// -1, 0 or 1; NaN stays NaN.
#[inline(always)]
unsafe fn sign<L: Lanes>(x: L) -> L {
    let zero = L::splat(0.0);
    let negative = L::splat(-1.0).select(x.less(zero), x);
    L::splat(1.0).select(zero.less(x), negative)
}

/// `x` within bounds; NaN stays NaN.
#[inline(always)]
unsafe fn clipped<L: Lanes>(x: L, lowest: f32, highest: f32) -> L {
    L::splat(lowest).max(L::splat(highest).min(x))
}

/// `value` where `x` is within bounds, 0 elsewhere.
#[inline(always)]
unsafe fn inside<L: Lanes>(x: L, lowest: f32, highest: f32, value: L) -> L {
    let zero = L::splat(0.0);
    zero.select(x.less(L::splat(lowest)), zero.select(L::splat(highest).less(x), value))
}

/// `a - b c`.
#[inline(always)]
unsafe fn less_product<L: Lanes>(a: L, b: L, c: L) -> L {
    L::splat(0.0).sub(b).fma(c, a)
}

/// Losses of elements and their derivatives by `x`, without the factor of the function.
#[inline(always)]
unsafe fn element<L: Lanes>(function: RowLoss, x: L, y: L) -> (L, L) {
    let (zero, one, two) = (L::splat(0.0), L::splat(1.0), L::splat(2.0));
    let error = x.sub(y);
    match function {
        RowLoss::BinaryCrossentropy { from_logits, label_smoothing } => {
            let y = y.fma(L::splat(1.0 - label_smoothing), L::splat(0.5 * label_smoothing));
            if from_logits {
                let tail = log_1p(exp(zero.sub(x.abs())));
                (less_product(zero.max(x), x, y).add(tail), sigmoid(x).sub(y))
            } else {
                let p = clipped(x, EPSILON, HIGHEST);
                let other = one.sub(p);
                let loss = less_product(zero.sub(y.mul(log(p))), one.sub(y), log(other));
                (loss, inside(x, EPSILON, HIGHEST, p.sub(y).div(p.mul(other))))
            }
        }
        RowLoss::MeanSquaredError => (error.mul(error), two.mul(error)),
        RowLoss::MeanAbsoluteError => (error.abs(), sign(error)),
        RowLoss::MeanAbsolutePercentageError => {
            let size = L::splat(EPSILON).max(y.abs());
            (error.abs().div(size), sign(error).div(size))
        }
        RowLoss::MeanSquaredLogarithmicError => {
            let above = L::splat(EPSILON).max(x);
            let error = log_1p(above).sub(log_1p(L::splat(EPSILON).max(y)));
            let slope = two.mul(error).div(one.add(above));
            (error.mul(error), zero.select(x.less(L::splat(EPSILON)), slope))
        }
        RowLoss::Huber { delta } => {
            let (size, slope) = (error.abs(), clipped(error, -delta, delta));
            let line = L::splat(delta).fma(size, L::splat(-0.5 * delta * delta));
            (line.select(L::splat(delta).less(size), L::splat(0.5).mul(error).mul(error)), slope)
        }
        RowLoss::LogCosh => {
            let size = error.abs();
            let tail = log_1p(exp(L::splat(-2.0).mul(size)));
            (size.add(tail.sub(L::splat(std::f32::consts::LN_2))), tanh(error))
        }
        RowLoss::Poisson => {
            let shifted = x.add(L::splat(EPSILON));
            (less_product(x, y, log(shifted)), one.sub(y.div(shifted)))
        }
        RowLoss::Hinge | RowLoss::SquaredHinge => {
            let gap = zero.max(less_product(one, y, x));
            let slope = zero.sub(y).select(zero.less(gap), zero.mul(gap));
            if function == RowLoss::Hinge { (gap, slope) } else { (gap.mul(gap), two.mul(gap).mul(slope)) }
        }
        RowLoss::KlDivergence => {
            let (p, y) = (clipped(x, EPSILON, 1.0), clipped(y, EPSILON, 1.0));
            let ratio = y.div(p);
            (y.mul(log(ratio)), inside(x, EPSILON, 1.0, zero.sub(ratio)))
        }
        // Functions of whole rows.
        RowLoss::CosineSimilarity | RowLoss::CategoricalHinge => (zero, zero),
    }
}

/// Loss of a row, and its gradient.
///
/// # Safety
/// The instruction set of `L` is available; all slices have one length.
#[inline(always)]
pub(super) unsafe fn row<L: Lanes>(function: RowLoss, x: &[f32], y: &[f32], mut slope: Option<Slope<'_>>) -> f32 {
    let factor = function.factor(x.len());
    let scale = L::splat(slope.as_ref().map_or(0.0, |slope| slope.scale * factor as f32));
    let mut loss = 0.0f64;
    for start in (0..x.len()).step_by(BLOCK) {
        let mut part = L::splat(0.0);
        for at in (start..x.len().min(start + BLOCK)).step_by(LANES) {
            let (value, derivative) = element(function, load_at::<L>(x, at), load_at::<L>(y, at));
            part = part.add(first_lanes(value, x.len() - at));
            if let Some(Slope { dx, accumulate, .. }) = &mut slope {
                let d = derivative.mul(scale);
                store_at(dx, at, if *accumulate { d.add(load_at(dx, at)) } else { d });
            }
        }
        loss += total(part);
    }
    (loss * factor) as f32
}
