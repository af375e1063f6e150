mod case;

use super::{
    AttentiveGradients, AttentiveInputs, AttentiveOutputGradients, AttentiveOutputs, AttentiveShape, AttentiveWeights,
    Cell, CellGradients, CellInputs, CellOutputGradients, CellOutputs, CellWeights, Order, Score, backward, forward,
    reference::{CELL_FIELDS, FIELDS, Reference, cell_field, field_name},
};
use crate::{
    Context, Destination,
    recurrent::testing::{factors, mask, scaled, spoil},
    testing::{Random, assert_close, bits, contexts},
};
use case::*;

#[test]
fn layer_equals_the_reference_on_every_path() {
    let mut random = Random::new(51);
    let contexts = contexts();
    for round in 0..100 {
        let mut one_of = |sizes: &[usize]| sizes[random.below(sizes.len())];
        let mut shape = AttentiveShape {
            batch: one_of(&[0, 1, 3, 17, 33]),
            steps: one_of(&[0, 1, 2, 6]),
            sources: one_of(&[0, 1, 4, 7]),
            input: one_of(&[0, 1, 5, 16]),
            units: one_of(&[1, 5, 16, 37]),
            memory: one_of(&[1, 6, 16, 37]),
            keys: one_of(&[1, 5, 16, 37]),
        };
        let variant = variant(&mut random);
        if !variant.additive {
            shape.keys = shape.units;
            if variant.shared {
                shape.memory = shape.units;
            }
        }
        let case = Case::new(&mut random, shape, variant);
        let mut last: Option<(crate::simd::Simd, Vec<Vec<u32>>)> = None;
        for context in &contexts {
            let found = case.run(context);
            case.check(&found);
            if context.pool.threads() == 1 {
                case.check_gradients(&mut Random::new(round), &found, 6);
            }
            let found = (context.simd, found.iter().map(|values| bits(values)).collect());
            if let Some(last) = &last
                && last.0 == found.0
            {
                assert!(last.1 == found.1, "bits depend on the threads: {shape:?}, {variant:?}");
            }
            last = Some(found);
        }
    }
}

#[test]
fn all_gradients_of_small_layers_equal_differences() {
    let mut random = Random::new(57);
    let context = Context::new(1, crate::simd::Simd::best());
    for _ in 0..60 {
        let mut shape = AttentiveShape { batch: 2, steps: 3, sources: 3, input: 2, units: 3, memory: 2, keys: 4 };
        let variant = variant(&mut random);
        if !variant.additive {
            shape.keys = shape.units;
        }
        if variant.shared {
            shape.memory = shape.keys;
        }
        let case = Case::new(&mut random, shape, variant);
        let found = case.run(&context);
        case.check_gradients(&mut random, &found, usize::MAX);
    }
}

/// Memory and steps that are masked behind the ends must not change a bit, whatever they hold.
#[test]
fn padding_changes_nothing() {
    let mut random = Random::new(61);
    for round in 0..12 {
        let mut shape = AttentiveShape { batch: 19, steps: 4, sources: 5, input: 3, units: 18, memory: 18, keys: 18 };
        let variant = Variant {
            before: round % 2 == 0,
            feed: round % 3 == 0,
            additive: round % 4 < 2,
            mask: 2,
            memory_mask: 2,
            shared: false,
            ..variant(&mut random)
        };
        let case = Case::new(&mut random, shape, variant);
        let longer = |matrix: &[f32], width: usize, more: usize, value: f32| -> Vec<f32> {
            matrix.chunks_exact(width).flat_map(|row| [row, &vec![value; more]].concat()).collect()
        };
        let mut padded = case.clone();
        padded.fields[0] = longer(&case.fields[0], 4 * 3, 2 * 3, f32::NAN);
        padded.fields[1] = longer(&case.fields[1], 5 * 18, 3 * 18, f32::NAN);
        padded.fields[2] = longer(&case.fields[2], 5 * 18, 3 * 18, f32::NAN);
        padded.d[0] = longer(&case.d[0], 4 * 18, 2 * 18, 0.0);
        let more = |mask: &Option<Vec<u8>>, width: usize, more: usize| {
            mask.as_ref().map(|mask| mask.chunks_exact(width).flat_map(|row| [row, &vec![0; more]].concat()).collect())
        };
        padded.mask = more(&case.mask, 4, 2);
        padded.memory_mask = more(&case.memory_mask, 5, 3);
        (shape.steps, shape.sources) = (6, 8);
        padded.shape = shape;
        let start = if variant.accumulate { 0.5 } else { 0.0 };
        for context in contexts() {
            let (all, found) = (case.run(&context), padded.run(&context));
            // h, c, a and the gradients of weights and initial states.
            for index in (1..4).chain(8..all.len()) {
                assert_eq!(bits(&found[index]), bits(&all[index]), "result {index}, {variant:?}");
            }
            let dx = longer(&all[5], 4 * 3, 2 * 3, start);
            let dkeys = longer(&all[6], 5 * 18, 3 * 18, start);
            let dmemory = longer(&all[7], 5 * 18, 3 * 18, start);
            for (index, expected) in [(5, dx), (6, dkeys), (7, dmemory)] {
                assert_eq!(found[index], expected, "result {index}, {variant:?}");
            }
        }
    }
}

