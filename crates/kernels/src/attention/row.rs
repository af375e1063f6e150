//! One query at a time, with the lanes along the widths: for a few queries that meet many keys, as in decoding, where
//! keys and values are read once, in place.
use std::{f32::consts::LOG2_E, ops::Range};

use super::{
    block::capped_share,
    call::{Call, KEYS, Space},
    forward::LOWEST,
    mean::Mean,
    pack::ask,
    steps::Steps,
};
use crate::{
    buffer::Buffer,
    math::exp2,
    pieces::{load_at, store_at},
    shared::Shared,
    simd::{Kernel, LANES, Lanes},
    softmax::fold,
};

/// Vectors of values that are summed together.
const VECTORS: usize = 4;

/// The heads of queries of one head of keys, forward.
pub(super) struct Rows<'a> {
    pub call: Call<'a>,
    pub sequence: usize,
    /// A head of keys.
    pub group: usize,
    /// Where results go.
    pub target: Target<'a>,
}

/// What is made of the weights of a row.
pub(super) enum Target<'a> {
    /// Sums of values.
    Output {
        /// `[B, T, N, V]`.
        output: Shared<'a>,
        /// `[B, N, T]`.
        log_sums: Option<Shared<'a>>,
    },
    /// The weights themselves, `[B, N, T, S]`.
    Weights(Shared<'a>),
}

impl Kernel for Rows<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let Self { call, sequence, group, .. } = self;
        let queries = call.queries(sequence, 0..call.sizes.queries);
        let keys = call.keys(sequence);
        // Each is a few lines of a long row, which comes from far away.
        for index in 0..keys.len().min(KEYS) {
            ask(call.key(sequence, group, keys.at(index)));
            ask(call.value(sequence, group, keys.at(index)));
        }
        let mut buffer = Buffer::new(call.sizes.keys.next_multiple_of(LANES));
        let scores = Space(&mut buffer).take(call.sizes.keys);
        let mut mean = Mean::new(call, sequence, group);
        for head in group * call.group()..(group + 1) * call.group() {
            let mut next = 0;
            for step in 0..call.sizes.queries {
                let seen = if next < queries.len() && queries.at(next) == step {
                    next += 1;
                    call.seen(&keys, step)
                } else {
                    0..0
                };
                let row = Row { call, sequence, group, head, step, keys: &keys, seen };
                // SAFETY: the path is available; the rows of this piece.
                unsafe {
                    let (largest, total) = row.exponentials::<L>(scores);
                    row.finish::<L>(&self.target, scores, largest, total, &mut mean);
                }
            }
        }
    }
}

/// A query.
struct Row<'a> {
    call: Call<'a>,
    sequence: usize,
    group: usize,
    head: usize,
    step: usize,
    keys: &'a Steps,
    /// Numbers of the keys that count for it.
    seen: Range<usize>,
}

