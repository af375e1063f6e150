//! Register tiles.
#![allow(unsafe_op_in_unsafe_fn, reason = "every line works on raw operands under the contract of `Product`")]
use std::ops::Range;

use super::{Ahead, Left, Out, Right, Start};
use crate::simd::{LANES, Lanes, Strip, prefetch, prefetch_second};

/// Lines to ask for, spread evenly over the rows of panels that are visited.
#[derive(Clone, Copy)]
pub(super) struct Stream {
    ahead: Ahead,
    /// Lines for each row of a panel, times 2^16.
    density: usize,
    /// Reciprocal of the width, times 2^32.
    reciprocal: usize,
    /// Rows that were visited.
    visit: usize,
}

/// Steps between two times that lines are asked for.
const STEPS: usize = 32;

impl Stream {
    /// All of `ahead` during `visits` visits.
    pub(super) fn new(ahead: Ahead, visits: usize) -> Self {
        let density = ((ahead.width * ahead.rows) << 16).div_ceil(visits.max(1));
        Self { ahead, density, reciprocal: (1 << 32) / ahead.width.max(1) + 1, visit: 0 }
    }

    /// So many rows of a panel have been visited.
    pub(super) fn pass(&mut self, rows: usize) {
        self.visit += rows;
    }

    /// Lines to ask for during `count` more rows, `first` rows after those that were visited.
    #[inline(always)]
    fn lines(&self, first: usize, count: usize) -> Range<usize> {
        let visit = self.visit + first;
        (visit * self.density) >> 16..((visit + count) * self.density) >> 16
    }

    #[inline(always)]
    fn ask(&self, line: usize) {
        let row = (line * self.reciprocal) >> 32;
        let column = line.wrapping_sub(row * self.ahead.width);
        prefetch(self.ahead.data.wrapping_add(row * self.ahead.stride).wrapping_add(column * LANES));
    }
}

/// Lines that a tile asks for.
struct Asking {
    stream: Stream,
    lines: Range<usize>,
    /// Lines at a time.
    each: usize,
}

impl Asking {
    #[inline(always)]
    fn new(stream: Stream, first: usize, count: usize, inner: usize) -> Self {
        if stream.density == 0 {
            return Self { stream, lines: 0..0, each: 0 };
        }
        let lines = stream.lines(first, count);
        let each = lines.len().div_ceil(inner.div_ceil(STEPS).max(1));
        Self { stream, lines, each }
    }

    #[inline(always)]
    fn ask(&mut self) {
        let last = self.lines.end.min(self.lines.start + self.each);
        for line in self.lines.start..last {
            self.stream.ask(line);
        }
        self.lines.start = last;
    }

    /// All that is left.
    #[inline(always)]
    fn finish(self) {
        for line in self.lines {
            self.stream.ask(line);
        }
    }
}

/// Rows of the left operand against one or two panels.
#[derive(Clone, Copy)]
pub(super) struct Part {
    pub left: Left,
    pub right: Right,
    pub out: Out,
    pub start: Start,
    pub rows: usize,
    pub inner: usize,
    /// Lanes of a partial panel.
    pub tail: usize,
    /// Whole panels from this one on.
    pub whole: usize,
    /// What is asked for on the way.
    pub ahead: Stream,
}

impl Part {
    /// `P` panels; with `TAIL` only the first `self.tail` lanes of the one panel.
    ///
    /// # Safety
    /// See `Product`.
    #[inline(always)]
    pub(super) unsafe fn tiles<L: Lanes, const P: usize, const TAIL: bool>(self) {
        let mut row = 0;
        let rows = if P == 2 { L::ROWS_2 } else { L::ROWS_1 };
        while row + rows <= self.rows {
            match rows {
                12 => self.tile::<L, 12, P, TAIL>(row),
                8 => self.tile::<L, 8, P, TAIL>(row),
                6 => self.tile::<L, 6, P, TAIL>(row),
                _ => self.tile::<L, 4, P, TAIL>(row),
            }
            row += rows;
        }
        if rows > 4 && row + 8 <= self.rows {
            self.tile::<L, 4, P, TAIL>(row);
            row += 4;
        }
        if rows > 4 && row + 4 <= self.rows {
            self.tile::<L, 4, P, TAIL>(row);
            row += 4;
        }
        while row + 2 <= self.rows {
            self.tile::<L, 2, P, TAIL>(row);
            row += 2;
        }
        if row < self.rows {
            self.tile::<L, 1, P, TAIL>(row);
        }
    }

