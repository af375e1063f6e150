//! The optimisers that came after Adam: against the rules in f64 on whole vectors, and by rows.
use super::{
    RowUpdate, Update,
    adadelta::{self, AdadeltaOptions, AdadeltaState},
    adafactor::{self, AdafactorOptions, AdafactorState},
    adagrad::{self, AdagradOptions},
    adam::{AdamOptions, AdamState},
    adamax::{self, AdamaxOptions, AdamaxState},
    ftrl::{self, FtrlOptions, FtrlState},
    lamb,
    lion::{self, LionOptions},
    nadam,
};
use crate::{
    Context, Destination,
    buffer::Buffer,
    embedding::RowGradients,
    testing::{Random, assert_close, bits, contexts, widen},
};

/// Weights as a matrix of so many rows and columns, for Adafactor; `None`: a vector.
type Matrix = Option<(usize, usize)>;

#[derive(Clone, Copy, Debug)]
enum Rule {
    Adagrad(AdagradOptions),
    Adadelta(AdadeltaOptions),
    Adamax(AdamaxOptions),
    Nadam(AdamOptions),
    Lion(LionOptions),
    Ftrl(FtrlOptions),
    Lamb(AdamOptions),
    Adafactor(AdafactorOptions),
}

fn rules() -> Vec<Rule> {
    let decay = 0.1;
    let adam = AdamOptions { beta_1: 0.8, beta_2: 0.9, epsilon: 1e-3, weight_decay: decay, ..AdamOptions::default() };
    vec![
        Rule::Adagrad(AdagradOptions::default()),
        Rule::Adagrad(AdagradOptions { epsilon: 1e-3, weight_decay: decay }),
        Rule::Adadelta(AdadeltaOptions::default()),
        Rule::Adadelta(AdadeltaOptions { rho: 0.7, epsilon: 1e-3, weight_decay: decay }),
        Rule::Adamax(AdamaxOptions::default()),
        Rule::Adamax(AdamaxOptions { beta_1: 0.8, beta_2: 0.9, epsilon: 1e-3, weight_decay: decay }),
        Rule::Nadam(AdamOptions::default()),
        Rule::Nadam(adam),
        Rule::Lion(LionOptions::default()),
        Rule::Lion(LionOptions { beta_1: 0.5, beta_2: 0.8, weight_decay: decay }),
        Rule::Ftrl(FtrlOptions::default()),
        Rule::Ftrl(FtrlOptions {
            learning_rate_power: -0.3,
            l1: 0.1,
            l2: 0.2,
            l2_shrinkage: 0.05,
            beta: 0.1,
            weight_decay: decay,
        }),
        Rule::Lamb(AdamOptions::default()),
        Rule::Lamb(adam),
        Rule::Adafactor(AdafactorOptions::default()),
        Rule::Adafactor(AdafactorOptions {
            beta_2_decay: -0.5,
            epsilon_1: 1e-5,
            epsilon_2: 0.7,
            clip_threshold: 0.5,
            weight_decay: decay,
        }),
    ]
}

/// State at first: two slices, of which a rule takes what it needs.
fn state(rule: Rule, length: usize) -> [Vec<f32>; 2] {
    let first = if matches!(rule, Rule::Adagrad(_) | Rule::Ftrl(_)) { 0.1 } else { 0.0 };
    [vec![first; length], vec![0.0; length]]
}

fn step(ctx: &Context, rule: Rule, matrix: Matrix, update: Update<'_>, state: &mut [Vec<f32>; 2]) {
    let [first, second] = state.each_mut().map(Vec::as_mut_slice);
    match rule {
        Rule::Adagrad(options) => adagrad::step(ctx, &options, update, first),
        Rule::Adadelta(options) => {
            adadelta::step(ctx, &options, update, AdadeltaState { gradient: first, change: second });
        }
        Rule::Adamax(options) => adamax::step(ctx, &options, update, AdamaxState { momentum: first, norm: second }),
        Rule::Nadam(options) => {
            nadam::step(ctx, &options, update, AdamState { momentum: first, velocity: second, velocity_hat: None });
        }
        Rule::Lion(options) => lion::step(ctx, &options, update, first),
        Rule::Ftrl(options) => ftrl::step(ctx, &options, update, FtrlState { accumulator: first, linear: second }),
        Rule::Lamb(options) => {
            lamb::step(ctx, &options, update, AdamState { momentum: first, velocity: second, velocity_hat: None });
        }
        Rule::Adafactor(options) => {
            let state = match matrix {
                None => AdafactorState::Whole(first),
                Some((rows, columns)) => {
                    let count = first.len().checked_div(rows * columns).unwrap_or(0);
                    let of_rows = &mut first[..count * rows];
                    let of_columns = &mut second[..count * columns];
                    AdafactorState::Factored { rows, columns, of_rows, of_columns }
                }
            };
            adafactor::step(ctx, &options, update, state);
        }
    }
}

