//! Products of bytes on x86-64.
#![allow(unsafe_op_in_unsafe_fn, reason = "every line is an intrinsic under the contract of `Quads`")]
use std::arch::x86_64::*;

use super::{
    LANES,
    quads::{QuadKernel, Quads},
};

/// # Safety
/// The machine has these features.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma")]
#[inline(never)]
pub(super) unsafe fn run_512<K: QuadKernel>(kernel: K) {
    // SAFETY: the features are on in this function.
    kernel.run::<Vnni>();
}

/// # Safety
/// The machine has these features.
#[target_feature(enable = "avx2,fma")]
#[inline(never)]
pub(super) unsafe fn run_256<K: QuadKernel>(kernel: K) {
    // SAFETY: the features are on in this function.
    kernel.run::<Words>();
}

/// AVX-512 with its instruction for four products of bytes.
struct Vnni;

// SAFETY (all methods): see `Quads`.
impl Quads for Vnni {
    type Sums = __m512i;
    type Line = __m512i;
    type Factors = __m512i;
    type Number = i8;
    const PARTS: usize = 1;
    const TILE: (usize, usize) = (6, 4);

    #[inline(always)]
    unsafe fn zero() -> __m512i {
        _mm512_setzero_si512()
    }
    #[inline(always)]
    unsafe fn line(from: *const u8) -> __m512i {
        _mm512_loadu_si512(from.cast())
    }
    #[inline(always)]
    unsafe fn numbers<'a>(bytes: &'a [i8], _: &'a mut Vec<i8>) -> &'a [i8] {
        bytes
    }
    #[inline(always)]
    unsafe fn factors(from: *const i8) -> __m512i {
        _mm512_set1_epi32(from.cast::<i32>().read_unaligned())
    }
    #[inline(always)]
    unsafe fn add(sums: __m512i, line: __m512i, factors: __m512i) -> __m512i {
        _mm512_dpbusd_epi32(sums, line, factors)
    }
    #[inline(always)]
    unsafe fn totals(sums: __m512i, totals: &mut [i32]) {
        totals[..LANES].copy_from_slice(&std::mem::transmute::<__m512i, [i32; LANES]>(sums));
    }
}

/// AVX2: products of words, which no pair of bytes can overflow.
struct Words;

// SAFETY (all methods): see `Quads`.
impl Quads for Words {
    /// Register `i` has two halves of the sums `4 i` to `4 i + 3` each.
    type Sums = [__m256i; 2];
    type Line = [__m256i; 2];
    type Factors = __m256i;
    /// Widened once, where they are bytes.
    type Number = i16;
    /// Halves: with six rows their sums fill twelve of sixteen registers.
    const PARTS: usize = 2;
    const TILE: (usize, usize) = (6, 1);

    #[inline(always)]
    unsafe fn zero() -> Self::Sums {
        [_mm256_setzero_si256(); 2]
    }
    #[inline(always)]
    unsafe fn line(from: *const u8) -> Self::Line {
        let low = _mm256_cvtepu8_epi16(_mm_loadu_si128(from.cast()));
        let high = _mm256_cvtepu8_epi16(_mm_loadu_si128(from.add(16).cast()));
        [low, high]
    }
    #[inline(always)]
    unsafe fn numbers<'a>(bytes: &'a [i8], room: &'a mut Vec<i16>) -> &'a [i16] {
        room.clear();
        room.extend(bytes.iter().map(|&byte| i16::from(byte)));
        room
    }
    #[inline(always)]
    unsafe fn factors(from: *const i16) -> __m256i {
        _mm256_set1_epi64x(from.cast::<i64>().read_unaligned())
    }
    #[inline(always)]
    unsafe fn add(mut sums: Self::Sums, line: Self::Line, factors: __m256i) -> Self::Sums {
        sums[0] = _mm256_add_epi32(sums[0], _mm256_madd_epi16(line[0], factors));
        sums[1] = _mm256_add_epi32(sums[1], _mm256_madd_epi16(line[1], factors));
        sums
    }
    #[inline(always)]
    unsafe fn totals(sums: Self::Sums, totals: &mut [i32]) {
        let halves = std::mem::transmute::<Self::Sums, [i32; LANES]>(sums);
        for (total, two) in totals.iter_mut().zip(halves.as_chunks::<2>().0) {
            *total = two[0] + two[1];
        }
    }
}