    /// Rows `row..row + R`.
    #[inline(always)]
    unsafe fn tile<L: Lanes, const R: usize, const P: usize, const TAIL: bool>(&self, row: usize) {
        let out = self.out.data.add(row * self.out.row);
        let mut sums = [[L::splat(0.0); P]; R];
        match self.start {
            Start::Zero => {}
            Start::Keep => {
                for (r, sums) in sums.iter_mut().enumerate() {
                    for (p, sum) in sums.iter_mut().enumerate() {
                        *sum = self.read::<L, TAIL>(out.wrapping_add(p * self.out.panel + r * self.out.row));
                    }
                }
            }
            Start::Rows(bias) => {
                for (r, sums) in sums.iter_mut().enumerate() {
                    *sums = [L::splat(*bias.add(row + r)); P];
                }
            }
            Start::Columns(bias) => {
                for p in 0..P {
                    let bias = self.read::<L, TAIL>(bias.wrapping_add(p * LANES));
                    for sums in &mut sums {
                        sums[p] = bias;
                    }
                }
            }
        }
        // The result streams through the caches: ask for the next tile's lines a tile ahead.
        let (next, next_rows) = if row + R < self.rows {
            (out.wrapping_add(R * self.out.row), R)
        } else if self.whole >= 2 * P {
            (self.out.data.wrapping_add(P * self.out.panel), R.max(if P == 2 { L::ROWS_2 } else { L::ROWS_1 }))
        } else {
            (out, 0)
        };
        // A short tile has few of them.
        let each_row = if L::ROWS_2 > 0 { next_rows.div_ceil(self.inner.div_ceil(STEPS).max(1)) } else { next_rows };
        let mut next_row = 0;
        // No closures here: they would be calls, and the sums could not stay in registers.
        let mut ahead = Asking::new(self.ahead, row * P, R * P, self.inner);
        let mut block = self.left.data.wrapping_add(row * self.left.row);
        let mut right = self.right.data;
        let mut rest = self.inner;
        if !TAIL && self.left.block < usize::MAX {
            let blocks = rest / self.left.block;
            let strip = Strip {
                left: block,
                row: self.left.row,
                column: self.left.column,
                right,
                right_row: self.right.row,
                panel: self.right.panel,
                steps: self.left.block,
            };
            if L::blocks(&mut sums, strip, blocks, self.left.block_stride) {
                let steps = blocks * self.left.block;
                right = right.wrapping_add(steps * self.right.row);
                block = block.wrapping_add(blocks * self.left.block_stride);
                rest -= steps;
            }
        }
        while rest > 0 {
            // More lines at a time than the first cache can wait for would hold up the sums.
            let steps = rest.min(self.left.block).min(if L::ROWS_2 > 0 || ahead.each > 0 { STEPS } else { usize::MAX });
            ahead.ask();
            let last = next_rows.min(next_row + each_row);
            while next_row < last {
                for p in 0..P {
                    prefetch(next.wrapping_add(next_row * self.out.row + p * self.out.panel));
                }
                next_row += 1;
            }
            // Blocks lie too far apart for the hardware to see the next tile coming.
            if self.left.block < usize::MAX {
                for r in 0..R {
                    let next = block.wrapping_add((R + r) * self.left.row);
                    // A large matrix takes longer to come than the first cache would keep it.
                    if self.left.is_stream() { prefetch_second(next) } else { prefetch(next) }
                }
            }
            let strip = Strip {
                left: block,
                row: self.left.row,
                column: self.left.column,
                right,
                right_row: self.right.row,
                panel: self.right.panel,
                steps,
            };
            if TAIL {
                strip.accumulate::<L, R, P>(&mut sums, |from| L::load_first(from, self.tail));
            } else {
                L::strip(&mut sums, strip);
            }
            right = right.wrapping_add(steps * self.right.row);
            block = block.wrapping_add(if self.left.block == usize::MAX {
                steps * self.left.column
            } else {
                self.left.block_stride
            });
            rest -= steps;
        }
        ahead.finish();
        for (r, sums) in sums.into_iter().enumerate() {
            for (p, sum) in sums.into_iter().enumerate() {
                let to = out.wrapping_add(p * self.out.panel + r * self.out.row);
                if TAIL {
                    sum.store_first(to, self.tail);
                } else {
                    sum.store(to);
                }
            }
        }
    }

    #[inline(always)]
    unsafe fn read<L: Lanes, const TAIL: bool>(&self, from: *const f32) -> L {
        if TAIL { L::load_first(from, self.tail) } else { L::load(from) }
    }
}
