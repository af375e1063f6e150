use super::{
    LinearCrossEntropyGradients, LinearCrossEntropyInputs, LinearCrossEntropyOptions, LinearCrossEntropyOutputs,
    LinearCrossEntropyShape, Targets, linear_cross_entropy,
    predict::{linear_argmax, linear_softmax},
    reference,
};
use crate::{
    Context, Destination,
    simd::Simd,
    smoothing::{Smoothing, SmoothingDefinition},
    testing::{Random, assert_close, bits, contexts, rounded, rounding, widen},
};

/// Any definition that so many classes are enough for.
fn definition(random: &mut Random, classes: usize) -> SmoothingDefinition {
    let padding = random.below(classes) as u32;
    let all = [SmoothingDefinition::Keras, SmoothingDefinition::Fairseq, SmoothingDefinition::JoeyNmt { padding }];
    let chosen = all[random.below(3)];
    if chosen.fewest_classes() > classes { SmoothingDefinition::Keras } else { chosen }
}

/// A random problem.
struct Case {
    shape: LinearCrossEntropyShape,
    h: Vec<f32>,
    kernel: Vec<f32>,
    bias: Option<Vec<f32>>,
    ids: Vec<i32>,
    probabilities: Option<Vec<f32>>,
    row_weights: Option<Vec<f32>>,
    options: LinearCrossEntropyOptions,
}

#[derive(Clone, Debug, PartialEq)]
struct Found {
    row_loss: Vec<f32>,
    row_unsmoothed: Vec<f32>,
    prediction: Vec<u32>,
    dh: Vec<f32>,
    dkernel: Vec<f32>,
    dbias: Vec<f32>,
}

impl Case {
    /// `variant`: bit 0 bias, 1 probabilities, 2 row weights, 3 smoothing.
    fn new(random: &mut Random, rows: usize, features: usize, classes: usize, variant: usize) -> Self {
        let has = |bit: usize| variant >> bit & 1 == 1;
        let mut weights: Vec<f32> = random.floats(rows);
        weights.iter_mut().step_by(3).for_each(|weight| *weight = 0.0);
        Self {
            shape: LinearCrossEntropyShape { rows, features, classes },
            h: random.floats(rows * features),
            kernel: random.floats(classes * features),
            bias: has(0).then(|| random.floats(classes)),
            ids: (0..rows).map(|_| random.below(classes) as i32).collect(),
            probabilities: has(1).then(|| random.floats(rows * classes).iter().map(|y| y.abs()).collect()),
            row_weights: has(2).then_some(weights),
            options: LinearCrossEntropyOptions {
                label_smoothing: if has(3) { 0.1 } else { 0.0 },
                definition: definition(random, classes),
                gradient_scale: 0.5,
            },
        }
    }

    fn run(&self, context: &Context, start: Option<f32>, with_gradients: bool) -> Found {
        let LinearCrossEntropyShape { rows, features, classes } = self.shape;
        let accumulate = start.is_some();
        let filled = |length| vec![start.unwrap_or(f32::NAN); length];
        let (mut row_loss, mut row_prediction) = (vec![f32::NAN; rows], vec![9; rows]);
        let mut row_unsmoothed = row_loss.clone();
        let (mut dh, mut dkernel, mut dbias) = (
            filled(rows * features),
            filled(classes * features),
            filled(if self.bias.is_some() { classes } else { 0 }),
        );
        let inputs = LinearCrossEntropyInputs {
            h: &self.h,
            kernel: &self.kernel,
            bias: self.bias.as_deref(),
            targets: self.probabilities.as_ref().map_or(Targets::Ids(&self.ids), |y| Targets::Probabilities(y)),
            row_weights: self.row_weights.as_deref(),
        };
        let gradients = with_gradients.then(|| LinearCrossEntropyGradients {
            dh: Destination { data: &mut dh, accumulate },
            dkernel: Destination { data: &mut dkernel, accumulate },
            dbias: self.bias.is_some().then_some(Destination { data: &mut dbias, accumulate }),
        });
        let outputs = LinearCrossEntropyOutputs {
            row_loss: &mut row_loss,
            row_unsmoothed: Some(&mut row_unsmoothed),
            row_prediction: &mut row_prediction,
            gradients,
        };
        linear_cross_entropy(context, self.shape, &inputs, self.options, outputs);
        Found { row_loss, row_unsmoothed, prediction: row_prediction, dh, dkernel, dbias }
    }

