//! AVX2 with FMA: two registers.
#![allow(unsafe_op_in_unsafe_fn, reason = "every line is an intrinsic under the contract of `Lanes`")]
use std::arch::x86_64::*;

use super::{Kernel, Lanes, Strip, avx2_strip};

#[derive(Clone, Copy)]
pub struct Avx2(pub(super) __m256, pub(super) __m256);

/// # Safety
/// The machine has these features.
#[target_feature(enable = "avx2,fma,popcnt")]
#[inline(never)]
pub unsafe fn run<K: Kernel>(kernel: K) -> K::Output {
    // SAFETY: the features are on in this function.
    kernel.run::<Avx2>()
}

/// Lane flags for the first `count` of 16 lanes, as two registers.
#[inline(always)]
unsafe fn first(count: usize) -> (__m256i, __m256i) {
    let index = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    let count = count.min(16) as i32;
    (_mm256_cmpgt_epi32(_mm256_set1_epi32(count), index), _mm256_cmpgt_epi32(_mm256_set1_epi32(count - 8), index))
}

#[inline(always)]
unsafe fn exp2(n: __m256) -> __m256 {
    let exponent = _mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127));
    _mm256_castsi256_ps(_mm256_slli_epi32::<23>(exponent))
}

#[inline(always)]
unsafe fn split(x: __m256) -> (__m256, __m256) {
    let bits = _mm256_castps_si256(x);
    let exponent = _mm256_sub_epi32(_mm256_srli_epi32::<23>(bits), _mm256_set1_epi32(127));
    let fraction = _mm256_and_si256(bits, _mm256_set1_epi32(0x7f_ffff));
    let mantissa = _mm256_or_si256(fraction, _mm256_set1_epi32(0x3f80_0000));
    (_mm256_cvtepi32_ps(exponent), _mm256_castsi256_ps(mantissa))
}

/// Which lanes are set in each number of 8 bits, in ascending order; the rest is 0.
static CHOSEN: [[u8; 8]; 256] = {
    let mut chosen = [[0; 8]; 256];
    let mut bits = 0;
    while bits < 256 {
        let (mut lane, mut count) = (0, 0);
        while lane < 8 {
            if bits >> lane & 1 == 1 {
                chosen[bits][count] = lane as u8;
                count += 1;
            }
            lane += 1;
        }
        bits += 1;
    }
    chosen
};

/// [`Lanes::nonzeros`] of 8 lanes.
#[inline(always)]
unsafe fn nonzeros(lanes: __m256, places: *const u32, values: *mut f32, chosen: *mut u32) -> usize {
    let bits = _mm256_movemask_ps(_mm256_cmp_ps::<_CMP_NEQ_UQ>(lanes, _mm256_setzero_ps())) as u8;
    let order = _mm256_cvtepu8_epi32(_mm_loadl_epi64(CHOSEN[usize::from(bits)].as_ptr().cast()));
    _mm256_storeu_ps(values, _mm256_permutevar8x32_ps(lanes, order));
    let places = _mm256_loadu_si256(places.cast());
    _mm256_storeu_si256(chosen.cast(), _mm256_permutevar8x32_epi32(places, order));
    bits.count_ones() as usize
}

/// [`Lanes::sums`] of four sums of halves.
#[inline(always)]
pub(super) unsafe fn sums(four: [__m256; 4]) -> [f32; 4] {
    let [a, b, c, d] = four;
    let ab = _mm256_add_ps(_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b));
    let cd = _mm256_add_ps(_mm256_unpacklo_ps(c, d), _mm256_unpackhi_ps(c, d));
    let quarters = _mm256_add_ps(_mm256_shuffle_ps::<0x44>(ab, cd), _mm256_shuffle_ps::<0xee>(ab, cd));
    let mut sums = [0.0; 4];
    let all = _mm_add_ps(_mm256_castps256_ps128(quarters), _mm256_extractf128_ps::<1>(quarters));
    _mm_storeu_ps(sums.as_mut_ptr(), all);
    sums
}

/// The transpose of 8 rows of 8.
#[inline(always)]
unsafe fn transpose(rows: [__m256; 8]) -> [__m256; 8] {
    let mut quads = rows;
    for (rows, quads) in rows.as_chunks::<4>().0.iter().zip(quads.as_chunks_mut::<4>().0) {
        let (a, b) = (_mm256_unpacklo_ps(rows[0], rows[1]), _mm256_unpacklo_ps(rows[2], rows[3]));
        let (c, d) = (_mm256_unpackhi_ps(rows[0], rows[1]), _mm256_unpackhi_ps(rows[2], rows[3]));
        quads[0] = _mm256_shuffle_ps::<0x44>(a, b);
        quads[1] = _mm256_shuffle_ps::<0xee>(a, b);
        quads[2] = _mm256_shuffle_ps::<0x44>(c, d);
        quads[3] = _mm256_shuffle_ps::<0xee>(c, d);
    }
    let mut columns = rows;
    for c in 0..4 {
        columns[c] = _mm256_permute2f128_ps::<0x20>(quads[c], quads[4 + c]);
        columns[4 + c] = _mm256_permute2f128_ps::<0x31>(quads[c], quads[4 + c]);
    }
    columns
}

// SAFETY (all methods): see `Lanes`.
impl Lanes for Avx2 {
    type Mask = (__m256, __m256);
    const ROWS_1: usize = 6;
    const ROWS_2: usize = 0;
    const PANELS: usize = 6;

    #[inline(always)]
    unsafe fn call<K: Kernel>(kernel: K) -> K::Output {
        run(kernel)
    }

