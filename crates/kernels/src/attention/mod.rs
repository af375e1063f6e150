//! Scaled dot-product attention over packed heads, forward and backward, without a matrix of all scores.
//!
//! # Source
//! Vaswani et al., "Attention is all you need" (2017), 3.2; `keras.layers.MultiHeadAttention`.
//!
//! # Legend
//! `B` sequences, `T` queries and `S` keys each; `N` heads of queries, `G` heads of keys and values, each for `N / G`
//! neighbouring heads of queries; `K` is the width of queries and keys, `V` that of values. Of a head,
//! `s[i, j] = cap(scale q[i] . k[j]) + bias[i, j]`, where `cap(x) = c tanh(x / c)` if scores have a cap `c` and otherwise `x`,
//! `p = softmax(s)` over the keys that count for query `i`, and `o[i] = sum of p[i, j] v[j]`.
mod backward;
mod block;
mod call;
mod dropping;
mod forward;
mod inputs;
mod mean;
mod owners;
mod pack;
#[cfg(test)]
mod reference;
mod row;
mod steps;
mod sums;
mod targets;
#[cfg(test)]
mod tests;

pub use inputs::{ABSENT, AttentionGradients, AttentionInputs, Packed, PackedDestination, ScoreBias, ScoreMask};

use crate::{Context, buffer::Buffer, random::RandomKey, rows::for_rows, shared::Shared};
use backward::{Backward, Job};
use call::{Call, QUERIES, Ranges};
use forward::Forward;
use owners::Owners;
use row::{Rows, Target};
use sums::{Finish, Sums};
use targets::{BiasTarget, RowTarget};

/// Where a sequence has so few queries that count, each is worked on alone. By those that count, not by how far a sequence is padded:
/// what it gives does not depend on those beside it.
const FEW_QUERIES: usize = 4;
/// Pieces of a job at least, if there are queries enough.
const PIECES: usize = 16;
/// Keys whose sums are added up together.
const FINISH: usize = 512;

/// Sizes of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttentionSizes {
    /// `B`.
    pub batch: usize,
    /// `T`, at most 2^32 / (B N) if there is dropout.
    pub queries: usize,
    /// `S`.
    pub keys: usize,
}

/// Dropout of the weights.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AttentionDropout {
    /// Probability of a weight to become 0, in `0..=1`, to the nearest multiple of 2^-16; the others are divided by `1 - rate`.
    pub rate: f32,
    /// Stream of the random numbers; the same one forward and backward.
    pub key: RandomKey,
}

/// What a query gives that is masked or for which no key counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Empty {
    /// Zeros.
    #[default]
    Zero,
    /// The mean of all `S` values, masked ones too and without dropout: what a softmax over equal scores gives.
    Uniform,
}

/// Heads, their widths, and which keys count.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AttentionOptions {
    /// `N`.
    pub heads: usize,
    /// `G`, a divisor of `N`.
    pub key_value_heads: usize,
    /// `K`.
    pub key_width: usize,
    /// `V`.
    pub value_width: usize,
    /// What products of queries and keys are multiplied by, as a rule `1 / sqrt(K)`.
    pub scale: f32,
    /// Key `j` counts for query `i` only if `j <= i + causal_offset`.
    pub causal: bool,
    /// How many keys lie before that of the first query; of effect only with `causal` and `window`.
    pub causal_offset: usize,
    /// Key `j` counts for query `i` only if they are fewer than so many places apart, at least 1: `|i + causal_offset - j| < window`.
    /// What lies outside is not computed. `None`: at any distance.
    pub window: Option<usize>,
    /// `c`, above 0: between minus and plus which scaled products are brought softly. `None`: they are left as they are.
    pub cap: Option<f32>,
    /// `None`: no dropout.
    pub dropout: Option<AttentionDropout>,
    /// What queries give for which no key counts.
    pub empty: Empty,
}

/// Floats that a tensor of `batch` sequences needs.
fn extent(batch: usize, batch_stride: usize, steps: usize, stride: usize, row: usize) -> usize {
    if batch == 0 || steps == 0 { 0 } else { (batch - 1) * batch_stride + (steps - 1) * stride + row }
}

/// Floats that the rows of a tensor need, whose steps are so many of them.
fn extent_of_rows(rows: &[u32], stride: usize, row: usize) -> usize {
    rows.iter().filter(|&&at| at != ABSENT).max().map_or(0, |&last| last as usize * stride + row)
}

