//! Products of numbers of 8 bits, four of each sum at a time, with sums in 32 bits: exact, so that every path gives the same.
use super::{LANES, Simd};

/// Bytes that a step of sixteen sums reads of the right factor: four for each.
pub(crate) const LINE: usize = 4 * LANES;

/// Sums of products of signed with unsigned bytes, of a panel or one of its [`Quads::PARTS`].
///
/// # Safety
/// Methods may only be called from a [`QuadKernel`]; pointers must be readable as far as they say.
#[allow(clippy::missing_safety_doc, reason = "one contract for all methods, stated above")]
pub(crate) trait Quads {
    /// The sums of a part.
    type Sums: Copy;
    /// Four unsigned factors of each sum.
    type Line: Copy;
    /// Four signed factors, for all sums.
    type Factors: Copy;
    /// A signed factor as it is read.
    type Number: Copy;
    /// Parts of a panel of sixteen sums that are summed one after the other.
    const PARTS: usize;
    /// Rows and panels whose sums the registers hold.
    const TILE: (usize, usize);

    /// All zero.
    unsafe fn zero() -> Self::Sums;
    /// [`LINE`]` / PARTS` bytes; four for each sum.
    unsafe fn line(from: *const u8) -> Self::Line;
    /// Room for numbers, and as they are read.
    unsafe fn numbers<'a>(bytes: &'a [i8], room: &'a mut Vec<Self::Number>) -> &'a [Self::Number];
    /// Four numbers.
    unsafe fn factors(from: *const Self::Number) -> Self::Factors;
    /// Adds the four products of each sum.
    unsafe fn add(sums: Self::Sums, line: Self::Line, factors: Self::Factors) -> Self::Sums;
    /// The sums, into the first `LANES / PARTS` of `totals`.
    unsafe fn totals(sums: Self::Sums, totals: &mut [i32]);
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
    type Number = i8;
    const PARTS: usize = 1;
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
    unsafe fn numbers<'a>(bytes: &'a [i8], _: &'a mut Vec<i8>) -> &'a [i8] {
        bytes
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
    unsafe fn totals(sums: Self::Sums, totals: &mut [i32]) {
        totals[..LANES].copy_from_slice(&sums);
    }
}
