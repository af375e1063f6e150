//! Nadam: Adam with Nesterov's momentum.
use super::{
    Update,
    adam::{AdamOptions, AdamState},
    drive::{self, Rule},
    power_of_beta,
};
use crate::{Context, simd::Lanes};

#[derive(Clone, Copy)]
struct Nadam {
    learning_rate: f32,
    added_1: f32,
    added_2: f32,
    epsilon: f32,
    /// Share of the average gradient in a step, and what it is divided by.
    of_momentum: [f32; 2],
    /// The same of the gradient itself.
    of_gradient: [f32; 2],
    correction: f32,
}

/// `beta_1 (1 - 0.96^t / 2)`, the momentum of step t.
fn momentum(beta_1: f32, time: u64) -> f32 {
    let decay = f64::from(0.96f32).powf(time as f64) as f32;
    beta_1 * (1.0 - 0.5 * decay)
}

/// The product of the momenta of the steps 1 to `time`, rounded at each step as Keras does that keeps it.
fn product(beta_1: f32, time: u64) -> f32 {
    let mut product = 1.0f32;
    for step in 1..=time {
        product *= momentum(beta_1, step);
        if product == 0.0 {
            break;
        }
    }
    product
}

impl Nadam {
    fn new(options: &AdamOptions, learning_rate: f32, iteration: u64) -> Self {
        let time = iteration.saturating_add(1);
        let beta_1 = options.beta_1 as f32;
        let (now, next) = (momentum(beta_1, time), momentum(beta_1, time.saturating_add(1)));
        let product = product(beta_1, time);
        Self {
            learning_rate,
            added_1: (1.0 - options.beta_1) as f32,
            added_2: (1.0 - options.beta_2) as f32,
            epsilon: options.epsilon as f32,
            of_momentum: [next, 1.0 - product * next],
            of_gradient: [1.0 - now, 1.0 - product],
            correction: 1.0 - power_of_beta(options.beta_2, iteration),
        }
    }
}

impl Rule<2> for Nadam {
    #[inline(always)]
    unsafe fn update<L: Lanes>(self, weight: L, gradient: L, [momentum, velocity]: [L; 2]) -> (L, [L; 2]) {
        // SAFETY: as the caller.
        unsafe {
            let share = |[factor, below]: [f32; 2], x: L| L::splat(factor).mul(x).div(L::splat(below));
            let momentum = momentum.add(gradient.sub(momentum).mul(L::splat(self.added_1)));
            let velocity = velocity.add(gradient.mul(gradient).sub(velocity).mul(L::splat(self.added_2)));
            let ahead = share(self.of_momentum, momentum).add(share(self.of_gradient, gradient));
            let root = velocity.div(L::splat(self.correction)).sqrt().add(L::splat(self.epsilon));
            (weight.sub(ahead.mul(L::splat(self.learning_rate)).div(root)), [momentum, velocity])
        }
    }
}

/// One step; `amsgrad` is not looked at.
///
/// With `u_t = b1 (1 - 0.96^t / 2)`, `U_t = u_1 ... u_t` and t counting from 1: `m` and `v` as of [`super::adam`],
/// `w <- w - rate (u_(t+1) m / (1 - U_(t+1)) + (1 - u_t) g / (1 - U_t)) / (sqrt(v / (1 - b2^t)) + epsilon)`.
pub fn step(ctx: &Context, options: &AdamOptions, update: Update<'_>, state: AdamState<'_>) {
    let rule = Nadam::new(options, update.learning_rate, update.iteration);
    drive::dense(ctx, update, options.weight_decay, [state.momentum, state.velocity], rule);
}
