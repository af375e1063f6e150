//! Products with an operand of which many elements are 0, as ReLU and dropout leave them: what these would add is left out.
//!
//! A row of that operand becomes a list of what is not 0. Each element of the list is multiplied with a row of the other
//! operand, which takes a vector load for each multiply-add: slower than a tile, but there are fewer of them.
//!
//! Sums are made as by [`tile::Product`](crate::tile::Product), by one accumulator each in ascending order, with the same bits.
//! An infinity or NaN that meets a 0 is left out as well.
use std::ops::Range;

use super::{MatmulShape, Share, Task};
use crate::{
    Precision,
    buffer::Buffer,
    shared::Shared,
    simd::{Kernel, LANES, Lanes, Simd, prefetch_second},
    tile::Start,
};

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
fn most(simd: Simd) -> usize {
    match simd {
        Simd::Avx512 => 62,
        Simd::Scalar => 0,
        _ => 50,
    }
}

/// Whether a product is one in which leaving out zeros may be worth the while.
pub(super) fn is_large(task: &Task<'_>) -> bool {
    let MatmulShape { rows, columns, inner } = task.shape;
    let sides = [rows, columns, inner];
    task.precision == Precision::Float32
        && sides.into_iter().fold(1, usize::saturating_mul) >= LEAST
        && sides.into_iter().all(|side| side >= 4 * LANES)
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
        if !is_large(task) {
            None
        } else if is_sparse(task.a, most(simd)) {
            Some(Self::of_left(task))
        } else if task.bias.is_none() && is_sparse(task.b, most(simd)) {
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

    pub(super) fn run(&self, simd: Simd, share: &Share<'_>) {
        let &Self { rows, columns, inner, .. } = self;
        let blocks = columns.div_ceil(WIDTH);
        // Rows of the other operand must lie one behind the other.
        let packs = self.along || blocks > 1;
        let mut packed = Buffer::new(if packs { inner * columns } else { 0 });
        if packs {
            let to = Shared::new(&mut packed);
            let parts = inner.div_ceil(STEPS);
            share(parts * blocks, &|piece| {
                let (first, part) = (piece / parts * WIDTH, piece % parts);
                simd.run(Arrange { task: *self, to, first, steps: part * STEPS..inner.min((part + 1) * STEPS) });
            });
        }
        let other = if packs { &packed } else { self.other };
        let bands = rows.div_ceil(HEIGHT);
        share(bands * blocks, &|piece| {
            let (row, first) = (piece % bands * HEIGHT, piece / bands * WIDTH);
            let (height, width) = (HEIGHT.min(rows - row), WIDTH.min(columns - first));
            self.piece(&other[first * inner..][..inner * width], row..row + height, first..first + width, simd);
        });
    }

    /// Some rows and columns; `right` has these columns of the other operand, `[inner, width]`.
    fn piece(&self, right: &[f32], row: Range<usize>, column: Range<usize>, simd: Simd) {
        let &Self { task, rows, columns, inner, .. } = self;
        let (height, width) = (row.len(), column.len());
        let (left, left_row, left_step) =
            if self.across { (row.start, 1, rows) } else { (row.start * inner, inner, 1) };
        let left = self.sparse[left..].as_ptr();
        let listed = |out: *mut f32, out_row: usize, start: Start| Listed {
            left,
            left_row,
            left_step,
            right: right.as_ptr(),
            out,
            out_row,
            rows: height,
            columns: width,
            inner,
            start,
        };
        if !self.flipped {
            let start = match task.bias {
                _ if task.accumulate => Start::Keep,
                Some(bias) => Start::Columns(bias[column.start..].as_ptr()),
                None => Start::Zero,
            };
            return simd.run(listed(task.c.at(row.start * columns + column.start), columns, start));
        }
        let stride = width.next_multiple_of(LANES);
        let mut scratch = Buffer::new(height * stride);
        let scratch = scratch.as_mut_ptr();
        let to = task.c.at(column.start * rows + row.start);
        let start = if task.accumulate { Start::Keep } else { Start::Zero };
        if task.accumulate {
            simd.run(Turn { from: to, row: rows, rows: width, columns: height, to: scratch, to_row: stride });
        }
        simd.run(listed(scratch, stride, start));
        simd.run(Turn { from: scratch, row: stride, rows: height, columns: width, to, to_row: rows });
    }
}

/// `to[j, i] = from[i, j]`.
///
/// # Safety
/// To run it, both matrices must be there, `to` for this thread alone.
pub(super) struct Turn {
    pub from: *const f32,
    /// Distance of its rows.
    pub row: usize,
    pub rows: usize,
    pub columns: usize,
    pub to: *mut f32,
    pub to_row: usize,
}

impl Kernel for Turn {
    type Output = ();

    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let Self { from, row, rows, columns, to, to_row } = self;
        for i in (0..rows).step_by(LANES) {
            for j in (0..columns).step_by(LANES) {
                let (from, to) = (from.wrapping_add(i * row + j), to.wrapping_add(j * to_row + i));
                let (height, width) = (LANES.min(rows - i), LANES.min(columns - j));
                // SAFETY: rows and columns of the matrices; the caller vouches for them and the path.
                unsafe {
                    let mut lanes = [L::splat(0.0); LANES];
                    if height == LANES && width == LANES {
                        for (r, lanes) in lanes.iter_mut().enumerate() {
                            *lanes = L::load(from.wrapping_add(r * row));
                        }
                        for (r, lanes) in L::transpose(lanes).iter().enumerate() {
                            lanes.store(to.wrapping_add(r * to_row));
                        }
                        continue;
                    }
                    for (r, lanes) in lanes.iter_mut().enumerate().take(height) {
                        *lanes = L::load_first(from.wrapping_add(r * row), width);
                    }
                    for (r, lanes) in L::transpose(lanes).iter().enumerate().take(width) {
                        lanes.store_first(to.wrapping_add(r * to_row), height);
                    }
                }
            }
        }
    }
}

