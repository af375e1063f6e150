//! Adam and AdamW.
use super::{
    RowUpdate, Update,
    drive::{self, Rule},
    power_of_beta,
};
use crate::{Context, simd::Lanes};

/// Options of [`step`]. AdamW is Adam with a weight decay (in Keras 0.004).
#[derive(Clone, Copy, Debug)]
pub struct AdamOptions {
    /// Decay of the average of the gradients. Default 0.9.
    pub beta_1: f64,
    /// Decay of the average of their squares. Default 0.999.
    pub beta_2: f64,
    /// Outside the root ("epsilon hat" of the paper). Default 1e-7.
    pub epsilon: f64,
    /// Use the largest second moment so far. Default `false`.
    pub amsgrad: bool,
    /// Weights lose `weight * weight_decay * learning_rate` before a step. Default 0.
    pub weight_decay: f64,
}

impl Default for AdamOptions {
    fn default() -> Self {
        Self { beta_1: 0.9, beta_2: 0.999, epsilon: 1e-7, amsgrad: false, weight_decay: 0.0 }
    }
}

/// State of [`step`] and [`step_rows`]: each slice as long as the weights, 0 at first.
#[derive(Debug)]
pub struct AdamState<'a> {
    /// Average of the gradients.
    pub momentum: &'a mut [f32],
    /// Average of their squares.
    pub velocity: &'a mut [f32],
    /// Largest velocity; needed if `amsgrad`.
    pub velocity_hat: Option<&'a mut [f32]>,
}

/// State: momentum, velocity, then the largest velocity if it is kept.
#[derive(Clone, Copy)]
struct Adam {
    /// The learning rate with both corrections of bias.
    alpha: f32,
    added_1: f32,
    added_2: f32,
    epsilon: f32,
}

impl Adam {
    fn new(options: &AdamOptions, learning_rate: f32, iteration: u64) -> Self {
        let power = |beta: f64| power_of_beta(beta, iteration);
        Self {
            alpha: learning_rate * (1.0 - power(options.beta_2)).sqrt() / (1.0 - power(options.beta_1)),
            added_1: (1.0 - options.beta_1) as f32,
            added_2: (1.0 - options.beta_2) as f32,
            epsilon: options.epsilon as f32,
        }
    }
}

impl<const N: usize> Rule<N> for Adam {
    #[inline(always)]
    unsafe fn update<L: Lanes>(self, weight: L, gradient: L, mut state: [L; N]) -> (L, [L; N]) {
        // SAFETY: as the caller.
        unsafe {
            let momentum = state[0].add(gradient.sub(state[0]).mul(L::splat(self.added_1)));
            let velocity = state[1].add(gradient.mul(gradient).sub(state[1]).mul(L::splat(self.added_2)));
            state[0] = momentum;
            state[1] = velocity;
            if N == 3 {
                // In this order a NaN of the gradient stays.
                state[2] = state[2].max(velocity);
            }
            let root = state[N - 1].sqrt().add(L::splat(self.epsilon));
            (weight.sub(momentum.mul(L::splat(self.alpha)).div(root)), state)
        }
    }
}

fn velocity_hat<'a>(options: &AdamOptions, state: Option<&'a mut [f32]>) -> Option<&'a mut [f32]> {
    let state = state.filter(|_| options.amsgrad);
    assert_eq!(state.is_some(), options.amsgrad, "adam: amsgrad needs the largest velocity");
    state
}

/// One step.
///
/// `m <- m + (g - m)(1 - b1)`, `v <- v + (g^2 - v)(1 - b2)`, `w <- w - alpha m / (sqrt(v) + epsilon)` with
/// `alpha = rate sqrt(1 - b2^t) / (1 - b1^t)` and t counting from 1.
pub fn step(ctx: &Context, options: &AdamOptions, update: Update<'_>, state: AdamState<'_>) {
    let rule = Adam::new(options, update.learning_rate, update.iteration);
    let AdamState { momentum, velocity, velocity_hat: hat } = state;
    match velocity_hat(options, hat) {
        None => drive::dense(ctx, update, options.weight_decay, [momentum, velocity], rule),
        Some(hat) => drive::dense(ctx, update, options.weight_decay, [momentum, velocity, hat], rule),
    }
}

/// One step on the rows that have a gradient ("lazy Adam"). This is **not** the dense rule, under which rows without a
/// gradient keep moving along their momentum and decaying: here neither their averages nor their weights change.
pub fn step_rows(ctx: &Context, options: &AdamOptions, update: RowUpdate<'_>, state: AdamState<'_>) {
    let rule = Adam::new(options, update.learning_rate, update.iteration);
    let AdamState { momentum, velocity, velocity_hat: hat } = state;
    match velocity_hat(options, hat) {
        None => drive::rows(ctx, update, options.weight_decay, [momentum, velocity], |_| rule),
        Some(hat) => drive::rows(ctx, update, options.weight_decay, [momentum, velocity, hat], |_| rule),
    }
}
