use super::{RowLoss, RowLossInputs, RowLossOutputs, reference, row_loss};
use crate::{
    Context, Destination,
    testing::{Random, assert_close, bits, contexts, widen},
};

const FUNCTIONS: [RowLoss; 16] = [
    RowLoss::BinaryCrossentropy { from_logits: false, label_smoothing: 0.0 },
    RowLoss::BinaryCrossentropy { from_logits: false, label_smoothing: 0.2 },
    RowLoss::BinaryCrossentropy { from_logits: true, label_smoothing: 0.0 },
    RowLoss::BinaryCrossentropy { from_logits: true, label_smoothing: 0.3 },
    RowLoss::MeanSquaredError,
    RowLoss::MeanAbsoluteError,
    RowLoss::MeanAbsolutePercentageError,
    RowLoss::MeanSquaredLogarithmicError,
    RowLoss::Huber { delta: 1.0 },
    RowLoss::Huber { delta: 0.3 },
    RowLoss::LogCosh,
    RowLoss::Poisson,
    RowLoss::Hinge,
    RowLoss::SquaredHinge,
    RowLoss::KlDivergence,
    RowLoss::CosineSimilarity,
];

/// Outputs, targets and weights of rows.
struct Case {
    x: Vec<f32>,
    y: Vec<f32>,
    weights: Vec<f32>,
}

fn case(function: RowLoss, rows: usize, width: usize, random: &mut Random) -> Case {
    let count = rows * width;
    let probability = |random: &mut Random| 0.05 + 0.45 * (random.float() + 1.0);
    let (mut x, mut y) = (Vec::new(), Vec::new());
    for _ in 0..count {
        match function {
            RowLoss::BinaryCrossentropy { from_logits: true, .. } => x.push(6.0 * random.float()),
            RowLoss::BinaryCrossentropy { .. } | RowLoss::KlDivergence => x.push(probability(random)),
            RowLoss::MeanSquaredLogarithmicError | RowLoss::Poisson => x.push(3.0 * probability(random)),
            _ => x.push(2.0 * random.float()),
        }
        match function {
            RowLoss::BinaryCrossentropy { .. } => y.push(random.below(2) as f32),
            RowLoss::Hinge | RowLoss::SquaredHinge => y.push(2.0 * random.below(2) as f32 - 1.0),
            RowLoss::CategoricalHinge => y.push(random.below(2) as f32),
            RowLoss::MeanAbsolutePercentageError => y.push(3.0 * (probability(random) + 1.0)),
            _ => y.push(probability(random)),
        }
    }
    let weights = (0..rows).map(|_| if random.below(4) == 0 { 0.0 } else { random.float() + 1.5 }).collect();
    Case { x, y, weights }
}

fn run(ctx: &Context, function: RowLoss, width: usize, case: &Case, start: Option<&[f32]>) -> (Vec<f32>, Vec<f32>) {
    let mut loss = vec![9.0; case.weights.len()];
    let mut dx = start.map_or(vec![9.0; case.x.len()], <[f32]>::to_vec);
    let inputs = RowLossInputs { x: &case.x, y: &case.y, row_weights: &case.weights, gradient_scale: 0.5 };
    let dx_at = Destination { data: &mut dx, accumulate: start.is_some() };
    row_loss(ctx, function, width, &inputs, RowLossOutputs { row_loss: &mut loss, dx: Some(dx_at) });
    (loss, dx)
}