/// Puts steps of the other operand where [`SparseTask::piece`] reads them: block by block of columns, `[inner, width]` each.
struct Arrange<'a> {
    task: SparseTask<'a>,
    to: Shared<'a>,
    /// First column of the block.
    first: usize,
    steps: Range<usize>,
}

impl Kernel for Arrange<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let Self { task, to, first, steps } = self;
        let SparseTask { other, columns, inner, .. } = task;
        let width = WIDTH.min(columns - first);
        // SAFETY: each step of a block is arranged by one piece.
        let to = unsafe { to.part(first * inner + steps.start * width, steps.len() * width) };
        if task.along {
            let from = other[first * inner + steps.start..].as_ptr();
            let (columns, to) = (steps.len(), to.as_mut_ptr());
            // SAFETY: these steps of these columns; the caller vouches for the path.
            return unsafe { Turn { from, row: inner, rows: width, columns, to, to_row: width }.run::<L>() };
        }
        for (to, step) in to.chunks_exact_mut(width).zip(steps) {
            to.copy_from_slice(&other[step * columns + first..][..width]);
        }
    }
}

/// One piece: rows of the sparse operand times at most 256 columns of the other one, on this thread.
///
/// # Safety
/// To run it, all elements that the strides describe must be readable, those of `out` writable and by this thread alone.
struct Listed {
    /// Element `(i, k)` lies at `left + i * left_row + k * left_step`; one of the two is 1.
    left: *const f32,
    left_row: usize,
    left_step: usize,
    /// `[inner, columns]`.
    right: *const f32,
    out: *mut f32,
    out_row: usize,
    rows: usize,
    columns: usize,
    inner: usize,
    /// Not [`Start::Rows`].
    start: Start,
}

/// What is not 0 in some steps of 16 rows, row by row.
struct Lists {
    values: [f32; LANES * (STEPS + 1)],
    /// Where the other operand's row of each value begins.
    places: [u32; LANES * (STEPS + 1)],
    /// Where each row ends.
    ends: [usize; LANES],
    /// The rows, where memory has them as columns.
    turned: [[f32; STEPS]; LANES],
}

/// What a row of the result gets.
#[derive(Clone, Copy)]
struct List<'a> {
    values: &'a [f32],
    places: &'a [u32],
    /// First row of the other operand.
    right: *const f32,
    out: *mut f32,
    start: Start,
}

impl Kernel for Listed {
    type Output = ();

    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let length = (CACHED / self.columns / LANES * LANES).clamp(LANES, STEPS);
        let places: [u32; STEPS] = std::array::from_fn(|step| (step * self.columns) as u32);
        let mut lists = Lists {
            values: [0.0; LANES * (STEPS + 1)],
            places: [0; LANES * (STEPS + 1)],
            ends: [0; LANES],
            turned: [[0.0; STEPS]; LANES],
        };
        for k in (0..self.inner).step_by(length) {
            let steps = k..self.inner.min(k + length);
            let right = self.right.wrapping_add(k * self.columns);
            let start = if k == 0 { self.start } else { Start::Keep };
            for row in (0..self.rows).step_by(LANES) {
                let rows = row..self.rows.min(row + LANES);
                // SAFETY: rows below `rows`, steps below `inner`; the caller vouches for them and the path.
                unsafe {
                    self.list::<L>(&mut lists, &places, rows.clone(), steps.clone());
                    let mut first = 0;
                    for (row, &end) in rows.zip(&lists.ends) {
                        let values = lists.values.get_unchecked(first..end);
                        let places = lists.places.get_unchecked(first..end);
                        let out = self.out.wrapping_add(row * self.out_row);
                        List { values, places, right, out, start }.add::<L>(self.columns);
                        first = end;
                    }
                }
            }
        }
    }
}

