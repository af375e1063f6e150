//! The activations of a layer.
use crate::{
    activation::{Activation, function},
    simd::Lanes,
};

/// Activations of a layer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Activations {
    /// Tanh and sigmoid, which have their own code.
    pub usual: bool,
    pub activation: Activation,
    pub recurrent: Activation,
}

impl Activations {
    pub(crate) fn new(activation: Activation, recurrent: Activation) -> Self {
        let usual = (activation, recurrent) == (Activation::Tanh, Activation::Sigmoid);
        Self { usual, activation, recurrent }
    }
}

/// `activation(x)` and its slope there.
///
/// # Safety
/// The path `L` is available.
#[inline(always)]
pub(crate) unsafe fn value_and_slope<L: Lanes>(activation: Activation, x: L) -> (L, L) {
    // SAFETY: the caller's contract.
    unsafe {
        let value = function::value(activation, x);
        (value, function::slope(activation, if activation.gradient_takes_input() { x } else { value }))
    }
}
