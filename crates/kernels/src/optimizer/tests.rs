use super::{
    RowUpdate, Update,
    adam::{self, AdamOptions, AdamState},
    golden,
    rmsprop::{self, RmspropOptions, RmspropRowState, RmspropState},
    sgd::{self, SgdOptions},
};
use crate::{
    Context,
    buffer::Buffer,
    clip,
    embedding::RowGradients,
    simd::Simd,
    testing::{Random, assert_close, bits, contexts, widen},
};

/// An optimiser with its options.
#[derive(Clone, Copy, Debug)]
enum Optimizer {
    Sgd(SgdOptions),
    Rmsprop(RmspropOptions),
    Adam(AdamOptions),
}
use Optimizer::{Adam, Rmsprop, Sgd};

/// One dense step; `state` holds three slices, of which the optimiser takes what it needs.
fn step(ctx: &Context, optimizer: Optimizer, update: Update<'_>, state: &mut [Vec<f32>; 3]) {
    let [first, second, third] = state.each_mut().map(Vec::as_mut_slice);
    match optimizer {
        Sgd(options) => sgd::step(ctx, &options, update, Some(first)),
        Rmsprop(options) => {
            let state = RmspropState { velocity: first, momentum: Some(second), average_gradient: Some(third) };
            rmsprop::step(ctx, &options, update, state);
        }
        Adam(options) => {
            adam::step(
                ctx,
                &options,
                update,
                AdamState { momentum: first, velocity: second, velocity_hat: Some(third) },
            );
        }
    }
}

fn rmsprop() -> RmspropOptions {
    RmspropOptions::default()
}

fn adam() -> AdamOptions {
    AdamOptions::default()
}

fn cases() -> Vec<(Optimizer, f32, [f32; 8])> {
    let momentum = SgdOptions { momentum: 0.9, ..SgdOptions::default() };
    let keras_adamw = AdamOptions { weight_decay: 0.004, ..adam() };
    let other_rmsprop = RmspropOptions { rho: 0.8, momentum: 0.5, epsilon: 1e-3, ..rmsprop() };
    let both = RmspropOptions { momentum: 0.5, centered: true, weight_decay: 0.1, ..rmsprop() };
    let amsgrad = AdamOptions { beta_1: 0.8, beta_2: 0.9, epsilon: 1e-3, amsgrad: true, ..adam() };
    vec![
        (Sgd(SgdOptions::default()), 0.1, golden::SGD),
        (Sgd(momentum), 0.1, golden::SGD_MOMENTUM),
        (Sgd(SgdOptions { nesterov: true, ..momentum }), 0.1, golden::SGD_NESTEROV),
        (Sgd(SgdOptions { weight_decay: 0.01, ..SgdOptions::default() }), 0.1, golden::SGD_DECAY),
        (Rmsprop(rmsprop()), 0.01, golden::RMSPROP),
        (Rmsprop(other_rmsprop), 0.01, golden::RMSPROP_MOMENTUM),
        (Rmsprop(RmspropOptions { centered: true, ..rmsprop() }), 0.01, golden::RMSPROP_CENTERED),
        (Rmsprop(both), 0.01, golden::RMSPROP_BOTH),
        (Adam(adam()), 0.01, golden::ADAM),
        (Adam(amsgrad), 0.01, golden::ADAM_AMSGRAD),
        (Adam(keras_adamw), 0.01, golden::ADAMW),
    ]
}

fn start(i: usize) -> f32 {
    ((7 * i % 11) as f32 - 5.0) / 8.0
}

fn gradients(t: usize) -> Vec<f32> {
    (0..8).map(|i| (((3 * i + 5 * t) % 13) as f32 - 6.0) / 16.0).collect()
}

/// Five steps on the golden inputs; `prepare` clips gradients in place and gives the factor.
fn golden_steps(ctx: &Context, optimizer: Optimizer, rate: f32, prepare: impl Fn(&mut [f32]) -> f32) -> Vec<f32> {
    let mut weights: Vec<f32> = (0..8).map(start).collect();
    let mut state = [const { Vec::new() }; 3].map(|_: Vec<f32>| vec![0.0; 8]);
    for t in 0..5 {
        let mut gradients = gradients(t);
        let gradient_factor = prepare(&mut gradients);
        let update = Update {
            weights: &mut weights,
            gradients: &gradients,
            learning_rate: rate,
            iteration: t as u64,
            gradient_factor,
        };
        step(ctx, optimizer, update, &mut state);
    }
    weights
}

fn assert_golden(found: &[f32], expected: &[f32], what: &str) {
    for (found, expected) in found.iter().zip(expected) {
        assert!((found - expected).abs() <= 2e-7, "{what}: {found}, Keras has {expected}");
    }
}

