//! Rounding an operand to bfloat16 and laying it out in strips.
#![allow(unsafe_op_in_unsafe_fn, reason = "every line works on raw operands under the contract of `PairKernel`")]
use std::ops::Range;

use super::{STRIP, pairs, product::Left, row_stride};
use crate::{
    shared::Shared,
    simd::{
        LANES, Simd,
        pairs::{PairKernel, Pairs},
    },
};

/// Factors that are worth a piece of their own.
const PIECE: usize = 1 << 15;

/// An operand in memory: `count` rows (of the left one) or columns (of the right one), each of `inner` factors.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Source<'a> {
    pub data: &'a [f32],
    pub count: usize,
    pub inner: usize,
    pub layout: Layout,
}

/// Where factor `k` of row (or column) `i` lies.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Layout {
    /// At `i * stride + k`.
    Along { stride: usize },
    /// At `k * stride + i`.
    Across { stride: usize },
    /// At `k / 16 * stride + i * 16 + k % 16`: a lane is a factor.
    Panels { stride: usize },
}

/// A part of an operand, whole strips or whole rows of pairs.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    pub strips: Range<usize>,
    pub pairs: Range<usize>,
}

impl Source<'_> {
    /// Strips of `W`.
    pub(crate) fn strips<const W: usize>(&self) -> usize {
        self.count.div_ceil(W)
    }

    /// All of it.
    pub(crate) fn whole<const W: usize>(&self) -> Part {
        Part { strips: 0..self.strips::<W>(), pairs: 0..pairs(self.inner) }
    }

    /// Parts that pieces of a job pack, each a range of memory as long as possible.
    pub(crate) fn parts<const W: usize>(&self) -> Vec<Part> {
        let whole = self.whole::<W>();
        match self.layout {
            Layout::Across { .. } => {
                let step = (PIECE / 2 / self.count.max(1)).next_multiple_of(self.rows()).max(self.rows());
                let cut = |first: usize| first..whole.pairs.end.min(first + step);
                whole.pairs.clone().step_by(step).map(|first| Part { pairs: cut(first), ..whole.clone() }).collect()
            }
            Layout::Along { .. } | Layout::Panels { .. } => {
                let step = (PIECE / (W * self.inner.max(1))).max(1);
                let cut = |first: usize| first..whole.strips.end.min(first + step);
                whole.strips.clone().step_by(step).map(|first| Part { strips: cut(first), ..whole.clone() }).collect()
            }
        }
    }

    /// Pairs that are packed of all strips of a part before the next ones.
    fn rows(&self) -> usize {
        match self.layout {
            // All of a row in memory.
            Layout::Along { .. } => pairs(self.inner).max(1),
            // As many rows in memory as the prefetcher follows.
            Layout::Across { .. } => 8,
            Layout::Panels { .. } => 2 * LANES,
        }
    }

    /// Packs strips of a left operand for products on this thread: as rows, unless items lie side by side.
    pub(crate) fn pack_left(self, part: &Part, to: &mut [f32], simd: Simd) -> Left {
        let Part { strips, pairs } = part.clone();
        let Some(distances) = self.distances() else {
            let to = Packed { data: Shared::new(to), strip: strips.start, pair: pairs.start, pairs: pairs.len() };
            simd.run_pairs(Pack::<STRIP> { source: self, part: part.clone(), to });
            return Left::strips(to.data.at(0), pairs.len());
        };
        let stride = row_stride(2 * pairs.len());
        let items = strips.start * STRIP..self.count.min(strips.end * STRIP);
        simd.run_pairs(PackRows { source: self, distances, items, pairs, to, stride });
        Left::rows(to.as_ptr(), stride)
    }

    /// How far apart items and the next sixteen factors of an item lie, if sixteen of them lie side by side.
    fn distances(&self) -> Option<[usize; 2]> {
        match self.layout {
            Layout::Along { stride } => Some([stride, LANES]),
            Layout::Panels { stride } => Some([LANES, stride]),
            Layout::Across { .. } => None,
        }
    }

    fn check(&self) {
        let (blocks, stride, width) = match self.layout {
            Layout::Along { stride } => (self.count, stride, self.inner),
            Layout::Across { stride } => (self.inner, stride, self.count),
            Layout::Panels { stride } => (self.inner.div_ceil(LANES), stride, self.count * LANES),
        };
        let length = blocks.checked_sub(1).map_or(0, |last| last * stride + width);
        assert!(self.data.len() >= length, "an operand is too short to be packed");
    }
}

/// Where strips lie, each of `W` items: pair `k` of item `i` at `((i / W - strip) * pairs + k - pair) * W + i % W` of `data`.
#[derive(Clone, Copy)]
pub(crate) struct Packed<'a> {
    pub data: Shared<'a>,
    /// The first strip that is there.
    pub strip: usize,
    /// The first pair that is there.
    pub pair: usize,
    /// Pairs of a strip that are there.
    pub pairs: usize,
}

impl<'a> Packed<'a> {
    /// All strips with all of their pairs.
    pub(crate) fn whole(data: Shared<'a>, inner: usize) -> Self {
        Self { data, strip: 0, pair: 0, pairs: pairs(inner) }
    }
}

