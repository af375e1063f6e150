//! A range of queries with all their keys, backward: scores are made again, block by block.
//!
//! # Source
//! Dao et al., "FlashAttention" (2022), appendix B.4.
use std::{f32::consts::LOG2_E, ops::Range};

use super::{
    block::{Extra, KeyBlock, QueryBlock},
    call::{Call, KEYS, QUERIES, Space, row_stride},
    dropping::Dropping,
    pack::{ask, pack_columns, pack_rows, write_row},
    steps::Steps,
    sums::{Sums, write_sums},
    targets::{BiasTarget, RowTarget},
};
use crate::{
    buffer::Buffer,
    math::exp2,
    pieces::load_at,
    shared::Shared,
    simd::{Kernel, LANES, Lanes},
    softmax::fold,
    tile::{Ahead, Left, Out, Product, Right, Start},
};

/// Keys of a block whose gradients are summed together where not all queries see all keys.
const KEY_GROUP: usize = 24;

/// What all pieces of a job know.
#[derive(Clone, Copy)]
pub(super) struct Job<'a> {
    pub call: Call<'a>,
    /// `[B, N, T]`.
    pub log_sums: &'a [f32],
    /// `[B, T, N, V]`.
    pub output: &'a [f32],
    /// `[B, T, N, V]`.
    pub dy: &'a [f32],
    pub query: Option<RowTarget<'a>>,
    pub key: Option<RowTarget<'a>>,
    pub value: Option<RowTarget<'a>>,
    pub bias: Option<BiasTarget<'a>>,
    /// Sums of the gradients of keys and values for each sequence, head of keys and range of queries, if there are several
    /// ranges; `Sums::length` each.
    pub partial: Option<Shared<'a>>,
    /// Ranges of queries.
    pub ranges: usize,
}

/// The piece of a job: a head of keys and a range of queries.
pub(super) struct Backward<'a> {
    pub job: Job<'a>,
    pub sequence: usize,
    /// A head of keys.
    pub group: usize,
    pub range: usize,
    pub queries: Range<usize>,
}

/// Scratch space of a piece; a letter's `rows` are packed rows, its `columns` `[width][lanes]`.
struct Scratch<'a> {
    keys: &'a mut [f32],
    values: &'a mut [f32],
    /// Times the scale.
    query_rows: &'a mut [f32],
    /// Times the scale, so that scores are binary logarithms.
    query_columns: &'a mut [f32],
    dy_rows: &'a mut [f32],
    dy_columns: &'a mut [f32],
    /// Packed rows: gradients of the queries, without the scale.
    dq: &'a mut [f32],
    /// `[keys][lanes]`: scores, then weights with dropout.
    scores: &'a mut [f32],
    /// `[keys][lanes]`: gradients of weights, then of scores.
    gradients: &'a mut [f32],
    /// `[keys][lanes]`: how capped scores follow their products.
    slopes: &'a mut [f32],
    extra: &'a mut [f32],
    /// `[lanes]`.
    log_sums: &'a mut [f32],
    /// `[lanes]`: products of `dy` and output.
    products: &'a mut [f32],
}

