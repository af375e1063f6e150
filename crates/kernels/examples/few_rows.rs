//! How fast a few rows are multiplied with a large matrix, in gigabytes of the matrix a second: `few_rows [threads]`.
use std::time::Instant;

use sconce_kernels::{
    Context,
    dense::{DenseShape, forward},
    quantized::{Bfloat16Matrix, Int8Matrix, QuantizedMatrix},
    simd::Simd,
};

fn best(bytes: usize, mut work: impl FnMut()) -> f64 {
    let times = (0..12).map(|_| {
        let start = Instant::now();
        // Small matrices come from the cache.
        let rounds = (32_000 * 512 / (bytes + 1)).max(1);
        (0..rounds).for_each(|_| work());
        start.elapsed().as_secs_f64() / rounds as f64
    });
    bytes as f64 / times.fold(f64::INFINITY, f64::min) / 1e9
}

fn main() {
    let threads = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(2);
    let context = Context::new(threads, Simd::from_environment());
    for (units, input) in [(256, 512), (32_000, 512)] {
        measure(&context, threads, units, input);
    }
}

fn measure(context: &Context, threads: usize, units: usize, input: usize) {
    let kernel: Vec<f32> = (0..units * input).map(|at| (at % 251) as f32 / 125.0 - 1.0).collect();
    let mut narrow = [
        Int8Matrix::zeros(units, input).map(QuantizedMatrix::Int8),
        Some(QuantizedMatrix::Bfloat16(Bfloat16Matrix::zeros(units, input))),
    ];
    narrow.iter_mut().flatten().for_each(|matrix| matrix.set_rows(context, 0, &kernel));
    println!("{} threads, {:?}, {units} x {input}: float32, int8, bfloat16", threads, context.simd);
    for rows in [1, 2, 4, 8, 16, 32, 64] {
        let x: Vec<f32> = (0..rows * input).map(|at| (at % 17) as f32 / 8.0 - 1.0).collect();
        let mut y = vec![0.0; rows * units];
        let size = units * input;
        let whole = best(4 * size, || forward(context, DenseShape { rows, input, units }, &x, &kernel, None, &mut y));
        let rates = narrow.iter().flatten().zip([1, 2]).map(|(matrix, bytes)| {
            format!("{:.1}", best(bytes * size, || matrix.forward(context, rows, &x, None, &mut y)))
        });
        println!("{rows:3} rows: {whole:.1}, {} GB/s", rates.collect::<Vec<_>>().join(", "));
    }
}
