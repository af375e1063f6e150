//! Tensors that have rows for some of their steps only.
use super::{case::Case, *};

/// A row for each step that counts, and for some others.
fn rows(random: &mut Random, mask: Option<&[u8]>, steps: usize) -> Vec<u32> {
    let mut next = 0;
    (0..steps)
        .map(|step| {
            if mask.is_some_and(|mask| mask[step] == 0) && random.below(3) > 0 {
                return ABSENT;
            }
            next += 1;
            next - 1
        })
        .collect()
}

/// The rows that there are, each of `width` floats.
fn chosen(values: &[f32], rows: &[u32], width: usize) -> Vec<f32> {
    let all = values.chunks_exact(width).zip(rows);
    all.filter(|(_, row)| **row != ABSENT).flat_map(|(values, _)| values.iter().copied()).collect()
}

#[test]
fn rows_of_some_steps_give_the_same_bits_as_all() {
    let mut random = Random::new(73);
    let mut absent = 0;
    for number in 0..60 {
        let mut case = Case::random(&mut random);
        let AttentionSizes { batch, queries, keys } = case.sizes;
        let [query_rows, key_rows, value_rows] = [
            rows(&mut random, case.query_mask.as_deref(), batch * queries),
            rows(&mut random, case.key_mask.as_deref(), batch * keys),
            rows(&mut random, case.key_mask.as_deref(), batch * keys),
        ];
        let strides: [usize; 3] = std::array::from_fn(|at| case.rows()[at] + case.gaps[at]);
        // What has no row counts as zeros, in the mean of all values.
        for (value, row) in case.value.chunks_exact_mut(strides[2]).zip(&value_rows) {
            if *row == ABSENT {
                value.fill(0.0);
            }
        }
        let width = case.options.heads * case.options.value_width;
        // Queries without a row have no gradient of their output.
        for (dy, row) in case.dy.chunks_exact_mut(width).zip(&query_rows) {
            if *row == ABSENT {
                absent += 1;
                dy.fill(0.0);
            }
        }
        let [query, key, value] = [
            chosen(&case.query, &query_rows, strides[0]),
            chosen(&case.key, &key_rows, strides[1]),
            chosen(&case.value, &value_rows, strides[2]),
        ];
        let dy = chosen(&case.dy, &query_rows, width);
        for context in contexts() {
            let what = format!("case {number}, {:?}, {:?}, {:?}", case.sizes, case.options, context.simd);
            let all = case.run(&context, None);
            let inputs = AttentionInputs {
                query: Packed::of_rows(&query, &query_rows, strides[0]),
                key: Packed::of_rows(&key, &key_rows, strides[1]),
                value: Packed::of_rows(&value, &value_rows, strides[2]),
                ..case.inputs()
            };
            let (mut output, mut log_sums) = (vec![f32::NAN; dy.len()], vec![f32::NAN; all.log_sums.len()]);
            forward(&context, case.sizes, &case.options, &inputs, &mut output, Some(&mut log_sums));
            assert_eq!(bits(&output), bits(&chosen(&all.output, &query_rows, width)), "{what}: output");
            assert_eq!(bits(&log_sums), bits(&all.log_sums), "{what}: log sums");
            let [mut dq, mut dk, mut dv] = [&query, &key, &value].map(|of| vec![f32::NAN; of.len()]);
            let mut bias = vec![f32::NAN; case.bias.as_ref().map_or(0, |bias| bias.0.len())];
            let gradients = AttentionGradients {
                query: Some(PackedDestination::new(&mut dq, queries, strides[0], false)),
                key: Some(PackedDestination::new(&mut dk, keys, strides[1], false)),
                value: Some(PackedDestination::new(&mut dv, keys, strides[2], false)),
                bias: case.bias.is_some().then_some(Destination { data: &mut bias, accumulate: false }),
            };
            backward(&context, case.sizes, &case.options, &inputs, &output, &log_sums, &dy, gradients);
            assert_eq!(bits(&dq), bits(&chosen(&all.query, &query_rows, strides[0])), "{what}: gradient of queries");
            assert_eq!(bits(&dk), bits(&chosen(&all.key, &key_rows, strides[1])), "{what}: gradient of keys");
            assert_eq!(bits(&dv), bits(&chosen(&all.value, &value_rows, strides[2])), "{what}: gradient of values");
            assert_eq!(bits(&bias), bits(&all.bias), "{what}: gradient of the bias");
        }
    }
    assert!(absent > 100, "only {absent} queries have no row");
}

/// As in decoding, where beams share what they have in common.
#[test]
fn keys_and_values_that_are_read_may_share_rows_in_any_order() {
    let mut random = Random::new(74);
    for number in 0..40 {
        let case = Case::random(&mut random);
        let AttentionSizes { batch, keys, .. } = case.sizes;
        let strides: [usize; 3] = std::array::from_fn(|at| case.rows()[at] + case.gaps[at]);
        let count = batch * keys + 3;
        let (key, value) = (random.floats(count * strides[1]), random.floats(count * strides[2]));
        let rows: Vec<u32> = (0..batch * keys).map(|_| random.below(count) as u32).collect();
        let dense = |from: &[f32], stride: usize| -> Vec<f32> {
            rows.iter().flat_map(|&row| &from[row as usize * stride..][..stride]).copied().collect()
        };
        let (dense_key, dense_value) = (dense(&key, strides[1]), dense(&value, strides[2]));
        for context in contexts() {
            let output = |key: Packed<'_>, value: Packed<'_>| {
                let inputs = AttentionInputs { key, value, ..case.inputs() };
                let width = case.options.heads * case.options.value_width;
                let mut output = vec![f32::NAN; batch * case.sizes.queries * width];
                forward(&context, case.sizes, &case.options, &inputs, &mut output, None);
                bits(&output)
            };
            let shared = output(Packed::of_rows(&key, &rows, strides[1]), Packed::of_rows(&value, &rows, strides[2]));
            let [dense_key, dense_value] =
                [Packed::new(&dense_key, keys, strides[1]), Packed::new(&dense_value, keys, strides[2])];
            assert_eq!(shared, output(dense_key, dense_value), "case {number}, {:?}", case.sizes);
        }
    }
}

fn forward_with_rows(rows: &[u32], mask: Option<&[u8]>) {
    let case = Case::new(&mut Random::new(1), [1, 2, 2], options(1, 1, 4, 4));
    let query = Packed::of_rows(&case.query, rows, 4);
    let inputs = AttentionInputs { query, query_mask: mask, ..case.inputs() };
    forward(Context::global(), case.sizes, &case.options, &inputs, &mut [0.0; 8], None);
}

#[test]
#[should_panic(expected = "step 1 of query counts and has no row")]
fn a_step_that_counts_must_have_a_row() {
    forward_with_rows(&[0, ABSENT], Some(&[1, 1]));
}

#[test]
#[should_panic(expected = "rows of query do not ascend")]
fn two_steps_cannot_have_one_row() {
    forward_with_rows(&[0, 0], None);
}

#[test]
#[should_panic(expected = "rows of query are not one a step")]
fn every_step_is_spoken_of() {
    forward_with_rows(&[0], None);
}

#[test]
#[should_panic(expected = "length of query")]
fn rows_lie_in_their_tensor() {
    forward_with_rows(&[1, 2], None);
}
