//! Prints how fast optimisers go over their memory: updates a second, and the bytes that they read and write.
//!
//! `cargo run --release -p sconce-kernels --example optimizers [-- NUMBERS]`
use std::time::{Duration, Instant};

use sconce_kernels::{
    Context,
    optimizer::{
        Update,
        adadelta::{self, AdadeltaOptions, AdadeltaState},
        adafactor::{self, AdafactorOptions, AdafactorState},
        adagrad::{self, AdagradOptions},
        adam::{self, AdamOptions, AdamState},
        adamax::{self, AdamaxOptions, AdamaxState},
        ftrl::{self, FtrlOptions, FtrlState},
        lamb,
        lion::{self, LionOptions},
        nadam,
        rmsprop::{self, RmspropOptions, RmspropState},
        sgd::{self, SgdOptions},
    },
    simd::Simd,
};

/// Columns of the matrix that Adafactor sees.
const COLUMNS: usize = 256;

fn median(mut work: impl FnMut(u64)) -> Duration {
    let mut times: Vec<Duration> = (0..9)
        .map(|iteration| {
            let start = Instant::now();
            work(iteration);
            start.elapsed()
        })
        .collect();
    times.sort();
    times[times.len() / 2]
}

/// Name, how many slices of numbers a step reads or writes (weights, gradients, state), and the step.
type Step = (&'static str, f64, Box<dyn Fn(&Context, Update<'_>, &mut [Vec<f32>; 2])>);

fn steps() -> Vec<Step> {
    vec![
        ("sgd", 3.0, Box::new(|ctx, update, _| sgd::step(ctx, &SgdOptions::default(), update, None))),
        (
            "sgd with momentum",
            5.0,
            Box::new(|ctx, update, [a, _]| {
                sgd::step(ctx, &SgdOptions { momentum: 0.9, ..SgdOptions::default() }, update, Some(a));
            }),
        ),
        (
            "rmsprop",
            5.0,
            Box::new(|ctx, update, [velocity, _]| {
                let state = RmspropState { velocity, momentum: None, average_gradient: None };
                rmsprop::step(ctx, &RmspropOptions::default(), update, state);
            }),
        ),
        ("adagrad", 5.0, Box::new(|ctx, update, [a, _]| adagrad::step(ctx, &AdagradOptions::default(), update, a))),
        (
            "adadelta",
            7.0,
            Box::new(|ctx, update, [gradient, change]| {
                adadelta::step(ctx, &AdadeltaOptions::default(), update, AdadeltaState { gradient, change });
            }),
        ),
        (
            "adam",
            7.0,
            Box::new(|ctx, update, [momentum, velocity]| {
                let state = AdamState { momentum, velocity, velocity_hat: None };
                adam::step(ctx, &AdamOptions::default(), update, state);
            }),
        ),
        (
            "adamax",
            7.0,
            Box::new(|ctx, update, [momentum, norm]| {
                adamax::step(ctx, &AdamaxOptions::default(), update, AdamaxState { momentum, norm });
            }),
        ),
        (
            "nadam",
            7.0,
            Box::new(|ctx, update, [momentum, velocity]| {
                let state = AdamState { momentum, velocity, velocity_hat: None };
                nadam::step(ctx, &AdamOptions::default(), update, state);
            }),
        ),
        ("lion", 5.0, Box::new(|ctx, update, [a, _]| lion::step(ctx, &LionOptions::default(), update, a))),
        (
            "ftrl",
            7.0,
            Box::new(|ctx, update, [accumulator, linear]| {
                ftrl::step(ctx, &FtrlOptions::default(), update, FtrlState { accumulator, linear });
            }),
        ),
        (
            "lamb",
            15.0,
            Box::new(|ctx, update, [momentum, velocity]| {
                let state = AdamState { momentum, velocity, velocity_hat: None };
                lamb::step(ctx, &AdamOptions::default(), update, state);
            }),
        ),
        (
            "adafactor",
            10.0,
            Box::new(|ctx, update, [a, b]| {
                let rows = update.weights.len() / COLUMNS;
                let (of_rows, of_columns) = (&mut a[..rows], &mut b[..COLUMNS]);
                let state = AdafactorState::Factored { rows, columns: COLUMNS, of_rows, of_columns };
                adafactor::step(ctx, &AdafactorOptions::default(), update, state);
            }),
        ),
    ]
}

fn main() {
    let numbers: usize = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(16 << 20);
    let length = numbers.div_ceil(COLUMNS) * COLUMNS;
    let gradients: Vec<f32> = (0..length).map(|index| (index as f32 * 0.618_034).fract() * 0.2 - 0.1).collect();
    for threads in [1, std::thread::available_parallelism().map_or(1, std::num::NonZero::get)] {
        let context = Context::new(threads, Simd::best());
        println!("{length} numbers, {threads} threads, {}", Simd::best().name());
        for (name, slices, step) in steps() {
            let mut weights = gradients.clone();
            let mut state = [vec![0.1; length], vec![0.0; length]];
            let time = median(|iteration| {
                let update = Update {
                    weights: &mut weights,
                    gradients: &gradients,
                    learning_rate: 1e-3,
                    iteration,
                    gradient_factor: 1.0,
                };
                step(&context, update, &mut state);
            });
            let seconds = time.as_secs_f64();
            let bytes = slices * 4.0 * length as f64;
            println!(
                "  {name:<18} {:8.2} ms {:7.2} G numbers/s {:6.1} GB/s",
                seconds * 1e3,
                length as f64 / seconds * 1e-9,
                bytes / seconds * 1e-9
            );
        }
    }
}
