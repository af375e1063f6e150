//! One product of matrices: both operands are packed, then the result is cut into blocks.
use std::ops::Range;

use super::{
    Pack, Packed, PairProduct, Part, STRIP, Source, pairs, product::parts, right_length, row_stride, with_scratch,
};
use crate::{
    buffer::Buffer,
    matmul::{Grid, Share},
    shared::Shared,
    simd::{LANES, Simd},
    tile::{Out, Start},
};

/// `c (+)= a b + bias` with `rows` items on the left and `columns` items on the right.
pub(crate) struct PairTask<'a> {
    pub left: Source<'a>,
    pub right: Source<'a>,
    /// `[rows, columns]`.
    pub c: Shared<'a>,
    pub accumulate: bool,
    /// `[columns]`, not together with `accumulate`.
    pub bias: Option<&'a [f32]>,
}

impl PairTask<'_> {
    /// Packs the right operand, then multiplies; `share(pieces, work)` does a number of pieces, on so many threads.
    pub(crate) fn run(&self, simd: Simd, threads: usize, share: &Share<'_>) {
        let (rows, columns, inner) = (self.left.count, self.right.count, self.left.inner);
        let mut right = Buffer::new(right_length(columns, inner));
        let right = Shared::new(&mut right);
        let parts = self.right.parts::<LANES>();
        share(parts.len(), &|piece| {
            let to = Packed::whole(right, inner);
            simd.run_pairs(Pack::<LANES> { source: self.right, part: parts[piece].clone(), to });
        });
        let grid = Grid::new(&BLOCKS, rows, columns, inner, WIDEST, PIECES * threads);
        share(grid.pieces(), &|piece| {
            let ((i, height), (j, width)) = (grid.rows(piece), grid.columns(piece));
            self.piece(right, i..i + height, j..j + width, simd);
        });
    }

    /// A block of the result. Its rows of the left operand are packed by the thread that multiplies them, into memory that no
    /// other thread touches: cores that have no cache in common take longer to pass them on than to pack them.
    fn piece(&self, right: Shared<'_>, rows: Range<usize>, columns: Range<usize>, simd: Simd) {
        let all = pairs(self.left.inner);
        let before = rows.start / STRIP;
        for Part { strips, pairs } in parts(rows.len(), all) {
            let (k, length) = (pairs.start, pairs.len());
            let part = Part { strips: before + strips.start..before + strips.end, pairs };
            let first = part.strips.start * STRIP;
            with_scratch(part.strips.len() * STRIP * row_stride(2 * length), |space| {
                let product = PairProduct {
                    left: self.left.pack_left(&part, space, simd),
                    right: right.at(columns.start * all + k * LANES),
                    panel: LANES * all,
                    out: Out::rows(self.c.at(first * self.right.count + columns.start), self.right.count),
                    rows: rows.end.min(part.strips.end * STRIP) - first,
                    columns: columns.len(),
                    pairs: length,
                    start: match self.bias {
                        _ if self.accumulate || k > 0 => Start::Keep,
                        Some(bias) => Start::Columns(bias[columns.start..].as_ptr()),
                        None => Start::Zero,
                    },
                };
                // SAFETY: the packed operands have these sizes, and no other piece touches this block of the result.
                unsafe { product.run_with(simd) };
            });
        }
    }
}

/// Heights and widths of blocks, multiples of a strip and of two panels. Wide ones: the left operand is packed for each.
const BLOCKS: [(usize, usize); 7] = [(240, 1024), (120, 1024), (60, 1024), (24, 1024), (24, 512), (24, 256), (24, 64)];
/// Columns of the widest block.
const WIDEST: usize = 1024;
/// Blocks of each thread that are enough: fewer of them pack less, and the bits do not depend on it.
const PIECES: usize = 4;
