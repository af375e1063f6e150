//! The inner loop of products for AVX2: six rows times sixteen columns.
//!
//! In assembly: the compiler spends up to two fifths more instructions, on addresses, and their number is what counts where
//! two threads share a core. Twelve registers hold the sums, two a row of the right operand, one a float of the left.
use std::arch::asm;

use super::{LANES, Strip, avx2::Avx2};

/// Rows of the tile.
const ROWS: usize = 6;
/// Steps in a round of the loops.
const ROUND: usize = 4;

/// Multiply-adds of one row, whose float lies at `$base + $offset`.
macro_rules! row {
    ($base:literal, $offset:literal, $low:literal, $high:literal) => {
        concat!(
            "vbroadcastss {float}, dword ptr [",
            $base,
            " + ",
            $offset,
            "]\n",
            "vfmadd231ps {",
            $low,
            "}, {float}, {low}\n",
            "vfmadd231ps {",
            $high,
            "}, {float}, {high}\n",
        )
    };
}

/// Loads the row of the right operand at `$at`.
macro_rules! right {
    ($at:literal) => {
        concat!("vmovups {low}, ymmword ptr [", $at, "]\n", "vmovups {high}, ymmword ptr [", $at, " + 32]\n")
    };
}

/// A step where the steps of a row of the left operand are neighbours.
macro_rules! along {
    ($right:literal, $offset:literal) => {
        concat!(
            right!($right),
            row!("{first}", $offset, "s0", "s1"),
            row!("{first} + {stride}", $offset, "s2", "s3"),
            row!("{first} + 2*{stride}", $offset, "s4", "s5"),
            row!("{fourth}", $offset, "s6", "s7"),
            row!("{fourth} + {stride}", $offset, "s8", "s9"),
            row!("{fourth} + 2*{stride}", $offset, "s10", "s11"),
        )
    };
}

/// A step where the rows of a step of the left operand are neighbours.
macro_rules! across {
    ($right:literal, $left:literal) => {
        concat!(
            right!($right),
            row!($left, "0", "s0", "s1"),
            row!($left, "4", "s2", "s3"),
            row!($left, "8", "s4", "s5"),
            row!($left, "12", "s6", "s7"),
            row!($left, "16", "s8", "s9"),
            row!($left, "20", "s10", "s11"),
        )
    };
}

/// A step of a panel: the rows of the left operand are a line of 16 floats each.
macro_rules! panel {
    ($right:literal, $offset:literal) => {
        concat!(
            right!($right),
            row!("{left}", $offset, "s0", "s1"),
            row!("{left} + 64", $offset, "s2", "s3"),
            row!("{left} + 128", $offset, "s4", "s5"),
            row!("{left} + 192", $offset, "s6", "s7"),
            row!("{left} + 256", $offset, "s8", "s9"),
            row!("{left} + 320", $offset, "s10", "s11"),
        )
    };
}

/// Runs a loop with the twelve sums in registers.
macro_rules! run {
    ($sums:ident, $strip:ident, $rounds:ident, $again:literal, [$($before:expr),*], [$($code:expr),*], [$($after:expr),*], $($operands:tt)*) => {{
        let [s0, s1, s2, s3, s4, s5] = $sums.each_mut().map(|sums| &mut sums[0]);
        let stride = $strip.right_row * 4;
        asm!(
            $($before,)*
            "2:",
            $($code,)*
            "lea {right}, [{right} + 4*{right_row}]",
            $($after,)*
            "dec {rounds}",
            $again,
            s0 = inout(ymm_reg) s0.0, s1 = inout(ymm_reg) s0.1,
            s2 = inout(ymm_reg) s1.0, s3 = inout(ymm_reg) s1.1,
            s4 = inout(ymm_reg) s2.0, s5 = inout(ymm_reg) s2.1,
            s6 = inout(ymm_reg) s3.0, s7 = inout(ymm_reg) s3.1,
            s8 = inout(ymm_reg) s4.0, s9 = inout(ymm_reg) s4.1,
            s10 = inout(ymm_reg) s5.0, s11 = inout(ymm_reg) s5.1,
            low = out(ymm_reg) _, high = out(ymm_reg) _, float = out(ymm_reg) _,
            right = inout(reg) $strip.right => _,
            right_row = in(reg) stride,
            right_row_3 = in(reg) stride * 3,
            rounds = inout(reg) $rounds => _,
            $($operands)*
            options(nostack, readonly)
        );
    }};
}

