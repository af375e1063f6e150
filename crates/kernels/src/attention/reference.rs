//! Attention in 64 bits, score by score.
use super::{AttentionInputs, AttentionOptions, AttentionSizes, Empty};

/// What [`forward`] gives.
#[derive(Debug, Default)]
pub(super) struct Forward {
    /// `[B, T, N, V]`.
    pub output: Vec<f64>,
    /// `[B, N, T]`, binary logarithms.
    pub log_sums: Vec<f64>,
    /// `[B, N, T, S]`, before dropout.
    pub weights: Vec<f64>,
}

/// What [`backward`] gives, without gaps between rows.
#[derive(Debug, Default)]
pub(super) struct Backward {
    pub query: Vec<f64>,
    pub key: Vec<f64>,
    pub value: Vec<f64>,
    /// As long as the bias.
    pub bias: Vec<f64>,
}

/// A call with helpers to find its elements.
struct Call<'a> {
    sizes: AttentionSizes,
    options: &'a AttentionOptions,
    inputs: &'a AttentionInputs<'a>,
}

impl Call<'_> {
    fn group(&self, n: usize) -> usize {
        n / (self.options.heads / self.options.key_value_heads)
    }

    fn query(&self, b: usize, n: usize, i: usize) -> &[f32] {
        let query = self.inputs.query;
        let width = self.options.key_width;
        &query.data[b * query.batch_stride + i * query.stride + n * width..][..width]
    }

    fn key(&self, b: usize, n: usize, j: usize) -> &[f32] {
        let key = self.inputs.key;
        let width = self.options.key_width;
        &key.data[b * key.batch_stride + j * key.stride + self.group(n) * width..][..width]
    }

    fn value(&self, b: usize, n: usize, j: usize) -> &[f32] {
        let value = self.inputs.value;
        let width = self.options.value_width;
        &value.data[b * value.batch_stride + j * value.stride + self.group(n) * width..][..width]
    }

    fn counts(&self, b: usize, n: usize, i: usize, j: usize) -> bool {
        let AttentionSizes { queries, keys, .. } = self.sizes;
        self.inputs.query_mask.is_none_or(|mask| mask[b * queries + i] != 0)
            && self.inputs.key_mask.is_none_or(|mask| mask[b * keys + j] != 0)
            && (!self.options.causal || j <= i + self.options.causal_offset)
            && self.options.window.is_none_or(|window| (i + self.options.causal_offset).abs_diff(j) < window)
            && self
                .inputs
                .mask
                .is_none_or(|mask| mask.data[b * mask.batch_stride + n * mask.head_stride + i * keys + j] != 0)
    }

    fn bias_at(&self, b: usize, n: usize, i: usize, j: usize) -> Option<usize> {
        let bias = self.inputs.bias?;
        Some(b * bias.batch_stride + n * bias.head_stride + i * self.sizes.keys + j)
    }

    /// The scaled product of a query and a key.
    fn product(&self, b: usize, n: usize, i: usize, j: usize) -> f64 {
        f64::from(self.options.scale) * dot(self.query(b, n, i), self.key(b, n, j))
    }

    fn capped(&self, product: f64) -> f64 {
        self.options.cap.map_or(product, |cap| f64::from(cap) * (product / f64::from(cap)).tanh())
    }

    /// The derivative of the capped score by its product.
    fn slope(&self, product: f64) -> f64 {
        self.options.cap.map_or(1.0, |cap| 1.0 - (product / f64::from(cap)).tanh().powi(2))
    }

    /// Weights of a query and the logarithm of their denominator.
    fn weights(&self, b: usize, n: usize, i: usize) -> (Vec<f64>, f64) {
        let score = |j: usize| {
            if !self.counts(b, n, i, j) {
                return f64::NEG_INFINITY;
            }
            let bias = self.bias_at(b, n, i, j).and_then(|at| Some(f64::from(self.inputs.bias?.data[at])));
            self.capped(self.product(b, n, i, j)) + bias.unwrap_or(0.0)
        };
        let keys = self.sizes.keys;
        let scores: Vec<f64> = (0..keys).map(score).collect();
        let largest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        if largest == f64::NEG_INFINITY {
            let weight = if self.options.empty == Empty::Uniform { 1.0 / keys as f64 } else { 0.0 };
            return (vec![weight; keys], f64::INFINITY);
        }
        let log_sum = largest + scores.iter().map(|score| (score - largest).exp()).sum::<f64>().ln();
        (scores.iter().map(|score| (score - log_sum).exp()).collect(), log_sum)
    }

    /// Factors of dropout; ones for a query for which no key counts.
    fn factors(&self, b: usize, n: usize, i: usize, log_sum: f64) -> Vec<f64> {
        let AttentionSizes { queries, keys, .. } = self.sizes;
        let row = (b * self.options.heads + n) * queries + i;
        let factor = |j| match self.options.dropout {
            Some(dropout) if log_sum.is_finite() => f64::from(dropout.factor(row, j)),
            _ => 1.0,
        };
        (0..keys).map(factor).collect()
    }
}

