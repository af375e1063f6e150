//! The activations of a layer.
use crate::{
    activation::{Activation, function},
    simd::{Kernel, Lanes},
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

/// An activation of 16 lanes as a call: inlined, the code of all activations would make most of the kernel.
struct Value<V> {
    activation: Activation,
    x: V,
}

impl<V: Lanes> Kernel for Value<V> {
    type Output = V;

    #[inline(always)]
    unsafe fn run<L: Lanes>(self) -> V {
        // SAFETY: the caller's contract.
        unsafe { function::value(self.activation, self.x) }
    }
}

/// As [`Value`], with the slope.
struct ValueAndSlope<V>(Value<V>);

impl<V: Lanes> Kernel for ValueAndSlope<V> {
    type Output = (V, V);

    #[inline(always)]
    unsafe fn run<L: Lanes>(self) -> (V, V) {
        let Value { activation, x } = self.0;
        // SAFETY: the caller's contract.
        unsafe {
            let value = function::value(activation, x);
            (value, function::slope(activation, if activation.gradient_takes_input() { x } else { value }))
        }
    }
}

/// `activation(x)`.
///
/// # Safety
/// The path `L` is available.
#[inline(always)]
pub(crate) unsafe fn value<L: Lanes>(activation: Activation, x: L) -> L {
    // SAFETY: the caller's contract.
    unsafe { L::call(Value { activation, x }) }
}

/// `activation(x)` and its slope there.
///
/// # Safety
/// The path `L` is available.
#[inline(always)]
pub(crate) unsafe fn value_and_slope<L: Lanes>(activation: Activation, x: L) -> (L, L) {
    // SAFETY: the caller's contract.
    unsafe { L::call(ValueAndSlope(Value { activation, x })) }
}

/// The slope of an activation as a call.
struct Slope<V>(Value<V>);

impl<V: Lanes> Kernel for Slope<V> {
    type Output = V;

    #[inline(always)]
    unsafe fn run<L: Lanes>(self) -> V {
        // SAFETY: the caller's contract.
        unsafe { function::slope(self.0.activation, self.0.x) }
    }
}

/// The slope of an activation, from its result, or from its input if [`Activation::gradient_takes_input`].
///
/// # Safety
/// The path `L` is available.
#[inline(always)]
pub(crate) unsafe fn slope<L: Lanes>(activation: Activation, kept: L) -> L {
    // SAFETY: the caller's contract.
    unsafe { L::call(Slope(Value { activation, x: kept })) }
}
