//! A block of queries against a block of keys: its scores as columns `[keys][lanes]`, so that a lane is a query. Scores
//! are binary logarithms, which are faster to undo.
use std::f32::consts::LOG2_E;

use super::{
    call::{Call, KEYS, QUERIES},
    steps::Steps,
};
use crate::{
    math::tanh,
    simd::{LANES, Lanes},
    tile::{Ahead, Left, Out, Product, Right, Start},
};

/// Panels of a block of queries.
const PANELS: usize = QUERIES / LANES;

/// Queries of a head that are worked on together.
pub(super) struct QueryBlock<'a> {
    call: Call<'a>,
    sequence: usize,
    head: usize,
    /// Which queries.
    pub steps: [usize; QUERIES],
    /// How many keys lie before those that each lane sees; ascending.
    begin: [usize; QUERIES],
    /// The end of the keys that each lane sees; ascending.
    seen: [usize; QUERIES],
    pub count: usize,
    /// `count` in whole panels.
    pub lanes: usize,
}

/// Neighbouring keys of those that count.
pub(super) struct KeyBlock {
    pub first: usize,
    pub count: usize,
    /// Which of them the queries of a panel see: from the first that one of them sees ...
    pub begin: [usize; PANELS],
    /// ... to the end of those that one of them sees.
    pub seen: [usize; PANELS],
}

/// What is to be added to the scores of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extra {
    /// Nothing.
    Nothing,
    /// Bias, and minus infinity where a pair does not count.
    Added,
    /// No pair of the block counts.
    Masked,
}

impl<'a> QueryBlock<'a> {
    /// At most [`QUERIES`] of `steps` from `first` on.
    pub(super) fn new(call: Call<'a>, sequence: usize, head: usize, steps: &Steps, first: usize, keys: &Steps) -> Self {
        let count = QUERIES.min(steps.len() - first);
        let lane = |lane: usize| steps.at(first + lane.min(count - 1));
        let chosen: [usize; QUERIES] = std::array::from_fn(lane);
        let (mut begin, mut seen) = ([0; QUERIES], [keys.len(); QUERIES]);
        if call.is_limited() {
            let ranges = chosen.map(|step| call.seen(keys, step));
            begin = std::array::from_fn(|lane| ranges[lane].start);
            seen = std::array::from_fn(|lane| ranges[lane].end);
        }
        Self { call, sequence, head, steps: chosen, begin, seen, count, lanes: count.next_multiple_of(LANES) }
    }

    /// The keys that some of these queries see, block by block: what lies outside costs nothing.
    pub(super) fn blocks(&self) -> impl Iterator<Item = KeyBlock> + use<> {
        let (begin, seen, count) = (self.begin, self.seen, self.count);
        let end = seen[count - 1];
        let last = move |panel: usize| (panel * LANES + LANES - 1).min(count - 1);
        (begin[0]..end).step_by(KEYS).map(move |first| {
            let count = KEYS.min(end - first);
            let within = |key: usize| key.clamp(first, first + count) - first;
            KeyBlock {
                first,
                count,
                begin: std::array::from_fn(|panel| within(begin[panel * LANES])),
                seen: std::array::from_fn(|panel| within(seen[last(panel)])),
            }
        })
    }

    /// Number of the sequence and of the head of queries.
    pub(super) fn place(&self) -> (usize, usize) {
        (self.sequence, self.head)
    }

    /// Numbers of the rows of `[B, N, T]`, lane by lane.
    pub(super) fn score_rows(&self, panel: usize) -> [u32; LANES] {
        std::array::from_fn(|lane| {
            self.call.score_row(self.sequence, self.head, self.steps[panel * LANES + lane]) as u32
        })
    }