/// Floats of the output: a row for each query that has one.
fn output_length(sizes: AttentionSizes, options: &AttentionOptions, inputs: &AttentionInputs<'_>) -> usize {
    let count = match inputs.query.rows {
        Some(rows) => rows.iter().rfind(|&&row| row != ABSENT).map_or(0, |&last| last as usize + 1),
        None => sizes.batch * sizes.queries,
    };
    count * options.heads * options.value_width
}

/// Each step that counts has a row, of its own if it is `ascending`.
fn check_rows(name: &str, rows: &[u32], ascending: bool, mask: Option<&[u8]>, steps: usize) {
    assert_eq!(rows.len(), steps, "attention: rows of {name} are not one a step");
    assert!(
        !ascending || rows.iter().filter(|&&row| row != ABSENT).is_sorted_by(|one, next| one < next),
        "attention: rows of {name} do not ascend"
    );
    for (step, _) in rows.iter().enumerate().filter(|(_, row)| **row == ABSENT) {
        assert!(mask.is_some_and(|mask| mask[step] == 0), "attention: step {step} of {name} counts and has no row");
    }
}

/// `ascending`: whether rows of keys and values must ascend, as where they get gradients.
fn check(sizes: AttentionSizes, options: &AttentionOptions, inputs: &AttentionInputs<'_>, ascending: bool) {
    let AttentionSizes { batch, queries, keys } = sizes;
    let AttentionOptions { heads, key_value_heads: groups, key_width, value_width, .. } = *options;
    assert!(
        groups > 0 && heads.is_multiple_of(groups),
        "attention: {groups} heads of keys do not divide {heads} heads of queries"
    );
    assert!(options.window != Some(0), "attention: a window of 0 keys");
    assert!(options.cap.is_none_or(|cap| cap > 0.0 && cap.is_finite()), "attention: the cap {:?}", options.cap);
    assert!(inputs.query_mask.is_none_or(|mask| mask.len() == batch * queries), "attention: query mask is not [B, T]");
    assert!(inputs.key_mask.is_none_or(|mask| mask.len() == batch * keys), "attention: key mask is not [B, S]");
    let packed = |name: &str, packed: Packed<'_>, ascending: bool, mask: Option<&[u8]>, steps: usize, row: usize| {
        assert!(packed.stride >= row || packed.rows.is_none() && steps <= 1, "attention: rows of {name} overlap");
        let needed = match packed.rows {
            Some(rows) => {
                check_rows(name, rows, ascending, mask, batch * steps);
                extent_of_rows(rows, packed.stride, row)
            }
            None => extent(batch, packed.batch_stride, steps, packed.stride, row),
        };
        assert!(packed.data.len() >= needed, "attention: length of {name}");
    };
    packed("query", inputs.query, true, inputs.query_mask, queries, heads * key_width);
    packed("key", inputs.key, ascending, inputs.key_mask, keys, groups * key_width);
    packed("value", inputs.value, ascending, inputs.key_mask, keys, groups * value_width);
    let scores = |name: &str, length: usize, batch_stride: usize, head_stride: usize| {
        let needed = extent(batch, batch_stride, heads, head_stride, queries * keys);
        assert!(length >= needed, "attention: length of the {name}");
    };
    if let Some(mask) = inputs.mask {
        scores("mask", mask.data.len(), mask.batch_stride, mask.head_stride);
    }
    if let Some(bias) = inputs.bias {
        scores("bias", bias.data.len(), bias.batch_stride, bias.head_stride);
    }
    if let Some(AttentionDropout { rate, .. }) = options.dropout {
        assert!((0.0..=1.0).contains(&rate), "attention: the dropout rate {rate} lies outside 0..=1");
        let rows = batch * heads * queries;
        assert!(u32::try_from(rows).is_ok(), "attention: {rows} rows of weights exceed the random streams");
    }
}

