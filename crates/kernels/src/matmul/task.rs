//! One product: which operand becomes the lanes, what is packed, and how the work is cut.
use crate::{
    Context, Precision,
    bfloat16::{Layout, PairTask, STRIP, Source},
    buffer::Buffer,
    panels::{Pack, Unpack, panels_length},
    shared::Shared,
    simd::{LANES, Simd, prefetch},
    tile::{Ahead, INNER_BLOCK, LEFT_BLOCK, LONG_BLOCK, Left, Out, Product, Right, Start, equal_block},
};

use super::{
    MatmulOptions, MatmulShape, SMALL,
    few::{self, Few, WIDTH},
    sparse::SparseTask,
};

/// `c (+)= op(a) op(b) + bias`, with the result shared by the pieces of the job.
pub(crate) struct Task<'a> {
    pub a: &'a [f32],
    pub b: &'a [f32],
    pub c: Shared<'a>,
    pub accumulate: bool,
    /// `[columns]`, not together with `accumulate`.
    pub bias: Option<&'a [f32]>,
    pub shape: MatmulShape,
    pub options: MatmulOptions,
    /// What the factors are rounded to.
    pub precision: Precision,
}

/// Does a number of pieces of work.
pub(crate) type Share<'a> = dyn Fn(usize, &(dyn Fn(usize) + Sync)) + 'a;

/// The product as the tile sees it: either as it is, or transposed, so that the rows of `c` are the lanes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// Columns of `c` are the lanes, rows of `b` are read in place.
    Direct,
    /// Columns of `c` are the lanes, `b` is packed into panels.
    Packed,
    /// Columns of `c` are the lanes, a few rows meet `b` where it lies.
    Few,
    /// Rows of `c` are the lanes: `c^T = op(b)^T op(a)^T`, with `a` packed into panels and the result unpacked.
    Transposed,
}

/// Whether a block of rows `stride` floats apart falls into so few sets of the first cache that it does not stay there
/// until the next tile reads it again.
fn collides(stride: usize) -> bool {
    stride.is_multiple_of(2 * LANES)
}

/// Whether it does not even stay in the second cache.
fn collides_in_second(stride: usize) -> bool {
    stride.is_multiple_of(32 * LANES)
}

