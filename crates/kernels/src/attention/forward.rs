//! A head of keys with a range of queries, forward: block by block with a running maximum.
//!
//! # Source
//! Milakov and Gimelshein, "Online normalizer calculation for softmax" (2018); Dao et al., "FlashAttention" (2022).
use std::{f32::consts::LOG2_E, ops::Range};

use super::{
    block::{Extra, KeyBlock, QueryBlock},
    call::{Call, KEYS, QUERIES, Space, row_stride},
    dropping::Dropping,
    mean::Mean,
    pack::{ask, pack_columns, pack_rows, write_row},
    steps::Steps,
};
use crate::{
    buffer::Buffer,
    math::exp2,
    shared::Shared,
    simd::{Kernel, LANES, Lanes},
    tile::Start,
};

/// Where the running maximum starts: exponentials of masked scores, minus infinity, are then 0 and no NaN.
pub(super) const LOWEST: f32 = -1e30;

/// The piece of a job.
pub(super) struct Forward<'a> {
    pub call: Call<'a>,
    pub sequence: usize,
    /// A head of keys.
    pub group: usize,
    pub queries: Range<usize>,
    /// `[B, T, N, V]`.
    pub output: Shared<'a>,
    /// `[B, N, T]`.
    pub log_sums: Option<Shared<'a>>,
}

/// Scratch space of a piece.
struct Scratch<'a> {
    /// Packed rows.
    keys: &'a mut [f32],
    values: &'a mut [f32],
    /// `[K][lanes]`: queries times the scale, so that scores are binary logarithms.
    queries: &'a mut [f32],
    /// `[keys][lanes]`.
    scores: &'a mut [f32],
    extra: &'a mut [f32],
    /// `[queries][row_stride(V)]`: sums of values, before their denominators.
    sums: &'a mut [f32],
    /// `[lanes]`: running maxima of the scores, sums of the exponentials, and by what a new maximum scales sums.
    largest: &'a mut [f32],
    totals: &'a mut [f32],
    factors: &'a mut [f32],
}

impl Kernel for Forward<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let Self { call, sequence, group, .. } = self;
        let queries = call.queries(sequence, self.queries.clone());
        let (keys, _) = call.keys_for(sequence, &queries);
        for index in 0..keys.len().min(KEYS) {
            ask(call.key(sequence, group, keys.at(index)));
            ask(call.value(sequence, group, keys.at(index)));
        }
        let (key_width, value_width) = call.widths();
        let (key_stride, value_stride) = (row_stride(key_width), row_stride(value_width));
        let lanes = QUERIES.min(queries.len()).next_multiple_of(LANES);
        let block = KEYS.min(keys.len()) * lanes;
        let extra = call.inputs.mask.is_some() || call.inputs.bias.is_some();
        let lengths = [
            keys.len() * key_stride,
            keys.len() * value_stride,
            key_width * lanes,
            block,
            if extra { block } else { 0 },
            lanes * value_stride,
            lanes,
            lanes,
            lanes,
        ];
        let mut buffer = Buffer::new(lengths.iter().map(|length| length.next_multiple_of(LANES)).sum());
        let mut space = Space(&mut buffer);
        let [keys_space, values, columns, scores, extra, sums, largest, totals, factors] =
            lengths.map(|length| space.take(length));
        let mut scratch =
            Scratch { keys: keys_space, values, queries: columns, scores, extra, sums, largest, totals, factors };
        // SAFETY: the path is available, the space is as long as it must be.
        unsafe {
            pack_rows::<L>(scratch.keys, key_width, keys.len(), 1.0, |j| call.key(sequence, group, keys.at(j)));
            pack_rows::<L>(scratch.values, value_width, keys.len(), 1.0, |j| call.value(sequence, group, keys.at(j)));
            let mut mean = Mean::new(call, sequence, group);
            for head in group * call.group()..(group + 1) * call.group() {
                for first in (0..queries.len()).step_by(QUERIES) {
                    let block = QueryBlock::new(call, sequence, head, &queries, first, &keys);
                    self.block::<L>(&block, head, &keys, &mut scratch, &mut mean);
                }
            }
            self.fill_masked(&queries, &mut mean);
        }
    }
}

