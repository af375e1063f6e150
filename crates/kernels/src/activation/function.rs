//! Values and slopes of the activations on lanes.
#![allow(unsafe_op_in_unsafe_fn, reason = "every line is a `Lanes` method under its contract")]
use super::Activation;
use crate::{math, simd::Lanes};

const SELU_SCALE: f32 = 1.050_701;
const SELU_SCALED_ALPHA: f32 = 1.758_099_3;
const LEAKY_SLOPE: f32 = 0.2;
const SHRINK: f32 = 0.5;
const SQRT_2_OVER_PI: f32 = 0.797_884_6;
const GELU_CUBIC: f32 = 0.044_715;

#[inline(always)]
unsafe fn clamp<L: Lanes>(x: L, low: f32, high: f32) -> L {
    L::splat(low).max(L::splat(high).min(x))
}

/// `x` where positive, `below` elsewhere (also where `x` is NaN).
#[inline(always)]
unsafe fn if_positive<L: Lanes>(x: L, above: L, below: L) -> L {
    above.select(L::splat(0.0).less(x), below)
}

/// 1 where `low < x < high`, else 0.
#[inline(always)]
unsafe fn inside<L: Lanes>(x: L, low: f32, high: f32) -> L {
    let zero = L::splat(0.0);
    L::splat(1.0).select(x.less(L::splat(high)), zero).select(L::splat(low).less(x), zero)
}

/// `log(1 + e^x)` without overflow.
#[inline(always)]
unsafe fn softplus<L: Lanes>(x: L) -> L {
    let zero = L::splat(0.0);
    zero.max(x).add(math::log_1p(math::exp(zero.sub(x.abs()))))
}

/// `tanh` of the inner term of [`Activation::GeluTanh`].
#[inline(always)]
unsafe fn gelu_tanh<L: Lanes>(x: L) -> L {
    let cubic = x.mul(x).fma(L::splat(GELU_CUBIC), L::splat(1.0));
    math::tanh(x.mul(L::splat(SQRT_2_OVER_PI)).mul(cubic))
}

/// Probability of a standard normal number below `x`.
#[inline(always)]
unsafe fn normal<L: Lanes>(x: L) -> L {
    let half = L::splat(0.5);
    math::erf(x.mul(L::splat(std::f32::consts::FRAC_1_SQRT_2))).fma(half, half)
}

/// `activation(x)`.
///
/// # Safety
/// The instruction set of `L` is available.
#[inline(always)]
pub(crate) unsafe fn value<L: Lanes>(activation: Activation, x: L) -> L {
    let zero = L::splat(0.0);
    let half = L::splat(0.5);
    match activation {
        Activation::Linear => x,
        Activation::Relu => zero.max(x),
        Activation::LeakyRelu => if_positive(x, x, x.mul(L::splat(LEAKY_SLOPE))),
        Activation::Relu6 => clamp(x, 0.0, 6.0),
        Activation::Elu | Activation::Celu => if_positive(x, x, math::exp_m1(x)),
        Activation::Selu => {
            let below = math::exp_m1(x).mul(L::splat(SELU_SCALED_ALPHA));
            if_positive(x, x.mul(L::splat(SELU_SCALE)), below)
        }
        Activation::Softplus => softplus(x),
        Activation::Softsign => x.div(x.abs().add(L::splat(1.0))),
        Activation::Squareplus => {
            // The larger root of y^2 - x y = 1; the smaller one without cancellation.
            let root = x.fma(x, L::splat(4.0)).sqrt().add(x.abs()).mul(half);
            if_positive(x, root, L::splat(1.0).div(root))
        }
        Activation::SoftShrink => x.sub(clamp(x, -SHRINK, SHRINK)),
        Activation::HardShrink => zero.select(inside_closed(x, SHRINK), x),
        Activation::TanhShrink => x.sub(math::tanh(x)),
        Activation::SparsePlus => {
            let root = clamp(x.fma(half, half), 0.0, 1.0);
            x.select(L::splat(1.0).less(x), root.mul(root))
        }
        Activation::SparseSigmoid => clamp(x.fma(half, half), 0.0, 1.0),
        Activation::Silu => x.mul(math::sigmoid(x)),
        Activation::HardSilu => x.mul(clamp(x.fma(L::splat(1.0 / 6.0), half), 0.0, 1.0)),
        Activation::Gelu => x.mul(normal(x)),
        Activation::GeluTanh => x.mul(gelu_tanh(x).fma(half, half)),
        Activation::Mish => x.mul(math::tanh(softplus(x))),
        Activation::Tanh => math::tanh(x),
        Activation::HardTanh => clamp(x, -1.0, 1.0),
        Activation::Sigmoid => math::sigmoid(x),
        Activation::HardSigmoid => clamp(x.fma(L::splat(1.0 / 6.0), half), 0.0, 1.0),
        Activation::LogSigmoid => zero.sub(softplus(zero.sub(x))),
        Activation::Exponential => math::exp(x),
    }
}

