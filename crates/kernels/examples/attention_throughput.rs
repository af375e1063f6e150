//! Prints the throughput of attention, forward and backward.
//!
//! `cargo run --release -p sconce-kernels --example attention_throughput [-- SEQUENCES QUERIES KEYS HEADS WIDTH [WINDOW]]`
//!
//! Rates count all pairs that a causal mask keeps, also those outside of a window.
use std::time::{Duration, Instant};

use sconce_kernels::{
    Context,
    attention::{
        AttentionDropout, AttentionGradients, AttentionInputs, AttentionOptions, AttentionSizes, Empty, Packed,
        PackedDestination, backward, forward,
    },
    random::RandomKey,
};

/// Prints the fastest and the median of some runs as GFLOP/s and milliseconds.
fn report(what: &str, flops: f64, mut work: impl FnMut()) {
    let mut times: Vec<Duration> = (0..7)
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
    println!("  {what:<10} best {}   median {}", print(times[0]), print(times[times.len() / 2]));
}

fn values(length: usize) -> Vec<f32> {
    (0..length).map(|index| (index as f32 * 0.618_034).fract() * 2.0 - 1.0).collect()
}

fn measure(
    context: &Context,
    [batch, queries, keys, heads, width]: [usize; 5],
    window: Option<usize>,
    causal: bool,
    rate: f32,
) {
    let sizes = AttentionSizes { batch, queries, keys };
    let options = AttentionOptions {
        heads,
        key_value_heads: heads,
        key_width: width,
        value_width: width,
        scale: 1.0 / (width as f32).sqrt(),
        causal,
        causal_offset: keys.saturating_sub(queries),
        window,
        cap: None,
        dropout: (rate > 0.0).then_some(AttentionDropout { rate, key: RandomKey { seed: 1, step: 2, node: 3 } }),
        empty: Empty::Zero,
    };
    let row = heads * width;
    let (query, key, value) = (values(batch * queries * row), values(batch * keys * row), values(batch * keys * row));
    let inputs = AttentionInputs {
        query: Packed::new(&query, queries, row),
        key: Packed::new(&key, keys, row),
        value: Packed::new(&value, keys, row),
        query_mask: None,
        key_mask: None,
        mask: None,
        bias: None,
    };
    let dy = values(batch * queries * row);
    let mut output = vec![0.0; batch * queries * row];
    let mut log_sums = vec![0.0; batch * heads * queries];
    let [mut dq, mut dk, mut dv] = [query.len(), key.len(), value.len()].map(|length| vec![0.0; length]);
    let pairs = if causal { keys * queries - queries * (queries - 1) / 2 } else { queries * keys };
    let product = 2.0 * (batch * pairs * row) as f64;
    println!("[{batch}, {queries}, {keys}, {heads}, {width}], causal {causal}, dropout {rate}");
    report("forward", 2.0 * product, || {
        forward(context, sizes, &options, &inputs, &mut output, Some(&mut log_sums));
    });
    report("backward", 5.0 * product, || {
        let gradients = AttentionGradients {
            query: Some(PackedDestination::new(&mut dq, queries, row, false)),
            key: Some(PackedDestination::new(&mut dk, keys, row, false)),
            value: Some(PackedDestination::new(&mut dv, keys, row, false)),
            bias: None,
        };
        backward(context, sizes, &options, &inputs, &output, &log_sums, &dy, gradients);
    });
}

fn main() {
    let sizes: Vec<usize> = std::env::args().skip(1).filter_map(|size| size.parse().ok()).collect();
    let window = sizes.get(5).copied();
    let all = match sizes.first_chunk::<5>() {
        Some(&sizes) => vec![sizes],
        None => vec![[64, 20, 20, 4, 64], [32, 256, 256, 8, 64], [4, 2048, 2048, 8, 64], [1, 1, 8192, 8, 64]],
    };
    for threads in [1, 2] {
        let context = Context::new(threads, Context::global().simd);
        println!("{}, {threads} threads", context.simd.name());
        for &sizes in &all {
            for (causal, rate) in [(false, 0.0), (true, 0.0), (false, 0.1)] {
                measure(&context, sizes, window, causal, rate);
            }
        }
    }
}
