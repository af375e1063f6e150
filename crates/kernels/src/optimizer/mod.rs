//! Optimisers in one pass over flat slices, with Keras' formulas in Keras' order of operations: every path rounds alike.
//!
//! # Source
//! `keras/src/optimizers/{base_optimizer,sgd,rmsprop,adam,adamw}.py` of Keras 3.15.
pub mod adam;
mod drive;
pub mod rmsprop;
pub mod sgd;

use crate::embedding::RowGradients;

/// What every dense step takes.
#[derive(Debug)]
pub struct Update<'a> {
    /// Weights, changed in place.
    pub weights: &'a mut [f32],
    /// One gradient a weight.
    pub gradients: &'a [f32],
    /// The learning rate of this step.
    pub learning_rate: f32,
    /// Steps taken before this one.
    pub iteration: u64,
    /// Gradients are multiplied by this first: 1, or a factor of [`crate::clip`].
    pub gradient_factor: f32,
}

/// What every step on some rows of a table takes.
#[derive(Debug)]
pub struct RowUpdate<'a> {
    /// `[V, D]`, changed in place.
    pub table: &'a mut [f32],
    /// Width D.
    pub width: usize,
    /// Rows with a gradient; rows of `table`, ascending.
    pub gradients: &'a RowGradients,
    /// The learning rate of this step.
    pub learning_rate: f32,
    /// Steps taken before this one.
    pub iteration: u64,
    /// Gradients are multiplied by this first: 1, or a factor of [`crate::clip`].
    pub gradient_factor: f32,
}

#[cfg(test)]
mod golden;
#[cfg(test)]
mod tests;