#[test]
fn five_steps_equal_keras() {
    for ctx in contexts() {
        for (optimizer, rate, expected) in cases() {
            assert_golden(&golden_steps(&ctx, optimizer, rate, |_| 1.0), &expected, &format!("{optimizer:?}"));
        }
    }
}

#[test]
fn clipping_equals_keras() {
    let ctx = Context::new(1, Simd::best());
    let sgd = Sgd(SgdOptions::default());
    let norm = golden_steps(&ctx, sgd, 0.1, |g| clip::norm_factor(clip::norm(&ctx, g), 0.5));
    assert_golden(&norm, &golden::SGD_CLIPNORM, "clipnorm");
    let global = golden_steps(&ctx, sgd, 0.1, |g| {
        let squares = [clip::sum_of_squares(&ctx, &g[..3]), clip::sum_of_squares(&ctx, &g[3..])];
        clip::global_norm_factor(squares.iter().sum::<f64>().sqrt(), 0.5)
    });
    assert_golden(&global, &golden::SGD_GLOBAL_CLIPNORM, "global_clipnorm");
    let value = golden_steps(&ctx, sgd, 0.1, |g| {
        clip::value(&ctx, g, 0.125);
        1.0
    });
    assert_golden(&value, &golden::SGD_CLIPVALUE, "clipvalue");
}

/// The dense rules in f64, written a second time from Keras' documentation.
#[allow(clippy::many_single_char_names, reason = "the letters of the formulas")]
fn reference(optimizer: Optimizer, rate: f64, t: i32, w: &mut f64, g: f64, [a, b, c]: [&mut f64; 3]) {
    let decay = match optimizer {
        Sgd(options) => options.weight_decay,
        Rmsprop(options) => options.weight_decay,
        Adam(options) => options.weight_decay,
    };
    *w *= 1.0 - decay * rate;
    match optimizer {
        Sgd(options) => {
            *a = options.momentum * *a - rate * g;
            *w += if options.nesterov { options.momentum * *a - rate * g } else { *a };
        }
        Rmsprop(options) => {
            *a = options.rho * *a + (1.0 - options.rho) * g * g;
            *c = options.rho * *c + (1.0 - options.rho) * g;
            let centre = if options.centered { *c } else { 0.0 };
            *b = options.momentum * *b + rate * g / (*a - centre * centre + options.epsilon).sqrt();
            *w -= *b;
        }
        Adam(options) => {
            *a = options.beta_1 * *a + (1.0 - options.beta_1) * g;
            *b = options.beta_2 * *b + (1.0 - options.beta_2) * g * g;
            *c = if options.amsgrad { c.max(*b) } else { *b };
            let alpha = rate * (1.0 - options.beta_2.powi(t + 1)).sqrt() / (1.0 - options.beta_1.powi(t + 1));
            *w -= alpha * *a / (c.sqrt() + options.epsilon);
        }
    }
}

#[test]
fn every_path_follows_the_f64_rule_with_the_same_bits() {
    for length in [0, 1, 15, 16, 33, 40_001] {
        for (optimizer, rate, _) in cases() {
            let mut first = None;
            let mut random = Random::new(length as u64);
            let start = random.floats(length);
            let gradients: Vec<_> = (0..4).map(|_| random.floats(length)).collect();
            let mut expected = widen(&start);
            let mut slots = vec![[0.0; 3]; length];
            for (t, gradients) in gradients.iter().enumerate() {
                for ((w, &g), slots) in expected.iter_mut().zip(gradients).zip(&mut slots) {
                    reference(optimizer, f64::from(rate), t as i32, w, 0.5 * f64::from(g), slots.each_mut());
                }
            }
            for ctx in contexts() {
                let mut weights = start.clone();
                let mut state = [0; 3].map(|_| vec![0.0; length]);
                for (t, gradients) in gradients.iter().enumerate() {
                    let update = Update {
                        weights: &mut weights,
                        gradients,
                        learning_rate: rate,
                        iteration: t as u64,
                        gradient_factor: 0.5,
                    };
                    step(&ctx, optimizer, update, &mut state);
                }
                assert_close(&weights, &expected, &format!("{optimizer:?} {length}"));
                assert_eq!(bits(&weights), *first.get_or_insert_with(|| bits(&weights)), "{optimizer:?}");
            }
        }
    }
}