/// `o`, and for [`backward`] the binary logarithms of the softmax's denominators.
///
/// # Shapes
/// `output`: `[B, T, N V]`, or the rows of the queries if they have some; `log_sums`: `[B, N, T]`, infinite for queries for
/// which no key counts.
///
/// # Panics
/// If lengths do not fit.
pub fn forward(
    context: &Context,
    sizes: AttentionSizes,
    options: &AttentionOptions,
    inputs: &AttentionInputs<'_>,
    output: &mut [f32],
    log_sums: Option<&mut [f32]>,
) {
    check(sizes, options, inputs, false);
    let AttentionSizes { batch, queries, .. } = sizes;
    assert_eq!(output.len(), output_length(sizes, options, inputs), "attention: length of the output");
    let log_sums = log_sums.map(|log_sums| {
        assert_eq!(log_sums.len(), batch * options.heads * queries, "attention: log sums are not [B, N, T]");
        Shared::new(log_sums)
    });
    let call = Call { sizes, options, inputs };
    let output = Shared::new(output);
    let groups = options.key_value_heads;
    let rows = |sequence: usize, group: usize| {
        context.simd.run(Rows { call, sequence, group, target: Target::Output { output, log_sums } });
    };
    if queries <= FEW_QUERIES {
        context.pool.run(batch * groups, &|piece| rows(piece / groups, piece % groups));
        return;
    }
    let few: Vec<bool> = (0..batch).map(|sequence| call.has_few_queries(sequence, FEW_QUERIES)).collect();
    let ranges = Ranges::new(queries, (2 * PIECES).div_ceil((batch * groups).max(1)), 2 * QUERIES);
    context.pool.run(batch * groups * ranges.count(), &|piece| {
        // The last queries first: they may have the most keys.
        let (range, head) = (ranges.count() - 1 - piece / (batch * groups), piece % (batch * groups));
        let (sequence, group) = (head / groups, head % groups);
        if !few[sequence] {
            context.simd.run(Forward { call, sequence, group, queries: ranges.at(range), output, log_sums });
        } else if range == 0 {
            rows(sequence, group);
        }
    });
}

/// Gradients of [`forward`] from its results.
///
/// # Shapes
/// `output` and `dy`: `[B, T, N V]`, or the rows of the queries; `log_sums`: `[B, N, T]`.
///
/// # Gradient
/// With `dp[i, j] = dy[i] . v[j]` times the factor of dropout and `ds = p (dp - dy[i] . o[i])`:
/// `dq[i] = scale sum of ds[i, j] k[j]`, `dk[j] = scale sum of ds[i, j] q[i]`, where with a cap `ds` is multiplied by `1 - tanh^2`,
/// `dv[j] = sum of p[i, j] dy[i]` times the factor of dropout, `dbias = ds`. A query for which no key counts has no gradient but that of the values' mean.
///
/// # Panics
/// If lengths do not fit.
#[allow(clippy::too_many_arguments, reason = "what forward had and gave, and what is wanted")]
pub fn backward(
    context: &Context,
    sizes: AttentionSizes,
    options: &AttentionOptions,
    inputs: &AttentionInputs<'_>,
    output: &[f32],
    log_sums: &[f32],
    dy: &[f32],
    gradients: AttentionGradients<'_>,
) {
    check(sizes, options, inputs, true);
    let AttentionSizes { batch, queries, keys } = sizes;
    let AttentionOptions { heads, key_value_heads: groups, key_width, value_width, .. } = *options;
    assert_eq!(output.len(), output_length(sizes, options, inputs), "attention: length of the output");
    assert_eq!(dy.len(), output.len(), "attention: length of dy");
    assert_eq!(log_sums.len(), batch * heads * queries, "attention: log sums are not [B, N, T]");
    let mut bias = gradients.bias.map(|to| {
        let bias = inputs.bias.unwrap_or_else(|| panic!("attention: the gradient of a bias that is not there"));
        assert_eq!(to.data.len(), bias.data.len(), "attention: length of the gradient of the bias");
        if !to.accumulate {
            to.data.fill(0.0);
        }
        (to.data, [bias.batch_stride, bias.head_stride])
    });
    let owners = Owners::new(sizes, options, bias.as_ref().map(|(_, strides)| *strides));
    let ranges = Ranges::new(queries, PIECES.div_ceil(owners.count().max(1)), QUERIES);
    let owners = owners.cut(PIECES, ranges.count());
    let call = Call { sizes, options, inputs };
    // The first part of each owner adds to the gradient itself, the others to sums of their own.
    let length = bias.as_ref().map_or(0, |(data, _)| data.len());
    let mut sums = Buffer::new(length * (owners.parts - 1));
    for_rows(context, &mut sums, 1, 1, |_, sums| sums.fill(0.0));
    let shared_sums = Shared::new(&mut sums);
    let bias_target = bias.as_mut().map(|(data, [batch_stride, head_stride])| BiasTarget {
        data: Shared::new(data),
        first: 0,
        batch_stride: *batch_stride,
        head_stride: *head_stride,
        keys,
    });
    let mut buffer =
        Buffer::new(if ranges.count() > 1 { batch * groups * ranges.count() * Sums::length(call) } else { 0 });
    let job = Job {
        call,
        log_sums,
        output,
        dy,
        query: gradients
            .query
            .map(|to| RowTarget::new(to, "query", &inputs.query, [batch, queries, heads * key_width])),
        key: gradients.key.map(|to| RowTarget::new(to, "key", &inputs.key, [batch, keys, groups * key_width])),
        value: gradients
            .value
            .map(|to| RowTarget::new(to, "value", &inputs.value, [batch, keys, groups * value_width])),
        bias: bias_target,
        partial: (ranges.count() > 1).then(|| Shared::new(&mut buffer)),
        ranges: ranges.count(),
    };
    let parts = owners.count() * owners.parts;
    context.pool.run(parts * ranges.count(), &|piece| {
        let (range, at) = (ranges.count() - 1 - piece / parts, piece % parts);
        let (part, owner) = (at / owners.count(), at % owners.count());
        let bias = match (job.bias, part) {
            (Some(target), 1..) => Some(BiasTarget { data: shared_sums, first: (part - 1) * length, ..target }),
            (target, _) => target,
        };
        for (sequence, group) in owners.heads(owner, part) {
            let job = Job { bias, ..job };
            context.simd.run(Backward { job, sequence, group, range, queries: ranges.at(range) });
        }
    });
    if job.partial.is_some() {
        let parts = keys.div_ceil(FINISH);
        context.pool.run(batch * groups * parts, &|piece| {
            let (head, part) = (piece / parts, piece % parts);
            let steps = part * FINISH..keys.min((part + 1) * FINISH);
            context.simd.run(Finish { job, sequence: head / groups, group: head % groups, steps });
        });
    }
    if let Some((data, _)) = bias.filter(|_| owners.parts > 1) {
        for_rows(context, data, 1, owners.parts, |first, to| {
            for sums in sums.chunks_exact(length) {
                to.iter_mut().zip(&sums[first..]).for_each(|(to, sum)| *to += sum);
            }
        });
    }
}