/// Lanes with `|x| <= limit`.
#[inline(always)]
unsafe fn inside_closed<L: Lanes>(x: L, limit: f32) -> L::Mask {
    // The next float is the first one outside.
    x.abs().less(L::splat(f32::from_bits(limit.to_bits() + 1)))
}

/// `activation'`, from the output `y` or, where [`Activation::gradient_takes_input`], the input `x`.
///
/// # Safety
/// The instruction set of `L` is available.
#[inline(always)]
pub(crate) unsafe fn slope<L: Lanes>(activation: Activation, saved: L) -> L {
    let zero = L::splat(0.0);
    let one = L::splat(1.0);
    let half = L::splat(0.5);
    let (x, y) = (saved, saved);
    match activation {
        Activation::Linear => one,
        Activation::Relu => if_positive(y, one, zero),
        Activation::LeakyRelu => if_positive(y, one, L::splat(LEAKY_SLOPE)),
        Activation::Relu6 => inside(y, 0.0, 6.0),
        Activation::Elu | Activation::Celu => if_positive(y, one, y.add(one)),
        Activation::Selu => if_positive(y, L::splat(SELU_SCALE), y.add(L::splat(SELU_SCALED_ALPHA))),
        Activation::Softplus => zero.sub(math::exp_m1(zero.sub(y))),
        Activation::Softsign => {
            let root = one.sub(y.abs());
            root.mul(root)
        }
        Activation::Squareplus => {
            // y / (y + 1 / y), which cannot overflow.
            y.div(y.add(one.div(y)))
        }
        Activation::SoftShrink | Activation::HardShrink => if_positive(y.abs(), one, zero),
        Activation::TanhShrink => {
            let tanh = math::tanh(x);
            tanh.mul(tanh)
        }
        Activation::SparsePlus => one.min(y.sqrt()),
        Activation::SparseSigmoid => inside(y, 0.0, 1.0).mul(half),
        Activation::Silu => {
            let sigmoid = math::sigmoid(x);
            sigmoid.mul(x.fma(one.sub(sigmoid), one))
        }
        Activation::HardSilu => {
            let middle = x.fma(L::splat(1.0 / 3.0), half);
            middle.mul(inside(x, -3.0, 3.0)).add(if_positive(x.sub(L::splat(3.0)), one, zero))
        }
        Activation::Gelu => {
            let density = math::exp(x.mul(x).mul(L::splat(-0.5))).mul(L::splat(0.5 * SQRT_2_OVER_PI));
            // The density is 0 long before `x` is infinite.
            clamp(x, -20.0, 20.0).fma(density, normal(x))
        }
        Activation::GeluTanh => {
            let x = clamp(x, -20.0, 20.0);
            let tanh = gelu_tanh(x);
            let inner = x.mul(x).fma(L::splat(3.0 * GELU_CUBIC), one).mul(L::splat(SQRT_2_OVER_PI));
            let sloped = x.mul(one.sub(tanh.mul(tanh))).mul(inner);
            tanh.add(one).add(sloped).mul(half)
        }
        Activation::Mish => {
            let tanh = math::tanh(softplus(x));
            x.mul(math::sigmoid(x)).fma(one.sub(tanh.mul(tanh)), tanh)
        }
        Activation::Tanh => one.sub(y.mul(y)),
        Activation::HardTanh => inside(y, -1.0, 1.0),
        Activation::Sigmoid => y.mul(one.sub(y)),
        Activation::HardSigmoid => inside(y, 0.0, 1.0).mul(L::splat(1.0 / 6.0)),
        Activation::LogSigmoid => zero.sub(math::exp_m1(y)),
        Activation::Exponential => y,
    }
}