/// As many steps as make whole rounds; returns their number, 0 if the strip is of another kind.
///
/// # Safety
/// As for [`super::Lanes::strip`].
#[inline]
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn rounds<const R: usize, const P: usize>(sums: &mut [[Avx2; P]; R], strip: Strip) -> usize {
    let rounds = strip.steps / ROUND;
    if R != ROWS || P != 1 || rounds == 0 {
        return 0;
    }
    let Some(sums) = sums.first_chunk_mut::<ROWS>() else { return 0 };
    if strip.column == 1 {
        let stride = strip.row * 4;
        // SAFETY: reads the strip alone, which the caller vouches for; every register that changes is an output.
        unsafe {
            run!(sums, strip, rounds, "jnz 2b", [],
                [
                    along!("{right}", "0"),
                    along!("{right} + {right_row}", "4"),
                    along!("{right} + 2*{right_row}", "8"),
                    along!("{right} + {right_row_3}", "12"),
                    "add {first}, 16",
                    "add {fourth}, 16"
                ],
                [],
                first = inout(reg) strip.left => _,
                fourth = inout(reg) strip.left.wrapping_add(3 * strip.row) => _,
                stride = in(reg) stride,
            );
        }
    } else if strip.row == 1 {
        let stride = strip.column * 4;
        // SAFETY: as above.
        unsafe {
            run!(sums, strip, rounds, "jnz 2b", [],
                [
                    across!("{right}", "{left}"),
                    across!("{right} + {right_row}", "{left} + {column}"),
                    across!("{right} + 2*{right_row}", "{left} + 2*{column}"),
                    across!("{right} + {right_row_3}", "{left} + {column_3}"),
                    "lea {left}, [{left} + 4*{column}]"
                ],
                [],
                left = inout(reg) strip.left => _,
                column = in(reg) stride,
                column_3 = in(reg) stride * 3,
            );
        }
    } else {
        return 0;
    }
    rounds * ROUND
}

/// Blocks of [`LANES`] steps, `stride` floats apart, if the left operand is panels; returns whether it was.
///
/// # Safety
/// As for [`super::Lanes::blocks`].
#[inline]
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn blocks<const R: usize, const P: usize>(
    sums: &mut [[Avx2; P]; R],
    strip: Strip,
    blocks: usize,
    stride: usize,
) -> bool {
    if R != ROWS || P != 1 || blocks == 0 || (strip.row, strip.column, strip.steps) != (LANES, 1, LANES) {
        return false;
    }
    let Some(sums) = sums.first_chunk_mut::<ROWS>() else { return false };
    // From the end of a block to the next one, in bytes.
    let jump = (stride * 4).wrapping_sub(LANES * 4);
    // SAFETY: reads the blocks alone, which the caller vouches for; every register that changes is an output.
    unsafe {
        run!(sums, strip, blocks, "jnz 3b",
            [
                "3:",
                // The lines of the next tile: the hardware does not see them coming.
                "prefetcht0 [{left} + 384]",
                "prefetcht0 [{left} + 448]",
                "prefetcht0 [{left} + 512]",
                "prefetcht0 [{left} + 576]",
                "prefetcht0 [{left} + 640]",
                "prefetcht0 [{left} + 704]",
                "mov {inner:e}, 4"
            ],
            [
                panel!("{right}", "0"),
                panel!("{right} + {right_row}", "4"),
                panel!("{right} + 2*{right_row}", "8"),
                panel!("{right} + {right_row_3}", "12"),
                "add {left}, 16"
            ],
            [
                "dec {inner:e}",
                "jnz 2b",
                "add {left}, {jump}"
            ],
            left = inout(reg) strip.left => _,
            inner = out(reg) _,
            jump = in(reg) jump,
        );
    }
    true
}
