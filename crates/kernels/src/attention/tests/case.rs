//! Random calls, with what is right for them.
use super::*;

/// Operands of a call.
#[derive(Clone)]
pub(super) struct Case {
    pub(super) sizes: AttentionSizes,
    pub(super) options: AttentionOptions,
    pub(super) query: Vec<f32>,
    pub(super) key: Vec<f32>,
    pub(super) value: Vec<f32>,
    /// Floats between rows.
    pub(super) gaps: [usize; 3],
    pub(super) query_mask: Option<Vec<u8>>,
    pub(super) key_mask: Option<Vec<u8>>,
    pub(super) mask: Option<(Vec<u8>, usize, usize)>,
    pub(super) bias: Option<(Vec<f32>, usize, usize)>,
    pub(super) dy: Vec<f32>,
}

/// What forward and backward give.
#[derive(Debug, PartialEq)]
pub(super) struct Results {
    pub(super) output: Vec<f32>,
    pub(super) log_sums: Vec<f32>,
    pub(super) weights: Vec<f32>,
    pub(super) query: Vec<f32>,
    pub(super) key: Vec<f32>,
    pub(super) value: Vec<f32>,
    pub(super) bias: Vec<f32>,
}

pub(in super::super) fn options(
    heads: usize,
    key_value_heads: usize,
    key_width: usize,
    value_width: usize,
) -> AttentionOptions {
    AttentionOptions {
        heads,
        key_value_heads,
        key_width,
        value_width,
        scale: 1.0 / (key_width as f32).sqrt(),
        causal: false,
        causal_offset: 0,
        window: None,
        cap: None,
        dropout: None,
        empty: Empty::Zero,
    }
}

impl Case {
    pub(super) fn new(random: &mut Random, [batch, queries, keys]: [usize; 3], options: AttentionOptions) -> Self {
        let AttentionOptions { heads, key_value_heads, key_width, value_width, .. } = options;
        let mut floats = |length| -> Vec<f32> { random.floats(length).iter().map(|x| 2.0 * x).collect() };
        Self {
            sizes: AttentionSizes { batch, queries, keys },
            options,
            query: floats(batch * queries * heads * key_width),
            key: floats(batch * keys * key_value_heads * key_width),
            value: floats(batch * keys * key_value_heads * value_width),
            gaps: [0; 3],
            query_mask: None,
            key_mask: None,
            mask: None,
            bias: None,
            dy: floats(batch * queries * heads * value_width),
        }
    }

    /// Any of all options.
    pub(super) fn random(random: &mut Random) -> Self {
        let long = random.below(4) == 0;
        let sides = if long { [120, 450, 450] } else { [4, 40, 40] };
        let sizes = [1 + random.below(3), random.below(sides[1]), random.below(sides[2])];
        let (groups, group) = (1 + random.below(3), 1 + random.below(3));
        let widths = [1 + random.below(40), 1 + random.below(70)];
        let mut options = options(groups * group, groups, widths[0], widths[1]);
        options.scale *= 1.0 + random.float().abs();
        options.causal = random.below(2) == 0;
        options.causal_offset = if random.below(2) == 0 { random.below(20) } else { 0 };
        if random.below(3) == 0 {
            let most = [6, 60, 300][random.below(3)];
            options.window = Some(1 + random.below(most));
        }
        if random.below(3) == 0 {
            options.cap = Some(0.5 + 4.0 * random.float().abs());
        }
        if random.below(2) == 0 {
            options.empty = Empty::Uniform;
        }
        if random.below(3) == 0 {
            let rate = [0.1, 0.5, 1.0][random.below(3)];
            let key = RandomKey { seed: 5, step: (3 << 32) + random.below(9) as u64, node: 7 };
            options.dropout = Some(AttentionDropout { rate, key });
        }
        let mut case = Self::new(random, sizes, options);
        let [batch, queries, keys] = sizes;
        case.gaps = std::array::from_fn(|_| if random.below(2) == 0 { random.below(20) } else { 0 });
        case.spread(random);
        if random.below(2) == 0 {
            case.query_mask = Some(masks(random, batch, queries));
        }
        if random.below(2) == 0 {
            case.key_mask = Some(masks(random, batch, keys));
        }
        let strides = |random: &mut Random| {
            let [wide, deep] = [random.below(2), random.below(2)];
            let head = deep * queries * keys;
            let sequence = wide * (if deep == 1 { options.heads } else { 1 }) * queries * keys;
            let length = if batch * queries * keys == 0 {
                0
            } else {
                (batch - 1) * sequence + (options.heads - 1) * head + queries * keys
            };
            (length, sequence, head)
        };
        if random.below(4) == 0 {
            let (length, sequence, head) = strides(random);
            let rare = 1 + random.below(5);
            case.mask = Some(((0..length).map(|_| u8::from(random.below(rare) == 0)).collect(), sequence, head));
        }
        if random.below(3) == 0 {
            let (length, sequence, head) = strides(random);
            case.bias = Some((random.floats(length), sequence, head));
        }
        case
    }

    pub(super) fn rows(&self) -> [usize; 3] {
        let AttentionOptions { heads, key_value_heads, key_width, value_width, .. } = self.options;
        [heads * key_width, key_value_heads * key_width, key_value_heads * value_width]
    }

    /// Puts gaps between the rows.
    pub(super) fn spread(&mut self, random: &mut Random) {
        let rows = self.rows();
        for (at, values) in [&mut self.query, &mut self.key, &mut self.value].into_iter().enumerate() {
            let mut spread = Vec::new();
            for row in values.chunks_exact(rows[at]) {
                spread.extend_from_slice(row);
                spread.extend(random.floats(self.gaps[at]));
            }
            *values = spread;
        }
    }

