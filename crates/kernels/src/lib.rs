//! Numerical kernels on slices: no model, no graph, no candle types.
//!
//! Every kernel takes a [`Context`] (compute pool and SIMD path) and plain slices with shapes. Matrices are row-major;
//! weights of products are stored `[out, in]`. Work is cut into pieces by shape only, and each output element is summed
//! in one fixed order, so that results have the same bits for any number of threads.
#![deny(missing_docs)]

pub mod activation;
pub mod additive_attention;
pub mod attention;
pub mod attentive_rnn;
mod bfloat16;
pub mod buffer;
pub mod clip;
pub mod constraint;
pub mod context;
pub mod cross_entropy;
pub mod dense;
pub mod dropout;
pub mod embedding;
pub mod global_pooling;
pub mod gru;
pub mod initialize;
pub mod layer_norm;
pub mod linear_cross_entropy;
pub mod lstm;
mod math;
pub mod matmul;
pub mod mixture;
pub mod optimizer;
mod panels;
pub mod penalty;
mod pieces;
mod place;
pub mod pool;
pub mod positions;
pub mod precision;
pub mod quantized;
pub mod random;
mod recurrent;
pub mod reduce;
pub mod resampling;
pub mod row_loss;
pub mod rows;
mod shared;
pub mod simd;
pub mod simple_rnn;
pub mod smoothing;
pub mod softmax;
mod squares;
pub mod targets;
#[cfg(test)]
mod testing;
mod tile;

pub use context::Context;
pub use precision::Precision;

/// Where a gradient goes: overwrite the slice, or add to what it holds.
#[derive(Debug)]
pub struct Destination<'a> {
    /// The destination.
    pub data: &'a mut [f32],
    /// `false`: set; `true`: add.
    pub accumulate: bool,
}