    #[inline(always)]
    unsafe fn strip<const R: usize, const P: usize>(sums: &mut [[Self; P]; R], strip: Strip) {
        let done = avx2_strip::rounds(sums, strip);
        strip.skip(done).accumulate::<Self, R, P>(sums, |address| Self::load(address));
    }

    #[inline(always)]
    unsafe fn blocks<const R: usize, const P: usize>(
        sums: &mut [[Self; P]; R],
        strip: Strip,
        blocks: usize,
        stride: usize,
    ) -> bool {
        avx2_strip::blocks(sums, strip, blocks, stride)
    }

    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        let value = _mm256_set1_ps(value);
        Self(value, value)
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        Self(_mm256_loadu_ps(from), _mm256_loadu_ps(from.add(8)))
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        _mm256_storeu_ps(to, self.0);
        _mm256_storeu_ps(to.add(8), self.1);
    }
    #[inline(always)]
    unsafe fn load_first(from: *const f32, count: usize) -> Self {
        let (low, high) = first(count);
        Self(_mm256_maskload_ps(from, low), _mm256_maskload_ps(from.wrapping_add(8), high))
    }
    #[inline(always)]
    unsafe fn store_first(self, to: *mut f32, count: usize) {
        let (low, high) = first(count);
        _mm256_maskstore_ps(to, low, self.0);
        _mm256_maskstore_ps(to.wrapping_add(8), high, self.1);
    }
    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        Self(_mm256_add_ps(self.0, other.0), _mm256_add_ps(self.1, other.1))
    }
    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        Self(_mm256_sub_ps(self.0, other.0), _mm256_sub_ps(self.1, other.1))
    }
    #[inline(always)]
    unsafe fn mul(self, other: Self) -> Self {
        Self(_mm256_mul_ps(self.0, other.0), _mm256_mul_ps(self.1, other.1))
    }
    #[inline(always)]
    unsafe fn div(self, other: Self) -> Self {
        Self(_mm256_div_ps(self.0, other.0), _mm256_div_ps(self.1, other.1))
    }
    #[inline(always)]
    unsafe fn fma(self, factor: Self, addend: Self) -> Self {
        Self(_mm256_fmadd_ps(self.0, factor.0, addend.0), _mm256_fmadd_ps(self.1, factor.1, addend.1))
    }
    #[inline(always)]
    unsafe fn max(self, other: Self) -> Self {
        Self(_mm256_max_ps(self.0, other.0), _mm256_max_ps(self.1, other.1))
    }
    #[inline(always)]
    unsafe fn min(self, other: Self) -> Self {
        Self(_mm256_min_ps(self.0, other.0), _mm256_min_ps(self.1, other.1))
    }
    #[inline(always)]
    unsafe fn sqrt(self) -> Self {
        Self(_mm256_sqrt_ps(self.0), _mm256_sqrt_ps(self.1))
    }
    #[inline(always)]
    unsafe fn abs(self) -> Self {
        let sign = _mm256_set1_ps(-0.0);
        Self(_mm256_andnot_ps(sign, self.0), _mm256_andnot_ps(sign, self.1))
    }
    #[inline(always)]
    unsafe fn round(self) -> Self {
        Self(
            _mm256_round_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(self.0),
            _mm256_round_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(self.1),
        )
    }
    #[inline(always)]
    unsafe fn exp2_integral(self) -> Self {
        Self(exp2(self.0), exp2(self.1))
    }
    #[inline(always)]
    unsafe fn split(self) -> (Self, Self) {
        let (low, high) = (split(self.0), split(self.1));
        (Self(low.0, high.0), Self(low.1, high.1))
    }
    #[inline(always)]
    unsafe fn transpose(rows: [Self; 16]) -> [Self; 16] {
        let block = |first: usize, low: bool| {
            std::array::from_fn(|row| if low { rows[first + row].0 } else { rows[first + row].1 })
        };
        let (a, b) = (transpose(block(0, true)), transpose(block(8, true)));
        let (c, d) = (transpose(block(0, false)), transpose(block(8, false)));
        std::array::from_fn(|row| if row < 8 { Self(a[row], b[row]) } else { Self(c[row - 8], d[row - 8]) })
    }
    #[inline(always)]
    unsafe fn nonzeros(self, places: *const u32, values: *mut f32, chosen: *mut u32) -> usize {
        let low = nonzeros(self.0, places, values, chosen);
        low + nonzeros(self.1, places.add(8), values.add(low), chosen.add(low))
    }
    #[inline(always)]
    unsafe fn sums(four: [Self; 4]) -> [f32; 4] {
        let [a, b, c, d] = four;
        sums([_mm256_add_ps(a.0, a.1), _mm256_add_ps(b.0, b.1), _mm256_add_ps(c.0, c.1), _mm256_add_ps(d.0, d.1)])
    }
    #[inline(always)]
    unsafe fn less(self, other: Self) -> Self::Mask {
        (_mm256_cmp_ps::<_CMP_LT_OQ>(self.0, other.0), _mm256_cmp_ps::<_CMP_LT_OQ>(self.1, other.1))
    }
    #[inline(always)]
    unsafe fn mask_from_bits(bits: u16) -> Self::Mask {
        let flags = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
        let expand = |bits: i32| {
            let hit = _mm256_and_si256(_mm256_set1_epi32(bits), flags);
            _mm256_castsi256_ps(_mm256_cmpeq_epi32(hit, flags))
        };
        (expand(i32::from(bits & 0xff)), expand(i32::from(bits >> 8)))
    }
    #[inline(always)]
    unsafe fn select(self, mask: Self::Mask, other: Self) -> Self {
        Self(_mm256_blendv_ps(other.0, self.0, mask.0), _mm256_blendv_ps(other.1, self.1, mask.1))
    }
}