impl Kernel for Backward<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let Self { job, sequence, group, .. } = self;
        let call = job.call;
        let queries = call.queries(sequence, self.queries.clone());
        let (keys, before) = call.keys_for(sequence, &queries);
        for index in 0..keys.len().min(KEYS) {
            ask(call.key(sequence, group, keys.at(index)));
            ask(call.value(sequence, group, keys.at(index)));
        }
        let (key_width, value_width) = call.widths();
        let lanes = QUERIES.min(queries.len()).next_multiple_of(LANES);
        let block = KEYS.min(keys.len()) * lanes;
        let extra = call.inputs.mask.is_some() || call.inputs.bias.is_some();
        let lengths = [
            keys.len() * row_stride(key_width),
            keys.len() * row_stride(value_width),
            lanes * row_stride(key_width),
            lanes * key_width,
            lanes * row_stride(value_width),
            lanes * value_width,
            lanes * row_stride(key_width),
            block,
            block,
            if call.options.cap.is_some() { block } else { 0 },
            if extra { block } else { 0 },
            lanes,
            lanes,
        ];
        let own = if job.partial.is_some() { 0 } else { Sums::lengths(call, keys.len()).iter().sum() };
        let length: usize = lengths.iter().map(|length| length.next_multiple_of(LANES)).sum();
        let mut buffer = Buffer::new(length + own);
        let mut space = Space(&mut buffer);
        let [
            k,
            v,
            query_rows,
            query_columns,
            dy_rows,
            dy_columns,
            dq,
            scores,
            gradients,
            slopes,
            extra,
            log_sums,
            products,
        ] = lengths.map(|length| space.take(length));
        let mut scratch = Scratch {
            keys: k,
            values: v,
            query_rows,
            query_columns,
            dy_rows,
            dy_columns,
            dq,
            scores,
            gradients,
            slopes,
            extra,
            log_sums,
            products,
        };
        let mut sums = match job.partial {
            Some(partial) => {
                let length = Sums::length(call);
                let place = (sequence * call.options.key_value_heads + group) * job.ranges + self.range;
                // SAFETY: each sequence, head of keys and range has its own part.
                let mut space = Space(unsafe { partial.part(place * length, length) });
                Sums::take(&mut space, call, call.sizes.keys)
            }
            None => Sums::take(&mut space, call, keys.len()),
        };
        sums.keys.fill(0.0);
        sums.values.fill(0.0);
        sums.empty.fill(0.0);
        if job.partial.is_some() {
            // Those of all keys that count.
            sums.skip(call, before);
        }
        // SAFETY: the path is available, the space is as long as it must be.
        unsafe {
            pack_rows::<L>(scratch.keys, key_width, keys.len(), 1.0, |j| call.key(sequence, group, keys.at(j)));
            pack_rows::<L>(scratch.values, value_width, keys.len(), 1.0, |j| call.value(sequence, group, keys.at(j)));
            for head in group * call.group()..(group + 1) * call.group() {
                for first in (0..queries.len()).step_by(QUERIES) {
                    let block = QueryBlock::new(call, sequence, head, &queries, first, &keys);
                    self.block::<L>(&block, head, &keys, &mut scratch, &mut sums);
                }
            }
            self.masked(&queries, &mut sums);
            if job.partial.is_none() {
                write_sums::<L>(&job, sequence, group, 0..call.sizes.keys, &keys, &sums, 0);
            }
        }
    }
}

