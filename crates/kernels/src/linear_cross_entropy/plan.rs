//! How rows are cut into chunks and classes into blocks; depends on sizes alone.
use super::{
    buffer,
    chunk::{FACTORS, SUMS},
};
use crate::{buffer::Buffer, simd::LANES};

/// Classes whose weights are taken at once, about, times features: 120 KiB, which stay in L2 between two products.
const BLOCK: usize = 30 << 10;
/// Classes of a block at most.
pub(super) const LARGEST_BLOCK: usize = 240;
/// Panels that share a piece.
pub(super) const GROUP: usize = 4;
/// Classes of a range, about.
const RANGE: usize = 2048;
/// Exponentials of a chunk, about; fits a last-level cache beside the weights of a small vocabulary.
const CHUNK: usize = 2 << 20;
/// Exponentials of a chunk at most, as long as it has 64 rows.
const LARGEST: usize = 20 << 20;

/// Sizes of chunks, blocks and ranges.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    features: usize,
    /// Rows of a chunk, a multiple of 64.
    pub tokens: usize,
    /// Classes of a block, and of half a block, a multiple of every tile's height; [`LARGEST_BLOCK`] at most.
    pub block: usize,
    /// Blocks of classes.
    pub blocks: usize,
    /// Ranges of classes with sums of their own, so that few rows are enough for several threads.
    pub ranges: usize,
}

impl Plan {
    pub(super) fn new(rows: usize, features: usize, classes: usize) -> Self {
        // The gradient of the weights is read and written once a chunk: with 256 rows that costs a tenth of the time,
        // with 512 half of it.
        let most = (CHUNK / classes).clamp(512, 1024).min(LARGEST / classes).max(64);
        let tokens = rows.div_ceil(rows.div_ceil(most)).next_multiple_of(GROUP * LANES);
        let block = (BLOCK / features.max(1) / 24 * 24).clamp(48, LARGEST_BLOCK);
        let blocks = classes.div_ceil(block);
        Self { features, tokens, block, blocks, ranges: classes.div_ceil(RANGE).min(blocks) }
    }

    /// Blocks of a range: as many as of the others, or one more or less.
    pub(super) fn range(&self, range: usize) -> std::ops::Range<usize> {
        let begin = |range: usize| range * self.blocks / self.ranges;
        begin(range)..begin(range + 1)
    }

    /// Classes of a block, of `classes` in all.
    pub(super) fn classes(&self, block: usize, classes: usize) -> std::ops::Range<usize> {
        let first = block * self.block;
        first..classes.min(first + self.block)
    }

    pub(super) fn buffers(&self, gradient: bool) -> Buffers {
        let Self { features, tokens, block, blocks, ranges, .. } = *self;
        Buffers {
            h: Buffer::new(tokens * features),
            values: Buffer::new(blocks * block * tokens),
            references: Buffer::new(tokens),
            sums: Buffer::new(SUMS * ranges * tokens),
            picked: Buffer::new(tokens),
            factors: Buffer::new(FACTORS * tokens),
            dh: buffer(gradient, ranges * tokens * features),
            scaled: buffer(gradient, tokens * scaled_stride(features)),
        }
    }
}

/// Distance of the rows of the scaled `h`: one line more where rows would fall into few sets of the caches.
pub(super) fn scaled_stride(features: usize) -> usize {
    let stride = features.next_multiple_of(LANES);
    if stride.is_multiple_of(2 * LANES) { stride + LANES } else { stride }
}

/// Space for one chunk, used by all.
pub(super) struct Buffers {
    pub h: Buffer,
    pub values: Buffer,
    pub references: Buffer,
    pub sums: Buffer,
    pub picked: Buffer,
    pub factors: Buffer,
    pub dh: Buffer,
    pub scaled: Buffer,
}