impl Forward<'_> {
    /// A block of queries over all keys.
    #[inline(always)]
    unsafe fn block<L: Lanes>(
        &self,
        queries: &QueryBlock<'_>,
        head: usize,
        keys: &Steps,
        scratch: &mut Scratch<'_>,
        mean: &mut Mean<'_>,
    ) {
        let Self { call, sequence, .. } = *self;
        let (key_width, value_width) = call.widths();
        let (key_stride, value_stride) = (row_stride(key_width), row_stride(value_width));
        let (count, lanes, scale) = (queries.count, queries.lanes, call.options.scale);
        for &step in &queries.steps[..count] {
            ask(call.query(sequence, head, step));
        }
        // SAFETY: the path is available, the scratch space has the sizes of its legend.
        unsafe {
            pack_columns::<L>(scratch.queries, key_width, lanes, count, scale * LOG2_E, |lane| {
                call.query(sequence, head, queries.steps[lane])
            });
            scratch.largest[..lanes].fill(LOWEST);
            scratch.totals[..lanes].fill(0.0);
            let mut start = Start::Zero;
            for block in queries.blocks() {
                let first = block.first;
                let extra = queries.extra(keys, &block, scratch.extra);
                if extra == Extra::Masked {
                    continue;
                }
                let rows = (scratch.keys[first * key_stride..].as_ptr(), key_stride);
                queries.multiply::<L>(&block, rows, scratch.queries.as_ptr(), key_width, scratch.scores.as_mut_ptr());
                let mut scaled = false;
                for panel in 0..lanes / LANES {
                    let extra = (extra == Extra::Added).then_some(scratch.extra.as_ptr());
                    queries.cap::<L>(&block, panel, scratch.scores.as_mut_ptr(), None);
                    queries.limit::<L>(&block, panel, scratch.scores.as_mut_ptr(), extra);
                    scaled |= exponentiate::<L>(queries, &block, panel, scratch);
                    if let Some(dropout) = call.options.dropout {
                        let mut dropping = Dropping::new(dropout, queries.score_rows(panel));
                        let (begin, seen) = (block.begin[panel], block.seen[panel]);
                        let column = scratch.scores.as_mut_ptr().add(begin * lanes + panel * LANES);
                        dropping.drop::<L>(keys, first + begin, seen - begin, column, lanes);
                    }
                }
                if scaled && !matches!(start, Start::Zero) {
                    scale_rows::<L>(scratch, count, value_width);
                }
                let values = scratch.values[first * value_stride..].as_ptr();
                let sums = (scratch.sums.as_mut_ptr(), value_stride);
                queries.sum_keys::<L>(&block, scratch.scores.as_ptr(), values, sums, value_width, start);
                start = Start::Keep;
            }
            for (lane, &step) in queries.steps[..count].iter().enumerate() {
                let total = scratch.totals[lane];
                let none = total == 0.0;
                if let Some(log_sums) = &self.log_sums {
                    let log_sum = if none { f32::INFINITY } else { scratch.largest[lane] + total.log2() };
                    log_sums.part(call.score_row(sequence, head, step), 1)[0] = log_sum;
                }
                let output = self.output.part(call.output_row(sequence, head, step), value_width);
                if none {
                    mean.write(output);
                } else {
                    write_row::<L>(output, &scratch.sums[lane * value_stride..], 1.0 / total, false);
                }
            }
        }
    }

    /// What masked queries give.
    unsafe fn fill_masked(&self, queries: &Steps, mean: &mut Mean<'_>) {
        let Self { call, sequence, group, .. } = *self;
        let mut next = 0;
        for step in self.queries.clone() {
            if next < queries.len() && queries.at(next) == step {
                next += 1;
                continue;
            }
            for head in group * call.group()..(group + 1) * call.group() {
                // SAFETY: the rows of this piece.
                unsafe {
                    if let Some(log_sums) = &self.log_sums {
                        log_sums.part(call.score_row(sequence, head, step), 1)[0] = f32::INFINITY;
                    }
                    if call.has_query(sequence, step) {
                        let row = call.output_row(sequence, head, step);
                        mean.write(self.output.part(row, call.options.value_width));
                    }
                }
            }
        }
    }
}

/// Scores of a panel become exponentials, relative to the new maxima; whether a maximum has changed.
#[inline(always)]
unsafe fn exponentiate<L: Lanes>(
    queries: &QueryBlock<'_>,
    block: &KeyBlock,
    panel: usize,
    scratch: &mut Scratch<'_>,
) -> bool {
    let (lanes, column) = (queries.lanes, panel * LANES);
    let (begin, seen) = (block.begin[panel], block.seen[panel]);
    // SAFETY: keys that the panel sees, lanes of the panel; the caller vouches for the path.
    unsafe {
        let scores = scratch.scores.as_mut_ptr().add(column);
        let before = L::load(scratch.largest[column..].as_ptr());
        let mut largest = before;
        for key in begin..seen {
            largest = largest.max(L::load(scores.add(key * lanes)));
        }
        let mut sum = L::splat(0.0);
        for key in begin..seen {
            let at = scores.add(key * lanes);
            let power = exp2(L::load(at).sub(largest));
            sum = sum.add(power);
            power.store(at);
        }
        let factor = exp2(before.sub(largest));
        let totals = scratch.totals[column..].as_mut_ptr();
        L::load(totals).fma(factor, sum).store(totals);
        largest.store(scratch.largest[column..].as_mut_ptr());
        factor.store(scratch.factors[column..].as_mut_ptr());
    }
    scratch.factors[column..][..LANES].iter().any(|&factor| factor != 1.0)
}

/// Multiplies the sums of values by the factors of their queries.
#[inline(always)]
unsafe fn scale_rows<L: Lanes>(scratch: &mut Scratch<'_>, count: usize, width: usize) {
    let rows = scratch.sums.chunks_exact_mut(row_stride(width));
    for (row, &factor) in rows.zip(&scratch.factors[..count]) {
        if factor == 1.0 {
            continue;
        }
        for vector in row[..width.next_multiple_of(LANES)].as_chunks_mut::<LANES>().0 {
            // SAFETY: 16 floats; the caller vouches for the path.
            unsafe { L::load(vector.as_ptr()).mul(L::splat(factor)).store(vector.as_mut_ptr()) };
        }
    }
}