impl Backward<'_> {
    /// Reads what is known of a block of queries.
    #[inline(always)]
    unsafe fn load<L: Lanes>(
        &self,
        queries: &QueryBlock<'_>,
        head: usize,
        scratch: &mut Scratch<'_>,
        sums: &mut Sums<'_>,
    ) {
        let Self { job, sequence, .. } = *self;
        let call = job.call;
        let (key_width, value_width) = call.widths();
        let (count, lanes, scale) = (queries.count, queries.lanes, call.options.scale);
        let query = |lane: usize| call.query(sequence, head, queries.steps[lane]);
        let place = |lane: usize| call.output_row(sequence, head, queries.steps[lane]);
        let dy = |lane: usize| &job.dy[place(lane)..][..value_width];
        for lane in 0..count {
            ask(query(lane));
            ask(dy(lane));
            ask(&job.output[place(lane)..][..value_width]);
        }
        // SAFETY: the caller vouches for the path; the scratch space has the sizes of its legend.
        unsafe {
            pack_columns::<L>(scratch.query_columns, key_width, lanes, count, scale * LOG2_E, query);
            pack_columns::<L>(scratch.dy_columns, value_width, lanes, count, 1.0, dy);
            pack_rows::<L>(scratch.query_rows, key_width, count, scale, query);
            pack_rows::<L>(scratch.dy_rows, value_width, count, 1.0, dy);
            // Weights in the lanes behind the last query become 0.
            scratch.log_sums[..lanes].fill(f32::INFINITY);
            scratch.products[..lanes].fill(0.0);
            for lane in 0..count {
                let (dy, output) = (dy(lane), &job.output[place(lane)..][..value_width]);
                let log_sum = job.log_sums[call.score_row(sequence, head, queries.steps[lane])];
                scratch.log_sums[lane] = log_sum;
                if log_sum == f32::INFINITY {
                    sums.empty.iter_mut().zip(dy).for_each(|(sum, dy)| *sum += dy);
                    continue;
                }
                let mut product = L::splat(0.0);
                for at in (0..value_width).step_by(LANES) {
                    product = load_at::<L>(dy, at).fma(load_at(output, at), product);
                }
                scratch.products[lane] = fold(product, |a, b| a + b);
            }
        }
    }

    /// A block of queries over all keys.
    #[inline(always)]
    unsafe fn block<L: Lanes>(
        &self,
        queries: &QueryBlock<'_>,
        head: usize,
        keys: &Steps,
        scratch: &mut Scratch<'_>,
        sums: &mut Sums<'_>,
    ) {
        let Self { job, sequence, .. } = *self;
        let call = job.call;
        let (key_width, value_width) = call.widths();
        let (key_stride, value_stride) = (row_stride(key_width), row_stride(value_width));
        let lanes = queries.lanes;
        // Weights alone are enough for the gradient of the values.
        let scores_too = job.query.is_some() || job.key.is_some() || job.bias.is_some();
        // SAFETY: the caller vouches for the path; the scratch space has the sizes of its legend.
        unsafe {
            self.load::<L>(queries, head, scratch, sums);
            let mut start = Start::Zero;
            for block in queries.blocks() {
                let first = block.first;
                let extra = queries.extra(keys, &block, scratch.extra);
                if extra == Extra::Masked {
                    continue;
                }
                let (scores, gradients) = (scratch.scores.as_mut_ptr(), scratch.gradients.as_mut_ptr());
                let rows = (scratch.keys[first * key_stride..].as_ptr(), key_stride);
                queries.multiply::<L>(&block, rows, scratch.query_columns.as_ptr(), key_width, scores);
                if scores_too {
                    let rows = (scratch.values[first * value_stride..].as_ptr(), value_stride);
                    queries.multiply::<L>(&block, rows, scratch.dy_columns.as_ptr(), value_width, gradients);
                }
                for panel in 0..lanes / LANES {
                    let extra = (extra == Extra::Added).then_some(scratch.extra.as_ptr());
                    let slopes = scores_too.then_some(scratch.slopes.as_mut_ptr());
                    queries.cap::<L>(&block, panel, scores, slopes);
                    queries.limit::<L>(&block, panel, scores, extra);
                    self.gradients::<L>(queries, keys, &block, panel, scratch, scores_too);
                }
                if let Some(bias) = job.bias {
                    bias.add(queries, keys, &block, scratch.gradients);
                }
                if call.options.cap.is_some() && scores_too {
                    follow::<L>(queries, &block, scratch);
                }
                if job.value.is_some() {
                    let to = (sums.values[first * value_stride..].as_mut_ptr(), value_stride);
                    sum_queries::<L>(queries, &block, scores, scratch.dy_rows.as_ptr(), to, value_width);
                }
                if job.key.is_some() {
                    let to = (sums.keys[first * key_stride..].as_mut_ptr(), key_stride);
                    sum_queries::<L>(queries, &block, gradients, scratch.query_rows.as_ptr(), to, key_width);
                }
                if job.query.is_some() {
                    let rows = scratch.keys[first * key_stride..].as_ptr();
                    let to = (scratch.dq.as_mut_ptr(), key_stride);
                    queries.sum_keys::<L>(&block, gradients, rows, to, key_width, start);
                }
                start = Start::Keep;
            }
            let Some(target) = job.query else { return };
            for (lane, &step) in queries.steps[..queries.count].iter().enumerate() {
                let to = target.row(sequence, step, head * key_width, key_width);
                if matches!(start, Start::Zero) {
                    target.write_nothing(to);
                } else {
                    let from = &scratch.dq[lane * key_stride..];
                    write_row::<L>(to, from, call.options.scale, target.accumulate);
                }
            }
        }
    }

    /// Scores of a panel become weights with dropout, gradients of weights become those of scores.
    #[inline(always)]
    unsafe fn gradients<L: Lanes>(
        &self,
        queries: &QueryBlock<'_>,
        keys: &Steps,
        block: &KeyBlock,
        panel: usize,
        scratch: &mut Scratch<'_>,
        scores_too: bool,
    ) {
        let (lanes, column) = (queries.lanes, panel * LANES);
        let (begin, seen) = (block.begin[panel], block.seen[panel]);
        let scores = scratch.scores[column..].as_mut_ptr();
        let gradients = scratch.gradients[column..].as_mut_ptr();
        // SAFETY: keys of the block, lanes of the panel; the caller vouches for the path.
        unsafe {
            let log_sum = L::load(scratch.log_sums[column..].as_ptr());
            let product = L::load(scratch.products[column..].as_ptr());
            match self.job.call.options.dropout {
                Some(dropout) => {
                    let mut dropping = Dropping::new(dropout, queries.score_rows(panel));
                    for key in begin..seen {
                        let factor = dropping.factor::<L>(keys.at(block.first + key));
                        let (score, gradient) = (scores.add(key * lanes), gradients.add(key * lanes));
                        let weight = exp2(L::load(score).sub(log_sum));
                        weight.mul(factor).store(score);
                        if scores_too {
                            weight.mul(L::load(gradient).mul(factor).sub(product)).store(gradient);
                        }
                    }
                }
                None => {
                    for key in begin..seen {
                        let (score, gradient) = (scores.add(key * lanes), gradients.add(key * lanes));
                        let weight = exp2(L::load(score).sub(log_sum));
                        weight.store(score);
                        if scores_too {
                            weight.mul(L::load(gradient).sub(product)).store(gradient);
                        }
                    }
                }
            }
            // What is not seen is summed with what is where only some queries of a panel see a key.
            for key in (0..begin).chain(seen..block.count) {
                L::splat(0.0).store(scores.add(key * lanes));
                if scores_too {
                    L::splat(0.0).store(gradients.add(key * lanes));
                }
            }
        }
    }

    /// Gradients of masked queries: none but that of the mean.
    #[inline(always)]
    unsafe fn masked(&self, queries: &Steps, sums: &mut Sums<'_>) {
        let Self { job, sequence, group, .. } = *self;
        let call = job.call;
        let (key_width, value_width) = call.widths();
        let mut next = 0;
        for step in self.queries.clone() {
            if next < queries.len() && queries.at(next) == step {
                next += 1;
                continue;
            }
            if !call.has_query(sequence, step) {
                continue;
            }
            for head in group * call.group()..(group + 1) * call.group() {
                let dy = &job.dy[call.output_row(sequence, head, step)..][..value_width];
                sums.empty.iter_mut().zip(dy).for_each(|(sum, dy)| *sum += dy);
                if let Some(target) = job.query {
                    // SAFETY: the rows of this piece.
                    unsafe { target.write_nothing(target.row(sequence, step, head * key_width, key_width)) };
                }
            }
        }
    }
}