    pub(super) fn inputs(&self) -> AttentionInputs<'_> {
        let AttentionSizes { queries, keys, .. } = self.sizes;
        let rows = self.rows();
        AttentionInputs {
            query: Packed::new(&self.query, queries, rows[0] + self.gaps[0]),
            key: Packed::new(&self.key, keys, rows[1] + self.gaps[1]),
            value: Packed::new(&self.value, keys, rows[2] + self.gaps[2]),
            query_mask: self.query_mask.as_deref(),
            key_mask: self.key_mask.as_deref(),
            mask: self.mask.as_ref().map(|(data, batch_stride, head_stride)| ScoreMask {
                data,
                batch_stride: *batch_stride,
                head_stride: *head_stride,
            }),
            bias: self.bias.as_ref().map(|(data, batch_stride, head_stride)| ScoreBias {
                data,
                batch_stride: *batch_stride,
                head_stride: *head_stride,
            }),
        }
    }

    /// Everything, gradients added to `before`.
    pub(super) fn run(&self, context: &Context, before: Option<f32>) -> Results {
        let AttentionSizes { batch, queries, keys } = self.sizes;
        let (inputs, rows) = (self.inputs(), self.rows());
        let mut output = vec![f32::NAN; self.dy.len()];
        let mut log_sums = vec![f32::NAN; batch * self.options.heads * queries];
        forward(context, self.sizes, &self.options, &inputs, &mut output, Some(&mut log_sums));
        let mut alone = vec![f32::NAN; self.dy.len()];
        forward(context, self.sizes, &self.options, &inputs, &mut alone, None);
        assert_eq!(bits(&alone), bits(&output), "nothing saved");
        let mut all = vec![f32::NAN; log_sums.len() * keys];
        weights(context, self.sizes, &self.options, &inputs, &mut all);
        let [mut query, mut key, mut value] =
            [&self.query, &self.key, &self.value].map(|of| vec![before.unwrap_or(f32::NAN); of.len()]);
        let mut bias = vec![before.unwrap_or(f32::NAN); self.bias.as_ref().map_or(0, |bias| bias.0.len())];
        let accumulate = before.is_some();
        let strides: [usize; 3] = std::array::from_fn(|at| rows[at] + self.gaps[at]);
        let gradients = AttentionGradients {
            query: Some(PackedDestination::new(&mut query, queries, strides[0], accumulate)),
            key: Some(PackedDestination::new(&mut key, keys, strides[1], accumulate)),
            value: Some(PackedDestination::new(&mut value, keys, strides[2], accumulate)),
            bias: self.bias.is_some().then_some(Destination { data: &mut bias, accumulate }),
        };
        backward(context, self.sizes, &self.options, &inputs, &output, &log_sums, &self.dy, gradients);
        Results { output, log_sums, weights: all, query, key, value, bias }
    }

    /// Asserts that results equal those of the reference, whose gradients `before` is added to.
    pub(super) fn compare(&self, found: &Results, what: &str, before: Option<f32>) {
        let exact = reference::forward(self.sizes, &self.options, &self.inputs());
        assert_close(&found.output, &exact.output, &format!("{what}: output"));
        assert_close(&found.weights, &exact.weights, &format!("{what}: weights"));
        for (index, (&found, exact)) in found.log_sums.iter().zip(&exact.log_sums).enumerate() {
            let error = (f64::from(found) - exact).abs();
            let close = error <= 1e-5 * exact.abs().max(1.0) || f64::from(found) == *exact;
            assert!(close, "{what}: log sum {index} is {found}, expected {exact}");
        }
        let exact = reference::backward(self.sizes, &self.options, &self.inputs(), &self.dy);
        let rows = self.rows();
        let all = [(&found.query, &exact.query), (&found.key, &exact.key), (&found.value, &exact.value)];
        for (at, (found, exact)) in all.into_iter().enumerate() {
            let stride = rows[at] + self.gaps[at];
            let mut inside = Vec::new();
            for row in found.chunks_exact(stride) {
                inside.extend_from_slice(&row[..rows[at]]);
                let between = row[rows[at]..].iter();
                let untouched = before.unwrap_or(f32::NAN).to_bits();
                assert!(between.map(|x| x.to_bits()).all(|x| x == untouched), "{what}: gradient {at} between rows");
            }
            let exact: Vec<f64> = exact.iter().map(|exact| exact + f64::from(before.unwrap_or(0.0))).collect();
            close(&inside, &exact, &format!("{what}: gradient {at}"));
        }
        let exact: Vec<f64> = exact.bias.iter().map(|exact| exact + f64::from(before.unwrap_or(0.0))).collect();
        close(&found.bias, &exact, &format!("{what}: gradient of the bias"));
    }
}

/// As `assert_close`, but what cancels to almost nothing is measured against 1e-2.
pub(super) fn close(found: &[f32], exact: &[f64], what: &str) {
    if exact.iter().all(|exact| exact.abs() < 1e-2) {
        assert_eq!(found.len(), exact.len(), "{what}: length");
        for (&found, exact) in found.iter().zip(exact) {
            assert!((f64::from(found) - exact).abs() < 1e-5, "{what}: {found}, expected {exact}");
        }
        return;
    }
    assert_close(found, exact, what);
}

/// Masks of sequences: padding at either end, holes, nothing, all.
pub(super) fn masks(random: &mut Random, batch: usize, steps: usize) -> Vec<u8> {
    let mut mask = Vec::new();
    for _ in 0..batch {
        let (kind, at) = (random.below(5), random.below(steps + 1));
        mask.extend((0..steps).map(|step| match kind {
            0 => u8::from(step < at),
            1 => u8::from(step >= at),
            2 => u8::from(random.below(3) > 0),
            3 => u8::from(at == 0),
            _ => 1,
        }));
    }
    mask
}
