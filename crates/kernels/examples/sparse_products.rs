//! Prints how long the products of a feed-forward block take of which a share of the hidden units is not 0, as ReLU and
//! dropout leave them.
//!
//! `cargo run --release -p sconce-kernels --example sparse_products [-- ROWS WIDTH HIDDEN [SHARE...]]`
use std::time::{Duration, Instant};

use sconce_kernels::{
    Context, Destination, Precision,
    buffer::Buffer,
    dense::{self, DenseShape},
    simd::Simd,
};

fn values(length: usize) -> Buffer {
    let mut values = Buffer::new(length);
    for (index, value) in values.iter_mut().enumerate() {
        *value = (index as f32 * 0.618_034).fract() * 0.2 - 0.1;
    }
    values
}

/// The same with a share of them left, the others 0.
fn kept(length: usize, share: f64) -> Buffer {
    let mut state = 1u64;
    let mut values = values(length);
    for value in values.iter_mut() {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        if (state >> 40) as f64 >= share * (1u64 << 24) as f64 {
            *value = 0.0;
        }
    }
    values
}

fn best(mut work: impl FnMut()) -> Duration {
    let times = (0..15).map(|_| {
        let start = Instant::now();
        work();
        start.elapsed()
    });
    times.min().unwrap_or_default()
}

fn main() {
    let mut given = std::env::args().skip(1);
    let mut size = |default| given.next().and_then(|size| size.parse().ok()).unwrap_or(default);
    let (rows, width, hidden): (usize, usize, usize) = (size(1280), size(256), size(1024));
    let shares: Vec<f64> = given.filter_map(|share| share.parse().ok()).collect();
    let shares = if shares.is_empty() { vec![1.0, 0.75, 0.6, 0.45, 0.3, 0.15, 0.05] } else { shares };
    let (x, dy) = (values(rows * width), values(rows * width));
    let (into, out) = (values(hidden * width), values(hidden * width));
    let [mut y, mut dx] = [(); 2].map(|()| Buffer::new(rows * width));
    let mut dkernel = Buffer::new(hidden * width);
    let mut dh = Buffer::new(rows * hidden);
    let first = DenseShape { rows, input: width, units: hidden };
    let second = DenseShape { rows, input: hidden, units: width };
    let paths = Simd::available().into_iter().filter(|&simd| simd != Simd::Scalar);
    let precisions = [Precision::Float32, Precision::Bfloat16];
    for (simd, precision) in paths.flat_map(|simd| precisions.map(|precision| (simd, precision))) {
        if !precision.is_available(simd) {
            continue;
        }
        for threads in [1, 2] {
            let context = Context::new(threads, simd).with_precision(precision);
            println!(
                "{}, {precision:?}, {threads} threads, rows {rows}, width {width}, hidden {hidden}; ms",
                simd.name()
            );
            println!("  share   h W2^T    dh W1   dh^T x   dy^T h   dy W2");
            for &share in &shares {
                let h = kept(rows * hidden, share);
                let mut line = vec![best(|| dense::forward(&context, second, &h, &out, None, &mut y))];
                let mut backward = |shape, x: &[f32], kernel: &[f32], dy: &[f32], mut dx: Option<&mut [f32]>| {
                    line.push(best(|| {
                        let to_dkernel = if dx.is_none() { Some(&mut dkernel[..]) } else { None };
                        let [dx, dkernel] = [dx.as_deref_mut(), to_dkernel]
                            .map(|data| data.map(|data| Destination { data, accumulate: false }));
                        dense::backward(&context, shape, x, Some(1.0), kernel, dy, dx, dkernel, None);
                    }));
                };
                backward(first, &x, &into, &h, Some(&mut dx));
                backward(first, &x, &into, &h, None);
                backward(second, &h, &out, &dy, None);
                backward(second, &h, &out, &dy, Some(&mut dh));
                let line: String = line.iter().map(|time| format!("{:9.3}", time.as_secs_f64() * 1e3)).collect();
                println!("  {share:5}{line}");
            }
        }
    }
}
