use super::{CrossEntropyInputs, CrossEntropyOptions, CrossEntropyOutputs, CrossEntropyShape, cross_entropy, golden};
use crate::{
    Context, Destination,
    simd::Simd,
    smoothing::{Smoothing, SmoothingDefinition},
    targets::Targets,
    testing::{Random, assert_close, bits, contexts},
};

/// `1 - 1e-7` in single precision, as Keras clips.
const HIGHEST: f64 = 0.999_999_9_f32 as f64;

/// Loss of a row, straight from the definition.
fn reference(x: &[f64], y: &[f64], from_logits: bool, smoothing: Smoothing) -> f64 {
    let sum: f64 = if from_logits { x.iter().map(|z| z.exp()).sum() } else { x.iter().sum() };
    let log = |&x: &f64| if from_logits { x - sum.ln() } else { (x / sum).clamp(1e-7, HIGHEST).ln() };
    -x.iter().zip(y).enumerate().map(|(class, (x, &y))| smoothing.target(y, class) * log(x)).sum::<f64>()
}

/// Its gradient, by the formula in the documentation.
fn reference_gradient(x: &[f64], y: &[f64], from_logits: bool, smoothing: Smoothing) -> Vec<f64> {
    let y: Vec<f64> = y.iter().enumerate().map(|(class, &y)| smoothing.target(y, class)).collect();
    if from_logits {
        let (sum, mass) = (x.iter().map(|z| z.exp()).sum::<f64>(), y.iter().sum::<f64>());
        return x.iter().zip(&y).map(|(z, y)| mass * z.exp() / sum - y).collect();
    }
    let sum: f64 = x.iter().sum();
    let seen = |(x, y): (&f64, &f64)| if (1e-7..=HIGHEST).contains(&(x / sum)) { *y } else { 0.0 };
    let kept: f64 = x.iter().zip(&y).map(seen).sum();
    x.iter().zip(&y).map(|pair| (kept - seen(pair) * sum / pair.0.max(1e-30)) / sum).collect()
}

/// As `assert_close`, but where every row is all but certain, losses and gradients are small differences of numbers near
/// 1, whose rounding they keep.
fn assert_near(found: &[f32], expected: &[f64], what: &str) {
    assert_close(&[found, &[0.1]].concat(), &[expected, &[0.1]].concat(), what);
}

struct Case {
    x: Vec<f32>,
    ids: Vec<i32>,
    dense: Vec<f32>,
    weights: Vec<f32>,
}

fn case(rows: usize, classes: usize, from_logits: bool, random: &mut Random) -> Case {
    let x = random.floats(rows * classes);
    Case {
        x: x.iter().map(|x| if from_logits { 8.0 * x } else { (0.01 + x.abs()) / classes as f32 }).collect(),
        ids: (0..rows).map(|_| random.below(classes) as i32).collect(),
        dense: (0..rows * classes).map(|_| if random.below(3) == 0 { random.float().abs() } else { 0.0 }).collect(),
        weights: (0..rows).map(|_| if random.below(3) == 0 { 0.0 } else { random.float() + 1.5 }).collect(),
    }
}

/// No smoothing, and all that so many classes are enough for.
fn definitions(classes: usize) -> Vec<(f32, SmoothingDefinition)> {
    let padding = classes as u32 / 2;
    let all = [SmoothingDefinition::Keras, SmoothingDefinition::Fairseq, SmoothingDefinition::JoeyNmt { padding }];
    let defined = all.into_iter().filter(|definition| definition.fewest_classes() <= classes);
    std::iter::once((0.0, SmoothingDefinition::Keras)).chain(defined.map(|definition| (0.25, definition))).collect()
}

#[derive(Debug)]
struct Found {
    loss: Vec<f32>,
    prediction: Vec<u32>,
    dx: Vec<f32>,
}

