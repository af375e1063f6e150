//! Products whose factors are rounded to bfloat16, with sums in `f32`.
//!
//! Both operands are packed first, as pairs of neighbours along the sum (`simd::pairs`), of an odd sum with a zero at the end:
//! the left one in strips of 12 rows, `[rows / 12][pairs][12]`, the right one in panels of 16 columns, `[columns / 16][pairs][16]`.
//! Missing rows and columns of the last strip and panel are zeros. Each element is summed by one accumulator in ascending
//! pairs, so that its bits depend neither on its place nor on how many rows or columns there are.
mod pack;
mod product;
mod task;

#[cfg(test)]
mod tests;

pub(crate) use pack::{Layout, Pack, Source};
pub(crate) use product::PairProduct;
pub(crate) use task::PairTask;

use crate::simd::LANES;

/// Rows of a strip of the left operand: with two panels the sums fill 24 of 32 registers.
pub(crate) const STRIP: usize = 12;

/// Pairs of a sum of `inner` products.
pub(crate) fn pairs(inner: usize) -> usize {
    inner.div_ceil(2)
}

/// Length of a packed left operand, in pairs.
pub(crate) fn left_length(rows: usize, inner: usize) -> usize {
    rows.div_ceil(STRIP) * STRIP * pairs(inner)
}

/// Length of a packed right operand, in pairs.
pub(crate) fn right_length(columns: usize, inner: usize) -> usize {
    columns.div_ceil(LANES) * LANES * pairs(inner)
}
