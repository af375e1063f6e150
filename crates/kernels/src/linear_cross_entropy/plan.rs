//! How rows are cut into chunks and classes into blocks; depends on sizes alone.
use super::buffer;
use crate::{buffer::Buffer, simd::LANES};

/// Classes of a piece of the first and the last product: a multiple of every tile's height.
pub(super) const BLOCK: usize = 120;
/// Classes that are exponentiated and multiplied at a time: their weights and exponentials stay in L2.
pub(super) const STEP: usize = 2 * BLOCK;
/// Panels of a piece of the middle product.
pub(super) const GROUP: usize = 4;
/// Classes of a piece of the middle product, about.
const RANGE: usize = 2048;
/// Logits of a chunk, about; fits a last-level cache beside the weights of a small vocabulary.
const CHUNK: usize = 2 << 20;
/// Logits of a chunk at most, as long as it has 64 rows.
const LARGEST: usize = 20 << 20;

/// Sizes of chunks, blocks and ranges.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    features: usize,
    classes: usize,
    /// Rows of a chunk, a multiple of 64.
    pub tokens: usize,
    /// Blocks of `BLOCK` classes.
    pub blocks: usize,
    /// Ranges of classes with sums of their own, so that few rows are enough for several threads.
    pub ranges: usize,
    /// Classes of a range, a multiple of `STEP`.
    pub range: usize,
}

impl Plan {
    pub(super) fn new(rows: usize, features: usize, classes: usize) -> Self {
        // The gradient of the weights is read and written once a chunk: with 256 rows that costs a tenth of the time,
        // with 512 half of it.
        let most = (CHUNK / classes).clamp(512, 1024).min(LARGEST / classes).max(64);
        let tokens = rows.div_ceil(rows.div_ceil(most)).next_multiple_of(GROUP * LANES);
        let steps = classes.div_ceil(STEP);
        let range = steps.div_ceil(classes.div_ceil(RANGE)) * STEP;
        let (blocks, ranges) = (classes.div_ceil(BLOCK), classes.div_ceil(range));
        Self { features, classes, tokens, blocks, ranges, range }
    }

    pub(super) fn buffers(&self, gradient: bool) -> Buffers {
        let Self { features, classes, tokens, blocks, ranges, .. } = *self;
        Buffers {
            h: Buffer::new(tokens * features),
            logits: Buffer::new(tokens * classes),
            maxima: Buffer::new(blocks * tokens),
            sums: Buffer::new(4 * ranges * tokens),
            picked: Buffer::new(tokens),
            best: vec![0; ranges * tokens],
            factors: Buffer::new(3 * tokens),
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
    pub logits: Buffer,
    pub maxima: Buffer,
    pub sums: Buffer,
    pub picked: Buffer,
    pub best: Vec<u32>,
    pub factors: Buffer,
    pub dh: Buffer,
    pub scaled: Buffer,
}
