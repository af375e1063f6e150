//! Products of numbers of 8 bits, four of each sum at a time, with sums in 32 bits: exact, so that every path gives the same.
use super::{LANES, Simd};

/// Bytes that a step of sixteen sums reads of the right factor: four for each.
pub(crate) const LINE: usize = 4 * LANES;

/// Sixteen sums of products of signed with unsigned bytes.
///
/// # Safety
/// Methods may only be called from a [`QuadKernel`]; pointers must be readable as far as they say.
#[allow(clippy::missing_safety_doc, reason = "one contract for all methods, stated above")]
pub(crate) trait Quads {
    /// Sixteen sums.
    type Sums: Copy;
    /// Sixteen times four unsigned factors.
    type Line: Copy;
    /// Four signed factors, for all of the sixteen sums.
    type Factors: Copy;
    /// Rows and panels of sixteen sums that the registers hold.
    const TILE: (usize, usize);

    /// All zero.
    unsafe fn zero() -> Self::Sums;
    /// [`LINE`] bytes; four for each sum.
    unsafe fn line(from: *const u8) -> Self::Line;
    /// Four bytes.
    unsafe fn factors(from: *const i8) -> Self::Factors;
    /// Adds the four products of each sum.
    unsafe fn add(sums: Self::Sums, line: Self::Line, factors: Self::Factors) -> Self::Sums;
    /// The sums.
    unsafe fn totals(sums: Self::Sums) -> [i32; LANES];
}

/// A computation with bytes that is generic over the path.
pub(crate) trait QuadKernel {
    /// Runs on the path `Q`. Must be `#[inline(always)]`.
    ///
    /// # Safety
    /// Only called where the instruction set of `Q` is available.
    unsafe fn run<Q: Quads>(self);
}

impl Simd {
    /// Runs a kernel on this path: with the instructions for bytes of AVX-512 where the machine has them, else with those of AVX2.
    pub(crate) fn run_quads<K: QuadKernel>(self, kernel: K) {
        #[cfg(target_arch = "x86_64")]
        match self {
            // SAFETY: the features were detected.
            Self::Avx512 if self.is_available() && is_x86_feature_detected!("avx512vnni") => unsafe {
                return super::quads_x86::run_512(kernel);
            },
            // SAFETY: the features were detected.
            Self::Avx512 | Self::Avx2 if Self::Avx2.is_available() => unsafe {
                return super::quads_x86::run_256(kernel);
            },
            _ => {}
        }
        // SAFETY: the portable path needs nothing.
        unsafe { kernel.run::<Portable>() }
    }
}

/// The path without instructions of its own.
pub(crate) struct Portable;

// SAFETY (all methods): see `Quads`.
impl Quads for Portable {
    type Sums = [i32; LANES];
    type Line = [u8; LINE];
    type Factors = [i8; 4];
    const TILE: (usize, usize) = (1, 1);

    #[inline(always)]
    unsafe fn zero() -> Self::Sums {
        [0; LANES]
    }
    #[inline(always)]
    unsafe fn line(from: *const u8) -> Self::Line {
        // SAFETY: the caller vouches for the bytes, which need no alignment.
        unsafe { from.cast::<Self::Line>().read_unaligned() }
    }
    #[inline(always)]
    unsafe fn factors(from: *const i8) -> Self::Factors {
        // SAFETY: as above.
        unsafe { from.cast::<Self::Factors>().read_unaligned() }
    }
    #[inline(always)]
    unsafe fn add(mut sums: Self::Sums, line: Self::Line, factors: Self::Factors) -> Self::Sums {
        for (sum, four) in sums.iter_mut().zip(line.as_chunks::<4>().0) {
            *sum += four.iter().zip(factors).map(|(&line, factor)| i32::from(line) * i32::from(factor)).sum::<i32>();
        }
        sums
    }
    #[inline(always)]
    unsafe fn totals(sums: Self::Sums) -> [i32; LANES] {
        sums
    }
}
