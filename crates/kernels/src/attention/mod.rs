//! Scaled dot-product attention over packed heads, forward and backward, without a matrix of all scores.
//!
//! # Source
//! Vaswani et al., "Attention is all you need" (2017), 3.2; `keras.layers.MultiHeadAttention`.
//!
//! # Legend
//! `B` sequences, `T` queries and `S` keys each; `N` heads of queries, `G` heads of keys and values, each for `N / G`
//! neighbouring heads of queries; `K` is the width of queries and keys, `V` that of values. Of a head,
//! `s[i, j] = scale q[i] . k[j] + bias[i, j]`, `p = softmax(s)` over the keys that count for query `i`, and
//! `o[i] = sum of p[i, j] v[j]`.
mod reference;

use crate::{Context, random::RandomKey};

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
    /// Probability of a weight to become 0, in `0..=1`; the others are divided by the probability to be kept.
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
    /// How many keys lie before that of the first query; only with `causal`.
    pub causal_offset: usize,
    /// `None`: no dropout.
    pub dropout: Option<AttentionDropout>,
    /// What queries give for which no key counts.
    pub empty: Empty,
}

/// A tensor `[B, steps, heads, width]` whose heads lie side by side.
#[derive(Clone, Copy, Debug)]
pub struct Packed<'a> {
    /// From the first head of the first step on.
    pub data: &'a [f32],
    /// Floats from a step to the next one, at least `heads * width`: more if there is something else between.
    pub stride: usize,
    /// Floats from a sequence to the next one.
    pub batch_stride: usize,
}

impl<'a> Packed<'a> {
    /// `[B, steps, stride]` without gaps between sequences.
    #[must_use]
    pub fn new(data: &'a [f32], steps: usize, stride: usize) -> Self {
        Self { data, stride, batch_stride: steps * stride }
    }
}

/// Which keys count for which queries: 1 for a pair that counts, `[B or 1, N or 1, T, S]`.
#[derive(Clone, Copy, Debug)]
pub struct ScoreMask<'a> {
    /// The elements.
    pub data: &'a [u8],
    /// Elements from a sequence to the next one; 0: the same for all.
    pub batch_stride: usize,
    /// Elements from a head to the next one; 0: the same for all.
    pub head_stride: usize,
}

/// What is added to the scaled scores, `[B or 1, N or 1, T, S]`.
#[derive(Clone, Copy, Debug)]
pub struct ScoreBias<'a> {
    /// The elements; minus infinity for a pair that does not count.
    pub data: &'a [f32],
    /// Elements from a sequence to the next one; 0: the same for all.
    pub batch_stride: usize,
    /// Elements from a head to the next one; 0: the same for all.
    pub head_stride: usize,
}

/// What attention reads. A pair counts if every mask that is there says so.
#[derive(Clone, Copy, Debug)]
pub struct AttentionInputs<'a> {
    /// `[B, T, N, K]`.
    pub query: Packed<'a>,
    /// `[B, S, G, K]`.
    pub key: Packed<'a>,
    /// `[B, S, G, V]`.
    pub value: Packed<'a>,
    /// `[B, T]`, 0 for a masked query; `None`: all count.
    pub query_mask: Option<&'a [u8]>,
    /// `[B, S]`, 0 for a masked key; `None`: all count.
    pub key_mask: Option<&'a [u8]>,
    /// Masks of pairs.
    pub mask: Option<ScoreMask<'a>>,
    /// Added to the scaled scores.
    pub bias: Option<ScoreBias<'a>>,
}

/// Where a gradient of a [`Packed`] tensor goes; what lies between its rows is left alone.
#[derive(Debug)]
pub struct PackedDestination<'a> {
    /// From the first head of the first step on.
    pub data: &'a mut [f32],
    /// Floats from a step to the next one.
    pub stride: usize,
    /// Floats from a sequence to the next one.
    pub batch_stride: usize,
    /// `false`: set; `true`: add.
    pub accumulate: bool,
}

impl<'a> PackedDestination<'a> {
    /// `[B, steps, stride]` without gaps between sequences.
    #[must_use]
    pub fn new(data: &'a mut [f32], steps: usize, stride: usize, accumulate: bool) -> Self {
        Self { data, stride, batch_stride: steps * stride, accumulate }
    }
}

/// Where gradients go; `None` where one is not wanted.
#[derive(Debug, Default)]
pub struct AttentionGradients<'a> {
    /// `[B, T, N, K]`.
    pub query: Option<PackedDestination<'a>>,
    /// `[B, S, G, K]`.
    pub key: Option<PackedDestination<'a>>,
    /// `[B, S, G, V]`.
    pub value: Option<PackedDestination<'a>>,
    /// As long as the bias of the inputs, which must be there, and with its strides.
    pub bias: Option<crate::Destination<'a>>,
}

/// Floats that a tensor of `batch` sequences needs.
fn extent(batch: usize, batch_stride: usize, steps: usize, stride: usize, row: usize) -> usize {
    if batch == 0 || steps == 0 { 0 } else { (batch - 1) * batch_stride + (steps - 1) * stride + row }
}