    fn reference_inputs(&self) -> reference::Inputs {
        let classes = self.shape.classes;
        let mut targets = vec![0.0; self.shape.rows * classes];
        match &self.probabilities {
            Some(y) => targets = widen(y),
            None => self.ids.iter().enumerate().for_each(|(row, &id)| targets[row * classes + id as usize] = 1.0),
        }
        reference::Inputs {
            h: widen(&self.h),
            kernel: widen(&self.kernel),
            bias: self.bias.as_deref().map(widen),
            targets,
            row_weights: self.row_weights.as_deref().map_or(vec![1.0; self.shape.rows], widen),
            smoothing: Smoothing::new(self.options.definition, self.options.label_smoothing, classes),
            scale: f64::from(self.options.gradient_scale),
        }
    }

    fn check(&self) {
        let expected = reference::linear_cross_entropy(self.shape, &self.reference_inputs());
        // With one class everything is 0 but for rounding, which only an absolute bound can judge.
        let shift = if self.shape.classes == 1 { 1.0 } else { 0.0 };
        let close = |found: &[f32], expected: &[f64], by: f64, what: &str| {
            let found: Vec<f32> = found.iter().map(|x| x + shift).collect();
            let expected: Vec<f64> = expected.iter().map(|x| x + by + f64::from(shift)).collect();
            assert_close(&found, &expected, what);
        };
        for threads in contexts().chunks(3) {
            let mut first: Option<[Found; 2]> = None;
            for context in threads {
                let what = format!("{context:?} {:?} {:?}", self.shape, self.options);
                let (set, added) = (self.run(context, None, true), self.run(context, Some(0.25), true));
                for (found, by) in [(&set, 0.0), (&added, 0.25)] {
                    close(&found.row_loss, &expected.row_loss, 0.0, &format!("loss {what}"));
                    close(&found.row_unsmoothed, &expected.row_unsmoothed, 0.0, &format!("unsmoothed loss {what}"));
                    assert_eq!(found.prediction, expected.prediction, "prediction {what}");
                    close(&found.dh, &expected.dh, by, &format!("dh {what}"));
                    close(&found.dkernel, &expected.dkernel, by, &format!("dkernel {what}"));
                    if self.bias.is_some() {
                        close(&found.dbias, &expected.dbias, by, &format!("dbias {what}"));
                    }
                }
                let forward = self.run(context, None, false);
                assert_eq!(bits(&forward.row_loss), bits(&set.row_loss), "loss without gradients {what}");
                let all = [set, added];
                assert_eq!(*first.get_or_insert_with(|| all.clone()), all, "threads differ: {what}");
            }
        }
    }
}

#[test]
fn results_equal_the_reference() {
    let mut random = Random::new(21);
    for variant in 0..16 {
        for (rows, features, classes) in [(1, 1, 1), (3, 5, 2), (17, 16, 121), (65, 33, 250)] {
            Case::new(&mut random, rows, features, classes, variant).check();
        }
        for _ in 0..4 {
            let [rows, features] = [(); 2].map(|()| random.below(70));
            let classes = 1 + random.below(300);
            Case::new(&mut random, rows, features, classes, variant).check();
        }
    }
}

