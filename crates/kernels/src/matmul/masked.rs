//! Products of which only those elements are needed where another matrix is not 0, as behind a ReLU: the gradient of its output
//! counts for nothing where that is 0. The others are left out.
//!
//! An element is a sum of products lane by lane, then over the lanes: its last bits differ from those of a tile.
use std::ops::Range;

use super::{
    MatmulShape, Task,
    sparse::{CACHED, HEIGHT, Turn, is_large, is_sparse},
};
use crate::{
    Context, Precision,
    buffer::Buffer,
    shared::Shared,
    simd::{Kernel, LANES, Lanes, Simd, prefetch_second},
};

/// Most columns that a row meets before the next one comes.
const COLUMNS: usize = 64;
/// Elements that are summed side by side.
const GROUP: usize = 4;
/// Steps that are summed lane by lane before the lanes are: those of a row that has room in the registers of AVX-512, or half.
const LONG: usize = 16 * LANES;
const SHORT: usize = 8 * LANES;
/// Columns that are packed by a piece.
const PACKED: usize = 64;

/// Per cent of the elements that may be needed; with more of them tiles are as fast.
fn most(simd: Simd) -> usize {
    match simd {
        Simd::Avx512 => 62,
        Simd::Scalar => 0,
        _ => 33,
    }
}

/// Which elements of a product are needed.
#[derive(Clone, Copy)]
pub(crate) struct Mask<'a> {
    /// As the result: 0 where it is not needed.
    pub values: &'a [f32],
    /// What the others are multiplied with.
    pub factor: f32,
}

/// `c (+)= factor a b` where the mask is not 0, and nothing (or 0) elsewhere.
#[derive(Clone, Copy)]
pub(crate) struct MaskedTask<'a> {
    task: &'a Task<'a>,
    mask: Mask<'a>,
}

impl<'a> MaskedTask<'a> {
    /// The product, if leaving out what `mask` does not want is faster.
    pub(crate) fn find(task: &'a Task<'a>, mask: Mask<'a>, simd: Simd) -> Option<Self> {
        (task.precision == Precision::Float32 && is_large(task) && is_sparse(mask.values, most(simd)))
            .then(|| Self::new(task, mask))
    }

    /// Of a product of operands as they are, without bias.
    pub(super) fn new(task: &'a Task<'a>, mask: Mask<'a>) -> Self {
        debug_assert!(!task.options.transpose_a && !task.options.transpose_b && task.bias.is_none());
        assert_eq!(mask.values.len(), task.shape.rows * task.shape.columns, "matmul: length of the mask");
        Self { task, mask }
    }

    /// The whole product, its pieces shared by the threads of the pool.
    pub(crate) fn run(&self, context: &Context) {
        let MatmulShape { rows, columns, inner } = self.task.shape;
        let mut turned = Buffer::new(columns * inner);
        let to = Shared::new(&mut turned);
        context.pool.run(columns.div_ceil(PACKED), &|piece| {
            let first = piece * PACKED;
            let width = PACKED.min(columns - first);
            // SAFETY: the columns of a piece become rows of its own.
            let to = unsafe { to.part(first * inner, width * inner) };
            let from = self.task.b[first..].as_ptr();
            context.simd.run(Turn {
                from,
                row: columns,
                rows: inner,
                columns: width,
                to: to.as_mut_ptr(),
                to_row: inner,
            });
        });
        let turned = &turned;
        context.pool.run(rows.div_ceil(HEIGHT), &|piece| {
            let first = piece * HEIGHT;
            context.simd.run(Dots { task: *self, turned, rows: first..rows.min(first + HEIGHT) });
        });
    }
}

/// Some rows of the result, on this thread.
struct Dots<'a> {
    task: MaskedTask<'a>,
    /// The right operand, `[columns, inner]`.
    turned: &'a [f32],
    rows: Range<usize>,
}

impl Kernel for Dots<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let shape = self.task.task.shape;
        let length = (CACHED / shape.inner / LANES * LANES).clamp(LANES, COLUMNS);
        let starts: [u32; COLUMNS] = std::array::from_fn(|column| (column * shape.inner) as u32);
        let mut wanted = [[0; COLUMNS + LANES]; LANES];
        let mut counts = [0; LANES];
        for first in (0..shape.columns).step_by(length) {
            let columns = first..shape.columns.min(first + length);
            for row in self.rows.clone().step_by(LANES) {
                let rows = row..self.rows.end.min(row + LANES);
                // All lists first: the sums of a row would wait for its own.
                for ((row, wanted), count) in rows.clone().zip(&mut wanted).zip(&mut counts) {
                    // SAFETY: the caller vouches for the path.
                    *count = unsafe { self.list::<L>(&starts, row, columns.clone(), wanted) };
                }
                for ((row, wanted), &count) in rows.zip(&wanted).zip(&counts) {
                    // SAFETY: as above.
                    unsafe { self.fill::<L>(row, columns.clone(), &wanted[..count.next_multiple_of(GROUP)]) };
                }
            }
        }
    }
}

