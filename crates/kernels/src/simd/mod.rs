//! Sixteen lanes of `f32` as the unit of all kernels, and the choice of the instruction set at run time.
//!
//! A kernel is written once, generic over [`Lanes`], as a [`Kernel`]; [`Simd::run`] calls it inside a function that has
//! the instruction set switched on. Everything on the way must be `#[inline(always)]`, or the instructions become calls.
#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx2_strip;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "aarch64")]
mod neon;
pub(crate) mod pairs;
pub(crate) mod quads;
#[cfg(target_arch = "x86_64")]
mod quads_x86;
mod scalar;

/// Lanes of a [`Lanes`] value on every path.
pub const LANES: usize = 16;

/// Sixteen `f32` lanes: one register (AVX-512), two (AVX2), four (NEON) or an array (scalar).
///
/// # Safety
/// Methods may only be called where the instruction set of the implementation is available, which [`Simd::run`] sees to.
#[allow(clippy::missing_safety_doc, reason = "one contract for all methods, stated above")]
pub trait Lanes: Copy + 'static {
    /// Result of a comparison, a flag a lane.
    type Mask: Copy;
    /// Rows of a register tile that is one `Lanes` wide.
    const ROWS_1: usize;
    /// Rows of a register tile that is two `Lanes` wide (0: do not use).
    const ROWS_2: usize;
    /// Most sums of a row, side by side, that have room in the registers.
    const PANELS: usize;

    /// Runs a kernel on this path as a function of its own, for what is large and used in many places.
    unsafe fn call<K: Kernel>(kernel: K) -> K::Output;
    /// `sums[r][p] += sum_k left(r, k) * right(k, p)` with fused multiply-adds in ascending `k`.
    #[inline(always)]
    unsafe fn strip<const R: usize, const P: usize>(sums: &mut [[Self; P]; R], strip: Strip) {
        // SAFETY: the caller vouches for the strip and the path.
        unsafe { strip.accumulate::<Self, R, P>(sums, |address| Self::load(address)) };
    }
    /// As [`Lanes::strip`], over `blocks` blocks of the left operand that begin `stride` floats apart, each of `strip.steps`
    /// steps; the right operand goes on from block to block. Returns `false`, with nothing done, if the path has no such loop.
    #[inline(always)]
    unsafe fn blocks<const R: usize, const P: usize>(
        _sums: &mut [[Self; P]; R],
        _strip: Strip,
        _blocks: usize,
        _stride: usize,
    ) -> bool {
        false
    }
    /// All lanes the same.
    unsafe fn splat(value: f32) -> Self;
    /// Reads 16 floats, any alignment.
    unsafe fn load(from: *const f32) -> Self;
    /// Writes 16 floats, any alignment.
    unsafe fn store(self, to: *mut f32);
    /// Reads the first `count` (0..=16) floats, the other lanes are 0; touches no memory behind them.
    unsafe fn load_first(from: *const f32, count: usize) -> Self;
    /// Writes the first `count` (0..=16) lanes.
    unsafe fn store_first(self, to: *mut f32, count: usize);
    /// `self + other`.
    unsafe fn add(self, other: Self) -> Self;
    /// `self - other`.
    unsafe fn sub(self, other: Self) -> Self;
    /// `self * other`.
    unsafe fn mul(self, other: Self) -> Self;
    /// `self / other`.
    unsafe fn div(self, other: Self) -> Self;
    /// `self * factor + addend`, rounded once (on every path).
    unsafe fn fma(self, factor: Self, addend: Self) -> Self;
    /// The larger one, lane by lane; if either is NaN the result is `other`'s lane.
    unsafe fn max(self, other: Self) -> Self;
    /// The smaller one, lane by lane; if either is NaN the result is `other`'s lane.
    unsafe fn min(self, other: Self) -> Self;
    /// Square root.
    unsafe fn sqrt(self) -> Self;
    /// Absolute value.
    unsafe fn abs(self) -> Self;
    /// To the nearest integer, ties to even.
    unsafe fn round(self) -> Self;
    /// `2^n` for integral lanes `n` in `-126..=127`.
    unsafe fn exp2_integral(self) -> Self;
    /// `self * 2^n` for lanes of `self` about 1 and integral `n` in `-126..=127`.
    #[inline(always)]
    unsafe fn scale(self, n: Self) -> Self {
        // SAFETY: the caller vouches for the path.
        unsafe { self.mul(n.exp2_integral()) }
    }
    /// Exponent `e` and mantissa `m` in `1..2` with `self = m * 2^e`; lanes must be positive and normal.
    unsafe fn split(self) -> (Self, Self);
    /// Lane `j` of vector `i` becomes lane `i` of vector `j`.
    #[inline(always)]
    unsafe fn transpose(rows: [Self; LANES]) -> [Self; LANES] {
        let mut values = [[0.0; LANES]; LANES];
        let mut columns = [[0.0; LANES]; LANES];
        // SAFETY: each array has room for 16 floats; the caller vouches for the path.
        unsafe {
            for (row, values) in rows.into_iter().zip(&mut values) {
                row.store(values.as_mut_ptr());
            }
            for (i, values) in values.iter().enumerate() {
                for (j, column) in columns.iter_mut().enumerate() {
                    column[i] = values[j];
                }
            }
            columns.map(|column| Self::load(column.as_ptr()))
        }
    }
    /// Lanes `2 i` and `2 i + 1` change places.
    #[inline(always)]
    unsafe fn swap_neighbours(self) -> Self {
        let mut lanes = [0.0; LANES];
        // SAFETY: the caller vouches for the path.
        unsafe {
            self.store(lanes.as_mut_ptr());
            let swapped: [f32; LANES] = std::array::from_fn(|lane| lanes[lane ^ 1]);
            Self::load(swapped.as_ptr())
        }
    }
    /// Writes the lanes that are not 0 to `values`, one behind the other, and those of 16 `places` to `chosen`; gives their
    /// number. Both have room for 16, all of which may be written.
    #[inline(always)]
    unsafe fn nonzeros(self, places: *const u32, values: *mut f32, chosen: *mut u32) -> usize {
        let mut lanes = [0.0; LANES];
        let mut count = 0;
        // SAFETY: at most one place a lane; the caller vouches for the path.
        unsafe {
            self.store(lanes.as_mut_ptr());
            for (lane, &value) in lanes.iter().enumerate() {
                *values.add(count) = value;
                *chosen.add(count) = *places.add(lane);
                count += usize::from(value != 0.0);
            }
        }
        count
    }
    /// The lanes that are not 0, replaced by the floats at `from` one after the other, and their number. 16 floats may be read.
    #[inline(always)]
    unsafe fn spread(self, from: *const f32) -> (Self, usize) {
        let mut lanes = [0.0; LANES];
        let mut count = 0;
        // SAFETY: at most one float a lane; the caller vouches for the path.
        unsafe {
            self.store(lanes.as_mut_ptr());
            for lane in &mut lanes {
                let value = *from.add(count);
                count += usize::from(*lane != 0.0);
                *lane = if *lane == 0.0 { 0.0 } else { value };
            }
            (Self::load(lanes.as_ptr()), count)
        }
    }
    /// The sum of the lanes of each of four: of halves, quarters and so on, on every path in the same order.
    #[inline(always)]
    unsafe fn sums(four: [Self; 4]) -> [f32; 4] {
        let mut sums = [0.0; 4];
        for (lanes, sum) in four.iter().zip(&mut sums) {
            let mut x = [0.0; LANES];
            // SAFETY: room for 16 floats; the caller vouches for the path.
            unsafe { lanes.store(x.as_mut_ptr()) };
            let half = |lane: usize| x[lane] + x[lane + 8];
            let quarter = |lane: usize| (half(lane) + half(lane + 2)) + (half(lane + 1) + half(lane + 3));
            *sum = quarter(0) + quarter(4);
        }
        sums
    }
    /// `self < other`, lane by lane (false if either is NaN).
    unsafe fn less(self, other: Self) -> Self::Mask;
    /// Lane `i` is set if bit `i` is.
    unsafe fn mask_from_bits(bits: u16) -> Self::Mask;
    /// Lanes of `self` where the mask is set, of `other` elsewhere.
    unsafe fn select(self, mask: Self::Mask, other: Self) -> Self;
}