#[test]
fn single_steps_equal_the_sequence() {
    let mut random = Random::new(67);
    let shape = AttentiveShape { batch: 18, steps: 4, sources: 5, input: 7, units: 21, memory: 9, keys: 21 };
    let AttentiveShape { batch, steps, input, units, .. } = shape;
    for round in 0..8 {
        let variant = Variant {
            before: round % 2 == 0,
            feed: true,
            states: true,
            mask: 0,
            memory_mask: 2,
            shared: false,
            ..variant(&mut random)
        };
        let case = Case::new(&mut random, shape, variant);
        let (lstm, after) = (variant.lstm(), !variant.before);
        for context in contexts() {
            let all = case.run(&context);
            let [mut h, mut c, mut a] = [3, 4, 5].map(|field| case.fields[field].clone());
            let cells = case.variant.cells();
            let mut above: Vec<[Vec<f32>; 2]> =
                (1..cells).map(|cell| [0, 1].map(|field| case.fields[cell_field(cell, field)].clone())).collect();
            let weights_above = case.weights_above();
            for time in 0..steps {
                let of_step = |matrix: &[f32], width: usize| -> Vec<f32> {
                    (0..batch).flat_map(|row| &matrix[(row * steps + time) * width..][..width]).copied().collect()
                };
                let x = of_step(&case.fields[0], input);
                let before = [h.clone(), c.clone(), a.clone()];
                let above_before = above.clone();
                let inputs_above: Vec<CellInputs<'_>> = case
                    .inputs_above()
                    .into_iter()
                    .zip(&above_before)
                    .map(|(inputs, [h0, c0])| CellInputs { h0: Some(h0), c0: lstm.then_some(c0), ..inputs })
                    .collect();
                let inputs = AttentiveInputs {
                    x: &x,
                    h0: Some(&before[0]),
                    c0: lstm.then_some(&before[1]),
                    a0: after.then_some(&before[2]),
                    ..case.inputs(&inputs_above)
                };
                let mut y = vec![0.0; batch * units];
                let outputs = AttentiveOutputs {
                    y: Some(&mut y),
                    h: Some(&mut h),
                    c: lstm.then_some(&mut c),
                    a: after.then_some(&mut a),
                    weights: None,
                    above: above.iter_mut().map(|[h, c]| CellOutputs { h: Some(h), c: lstm.then_some(c) }).collect(),
                };
                let one = AttentiveShape { steps: 1, ..shape };
                forward(&context, variant.cell, one, case.weights(&weights_above), inputs, outputs, None);
                assert_eq!(bits(&y), bits(&of_step(&all[0], units)), "{variant:?}");
            }
            assert_eq!(bits(&h), bits(&all[1]));
            for (state, expected) in above.iter().flatten().zip(&all[5 + case.fields.len()..]).step_by(2) {
                assert_eq!(bits(state), bits(expected), "{variant:?}");
            }
        }
    }
}

#[test]
fn a_row_without_any_position_has_no_weights_and_no_context() {
    let mut random = Random::new(71);
    let shape = AttentiveShape { batch: 3, steps: 2, sources: 4, input: 2, units: 5, memory: 3, keys: 6 };
    let variant = Variant {
        cell: Cell::Lstm,
        before: true,
        feed: false,
        additive: true,
        bias: true,
        states: true,
        mask: 0,
        memory_mask: 0,
        shared: false,
        accumulate: false,
        dropout: false,
        recurrent_dropout: false,
        above: 0,
    };
    let mut case = Case::new(&mut random, shape, variant);
    case.memory_mask = Some(vec![1, 1, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0]);
    for context in contexts() {
        let found = case.run(&context);
        case.check(&found);
        case.check_gradients(&mut random, &found, usize::MAX);
        assert_eq!(found[4][8..16], [0.0; 8]);
        let sum: f32 = found[4][..4].iter().sum();
        assert!((sum - 1.0).abs() < 1e-6);
        assert_eq!(bits(&found[4][16..20]), bits(&[1.0, 0.0, 0.0, 0.0]));
    }
}