/// Steps with gradients in a few rows: the table as the dense and as the row rule leave it.
fn dense_and_rows(
    ctx: &Context,
    dense: impl Fn(&Context, Update<'_>),
    sparse: impl Fn(&Context, RowUpdate<'_>),
    (rows, width, steps): (usize, usize, u64),
) -> [Vec<f32>; 2] {
    let mut random = Random::new(9);
    let mut tables = [random.floats(rows * width), Vec::new()];
    tables[1] = tables[0].clone();
    for iteration in 0..steps {
        let touched: Vec<u32> = (0..rows as u32).filter(|_| random.below(4) == 0).collect();
        let mut gradients = RowGradients { values: Buffer::zeros(touched.len() * width), rows: touched };
        gradients.values.iter_mut().for_each(|value| *value = random.float());
        let mut whole = vec![0.0; rows * width];
        gradients.to_dense(ctx, crate::Destination { data: &mut whole, accumulate: false }, width);
        let (learning_rate, gradient_factor) = (0.01, 0.5);
        let [table_dense, table_rows] = &mut tables;
        dense(ctx, Update { weights: table_dense, gradients: &whole, learning_rate, iteration, gradient_factor });
        let table = table_rows;
        sparse(ctx, RowUpdate { table, width, gradients: &gradients, learning_rate, iteration, gradient_factor });
    }
    tables
}

#[test]
fn rows_of_sgd_are_the_dense_rule() {
    for ctx in contexts() {
        for shape in [(1, 1, 3), (30, 50, 20), (500, 70, 3)] {
            let dense = |ctx: &Context, update: Update<'_>| sgd::step(ctx, &SgdOptions::default(), update, None);
            let [dense, rows] = dense_and_rows(&ctx, dense, sgd::step_rows, shape);
            assert_eq!(bits(&dense), bits(&rows));
        }
    }
}

#[test]
fn rows_of_rmsprop_are_the_dense_rule_but_for_rounding() {
    for centered in [false, true] {
        let options = RmspropOptions { centered, ..rmsprop() };
        for (rows, width, steps) in [(1, 1, 30), (30, 50, 60), (500, 70, 5)] {
            let mut first = None;
            for ctx in contexts() {
                let states = std::cell::RefCell::new([0; 4].map(|_| vec![0.0; rows * width]));
                let last = std::cell::RefCell::new(vec![0; rows]);
                let dense = |ctx: &Context, update: Update<'_>| {
                    let [velocity, average, ..] = &mut *states.borrow_mut();
                    let state = RmspropState { velocity, momentum: None, average_gradient: Some(average) };
                    rmsprop::step(ctx, &options, update, state);
                };
                let sparse = |ctx: &Context, update: RowUpdate<'_>| {
                    let [.., velocity, average] = &mut *states.borrow_mut();
                    let last = &mut *last.borrow_mut();
                    let state = RmspropRowState { velocity, average_gradient: Some(average), last };
                    rmsprop::step_rows(ctx, &options, update, state);
                };
                let [dense, sparse] = dense_and_rows(&ctx, dense, sparse, (rows, width, steps));
                assert_close(&sparse, &widen(&dense), "weights");
                assert_eq!(bits(&sparse), *first.get_or_insert_with(|| bits(&sparse)));
                let mut last = last.into_inner();
                let [velocity, average, mut row_velocity, mut row_average] = states.into_inner();
                let state = RmspropRowState {
                    velocity: &mut row_velocity,
                    average_gradient: Some(&mut row_average),
                    last: &mut last,
                };
                rmsprop::settle_rows(&options, width, steps, state);
                assert_close(&row_velocity, &widen(&velocity), "velocity");
                if centered {
                    assert_close(&row_average, &widen(&average), "average");
                }
            }
        }
    }
}

#[test]
fn lazy_adam_moves_touched_rows_as_adam_and_no_others() {
    let ctx = Context::new(2, Simd::best());
    let start: Vec<f32> = (0..8).map(start).collect();
    let g = gradients(0);
    let (learning_rate, iteration, gradient_factor) = (0.01, 0, 1.0);
    let mut dense = start.clone();
    let mut state = [0; 3].map(|_| vec![0.0; 8]);
    let update = Update { weights: &mut dense, gradients: &g, learning_rate, iteration, gradient_factor };
    step(&ctx, Adam(adam()), update, &mut state);
    let mut values = Buffer::new(4);
    values[..2].copy_from_slice(&g[2..4]);
    values[2..].copy_from_slice(&g[6..]);
    let gradients = RowGradients { rows: vec![1, 3], values };
    let mut table = start.clone();
    let update =
        RowUpdate { table: &mut table, width: 2, gradients: &gradients, learning_rate, iteration, gradient_factor };
    let (mut momentum, mut velocity) = ([0.0; 8], [0.0; 8]);
    let state = AdamState { momentum: &mut momentum, velocity: &mut velocity, velocity_hat: None };
    adam::step_rows(&ctx, &adam(), update, state);
    assert_eq!(table, [start[0], start[1], dense[2], dense[3], start[4], start[5], dense[6], dense[7]]);
}
