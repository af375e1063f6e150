//! Products with an operand of which many elements are 0, as ReLU and dropout leave them: what these would add is left out.
//!
//! A row of that operand becomes a list of what is not 0. Each element of the list is multiplied with a row of the other
//! operand, which takes a vector load for each multiply-add: slower than a tile, but there are fewer of them. Factors that are
//! rounded to bfloat16 are taken two at a time, whichever they are.
//!
//! Sums are made as by [`tile::Product`](crate::tile::Product) and [`PairProduct`](crate::bfloat16::PairProduct), by one
//! accumulator each in the same order, with the same bits. An infinity or NaN that meets a 0 is left out as well.
mod lists;
mod pairs;
mod singles;
mod turn;

use std::ops::Range;

use super::{MatmulShape, Share, Task};
use crate::{
    Precision,
    buffer::Buffer,
    shared::Shared,
    simd::{LANES, Simd},
    tile::Start,
};
use lists::Sparse;
use singles::Listed;
pub(super) use turn::Turn;

/// Rows of a piece.
pub(super) const HEIGHT: usize = 64;
/// Columns of a piece.
const WIDTH: usize = 256;
/// Floats of the other operand between two visits of a row of the result: they fill the first cache.
pub(super) const CACHED: usize = 8 << 10;
/// Most steps of the sums between two visits.
const STEPS: usize = 64;

/// Multiply-adds from which on it is worth looking for zeros.
const LEAST: usize = 1 << 22;
/// Places where an operand is looked at, of 16 elements each.
const PLACES: usize = 32;

/// Per cent of the elements that may differ from 0; with more of them tiles are as fast.
fn most(simd: Simd, precision: Precision) -> usize {
    match (simd, precision) {
        (Simd::Scalar, _) => 0,
        (Simd::Avx512, Precision::Float32) => 62,
        (_, Precision::Float32) => 50,
        _ if simd.multiplies_pairs() => 57,
        _ => 0,
    }
}

/// Whether a product is one in which leaving out zeros may be worth the while.
pub(super) fn is_large(task: &Task<'_>) -> bool {
    let MatmulShape { rows, columns, inner } = task.shape;
    let sides = [rows, columns, inner];
    sides.into_iter().fold(1, usize::saturating_mul) >= LEAST && sides.into_iter().all(|side| side >= 4 * LANES)
}

/// Whether no more than `most` per cent of the elements differ from 0, by those at a few places.
pub(super) fn is_sparse(values: &[f32], most: usize) -> bool {
    let chunks = values.len() / LANES;
    // Neither all at the begin of a row nor in the same columns.
    let place = |index: usize| (index * (chunks / PLACES) + index * index * 7) % chunks;
    let nonzero = |index| values[place(index) * LANES..][..LANES].iter().filter(|&&x| x != 0.0).count();
    chunks >= PLACES && (0..PLACES).map(nonzero).sum::<usize>() * 100 <= PLACES * LANES * most
}

/// A product, or its transpose, with a sparse left operand.
#[derive(Clone, Copy)]
pub(super) struct SparseTask<'a> {
    task: &'a Task<'a>,
    /// `b` is the sparse one: the result is made as its transpose.
    flipped: bool,
    sparse: &'a [f32],
    /// The sparse operand is stored `[inner, rows]`.
    across: bool,
    other: &'a [f32],
    /// The other operand is stored `[columns, inner]`.
    along: bool,
    rows: usize,
    columns: usize,
    inner: usize,
}

impl<'a> SparseTask<'a> {
    /// The product without what is 0, if that is faster.
    pub(super) fn find(task: &'a Task<'a>, simd: Simd) -> Option<Self> {
        let most = most(simd, task.precision);
        if !is_large(task) {
            None
        } else if is_sparse(task.a, most) {
            Some(Self::of_left(task))
        } else if task.bias.is_none() && is_sparse(task.b, most) {
            Some(Self::of_right(task))
        } else {
            None
        }
    }

    pub(super) fn of_left(task: &'a Task<'a>) -> Self {
        let (shape, options) = (task.shape, task.options);
        Self {
            task,
            flipped: false,
            sparse: task.a,
            across: options.transpose_a,
            other: task.b,
            along: options.transpose_b,
            rows: shape.rows,
            columns: shape.columns,
            inner: shape.inner,
        }
    }

    /// Of a product without bias.
    pub(super) fn of_right(task: &'a Task<'a>) -> Self {
        let (shape, options) = (task.shape, task.options);
        Self {
            task,
            flipped: true,
            sparse: task.b,
            across: !options.transpose_b,
            other: task.a,
            along: !options.transpose_a,
            rows: shape.columns,
            columns: shape.rows,
            inner: shape.inner,
        }
    }