/// Operands of the inner loop of a product: `left(r, k)` is the float at `left + r * row + k * column`, the lanes of
/// `right(k, p)` lie at `right + k * right_row + p * panel`, for `k` in `0..steps`.
#[derive(Clone, Copy, Debug)]
pub struct Strip {
    /// Left operand.
    pub left: *const f32,
    /// Distance of its rows.
    pub row: usize,
    /// Distance of its steps.
    pub column: usize,
    /// Right operand.
    pub right: *const f32,
    /// Distance of its steps.
    pub right_row: usize,
    /// Distance of its panels.
    pub panel: usize,
    /// Length of the sums.
    pub steps: usize,
}

impl Strip {
    /// [`Lanes::strip`] in portable code, with a function that loads lanes.
    ///
    /// # Safety
    /// As there.
    #[inline(always)]
    pub(crate) unsafe fn accumulate<L: Lanes, const R: usize, const P: usize>(
        self,
        sums: &mut [[L; P]; R],
        load: impl Fn(*const f32) -> L,
    ) {
        let (mut left, mut right) = (self.left, self.right);
        for _ in 0..self.steps {
            // SAFETY: the caller's contract.
            unsafe {
                let mut lanes = [L::splat(0.0); P];
                for (p, lanes) in lanes.iter_mut().enumerate() {
                    *lanes = load(right.wrapping_add(p * self.panel));
                }
                for (r, sums) in sums.iter_mut().enumerate() {
                    let factor = L::splat(*left.wrapping_add(r * self.row));
                    for (sum, lanes) in sums.iter_mut().zip(lanes) {
                        *sum = factor.fma(lanes, *sum);
                    }
                }
            }
            left = left.wrapping_add(self.column);
            right = right.wrapping_add(self.right_row);
        }
    }