fn run(
    ctx: &Context,
    x: &[f32],
    targets: Targets<'_>,
    weights: Option<&[f32]>,
    options: CrossEntropyOptions,
    start: Option<&[f32]>,
) -> Found {
    let rows = match (weights, targets) {
        (Some(weights), _) => weights.len(),
        (None, Targets::Ids(ids)) => ids.len(),
        (None, Targets::Probabilities(_)) => 4,
    };
    let mut found = Found {
        loss: vec![9.0; rows],
        prediction: vec![9; rows],
        dx: start.map_or(vec![9.0; x.len()], <[f32]>::to_vec),
    };
    let outputs = CrossEntropyOutputs {
        row_loss: &mut found.loss,
        row_prediction: &mut found.prediction,
        dx: Some(Destination { data: &mut found.dx, accumulate: start.is_some() }),
    };
    let shape = CrossEntropyShape { rows, classes: x.len().checked_div(rows).unwrap_or(3) };
    cross_entropy(ctx, shape, &CrossEntropyInputs { x, targets, row_weights: weights }, options, outputs);
    found
}

#[test]
fn losses_and_gradients_equal_keras() {
    let (rows, classes) = (4, 5);
    let mut x: Vec<f32> = (0..rows * classes)
        .map(|at| (at / classes, at % classes))
        .map(|(r, v)| ((7 * r + 3 * v + 2 * r * v) % 11) as f32 / 8.0)
        .collect();
    let ids: Vec<i32> = (0..rows).map(|r| ((2 * r + 4) % 5) as i32).collect();
    let dense: Vec<f32> =
        (0..rows * classes).map(|at| ((at / classes + 2 * (at % classes)) % 4) as f32 / 4.0).collect();
    let (ids, dense) = (Targets::Ids(&ids), Targets::Probabilities(&dense));
    for from_logits in [true, false] {
        let cases = if from_logits {
            [(ids, 0.0, golden::LOGITS_IDS), (dense, 0.0, golden::LOGITS_DENSE), (dense, 0.1, golden::LOGITS_SMOOTH)]
        } else {
            x[4] = 1e-9;
            [
                (ids, 0.0, golden::PROBABILITIES_IDS),
                (dense, 0.0, golden::PROBABILITIES_DENSE),
                (dense, 0.1, golden::PROBABILITIES_SMOOTH),
            ]
        };
        for (targets, label_smoothing, expected) in cases {
            let options = CrossEntropyOptions { from_logits, label_smoothing, ..CrossEntropyOptions::default() };
            for ctx in contexts() {
                let found = run(&ctx, &x, targets, None, options, None);
                let what = format!("{options:?} {targets:?}");
                assert_close(&found.loss, &expected[..rows], &what);
                for (found, expected) in found.dx.iter().zip(&expected[rows..]) {
                    assert!((f64::from(*found) - expected).abs() < 2e-6, "{what}: {found} {expected}");
                }
            }
        }
    }
}

