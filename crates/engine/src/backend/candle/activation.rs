//! Activations and their slopes, both as functions of the input, composed of candle's operations.
use ::candle_core::{Result, Tensor as Array};
use sconce_kernels::activation::Activation;

const SELU_SCALE: f64 = 1.050_700_987_355_480_5;
const SELU_ALPHA: f64 = 1.673_263_242_354_377_2;
const GELU_CUBIC: f64 = 0.044_715;
const SQRT_2_OVER_PI: f64 = 0.797_884_560_802_865_4;

/// 1 where `low < x < high`, else 0.
fn inside(x: &Array, low: f64, high: f64) -> Result<Array> {
    above(x, low)? * x.lt(high)?.to_dtype(x.dtype())?
}

/// 1 where `x > low`, else 0.
fn above(x: &Array, low: f64) -> Result<Array> {
    x.gt(low)?.to_dtype(x.dtype())
}

pub(super) fn sigmoid(x: &Array) -> Result<Array> {
    // By tanh, which cannot overflow.
    x.affine(0.5, 0.0)?.tanh()?.affine(0.5, 0.5)
}

fn softplus(x: &Array) -> Result<Array> {
    x.relu()? + x.abs()?.neg()?.exp()?.affine(1.0, 1.0)?.log()?
}

/// `e^x` below 0, 1 elsewhere.
fn exp_below(x: &Array) -> Result<Array> {
    x.minimum(0.0)?.exp()
}

fn gelu_inner(x: &Array) -> Result<Array> {
    (x * x.sqr()?.affine(SQRT_2_OVER_PI * GELU_CUBIC, SQRT_2_OVER_PI)?)?.tanh()
}

/// Probability of a standard normal number below `x`.
fn normal(x: &Array) -> Result<Array> {
    x.affine(std::f64::consts::FRAC_1_SQRT_2, 0.0)?.erf()?.affine(0.5, 0.5)
}

/// `activation(x)`.
pub(super) fn value(activation: Activation, x: &Array) -> Result<Array> {
    match activation {
        Activation::Linear => Ok(x.clone()),
        Activation::Relu => x.relu(),
        Activation::LeakyRelu => x.maximum(&x.affine(0.2, 0.0)?),
        Activation::Relu6 => x.clamp(0.0, 6.0),
        Activation::Elu | Activation::Celu => x.relu()? + exp_below(x)?.affine(1.0, -1.0)?,
        Activation::Selu => (x.relu()? + exp_below(x)?.affine(SELU_ALPHA, -SELU_ALPHA)?)?.affine(SELU_SCALE, 0.0),
        Activation::Softplus => softplus(x),
        Activation::Softsign => x / x.abs()?.affine(1.0, 1.0)?,
        Activation::Squareplus => (x + x.sqr()?.affine(1.0, 4.0)?.sqrt()?)?.affine(0.5, 0.0),
        Activation::SoftShrink => x - x.clamp(-0.5, 0.5)?,
        Activation::HardShrink => x * above(&x.abs()?, 0.5)?,
        Activation::TanhShrink => x - x.tanh()?,
        Activation::SparsePlus => {
            let curved = x.affine(1.0, 1.0)?.clamp(0.0, 2.0)?.sqr()?.affine(0.25, 0.0)?;
            curved + x.affine(1.0, -1.0)?.relu()?
        }
        Activation::SparseSigmoid => x.affine(0.5, 0.5)?.clamp(0.0, 1.0),
        Activation::Silu => x * sigmoid(x)?,
        Activation::HardSilu => x * x.affine(1.0, 3.0)?.clamp(0.0, 6.0)?.affine(1.0 / 6.0, 0.0)?,
        Activation::Gelu => x * normal(x)?,
        Activation::GeluTanh => x * gelu_inner(x)?.affine(0.5, 0.5)?,
        Activation::Mish => x * softplus(x)?.tanh()?,
        Activation::Tanh => x.tanh(),
        Activation::HardTanh => x.clamp(-1.0, 1.0),
        Activation::Sigmoid => sigmoid(x),
        Activation::HardSigmoid => x.affine(1.0 / 6.0, 0.5)?.clamp(0.0, 1.0),
        Activation::LogSigmoid => softplus(&x.neg()?)?.neg(),
        Activation::Exponential => x.exp(),
    }
}

/// `activation'(x)`.
pub(super) fn slope(activation: Activation, x: &Array) -> Result<Array> {
    match activation {
        Activation::Linear => x.ones_like(),
        Activation::Relu => above(x, 0.0),
        Activation::LeakyRelu => above(x, 0.0)?.affine(0.8, 0.2),
        Activation::Relu6 => inside(x, 0.0, 6.0),
        Activation::Elu | Activation::Celu => exp_below(x),
        Activation::Selu => {
            let positive = above(x, 0.0)?;
            let below = (exp_below(x)? * positive.affine(-SELU_ALPHA, SELU_ALPHA)?)?;
            (positive + below)?.affine(SELU_SCALE, 0.0)
        }
        Activation::Softplus => sigmoid(x),
        Activation::Softsign => x.abs()?.affine(1.0, 1.0)?.sqr()?.recip(),
        Activation::Squareplus => (x / x.sqr()?.affine(1.0, 4.0)?.sqrt()?)?.affine(0.5, 0.5),
        Activation::SoftShrink | Activation::HardShrink => above(&x.abs()?, 0.5),
        Activation::TanhShrink => x.tanh()?.sqr(),
        Activation::SparsePlus => x.affine(0.5, 0.5)?.clamp(0.0, 1.0),
        Activation::SparseSigmoid => inside(x, -1.0, 1.0)?.affine(0.5, 0.0),
        Activation::Silu => {
            let sigmoid = sigmoid(x)?;
            &sigmoid * (x * sigmoid.affine(-1.0, 1.0)?)?.affine(1.0, 1.0)?
        }
        Activation::HardSilu => {
            let middle = (x.affine(1.0 / 3.0, 0.5)? * inside(x, -3.0, 3.0)?)?;
            middle + above(x, 3.0)?
        }
        Activation::Gelu => {
            let density = x.sqr()?.affine(-0.5, 0.0)?.exp()?.affine(0.5 * SQRT_2_OVER_PI, 0.0)?;
            normal(x)? + (x * density)?
        }
        Activation::GeluTanh => {
            let tanh = gelu_inner(x)?;
            let inner = x.sqr()?.affine(3.0 * SQRT_2_OVER_PI * GELU_CUBIC, SQRT_2_OVER_PI)?;
            let sloped = ((x * tanh.sqr()?.affine(-1.0, 1.0)?)? * inner)?;
            (tanh.affine(1.0, 1.0)? + sloped)?.affine(0.5, 0.0)
        }
        Activation::Mish => {
            let tanh = softplus(x)?.tanh()?;
            let sloped = ((x * sigmoid(x)?)? * tanh.sqr()?.affine(-1.0, 1.0)?)?;
            tanh + sloped
        }
        Activation::Tanh => x.tanh()?.sqr()?.affine(-1.0, 1.0),
        Activation::HardTanh => inside(x, -1.0, 1.0),
        Activation::Sigmoid => {
            let sigmoid = sigmoid(x)?;
            &sigmoid * sigmoid.affine(-1.0, 1.0)?
        }
        Activation::HardSigmoid => inside(x, -3.0, 3.0)?.affine(1.0 / 6.0, 0.0),
        Activation::LogSigmoid => sigmoid(&x.neg()?),
        Activation::Exponential => x.exp(),
    }
}