#[test]
fn gradients_can_be_left_out() {
    let mut random = Random::new(73);
    let shape = AttentiveShape { batch: 18, steps: 3, sources: 4, input: 5, units: 6, memory: 6, keys: 6 };
    let context = Context::new(2, crate::simd::Simd::best());
    for round in 0..8 {
        let variant = Variant { before: round % 2 == 0, additive: round % 4 < 2, ..variant(&mut random) };
        let case = Case::new(&mut random, shape, Variant { accumulate: false, ..variant });
        let all = case.run(&context);
        let run = |gradients: AttentiveGradients<'_>| {
            let mut saved = None;
            let keep = Some(&mut saved);
            let (weights, inputs) = (case.weights_above(), case.inputs_above());
            let (weights, inputs) = (case.weights(&weights), case.inputs(&inputs));
            forward(&context, variant.cell, shape, weights, inputs, AttentiveOutputs::default(), keep);
            let above = case.output_gradients_above();
            let d = AttentiveOutputGradients {
                dy: Some(&case.d[0]),
                dh: Some(&case.d[1]),
                dc: variant.lstm().then_some(&case.d[2]),
                da: (!variant.before).then_some(&case.d[3]),
                above: &above,
            };
            let saved = saved.expect("kept");
            backward(&context, variant.cell, shape, weights, inputs, saved, d, gradients);
        };
        run(AttentiveGradients::default());
        for field in [0, 1, 2, 6, 7] {
            let mut gradient = vec![f32::NAN; all[5 + field].len()];
            let to = Some(Destination { data: &mut gradient, accumulate: false });
            run(match field {
                0 => AttentiveGradients { dx: to, ..Default::default() },
                1 => AttentiveGradients { dkeys: to, ..Default::default() },
                2 => AttentiveGradients { dmemory: to, ..Default::default() },
                6 => AttentiveGradients { dkernel: to, ..Default::default() },
                _ => AttentiveGradients { drecurrent: to, ..Default::default() },
            });
            assert_eq!(bits(&gradient), bits(&all[5 + field]), "{}, {variant:?}", FIELDS[field]);
        }
    }
}

#[test]
#[should_panic(expected = "keys of inner products have the units as features")]
fn inner_products_need_keys_of_the_units() {
    let mut random = Random::new(79);
    let shape = AttentiveShape { batch: 1, steps: 1, sources: 1, input: 1, units: 2, memory: 3, keys: 3 };
    let variant = Variant { additive: false, ..variant(&mut random) };
    let context = Context::new(1, crate::simd::Simd::best());
    Case::new(&mut random, shape, variant).run(&context);
}

#[test]
fn a_wide_layer_equals_the_reference() {
    let mut random = Random::new(83);
    for (round, before) in [true, false].into_iter().enumerate() {
        let shape = AttentiveShape { batch: 40, steps: 5, sources: 9, input: 20, units: 117, memory: 70, keys: 50 };
        let variant = Variant {
            before,
            additive: true,
            feed: true,
            accumulate: false,
            mask: 3,
            memory_mask: 3,
            ..variant(&mut random)
        };
        let case = Case::new(&mut random, shape, variant);
        for context in contexts() {
            let found = case.run(&context);
            case.check(&found);
            if context.pool.threads() == 2 {
                case.check_gradients(&mut Random::new(round as u64), &found, 3);
            }
        }
    }
}

#[test]
fn cells_above_equal_the_reference() {
    let mut random = Random::new(89);
    for (round, above) in [1, 2, 3, 1, 2, 3].into_iter().enumerate() {
        let mut shape = AttentiveShape { batch: 21, steps: 4, sources: 3, input: 6, units: 19, memory: 7, keys: 8 };
        let variant = Variant {
            before: false,
            feed: true,
            above,
            mask: round % 4,
            dropout: round % 2 == 0,
            recurrent_dropout: round > 3,
            states: round != 1,
            ..variant(&mut random)
        };
        if !variant.additive {
            shape.keys = shape.units;
        }
        let case = Case::new(&mut random, shape, variant);
        for context in contexts() {
            let found = case.run(&context);
            case.check(&found);
            if context.pool.threads() == 2 {
                case.check_gradients(&mut Random::new(round as u64), &found, 8);
            }
        }
    }
}

#[test]
#[should_panic(expected = "cells above without an output that is fed")]
fn cells_above_need_an_output_that_is_fed() {
    let mut random = Random::new(97);
    let shape = AttentiveShape { batch: 1, steps: 1, sources: 1, input: 1, units: 2, memory: 2, keys: 2 };
    let variant =
        Variant { before: false, feed: true, above: 1, additive: false, shared: false, ..variant(&mut random) };
    let case = Case::new(&mut random, shape, variant);
    let (weights, inputs) = (case.weights_above(), case.inputs_above());
    let mut weights = case.weights(&weights);
    if let Order::After { feed, .. } = &mut weights.order {
        *feed = false;
    }
    let context = Context::new(1, crate::simd::Simd::best());
    forward(&context, variant.cell, shape, weights, case.inputs(&inputs), AttentiveOutputs::default(), None);
}