fn check(sizes: AttentionSizes, options: &AttentionOptions, inputs: &AttentionInputs<'_>) {
    let AttentionSizes { batch, queries, keys } = sizes;
    let AttentionOptions { heads, key_value_heads: groups, key_width, value_width, .. } = *options;
    assert!(
        groups > 0 && heads.is_multiple_of(groups),
        "attention: {groups} heads of keys do not divide {heads} heads of queries"
    );
    let packed = |name: &str, packed: Packed<'_>, steps: usize, row: usize| {
        assert!(packed.stride >= row || steps <= 1, "attention: rows of {name} overlap");
        let needed = extent(batch, packed.batch_stride, steps, packed.stride, row);
        assert!(packed.data.len() >= needed, "attention: length of {name}");
    };
    packed("query", inputs.query, queries, heads * key_width);
    packed("key", inputs.key, keys, groups * key_width);
    packed("value", inputs.value, keys, groups * value_width);
    let scores = |name: &str, length: usize, batch_stride: usize, head_stride: usize| {
        let needed = extent(batch, batch_stride, heads, head_stride, queries * keys);
        assert!(length >= needed, "attention: length of the {name}");
    };
    assert!(inputs.query_mask.is_none_or(|mask| mask.len() == batch * queries), "attention: query mask is not [B, T]");
    assert!(inputs.key_mask.is_none_or(|mask| mask.len() == batch * keys), "attention: key mask is not [B, S]");
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

/// `o`, and for [`backward`] the logarithms of the softmax's denominators.
///
/// # Shapes
/// `output`: `[B, T, N V]`; `log_sums`: `[B, N, T]`, infinite for queries for which no key counts.
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
    check(sizes, options, inputs);
    let AttentionSizes { batch, queries, .. } = sizes;
    assert_eq!(output.len(), batch * queries * options.heads * options.value_width, "attention: length of the output");
    let _ = context;
    let exact = reference::forward(sizes, options, inputs);
    output.iter_mut().zip(exact.output).for_each(|(to, from)| *to = from as f32);
    if let Some(log_sums) = log_sums {
        assert_eq!(log_sums.len(), batch * options.heads * queries, "attention: log sums are not [B, N, T]");
        log_sums.iter_mut().zip(exact.log_sums).for_each(|(to, from)| *to = from as f32);
    }
}

/// Gradients of [`forward`] from its results.
///
/// # Shapes
/// `output` and `dy`: `[B, T, N V]`; `log_sums`: `[B, N, T]`.
///
/// # Gradient
/// With `dp[i, j] = dy[i] . v[j]` times the factor of dropout and `ds = p (dp - dy[i] . o[i])`:
/// `dq[i] = scale sum of ds[i, j] k[j]`, `dk[j] = scale sum of ds[i, j] q[i]`, `dv[j] = sum of p[i, j] dy[i]` times the
/// factor of dropout, `dbias = ds`. A query for which no key counts has no gradient but that of the values' mean.
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
    check(sizes, options, inputs);
    let _ = (context, output, log_sums);
    let exact = reference::backward(sizes, options, inputs, dy);
    let AttentionSizes { batch, queries, keys } = sizes;
    let AttentionOptions { heads, key_value_heads: groups, key_width, value_width, .. } = *options;
    let write = |to: Option<PackedDestination<'_>>, from: &[f64], steps: usize, row: usize| {
        let Some(to) = to else { return };
        for step in 0..batch * steps {
            let at = step / steps * to.batch_stride + step % steps * to.stride;
            for (to_one, &from) in to.data[at..][..row].iter_mut().zip(&from[step * row..]) {
                *to_one = from as f32 + if to.accumulate { *to_one } else { 0.0 };
            }
        }
    };
    write(gradients.query, &exact.query, queries, heads * key_width);
    write(gradients.key, &exact.key, keys, groups * key_width);
    write(gradients.value, &exact.value, keys, groups * value_width);
    if let Some(bias) = gradients.bias {
        for (to, from) in bias.data.iter_mut().zip(&exact.bias) {
            *to = *from as f32 + if bias.accumulate { *to } else { 0.0 };
        }
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
    check(sizes, options, inputs);
    let AttentionSizes { batch, queries, keys } = sizes;
    assert_eq!(weights.len(), batch * options.heads * queries * keys, "attention: weights are not [B, N, T, S]");
    let _ = context;
    let exact = reference::forward(sizes, options, inputs);
    weights.iter_mut().zip(exact.weights).for_each(|(to, from)| *to = from as f32);
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

impl AttentionDropout {
    /// The factor of key `key` in row `row` of all rows `[B, N, T]`.
    fn factor(self, row: usize, key: usize) -> f32 {
        let Self { rate, key: stream } = self;
        let row = RandomKey { step: stream.step ^ (row as u64) << 32, ..stream };
        let word = row.block((key / 4) as u32)[key % 4];
        // As exact as the comparison of the vectors: 24 bits.
        let uniform = (word >> 8) as f32 * (1.0 / 16_777_216.0);
        if uniform < rate { 0.0 } else { (1.0 / (1.0 - f64::from(rate))) as f32 }
    }
}
