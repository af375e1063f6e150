//! AVX-512: one register.
#![allow(unsafe_op_in_unsafe_fn, reason = "every line is an intrinsic under the contract of `Lanes`")]
use std::arch::x86_64::*;

use super::{
    Kernel, Lanes, avx2,
    pairs::{PairKernel, Pairs},
};

#[derive(Clone, Copy)]
pub struct Avx512(__m512);

/// # Safety
/// The machine has these features.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,popcnt")]
#[inline(never)]
pub unsafe fn run<K: Kernel>(kernel: K) -> K::Output {
    // SAFETY: the features are on in this function.
    kernel.run::<Avx512>()
}

/// # Safety
/// The machine has these features.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,popcnt,avx512bf16")]
#[inline(never)]
pub(crate) unsafe fn run_pairs<K: PairKernel>(kernel: K) {
    // SAFETY: the features are on in this function.
    kernel.run::<Avx512>();
}

#[inline(always)]
fn first(count: usize) -> __mmask16 {
    ((1u32 << count.min(16)) - 1) as __mmask16
}

/// The sum of the halves.
#[inline(always)]
unsafe fn half(lanes: __m512) -> __m256 {
    _mm256_add_ps(_mm512_castps512_ps256(lanes), _mm512_extractf32x8_ps::<1>(lanes))
}

// SAFETY (all methods): see `Lanes`.
impl Lanes for Avx512 {
    type Mask = __mmask16;
    const ROWS_1: usize = 8;
    const ROWS_2: usize = 12;
    const PANELS: usize = 16;

    #[inline(always)]
    unsafe fn call<K: Kernel>(kernel: K) -> K::Output {
        run(kernel)
    }

    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        Self(_mm512_set1_ps(value))
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        Self(_mm512_loadu_ps(from))
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        _mm512_storeu_ps(to, self.0);
    }
    #[inline(always)]
    unsafe fn load_first(from: *const f32, count: usize) -> Self {
        Self(_mm512_maskz_loadu_ps(first(count), from))
    }
    #[inline(always)]
    unsafe fn store_first(self, to: *mut f32, count: usize) {
        _mm512_mask_storeu_ps(to, first(count), self.0);
    }
    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        Self(_mm512_add_ps(self.0, other.0))
    }
    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        Self(_mm512_sub_ps(self.0, other.0))
    }
    #[inline(always)]
    unsafe fn mul(self, other: Self) -> Self {
        Self(_mm512_mul_ps(self.0, other.0))
    }
    #[inline(always)]
    unsafe fn div(self, other: Self) -> Self {
        Self(_mm512_div_ps(self.0, other.0))
    }
    #[inline(always)]
    unsafe fn fma(self, factor: Self, addend: Self) -> Self {
        Self(_mm512_fmadd_ps(self.0, factor.0, addend.0))
    }
    #[inline(always)]
    unsafe fn max(self, other: Self) -> Self {
        Self(_mm512_max_ps(self.0, other.0))
    }
    #[inline(always)]
    unsafe fn min(self, other: Self) -> Self {
        Self(_mm512_min_ps(self.0, other.0))
    }
    #[inline(always)]
    unsafe fn sqrt(self) -> Self {
        Self(_mm512_sqrt_ps(self.0))
    }
    #[inline(always)]
    unsafe fn abs(self) -> Self {
        Self(_mm512_abs_ps(self.0))
    }
    #[inline(always)]
    unsafe fn round(self) -> Self {
        Self(_mm512_roundscale_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(self.0))
    }
    #[inline(always)]
    unsafe fn exp2_integral(self) -> Self {
        let exponent = _mm512_add_epi32(_mm512_cvtps_epi32(self.0), _mm512_set1_epi32(127));
        Self(_mm512_castsi512_ps(_mm512_slli_epi32::<23>(exponent)))
    }
    #[inline(always)]
    unsafe fn scale(self, n: Self) -> Self {
        Self(_mm512_scalef_ps(self.0, n.0))
    }
    #[inline(always)]
    unsafe fn split(self) -> (Self, Self) {
        let mantissa = _mm512_getmant_ps::<_MM_MANT_NORM_1_2, _MM_MANT_SIGN_SRC>(self.0);
        (Self(_mm512_getexp_ps(self.0)), Self(mantissa))
    }
    #[inline(always)]
    unsafe fn transpose(rows: [Self; 16]) -> [Self; 16] {
        let mut columns = rows;
        // `quads[4 j + c]` holds, in its 128-bit part q, column 4 q + c of rows 4 j to 4 j + 3.
        let mut quads = rows;
        for (rows, quads) in rows.as_chunks::<4>().0.iter().zip(quads.as_chunks_mut::<4>().0) {
            let low = |a: Self, b: Self| _mm512_castps_pd(_mm512_unpacklo_ps(a.0, b.0));
            let high = |a: Self, b: Self| _mm512_castps_pd(_mm512_unpackhi_ps(a.0, b.0));
            let (a, b) = (low(rows[0], rows[1]), low(rows[2], rows[3]));
            let (c, d) = (high(rows[0], rows[1]), high(rows[2], rows[3]));
            quads[0] = Self(_mm512_castpd_ps(_mm512_unpacklo_pd(a, b)));
            quads[1] = Self(_mm512_castpd_ps(_mm512_unpackhi_pd(a, b)));
            quads[2] = Self(_mm512_castpd_ps(_mm512_unpacklo_pd(c, d)));
            quads[3] = Self(_mm512_castpd_ps(_mm512_unpackhi_pd(c, d)));
        }
        for c in 0..4 {
            let even = |j: usize| _mm512_shuffle_f32x4::<0x88>(quads[j + c].0, quads[j + 4 + c].0);
            let odd = |j: usize| _mm512_shuffle_f32x4::<0xdd>(quads[j + c].0, quads[j + 4 + c].0);
            let (a, b) = (even(0), even(8));
            let (d, e) = (odd(0), odd(8));
            columns[c] = Self(_mm512_shuffle_f32x4::<0x88>(a, b));
            columns[4 + c] = Self(_mm512_shuffle_f32x4::<0x88>(d, e));
            columns[8 + c] = Self(_mm512_shuffle_f32x4::<0xdd>(a, b));
            columns[12 + c] = Self(_mm512_shuffle_f32x4::<0xdd>(d, e));
        }
        columns
    }
    #[inline(always)]
    unsafe fn swap_neighbours(self) -> Self {
        Self(_mm512_permute_ps::<0b10_11_00_01>(self.0))
    }
    #[inline(always)]
    unsafe fn nonzeros(self, places: *const u32, values: *mut f32, chosen: *mut u32) -> usize {
        let mask = _mm512_cmp_ps_mask::<_CMP_NEQ_UQ>(self.0, _mm512_setzero_ps());
        // Compressed in a register: straight to memory it is many times slower on Zen 4.
        _mm512_storeu_ps(values, _mm512_maskz_compress_ps(mask, self.0));
        _mm512_storeu_si512(chosen.cast(), _mm512_maskz_compress_epi32(mask, _mm512_loadu_si512(places.cast())));
        mask.count_ones() as usize
    }
    #[inline(always)]
    unsafe fn spread(self, from: *const f32) -> (Self, usize) {
        let mask = _mm512_cmp_ps_mask::<_CMP_NEQ_UQ>(self.0, _mm512_setzero_ps());
        (Self(_mm512_maskz_expand_ps(mask, _mm512_loadu_ps(from))), mask.count_ones() as usize)
    }
    #[inline(always)]
    unsafe fn sums(four: [Self; 4]) -> [f32; 4] {
        let [a, b, c, d] = four;
        avx2::sums([half(a.0), half(b.0), half(c.0), half(d.0)])
    }
    #[inline(always)]
    unsafe fn less(self, other: Self) -> __mmask16 {
        _mm512_cmp_ps_mask::<_CMP_LT_OQ>(self.0, other.0)
    }
    #[inline(always)]
    unsafe fn mask_from_bits(bits: u16) -> __mmask16 {
        bits
    }
    #[inline(always)]
    unsafe fn select(self, mask: __mmask16, other: Self) -> Self {
        Self(_mm512_mask_blend_ps(mask, other.0, self.0))
    }
}

