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

/// Steps of `k` between two visits of a tile: two panels of this length fill two thirds of 48 KiB of L1.
pub(crate) const INNER_BLOCK: usize = 256;
/// Rows of the left operand that are swept for each panel: with `INNER_BLOCK` columns they fill a quarter of 1 MiB of L2.
const ROW_BLOCK: usize = 240;

/// Left operand: element `(i, k)` is the float at `data + i * row + (k / block) * block_stride + (k % block) * column`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Left {
    pub data: *const f32,
    pub row: usize,
    pub column: usize,
    /// Must divide [`INNER_BLOCK`], or be at least as long as the product's `inner`.
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

/// Memory that is needed soon after a product: its lines are asked for during the product, evenly spread.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ahead {
    pub data: *const f32,
    /// Cache lines, each of 16 floats.
    pub lines: usize,
}

impl Ahead {
    /// None.
    pub(crate) const NOTHING: Self = Self { data: std::ptr::null(), lines: 0 };
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
        let panels = self.columns.div_ceil(LANES);
        let visits = (self.rows * panels * self.inner.div_ceil(INNER_BLOCK)).max(1);
        let mut ahead = micro::Stream { data: self.ahead.data, density: (self.ahead.lines << 16) / visits, visit: 0 };
        let mut k = 0;
        // At least one round: a product with nothing to sum still has to start its elements.
        loop {
            let inner = INNER_BLOCK.min(self.inner - k);
            let start = if k == 0 { self.start } else { Start::Keep };
            let data = left.data.wrapping_add(k / left.block * left.block_stride + k % left.block * left.column);
            let left = Left { data, ..left };
            let right = Right { data: self.right.data.wrapping_add(k * self.right.row), ..self.right };
            let mut i = 0;
            while i < self.rows {
                // Up to half a block more, rather than a last block that is not worth its pass over the panels.
                let rest = self.rows - i;
                let rows = if rest <= ROW_BLOCK / 2 * 3 { rest } else { ROW_BLOCK };
                // SAFETY: a part of the product that the caller vouches for.
                unsafe { self.sweep::<L>(left, right, start, i..i + rows, inner, &mut ahead) };
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
            ahead,
        };
        // SAFETY: panels below `columns`, rows below `rows`.
        unsafe {
            if L::ROWS_2 > 0 && !left.collides() {
                while panel + 2 <= whole {
                    part(panel, *ahead).tiles::<L, 2, false>();
                    ahead.visit += 2 * rows;
                    panel += 2;
                }
            }
            while panel < whole {
                part(panel, *ahead).tiles::<L, 1, false>();
                ahead.visit += rows;
                panel += 1;
            }
            if tail > 0 {
                part(panel, *ahead).tiles::<L, 1, true>();
                ahead.visit += rows;
            }
        }
    }
}

impl Kernel for Product {
    type Output = ();

    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        debug_assert!(self.left.block >= self.inner || INNER_BLOCK.is_multiple_of(self.left.block));
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
