//! Prints the throughput of the matrix products and of the fused loss, beside the register-only peak of this machine.
//!
//! `cargo run --release -p sconce-kernels --example throughput [-- ROWS FEATURES CLASSES...]`
//!
//! Where the processor multiplies pairs of bfloat16, all is done with those too.
use std::time::{Duration, Instant};

use sconce_kernels::{
    Context, Destination, Precision,
    linear_cross_entropy::{
        LinearCrossEntropyGradients, LinearCrossEntropyInputs, LinearCrossEntropyOptions, LinearCrossEntropyOutputs,
        LinearCrossEntropyShape, Targets, linear_cross_entropy,
    },
    matmul::{MatmulOptions, MatmulShape, matmul},
    simd::{Kernel, Lanes, Simd},
};

/// Fused multiply-adds on registers alone: so many rounds of 12 chains of one register, enough for two units.
struct Peak(u32);

/// Multiply-adds of one lane in a round.
const CHAINS: u32 = 12;

impl Peak {
    #[inline(always)]
    unsafe fn chains<L: Lanes, const N: usize>(rounds: u32) -> f32 {
        // SAFETY: no memory but an array of 16; the caller has the instruction set.
        unsafe {
            let [factor, addend] = std::hint::black_box([0.999, 0.001]).map(|value| L::splat(value));
            let mut sums: [L; N] = std::array::from_fn(|index| L::splat(index as f32));
            for _ in 0..rounds {
                for sum in &mut sums {
                    *sum = factor.fma(*sum, addend);
                }
            }
            let mut lanes = [0.0; 16];
            sums.into_iter().reduce(|a, b| a.add(b)).unwrap_or(addend).store(lanes.as_mut_ptr());
            lanes.iter().sum()
        }
    }
}

impl Kernel for Peak {
    type Output = f32;

    #[inline(always)]
    unsafe fn run<L: Lanes>(self) -> f32 {
        // SAFETY: the caller has the instruction set. Where lanes are two registers, half as many chains fill them.
        unsafe { if L::ROWS_2 > 0 { Self::chains::<L, 12>(self.0) } else { Self::chains::<L, 6>(2 * self.0) } }
    }
}

/// Prints minimum and median of some runs as GFLOP/s and milliseconds.
fn report(what: &str, flops: f64, mut work: impl FnMut()) {
    let mut times: Vec<Duration> = (0..9)
        .map(|_| {
            let start = Instant::now();
            work();
            start.elapsed()
        })
        .collect();
    times.sort();
    let print = |time: Duration| {
        format!("{:7.1} GFLOP/s {:8.2} ms", flops / time.as_secs_f64() * 1e-9, time.as_secs_f64() * 1e3)
    };
    println!("  {what:<22} best {}   median {}", print(times[0]), print(times[times.len() / 2]));
}

fn values(length: usize) -> Vec<f32> {
    (0..length).map(|index| (index as f32 * 0.618_034).fract() * 0.2 - 0.1).collect()
}

fn fused(context: &Context, rows: usize, features: usize, classes: usize) {
    let (h, kernel, bias) = (values(rows * features), values(classes * features), values(classes));
    let ids: Vec<i32> = (0..rows).map(|row| (row * 7919 % classes) as i32).collect();
    let [mut dh, mut dkernel, mut dbias] =
        [rows * features, classes * features, classes].map(|length| vec![0.0; length]);
    let (mut row_loss, mut row_prediction) = (vec![0.0; rows], vec![0; rows]);
    let product = 2.0 * (rows * features * classes) as f64;
    let inputs = LinearCrossEntropyInputs {
        h: &h,
        kernel: &kernel,
        bias: Some(&bias),
        targets: Targets::Ids(&ids),
        row_weights: None,
    };
    let options = LinearCrossEntropyOptions::default();
    let shape = LinearCrossEntropyShape { rows, features, classes };
    for backward in [false, true] {
        let flops = if backward { 3.0 * product } else { product };
        report(if backward { "loss and gradients" } else { "loss" }, flops, || {
            let gradients = backward.then(|| LinearCrossEntropyGradients {
                dh: Destination { data: &mut dh, accumulate: false },
                dkernel: Destination { data: &mut dkernel, accumulate: false },
                dbias: Some(Destination { data: &mut dbias, accumulate: false }),
            });
            let outputs = LinearCrossEntropyOutputs {
                row_loss: &mut row_loss,
                row_unsmoothed: None,
                row_prediction: &mut row_prediction,
                gradients,
            };
            linear_cross_entropy(context, shape, &inputs, options, outputs);
        });
    }
}

fn product(context: &Context, what: &str, shape: MatmulShape, options: MatmulOptions) {
    let MatmulShape { rows, columns, inner } = shape;
    let (a, b, mut c) = (values(rows * inner), values(inner * columns), vec![0.0; rows * columns]);
    report(what, 2.0 * (rows * columns * inner) as f64, || {
        matmul(context, Destination { data: &mut c, accumulate: false }, &a, &b, shape, options);
    });
}

fn main() {
    let mut sizes = std::env::args().skip(1).filter_map(|size| size.parse().ok());
    let (rows, features) = (sizes.next().unwrap_or(1280), sizes.next().unwrap_or(256));
    let classes: Vec<usize> = sizes.collect();
    let classes = if classes.is_empty() { vec![8000, 30_000] } else { classes };
    let pairs = Simd::available().into_iter().filter(|simd| simd.multiplies_pairs());
    let paths =
        Simd::available().into_iter().filter(|simd| *simd != Simd::Scalar).map(|simd| (simd, Precision::Float32));
    for (simd, precision) in paths.chain(pairs.map(|simd| (simd, Precision::Bfloat16))) {
        for threads in [1, 2] {
            let context = Context::new(threads, simd).with_precision(precision);
            println!("{}, {precision:?}, {threads} threads", simd.name());
            let rounds = 2_000_000u32;
            report("registers only", f64::from(rounds * CHAINS) * 32.0 * threads as f64, || {
                context.pool.run(threads, &|_| {
                    std::hint::black_box(simd.run(Peak(rounds)));
                });
            });
            for &classes in &classes {
                println!(" rows {rows}, features {features}, classes {classes}");
                let plain = MatmulOptions::default();
                let forward = MatmulShape { rows, columns: classes, inner: features };
                product(&context, "y = x W^T", forward, MatmulOptions { transpose_b: true, ..plain });
                product(&context, "dx = dy W", MatmulShape { rows, columns: features, inner: classes }, plain);
                let gradient = MatmulShape { rows: classes, columns: features, inner: rows };
                product(&context, "dW = dy^T x", gradient, MatmulOptions { transpose_a: true, ..plain });
                fused(&context, rows, features, classes);
            }
        }
    }
}