/// Gradients of capped scores become those of their products.
///
/// # Safety
/// The instruction set of `L` is available; the scratch space holds the block.
#[inline(always)]
unsafe fn follow<L: Lanes>(queries: &QueryBlock<'_>, block: &KeyBlock, scratch: &mut Scratch<'_>) {
    for panel in 0..queries.lanes / LANES {
        for key in block.begin[panel]..block.seen[panel] {
            let at = key * queries.lanes + panel * LANES;
            let to = scratch.gradients[at..][..LANES].as_mut_ptr();
            // SAFETY: 16 floats; the caller vouches for the path.
            unsafe { L::load(to).mul(L::load(scratch.slopes[at..][..LANES].as_ptr())).store(to) };
        }
    }
}

/// Weights times rows of queries or of `dy`, added to `to`: for each key the sum over the queries that see it.
///
/// # Safety
/// The instruction set of `L` is available; `weights` holds the block, `rows` its queries and `to` its keys, both
/// `stride` floats apart.
#[inline(always)]
unsafe fn sum_queries<L: Lanes>(
    queries: &QueryBlock<'_>,
    block: &KeyBlock,
    weights: *const f32,
    rows: *const f32,
    (to, stride): (*mut f32, usize),
    width: usize,
) {
    let lanes = queries.lanes;
    let step = if block.seen_whole(lanes) { block.count } else { KEY_GROUP };
    for first in (0..block.count).step_by(step) {
        // The first panels may see none of these keys yet, the last ones none any more.
        let panels = lanes / LANES;
        let end = block.count.min(first + step);
        let unseen = block.seen[..panels].iter().take_while(|&&seen| seen <= first).count() * LANES;
        let gone = block.begin[..panels].iter().rev().take_while(|&&begin| begin >= end).count();
        let last = queries.count.min((panels - gone) * LANES);
        // SAFETY: the operands have these sizes.
        unsafe {
            Product {
                left: Left::rows(weights.add(first * lanes + unseen), lanes),
                right: Right::rows(rows.add(unseen * stride), stride),
                out: Out::rows(to.add(first * stride), stride),
                rows: end - first,
                columns: width.next_multiple_of(LANES),
                inner: last.saturating_sub(unseen),
                start: Start::Keep,
                ahead: Ahead::NOTHING,
            }
            .run_on::<L>();
        }
    }
}