    /// Collects masks of pairs and bias of a block as columns.
    pub(super) fn extra(&self, keys: &Steps, block: &KeyBlock, to: &mut [f32]) -> Extra {
        let (mask, bias) = (self.call.inputs.mask, self.call.inputs.bias);
        let length = self.call.sizes.keys;
        let row = |lane: usize, batch_stride: usize, head_stride: usize| {
            self.sequence * batch_stride + self.head * head_stride + self.steps[lane] * length
        };
        let masks =
            |lane: usize| mask.map(|mask| &mask.data[row(lane, mask.batch_stride, mask.head_stride)..][..length]);
        let numbers = block.first..block.first + block.count;
        if mask.is_some() {
            let (mut any, mut all) = (false, true);
            for mask in (0..self.count).filter_map(masks) {
                let mut look = |counts: bool| {
                    any |= counts;
                    all &= counts;
                };
                match keys {
                    Steps::Range(range) => {
                        mask[range.clone()][numbers.clone()].iter().for_each(|&mask| look(mask != 0));
                    }
                    Steps::Chosen(steps) => steps[numbers.clone()].iter().for_each(|&step| look(mask[step] != 0)),
                }
            }
            if !any {
                return Extra::Masked;
            }
            if all && bias.is_none() {
                return Extra::Nothing;
            }
        } else if bias.is_none() {
            return Extra::Nothing;
        }
        for lane in 0..self.count {
            let bias = bias.map(|bias| &bias.data[row(lane, bias.batch_stride, bias.head_stride)..][..length]);
            let mask = masks(lane);
            for (number, column) in numbers.clone().zip(to.chunks_exact_mut(self.lanes)) {
                let key = keys.at(number);
                let counts = mask.is_none_or(|mask| mask[key] != 0);
                column[lane] = if counts { bias.map_or(0.0, |bias| bias[key]) } else { f32::NEG_INFINITY };
            }
        }
        Extra::Added
    }

    /// Brings scores between minus and plus the cap, softly; `slopes` get by how much each then follows its product.
    ///
    /// # Safety
    /// The instruction set of `L` is available; `scores` and `slopes`, if they are there, hold the block.
    #[inline(always)]
    pub(super) unsafe fn cap<L: Lanes>(
        &self,
        block: &KeyBlock,
        panel: usize,
        scores: *mut f32,
        slopes: Option<*mut f32>,
    ) {
        let Some(cap) = self.call.options.cap else { return };
        // SAFETY: keys that the panel sees, lanes of the panel.
        unsafe {
            for key in block.begin[panel]..block.seen[panel] {
                let place = key * self.lanes + panel * LANES;
                let share = capped_share(L::load(scores.add(place)), cap);
                share.mul(L::splat(cap * LOG2_E)).store(scores.add(place));
                if let Some(slopes) = slopes {
                    L::splat(1.0).sub(share.mul(share)).store(slopes.add(place));
                }
            }
        }
    }

    /// Adds what is extra, and makes scores of keys that a query does not see minus infinity.
    ///
    /// # Safety
    /// The instruction set of `L` is available; `scores` and `extra`, if it is there, hold the block.
    #[inline(always)]
    pub(super) unsafe fn limit<L: Lanes>(
        &self,
        block: &KeyBlock,
        panel: usize,
        scores: *mut f32,
        extra: Option<*const f32>,
    ) {
        let (begin, seen) = (block.begin[panel], block.seen[panel]);
        let column = panel * LANES;
        let limited = self.seen[column] < block.first + seen;
        let begun = self.begin[column + LANES - 1] <= block.first + begin;
        if extra.is_none() && !limited && begun {
            return;
        }
        let within = |of: &[usize; QUERIES]| -> [f32; LANES] {
            std::array::from_fn(|lane| of[column + lane].saturating_sub(block.first) as f32)
        };
        let (limits, begins) = (within(&self.seen), within(&self.begin));
        // SAFETY: keys that the panel sees, lanes of the panel.
        unsafe {
            let (limits, begins) = (L::load(limits.as_ptr()), L::load(begins.as_ptr()));
            for key in begin..seen {
                let at = scores.add(key * self.lanes + column);
                let mut score = L::load(at);
                if let Some(extra) = extra {
                    score = L::load(extra.add(key * self.lanes + column)).fma(L::splat(LOG2_E), score);
                }
                if limited {
                    score = score.select(L::splat(key as f32).less(limits), L::splat(f32::NEG_INFINITY));
                }
                if !begun {
                    score = L::splat(f32::NEG_INFINITY).select(L::splat(key as f32).less(begins), score);
                }
                score.store(at);
            }
        }
    }

