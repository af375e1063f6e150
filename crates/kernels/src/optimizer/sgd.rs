//! Stochastic gradient descent, with momentum.
use super::{
    RowUpdate, Update,
    drive::{self, Rule},
};
use crate::{Context, simd::Lanes};

/// Options of [`step`].
#[derive(Clone, Copy, Debug, Default)]
pub struct SgdOptions {
    /// In `0..=1`; 0: none. Default 0.
    pub momentum: f64,
    /// Nesterov's momentum. Default `false`.
    pub nesterov: bool,
    /// Weights lose `weight * weight_decay * learning_rate` before a step. Default 0.
    pub weight_decay: f64,
}

#[derive(Clone, Copy)]
pub(super) struct Plain {
    pub(super) learning_rate: f32,
}

impl Rule<0> for Plain {
    #[inline(always)]
    unsafe fn update<L: Lanes>(self, weight: L, gradient: L, state: [L; 0]) -> (L, [L; 0]) {
        // SAFETY: as the caller.
        unsafe { (weight.sub(gradient.mul(L::splat(self.learning_rate))), state) }
    }
}

#[derive(Clone, Copy)]
struct Momentum {
    learning_rate: f32,
    momentum: f32,
    nesterov: bool,
}

impl Rule<1> for Momentum {
    #[inline(always)]
    unsafe fn update<L: Lanes>(self, weight: L, gradient: L, [velocity]: [L; 1]) -> (L, [L; 1]) {
        // SAFETY: as the caller.
        unsafe {
            let change = gradient.mul(L::splat(self.learning_rate));
            let velocity = velocity.mul(L::splat(self.momentum)).sub(change);
            let step = if self.nesterov { velocity.mul(L::splat(self.momentum)).sub(change) } else { velocity };
            (weight.add(step), [velocity])
        }
    }
}

/// One step. `velocity` (Keras' `momentum` variable, as long as the weights, 0 at first) is needed if `momentum` is
/// not 0.
///
/// `v <- momentum v - rate g`, `w <- w + v`; Nesterov: `w <- w + momentum v - rate g`; without momentum
/// `w <- w - rate g`.
pub fn step(ctx: &Context, options: &SgdOptions, update: Update<'_>, velocity: Option<&mut [f32]>) {
    let learning_rate = update.learning_rate;
    if options.momentum == 0.0 {
        drive::dense(ctx, update, options.weight_decay, [], Plain { learning_rate });
        return;
    }
    let Some(velocity) = velocity else { panic!("sgd: momentum needs a velocity slice") };
    let rule = Momentum { learning_rate, momentum: options.momentum as f32, nesterov: options.nesterov };
    drive::dense(ctx, update, options.weight_decay, [velocity], rule);
}

/// One step without momentum and weight decay on the rows that have a gradient: exactly the dense step.
pub fn step_rows(ctx: &Context, update: RowUpdate<'_>) {
    let learning_rate = update.learning_rate;
    drive::rows(ctx, update, 0.0, [], |_| Plain { learning_rate });
}