    fn rounds(&self) -> bool {
        self.task.precision == Precision::Bfloat16
    }

    /// Floats that a step of the other operand takes in a block of columns.
    fn floats(&self, width: usize) -> usize {
        if self.rounds() { pairs::floats(width) } else { width }
    }

    /// The first column of a block, how many it has, and where they begin in the other operand as it is arranged.
    fn block(&self, block: usize) -> (usize, usize, usize) {
        let first = block * WIDTH;
        (first, WIDTH.min(self.columns - first), block * self.inner * self.floats(WIDTH))
    }

    pub(super) fn run(&self, simd: Simd, share: &Share<'_>) {
        let &Self { rows, columns, inner, .. } = self;
        let blocks = columns.div_ceil(WIDTH);
        // Rows of the other operand must lie one behind the other.
        let arranges = self.rounds() || self.along || blocks > 1;
        let length = (0..blocks).map(|block| inner * self.floats(self.block(block).1)).sum();
        let mut arranged = Buffer::new(if arranges { length } else { 0 });
        if arranges {
            let to = Shared::new(&mut arranged);
            let parts = inner.div_ceil(STEPS);
            share(parts * blocks, &|piece| {
                let (first, width, start) = self.block(piece / parts);
                let part = piece % parts;
                let steps = part * STEPS..inner.min((part + 1) * STEPS);
                let floats = self.floats(width);
                // SAFETY: each step of a block is arranged by one piece.
                let to = unsafe { to.part(start + steps.start * floats, steps.len() * floats) };
                self.arrange(to, first..first + width, steps, simd);
            });
        }
        let other = if arranges { &arranged } else { self.other };
        let bands = rows.div_ceil(HEIGHT);
        share(bands * blocks, &|piece| {
            let row = piece % bands * HEIGHT;
            let (first, width, start) = self.block(piece / bands);
            let other = &other[start..][..inner * self.floats(width)];
            self.piece(other, row..rows.min(row + HEIGHT), first..first + width, simd);
        });
    }

    /// Puts steps of some columns of the other operand one behind the other.
    fn arrange(&self, to: &mut [f32], columns: Range<usize>, steps: Range<usize>, simd: Simd) {
        let &Self { other, along, inner, .. } = self;
        let stride = if along { inner } else { self.columns };
        let (row, column) = if along { (columns.start, steps.start) } else { (steps.start, columns.start) };
        let from = &other[row * stride + column..];
        let (columns, steps) = (columns.len(), steps.len());
        if self.rounds() {
            simd.run_pairs(pairs::Arrange { from, stride, along, columns, steps, to });
        } else if along {
            let (from, to) = (from.as_ptr(), to.as_mut_ptr());
            simd.run(Turn { from, row: stride, rows: columns, columns: steps, to, to_row: columns });
        } else {
            for (step, to) in to.chunks_exact_mut(columns).enumerate() {
                to.copy_from_slice(&from[step * stride..][..columns]);
            }
        }
    }

    /// Some rows and columns; `other` has these columns of the other operand, as they are arranged.
    fn piece(&self, other: &[f32], row: Range<usize>, column: Range<usize>, simd: Simd) {
        let &Self { task, rows, columns, inner, .. } = self;
        let (height, width) = (row.len(), column.len());
        let (first, row_stride, step) = if self.across { (row.start, 1, rows) } else { (row.start * inner, inner, 1) };
        let left = Sparse { data: self.sparse[first..].as_ptr(), row: row_stride, step };
        let multiply = |out: *mut f32, out_row: usize, start: Start| {
            let listed =
                Listed { left, right: other.as_ptr(), out, out_row, rows: height, columns: width, inner, start };
            if self.rounds() {
                simd.run_pairs(pairs::Rounded(listed));
            } else {
                simd.run(listed);
            }
        };
        if !self.flipped {
            let start = match task.bias {
                _ if task.accumulate => Start::Keep,
                Some(bias) => Start::Columns(bias[column.start..].as_ptr()),
                None => Start::Zero,
            };
            return multiply(task.c.at(row.start * columns + column.start), columns, start);
        }
        let stride = width.next_multiple_of(LANES);
        let mut scratch = Buffer::new(height * stride);
        let scratch = scratch.as_mut_ptr();
        let to = task.c.at(column.start * rows + row.start);
        let start = if task.accumulate { Start::Keep } else { Start::Zero };
        if task.accumulate {
            simd.run(Turn { from: to, row: rows, rows: width, columns: height, to: scratch, to_row: stride });
        }
        multiply(scratch, stride, start);
        simd.run(Turn { from: scratch, row: stride, rows: height, columns: width, to, to_row: rows });
    }
}
