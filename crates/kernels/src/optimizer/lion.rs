//! Lion: steps of one size, along the sign of an average.
use super::{
    Update,
    drive::{self, Rule},
};
use crate::{Context, simd::Lanes};

/// Options of [`step`].
#[derive(Clone, Copy, Debug)]
pub struct LionOptions {
    /// Share of the average in the direction of a step. Default 0.9.
    pub beta_1: f64,
    /// Decay of the average. Default 0.99.
    pub beta_2: f64,
    /// Weights lose `weight * weight_decay * learning_rate` before a step. Default 0.
    pub weight_decay: f64,
}

impl Default for LionOptions {
    fn default() -> Self {
        Self { beta_1: 0.9, beta_2: 0.99, weight_decay: 0.0 }
    }
}

#[derive(Clone, Copy)]
struct Lion {
    learning_rate: f32,
    kept: [f32; 2],
    added: [f32; 2],
}

impl Rule<1> for Lion {
    #[inline(always)]
    unsafe fn update<L: Lanes>(self, weight: L, gradient: L, [momentum]: [L; 1]) -> (L, [L; 1]) {
        // SAFETY: as the caller.
        unsafe {
            let mix = |i: usize| momentum.mul(L::splat(self.kept[i])).add(gradient.mul(L::splat(self.added[i])));
            let (direction, zero) = (mix(0), L::splat(0.0));
            // A zero stays 0, and a NaN stays NaN.
            let sign = L::splat(-1.0).select(direction.less(zero), direction);
            let sign = L::splat(1.0).select(zero.less(direction), sign);
            (weight.sub(L::splat(self.learning_rate).mul(sign)), [mix(1)])
        }
    }
}

/// One step. `momentum` is as long as the weights, 0 at first.
///
/// `w <- w - rate sign(b1 m + (1 - b1) g)`, `m <- b2 m + (1 - b2) g`.
pub fn step(ctx: &Context, options: &LionOptions, update: Update<'_>, momentum: &mut [f32]) {
    let betas = [options.beta_1 as f32, options.beta_2 as f32];
    let rule = Lion { learning_rate: update.learning_rate, kept: betas, added: betas.map(|beta| 1.0 - beta) };
    drive::dense(ctx, update, options.weight_decay, [momentum], rule);
}
