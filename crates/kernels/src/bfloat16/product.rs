//! The product of packed operands.
#![allow(unsafe_op_in_unsafe_fn, reason = "every line works on raw operands under the contract of `PairProduct`")]
use std::ops::Range;

use super::{Part, STRIP};
use crate::{
    simd::{
        LANES, Simd,
        pairs::{PairKernel, Pairs},
        prefetch,
    },
    tile::{LEFT_BLOCK, LONG_BLOCK, Out, Start, equal_block},
};

/// Most strips that are swept for each two panels.
const STRIPS: usize = 20;

/// The packed left operand: pair `k` of row `i` lies at `data + i / 12 * strip + i % 12 * row + k * step`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Left {
    data: *const f32,
    strip: usize,
    row: usize,
    step: usize,
}

impl Left {
    /// Strips `[pairs][12]`.
    pub(crate) fn strips(data: *const f32, pairs: usize) -> Self {
        Self { data, strip: pairs * STRIP, row: 1, step: STRIP }
    }

    /// Rows, `stride` pairs apart.
    pub(crate) fn rows(data: *const f32, stride: usize) -> Self {
        Self { data, strip: stride * STRIP, row: stride, step: 1 }
    }

    /// Where a pair of a row lies.
    #[cfg(test)]
    pub(super) fn address(self, row: usize, pair: usize) -> *const f32 {
        self.data.wrapping_add(row / STRIP * self.strip + row % STRIP * self.row + pair * self.step)
    }

    /// From a strip on.
    fn at(self, strip: usize) -> Self {
        Self { data: self.data.wrapping_add(strip * self.strip), ..self }
    }

    /// From pair `k` on.
    fn skip(self, k: usize) -> Self {
        Self { data: self.data.wrapping_add(k * self.step), ..self }
    }
}

/// What a product does of so many rows one after the other: strips that stay in the second cache while panels pass by. At least
/// one part: a product with nothing to sum still has to start its elements.
pub(super) fn parts(rows: usize, pairs: usize) -> impl Iterator<Item = Part> {
    let length = equal_block(pairs, LONG_BLOCK).max(1);
    let most = (LEFT_BLOCK / length / STRIP).clamp(2, STRIPS);
    let strips = rows.div_ceil(STRIP);
    // Up to half a block more, rather than a last block that is not worth its pass over the panels.
    let blocks = ((strips + most - most / 2 - 1) / most).max(1);
    let block = move |index: usize| {
        let end = if index + 1 < blocks { (index + 1) * most } else { strips };
        index * most..end
    };
    (0..pairs.max(1))
        .step_by(length)
        .flat_map(move |k| (0..blocks).map(move |index| Part { strips: block(index), pairs: k..pairs.min(k + length) }))
}

/// A product of `rows` by `columns` with sums of `pairs` pairs; single-threaded.
///
/// Rows and columns of the packed operands behind `rows` and `columns` are not written to the result.
///
/// # Safety
/// To run it, all that the strides describe must be readable (whole strips and panels), the elements of `out` writable,
/// distinct and no part of the operands, by this thread alone.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PairProduct {
    pub left: Left,
    /// Panels `[pairs][16]`, `panel` pairs apart.
    pub right: *const f32,
    pub panel: usize,
    pub out: Out,
    pub rows: usize,
    pub columns: usize,
    pub pairs: usize,
    pub start: Start,
}

impl PairKernel for PairProduct {
    #[inline(always)]
    unsafe fn run<L: Pairs>(self) {
        for Part { strips, pairs } in parts(self.rows, self.pairs) {
            let k = pairs.start;
            let part = Self {
                left: self.left.skip(k),
                right: self.right.wrapping_add(k * LANES),
                pairs: pairs.len(),
                start: if k == 0 { self.start } else { Start::Keep },
                ..self
            };
            part.sweep::<L>(strips);
        }
    }
}

impl PairProduct {
    /// Runs the product on a path.
    ///
    /// # Safety
    /// See [`PairProduct`].
    pub(crate) unsafe fn run_with(self, simd: Simd) {
        simd.run_pairs(self);
    }

    /// All panels for some strips.
    #[inline(always)]
    unsafe fn sweep<L: Pairs>(&self, strips: Range<usize>) {
        let whole = self.columns / LANES;
        let tail = self.columns % LANES;
        let mut panel = 0;
        while panel + 2 <= whole {
            for strip in strips.clone() {
                self.tile::<L, 2, false>(strip, panel, LANES);
            }
            panel += 2;
        }
        if panel < whole {
            for strip in strips.clone() {
                self.tile::<L, 1, false>(strip, panel, LANES);
            }
            panel += 1;
        }
        if tail > 0 {
            for strip in strips {
                self.tile::<L, 1, true>(strip, panel, tail);
            }
        }
    }

    /// A strip against `P` panels; with `TAIL` only `lanes` columns are there.
    #[inline(always)]
    unsafe fn tile<L: Pairs, const P: usize, const TAIL: bool>(&self, strip: usize, panel: usize, lanes: usize) {
        let rows = STRIP.min(self.rows - strip * STRIP);
        let row = strip * STRIP;
        let out = self.out.data.wrapping_add(row * self.out.row + panel * self.out.panel);
        let at = |r: usize, p: usize| out.wrapping_add(r * self.out.row + p * self.out.panel);
        let read = |from: *const f32| if TAIL { L::load_first(from, lanes) } else { L::load(from) };
        let mut sums = [[L::splat(0.0); P]; STRIP];
        match self.start {
            Start::Zero => {}
            Start::Keep => {
                for (r, sums) in sums.iter_mut().enumerate() {
                    if r < rows {
                        for (p, sum) in sums.iter_mut().enumerate() {
                            *sum = read(at(r, p));
                        }
                    }
                }
            }
            Start::Rows(bias) => {
                for (r, sums) in sums.iter_mut().enumerate() {
                    if r < rows {
                        *sums = [L::splat(*bias.add(row + r)); P];
                    }
                }
            }
            Start::Columns(bias) => {
                for p in 0..P {
                    let bias = read(bias.wrapping_add((panel + p) * LANES));
                    for sums in &mut sums {
                        sums[p] = bias;
                    }
                }
            }
        }
        // The result streams through the caches: ask for the next tile's lines a tile ahead.
        if row + STRIP < self.rows {
            for r in 0..STRIP {
                for p in 0..P {
                    prefetch(at(STRIP + r, p));
                }
            }
        }
        let Left { mut data, row, step, .. } = self.left.at(strip);
        let mut right = self.right.wrapping_add(panel * self.panel);
        for _ in 0..self.pairs {
            let mut lanes = [L::splat(0.0); P];
            for (p, lanes) in lanes.iter_mut().enumerate() {
                *lanes = L::load(right.wrapping_add(p * self.panel));
            }
            for (r, sums) in sums.iter_mut().enumerate() {
                let factor = L::splat(*data.wrapping_add(r * row));
                for (sum, lanes) in sums.iter_mut().zip(lanes) {
                    *sum = factor.dot(lanes, *sum);
                }
            }
            data = data.wrapping_add(step);
            right = right.wrapping_add(LANES);
        }
        for (r, sums) in sums.into_iter().enumerate() {
            if r < rows {
                for (p, sum) in sums.into_iter().enumerate() {
                    if TAIL {
                        sum.store_first(at(r, p), lanes);
                    } else {
                        sum.store(at(r, p));
                    }
                }
            }
        }
    }
}
