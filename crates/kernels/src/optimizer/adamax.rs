//! Adamax: Adam with the largest gradient in the place of the second moment.
use super::{
    Update,
    drive::{self, Rule},
    power_of_beta,
};
use crate::{Context, simd::Lanes};

/// Options of [`step`].
#[derive(Clone, Copy, Debug)]
pub struct AdamaxOptions {
    /// Decay of the average of the gradients. Default 0.9.
    pub beta_1: f64,
    /// Decay of the largest gradient. Default 0.999.
    pub beta_2: f64,
    /// Added to the largest gradient. Default 1e-7.
    pub epsilon: f64,
    /// Weights lose `weight * weight_decay * learning_rate` before a step. Default 0.
    pub weight_decay: f64,
}

impl Default for AdamaxOptions {
    fn default() -> Self {
        Self { beta_1: 0.9, beta_2: 0.999, epsilon: 1e-7, weight_decay: 0.0 }
    }
}

/// State of [`step`]: each slice as long as the weights, 0 at first.
#[derive(Debug)]
pub struct AdamaxState<'a> {
    /// Average of the gradients.
    pub momentum: &'a mut [f32],
    /// Largest absolute gradient, decaying.
    pub norm: &'a mut [f32],
}

#[derive(Clone, Copy)]
struct Adamax {
    learning_rate: f32,
    added: f32,
    beta_2: f32,
    epsilon: f32,
    correction: f32,
}

impl Rule<2> for Adamax {
    #[inline(always)]
    unsafe fn update<L: Lanes>(self, weight: L, gradient: L, [momentum, norm]: [L; 2]) -> (L, [L; 2]) {
        // SAFETY: as the caller.
        unsafe {
            let momentum = momentum.add(gradient.sub(momentum).mul(L::splat(self.added)));
            // In this order a NaN of the gradient stays.
            let norm = norm.mul(L::splat(self.beta_2)).max(gradient.abs());
            let below = L::splat(self.correction).mul(norm.add(L::splat(self.epsilon)));
            (weight.sub(L::splat(self.learning_rate).mul(momentum).div(below)), [momentum, norm])
        }
    }
}

/// One step.
///
/// `m <- m + (g - m)(1 - b1)`, `u <- max(b2 u, |g|)`, `w <- w - rate m / ((1 - b1^t) (u + epsilon))` with t counting
/// from 1.
pub fn step(ctx: &Context, options: &AdamaxOptions, update: Update<'_>, state: AdamaxState<'_>) {
    let rule = Adamax {
        learning_rate: update.learning_rate,
        added: (1.0 - options.beta_1) as f32,
        beta_2: options.beta_2 as f32,
        epsilon: options.epsilon as f32,
        correction: 1.0 - power_of_beta(options.beta_1, update.iteration),
    };
    drive::dense(ctx, update, options.weight_decay, [state.momentum, state.norm], rule);
}