/// `p`, before dropout; `1 / S` in the rows of queries for which no key counts if they are [`Empty::Uniform`].
///
/// # Shapes
/// `weights`: `[B, N, T, S]`.
///
/// # Panics
/// If lengths do not fit.
pub fn weights(
    context: &Context,
    sizes: AttentionSizes,
    options: &AttentionOptions,
    inputs: &AttentionInputs<'_>,
    weights: &mut [f32],
) {
    check(sizes, options, inputs, false);
    let AttentionSizes { batch, queries, keys } = sizes;
    assert_eq!(weights.len(), batch * options.heads * queries * keys, "attention: weights are not [B, N, T, S]");
    let call = Call { sizes, options, inputs };
    let weights = Shared::new(weights);
    let groups = options.key_value_heads;
    context.pool.run(batch * groups, &|piece| {
        let target = Target::Weights(weights);
        context.simd.run(Rows { call, sequence: piece / groups, group: piece % groups, target });
    });
}

/// The factors of dropout as a whole: 0, or 1 divided by the probability to be kept. For what computes weights another
/// way and is to drop the same ones.
///
/// # Shapes
/// `factors`: `[B, N, T, S]`.
///
/// # Panics
/// If the length does not fit.
pub fn dropout_factors(sizes: AttentionSizes, heads: usize, dropout: AttentionDropout, factors: &mut [f32]) {
    let AttentionSizes { batch, queries, keys } = sizes;
    assert_eq!(factors.len(), batch * heads * queries * keys, "attention: factors are not [B, N, T, S]");
    if keys == 0 {
        return;
    }
    for (row, factors) in factors.chunks_exact_mut(keys).enumerate() {
        for (key, factor) in factors.iter_mut().enumerate() {
            *factor = dropout.factor(row, key);
        }
    }
}
