//! The one product that all others are made of: register tiles of broadcast scalars times vectors of 16 lanes.
//!
//! `out(i, j) (+)= sum_k left(i, k) * right(k, j)`. The left operand is read as single floats, so it can lie in memory in
//! any regular way and is never packed. The right operand and the result are cut along `j` into *panels* of 16 lanes.
//! With activations as token panels `[rows / 16][features][16]` and weights `[out, in]`, the three products of a linear
//! layer are:
//!
//! | product | left | right | result |
//! | --- | --- | --- | --- |
//! | `y^T = W h^T` | [`Left::rows`] of `W` | panels of `h` | panels of `y` |
//! | `dh^T = W^T dy^T` | [`Left::columns`] of `W` | panels of `dy` | panels of `dh` |
//! | `dW = dy^T h` | [`Left::panels`] of `dy` | rows of `h` | rows of `dW` |
//!
//! Each element is summed by one accumulator in ascending `k` with fused multiply-adds. Its bits therefore depend neither
//! on its place in a tile nor on how many rows or columns the product has, nor on the instruction set.
mod micro;

use std::ops::Range;

use crate::simd::{Kernel, LANES, Lanes, Simd};

/// Steps of `k` that operands are packed or copied in.
pub(crate) const INNER_BLOCK: usize = 256;
/// Most steps of `k` between two visits of a tile. The right operand comes from the second cache in any case, faster than a
/// tile multiplies. Each visit reads and writes the result, which may lie farther away.
pub(crate) const LONG_BLOCK: usize = 1280;
/// The same where rows of the left operand must stay in the first cache: short tiles use a part of each line.
const SHORT_BLOCK: usize = 256;
/// Steps of the left operand that are no farther apart than this fall into all sets of the first cache.
const NEAR: usize = 12 * LANES;
/// Floats of the left operand that are swept for each panel, about: they stay in the second cache.
pub(crate) const LEFT_BLOCK: usize = 76 << 10;

/// Length, a multiple of 16, of the blocks of about the same length that `inner` steps are cut into; at most `most`, which is one.
pub(crate) fn equal_block(inner: usize, most: usize) -> usize {
    inner.div_ceil(inner.div_ceil(most).max(1)).next_multiple_of(LANES)
}

/// Left operand: element `(i, k)` is the float at `data + i * row + (k / block) * block_stride + (k % block) * column`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Left {
    pub data: *const f32,
    pub row: usize,
    pub column: usize,
    /// [`LANES`], or at least as long as the product's `inner`.
    pub block: usize,
    pub block_stride: usize,
}

impl Left {
    /// `(i, k)` of a row-major matrix with rows `stride` floats apart.
    pub(crate) fn rows(data: *const f32, stride: usize) -> Self {
        Self { data, row: stride, column: 1, block: usize::MAX, block_stride: 0 }
    }

    /// The same of a large matrix that is read once: a tile asks for the rows of the next one as it goes.
    pub(crate) fn stream(data: *const f32, stride: usize) -> Self {
        Self { block: LANES, block_stride: LANES, ..Self::rows(data, stride) }
    }

    /// Whether twelve rows lie so that the first cache can't hold a line of each, and are read often enough to matter.
    #[inline(always)]
    fn collides(&self) -> bool {
        self.column == 1 && self.row.is_multiple_of(64 * LANES) && !self.is_stream()
    }

    #[inline(always)]
    fn is_stream(&self) -> bool {
        self.block_stride == LANES
    }

    /// `(k, i)` of a row-major matrix with rows `stride` floats apart: its transpose.
    pub(crate) fn columns(data: *const f32, stride: usize) -> Self {
        Self { data, row: 1, column: stride, block: usize::MAX, block_stride: 0 }
    }

    /// Feature `i` of token `k` in token panels that are `stride` floats apart.
    pub(crate) fn panels(data: *const f32, stride: usize) -> Self {
        Self { data, row: LANES, column: 1, block: LANES, block_stride: stride }
    }
}

/// Right operand: lanes `16 p ..` of row `k` lie at `data + p * panel + k * row`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Right {
    pub data: *const f32,
    pub panel: usize,
    pub row: usize,
}

