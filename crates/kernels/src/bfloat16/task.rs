//! One product of matrices: both operands are packed, then the result is cut into blocks.
use super::{Pack, PairProduct, STRIP, Source, left_length, pairs, right_length};
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
    /// Packs, then multiplies; `share(pieces, work)` does a number of pieces.
    pub(crate) fn run(&self, simd: Simd, share: &Share<'_>) {
        let (rows, columns, inner) = (self.left.count, self.right.count, self.left.inner);
        let mut left = Buffer::new(left_length(rows, inner));
        let mut right = Buffer::new(right_length(columns, inner));
        let (left, right) = (Shared::new(&mut left), Shared::new(&mut right));
        let (of_left, of_right) = (self.left.parts::<STRIP>(), self.right.parts::<LANES>());
        share(of_left.len() + of_right.len(), &|piece| match of_left.get(piece) {
            Some(part) => simd.run_pairs(Pack::<STRIP> { source: self.left, part: part.clone(), to: left }),
            None => {
                let part = of_right[piece - of_left.len()].clone();
                simd.run_pairs(Pack::<LANES> { source: self.right, part, to: right });
            }
        });
        let grid = Grid::new(&BLOCKS, rows, columns, inner, 256);
        share(grid.pieces(), &|piece| {
            let (i, height) = grid.rows(piece);
            let (j, width) = grid.columns(piece);
            let pairs = pairs(inner);
            let product = PairProduct {
                left: left.at(i * pairs),
                strip: STRIP * pairs,
                right: right.at(j * pairs),
                panel: LANES * pairs,
                out: Out::rows(self.c.at(i * columns + j), columns),
                rows: height,
                columns: width,
                pairs,
                start: match self.bias {
                    _ if self.accumulate => Start::Keep,
                    Some(bias) => Start::Columns(bias[j..].as_ptr()),
                    None => Start::Zero,
                },
            };
            // SAFETY: the packed operands have these sizes, and no other piece touches this block of the result.
            unsafe { product.run_with(simd) };
        });
    }
}

/// Heights and widths of blocks, multiples of a strip and of two panels.
const BLOCKS: [(usize, usize); 7] = [(240, 256), (120, 256), (120, 128), (60, 128), (60, 64), (24, 64), (24, 32)];
