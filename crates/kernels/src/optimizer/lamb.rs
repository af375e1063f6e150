//! LAMB: Adam whose steps are as long as the weights.
use super::{
    Update,
    adam::{AdamOptions, AdamState},
    drive::{self, Rule},
    power_of_beta,
    sgd::Plain,
};
use crate::{Context, buffer::Buffer, clip, simd::Lanes};

/// State: momentum, velocity, and the direction of the step.
#[derive(Clone, Copy)]
struct Direction {
    added_1: f32,
    added_2: f32,
    correction_1: f32,
    correction_2: f32,
    epsilon: f32,
}

impl Rule<3> for Direction {
    #[inline(always)]
    unsafe fn update<L: Lanes>(self, weight: L, gradient: L, [momentum, velocity, _]: [L; 3]) -> (L, [L; 3]) {
        // SAFETY: as the caller.
        unsafe {
            let momentum = momentum.add(gradient.sub(momentum).mul(L::splat(self.added_1)));
            let velocity = velocity.add(gradient.mul(gradient).sub(velocity).mul(L::splat(self.added_2)));
            let root = velocity.div(L::splat(self.correction_2)).sqrt().add(L::splat(self.epsilon));
            (weight, [momentum, velocity, momentum.div(L::splat(self.correction_1)).div(root)])
        }
    }
}

/// One step; `amsgrad` is not looked at.
///
/// `m` and `v` as of [`super::adam`], `x = m / (1 - b1^t) / (sqrt(v / (1 - b2^t)) + epsilon)`,
/// `w <- w - |w| / |x| rate x`, where the quotient of the norms of the whole weight is 1 if either is 0.
pub fn step(ctx: &Context, options: &AdamOptions, update: Update<'_>, state: AdamState<'_>) {
    let Update { weights, gradients, learning_rate, iteration, gradient_factor } = update;
    let rule = Direction {
        added_1: (1.0 - options.beta_1) as f32,
        added_2: (1.0 - options.beta_2) as f32,
        correction_1: 1.0 - power_of_beta(options.beta_1, iteration),
        correction_2: 1.0 - power_of_beta(options.beta_2, iteration),
        epsilon: options.epsilon as f32,
    };
    let mut direction = Buffer::zeros(weights.len());
    let update = Update { weights: &mut *weights, gradients, learning_rate, iteration, gradient_factor };
    drive::dense(ctx, update, options.weight_decay, [state.momentum, state.velocity, &mut direction], rule);
    let (of_weights, of_direction) = (clip::norm(ctx, weights) as f32, clip::norm(ctx, &direction) as f32);
    let ratio = if of_weights > 0.0 && of_direction > 0.0 { of_weights / of_direction } else { 1.0 };
    let update = Update { weights, gradients: &direction, learning_rate, iteration, gradient_factor: 1.0 };
    drive::dense(ctx, update, 0.0, [], Plain { learning_rate: ratio * learning_rate });
}
