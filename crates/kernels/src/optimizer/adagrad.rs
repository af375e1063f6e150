//! Adagrad.
use super::{
    RowUpdate, Update,
    drive::{self, Rule},
};
use crate::{Context, simd::Lanes};

/// Options of [`step`].
#[derive(Clone, Copy, Debug)]
pub struct AdagradOptions {
    /// Inside the root. Default 1e-7.
    pub epsilon: f64,
    /// Weights lose `weight * weight_decay * learning_rate` before a step. Default 0.
    pub weight_decay: f64,
}

impl Default for AdagradOptions {
    fn default() -> Self {
        Self { epsilon: 1e-7, weight_decay: 0.0 }
    }
}

#[derive(Clone, Copy)]
struct Adagrad {
    learning_rate: f32,
    epsilon: f32,
}

impl Rule<1> for Adagrad {
    #[inline(always)]
    unsafe fn update<L: Lanes>(self, weight: L, gradient: L, [accumulator]: [L; 1]) -> (L, [L; 1]) {
        // SAFETY: as the caller.
        unsafe {
            let accumulator = accumulator.add(gradient.mul(gradient));
            let root = accumulator.add(L::splat(self.epsilon)).sqrt();
            (weight.sub(L::splat(self.learning_rate).mul(gradient).div(root)), [accumulator])
        }
    }
}

impl Adagrad {
    fn new(options: &AdagradOptions, learning_rate: f32) -> Self {
        Self { learning_rate, epsilon: options.epsilon as f32 }
    }
}

/// One step. `accumulator` is as long as the weights; at first it holds `initial_accumulator_value` (Keras: 0.1).
///
/// `a <- a + g^2`, `w <- w - rate g / sqrt(a + epsilon)`.
pub fn step(ctx: &Context, options: &AdagradOptions, update: Update<'_>, accumulator: &mut [f32]) {
    let rule = Adagrad::new(options, update.learning_rate);
    drive::dense(ctx, update, options.weight_decay, [accumulator], rule);
}

/// One step without weight decay on the rows that have a gradient: exactly the dense step, under which a row without one
/// keeps its weights and its sums.
pub fn step_rows(ctx: &Context, options: &AdagradOptions, update: RowUpdate<'_>, accumulator: &mut [f32]) {
    assert!(options.weight_decay == 0.0, "adagrad: rows know no weight decay");
    let rule = Adagrad::new(options, update.learning_rate);
    drive::rows(ctx, update, 0.0, [accumulator], |_| rule);
}
