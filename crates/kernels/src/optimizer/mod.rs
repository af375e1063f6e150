//! Optimisers in one pass over flat slices, with Keras' formulas in Keras' order of operations: every path rounds alike.
//!
//! # Source
//! `keras/src/optimizers/*.py` of Keras 3.15.
pub mod adadelta;
pub mod adafactor;
pub mod adagrad;
pub mod adam;
pub mod adamax;
pub mod average;
mod drive;
pub mod ftrl;
pub mod lamb;
pub mod lion;
pub mod nadam;
pub mod rmsprop;
mod settle;
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

/// `beta^t` with t counting from 1. Keras takes it in single precision, which moves what it corrects by some 1e-5 at
/// first.
fn power_of_beta(beta: f64, iteration: u64) -> f32 {
    f64::from(beta as f32).powf(iteration.saturating_add(1) as f64) as f32
}

#[cfg(test)]
mod golden;
#[cfg(test)]
mod rules_tests;
#[cfg(test)]
mod tests;