impl Right {
    /// Panels `[p][k][16]`, `stride` floats apart.
    pub(crate) fn panels(data: *const f32, stride: usize) -> Self {
        Self { data, panel: stride, row: LANES }
    }

    /// A row-major matrix with rows `stride` floats apart.
    pub(crate) fn rows(data: *const f32, stride: usize) -> Self {
        Self { data, panel: LANES, row: stride }
    }
}

/// Result: lanes `16 p ..` of row `i` lie at `data + p * panel + i * row`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Out {
    pub data: *mut f32,
    pub panel: usize,
    pub row: usize,
}

impl Out {
    /// Panels `[p][i][16]`, `stride` floats apart.
    pub(crate) fn panels(data: *mut f32, stride: usize) -> Self {
        Self { data, panel: stride, row: LANES }
    }

    /// A row-major matrix with rows `stride` floats apart.
    pub(crate) fn rows(data: *mut f32, stride: usize) -> Self {
        Self { data, panel: LANES, row: stride }
    }
}

/// Memory that is needed soon: its lines are asked for during a product, evenly spread.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ahead {
    pub data: *const f32,
    /// Cache lines of a row, each of 16 floats.
    pub width: usize,
    pub rows: usize,
    /// Distance of the rows.
    pub stride: usize,
}

impl Ahead {
    /// None.
    pub(crate) const NOTHING: Self = Self { data: std::ptr::null(), width: 0, rows: 0, stride: 0 };

    /// So many lines one after the other.
    pub(crate) fn lines(data: *const f32, lines: usize) -> Self {
        Self { data, width: lines, rows: 1, stride: 0 }
    }

    /// Rows of `length` floats, `stride` apart.
    pub(crate) fn rows(data: *const f32, length: usize, rows: usize, stride: usize) -> Self {
        Self { data, width: length.div_ceil(LANES), rows, stride }
    }
}

/// What the sums start from.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Start {
    /// Zero.
    Zero,
    /// What the result holds.
    Keep,
    /// One float for each row `i`.
    Rows(*const f32),
    /// One float for each column `j`.
    Columns(*const f32),
}

/// A product of `rows` x `inner` by `inner` x `columns`; single-threaded.
///
/// Partial last panels (`columns % 16 != 0`) are neither read nor written behind `columns`.
///
/// # Safety
/// To run it, all elements that the strides describe must be readable, those of `out` writable, distinct and no part of
/// the operands, by this thread alone.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Product {
    pub left: Left,
    pub right: Right,
    pub out: Out,
    pub rows: usize,
    pub columns: usize,
    pub inner: usize,
    pub start: Start,
    /// What is needed after this product.
    pub ahead: Ahead,
}

impl Product {
    /// Runs the product on the path of `simd`.
    ///
    /// # Safety
    /// See [`Product`].
    pub(crate) unsafe fn run(self, simd: Simd) {
        simd.run(self);
    }

    /// Runs the product from within a kernel on the path `L`. It is a call: inlined, products would make most of the code.
    ///
    /// # Safety
    /// See [`Product`]; the instruction set of `L` must be available.
    #[inline(always)]
    pub(crate) unsafe fn run_on<L: Lanes>(self) {
        // SAFETY: the caller's contract.
        unsafe { L::call(self) };
    }

