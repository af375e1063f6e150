//! The product of packed operands.
#![allow(unsafe_op_in_unsafe_fn, reason = "every line works on raw operands under the contract of `PairProduct`")]
use std::ops::Range;

use super::STRIP;
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

/// A product of `rows` by `columns` with sums of `pairs` pairs; single-threaded.
///
/// Rows and columns of the packed operands behind `rows` and `columns` are not written to the result.
///
/// # Safety
/// To run it, all that the strides describe must be readable (whole strips and panels), the elements of `out` writable,
/// distinct and no part of the operands, by this thread alone.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PairProduct {
    /// Strips `[pairs][12]`, `strip` pairs apart.
    pub left: *const f32,
    pub strip: usize,
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
        let length = equal_block(self.pairs, LONG_BLOCK);
        let most = (LEFT_BLOCK / length.max(1) / STRIP).clamp(2, STRIPS);
        let mut k = 0;
        // At least one round: a product with nothing to sum still has to start its elements.
        loop {
            let pairs = length.min(self.pairs - k);
            let part = Self {
                left: self.left.wrapping_add(k * STRIP),
                right: self.right.wrapping_add(k * LANES),
                pairs,
                start: if k == 0 { self.start } else { Start::Keep },
                ..self
            };
            let strips = self.rows.div_ceil(STRIP);
            let mut first = 0;
            while first < strips {
                // Up to half a block more, rather than a last block that is not worth its pass over the panels.
                let rest = strips - first;
                let count = if rest <= most / 2 * 3 { rest } else { most };
                part.sweep::<L>(first..first + count);
                first += count;
            }
            k += pairs;
            if k >= self.pairs {
                return;
            }
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
        let mut left = self.left.wrapping_add(strip * self.strip);
        let mut right = self.right.wrapping_add(panel * self.panel);
        for _ in 0..self.pairs {
            let mut lanes = [L::splat(0.0); P];
            for (p, lanes) in lanes.iter_mut().enumerate() {
                *lanes = L::load(right.wrapping_add(p * self.panel));
            }
            for (r, sums) in sums.iter_mut().enumerate() {
                let factor = L::splat(*left.wrapping_add(r));
                for (sum, lanes) in sums.iter_mut().zip(lanes) {
                    *sum = factor.dot(lanes, *sum);
                }
            }
            left = left.wrapping_add(STRIP);
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
