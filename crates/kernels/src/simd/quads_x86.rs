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
    unsafe fn factors(from: *const i8) -> __m512i {
        _mm512_set1_epi32(from.cast::<i32>().read_unaligned())
    }
    #[inline(always)]
    unsafe fn add(sums: __m512i, line: __m512i, factors: __m512i) -> __m512i {
        _mm512_dpbusd_epi32(sums, line, factors)
    }
    #[inline(always)]
    unsafe fn totals(sums: __m512i) -> [i32; LANES] {
        std::mem::transmute::<__m512i, [i32; LANES]>(sums)
    }
}

/// AVX2: products of words, which no pair of bytes can overflow.
struct Words;

// SAFETY (all methods): see `Quads`.
impl Quads for Words {
    /// Register `i` has two halves of the sums `4 i` to `4 i + 3` each.
    type Sums = [__m256i; 4];
    type Line = [__m256i; 4];
    type Factors = __m256i;
    const TILE: (usize, usize) = (2, 1);

    #[inline(always)]
    unsafe fn zero() -> Self::Sums {
        [_mm256_setzero_si256(); 4]
    }
    #[inline(always)]
    unsafe fn line(from: *const u8) -> Self::Line {
        let mut line = [_mm256_setzero_si256(); 4];
        for (place, part) in line.iter_mut().enumerate() {
            *part = _mm256_cvtepu8_epi16(_mm_loadu_si128(from.add(16 * place).cast()));
        }
        line
    }
    #[inline(always)]
    unsafe fn factors(from: *const i8) -> __m256i {
        _mm256_broadcastq_epi64(_mm_cvtepi8_epi16(_mm_cvtsi32_si128(from.cast::<i32>().read_unaligned())))
    }
    #[inline(always)]
    unsafe fn add(mut sums: Self::Sums, line: Self::Line, factors: __m256i) -> Self::Sums {
        for (sum, line) in sums.iter_mut().zip(line) {
            *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(line, factors));
        }
        sums
    }
    #[inline(always)]
    unsafe fn totals(sums: Self::Sums) -> [i32; LANES] {
        let halves = std::mem::transmute::<Self::Sums, [i32; 2 * LANES]>(sums);
        std::array::from_fn(|lane| halves[2 * lane] + halves[2 * lane + 1])
    }
}