impl Task<'_> {
    fn way(&self, simd: Simd) -> Way {
        let MatmulShape { rows, columns, inner } = self.shape;
        if self.options == (MatmulOptions { transpose_a: false, transpose_b: true }) && rows <= few::most(simd) {
            return Way::Few;
        }
        // Floats that move in each way, beyond the product itself; lanes that stay empty cost a product's work.
        let transposed = rows * (inner + columns) + rows.next_multiple_of(LANES) * columns * inner / 16;
        let packed = columns * inner + columns.next_multiple_of(LANES) * rows * inner / 16;
        if self.options.transpose_b {
            if transposed <= packed { Way::Transposed } else { Way::Packed }
        } else if transposed + columns * inner < packed {
            Way::Transposed
        } else if collides(columns) && rows >= 64 && !self.reads_in_place(simd) {
            Way::Packed
        } else {
            Way::Direct
        }
    }

    /// Whether the rows of the right operand of a gradient of weights are read from the second cache, tile by tile: a tile of
    /// AVX-512 works long enough on a row for the next ones to come. Shorter tiles are faster on panels.
    fn reads_in_place(&self, simd: Simd) -> bool {
        self.options.transpose_a && simd == Simd::Avx512
    }

    /// Whether each piece copies its part of a transposed left operand, block by block.
    fn copies_left(&self, way: Way) -> bool {
        let MatmulShape { rows, columns, inner } = self.shape;
        self.options.transpose_a && way != Way::Transposed && collides_in_second(rows) && columns >= 64 && inner > 0
    }

    /// The whole product on this thread.
    pub(crate) fn run_here(&self, simd: Simd) {
        self.run_by(simd, 1, &|pieces, work| (0..pieces).for_each(work));
    }

    /// The whole product, its pieces shared by the threads of the pool.
    pub(crate) fn run(&self, context: &Context) {
        let MatmulShape { rows, columns, inner } = self.shape;
        // Few rows are done as fast as the other operand is read.
        let small = if self.way(context.simd) == Way::Few {
            columns * inner <= SMALL / 8
        } else {
            rows * columns * inner <= SMALL
        };
        if small {
            return self.run_here(context.simd);
        }
        self.run_by(context.simd, context.pool.threads(), &|pieces, work| context.pool.run(pieces, work));
    }

    /// Packs, then multiplies; `share(pieces, work)` does a number of pieces, on so many threads.
    fn run_by(&self, simd: Simd, threads: usize, share: &Share<'_>) {
        match SparseTask::find(self, simd) {
            Some(task) => task.run(simd, share),
            None => self.run_dense(simd, threads, share),
        }
    }

    /// The product with all elements of both operands.
    pub(super) fn run_dense(&self, simd: Simd, threads: usize, share: &Share<'_>) {
        if self.precision == Precision::Bfloat16 {
            return self.rounded().run(simd, threads, share);
        }
        let way = self.way(simd);
        if way == Way::Few {
            let pieces = self.shape.columns.div_ceil(WIDTH);
            return share(pieces, &|piece| self.few(piece, simd));
        }
        let mut packed = Buffer::new(self.packed_length(way));
        let packed = Shared::new(&mut packed);
        self.pack(way, packed, simd, share);
        let grid = self.grid(way);
        share(grid.pieces(), &|piece| self.piece(way, &grid, piece, packed, simd));
    }

    /// The product with operands that are rounded to bfloat16.
    fn rounded(&self) -> PairTask<'_> {
        let MatmulShape { rows, columns, inner } = self.shape;
        let MatmulOptions { transpose_a, transpose_b } = self.options;
        let source = |data, count, along| {
            let layout = if along { Layout::Along { stride: inner } } else { Layout::Across { stride: count } };
            Source { data, count, inner, layout }
        };
        PairTask {
            left: source(self.a, rows, !transpose_a),
            right: source(self.b, columns, transpose_b),
            c: self.c,
            accumulate: self.accumulate,
            bias: self.bias,
        }
    }

    /// The operand whose rows or columns become the lanes: it, how many they are, and whether it lies row by row along them.
    fn lanes(&self, way: Way) -> Option<(&[f32], usize, bool)> {
        let MatmulShape { rows, columns, .. } = self.shape;
        match way {
            Way::Direct | Way::Few => None,
            Way::Packed => Some((self.b, columns, self.options.transpose_b)),
            Way::Transposed => Some((self.a, rows, !self.options.transpose_a)),
        }
    }

    fn packed_length(&self, way: Way) -> usize {
        self.lanes(way).map_or(0, |(_, count, _)| panels_length(count, self.shape.inner))
    }

    /// Packs the operand whose rows or columns become the lanes.
    fn pack(&self, way: Way, to: Shared<'_>, simd: Simd, share: &Share<'_>) {
        let inner = self.shape.inner;
        let length = inner * LANES;
        match self.lanes(way) {
            Some((source, count, true)) => share(count.div_ceil(LANES), &|panel| {
                // SAFETY: each panel is packed by one piece.
                let to = unsafe { to.part(panel * length, length) };
                let row = |lane: usize| Some(panel * LANES + lane).filter(|&row| row < count);
                simd.run(Pack::new(to, |lane| row(lane).map(|row| &source[row * inner..][..inner])));
            }),
            Some((source, count, false)) => {
                // A thread packs about the panels that it meets again: pieces with common columns are neighbours in the grid, too.
                let blocks = inner.div_ceil(INNER_BLOCK);
                share(blocks * count.div_ceil(PACKED_PANELS * LANES), &|piece| {
                    let (first, block) = (piece / blocks * PACKED_PANELS, piece % blocks);
                    let steps = block * INNER_BLOCK..inner.min((block + 1) * INNER_BLOCK);
                    for k in steps {
                        let row = &source[k * count..][..count];
                        let next = row.as_ptr().wrapping_add(FETCHED_ROWS * count + first * LANES);
                        prefetch_row(next, PACKED_PANELS * LANES);
                        for (panel, from) in row.chunks(LANES).enumerate().skip(first).take(PACKED_PANELS) {
                            // SAFETY: each step of a panel is packed by one piece.
                            let to = unsafe { to.part(panel * length + k * LANES, LANES) };
                            if let Ok(from) = <&[f32; LANES]>::try_from(from) {
                                to.copy_from_slice(from);
                            } else {
                                to[..from.len()].copy_from_slice(from);
                                to[from.len()..].fill(0.0);
                            }
                        }
                    }
                });
            }
            None => {}
        }
    }

    fn few(&self, piece: usize, simd: Simd) {
        let MatmulShape { rows, columns, inner } = self.shape;
        let first = piece * WIDTH;
        let start = match self.bias {
            _ if self.accumulate => Start::Keep,
            Some(bias) => Start::Columns(bias.as_ptr()),
            None => Start::Zero,
        };
        let (a, b, c) = (self.a, self.b, self.c);
        simd.run(Few { a, b, c, rows, columns, inner, first, width: WIDTH.min(columns - first), start });
    }

    fn grid(&self, way: Way) -> Grid {
        let MatmulShape { rows, columns, inner } = self.shape;
        match way {
            Way::Transposed => Grid::new(&BLOCKS, columns, rows, inner, 128, PIECES),
            _ if self.copies_left(way) => Grid::new(&WIDE_BLOCKS, rows, columns, inner, 256, PIECES),
            _ => Grid::new(&BLOCKS, rows, columns, inner, 512, PIECES),
        }
    }

    /// The rows of the left operand that the next piece begins with.
    fn next_rows(&self, grid: &Grid, piece: usize) -> Ahead {
        let inner = self.shape.inner;
        let next = piece + 1;
        if self.options.transpose_a || next >= grid.pieces() || grid.rows(next).0 == 0 {
            return Ahead::NOTHING;
        }
        let (first, height) = grid.rows(next);
        let height = height.min(LEFT_BLOCK / inner.max(1));
        Ahead::rows(self.a.as_ptr().wrapping_add(first * inner), inner.min(LONG_BLOCK), height, inner)
    }

    fn piece(&self, way: Way, grid: &Grid, piece: usize, packed: Shared<'_>, simd: Simd) {
        let MatmulShape { rows, columns, inner } = self.shape;
        let (i, height) = grid.rows(piece);
        let (j, width) = grid.columns(piece);
        let panel = || packed.at(j / LANES * inner * LANES).cast_const();
        if way == Way::Transposed {
            let left = if self.options.transpose_b {
                let data = self.b.as_ptr().wrapping_add(i * inner);
                if rows <= ONCE { Left::stream(data, inner) } else { Left::rows(data, inner) }
            } else {
                Left::columns(self.b.as_ptr().wrapping_add(i), columns)
            };
            let mut scratch = Buffer::new(panels_length(width, height));
            let product = Product {
                left,
                right: Right::panels(panel(), inner * LANES),
                out: Out::panels(scratch.as_mut_ptr(), height * LANES),
                rows: height,
                columns: width.next_multiple_of(LANES),
                inner,
                start: self.bias.map_or(Start::Zero, |bias| Start::Rows(bias[i..].as_ptr())),
                ahead: Ahead::NOTHING,
            };
            // SAFETY: operands and scratch space have these sizes.
            unsafe { product.run(simd) };
            for (panel, from) in scratch.chunks_exact((height * LANES).max(1)).enumerate() {
                let row = |lane| Some(panel * LANES + lane).filter(|&row| row < width);
                // SAFETY: the parts of the rows that belong to this piece alone.
                let to = |row: usize| unsafe { self.c.part((j + row) * columns + i, height) };
                simd.run(Unpack::new(from, |lane| row(lane).map(to), self.accumulate));
            }
            return;
        }
        let right = match way {
            Way::Packed => Right::panels(panel(), inner * LANES),
            _ => Right::rows(self.b.as_ptr().wrapping_add(j), columns),
        };
        let start = match self.bias {
            _ if self.accumulate => Start::Keep,
            Some(bias) => Start::Columns(bias[j..].as_ptr()),
            None => Start::Zero,
        };
        let out = Out::rows(self.c.at(i * columns + j), columns);
        let left = if self.options.transpose_a {
            Left::columns(self.a.as_ptr().wrapping_add(i), rows)
        } else {
            Left::rows(self.a.as_ptr().wrapping_add(i * inner), inner)
        };
        let ahead = self.next_rows(grid, piece);
        let product = Product { left, right, out, rows: height, columns: width, inner, start, ahead };
        if !self.copies_left(way) {
            // SAFETY: operands have these sizes, and no other piece touches this block of the result.
            unsafe { product.run(simd) };
            return;
        }
        // An odd number of lines from row to row: they fall into all sets of the cache.
        let stride = (height.div_ceil(LANES) | 1) * LANES;
        let length = equal_block(inner, LONG_BLOCK.min(LEFT_BLOCK / height / LANES * LANES));
        let mut copy = Buffer::new(length.min(inner) * stride);
        for k in (0..inner).step_by(length) {
            let steps = length.min(inner - k);
            for (row, to) in copy.chunks_exact_mut(stride).take(steps).enumerate() {
                let from = &self.a[(k + row) * rows + i..];
                prefetch_row(from.as_ptr().wrapping_add(FETCHED_ROWS * rows), height);
                to[..height].copy_from_slice(&from[..height]);
            }
            let part = Product {
                left: Left::columns(copy.as_ptr(), stride),
                right: Right { data: right.data.wrapping_add(k * right.row), ..right },
                inner: steps,
                start: if k == 0 { start } else { Start::Keep },
                ..product
            };
            // SAFETY: as above, of some rows of the operands.
            unsafe { part.run(simd) };
        }
    }
}

