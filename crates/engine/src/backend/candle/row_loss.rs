//! Losses of elements and their gradients by the operations of candle. `x` and `y` are `[R, D]`.
use ::candle_core::{D, Tensor as Array};
use sconce_kernels::row_loss::RowLoss;

use super::loss::Rows;
use crate::error::Result;

/// Keras' `epsilon()`.
const EPSILON: f64 = 1e-7;
const HIGHEST: f64 = 1.0 - 1e-7;

/// 1 where `x` is within bounds, 0 elsewhere.
fn inside(x: &Array, lowest: f64, highest: f64) -> Result<Array> {
    Ok((x.ge(lowest)?.to_dtype(x.dtype())? * x.le(highest)?.to_dtype(x.dtype())?)?)
}

/// -1, 0 or 1.
fn sign(x: &Array) -> Result<Array> {
    Ok((x.gt(0.0)?.to_dtype(x.dtype())? - x.lt(0.0)?.to_dtype(x.dtype())?)?)
}

/// `log(1 + e^-|x|)`.
fn tail(x: &Array) -> Result<Array> {
    Ok(((x.abs()?.neg()?.exp()? + 1.0)?).log()?)
}

/// Losses of elements and their derivatives.
fn elements(function: RowLoss, x: &Array, y: &Array) -> Result<Rows> {
    let error = (x - y)?;
    Ok(match function {
        RowLoss::BinaryCrossentropy { from_logits, label_smoothing } => {
            let e = f64::from(label_smoothing);
            let y = y.affine(1.0 - e, 0.5 * e)?;
            if from_logits {
                let sigmoid = (x.neg()?.exp()? + 1.0)?.recip()?;
                (((x.relu()? - (x * &y)?)? + tail(x)?)?, (sigmoid - y)?)
            } else {
                let p = x.clamp(EPSILON, HIGHEST)?;
                let other = p.affine(-1.0, 1.0)?;
                let loss = ((&y * p.log()?)? + (y.affine(-1.0, 1.0)? * other.log()?)?)?.neg()?;
                (loss, (((&p - y)? / (p * other)?)? * inside(x, EPSILON, HIGHEST)?)?)
            }
        }
        RowLoss::MeanSquaredError => (error.sqr()?, (error * 2.0)?),
        RowLoss::MeanAbsoluteError => (error.abs()?, sign(&error)?),
        RowLoss::MeanAbsolutePercentageError => {
            let size = y.abs()?.maximum(EPSILON)?;
            (((error.abs()? / &size)? * 100.0)?, ((sign(&error)? / size)? * 100.0)?)
        }
        RowLoss::MeanSquaredLogarithmicError => {
            let above = (x.maximum(EPSILON)? + 1.0)?;
            let error = (above.log()? - (y.maximum(EPSILON)? + 1.0)?.log()?)?;
            let slope = ((&error * 2.0)? / above)?;
            (error.sqr()?, (slope * x.ge(EPSILON)?.to_dtype(x.dtype())?)?)
        }
        RowLoss::Huber { delta } => {
            let delta = f64::from(delta);
            let slope = error.clamp(-delta, delta)?;
            // `slope (error - slope / 2)` is the parabola inside and the line outside.
            ((&slope * (error - (&slope * 0.5)?)?)?, slope)
        }
        RowLoss::LogCosh => {
            let loss = ((error.abs()? + tail(&(&error * 2.0)?)?)? - std::f64::consts::LN_2)?;
            (loss, error.tanh()?)
        }
        RowLoss::Poisson => {
            let shifted = (x + EPSILON)?;
            ((x - (y * shifted.log()?)?)?, (y / shifted)?.affine(-1.0, 1.0)?)
        }
        RowLoss::Hinge | RowLoss::SquaredHinge => {
            let gap = (x * y)?.affine(-1.0, 1.0)?.relu()?;
            let slope = (y.neg()? * gap.gt(0.0)?.to_dtype(x.dtype())?)?;
            if function == RowLoss::Hinge { (gap, slope) } else { (gap.sqr()?, ((gap * slope)? * 2.0)?) }
        }
        RowLoss::KlDivergence | RowLoss::CosineSimilarity | RowLoss::CategoricalHinge => {
            let (p, y) = (x.clamp(EPSILON, 1.0)?, y.clamp(EPSILON, 1.0)?);
            let ratio = (&y / p)?;
            ((y * ratio.log()?)?, (ratio.neg()? * inside(x, EPSILON, 1.0)?)?)
        }
    })
}

/// `x / max(|x|, 1e-7)` of each row, and one divided by that length.
fn unit(x: &Array) -> Result<(Array, Array)> {
    let inverse = x.sqr()?.sum_keepdim(D::Minus1)?.sqrt()?.maximum(EPSILON)?.recip()?;
    Ok((x.broadcast_mul(&inverse)?, inverse))
}

/// Losses of rows, `[R, 1]`, and the gradient of each, `[R, D]`.
pub(super) fn row_losses(function: RowLoss, x: &Array, y: &Array) -> Result<Rows> {
    match function {
        RowLoss::CosineSimilarity => {
            let ((u, inverse), (v, _)) = (unit(x)?, unit(y)?);
            let cosine = (&u * &v)?.sum_keepdim(D::Minus1)?;
            // A length that is set to epsilon has no slope.
            let free = inverse.lt(1.0 / EPSILON)?.to_dtype(x.dtype())?;
            let back = u.broadcast_mul(&(&cosine * free)?)?;
            Ok((cosine.neg()?, (back - v)?.broadcast_mul(&inverse)?))
        }
        RowLoss::CategoricalHinge => {
            let other = (y.affine(-1.0, 1.0)? * x)?;
            let most = other.max_keepdim(D::Minus1)?;
            let gap = ((most - (x * y)?.sum_keepdim(D::Minus1)?)? + 1.0)?.relu()?;
            let best = other.argmax_keepdim(D::Minus1)?;
            let factor = y.affine(-1.0, 1.0)?;
            let slope = y.neg()?.scatter_add(&best, &factor.gather(&best, D::Minus1)?, D::Minus1)?;
            let open = gap.gt(0.0)?.to_dtype(x.dtype())?;
            Ok((gap, slope.broadcast_mul(&open)?))
        }
        RowLoss::KlDivergence => {
            let (loss, slope) = elements(function, x, y)?;
            Ok((loss.sum_keepdim(D::Minus1)?, slope))
        }
        _ => {
            let (loss, slope) = elements(function, x, y)?;
            let width = x.dim(D::Minus1)?.max(1) as f64;
            Ok(((loss.sum_keepdim(D::Minus1)? / width)?, (slope / width)?))
        }
    }
}
