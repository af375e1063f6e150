use super::{
    AttentionDropout, AttentionGradients, AttentionInputs, AttentionOptions, AttentionSizes, Empty, Packed,
    PackedDestination, ScoreBias, ScoreMask, backward, dropout_factors, forward, reference, weights,
};
use crate::{
    Context, Destination,
    random::RandomKey,
    testing::{Random, assert_close, bits, contexts, widen},
};

/// Operands of a call.
#[derive(Clone)]
struct Case {
    sizes: AttentionSizes,
    options: AttentionOptions,
    query: Vec<f32>,
    key: Vec<f32>,
    value: Vec<f32>,
    /// Floats between rows.
    gaps: [usize; 3],
    query_mask: Option<Vec<u8>>,
    key_mask: Option<Vec<u8>>,
    mask: Option<(Vec<u8>, usize, usize)>,
    bias: Option<(Vec<f32>, usize, usize)>,
    dy: Vec<f32>,
}

/// What forward and backward give.
#[derive(Debug, PartialEq)]
struct Results {
    output: Vec<f32>,
    log_sums: Vec<f32>,
    weights: Vec<f32>,
    query: Vec<f32>,
    key: Vec<f32>,
    value: Vec<f32>,
    bias: Vec<f32>,
}

fn options(heads: usize, key_value_heads: usize, key_width: usize, value_width: usize) -> AttentionOptions {
    AttentionOptions {
        heads,
        key_value_heads,
        key_width,
        value_width,
        scale: 1.0 / (key_width as f32).sqrt(),
        causal: false,
        causal_offset: 0,
        dropout: None,
        empty: Empty::Zero,
    }
}

