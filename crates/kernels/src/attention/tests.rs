pub(super) mod case;
mod rows;

use super::{
    ABSENT, AttentionDropout, AttentionGradients, AttentionInputs, AttentionOptions, AttentionSizes, Empty, Packed,
    PackedDestination, ScoreBias, ScoreMask, backward, dropout_factors, forward, reference, weights,
};
use crate::{
    Context, Destination,
    random::RandomKey,
    testing::{Random, assert_close, bits, contexts, widen},
};
use case::*;

#[test]
fn output_weights_and_all_gradients_equal_the_reference() {
    let mut random = Random::new(41);
    let mut cases: Vec<Case> = (0..40).map(|_| Case::random(&mut random)).collect();
    for sizes in [[0, 3, 3], [1, 0, 5], [2, 5, 0], [1, 1, 1], [2, 1, 300], [1, 4, 33], [1, 200, 200], [1, 97, 193]] {
        for causal in [false, true] {
            for window in [None, Some(20)] {
                let mut options = options(2, 1, 16, 33);
                (options.causal, options.window) = (causal, window);
                options.cap = window.map(|window| 1.0 + 0.01 * window as f32);
                cases.push(Case::new(&mut random, sizes, options));
            }
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
fn what_lies_outside_of_the_window_is_not_computed() {
    let mut random = Random::new(79);
    for (causal, window) in [(true, 50), (false, 50), (true, 1), (false, 120)] {
        let mut options = options(2, 1, 8, 16);
        (options.causal, options.window) = (causal, Some(window));
        let mut case = Case::new(&mut random, [1, 900, 900], options);
        let mut mask = vec![0; 900];
        mask[500..520].fill(1);
        case.query_mask = Some(mask);
        // Whole blocks away from what these queries see: 0 times what is there would be no number.
        let nearest = |step: usize| if step < 500 { 500 - step } else { (step + 1).saturating_sub(520) };
        for step in (0..900).filter(|&step| nearest(step) >= window + 96) {
            case.key[step * 8..][..8].fill(f32::NAN);
            case.value[step * 16..][..16].fill(f32::NAN);
        }
        let found = case.run(Context::global(), None);
        for part in [&found.output, &found.query, &found.key, &found.value] {
            assert!(part.iter().all(|value| value.is_finite()), "causal {causal}, window {window}");
        }
    }
}

#[test]
fn gradients_of_a_bias_that_all_share_are_those_of_the_reference() {
    let mut random = Random::new(83);
    // Few owners: they are cut into parts.
    for (sizes, groups, shared) in [([19, 7, 9], 2, 2), ([3, 120, 20], 1, 2), ([1, 6, 5], 8, 1), ([40, 5, 1], 3, 0)] {
        let [_, queries, keys] = sizes;
        let mut case = Case::new(&mut random, sizes, options(2 * groups, groups, 4, 4));
        let (length, stride) = match shared {
            2 => (queries * keys, 0),
            _ => (2 * groups * queries * keys, queries * keys),
        };
        case.bias = Some((random.floats(length), 0, stride));
        if shared == 1 {
            case.bias = Some((random.floats(queries * keys), queries * keys, 0));
        }
        let results: Vec<_> =
            (1..=3).map(|threads| case.run(&Context::new(threads, Context::global().simd), Some(0.5))).collect();
        case.compare(&results[0], &format!("{sizes:?}"), Some(0.5));
        for other in &results[1..] {
            assert_eq!(bits(&other.bias), bits(&results[0].bias), "{sizes:?}");
        }
    }
}

#[test]
fn threads_do_not_change_a_bit() {
    let mut random = Random::new(43);
    for number in 0..16 {
        let mut case = Case::random(&mut random);
        if number % 4 == 1 {
            let [batch, queries, keys] = [20, 11, 13];
            case = Case::new(&mut random, [batch, queries, keys], options(2, 2, 8, 8));
            case.bias = Some((random.floats(2 * queries * keys), 0, queries * keys));
        }
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
    for (queries, keys, more) in
        [(20, 30, 7), (100, 210, 90), (1, 50, 1), (7, 0, 3), (3, 30, 40), (4, 4, 1), (2, 9, 210)]
    {
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
fn a_sequence_gives_the_same_bits_whatever_lies_beside_it() {
    let mut random = Random::new(48);
    let (steps, lengths) = (150, [3, 150, 4, 0, 5, 1, 97]);
    let batch = lengths.len();
    for causal in [false, true] {
        let mut options = options(4, 2, 24, 16);
        options.causal = causal;
        let mut case = Case::new(&mut random, [batch, steps, steps], options);
        // Padding at the ends, and in the first sequence before each step.
        let counts = |at: usize| match at / steps {
            0 => at % 2 == 1 && at < 2 * lengths[0],
            sequence => at % steps < lengths[sequence],
        };
        let mask: Vec<u8> = (0..batch * steps).map(|at| u8::from(counts(at))).collect();
        (case.query_mask, case.key_mask) = (Some(mask.clone()), Some(mask.clone()));
        let rows = case.rows();
        for context in contexts() {
            let mut together = vec![f32::NAN; batch * steps * 64];
            forward(&context, case.sizes, &options, &case.inputs(), &mut together, None);
            for (sequence, &length) in lengths.iter().enumerate() {
                let chosen: Vec<usize> = (0..steps).filter(|step| mask[sequence * steps + step] != 0).collect();
                assert_eq!(chosen.len(), length);
                let part = |of: &[f32], row: usize| -> Vec<f32> {
                    let row_of = |step: &usize| of[(sequence * steps + step) * row..][..row].to_vec();
                    chosen.iter().flat_map(row_of).collect()
                };
                let alone = Case {
                    sizes: AttentionSizes { batch: 1, queries: length, keys: length },
                    query: part(&case.query, rows[0]),
                    key: part(&case.key, rows[1]),
                    value: part(&case.value, rows[2]),
                    query_mask: None,
                    key_mask: None,
                    ..case.clone()
                };
                let mut output = vec![f32::NAN; length * 64];
                forward(&context, alone.sizes, &options, &alone.inputs(), &mut output, None);
                let expected = part(&together, 64);
                assert_eq!(bits(&output), bits(&expected), "{length} steps, causal {causal}, {:?}", context.simd);
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