fn weight_decay(rule: Rule) -> f64 {
    match rule {
        Rule::Adagrad(options) => options.weight_decay,
        Rule::Adadelta(options) => options.weight_decay,
        Rule::Adamax(options) => options.weight_decay,
        Rule::Nadam(options) | Rule::Lamb(options) => options.weight_decay,
        Rule::Lion(options) => options.weight_decay,
        Rule::Ftrl(options) => options.weight_decay,
        Rule::Adafactor(options) => options.weight_decay,
    }
}

fn rms(x: &[f64]) -> f64 {
    (x.iter().map(|x| x * x).sum::<f64>() / x.len().max(1) as f64).sqrt()
}

/// Keras' rules in f64; betas are rounded to f32 where their powers are taken, as there.
#[allow(clippy::many_single_char_names, reason = "the letters of the formulas")]
fn reference(rule: Rule, matrix: Matrix, rate: f64, t: i32, w: &mut [f64], g: &[f64], [a, b]: [&mut [f64]; 2]) {
    w.iter_mut().for_each(|w| *w *= 1.0 - weight_decay(rule) * rate);
    let power = |beta: f64| f64::from(beta as f32).powi(t);
    let each = |w: &mut [f64], change: &dyn Fn(usize, f64) -> f64| {
        w.iter_mut().enumerate().for_each(|(i, w)| *w -= change(i, *w));
    };
    let adam_averages = |options: AdamOptions, a: &mut [f64], b: &mut [f64]| {
        for ((a, b), g) in a.iter_mut().zip(b).zip(g) {
            *a = options.beta_1 * *a + (1.0 - options.beta_1) * g;
            *b = options.beta_2 * *b + (1.0 - options.beta_2) * g * g;
        }
    };
    match rule {
        Rule::Adagrad(options) => {
            a.iter_mut().zip(g).for_each(|(a, g)| *a += g * g);
            each(w, &|i, _| rate * g[i] / (a[i] + options.epsilon).sqrt());
        }
        Rule::Adadelta(options) => {
            for (i, w) in w.iter_mut().enumerate() {
                a[i] = options.rho * a[i] + (1.0 - options.rho) * g[i] * g[i];
                let x = g[i] * (b[i] + options.epsilon).sqrt() / (a[i] + options.epsilon).sqrt();
                b[i] = options.rho * b[i] + (1.0 - options.rho) * x * x;
                *w -= rate * x;
            }
        }
        Rule::Adamax(options) => {
            for (i, w) in w.iter_mut().enumerate() {
                a[i] = options.beta_1 * a[i] + (1.0 - options.beta_1) * g[i];
                b[i] = (options.beta_2 * b[i]).max(g[i].abs());
                *w -= rate * a[i] / ((1.0 - power(options.beta_1)) * (b[i] + options.epsilon));
            }
        }
        Rule::Nadam(options) => {
            adam_averages(options, a, b);
            let u = |t: i32| options.beta_1 * (1.0 - 0.5 * 0.96f64.powi(t));
            let product: f64 = (1..=t).map(u).product();
            each(w, &|i, _| {
                let ahead = u(t + 1) * a[i] / (1.0 - product * u(t + 1)) + (1.0 - u(t)) * g[i] / (1.0 - product);
                rate * ahead / ((b[i] / (1.0 - power(options.beta_2))).sqrt() + options.epsilon)
            });
        }
        Rule::Lion(options) => {
            each(w, &|i, _| rate * (options.beta_1 * a[i] + (1.0 - options.beta_1) * g[i]).signum());
            a.iter_mut().zip(g).for_each(|(a, g)| *a = options.beta_2 * *a + (1.0 - options.beta_2) * g);
        }
        Rule::Ftrl(options) => {
            let p = -options.learning_rate_power;
            for (i, w) in w.iter_mut().enumerate() {
                let sum = a[i] + g[i] * g[i];
                b[i] += g[i] + 2.0 * options.l2_shrinkage * *w - (sum.powf(p) - a[i].powf(p)) / rate * *w;
                let quadratic = sum.powf(p) / rate + 2.0 * (options.l2 + options.beta / (2.0 * rate));
                *w = (b[i].clamp(-options.l1, options.l1) - b[i]) / quadratic;
                a[i] = sum;
            }
        }
        Rule::Lamb(options) => {
            adam_averages(options, a, b);
            let below = |v: f64| (v / (1.0 - power(options.beta_2))).sqrt() + options.epsilon;
            let x: Vec<f64> = a.iter().zip(&*b).map(|(a, &b)| a / (1.0 - power(options.beta_1)) / below(b)).collect();
            let ratio = if rms(w) > 0.0 && rms(&x) > 0.0 { rms(w) / rms(&x) } else { 1.0 };
            each(w, &|i, _| ratio * rate * x[i]);
        }
        Rule::Adafactor(options) => {
            let kept = 1.0 - f64::from(t).powf(options.beta_2_decay);
            let (rows, columns) = matrix.unwrap_or((1, 1));
            let s: Vec<f64> = g.iter().map(|g| g * g + options.epsilon_1).collect();
            let v: Vec<f64> = if matrix.is_none() {
                a.iter_mut().zip(&s).for_each(|(a, s)| *a = kept * *a + (1.0 - kept) * s);
                a.to_vec()
            } else {
                let size = rows * columns;
                let row = |i: usize| i / columns;
                let column = |i: usize| i / size * columns + i % columns;
                for (average, of, count) in
                    [(&mut *a, &row as &dyn Fn(usize) -> usize, columns), (&mut *b, &column, rows)]
                {
                    average.iter_mut().for_each(|average| *average *= kept);
                    s.iter().enumerate().for_each(|(i, s)| average[of(i)] += (1.0 - kept) * s / count as f64);
                }
                let mean = |rows: &[f64]| rows.iter().sum::<f64>() / rows.len() as f64;
                let means: Vec<f64> = a.chunks(rows).map(mean).collect();
                (0..s.len()).map(|i| a[row(i)] * b[column(i)] / means[i / size]).collect()
            };
            let u: Vec<f64> = g.iter().zip(v).map(|(g, v)| g / v.sqrt()).collect();
            let alpha = options.epsilon_2.max(rms(w)) * rate.min(1.0 / f64::from(t).sqrt());
            let above = (rms(&u) / options.clip_threshold).max(1.0);
            each(w, &|i, _| alpha * u[i] / above);
        }
    }
}