fn check(function: RowLoss, rows: usize, width: usize, random: &mut Random) {
    let case = case(function, rows, width, random);
    let (mut losses, mut gradient) = (Vec::new(), Vec::new());
    let (x, y) = (widen(&case.x), widen(&case.y));
    for (row, &weight) in case.weights.iter().enumerate() {
        let range = row * width..(row + 1) * width;
        if weight == 0.0 {
            losses.push(0.0);
            gradient.extend(std::iter::repeat_n(0.0, width));
            continue;
        }
        losses.push(reference::loss(function, &x[range.clone()], &y[range.clone()]));
        let of_row = reference::gradient(function, &x[range.clone()], &y[range]);
        gradient.extend(of_row.iter().map(|d| d * 0.5 * f64::from(weight)));
    }
    let before = random.floats(case.x.len());
    let mut first: Option<Vec<u32>> = None;
    for (number, ctx) in contexts().iter().enumerate() {
        let what = format!("{function:?}, {rows} rows of {width}");
        let (found, dx) = run(ctx, function, width, &case, None);
        assert_close(&found, &losses, &what);
        if function == RowLoss::CosineSimilarity && width == 1 {
            // The cosine is 1 or -1 whatever the length: what is left of the gradient is rounding.
            assert!(dx.iter().all(|d| d.abs() < 1e-6), "{what}: gradient {dx:?}");
        } else {
            assert_close(&dx, &gradient, &format!("{what}: gradient"));
        }
        let (_, added) = run(ctx, function, width, &case, Some(&before));
        let expected: Vec<f64> = gradient.iter().zip(&before).map(|(d, &b)| d + f64::from(b)).collect();
        assert_close(&added, &expected, &format!("{what}: added gradient"));
        // Contexts come in groups of three of one path, with 1, 2 and 3 threads.
        if number % 3 == 0 {
            first = Some(bits(&[found, dx].concat()));
        } else {
            assert_eq!(first.as_deref(), Some(&bits(&[found, dx].concat())[..]), "{what}: threads");
        }
    }
}

#[test]
fn losses_and_gradients_equal_the_reference() {
    let mut random = Random::new(5);
    for function in FUNCTIONS.into_iter().chain([RowLoss::CategoricalHinge]) {
        for (rows, width) in [(1, 1), (0, 3), (7, 1), (3, 16), (5, 17), (4, 33), (2, 700), (40, 1000)] {
            if width == 1000 && function != RowLoss::MeanSquaredError && function != RowLoss::CosineSimilarity {
                continue;
            }
            check(function, rows, width, &mut random);
        }
        check(function, 1 + random.below(9), 1 + random.below(60), &mut random);
    }
}

#[test]
fn what_is_clipped_has_no_slope_and_rows_of_weight_zero_nothing() {
    let clipped = [
        (RowLoss::BinaryCrossentropy { from_logits: false, label_smoothing: 0.0 }, 0.0, 1.0, -(1e-7f64.ln())),
        (RowLoss::KlDivergence, 2.0, 0.5, 0.5 * 0.5f64.ln()),
        (RowLoss::MeanSquaredLogarithmicError, -1.0, 1.0, 2f64.ln().powi(2)),
        (RowLoss::Hinge, 2.0, 1.0, 0.0),
        (RowLoss::MeanAbsoluteError, 0.25, 0.25, 0.0),
    ];
    for ctx in contexts() {
        for (function, x, y, expected) in clipped {
            let case = Case { x: vec![x, f32::NAN], y: vec![y, y], weights: vec![1.0, 0.0] };
            let (loss, dx) = run(&ctx, function, 1, &case, None);
            assert!((f64::from(loss[0]) - expected).abs() < 1e-5, "{function:?}: {loss:?}, expected {expected}");
            assert_eq!(dx, [0.0, 0.0], "{function:?}");
            assert_eq!(loss[1], 0.0, "{function:?}");
        }
    }
}

#[test]
fn not_a_number_stays_one() {
    for ctx in contexts() {
        for function in FUNCTIONS.into_iter().chain([RowLoss::CategoricalHinge]) {
            let mut x = vec![0.5; 20];
            x[18] = f32::NAN;
            let case = Case { x, y: vec![1.0; 20], weights: vec![1.0] };
            let (loss, _) = run(&ctx, function, 20, &case, None);
            assert!(loss[0].is_nan(), "{function:?} gives {loss:?}");
        }
    }
}

#[test]
#[should_panic(expected = "length of y")]
fn lengths_are_checked() {
    let case = Case { x: vec![0.0; 4], y: vec![0.0; 3], weights: vec![1.0, 1.0] };
    run(&contexts()[0], RowLoss::MeanSquaredError, 2, &case, None);
}