#[test]
fn in_bfloat16_losses_are_those_of_rounded_factors_and_gradients_close_to_theirs() {
    let mut random = Random::new(27);
    for variant in 0..16 {
        for (rows, features, classes) in [(65, 33, 250), (20, 64, 2200), (530, 32, 61)] {
            let mut case = Case::new(&mut random, rows, features, classes, variant);
            for value in case.h.iter_mut().chain(&mut case.kernel) {
                *value = rounded(*value);
            }
            let expected = reference::linear_cross_entropy(case.shape, &case.reference_inputs());
            // What the gradients are made of is rounded too: both factors, each by at most 1/256.
            let near = |found: &[f32], expected: &[f64], by: f64, what: &str| {
                let largest = expected.iter().fold(0.0f64, |largest, x| largest.max(x.abs()));
                for (&found, &expected) in found.iter().zip(expected) {
                    let error = (f64::from(found) - by - expected).abs() / largest;
                    assert!(error <= 8e-3, "{what}: {found}, expected {expected} (error {error})");
                }
            };
            let mut all: Vec<(Simd, Found)> = Vec::new();
            for context in rounding() {
                let what = format!("{context:?} {:?} {:?}", case.shape, case.options);
                let (set, added) = (case.run(&context, None, true), case.run(&context, Some(0.25), true));
                for (found, by) in [(&set, 0.0), (&added, 0.25)] {
                    assert_close(&found.row_loss, &expected.row_loss, &format!("loss {what}"));
                    assert_eq!(found.prediction, expected.prediction, "prediction {what}");
                    near(&found.dh, &expected.dh, by, &format!("dh {what}"));
                    near(&found.dkernel, &expected.dkernel, by, &format!("dkernel {what}"));
                    near(&found.dbias, &expected.dbias, by, &format!("dbias {what}"));
                }
                let forward = case.run(&context, None, false);
                assert_eq!(bits(&forward.row_loss), bits(&set.row_loss), "loss without gradients {what}");
                all.push((context.simd, set));
            }
            let same = |pair: &[(Simd, Found)]| pair[0].0 != pair[1].0 || pair[0].1 == pair[1].1;
            assert!(all.windows(2).all(same), "bits differ between threads: {:?}", case.shape);
        }
    }
}

#[test]
fn several_chunks_and_ranges_equal_the_reference() {
    let mut random = Random::new(22);
    for (rows, features, classes, variant) in
        [(2100, 5, 7, 5), (1500, 3, 4, 11), (70, 9, 4500, 1), (40, 20, 5000, 15), (600, 2, 2500, 4)]
    {
        Case::new(&mut random, rows, features, classes, variant).check();
    }
}

#[test]
fn the_gradient_is_that_of_the_reference() {
    let mut random = Random::new(23);
    let shape = LinearCrossEntropyShape { rows: 4, features: 3, classes: 5 };
    for variant in 0..16 {
        let case = Case::new(&mut random, shape.rows, shape.features, shape.classes, variant);
        let inputs = case.reference_inputs();
        let gradient = reference::linear_cross_entropy(shape, &inputs);
        let difference = |length: usize, field: fn(&mut reference::Inputs) -> &mut [f64]| -> Vec<f32> {
            let value = |index: usize, by: f64| -> f64 {
                let mut inputs = case.reference_inputs();
                field(&mut inputs)[index] += by;
                let loss = reference::linear_cross_entropy(shape, &inputs).row_loss;
                inputs.scale * loss.iter().zip(&inputs.row_weights).map(|(loss, weight)| loss * weight).sum::<f64>()
            };
            (0..length).map(|index| ((value(index, 1e-5) - value(index, -1e-5)) / 2e-5) as f32).collect()
        };
        assert_close(&difference(inputs.h.len(), |inputs| &mut inputs.h), &gradient.dh, "dh");
        assert_close(&difference(inputs.kernel.len(), |inputs| &mut inputs.kernel), &gradient.dkernel, "dkernel");
        if inputs.bias.is_some() {
            let dbias = difference(shape.classes, |inputs| inputs.bias.as_deref_mut().unwrap_or_default());
            assert_close(&dbias, &gradient.dbias, "dbias");
        }
    }
}

#[test]
fn rows_of_weight_zero_change_nothing() {
    let mut random = Random::new(24);
    for context in contexts() {
        let mut case = Case::new(&mut random, 50, 20, 130, 5);
        let weights = case.row_weights.clone().unwrap_or_default();
        let all = case.run(&context, None, true);
        // Other values in skipped rows, even invalid ones, leave every bit as it is.
        for row in (0..50).filter(|&row| weights[row] == 0.0) {
            case.h[row * 20..][..20].fill(f32::NAN);
            case.ids[row] = -1;
        }
        assert_eq!(case.run(&context, None, true), all);
        // Leaving them out does the same.
        let kept: Vec<usize> = (0..50).filter(|&row| weights[row] != 0.0).collect();
        case.h = kept.iter().flat_map(|row| case.h[row * 20..][..20].to_vec()).collect();
        case.ids = kept.iter().map(|&row| case.ids[row]).collect();
        case.row_weights = Some(kept.iter().map(|&row| weights[row]).collect());
        case.shape.rows = kept.len();
        let found = case.run(&context, None, true);
        assert_eq!((bits(&found.dkernel), bits(&found.dbias)), (bits(&all.dkernel), bits(&all.dbias)));
        let loss: Vec<f32> = kept.iter().map(|&row| all.row_loss[row]).collect();
        assert_eq!(bits(&found.row_loss), bits(&loss));
    }
}