#[test]
fn every_path_follows_the_f64_rule_with_the_same_bits() {
    let shapes: [(usize, Matrix); 7] = [
        (0, None),
        (1, None),
        (33, None),
        (20_001, None),
        (35, Some((5, 7))),
        (2 * 3 * 4, Some((3, 4))),
        (300 * 70, Some((300, 70))),
    ];
    for (length, matrix) in shapes {
        for rule in rules() {
            let mut first = None;
            let mut random = Random::new(length as u64);
            let start = random.floats(length);
            let gradients: Vec<_> = (0..4).map(|_| random.floats(length)).collect();
            let mut expected = widen(&start);
            let mut slots = state(rule, length).map(|slot| widen(&slot));
            for (t, gradients) in gradients.iter().enumerate() {
                let gradients: Vec<f64> = gradients.iter().map(|&g| 0.5 * f64::from(g)).collect();
                let slots = slots.each_mut().map(Vec::as_mut_slice);
                reference(rule, matrix, f64::from(0.05f32), t as i32 + 1, &mut expected, &gradients, slots);
            }
            for ctx in contexts() {
                let mut weights = start.clone();
                let mut state = state(rule, length);
                for (t, gradients) in gradients.iter().enumerate() {
                    let update = Update {
                        weights: &mut weights,
                        gradients,
                        learning_rate: 0.05,
                        iteration: t as u64,
                        gradient_factor: 0.5,
                    };
                    step(&ctx, rule, matrix, update, &mut state);
                }
                assert_close(&weights, &expected, &format!("{rule:?} {length} {matrix:?}"));
                assert_eq!(bits(&weights), *first.get_or_insert_with(|| bits(&weights)), "{rule:?} {length}");
            }
        }
    }
}

