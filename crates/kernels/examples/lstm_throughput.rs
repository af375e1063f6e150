//! Times the LSTM: `lstm_throughput [batch steps input units [rounds]]`, by default 64 20 50 256 30.
use std::time::Instant;

use sconce_kernels::{
    Context, Destination,
    lstm::{
        LstmGradients, LstmInputs, LstmOptions, LstmOutputGradients, LstmOutputs, LstmShape, LstmWeights, backward,
        forward,
    },
    simd::Simd,
};

fn floats(length: usize, scale: f32) -> Vec<f32> {
    let mut state = length as u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        ((state >> 8) as f32 / (1 << 23) as f32 - 1.0) * scale
    };
    (0..length).map(|_| next()).collect()
}

fn report(what: &str, mut times: Vec<f64>, operations: f64) {
    times.sort_by(f64::total_cmp);
    let (least, median) = (times[0], times[times.len() / 2]);
    let rate = |seconds: f64| operations / seconds / 1e9;
    println!(
        "  {what:<9} min {:7.3} ms ({:5.1} GFLOP/s)   median {:7.3} ms ({:5.1} GFLOP/s)",
        least * 1e3,
        rate(least),
        median * 1e3,
        rate(median)
    );
}

fn main() {
    let arguments: Vec<usize> = std::env::args().skip(1).filter_map(|text| text.parse().ok()).collect();
    let [batch, steps, input, units] = *arguments.first_chunk().unwrap_or(&[64, 20, 50, 256]);
    let rounds = arguments.get(4).copied().unwrap_or(30).max(1);
    let shape = LstmShape { batch, steps, input, units };
    let kernel = floats(4 * units * input, 0.1);
    let recurrent = floats(4 * units * units, 0.1);
    let bias = floats(4 * units, 0.1);
    let x = floats(batch * steps * input, 1.0);
    let dy = floats(batch * steps * units, 1.0);
    // Lengths spread evenly from 1 to `steps`, in no order.
    let mask: Vec<u8> = (0..batch * steps)
        .map(|index| u8::from(index % steps.max(1) <= (index / steps.max(1) * 7) % steps.max(1)))
        .collect();
    let weights = LstmWeights { kernel: &kernel, recurrent: &recurrent, bias: Some(&bias) };
    let options = LstmOptions::default();
    let mut y = vec![0.0; batch * steps * units];
    let mut dx = vec![0.0; x.len()];
    let (mut dkernel, mut drecurrent, mut dbias) =
        (vec![0.0; kernel.len()], vec![0.0; recurrent.len()], vec![0.0; bias.len()]);
    let products = (batch * steps * 4 * units * (input + units)) as f64 * 2.0;
    println!("batch {batch}, steps {steps}, input {input}, units {units}");
    for simd in Simd::available().into_iter().filter(|&simd| simd != Simd::Scalar) {
        for threads in [1, 2] {
            let context = Context::new(threads, simd);
            for masked in [false, true] {
                let inputs = LstmInputs { x: &x, h0: None, c0: None, mask: masked.then_some(&mask) };
                let used = mask.iter().filter(|&&valid| valid != 0).count() as f64 / mask.len().max(1) as f64;
                let work = if masked { products * used } else { products };
                let (mut forwards, mut backwards) = (Vec::new(), Vec::new());
                for _ in 0..rounds {
                    let mut saved = None;
                    let outputs = LstmOutputs { y: Some(&mut y), ..LstmOutputs::default() };
                    let start = Instant::now();
                    forward(&context, shape, weights, inputs, options, outputs, Some(&mut saved));
                    forwards.push(start.elapsed().as_secs_f64());
                    let Some(saved) = saved else { continue };
                    let to = |data| Some(Destination { data, accumulate: false });
                    let gradients = LstmGradients {
                        dx: to(&mut dx),
                        dkernel: to(&mut dkernel),
                        drecurrent: to(&mut drecurrent),
                        dbias: to(&mut dbias),
                        ..LstmGradients::default()
                    };
                    let outer = LstmOutputGradients { dy: Some(&dy), ..LstmOutputGradients::default() };
                    let start = Instant::now();
                    backward(&context, shape, weights, inputs, options, saved, outer, gradients);
                    backwards.push(start.elapsed().as_secs_f64());
                }
                let kind = if masked { ", half of the steps masked" } else { "" };
                println!("{}, {threads} thread(s){kind}", simd.name());
                report("forward", forwards, work);
                report("backward", backwards, 2.0 * work);
            }
        }
    }
}