#[test]
fn every_path_follows_the_f64_rule() {
    let mut random = Random::new(12);
    for (rows, classes) in [(0, 3), (1, 1), (3, 2), (5, 16), (7, 33), (40, 1000), (3, 20_001)] {
        for from_logits in [true, false] {
            let Case { x, ids, dense, weights } = case(rows, classes, from_logits, &mut random);
            let start = random.floats(x.len());
            let one_hot: Vec<f32> =
                (0..x.len()).map(|at| f32::from(ids[at / classes] as usize == at % classes)).collect();
            for (targets, y) in [(Targets::Ids(&ids), &one_hot), (Targets::Probabilities(&dense), &dense)] {
                for (label_smoothing, definition) in definitions(classes) {
                    let options = CrossEntropyOptions { from_logits, label_smoothing, definition, gradient_scale: 0.5 };
                    let smoothing = Smoothing::new(definition, label_smoothing, classes);
                    let (mut losses, mut gradients) = (Vec::new(), Vec::new());
                    for (row, weight) in weights.iter().map(|&weight| f64::from(weight)).enumerate() {
                        let part = |values: &[f32]| -> Vec<f64> {
                            values[row * classes..][..classes].iter().map(|&x| f64::from(x)).collect()
                        };
                        let (x, y) = (part(&x), part(y));
                        losses.push(if weight == 0.0 { 0.0 } else { reference(&x, &y, from_logits, smoothing) });
                        let gradient = reference_gradient(&x, &y, from_logits, smoothing);
                        gradients.extend(gradient.iter().map(|g| 0.5 * weight * g));
                    }
                    let added: Vec<f64> = gradients.iter().zip(&start).map(|(g, &s)| g + f64::from(s)).collect();
                    let what = format!("{rows} {classes} {options:?}");
                    let mut first: Option<(Simd, Vec<u32>)> = None;
                    for ctx in contexts() {
                        let found = run(&ctx, &x, targets, Some(&weights), options, None);
                        assert_near(&found.loss, &losses, &what);
                        assert_near(&found.dx, &gradients, &what);
                        let sum = run(&ctx, &x, targets, Some(&weights), options, Some(&start));
                        assert_near(&sum.dx, &added, &what);
                        let bits = [bits(&found.loss), bits(&found.dx)].concat();
                        if let Some((simd, expected)) = first.as_ref().filter(|(simd, _)| *simd == ctx.simd) {
                            assert_eq!(bits, *expected, "{simd:?} depends on threads");
                        } else {
                            first = Some((ctx.simd, bits));
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn the_reference_gradient_is_that_of_finite_differences() {
    let mut random = Random::new(13);
    for from_logits in [true, false] {
        for (part, definition) in definitions(6) {
            let smoothing = Smoothing::new(definition, part, 6);
            let case = case(1, 6, from_logits, &mut random);
            let (x, y) = (crate::testing::widen(&case.x), crate::testing::widen(&case.dense));
            let gradient = reference_gradient(&x, &y, from_logits, smoothing);
            for class in 0..x.len() {
                let at = |step: f64| {
                    let mut x = x.clone();
                    x[class] += step;
                    reference(&x, &y, from_logits, smoothing)
                };
                let difference = (at(1e-6) - at(-1e-6)) / 2e-6;
                assert!((difference - gradient[class]).abs() < 1e-5 * (1.0 + difference.abs()));
            }
        }
    }
}

#[test]
fn the_first_of_equal_classes_is_predicted_and_skipped_rows_ignore_their_target() {
    for ctx in contexts() {
        for from_logits in [true, false] {
            let options = CrossEntropyOptions { from_logits, ..CrossEntropyOptions::default() };
            let mut x = vec![0.1; 3 * 40];
            (x[17], x[30]) = (0.5, 0.5);
            x[119] = 0.7;
            let found = run(&ctx, &x, Targets::Ids(&[0, -1, 5]), Some(&[1.0, 0.0, 1.0]), options, None);
            assert_eq!(found.prediction, [17, 0, 39]);
            assert_eq!(found.loss[1], 0.0);
            assert!(found.dx[40..80].iter().all(|&dx| dx == 0.0));
        }
    }
}

#[test]
fn values_that_are_not_numbers_show_in_their_row_only() {
    for ctx in contexts() {
        for from_logits in [true, false] {
            let options = CrossEntropyOptions { from_logits, ..CrossEntropyOptions::default() };
            for place in [0, 3, 20, 36] {
                let mut x = vec![0.25; 2 * 37];
                x[37 + place] = f32::NAN;
                let found = run(&ctx, &x, Targets::Ids(&[1, 1]), None, options, None);
                assert!(found.loss[0].is_finite() && found.loss[1].is_nan(), "{place} {from_logits}");
                assert!(found.dx[..37].iter().all(|dx| dx.is_finite()) && found.dx[37..].iter().all(|dx| dx.is_nan()));
            }
        }
        let logits = CrossEntropyOptions { from_logits: true, ..CrossEntropyOptions::default() };
        let found = run(&ctx, &[f32::NEG_INFINITY, 3.0, 3.0], Targets::Ids(&[1]), None, logits, None);
        assert!((found.loss[0] - std::f32::consts::LN_2).abs() < 1e-6 && found.dx[0] == 0.0);
        let found = run(&ctx, &[1e30, -1e30, 2.0], Targets::Ids(&[0]), None, logits, None);
        assert_eq!((found.loss[0], found.dx), (0.0, vec![0.0; 3]));
    }
}