fn dot(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum()
}

fn add(sum: &mut [f64], values: &[f32], factor: f64) {
    sum.iter_mut().zip(values).for_each(|(sum, &value)| *sum += factor * f64::from(value));
}

pub(super) fn forward(sizes: AttentionSizes, options: &AttentionOptions, inputs: &AttentionInputs<'_>) -> Forward {
    let call = Call { sizes, options, inputs };
    let AttentionSizes { batch, queries, .. } = sizes;
    let AttentionOptions { heads, value_width, .. } = *options;
    let mut found = Forward { output: vec![0.0; batch * queries * heads * value_width], ..Forward::default() };
    for b in 0..batch {
        for n in 0..heads {
            for i in 0..queries {
                let (weights, log_sum) = call.weights(b, n, i);
                let factors = call.factors(b, n, i, log_sum);
                let output = &mut found.output[((b * queries + i) * heads + n) * value_width..][..value_width];
                for (j, (weight, factor)) in weights.iter().zip(factors).enumerate() {
                    add(output, call.value(b, n, j), weight * factor);
                }
                found.log_sums.push(log_sum * std::f64::consts::LOG2_E);
                found.weights.extend(weights);
            }
        }
    }
    found
}

pub(super) fn backward(
    sizes: AttentionSizes,
    options: &AttentionOptions,
    inputs: &AttentionInputs<'_>,
    dy: &[f32],
) -> Backward {
    let call = Call { sizes, options, inputs };
    let AttentionSizes { batch, queries, keys } = sizes;
    let AttentionOptions { heads, key_value_heads: groups, key_width, value_width, .. } = *options;
    let mut found = Backward {
        query: vec![0.0; batch * queries * heads * key_width],
        key: vec![0.0; batch * keys * groups * key_width],
        value: vec![0.0; batch * keys * groups * value_width],
        bias: vec![0.0; inputs.bias.map_or(0, |bias| bias.data.len())],
    };
    for b in 0..batch {
        for n in 0..heads {
            for i in 0..queries {
                let (weights, log_sum) = call.weights(b, n, i);
                let factors = call.factors(b, n, i, log_sum);
                let dy = &dy[((b * queries + i) * heads + n) * value_width..][..value_width];
                let dp: Vec<f64> = (0..keys).map(|j| factors[j] * dot(dy, call.value(b, n, j))).collect();
                let mean: f64 = weights.iter().zip(&dp).map(|(weight, dp)| weight * dp).sum();
                for j in 0..keys {
                    let at = (b * keys + j) * groups + call.group(n);
                    add(&mut found.value[at * value_width..][..value_width], dy, weights[j] * factors[j]);
                    if log_sum.is_infinite() {
                        continue;
                    }
                    let ds = weights[j] * (dp[j] - mean);
                    let scaled = ds * call.slope(call.product(b, n, i, j)) * f64::from(options.scale);
                    let to = ((b * queries + i) * heads + n) * key_width;
                    add(&mut found.query[to..][..key_width], call.key(b, n, j), scaled);
                    add(&mut found.key[at * key_width..][..key_width], call.query(b, n, i), scaled);
                    if let Some(at) = call.bias_at(b, n, i, j) {
                        found.bias[at] += ds;
                    }
                }
            }
        }
    }
    found
}
