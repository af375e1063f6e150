//! Pairs of bfloat16 as the operands of products: twice as many factors in a register, with sums in `f32`.
//!
//! A pair is kept as the bits of a float: the first of the two in the lower half. Pairs are only loaded, stored, spread over
//! lanes, transposed and multiplied.
use super::{Lanes, Simd, scalar::Scalar};

/// Lanes whose factors can be pairs of bfloat16.
///
/// # Safety
/// As for [`Lanes`]; these methods may only be called from a [`PairKernel`].
#[allow(clippy::missing_safety_doc, reason = "one contract for all methods, stated above")]
pub(crate) trait Pairs: Lanes {
    /// Lane `i` is the pair of the lanes `i` of both, rounded to the nearest, ties to even.
    unsafe fn pair(first: Self, second: Self) -> Self;
    /// Of 32 floats in a row, 16 in `low` and 16 in `high`: lane `i` is the pair of those at `2 i` and `2 i + 1`.
    unsafe fn pair_neighbours(low: Self, high: Self) -> Self;
    /// 32 floats in a row, rounded, in an order that [`Pairs::interleave`] understands.
    unsafe fn halves(low: Self, high: Self) -> Self;
    /// The pairs of two rows of 32: `self` has the first of each pair. Those of the first 16 columns, then the others.
    unsafe fn interleave(self, other: Self) -> (Self, Self);
    /// `sum + self.second * other.second + self.first * other.first`, in this order, lane by lane.
    unsafe fn dot(self, other: Self, sum: Self) -> Self;
}

/// A computation with pairs that is generic over the path.
pub(crate) trait PairKernel {
    /// Runs on the path `L`. Must be `#[inline(always)]`.
    ///
    /// # Safety
    /// Only called where the instruction set of `L`, also that of its pairs, is available.
    unsafe fn run<L: Pairs>(self);
}

impl Simd {
    /// Whether this machine multiplies pairs of bfloat16 on this path.
    #[must_use]
    pub fn multiplies_pairs(self) -> bool {
        #[cfg(target_arch = "x86_64")]
        {
            self == Self::Avx512 && self.is_available() && is_x86_feature_detected!("avx512bf16")
        }
        #[cfg(not(target_arch = "x86_64"))]
        {
            false
        }
    }

    /// Runs a kernel on this path, or in portable code where the machine does not multiply pairs on it.
    pub(crate) fn run_pairs<K: PairKernel>(self, kernel: K) {
        #[cfg(target_arch = "x86_64")]
        if self.multiplies_pairs() {
            // SAFETY: the features were detected.
            unsafe { super::avx512::run_pairs(kernel) };
            return;
        }
        // SAFETY: the portable path needs nothing.
        unsafe { kernel.run::<Scalar>() }
    }
}

/// The nearest bfloat16, as the instructions round: ties to even, subnormal numbers to 0.
pub(crate) fn round(value: f32) -> u32 {
    let bits = value.to_bits();
    if value.is_nan() {
        return bits >> 16 | 0x40;
    }
    if value.abs() < f32::MIN_POSITIVE {
        return bits >> 31 << 15;
    }
    (bits + 0x7fff + (bits >> 16 & 1)) >> 16
}

impl Pairs for Scalar {
    #[inline(always)]
    unsafe fn pair(first: Self, second: Self) -> Self {
        Self(std::array::from_fn(|lane| f32::from_bits(round(first.0[lane]) | round(second.0[lane]) << 16)))
    }
    #[inline(always)]
    unsafe fn pair_neighbours(low: Self, high: Self) -> Self {
        let at = |index: usize| round(if index < 16 { low.0[index] } else { high.0[index - 16] });
        Self(std::array::from_fn(|lane| f32::from_bits(at(2 * lane) | at(2 * lane + 1) << 16)))
    }
    #[inline(always)]
    unsafe fn halves(low: Self, high: Self) -> Self {
        // SAFETY: the portable path needs nothing.
        unsafe { Self::pair(low, high) }
    }
    #[inline(always)]
    unsafe fn interleave(self, other: Self) -> (Self, Self) {
        let join = |half: fn(u32) -> u32| {
            Self(std::array::from_fn(|lane| {
                f32::from_bits(half(self.0[lane].to_bits()) | half(other.0[lane].to_bits()) << 16)
            }))
        };
        (join(|bits| bits & 0xffff), join(|bits| bits >> 16))
    }
    #[inline(always)]
    unsafe fn dot(self, other: Self, sum: Self) -> Self {
        let parts = |pair: f32| (f32::from_bits(pair.to_bits() << 16), f32::from_bits(pair.to_bits() & 0xffff_0000));
        Self(std::array::from_fn(|lane| {
            let ((a, b), (c, d)) = (parts(self.0[lane]), parts(other.0[lane]));
            a.mul_add(c, b.mul_add(d, sum.0[lane]))
        }))
    }
}
