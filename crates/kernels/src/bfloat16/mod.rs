//! Products whose factors are rounded to bfloat16, with sums in `f32`.
//!
//! Both operands are packed first, as pairs of neighbours along the sum (`simd::pairs`), of an odd sum with a zero at the end:
//! the right one in panels of 16 columns, `[columns / 16][pairs][16]`, of which missing columns are zeros; the left one row by
//! row or, where memory has its rows side by side, in strips of 12 rows, `[rows / 12][pairs][12]`. Each element is summed by one
//! accumulator in ascending pairs, so that its bits depend neither on its place nor on how many rows or columns there are.
mod pack;
mod product;
mod scratch;
mod task;

#[cfg(test)]
mod tests;

pub(crate) use pack::{Layout, Pack, Packed, Part, Source};
pub(crate) use product::{Left, PairProduct};
pub(crate) use scratch::with_scratch;
pub(crate) use task::PairTask;

use crate::simd::LANES;

/// Rows of a strip of the left operand: with two panels the sums fill 24 of 32 registers.
pub(crate) const STRIP: usize = 12;

/// Pairs of a sum of `inner` products.
pub(crate) fn pairs(inner: usize) -> usize {
    inner.div_ceil(2)
}

/// Length of a left operand that is packed in strips, in pairs.
pub(crate) fn left_length(rows: usize, inner: usize) -> usize {
    rows.div_ceil(STRIP) * STRIP * pairs(inner)
}

/// Pairs from one packed row of a left operand to the next: an odd number of lines, so that rows fall into all sets of a cache.
pub(crate) fn row_stride(inner: usize) -> usize {
    (pairs(inner).div_ceil(LANES) | 1) * LANES
}

/// Length of a packed right operand, in pairs.
pub(crate) fn right_length(columns: usize, inner: usize) -> usize {
    columns.div_ceil(LANES) * LANES * pairs(inner)
}
