//! NEON: four registers. Written by the book, not run on any machine so far.
#![allow(unsafe_op_in_unsafe_fn, reason = "every line is an intrinsic under the contract of `Lanes`")]
use std::{arch::aarch64::*, array::from_fn};

use super::{Kernel, Lanes};

#[derive(Clone, Copy)]
pub struct Neon([float32x4_t; 4]);

/// # Safety
/// The machine has NEON.
#[target_feature(enable = "neon")]
#[inline(never)]
pub unsafe fn run<K: Kernel>(kernel: K) -> K::Output {
    // SAFETY: the feature is on in this function.
    kernel.run::<Neon>()
}

// SAFETY (all methods): see `Lanes`.
impl Lanes for Neon {
    type Mask = [uint32x4_t; 4];
    const ROWS_1: usize = 6;
    const ROWS_2: usize = 0;
    const PANELS: usize = 6;

    #[inline(always)]
    unsafe fn call<K: Kernel>(kernel: K) -> K::Output {
        run(kernel)
    }

    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        Self([vdupq_n_f32(value); 4])
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        Self(from_fn(|part| vld1q_f32(from.add(part * 4))))
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        for part in 0..4 {
            vst1q_f32(to.add(part * 4), self.0[part]);
        }
    }
    #[inline(always)]
    unsafe fn load_first(from: *const f32, count: usize) -> Self {
        let mut lanes = [0.0; 16];
        std::ptr::copy_nonoverlapping(from, lanes.as_mut_ptr(), count.min(16));
        Self::load(lanes.as_ptr())
    }
    #[inline(always)]
    unsafe fn store_first(self, to: *mut f32, count: usize) {
        let mut lanes = [0.0; 16];
        self.store(lanes.as_mut_ptr());
        std::ptr::copy_nonoverlapping(lanes.as_ptr(), to, count.min(16));
    }
    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        Self(from_fn(|part| vaddq_f32(self.0[part], other.0[part])))
    }
    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        Self(from_fn(|part| vsubq_f32(self.0[part], other.0[part])))
    }
    #[inline(always)]
    unsafe fn mul(self, other: Self) -> Self {
        Self(from_fn(|part| vmulq_f32(self.0[part], other.0[part])))
    }
    #[inline(always)]
    unsafe fn div(self, other: Self) -> Self {
        Self(from_fn(|part| vdivq_f32(self.0[part], other.0[part])))
    }
    #[inline(always)]
    unsafe fn fma(self, factor: Self, addend: Self) -> Self {
        Self(from_fn(|part| vfmaq_f32(addend.0[part], self.0[part], factor.0[part])))
    }
    #[inline(always)]
    unsafe fn max(self, other: Self) -> Self {
        Self(from_fn(|part| vbslq_f32(vcgtq_f32(self.0[part], other.0[part]), self.0[part], other.0[part])))
    }
    #[inline(always)]
    unsafe fn min(self, other: Self) -> Self {
        Self(from_fn(|part| vbslq_f32(vcltq_f32(self.0[part], other.0[part]), self.0[part], other.0[part])))
    }
    #[inline(always)]
    unsafe fn sqrt(self) -> Self {
        Self(from_fn(|part| vsqrtq_f32(self.0[part])))
    }
    #[inline(always)]
    unsafe fn abs(self) -> Self {
        Self(from_fn(|part| vabsq_f32(self.0[part])))
    }
    #[inline(always)]
    unsafe fn round(self) -> Self {
        Self(from_fn(|part| vrndnq_f32(self.0[part])))
    }
    #[inline(always)]
    unsafe fn exp2_integral(self) -> Self {
        Self(from_fn(|part| {
            let exponent = vaddq_s32(vcvtq_s32_f32(self.0[part]), vdupq_n_s32(127));
            vreinterpretq_f32_s32(vshlq_n_s32::<23>(exponent))
        }))
    }
    #[inline(always)]
    unsafe fn split(self) -> (Self, Self) {
        let exponent = |part: usize| {
            let bits = vreinterpretq_s32_f32(self.0[part]);
            vcvtq_f32_s32(vsubq_s32(vshrq_n_s32::<23>(bits), vdupq_n_s32(127)))
        };
        let mantissa = |part: usize| {
            let fraction = vandq_s32(vreinterpretq_s32_f32(self.0[part]), vdupq_n_s32(0x7f_ffff));
            vreinterpretq_f32_s32(vorrq_s32(fraction, vdupq_n_s32(0x3f80_0000)))
        };
        (Self(from_fn(exponent)), Self(from_fn(mantissa)))
    }
    #[inline(always)]
    unsafe fn less(self, other: Self) -> Self::Mask {
        from_fn(|part| vcltq_f32(self.0[part], other.0[part]))
    }
    #[inline(always)]
    unsafe fn mask_from_bits(bits: u16) -> Self::Mask {
        let flags = vld1q_u32([1, 2, 4, 8].as_ptr());
        from_fn(|part| vtstq_u32(vdupq_n_u32(u32::from(bits) >> (part * 4)), flags))
    }
    #[inline(always)]
    unsafe fn select(self, mask: Self::Mask, other: Self) -> Self {
        Self(from_fn(|part| vbslq_f32(mask[part], self.0[part], other.0[part])))
    }
}