/// Rows that are asked for in advance where parts of rows are copied: they may lie on as many pages, where the hardware does not
/// see them coming.
const FETCHED_ROWS: usize = 8;

/// Asks for a part of a row.
fn prefetch_row(data: *const f32, length: usize) {
    for line in (0..length).step_by(LANES) {
        prefetch(data.wrapping_add(line));
    }
}

/// Most rows for which the larger operand is read once.
const ONCE: usize = 128;

/// Panels that a piece packs together, so that it reads more than a line of each row.
const PACKED_PANELS: usize = 8;

/// Heights and widths of blocks, multiples of every tile's height and of two panels.
const BLOCKS: [(usize, usize); 7] = [(240, 256), (120, 256), (120, 128), (60, 128), (60, 64), (24, 64), (24, 32)];
/// Wider ones, where each piece copies its part of the left operand.
const WIDE_BLOCKS: [(usize, usize); 5] = [(120, 256), (60, 256), (60, 128), (24, 128), (24, 64)];

/// Blocks that are enough for any number of threads: the shape alone decides about them.
const PIECES: usize = 16;

/// Rows that stay together: a tile of AVX-512, two of AVX2, whole strips of bfloat16, of which a piece takes none in part.
const UNIT: usize = 12;
const _: () = assert!(UNIT.is_multiple_of(STRIP));

