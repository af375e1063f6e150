//! The portable path: an array that the compiler may vectorise.
use super::{Kernel, LANES, Lanes};

#[derive(Clone, Copy)]
pub struct Scalar(pub(super) [f32; LANES]);

macro_rules! lanewise {
    ($self:ident, $other:ident, $expression:expr) => {{
        let operation: fn(f32, f32) -> f32 = $expression;
        Self(std::array::from_fn(|lane| operation($self.0[lane], $other.0[lane])))
    }};
}

impl Lanes for Scalar {
    type Mask = u16;
    const ROWS_1: usize = 4;
    const ROWS_2: usize = 0;
    const PANELS: usize = 1;

    #[inline(never)]
    unsafe fn call<K: Kernel>(kernel: K) -> K::Output {
        // SAFETY: the portable path needs nothing.
        unsafe { kernel.run::<Self>() }
    }

    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        Self([value; LANES])
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: the caller vouches for 16 readable floats.
        Self(unsafe { from.cast::<[f32; LANES]>().read_unaligned() })
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: the caller vouches for 16 writable floats.
        unsafe { to.cast::<[f32; LANES]>().write_unaligned(self.0) }
    }
    #[inline(always)]
    unsafe fn load_first(from: *const f32, count: usize) -> Self {
        // SAFETY: the caller vouches for `count` readable floats.
        Self(std::array::from_fn(|lane| if lane < count { unsafe { *from.add(lane) } } else { 0.0 }))
    }
    #[inline(always)]
    unsafe fn store_first(self, to: *mut f32, count: usize) {
        for lane in 0..count.min(LANES) {
            // SAFETY: the caller vouches for `count` writable floats.
            unsafe { *to.add(lane) = self.0[lane] };
        }
    }
    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        lanewise!(self, other, |a, b| a + b)
    }
    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        lanewise!(self, other, |a, b| a - b)
    }
    #[inline(always)]
    unsafe fn mul(self, other: Self) -> Self {
        lanewise!(self, other, |a, b| a * b)
    }
    #[inline(always)]
    unsafe fn div(self, other: Self) -> Self {
        lanewise!(self, other, |a, b| a / b)
    }
    #[inline(always)]
    unsafe fn fma(self, factor: Self, addend: Self) -> Self {
        Self(std::array::from_fn(|lane| {
            // The product of two f32 is exact in f64; the sum is rounded there once more, in all but a few cases to the
            // same f32 as a fused operation, at a fraction of the cost of libm's.
            (f64::from(self.0[lane]) * f64::from(factor.0[lane]) + f64::from(addend.0[lane])) as f32
        }))
    }
    #[inline(always)]
    unsafe fn max(self, other: Self) -> Self {
        lanewise!(self, other, |a, b| if a > b { a } else { b })
    }
    #[inline(always)]
    unsafe fn min(self, other: Self) -> Self {
        lanewise!(self, other, |a, b| if a < b { a } else { b })
    }
    #[inline(always)]
    unsafe fn sqrt(self) -> Self {
        Self(self.0.map(f32::sqrt))
    }
    #[inline(always)]
    unsafe fn abs(self) -> Self {
        Self(self.0.map(f32::abs))
    }
    #[inline(always)]
    unsafe fn round(self) -> Self {
        Self(self.0.map(f32::round_ties_even))
    }
    #[inline(always)]
    unsafe fn exp2_integral(self) -> Self {
        Self(self.0.map(|n| f32::from_bits(((n as i32 + 127) as u32) << 23)))
    }
    #[inline(always)]
    unsafe fn split(self) -> (Self, Self) {
        let exponent = |x: f32| (x.to_bits() >> 23) as i32 as f32 - 127.0;
        let mantissa = |x: f32| f32::from_bits(x.to_bits() & 0x7f_ffff | 0x3f80_0000);
        (Self(self.0.map(exponent)), Self(self.0.map(mantissa)))
    }
    #[inline(always)]
    unsafe fn less(self, other: Self) -> u16 {
        (0..LANES).fold(0, |bits, lane| bits | (u16::from(self.0[lane] < other.0[lane]) << lane))
    }
    #[inline(always)]
    unsafe fn mask_from_bits(bits: u16) -> u16 {
        bits
    }
    #[inline(always)]
    unsafe fn select(self, mask: u16, other: Self) -> Self {
        Self(std::array::from_fn(|lane| if mask >> lane & 1 == 1 { self.0[lane] } else { other.0[lane] }))
    }
}
