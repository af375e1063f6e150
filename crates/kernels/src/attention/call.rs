//! A call, and how its work is cut: into sequences, heads of keys and ranges of queries, by the sizes alone.
use std::ops::Range;

use super::{AttentionInputs, AttentionOptions, AttentionSizes, inputs::has_row, steps::Steps};
use crate::simd::LANES;

/// Queries of a block: whole register tiles and whole panels on every path.
pub(super) const QUERIES: usize = 96;
/// Keys of a block.
pub(super) const KEYS: usize = 96;

/// What all pieces of a call know.
#[derive(Clone, Copy)]
pub(super) struct Call<'a> {
    pub sizes: AttentionSizes,
    pub options: &'a AttentionOptions,
    pub inputs: &'a AttentionInputs<'a>,
}

/// Floats from a row to the next one where rows of `width` are packed: an odd number of cache lines, so that rows never
/// fall into few sets of a cache.
pub(super) fn row_stride(width: usize) -> usize {
    (width.div_ceil(LANES) | 1) * LANES
}

impl<'a> Call<'a> {
    /// Heads of queries for each head of keys.
    pub(super) fn group(&self) -> usize {
        self.options.heads / self.options.key_value_heads
    }

    /// `K` and `V`.
    pub(super) fn widths(&self) -> (usize, usize) {
        (self.options.key_width, self.options.value_width)
    }

    pub(super) fn query(&self, sequence: usize, head: usize, step: usize) -> &'a [f32] {
        let (query, width) = (self.inputs.query, self.options.key_width);
        &query.data[query.place(self.sizes.queries, sequence, step) + head * width..][..width]
    }

    /// `head` is a head of keys.
    pub(super) fn key(&self, sequence: usize, head: usize, step: usize) -> &'a [f32] {
        let (key, width) = (self.inputs.key, self.options.key_width);
        &key.data[key.place(self.sizes.keys, sequence, step) + head * width..][..width]
    }

    /// `head` is a head of keys.
    pub(super) fn value(&self, sequence: usize, head: usize, step: usize) -> &'a [f32] {
        let (value, width) = (self.inputs.value, self.options.value_width);
        &value.data[value.place(self.sizes.keys, sequence, step) + head * width..][..width]
    }

    /// Whether a query has a row, and so an output.
    pub(super) fn has_query(&self, sequence: usize, step: usize) -> bool {
        has_row(self.inputs.query.rows, self.sizes.queries, sequence, step)
    }

    /// Whether a value has a row.
    pub(super) fn has_value(&self, sequence: usize, step: usize) -> bool {
        has_row(self.inputs.value.rows, self.sizes.keys, sequence, step)
    }

    /// Where a row of `[B, T, N, V]` begins; its query has one.
    pub(super) fn output_row(&self, sequence: usize, head: usize, step: usize) -> usize {
        let step = sequence * self.sizes.queries + step;
        let row = self.inputs.query.rows.map_or(step, |rows| rows[step] as usize);
        (row * self.options.heads + head) * self.options.value_width
    }

    /// Which row of `[B, N, T]` this is.
    pub(super) fn score_row(&self, sequence: usize, head: usize, step: usize) -> usize {
        (sequence * self.options.heads + head) * self.sizes.queries + step
    }

    /// Queries of a range that are not masked.
    pub(super) fn queries(&self, sequence: usize, range: Range<usize>) -> Steps {
        let length = self.sizes.queries;
        Steps::new(self.inputs.query_mask.map(|mask| &mask[sequence * length..][..length]), range)
    }

    /// Whether at most `most` queries of a sequence are not masked.
    pub(super) fn has_few_queries(&self, sequence: usize, most: usize) -> bool {
        let length = self.sizes.queries;
        self.inputs.query_mask.map_or(length <= most, |mask| {
            mask[sequence * length..][..length].iter().filter(|&&counts| counts != 0).nth(most).is_none()
        })
    }

    /// Keys that are not masked.
    pub(super) fn keys(&self, sequence: usize) -> Steps {
        let length = self.sizes.keys;
        Steps::new(self.inputs.key_mask.map(|mask| &mask[sequence * length..][..length]), 0..length)
    }

    /// Whether queries may see other keys than their neighbours.
    pub(super) fn is_limited(&self) -> bool {
        self.options.causal || self.options.window.is_some()
    }

    /// Numbers of the keys that a query sees; begin and end do not fall from a query to the next one.
    pub(super) fn seen(&self, keys: &Steps, query: usize) -> Range<usize> {
        let AttentionOptions { causal, causal_offset, window, .. } = *self.options;
        let place = query + causal_offset;
        let begin = window.map_or(0, |window| keys.before((place + 1).saturating_sub(window)));
        let end = match window {
            _ if causal => keys.before(place + 1),
            Some(window) => keys.before(place.saturating_add(window)),
            None => keys.len(),
        };
        begin..end.max(begin)
    }

    /// The keys that some queries see, and how many that count lie before them.
    pub(super) fn keys_for(&self, sequence: usize, queries: &Steps) -> (Steps, usize) {
        let keys = self.keys(sequence);
        match queries.len().checked_sub(1) {
            Some(last) => {
                let begin = self.seen(&keys, queries.at(0)).start;
                let end = self.seen(&keys, queries.at(last)).end;
                (keys.part(begin..end), begin)
            }
            None => (keys.part(0..0), 0),
        }
    }
}

/// Queries cut into ranges of whole blocks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ranges {
    queries: usize,
    step: usize,
}

impl Ranges {
    /// At least `wanted` ranges if there are enough blocks, none shorter than `shortest` but the last one.
    pub(super) fn new(queries: usize, wanted: usize, shortest: usize) -> Self {
        let step = queries.div_ceil(wanted.max(1)).max(shortest).next_multiple_of(QUERIES);
        Self { queries, step }
    }

    /// At least 1, which may be empty.
    pub(super) fn count(self) -> usize {
        self.queries.div_ceil(self.step).max(1)
    }

    pub(super) fn at(self, index: usize) -> Range<usize> {
        index * self.step..self.queries.min((index + 1) * self.step)
    }
}

/// Cuts scratch space into parts, each a whole number of cache lines.
pub(super) struct Space<'a>(pub &'a mut [f32]);

impl<'a> Space<'a> {
    pub(super) fn take(&mut self, length: usize) -> &'a mut [f32] {
        let (part, rest) = std::mem::take(&mut self.0).split_at_mut(length.next_multiple_of(LANES));
        self.0 = rest;
        part
    }
}
