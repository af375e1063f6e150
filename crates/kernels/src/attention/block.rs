//! A block of queries against a block of keys: its scores as columns `[keys][lanes]`, so that a lane is a query. Scores
//! are binary logarithms, which are faster to undo.
use std::f32::consts::LOG2_E;

use super::{
    call::{Call, QUERIES},
    steps::Steps,
};
use crate::{
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
    /// How many keys each lane sees; ascending.
    seen: [usize; QUERIES],
    pub count: usize,
    /// `count` in whole panels.
    pub lanes: usize,
}

/// Neighbouring keys of those that count.
pub(super) struct KeyBlock {
    pub first: usize,
    pub count: usize,
    /// How many of them the queries of a panel see.
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
        let seen = if call.options.causal { chosen.map(|step| call.seen(keys, step)) } else { [keys.len(); QUERIES] };
        Self { call, sequence, head, steps: chosen, seen, count, lanes: count.next_multiple_of(LANES) }
    }

    /// How many keys the last query sees.
    pub(super) fn seen(&self) -> usize {
        self.seen[self.count - 1]
    }

    /// The keys `first..first + count` as these queries see them.
    pub(super) fn keys(&self, first: usize, count: usize) -> KeyBlock {
        let last = |panel: usize| (panel * LANES + LANES - 1).min(self.count - 1);
        let seen = std::array::from_fn(|panel| self.seen[last(panel)].clamp(first, first + count) - first);
        KeyBlock { first, count, seen }
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
        let seen = block.seen[panel];
        let column = panel * LANES;
        let limited = self.seen[column] < block.first + seen;
        if extra.is_none() && !limited {
            return;
        }
        let limits: [f32; LANES] =
            std::array::from_fn(|lane| self.seen[column + lane].saturating_sub(block.first) as f32);
        // SAFETY: keys below `seen`, lanes of the panel.
        unsafe {
            let limits = L::load(limits.as_ptr());
            for key in 0..seen {
                let at = scores.add(key * self.lanes + column);
                let mut score = L::load(at);
                if let Some(extra) = extra {
                    score = L::load(extra.add(key * self.lanes + column)).fma(L::splat(LOG2_E), score);
                }
                if limited {
                    score = score.select(L::splat(key as f32).less(limits), L::splat(f32::NEG_INFINITY));
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
                let product = Product {
                    right: Right::rows(columns.add(panel * LANES), lanes),
                    out: Out::rows(to.add(panel * LANES), lanes),
                    rows: block.seen[panel],
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
                let first = panel * LANES;
                Product {
                    left: Left::columns(weights.add(first), lanes),
                    out: Out::rows(to.add(first * stride), stride),
                    rows: LANES.min(self.count - first),
                    inner: block.seen[panel],
                    ..product
                }
                .run_on::<L>();
            }
        }
    }
}

impl KeyBlock {
    /// Whether each query sees some key, and the last of each panel all of them.
    pub(super) fn seen_whole(&self, lanes: usize) -> bool {
        self.seen[..lanes / LANES].iter().all(|&seen| seen == self.count)
    }
}