/// Packs a part in strips of `W` (at most 16); its first pair is a multiple of 16.
pub(crate) struct Pack<'a, const W: usize> {
    pub source: Source<'a>,
    pub part: Part,
    /// The part belongs to this kernel alone.
    pub to: Packed<'a>,
}

impl<const W: usize> PairKernel for Pack<'_, W> {
    #[inline(always)]
    unsafe fn run<L: Pairs>(self) {
        let Self { source, part, to } = self;
        source.check();
        for first in part.pairs.clone().step_by(source.rows()) {
            let block = first..part.pairs.end.min(first + source.rows());
            for strip in part.strips.clone() {
                let to = to.data.part(((strip - to.strip) * to.pairs + block.start - to.pair) * W, block.len() * W);
                let items = strip * W..source.count.min((strip + 1) * W);
                match source.layout {
                    Layout::Along { stride } => along::<L, W>(source, [stride, LANES], items, block.clone(), to),
                    Layout::Panels { stride } => along::<L, W>(source, [LANES, stride], items, block.clone(), to),
                    Layout::Across { stride } => across::<L, W>(source, stride, items, block.clone(), to),
                }
            }
        }
    }
}

/// Writes the first `W` lanes.
#[inline(always)]
unsafe fn store<L: Pairs, const W: usize>(lanes: L, to: &mut [f32; W]) {
    if W == LANES {
        lanes.store(to.as_mut_ptr());
    } else {
        lanes.store_first(to.as_mut_ptr(), W);
    }
}

/// 16 pairs of the `left` factors that an item still has, of which the next 16 lie `next` behind the first.
#[inline(always)]
unsafe fn neighbours<L: Pairs>(from: *const f32, next: usize, left: usize) -> L {
    if left >= 2 * LANES {
        L::pair_neighbours(L::load(from), L::load(from.add(next)))
    } else if left > LANES {
        L::pair_neighbours(L::load(from), L::load_first(from.add(next), left - LANES))
    } else {
        L::pair_neighbours(L::load_first(from, left), L::splat(0.0))
    }
}

/// Packs rows as they lie: pair `k` of item `i` goes to
/// `(i - items.start) * stride + k - pairs.start` of `to`.
struct PackRows<'a> {
    source: Source<'a>,
    /// [`Source::distances`].
    distances: [usize; 2],
    items: Range<usize>,
    /// The first one is a multiple of 16.
    pairs: Range<usize>,
    to: &'a mut [f32],
    /// A multiple of 16, no less than the pairs.
    stride: usize,
}

impl PairKernel for PackRows<'_> {
    #[inline(always)]
    unsafe fn run<L: Pairs>(self) {
        let Self { source, distances: [item, next], items, pairs, to, stride } = self;
        source.check();
        assert!(items.end <= source.count && pairs.end <= super::pairs(source.inner), "no such rows");
        for (i, to) in items.zip(to.chunks_exact_mut(stride)) {
            for (first, to) in pairs.clone().step_by(LANES).zip(to.chunks_exact_mut(LANES)) {
                let from = source.data.as_ptr().wrapping_add(i * item + first * 2 / LANES * next);
                neighbours::<L>(from, next, source.inner - 2 * first).store(to.as_mut_ptr());
            }
        }
    }
}

/// Sixteen factors of an item lie side by side: 16 pairs of 16 items are transposed at once. `item` and `next` are the
/// distances of items and of the next sixteen factors.
#[inline(always)]
unsafe fn along<L: Pairs, const W: usize>(
    source: Source<'_>,
    [item, next]: [usize; 2],
    items: Range<usize>,
    block: Range<usize>,
    to: &mut [f32],
) {
    let (vectors, _) = to.as_chunks_mut::<W>();
    for (part, vectors) in vectors.chunks_mut(LANES).enumerate() {
        let k = 2 * (block.start + part * LANES);
        let mut rows = [L::splat(0.0); LANES];
        for (row, i) in rows.iter_mut().zip(items.clone()) {
            *row = neighbours(source.data[i * item + k / LANES * next..].as_ptr(), next, source.inner - k);
        }
        for (column, to) in L::transpose(rows).into_iter().zip(vectors) {
            store::<L, W>(column, to);
        }
    }
}

/// Items lie side by side: two rows of factors make a row of pairs.
#[inline(always)]
unsafe fn across<L: Pairs, const W: usize>(
    source: Source<'_>,
    stride: usize,
    items: Range<usize>,
    block: Range<usize>,
    to: &mut [f32],
) {
    let (vectors, _) = to.as_chunks_mut::<W>();
    let count = items.len();
    for (pair, to) in block.zip(vectors) {
        let row = |k: usize| {
            if k >= source.inner {
                return L::splat(0.0);
            }
            let from = &source.data[k * stride + items.start..][..count];
            if count == LANES { L::load(from.as_ptr()) } else { L::load_first(from.as_ptr(), count) }
        };
        store::<L, W>(L::pair(row(2 * pair), row(2 * pair + 1)), to);
    }
}