    /// What follows after `steps`.
    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    fn skip(self, steps: usize) -> Self {
        Self {
            left: self.left.wrapping_add(steps * self.column),
            right: self.right.wrapping_add(steps * self.right_row),
            steps: self.steps - steps,
            ..self
        }
    }
}

/// Asks for the cache line of an address that is needed soon; any address will do.
#[inline(always)]
pub(crate) fn prefetch(address: *const f32) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a prefetch reads nothing and never faults; the instruction is part of every x86-64.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(address.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = address;
}

/// The same for the second cache, which has room for what is needed later.
#[inline(always)]
pub(crate) fn prefetch_second(address: *const f32) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: as above.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T1>(address.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = address;
}

/// A computation that is generic over the SIMD path.
pub trait Kernel {
    /// What it returns.
    type Output;
    /// Runs on the path `L`. Must be `#[inline(always)]`.
    ///
    /// # Safety
    /// Only called where the instruction set of `L` is available.
    unsafe fn run<L: Lanes>(self) -> Self::Output;
}

/// An instruction set that kernels can use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Simd {
    /// Portable Rust.
    Scalar,
    /// AVX2 with FMA (x86-64).
    Avx2,
    /// AVX-512 F, BW, DQ, VL (x86-64).
    Avx512,
    /// NEON (64-bit Arm). Written, but not run on any machine so far.
    Neon,
}

impl Simd {
    /// The paths that this machine can run, the fastest last.
    #[must_use]
    pub fn available() -> Vec<Self> {
        [Self::Scalar, Self::Neon, Self::Avx2, Self::Avx512].into_iter().filter(|simd| simd.is_available()).collect()
    }

    /// Whether this machine can run the path.
    #[must_use]
    pub fn is_available(self) -> bool {
        match self {
            Self::Scalar => true,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => {
                is_x86_feature_detected!("avx2")
                    && is_x86_feature_detected!("fma")
                    && is_x86_feature_detected!("popcnt")
            }
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => {
                is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512vl")
                    && is_x86_feature_detected!("avx2")
                    && is_x86_feature_detected!("fma")
                    && is_x86_feature_detected!("popcnt")
            }
            #[cfg(target_arch = "aarch64")]
            Self::Neon => std::arch::is_aarch64_feature_detected!("neon"),
            #[allow(unreachable_patterns, reason = "paths of other processors")]
            _ => false,
        }
    }

    /// The fastest path of this machine.
    #[must_use]
    pub fn best() -> Self {
        Self::available().pop().unwrap_or(Self::Scalar)
    }

    /// The path that the environment variable `SCONCE_SIMD` names (`scalar`, `avx2`, `avx512`, `neon`) if this machine
    /// has it, otherwise the fastest.
    #[must_use]
    pub fn from_environment() -> Self {
        std::env::var("SCONCE_SIMD")
            .ok()
            .and_then(|name| Self::available().into_iter().find(|simd| simd.name() == name))
            .unwrap_or_else(Self::best)
    }

    /// `scalar`, `avx2`, `avx512` or `neon`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Scalar => "scalar",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
            Self::Neon => "neon",
        }
    }

    /// Runs a kernel on this path (on the scalar one if the machine lacks it).
    pub fn run<K: Kernel>(self, kernel: K) -> K::Output {
        match self {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: the features were detected.
            Self::Avx512 if self.is_available() => unsafe { avx512::run(kernel) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: the features were detected.
            Self::Avx2 if self.is_available() => unsafe { avx2::run(kernel) },
            #[cfg(target_arch = "aarch64")]
            // SAFETY: the feature was detected.
            Self::Neon if self.is_available() => unsafe { neon::run(kernel) },
            // SAFETY: the scalar path needs nothing.
            _ => unsafe { scalar::Scalar::call(kernel) },
        }
    }
}

#[cfg(test)]
mod tests;
