//! Helpers of the integration tests.
#![allow(dead_code, reason = "each test uses a part")]
pub mod along_time;
pub mod case;
pub mod differences;
pub mod models;

use std::sync::Arc;

use sconce_engine::{
    Result,
    backend::{Backend, Forward, Program, WeightGradient, candle::Candle, cpu::Cpu},
    graph::GraphDocument,
    interrupt::Interrupt,
    plan::Plan,
    tensor::Tensor,
    weights::{LayerWeights, WeightView, from_keras, to_keras},
};
use sconce_kernels::{Context, Destination, buffer::Buffer, simd::Simd};

/// The hash of `__test__/helpers/formula-weights.ts`.
fn hash(seed: u32, index: u32) -> u32 {
    let mut x = (index + 1).wrapping_mul(2_654_435_761).wrapping_add(seed.wrapping_mul(2_246_822_519));
    x = (x ^ (x >> 16)).wrapping_mul(0x85eb_ca6b);
    x = (x ^ (x >> 13)).wrapping_mul(0xc2b2_ae35);
    x ^ (x >> 16)
}

/// Floats spread evenly over `-scale..scale`.
pub fn floats(seed: u32, length: usize, scale: f64) -> Vec<f32> {
    (0..length as u32).map(|index| ((f64::from(hash(seed, index)) / 2_147_483_648.0 - 1.0) * scale) as f32).collect()
}

/// Integers of `minimum..maximum`.
pub fn integers(seed: u32, length: usize, minimum: i32, maximum: i32) -> Vec<i32> {
    let range = (maximum - minimum) as u32;
    (0..length as u32).map(|index| minimum + (hash(seed, index) % range) as i32).collect()
}

pub fn buffer(values: &[f32]) -> Buffer {
    let mut buffer = Buffer::new(values.len());
    buffer.copy_from_slice(values);
    buffer
}

pub fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

/// The largest difference, relative to the largest expected value; infinite if lengths differ or a number is not one.
pub fn error(found: &[f32], expected: &[f64]) -> f64 {
    if found.len() != expected.len() {
        return f64::INFINITY;
    }
    let largest = expected.iter().fold(1e-30, |largest: f64, value| largest.max(value.abs()));
    let differences =
        found.iter().zip(expected).map(|(&found, expected)| (f64::from(found) - expected).abs() / largest);
    differences.fold(0.0, |worst, difference| if difference.is_nan() { f64::INFINITY } else { worst.max(difference) })
}

pub fn widen(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&value| f64::from(value)).collect()
}

/// The CPU backend on every SIMD path with one and two threads, each with a name.
pub fn cpus() -> Vec<(String, Cpu)> {
    let of = |simd: Simd, threads: usize| {
        (format!("cpu {} with {threads} threads", simd.name()), Cpu::new(Context::new(threads, simd)))
    };
    Simd::available().into_iter().flat_map(|simd| [of(simd, 1), of(simd, 2)]).collect()
}

pub fn candle() -> Candle {
    Candle::new(candle_core::Device::Cpu)
}

pub fn candle_double() -> Candle {
    Candle::double(candle_core::Device::Cpu)
}

/// All backends, each with a name.
pub fn backends() -> Vec<(String, Box<dyn Backend>)> {
    let mut backends: Vec<(String, Box<dyn Backend>)> = Vec::new();
    for (name, cpu) in cpus() {
        backends.push((name, Box::new(cpu)));
    }
    backends.push(("candle".to_owned(), Box::new(candle())));
    backends.push(("candle in double precision".to_owned(), Box::new(candle_double())));
    backends
}

/// A plan with weights.
pub struct Model {
    pub plan: Arc<Plan>,
    pub weights: Vec<Arc<LayerWeights>>,
}

impl Model {
    pub fn new(document: &str) -> Result<Self> {
        let plan = Plan::new(&GraphDocument::parse(document)?)?;
        let weights = plan
            .layers
            .iter()
            .map(|layer| {
                let own = &plan.weights[layer.first_weight..][..layer.weight_count];
                let specifications = own.iter().map(|weight| weight.specification.clone()).collect();
                Arc::new(LayerWeights::new(layer.name.clone(), specifications))
            })
            .collect();
        Ok(Self { plan: Arc::new(plan), weights })
    }

    /// Sets weight `index` of the plan, in Keras' layout.
    pub fn set(&self, index: usize, values: &[f32]) {
        let weight = &self.plan.weights[index];
        self.weights[weight.layer].set(weight.index, from_keras(&weight.specification, values));
    }

    /// Sets all weights by formula.
    pub fn fill(&self, seed: u32, scale: f64) {
        for index in 0..self.plan.weights.len() {
            let length = self.plan.weights[index].specification.shape.iter().product();
            self.set(index, &floats(seed + index as u32, length, scale));
        }
    }

    /// `layer.weight`, for messages.
    pub fn name(&self, index: usize) -> String {
        let weight = &self.plan.weights[index];
        format!("{}.{}", self.plan.layers[weight.layer].name, weight.specification.name)
    }

    /// Runs `work` with read access to the weights.
    pub fn forward<T>(&self, inputs: &[Tensor], work: impl FnOnce(Forward<'_>) -> Result<T>) -> Result<T> {
        self.forward_until(inputs, &Interrupt::default(), work)
    }

    pub fn forward_until<T>(
        &self,
        inputs: &[Tensor],
        interrupt: &Interrupt,
        work: impl FnOnce(Forward<'_>) -> Result<T>,
    ) -> Result<T> {
        let shapes: Vec<&[usize]> = inputs.iter().map(|input| input.shape.as_slice()).collect();
        self.plan.bind(&shapes)?;
        let weights = WeightView::new(&self.weights)?;
        work(Forward::new(inputs, &weights, interrupt))
    }

    pub fn lower(&self, backend: &dyn Backend) -> Result<Box<dyn Program>> {
        backend.lower(Arc::clone(&self.plan))
    }

    /// No gradients, one place a weight.
    pub fn no_gradients(&self) -> Vec<Option<WeightGradient>> {
        self.plan.weights.iter().map(|_| None).collect()
    }

    /// A gradient as a whole tensor in Keras' layout; zeros if there is none.
    pub fn keras_gradient(&self, index: usize, gradient: Option<&WeightGradient>) -> Vec<f32> {
        let specification = &self.plan.weights[index].specification;
        let length: usize = specification.shape.iter().product();
        match gradient {
            None => vec![0.0; length],
            Some(WeightGradient::Dense(values)) => to_keras(specification, values),
            Some(WeightGradient::Rows(rows)) => {
                let mut table = vec![0.0; length];
                let to = Destination { data: &mut table, accumulate: false };
                rows.to_dense(&Context::new(1, Simd::Scalar), to, specification.shape[1]);
                table
            }
        }
    }
}
