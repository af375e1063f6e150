//! Elementwise activation functions of Keras 3.15, with its defaults.
pub(crate) mod function;
#[cfg(test)]
pub(crate) mod tests;

use crate::{
    Context, Destination,
    pieces::{for_pieces, load_at, store_at},
    shared::Shared,
    simd::{Kernel, LANES, Lanes},
};

/// An elementwise activation function.
///
/// # Source
/// `keras/src/activations/activations.py` of Keras 3.15.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Activation {
    /// `x`.
    #[default]
    Linear,
    /// `max(x, 0)`.
    Relu,
    /// `x`, below 0 `0.2 x`.
    LeakyRelu,
    /// `min(max(x, 0), 6)`.
    Relu6,
    /// `x`, below 0 `e^x - 1`.
    Elu,
    /// As [`Activation::Elu`] with its default alpha of 1.
    Celu,
    /// `s x`, below 0 `s a (e^x - 1)`, with s = 1.0507 and a = 1.67326.
    Selu,
    /// `log(1 + e^x)`.
    Softplus,
    /// `x / (1 + |x|)`.
    Softsign,
    /// `(x + sqrt(x^2 + 4)) / 2`.
    Squareplus,
    /// `x` moved towards 0 by 0.5, 0 if it is nearer.
    SoftShrink,
    /// `x`, 0 where `|x| <= 0.5`.
    HardShrink,
    /// `x - tanh(x)`.
    TanhShrink,
    /// 0 up to -1, `(x + 1)^2 / 4`, `x` from 1 on.
    SparsePlus,
    /// 0 up to -1, `(x + 1) / 2`, 1 from 1 on.
    SparseSigmoid,
    /// `x sigmoid(x)`.
    Silu,
    /// `x min(max(x + 3, 0), 6) / 6`.
    HardSilu,
    /// `x (1 + erf(x / sqrt(2))) / 2`.
    Gelu,
    /// `x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2`, Keras' `gelu(approximate=True)`.
    GeluTanh,
    /// `x tanh(softplus(x))`.
    Mish,
    /// Hyperbolic tangent.
    Tanh,
    /// `min(max(x, -1), 1)`.
    HardTanh,
    /// `1 / (1 + e^-x)`.
    Sigmoid,
    /// `min(max(x / 6 + 0.5, 0), 1)`.
    HardSigmoid,
    /// `log(sigmoid(x))`.
    LogSigmoid,
    /// `e^x`.
    Exponential,
}

impl Activation {
    /// All activations with their names, which are Keras' ones in camel case.
    pub const NAMES: [(&'static str, Self); 28] = [
        ("linear", Self::Linear),
        ("relu", Self::Relu),
        ("leakyRelu", Self::LeakyRelu),
        ("relu6", Self::Relu6),
        ("elu", Self::Elu),
        ("celu", Self::Celu),
        ("selu", Self::Selu),
        ("softplus", Self::Softplus),
        ("softsign", Self::Softsign),
        ("squareplus", Self::Squareplus),
        ("softShrink", Self::SoftShrink),
        ("hardShrink", Self::HardShrink),
        ("tanhShrink", Self::TanhShrink),
        ("sparsePlus", Self::SparsePlus),
        ("sparseSigmoid", Self::SparseSigmoid),
        ("silu", Self::Silu),
        ("swish", Self::Silu),
        ("hardSilu", Self::HardSilu),
        ("hardSwish", Self::HardSilu),
        ("gelu", Self::Gelu),
        ("geluTanh", Self::GeluTanh),
        ("mish", Self::Mish),
        ("tanh", Self::Tanh),
        ("hardTanh", Self::HardTanh),
        ("sigmoid", Self::Sigmoid),
        ("hardSigmoid", Self::HardSigmoid),
        ("logSigmoid", Self::LogSigmoid),
        ("exponential", Self::Exponential),
    ];

    /// The activation of a name in camel case, such as `hardSigmoid`.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::NAMES.into_iter().find(|(known, _)| *known == name).map(|(_, activation)| activation)
    }

    /// Whether [`backward`] takes the input `x` of the activation; otherwise it takes the output `y`.
    #[must_use]
    pub fn gradient_takes_input(self) -> bool {
        matches!(self, Self::TanhShrink | Self::Silu | Self::HardSilu | Self::Gelu | Self::GeluTanh | Self::Mish)
    }
}

/// `y = activation(x)`.
///
/// # Shapes
/// `x` and `y` have the same length.
///
/// # Panics
/// If the lengths differ.
pub fn forward(context: &Context, activation: Activation, x: &[f32], y: &mut [f32]) {
    assert_eq!(x.len(), y.len(), "activation: length of y");
    let y = Shared::new(y);
    for_pieces(context, x.len(), |start, length| {
        // SAFETY: pieces do not overlap.
        let y = unsafe { y.part(start, length) };
        y.copy_from_slice(&x[start..start + length]);
        context.simd.run(InPlace { activation, y });
    });
}

/// Replaces `x` by `activation(x)`.
pub fn forward_in_place(context: &Context, activation: Activation, x: &mut [f32]) {
    let length = x.len();
    let y = Shared::new(x);
    for_pieces(context, length, |start, length| {
        // SAFETY: pieces do not overlap.
        let y = unsafe { y.part(start, length) };
        context.simd.run(InPlace { activation, y });
    });
}

/// `dx = activation'(x) dy`.
///
/// # Shapes
/// `saved` is the input `x` of the activation where [`Activation::gradient_takes_input`] says so, otherwise its output
/// `y`. `saved`, `dy` and `dx` have the same length.
///
/// # Gradient
/// At kinks the slope is that of the flat or lower side (0 for `relu`).
///
/// # Panics
/// If the lengths differ.
pub fn backward(context: &Context, activation: Activation, saved: &[f32], dy: &[f32], dx: Destination<'_>) {
    assert_eq!(saved.len(), dy.len(), "activation: length of the saved values");
    assert_eq!(dx.data.len(), dy.len(), "activation: length of dx");
    let accumulate = dx.accumulate;
    let dx = Shared::new(dx.data);
    for_pieces(context, dy.len(), |start, length| {
        // SAFETY: pieces do not overlap.
        let dx = unsafe { dx.part(start, length) };
        let range = start..start + length;
        context.simd.run(Backward { activation, saved: &saved[range.clone()], dy: &dy[range], dx, accumulate });
    });
}

struct InPlace<'a> {
    activation: Activation,
    y: &'a mut [f32],
}

impl Kernel for InPlace<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        if self.activation == Activation::Linear {
            return;
        }
        // SAFETY: the path is available, offsets are below the length.
        unsafe {
            for at in (0..self.y.len()).step_by(LANES) {
                let y = function::value::<L>(self.activation, load_at(self.y, at));
                store_at(self.y, at, y);
            }
        }
    }
}

struct Backward<'a> {
    activation: Activation,
    saved: &'a [f32],
    dy: &'a [f32],
    dx: &'a mut [f32],
    accumulate: bool,
}

impl Kernel for Backward<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        // SAFETY: the path is available, offsets are below the common length.
        unsafe {
            for at in (0..self.dy.len()).step_by(LANES) {
                let slope = function::slope::<L>(self.activation, load_at(self.saved, at));
                let dy: L = load_at(self.dy, at);
                let dx = if self.accumulate { slope.fma(dy, load_at(self.dx, at)) } else { slope.mul(dy) };
                store_at(self.dx, at, dx);
            }
        }
    }
}