/// Gradients in about a quarter of the rows.
fn touched(random: &mut Random, rows: usize, width: usize) -> RowGradients {
    let touched: Vec<u32> = (0..rows as u32).filter(|_| random.below(4) == 0).collect();
    let mut gradients = RowGradients { values: Buffer::zeros(touched.len() * width), rows: touched };
    gradients.values.iter_mut().for_each(|value| *value = random.float());
    gradients
}

#[test]
fn rows_of_adagrad_and_adadelta_are_the_dense_rule() {
    let adagrad = Rule::Adagrad(AdagradOptions::default());
    let adadelta = Rule::Adadelta(AdadeltaOptions { rho: 0.8, ..AdadeltaOptions::default() });
    for (rows, width, steps) in [(1, 1, 30), (30, 50, 60), (500, 70, 5)] {
        for rule in [adagrad, adadelta] {
            for ctx in contexts() {
                let mut random = Random::new(9);
                let mut dense = random.floats(rows * width);
                let mut table = dense.clone();
                let mut states = [state(rule, rows * width), state(rule, rows * width)];
                let mut last = vec![0; rows];
                let (learning_rate, gradient_factor) = (0.01, 0.5);
                for iteration in 0..steps {
                    let gradients = touched(&mut random, rows, width);
                    let mut whole = vec![0.0; rows * width];
                    gradients.to_dense(&ctx, Destination { data: &mut whole, accumulate: false }, width);
                    let update =
                        Update { weights: &mut dense, gradients: &whole, learning_rate, iteration, gradient_factor };
                    step(&ctx, rule, None, update, &mut states[0]);
                    let gradients = &gradients;
                    let update =
                        RowUpdate { table: &mut table, width, gradients, learning_rate, iteration, gradient_factor };
                    let [first, second] = states[1].each_mut().map(Vec::as_mut_slice);
                    match rule {
                        Rule::Adagrad(options) => adagrad::step_rows(&ctx, &options, update, first),
                        Rule::Adadelta(options) => {
                            let state = AdadeltaState { gradient: first, change: second };
                            adadelta::step_rows(&ctx, &options, update, state, &mut last);
                        }
                        _ => unreachable!(),
                    }
                }
                assert_close(&table, &widen(&dense), "weights");
                if let Rule::Adadelta(options) = rule {
                    let [gradient, change] = states[1].each_mut().map(Vec::as_mut_slice);
                    let state = AdadeltaState { gradient, change };
                    adadelta::settle_rows(&options, width, steps, state, &mut last);
                    assert_eq!(last, vec![steps as u32; rows]);
                } else {
                    assert_eq!(bits(&table), bits(&dense));
                }
                for (by_rows, dense) in states[1].iter().zip(&states[0]) {
                    assert_close(by_rows, &widen(dense), "state");
                }
            }
        }
    }
}

#[test]
fn a_zero_gradient_moves_nothing_under_lion_and_nan_stays() {
    for ctx in contexts() {
        let mut weights = [1.0, 1.0, 1.0, 1.0];
        let gradients = [0.0, f32::NAN, 2.0, -2.0];
        let update = Update {
            weights: &mut weights,
            gradients: &gradients,
            learning_rate: 0.5,
            iteration: 0,
            gradient_factor: 1.0,
        };
        lion::step(&ctx, &LionOptions::default(), update, &mut [0.0; 4]);
        assert_eq!([weights[0], weights[2], weights[3]], [1.0, 0.5, 1.5]);
        assert!(weights[1].is_nan());
    }
}