/// The bits of a register as what the instructions of bfloat16 take.
#[inline(always)]
unsafe fn pairs(lanes: Avx512) -> __m512bh {
    // SAFETY: both are 512 bits of any value.
    unsafe { std::mem::transmute::<__m512, __m512bh>(lanes.0) }
}

// SAFETY (all methods): see `Pairs`.
impl Pairs for Avx512 {
    #[inline(always)]
    unsafe fn pair(first: Self, second: Self) -> Self {
        // The sixteen of `first`, then those of `second`: they take turns instead.
        let order: [u16; 32] = std::array::from_fn(|index| (index / 2 + index % 2 * 16) as u16);
        let order = _mm512_loadu_si512(order.as_ptr().cast());
        let halves = std::mem::transmute::<__m512bh, __m512i>(_mm512_cvtne2ps_pbh(second.0, first.0));
        Self(_mm512_castsi512_ps(_mm512_permutexvar_epi16(order, halves)))
    }
    #[inline(always)]
    unsafe fn pair_neighbours(low: Self, high: Self) -> Self {
        Self(std::mem::transmute::<__m512bh, __m512>(_mm512_cvtne2ps_pbh(high.0, low.0)))
    }
    #[inline(always)]
    unsafe fn halves(low: Self, high: Self) -> Self {
        // Four columns each of `low` and `high` in turn: unpacking joins those of the same 128 bits.
        let order = _mm512_set_epi64(7, 3, 6, 2, 5, 1, 4, 0);
        let halves = std::mem::transmute::<__m512bh, __m512i>(_mm512_cvtne2ps_pbh(high.0, low.0));
        Self(_mm512_castsi512_ps(_mm512_permutexvar_epi64(order, halves)))
    }
    #[inline(always)]
    unsafe fn interleave(self, other: Self) -> (Self, Self) {
        let (first, second) = (_mm512_castps_si512(self.0), _mm512_castps_si512(other.0));
        let [low, high] = [_mm512_unpacklo_epi16(first, second), _mm512_unpackhi_epi16(first, second)];
        (Self(_mm512_castsi512_ps(low)), Self(_mm512_castsi512_ps(high)))
    }
    #[inline(always)]
    unsafe fn dot(self, other: Self, sum: Self) -> Self {
        Self(_mm512_dpbf16_ps(sum.0, pairs(self), pairs(other)))
    }
}