    /// Rows of keys or values times columns `[inner][lanes]`, for the pairs of which the query sees the key.
    ///
    /// # Safety
    /// The instruction set of `L` is available; `rows` holds the keys of the block, `stride` floats apart, `to` the block.
    #[inline(always)]
    pub(super) unsafe fn multiply<L: Lanes>(
        &self,
        block: &KeyBlock,
        (rows, stride): (*const f32, usize),
        columns: *const f32,
        inner: usize,
        to: *mut f32,
    ) {
        let lanes = self.lanes;
        let product = Product {
            left: Left::rows(rows, stride),
            right: Right::rows(columns, lanes),
            out: Out::rows(to, lanes),
            rows: block.count,
            columns: lanes,
            inner,
            start: Start::Zero,
            ahead: Ahead::NOTHING,
        };
        // SAFETY: the operands have these sizes.
        unsafe {
            if block.seen_whole(lanes) {
                product.run_on::<L>();
                return;
            }
            for panel in 0..lanes / LANES {
                let begin = block.begin[panel];
                let product = Product {
                    left: Left::rows(rows.add(begin * stride), stride),
                    right: Right::rows(columns.add(panel * LANES), lanes),
                    out: Out::rows(to.add(begin * lanes + panel * LANES), lanes),
                    rows: block.seen[panel] - begin,
                    columns: LANES,
                    ..product
                };
                if product.rows > 0 {
                    product.run_on::<L>();
                }
            }
        }
    }

    /// Weights times rows of keys or values: for each query the sum over the keys it sees, in rows `stride` floats apart.
    ///
    /// # Safety
    /// The instruction set of `L` is available; `weights` holds the block, `rows` its keys and `to` its queries, both
    /// `stride` floats apart.
    #[inline(always)]
    pub(super) unsafe fn sum_keys<L: Lanes>(
        &self,
        block: &KeyBlock,
        weights: *const f32,
        rows: *const f32,
        (to, stride): (*mut f32, usize),
        width: usize,
        start: Start,
    ) {
        let lanes = self.lanes;
        let product = Product {
            left: Left::columns(weights, lanes),
            right: Right::rows(rows, stride),
            out: Out::rows(to, stride),
            rows: self.count,
            columns: width.next_multiple_of(LANES),
            inner: block.count,
            start,
            ahead: Ahead::NOTHING,
        };
        // SAFETY: the operands have these sizes.
        unsafe {
            if block.seen_whole(lanes) {
                product.run_on::<L>();
                return;
            }
            for panel in 0..lanes / LANES {
                let (first, begin) = (panel * LANES, block.begin[panel]);
                Product {
                    left: Left::columns(weights.add(begin * lanes + first), lanes),
                    right: Right::rows(rows.add(begin * stride), stride),
                    out: Out::rows(to.add(first * stride), stride),
                    rows: LANES.min(self.count - first),
                    inner: block.seen[panel] - begin,
                    ..product
                }
                .run_on::<L>();
            }
        }
    }
}

impl KeyBlock {
    /// Whether in each panel the first query sees the first key, and the last one the last.
    pub(super) fn seen_whole(&self, lanes: usize) -> bool {
        let panels = lanes / LANES;
        self.seen[..panels].iter().all(|&seen| seen == self.count)
            && self.begin[..panels].iter().all(|&begin| begin == 0)
    }
}

/// The hyperbolic tangent of scores, which are binary logarithms, by the cap.
///
/// # Safety
/// The instruction set of `L` is available.
#[inline(always)]
pub(super) unsafe fn capped_share<L: Lanes>(score: L, cap: f32) -> L {
    // SAFETY: the caller's contract.
    unsafe { tanh(score.mul(L::splat(1.0 / (cap * LOG2_E)))) }
}
