//! "Follow the regularised leader" with penalties of its own.
use super::{
    Update,
    drive::{self, Rule},
};
use crate::{
    Context,
    simd::{LANES, Lanes},
};

/// Options of [`step`].
#[derive(Clone, Copy, Debug)]
pub struct FtrlOptions {
    /// Power of the sums that the learning rate is multiplied by, at most 0. Default -0.5.
    pub learning_rate_power: f64,
    /// Default 0.
    pub l1: f64,
    /// Default 0.
    pub l2: f64,
    /// A penalty that is added to the gradient, but not to its sums. Default 0.
    pub l2_shrinkage: f64,
    /// Default 0.
    pub beta: f64,
    /// Weights lose `weight * weight_decay * learning_rate` before a step. Default 0.
    pub weight_decay: f64,
}

impl Default for FtrlOptions {
    fn default() -> Self {
        Self { learning_rate_power: -0.5, l1: 0.0, l2: 0.0, l2_shrinkage: 0.0, beta: 0.0, weight_decay: 0.0 }
    }
}

/// State of [`step`]: each slice as long as the weights.
#[derive(Debug)]
pub struct FtrlState<'a> {
    /// Sum of the squared gradients; at first it holds `initial_accumulator_value` (Keras: 0.1).
    pub accumulator: &'a mut [f32],
    /// Sum of the gradients, corrected by the weights; 0 at first.
    pub linear: &'a mut [f32],
}

#[derive(Clone, Copy)]
struct Ftrl {
    learning_rate: f32,
    /// `None`: a root.
    power: Option<f32>,
    shrinkage: f32,
    l1: f32,
    twice_l2: f32,
}

impl Ftrl {
    #[inline(always)]
    unsafe fn raised<L: Lanes>(self, x: L) -> L {
        // SAFETY: as the caller; the array has room for all lanes.
        unsafe {
            let Some(power) = self.power else { return x.sqrt() };
            let mut values = [0.0f32; LANES];
            x.store(values.as_mut_ptr());
            values.iter_mut().for_each(|value| *value = value.powf(power));
            L::load(values.as_ptr())
        }
    }
}

impl Rule<2> for Ftrl {
    #[inline(always)]
    unsafe fn update<L: Lanes>(self, weight: L, gradient: L, [accumulator, linear]: [L; 2]) -> (L, [L; 2]) {
        // SAFETY: as the caller.
        unsafe {
            let rate = L::splat(self.learning_rate);
            let shrunk = gradient.add(L::splat(self.shrinkage).mul(weight));
            let sum = accumulator.add(gradient.mul(gradient));
            let raised = self.raised(sum);
            let linear = linear.add(shrunk.sub(raised.sub(self.raised(accumulator)).div(rate).mul(weight)));
            let quadratic = raised.div(rate).add(L::splat(self.twice_l2));
            // In this order a NaN stays.
            let clipped = L::splat(-self.l1).max(L::splat(self.l1).min(linear));
            (clipped.sub(linear).div(quadratic), [sum, linear])
        }
    }
}

/// One step; a weight depends on the sums alone, so that one without any gradient becomes 0.
///
/// `n' = n + g^2`, `z <- z + g + 2 shrinkage w - (n'^-p - n^-p) / rate w`,
/// `w <- (clip(z, -l1, l1) - z) / (n'^-p / rate + 2 (l2 + beta / (2 rate)))`, `n <- n'` with p the power of the learning
/// rate.
pub fn step(ctx: &Context, options: &FtrlOptions, update: Update<'_>, state: FtrlState<'_>) {
    let learning_rate = update.learning_rate;
    let rule = Ftrl {
        learning_rate,
        power: (options.learning_rate_power != -0.5).then_some(-options.learning_rate_power as f32),
        shrinkage: (2.0 * options.l2_shrinkage) as f32,
        l1: options.l1 as f32,
        twice_l2: 2.0 * (options.l2 as f32 + options.beta as f32 / (2.0 * learning_rate)),
    };
    drive::dense(ctx, update, options.weight_decay, [state.accumulator, state.linear], rule);
}