    #[inline(always)]
    unsafe fn blocks<L: Lanes>(&self, left: Left) {
        let long = L::ROWS_2 > 0 || (left.block == usize::MAX && left.column <= NEAR);
        let most = if long { LONG_BLOCK } else { SHORT_BLOCK };
        let length = equal_block(self.inner, most);
        let blocks = self.inner.div_ceil(length.max(1));
        let height = (LEFT_BLOCK / length.max(1) / 12 * 12).clamp(24, 240);
        let panels = self.columns.div_ceil(LANES);
        // Each block of rows comes from far away.
        let fetches = left.block == usize::MAX && left.column == 1;
        let mut ahead =
            micro::Stream::new(if fetches { Ahead::NOTHING } else { self.ahead }, self.rows * panels * blocks);
        let mut k = 0;
        // At least one round: a product with nothing to sum still has to start its elements.
        loop {
            let inner = length.min(self.inner - k);
            let start = if k == 0 { self.start } else { Start::Keep };
            let data = left.data.wrapping_add(k / left.block * left.block_stride + k % left.block * left.column);
            let block = Left { data, ..left };
            let right = Right { data: self.right.data.wrapping_add(k * self.right.row), ..self.right };
            // Up to half a block more, rather than a last block that is not worth its pass over the panels.
            let rows_from = |i: usize| if self.rows - i <= height / 2 * 3 { self.rows - i } else { height };
            let mut i = 0;
            while i < self.rows {
                let rows = rows_from(i);
                if fetches {
                    let (first, step) = if i + rows < self.rows { (i + rows, k) } else { (0, k + inner) };
                    let next = if step < self.inner {
                        let data = left.data.wrapping_add(first * left.row + step);
                        Ahead::rows(data, inner.min(self.inner - step), rows_from(first), left.row)
                    } else {
                        self.ahead
                    };
                    ahead = micro::Stream::new(next, rows * panels);
                }
                // SAFETY: a part of the product that the caller vouches for.
                unsafe { self.sweep::<L>(block, right, start, i..i + rows, inner, &mut ahead) };
                i += rows;
            }
            k += inner;
            if k >= self.inner {
                return;
            }
        }
    }

    /// All panels for some rows, one step of `k` blocks.
    #[inline(always)]
    unsafe fn sweep<L: Lanes>(
        &self,
        left: Left,
        right: Right,
        start: Start,
        rows: Range<usize>,
        inner: usize,
        ahead: &mut micro::Stream,
    ) {
        let (i, rows) = (rows.start, rows.len());
        let whole = self.columns / LANES;
        let tail = self.columns % LANES;
        let mut panel = 0;
        let left = Left { data: left.data.wrapping_add(i * left.row), ..left };
        let part = |panel: usize, ahead: micro::Stream| micro::Part {
            left,
            right: Right { data: right.data.wrapping_add(panel * right.panel), ..right },
            out: Out { data: self.out.data.wrapping_add(panel * self.out.panel + i * self.out.row), ..self.out },
            start: match start {
                Start::Rows(bias) => Start::Rows(bias.wrapping_add(i)),
                Start::Columns(bias) => Start::Columns(bias.wrapping_add(panel * LANES)),
                other => other,
            },
            rows,
            inner,
            tail,
            whole: whole - panel,
            ahead,
        };
        // SAFETY: panels below `columns`, rows below `rows`.
        unsafe {
            if L::ROWS_2 > 0 && !left.collides() {
                while panel + 2 <= whole {
                    part(panel, *ahead).tiles::<L, 2, false>();
                    ahead.pass(2 * rows);
                    panel += 2;
                }
            }
            while panel < whole {
                part(panel, *ahead).tiles::<L, 1, false>();
                ahead.pass(rows);
                panel += 1;
            }
            if tail > 0 {
                part(panel, *ahead).tiles::<L, 1, true>();
                ahead.pass(rows);
            }
        }
    }
}

impl Kernel for Product {
    type Output = ();

    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        debug_assert!(self.left.block >= self.inner || self.left.block == LANES);
        // Constant strides let the compiler fold them into the addresses.
        // SAFETY: the caller of `Product::run` vouches for the product, `Simd::run` for the path.
        unsafe {
            match (self.left.row, self.left.column, self.left.block) {
                (LANES, 1, LANES) => {
                    self.blocks::<L>(Left { row: LANES, column: 1, block: LANES, ..self.left });
                }
                (_, 1, usize::MAX) => self.blocks::<L>(Left { column: 1, block: usize::MAX, ..self.left }),
                (1, _, usize::MAX) => self.blocks::<L>(Left { row: 1, block: usize::MAX, ..self.left }),
                _ => self.blocks::<L>(self.left),
            }
        }
    }
}

#[cfg(test)]
mod tests;