#[test]
fn logits_far_above_the_first_ones_are_exact() {
    let mut random = Random::new(26);
    for variant in [0, 1, 2, 5, 8, 15] {
        for by in [20.0, 31.0, 60.0, 200.0] {
            // The first classes are the reference; some rows find their largest logit far above it, in one range or another.
            let mut case = Case::new(&mut random, 100, 4, 2500, variant);
            for (class, weights) in case.kernel.chunks_exact_mut(4).enumerate() {
                weights[0] = if class == 700 || class == 2400 { by } else { 0.0 };
            }
            for (row, h) in case.h.chunks_exact_mut(4).enumerate() {
                h[0] = if row % 37 == 5 { 1.0 } else { 0.0 };
            }
            case.check();
        }
    }
}

#[test]
fn large_logits_are_exact_and_broken_ones_are_told() {
    let shape = LinearCrossEntropyShape { rows: 3, features: 1, classes: 3 };
    for simd in Simd::available() {
        let run = |h: [f32; 3]| {
            let (mut row_loss, mut row_prediction) = ([0.0; 3], [7; 3]);
            let inputs = LinearCrossEntropyInputs {
                h: &h,
                kernel: &[1.0, 3.0, 3.0],
                bias: None,
                targets: Targets::Ids(&[1, 0, 2]),
                row_weights: None,
            };
            let outputs = LinearCrossEntropyOutputs {
                row_loss: &mut row_loss,
                row_unsmoothed: None,
                row_prediction: &mut row_prediction,
                gradients: None,
            };
            linear_cross_entropy(&Context::new(1, simd), shape, &inputs, LinearCrossEntropyOptions::default(), outputs);
            (row_loss, row_prediction)
        };
        let (loss, prediction) = run([1000.0, 1000.0, -1000.0]);
        assert_close(&loss, &[2f64.ln(), 2000.0 + 2f64.ln(), 2000.0], "loss");
        assert_eq!(prediction, [1, 1, 0], "the lowest of equals");
        let (loss, _) = run([f32::NAN, f32::INFINITY, 1.0]);
        assert!(loss[0].is_nan() && loss[1].is_nan() && loss[2].is_finite());
    }
}

#[test]
fn predictions_equal_the_reference_and_ignore_other_rows() {
    let mut random = Random::new(25);
    for (rows, features, classes) in [(0, 3, 4), (1, 40, 300), (37, 17, 121), (20, 5, 4500), (1100, 2, 3)] {
        let case = Case::new(&mut random, rows, features, classes, 1);
        let expected = reference::linear_cross_entropy(case.shape, &case.reference_inputs());
        let bias = case.bias.as_deref();
        for context in contexts() {
            let run = |first: usize, rows: usize| {
                let shape = LinearCrossEntropyShape { rows, ..case.shape };
                let h = &case.h[first * features..][..rows * features];
                let mut probabilities = vec![f32::NAN; rows * classes];
                linear_softmax(&context, shape, h, &case.kernel, bias, &mut probabilities);
                let (mut ids, mut logs) = (vec![0; rows], vec![0.0; rows]);
                linear_argmax(&context, shape, h, &case.kernel, bias, &mut ids, &mut logs);
                (probabilities, ids, logs)
            };
            let (probabilities, ids, logs) = run(0, rows);
            assert_close(&probabilities, &expected.probabilities, "probabilities");
            assert_eq!(ids, expected.prediction);
            let best =
                |row: usize| expected.probabilities[row * classes..][..classes].iter().copied().fold(0.0, f64::max);
            assert_close(&logs, &(0..rows).map(|row| best(row).ln()).collect::<Vec<_>>(), "log probability");
            for row in (0..rows).step_by(7) {
                let one = run(row, 1);
                assert_eq!(bits(&one.0), bits(&probabilities[row * classes..][..classes]));
                assert_eq!((one.1[0], one.2[0].to_bits()), (ids[row], logs[row].to_bits()));
            }
        }
    }
}