impl Dots<'_> {
    /// Lists where the columns begin that a row needs, then a few more that fill up a group; gives their number without these.
    #[inline(always)]
    unsafe fn list<L: Lanes>(
        &self,
        starts: &[u32; COLUMNS],
        row: usize,
        columns: Range<usize>,
        wanted: &mut [u32; COLUMNS + LANES],
    ) -> usize {
        let MaskedTask { task, mask } = self.task;
        let at = row * task.shape.columns + columns.start;
        let mut unused = [0.0; LANES];
        let mut count = 0;
        for (part, from) in mask.values[at..][..columns.len()].chunks(LANES).enumerate() {
            // What the row has in the next columns lies too far away for the hardware to see it coming.
            prefetch_second(from.as_ptr().wrapping_add(columns.len()));
            prefetch_second(task.c.at(at + part * LANES).wrapping_add(columns.len()));
            // SAFETY: 16 columns make the list 16 longer at most; the caller vouches for the path.
            unsafe {
                let lanes = L::load_first(from.as_ptr(), from.len());
                let starts = starts.as_ptr().add(part * LANES);
                count += lanes.nonzeros(starts, unused.as_mut_ptr(), wanted.as_mut_ptr().add(count));
            }
        }
        wanted[count..count + GROUP].fill(0);
        count
    }

    /// Makes what a row needs of some columns.
    #[inline(always)]
    unsafe fn fill<L: Lanes>(&self, row: usize, columns: Range<usize>, wanted: &[u32]) {
        let MaskedTask { task, mask } = self.task;
        let inner = task.shape.inner;
        let at = row * task.shape.columns + columns.start;
        let right = self.turned[columns.start * inner..][..columns.len() * inner].as_ptr();
        let left = task.a[row * inner..][..inner].as_ptr();
        let mut sums = [0.0; COLUMNS + LANES];
        // SAFETY: the row belongs to this piece; there are as many sums as lanes that are not 0, and room for 16 more.
        unsafe {
            Row { left, right, inner }.dots::<L>(wanted, &mut sums);
            let to = task.c.part(at, columns.len());
            let mut count = 0;
            for (from, to) in mask.values[at..].chunks(LANES).zip(to.chunks_mut(LANES)) {
                let lanes = L::load_first(from.as_ptr(), to.len());
                let (mut spread, taken) = lanes.spread(sums.as_ptr().add(count));
                count += taken;
                spread = spread.mul(L::splat(mask.factor));
                if task.accumulate {
                    spread = spread.add(L::load_first(to.as_ptr(), to.len()));
                }
                spread.store_first(to.as_mut_ptr(), to.len());
            }
        }
    }
}

/// Sets a group to its first parts, or adds the next ones.
#[inline(always)]
fn put(parts: [f32; GROUP], sums: &mut [f32; GROUP], first: bool) {
    if first {
        *sums = parts;
    } else {
        sums.iter_mut().zip(parts).for_each(|(sum, part)| *sum += part);
    }
}

/// A row of the left operand, and where the rows of the right one begin.
#[derive(Clone, Copy)]
struct Row {
    left: *const f32,
    right: *const f32,
    inner: usize,
}

impl Row {
    /// Sets the first of `sums` to the products with the rows at `starts`, of which there are whole groups.
    #[inline(always)]
    unsafe fn dots<L: Lanes>(self, starts: &[u32], sums: &mut [f32; COLUMNS + LANES]) {
        let mut at = 0;
        // SAFETY: steps below `inner`; the caller vouches for the rows and the path.
        unsafe {
            // On every path the same parts, which make the bits.
            while at < self.inner {
                let length = match self.inner - at {
                    LONG.. => LONG,
                    SHORT.. => SHORT,
                    rest => rest,
                };
                match length {
                    LONG if L::PANELS >= 16 => self.held::<L, 16>(at, starts, sums),
                    SHORT if L::PANELS >= 8 => self.held::<L, 8>(at, starts, sums),
                    _ => self.read::<L>(at, length, starts, sums),
                }
                at += length;
            }
        }
    }

    /// `P` lanes of each row from step `at` on, with those of the left operand in registers.
    #[inline(always)]
    unsafe fn held<L: Lanes, const P: usize>(self, at: usize, starts: &[u32], sums: &mut [f32; COLUMNS + LANES]) {
        // SAFETY: the caller's contract.
        unsafe {
            let mut left = [L::splat(0.0); P];
            for (p, left) in left.iter_mut().enumerate() {
                *left = L::load(self.left.wrapping_add(at + p * LANES));
            }
            for (starts, sums) in starts.as_chunks::<GROUP>().0.iter().zip(sums.as_chunks_mut::<GROUP>().0) {
                let mut lanes = [L::splat(0.0); GROUP];
                for (p, &left) in left.iter().enumerate() {
                    for (&start, lanes) in starts.iter().zip(&mut lanes) {
                        let right = self.right.wrapping_add(start as usize + at + p * LANES);
                        *lanes = left.fma(L::load(right), *lanes);
                    }
                }
                put(L::sums(lanes), sums, at == 0);
            }
        }
    }

    /// The same of `length` steps, with the left operand read again for each group.
    #[inline(always)]
    unsafe fn read<L: Lanes>(self, at: usize, length: usize, starts: &[u32], sums: &mut [f32; COLUMNS + LANES]) {
        let rest = length % LANES;
        let whole = at + length - rest;
        // SAFETY: the caller's contract.
        unsafe {
            for (starts, sums) in starts.as_chunks::<GROUP>().0.iter().zip(sums.as_chunks_mut::<GROUP>().0) {
                let mut lanes = [L::splat(0.0); GROUP];
                for step in (at..whole).step_by(LANES) {
                    let left = L::load(self.left.wrapping_add(step));
                    for (&start, lanes) in starts.iter().zip(&mut lanes) {
                        *lanes = left.fma(L::load(self.right.wrapping_add(start as usize + step)), *lanes);
                    }
                }
                if rest > 0 {
                    let left = L::load_first(self.left.wrapping_add(whole), rest);
                    for (&start, lanes) in starts.iter().zip(&mut lanes) {
                        let right = self.right.wrapping_add(start as usize + whole);
                        *lanes = left.fma(L::load_first(right, rest), *lanes);
                    }
                }
                put(L::sums(lanes), sums, at == 0);
            }
        }
    }
}