impl Listed {
    /// Lists what is not 0 in some steps of at most 16 rows.
    #[inline(always)]
    unsafe fn list<L: Lanes>(&self, lists: &mut Lists, places: &[u32; STEPS], rows: Range<usize>, steps: Range<usize>) {
        let (height, length) = (rows.len(), steps.len());
        let mut left = self.left.wrapping_add(rows.start * self.left_row + steps.start * self.left_step);
        let mut stride = self.left_row;
        let next = left.wrapping_add(length * self.left_step);
        // SAFETY: the caller's contract; 16 steps of a row take up to 16 places of the lists behind those before.
        unsafe {
            if self.left_step > 1 {
                // What the same rows have in the next steps lies too far apart for the hardware to see it coming.
                for step in 0..length {
                    prefetch_second(next.wrapping_add(step * self.left_step));
                }
                let to = lists.turned.as_mut_ptr().cast();
                Turn { from: left, row: self.left_step, rows: length, columns: height, to, to_row: STEPS }.run::<L>();
                (left, stride) = (to.cast_const(), STEPS);
            }
            let mut end = 0;
            for (row, row_end) in lists.ends.iter_mut().enumerate().take(height) {
                for step in (0..length).step_by(LANES) {
                    let from = left.wrapping_add(row * stride + step);
                    let lanes = if length - step >= LANES { L::load(from) } else { L::load_first(from, length - step) };
                    let (values, chosen) = (lists.values.as_mut_ptr().add(end), lists.places.as_mut_ptr().add(end));
                    end += lanes.nonzeros(places.as_ptr().add(step), values, chosen);
                    if self.left_step == 1 {
                        prefetch_second(next.wrapping_add(row * stride + step));
                    }
                }
                *row_end = end;
            }
        }
    }
}

impl List<'_> {
    /// Adds what the list makes to a row of the result.
    #[inline(always)]
    unsafe fn add<L: Lanes>(self, columns: usize) {
        let whole = columns / LANES;
        let mut panel = 0;
        // SAFETY: panels below `columns`; the caller vouches for the operands and the path.
        unsafe {
            while panel < whole {
                panel += match whole - panel {
                    16.. if L::PANELS >= 16 => self.sums::<L, 16>(panel),
                    8.. if L::PANELS >= 8 => self.sums::<L, 8>(panel),
                    6.. if L::PANELS >= 6 => self.sums::<L, 6>(panel),
                    4.. if L::PANELS >= 4 => self.sums::<L, 4>(panel),
                    2.. if L::PANELS >= 2 => self.sums::<L, 2>(panel),
                    _ => self.sums::<L, 1>(panel),
                };
            }
            if columns > whole * LANES {
                self.tail::<L>(whole * LANES, columns % LANES);
            }
        }
    }

    /// `P` whole panels; gives their number.
    #[inline(always)]
    unsafe fn sums<L: Lanes, const P: usize>(self, panel: usize) -> usize {
        let column = panel * LANES;
        let (out, right) = (self.out.wrapping_add(column), self.right.wrapping_add(column));
        // SAFETY: the caller's contract.
        unsafe {
            let mut sums = [L::splat(0.0); P];
            match self.start {
                Start::Keep => {
                    for (p, sum) in sums.iter_mut().enumerate() {
                        *sum = L::load(out.wrapping_add(p * LANES));
                    }
                }
                Start::Columns(bias) => {
                    for (p, sum) in sums.iter_mut().enumerate() {
                        *sum = L::load(bias.wrapping_add(column + p * LANES));
                    }
                }
                Start::Zero | Start::Rows(_) => {}
            }
            for (&value, &place) in self.values.iter().zip(self.places) {
                let value = L::splat(value);
                let right = right.wrapping_add(place as usize);
                for (p, sum) in sums.iter_mut().enumerate() {
                    *sum = value.fma(L::load(right.wrapping_add(p * LANES)), *sum);
                }
            }
            for (p, sum) in sums.iter().enumerate() {
                sum.store(out.wrapping_add(p * LANES));
            }
        }
        P
    }

    /// The first `count` lanes from a column on.
    #[inline(always)]
    unsafe fn tail<L: Lanes>(self, column: usize, count: usize) {
        let (out, right) = (self.out.wrapping_add(column), self.right.wrapping_add(column));
        // SAFETY: the caller's contract.
        unsafe {
            let mut sum = match self.start {
                Start::Keep => L::load_first(out, count),
                Start::Columns(bias) => L::load_first(bias.wrapping_add(column), count),
                Start::Zero | Start::Rows(_) => L::splat(0.0),
            };
            for (&value, &place) in self.values.iter().zip(self.places) {
                sum = L::splat(value).fma(L::load_first(right.wrapping_add(place as usize), count), sum);
            }
            sum.store_first(out, count);
        }
    }
}