impl Row<'_> {
    /// The key with the number `index` of those that count for this query.
    fn key(&self, index: usize) -> usize {
        self.keys.at(self.seen.start + index)
    }

    /// Exponentials of the scores; their largest score and their sum.
    #[inline(always)]
    unsafe fn exponentials<L: Lanes>(&self, scores: &mut [f32]) -> (f32, f32) {
        let Self { call, sequence, head, group, .. } = *self;
        if self.seen.is_empty() {
            return (LOWEST, 0.0);
        }
        let query = call.query(sequence, head, self.step);
        let row = |batch_stride: usize, head_stride: usize| {
            sequence * batch_stride + head * head_stride + self.step * call.sizes.keys
        };
        let mask =
            call.inputs.mask.map(|mask| &mask.data[row(mask.batch_stride, mask.head_stride)..][..call.sizes.keys]);
        let bias =
            call.inputs.bias.map(|bias| &bias.data[row(bias.batch_stride, bias.head_stride)..][..call.sizes.keys]);
        // SAFETY: the caller vouches for the path; 16 floats of a block, offsets below the widths.
        unsafe {
            let mut largest = L::splat(LOWEST);
            let mut products = [[0.0; LANES]; LANES];
            for first in (0..self.seen.len()).step_by(LANES) {
                let count = LANES.min(self.seen.len() - first);
                for (lane, products) in products[..count].iter_mut().enumerate() {
                    let key = call.key(sequence, group, self.key(first + lane));
                    let mut sum = L::splat(0.0);
                    for at in (0..query.len()).step_by(LANES) {
                        sum = load_at::<L>(query, at).fma(load_at(key, at), sum);
                    }
                    sum.store(products.as_mut_ptr());
                }
                let mut rows = [L::splat(0.0); LANES];
                for (row, products) in rows.iter_mut().zip(&products) {
                    *row = L::load(products.as_ptr());
                }
                let mut columns = L::transpose(rows);
                for width in [8, 4, 2, 1] {
                    for lane in 0..width {
                        columns[lane] = columns[lane].add(columns[lane + width]);
                    }
                }
                let block = &mut scores[first..first + LANES];
                let mut scaled = columns[0].mul(L::splat(call.options.scale * LOG2_E));
                if let Some(cap) = call.options.cap {
                    scaled = capped_share(scaled, cap).mul(L::splat(cap * LOG2_E));
                }
                scaled.store(block.as_mut_ptr());
                if mask.is_some() || bias.is_some() {
                    for (lane, score) in block[..count].iter_mut().enumerate() {
                        let key = self.key(first + lane);
                        *score += bias.map_or(0.0, |bias| bias[key] * LOG2_E);
                        if mask.is_some_and(|mask| mask[key] == 0) {
                            *score = f32::NEG_INFINITY;
                        }
                    }
                }
                block[count..].fill(f32::NEG_INFINITY);
                largest = largest.max(L::load(block.as_ptr()));
            }
            let largest = fold(largest, |a, b| if a > b || a.is_nan() { a } else { b });
            let mut sum = L::splat(0.0);
            for vector in scores[..self.seen.len().next_multiple_of(LANES)].as_chunks_mut::<LANES>().0 {
                let power = exp2(L::load(vector.as_ptr()).sub(L::splat(largest)));
                sum = sum.add(power);
                power.store(vector.as_mut_ptr());
            }
            (largest, fold(sum, |a, b| a + b))
        }
    }

    /// Writes what is wanted of the exponentials.
    #[inline(always)]
    unsafe fn finish<L: Lanes>(
        &self,
        target: &Target<'_>,
        scores: &mut [f32],
        largest: f32,
        total: f32,
        mean: &mut Mean<'_>,
    ) {
        let Self { call, sequence, head, step, .. } = *self;
        let row = call.score_row(sequence, head, step);
        // SAFETY: rows of this piece; the caller vouches for the path.
        unsafe {
            match target {
                Target::Weights(weights) => {
                    let weights = weights.part(row * call.sizes.keys, call.sizes.keys);
                    if total == 0.0 {
                        weights.fill(mean.weight());
                        return;
                    }
                    weights.fill(0.0);
                    for (number, score) in scores[..self.seen.len()].iter().enumerate() {
                        weights[self.key(number)] = score / total;
                    }
                }
                Target::Output { output, log_sums } => {
                    if let Some(log_sums) = log_sums {
                        log_sums.part(row, 1)[0] = if total == 0.0 { f32::INFINITY } else { largest + total.log2() };
                    }
                    if !call.has_query(sequence, step) {
                        return;
                    }
                    let output = output.part(call.output_row(sequence, head, step), call.options.value_width);
                    if total == 0.0 {
                        mean.write(output);
                        return;
                    }
                    if let Some(dropout) = call.options.dropout {
                        for (number, score) in scores[..self.seen.len()].iter_mut().enumerate() {
                            *score *= dropout.factor(row, self.key(number));
                        }
                    }
                    self.sum_values::<L>(&scores[..self.seen.len()], 1.0 / total, output);
                }
            }
        }
    }

    /// Sums values times weights, in rounds of a few vectors.
    #[inline(always)]
    unsafe fn sum_values<L: Lanes>(&self, weights: &[f32], factor: f32, output: &mut [f32]) {
        let width = output.len();
        let mut first = 0;
        // SAFETY: the caller vouches for the path; offsets are below the width.
        unsafe {
            while first + VECTORS * LANES <= width {
                let mut sums = [L::splat(0.0); VECTORS];
                for (number, &weight) in weights.iter().enumerate() {
                    let value = &self.call.value(self.sequence, self.group, self.key(number))[first..];
                    for (sum, value) in sums.iter_mut().zip(value.as_chunks::<LANES>().0) {
                        *sum = L::splat(weight).fma(L::load(value.as_ptr()), *sum);
                    }
                }
                for (sum, output) in sums.into_iter().zip(output[first..].as_chunks_mut::<LANES>().0) {
                    sum.mul(L::splat(factor)).store(output.as_mut_ptr());
                }
                first += VECTORS * LANES;
            }
            while first < width {
                let mut sum = L::splat(0.0);
                for (number, &weight) in weights.iter().enumerate() {
                    let value = self.call.value(self.sequence, self.group, self.key(number));
                    sum = L::splat(weight).fma(load_at(value, first), sum);
                }
                store_at(output, first, sum.mul(L::splat(factor)));
                first += LANES;
            }
        }
    }
}