impl Case {
    fn new(random: &mut Random, [batch, queries, keys]: [usize; 3], options: AttentionOptions) -> Self {
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
    fn random(random: &mut Random) -> Self {
        let long = random.below(4) == 0;
        let sides = if long { [120, 450, 450] } else { [4, 40, 40] };
        let sizes = [1 + random.below(3), random.below(sides[1]), random.below(sides[2])];
        let (groups, group) = (1 + random.below(3), 1 + random.below(3));
        let widths = [1 + random.below(40), 1 + random.below(70)];
        let mut options = options(groups * group, groups, widths[0], widths[1]);
        options.scale *= 1.0 + random.float().abs();
        options.causal = random.below(2) == 0;
        options.causal_offset = if random.below(2) == 0 { random.below(20) } else { 0 };
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

    fn rows(&self) -> [usize; 3] {
        let AttentionOptions { heads, key_value_heads, key_width, value_width, .. } = self.options;
        [heads * key_width, key_value_heads * key_width, key_value_heads * value_width]
    }

    /// Puts gaps between the rows.
    fn spread(&mut self, random: &mut Random) {
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

    fn inputs(&self) -> AttentionInputs<'_> {
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
    fn run(&self, context: &Context, before: Option<f32>) -> Results {
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
    fn compare(&self, found: &Results, what: &str, before: Option<f32>) {
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
fn close(found: &[f32], exact: &[f64], what: &str) {
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
fn masks(random: &mut Random, batch: usize, steps: usize) -> Vec<u8> {
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

#[test]
fn output_weights_and_all_gradients_equal_the_reference() {
    let mut random = Random::new(41);
    let mut cases: Vec<Case> = (0..40).map(|_| Case::random(&mut random)).collect();
    for sizes in [[0, 3, 3], [1, 0, 5], [2, 5, 0], [1, 1, 1], [2, 1, 300], [1, 4, 33], [1, 200, 200], [1, 97, 193]] {
        for causal in [false, true] {
            let mut options = options(2, 1, 16, 33);
            options.causal = causal;
            cases.push(Case::new(&mut random, sizes, options));
        }
    }
    for (number, case) in cases.iter().enumerate() {
        for context in contexts() {
            let what = format!("case {number}, {:?}, {:?}, {:?}", case.sizes, case.options, context.simd);
            case.compare(&case.run(&context, None), &what, None);
        }
        let context = Context::global();
        case.compare(&case.run(context, Some(1.0)), &format!("case {number}, added"), Some(1.0));
    }
}

#[test]
fn threads_do_not_change_a_bit() {
    let mut random = Random::new(43);
    for number in 0..12 {
        let mut case = Case::random(&mut random);
        if number % 3 == 0 {
            // Long enough for several ranges of queries.
            case = Case::new(&mut random, [1, 500, 300], options(2, 1, 16, 16));
            case.options.causal = number % 2 == 0;
        }
        let all: Vec<_> = (1..=3).map(|threads| Context::new(threads, Context::global().simd)).collect();
        let results: Vec<_> = all.iter().map(|context| case.run(context, None)).collect();
        for other in &results[1..] {
            let parts = |of: &Results| {
                [&of.output, &of.log_sums, &of.weights, &of.query, &of.key, &of.value, &of.bias].map(|part| bits(part))
            };
            assert_eq!(parts(other), parts(&results[0]), "case {number}");
        }
    }
}

#[test]
fn a_sequence_gives_the_same_bits_alone_and_with_more_padding() {
    let mut random = Random::new(47);
    let context = Context::global();
    for (queries, keys, more) in [(20, 30, 7), (100, 210, 90), (1, 50, 1), (7, 0, 3)] {
        let mut options = options(2, 2, 24, 16);
        options.causal = queries == keys;
        let padded = Case::new(&mut random, [3, queries + more, keys + more], options);
        let mut padded = Case {
            query_mask: Some((0..3 * (queries + more)).map(|at| u8::from(at % (queries + more) < queries)).collect()),
            key_mask: Some((0..3 * (keys + more)).map(|at| u8::from(at % (keys + more) < keys)).collect()),
            ..padded
        };
        // What lies in the padding must not matter.
        let rows = padded.rows();
        for (at, value) in padded.key.iter_mut().enumerate() {
            if at / rows[1] % (keys + more) >= keys {
                *value = f32::NAN;
            }
        }
        for (at, value) in padded.value.iter_mut().enumerate() {
            if at / rows[2] % (keys + more) >= keys {
                *value = f32::NAN;
            }
        }
        let together = padded.run(context, None);
        let cut = |of: &[f32], long: usize, short: usize, row: usize, sequence: usize| {
            of[sequence * long * row..][..short * row].to_vec()
        };
        for sequence in 0..3 {
            let part = |of: &[f32], steps: usize, row: usize| cut(of, steps + more, steps, row, sequence);
            let value_row = options.heads * options.value_width;
            let alone = Case {
                sizes: AttentionSizes { batch: 1, queries, keys },
                query: part(&padded.query, queries, rows[0]),
                key: part(&padded.key, keys, rows[1]),
                value: part(&padded.value, keys, rows[2]),
                query_mask: None,
                key_mask: None,
                dy: part(&padded.dy, queries, value_row),
                ..padded.clone()
            };
            let alone = alone.run(context, None);
            let what = format!("{queries} queries, {keys} keys, sequence {sequence}");
            assert_eq!(bits(&alone.output), bits(&part(&together.output, queries, value_row)), "{what}: output");
            assert_eq!(bits(&alone.query), bits(&part(&together.query, queries, rows[0])), "{what}: query");
            let nothing = |of: &[f32], steps: usize, row: usize| {
                of[(sequence * (steps + more) + steps) * row..][..more * row].iter().all(|&x| x == 0.0)
            };
            assert!(nothing(&together.output, queries, value_row), "{what}: output of the padding");
            assert!(nothing(&together.query, queries, rows[0]), "{what}: query of the padding");
            assert!(nothing(&together.key, keys, rows[1]), "{what}: key of the padding");
            assert!(nothing(&together.value, keys, rows[2]), "{what}: value of the padding");
            // With fewer sequences the queries may be cut into more ranges, whose sums are added up.
            for (alone, together) in
                [(alone.key, part(&together.key, keys, rows[1])), (alone.value, part(&together.value, keys, rows[2]))]
            {
                close(&alone, &widen(&together), &format!("{what}: gradients of the keys and values"));
            }
        }
    }
}

#[test]
fn gradients_equal_differences() {
    let mut random = Random::new(53);
    for number in 0..20 {
        let mut case = Case::random(&mut random);
        let AttentionSizes { batch, queries, keys } = case.sizes;
        if batch * queries * keys == 0 || queries > 40 || keys > 40 {
            continue;
        }
        let exact = reference::backward(case.sizes, &case.options, &case.inputs(), &case.dy);
        let loss = |case: &Case| -> f64 {
            let output = reference::forward(case.sizes, &case.options, &case.inputs()).output;
            output.iter().zip(&case.dy).map(|(output, &dy)| output * f64::from(dy)).sum()
        };
        let rows = case.rows();
        for which in 0..4 {
            let length = [case.query.len(), case.key.len(), case.value.len(), exact.bias.len()][which];
            if length == 0 {
                continue;
            }
            let at = random.below(length);
            // A power of two, so that the operand changes by exactly that.
            let step = 1.0 / 1024.0;
            let mut losses = [0.0; 2];
            for (loss_of, sign) in losses.iter_mut().zip([-1.0, 1.0]) {
                let before = case.clone();
                let values = match which {
                    0 => &mut case.query,
                    1 => &mut case.key,
                    2 => &mut case.value,
                    _ => match &mut case.bias {
                        Some((bias, ..)) => bias,
                        None => continue,
                    },
                };
                values[at] = (values[at] * 1024.0).round() / 1024.0 + sign * step;
                *loss_of = loss(&case);
                case = before;
            }
            let found = (losses[1] - losses[0]) / f64::from(2.0 * step);
            let expected = if which == 3 {
                exact.bias[at]
            } else {
                let stride = rows[which] + case.gaps[which];
                let all = [&exact.query, &exact.key, &exact.value][which];
                if at % stride < rows[which] { all[at / stride * rows[which] + at % stride] } else { 0.0 }
            };
            assert!(
                (found - expected).abs() < 2e-2 * (1.0 + expected.abs()),
                "case {number}, {which}: {found}, {expected}"
            );
        }
    }
}

#[test]
fn the_factors_of_dropout_are_those_that_forward_uses() {
    let mut random = Random::new(59);
    let sizes = AttentionSizes { batch: 2, queries: 9, keys: 11 };
    let mut case = Case::new(&mut random, [2, 9, 11], options(3, 3, 4, 11));
    let key = RandomKey { seed: 1, step: 2, node: 3 };
    let dropout = AttentionDropout { rate: 0.25, key };
    case.options.dropout = Some(dropout);
    // Values that are a unit matrix show the weights.
    for (at, value) in case.value.iter_mut().enumerate() {
        let (step, column) = (at / 33 % 11, at % 11);
        *value = f32::from(u8::from(step == column));
    }
    let found = case.run(Context::global(), None);
    let mut factors = vec![f32::NAN; 2 * 3 * 9 * 11];
    dropout_factors(sizes, 3, dropout, &mut factors);
    let dropped = factors.iter().filter(|&&factor| factor == 0.0).count();
    assert!((90..210).contains(&dropped), "{dropped} of 594 are dropped");
    for (at, (factor, weight)) in factors.iter().zip(&found.weights).enumerate() {
        let (row, key) = (at / 11, at % 11);
        let (sequence, head, query) = (row / 27, row / 9 % 3, row % 9);
        let output = found.output[((sequence * 9 + query) * 3 + head) * 11 + key];
        assert!((output - weight * factor).abs() < 1e-6, "{row}, {key}: {output}, expected {weight} * {factor}");
    }
}

#[test]
fn only_gradients_that_are_wanted_are_made() {
    let mut random = Random::new(61);
    let mut case = Case::new(&mut random, [2, 12, 14], options(2, 1, 8, 8));
    case.bias = Some((random.floats(12 * 14), 0, 0));
    let context = Context::global();
    let all = case.run(context, None);
    for wanted in 0..4 {
        let mut found = vec![f32::NAN; [case.query.len(), case.key.len(), case.value.len(), 12 * 14][wanted]];
        let mut gradients = AttentionGradients::default();
        let accumulate = false;
        match wanted {
            0 => gradients.query = Some(PackedDestination::new(&mut found, 12, 16, accumulate)),
            1 => gradients.key = Some(PackedDestination::new(&mut found, 14, 8, accumulate)),
            2 => gradients.value = Some(PackedDestination::new(&mut found, 14, 8, accumulate)),
            _ => gradients.bias = Some(Destination { data: &mut found, accumulate }),
        }
        backward(context, case.sizes, &case.options, &case.inputs(), &all.output, &all.log_sums, &case.dy, gradients);
        let expected = [&all.query, &all.key, &all.value, &all.bias][wanted];
        close(&found, &widen(expected), &format!("gradient {wanted} alone"));
    }
}

#[test]
#[should_panic(expected = "2 heads of keys do not divide 3 heads")]
fn heads_that_do_not_divide_are_refused() {
    let case = Case::new(&mut Random::new(1), [1, 2, 2], options(3, 2, 4, 4));
    forward(Context::global(), case.sizes, &case.options, &case.inputs(), &mut [0.0; 24], None);
}

#[test]
#[should_panic(expected = "length of key")]
fn too_few_keys_are_refused() {
    let mut case = Case::new(&mut Random::new(1), [1, 2, 2], options(1, 1, 4, 4));
    case.key.pop();
    forward(Context::global(), case.sizes, &case.options, &case.inputs(), &mut [0.0; 8], None);
}

#[test]
#[should_panic(expected = "key mask is not [B, S]")]
fn masks_of_another_length_are_refused() {
    let mut case = Case::new(&mut Random::new(1), [1, 2, 2], options(1, 1, 4, 4));
    case.key_mask = Some(vec![1; 3]);
    forward(Context::global(), case.sizes, &case.options, &case.inputs(), &mut [0.0; 8], None);
}

/// The most memory that this process had, in MiB; `None` where the system does not say.
fn peak() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM"))?;
    line.split_whitespace().nth(1)?.parse::<f64>().ok().map(|kilobytes| kilobytes / 1024.0)
}

#[test]
fn no_matrix_of_scores_is_kept() {
    let Some(before) = peak() else {
        println!("not tested: the system does not tell the peak of the memory");
        return;
    };
    // All scores would take 1,024 MiB.
    let steps = 16_384;
    let case = Case::new(&mut Random::new(67), [1, steps, steps], options(1, 1, 4, 4));
    let (inputs, context) = (case.inputs(), Context::global());
    let (mut output, mut log_sums) = (vec![0.0; steps * 4], vec![0.0; steps]);
    forward(context, case.sizes, &case.options, &inputs, &mut output, Some(&mut log_sums));
    let [mut query, mut key, mut value] = [(); 3].map(|()| vec![0.0; steps * 4]);
    let gradients = AttentionGradients {
        query: Some(PackedDestination::new(&mut query, steps, 4, false)),
        key: Some(PackedDestination::new(&mut key, steps, 4, false)),
        value: Some(PackedDestination::new(&mut value, steps, 4, false)),
        bias: None,
    };
    backward(context, case.sizes, &case.options, &inputs, &output, &log_sums, &case.dy, gradients);
    let growth = peak().unwrap_or(before) - before;
    // Other tests run beside this one.
    assert!(growth < 400.0, "the peak grew by {growth} MiB");
}

#[test]
fn a_bias_of_minus_infinity_masks() {
    let mut random = Random::new(71);
    for queries in [3, 20] {
        let mut case = Case::new(&mut random, [2, queries, 21], options(2, 2, 5, 6));
        let mut bias = random.floats(2 * queries * 21);
        for (at, bias) in bias.iter_mut().enumerate() {
            // The second query has no key left, the others lose some.
            if at / 21 % queries == 1 || at % 4 == 0 {
                *bias = f32::NEG_INFINITY;
            }
        }
        case.bias = Some((bias, 0, queries * 21));
        for empty in [Empty::Zero, Empty::Uniform] {
            case.options.empty = empty;
            for context in contexts() {
                case.compare(&case.run(&context, None), &format!("{queries} queries, {empty:?}"), None);
            }
        }
    }
}