/// A result cut into blocks.
pub(crate) struct Grid {
    rows: usize,
    columns: usize,
    /// Blocks one below the other, of about the same height, so that shares of the pieces are about the same work.
    blocks: usize,
    width: usize,
}

impl Grid {
    /// The first of the `blocks` (height, width) that makes `enough` pieces or holds little work; none is wider than `widest`.
    pub(crate) fn new(
        blocks: &[(usize, usize)],
        rows: usize,
        columns: usize,
        inner: usize,
        widest: usize,
        enough: usize,
    ) -> Self {
        let pieces = |height, width| rows.div_ceil(height) * columns.div_ceil(width);
        let (mut height, mut width) = (240, widest);
        for &(next_height, next_width) in blocks {
            let work = height.min(rows) * width.min(columns) * inner;
            if pieces(height, width) >= enough || work <= SMALL {
                break;
            }
            (height, width) = (next_height, next_width.min(widest));
        }
        let mut blocks = rows.div_ceil(height);
        // As many for each of two or four threads.
        while pieces(height, width) >= 8 && blocks * columns.div_ceil(width) % 4 > 0 && blocks < rows.div_ceil(UNIT) {
            blocks += 1;
        }
        Self { rows, columns, blocks, width }
    }

    pub(crate) fn pieces(&self) -> usize {
        self.blocks * self.columns.div_ceil(self.width)
    }

    /// First row and number of rows of a piece; neighbouring pieces share the columns.
    pub(crate) fn rows(&self, piece: usize) -> (usize, usize) {
        let units = self.rows.div_ceil(UNIT);
        let begin = |block: usize| (block * units / self.blocks * UNIT).min(self.rows);
        let block = piece % self.blocks;
        (begin(block), begin(block + 1) - begin(block))
    }

    pub(crate) fn columns(&self, piece: usize) -> (usize, usize) {
        let first = piece / self.blocks * self.width;
        (first, self.width.min(self.columns - first))
    }
}
