//! RMSprop.
use super::{
    RowUpdate, Update,
    drive::{self, Rule},
    settle::{self, kept, step_number},
};
use crate::{Context, simd::Lanes};

/// Options of [`step`].
#[derive(Clone, Copy, Debug)]
pub struct RmspropOptions {
    /// Decay of the averages. Default 0.9.
    pub rho: f64,
    /// Momentum of the increments; 0: none. Default 0.
    pub momentum: f64,
    /// Inside the root. Default 1e-7.
    pub epsilon: f64,
    /// Divide by the variance instead of the second moment. Default `false`.
    pub centered: bool,
    /// Weights lose `weight * weight_decay * learning_rate` before a step. Default 0.
    pub weight_decay: f64,
}

impl Default for RmspropOptions {
    fn default() -> Self {
        Self { rho: 0.9, momentum: 0.0, epsilon: 1e-7, centered: false, weight_decay: 0.0 }
    }
}

/// State of [`step`]: each slice as long as the weights, 0 at first.
#[derive(Debug)]
pub struct RmspropState<'a> {
    /// Average of the squared gradients.
    pub velocity: &'a mut [f32],
    /// Needed if `momentum` is not 0.
    pub momentum: Option<&'a mut [f32]>,
    /// Average of the gradients; needed if `centered`.
    pub average_gradient: Option<&'a mut [f32]>,
}

/// State: velocity, then momentum if there is one, then the average gradient if there is one.
#[derive(Clone, Copy)]
struct Rmsprop<const MOMENTUM: bool, const CENTERED: bool> {
    learning_rate: f32,
    /// What the averages keep: rho, or a power of it for a row that was not touched for some steps.
    kept: f32,
    added: f32,
    momentum: f32,
    epsilon: f32,
}

impl<const MOMENTUM: bool, const CENTERED: bool> Rmsprop<MOMENTUM, CENTERED> {
    fn new(options: &RmspropOptions, learning_rate: f32) -> Self {
        Self {
            learning_rate,
            kept: options.rho as f32,
            added: (1.0 - options.rho) as f32,
            momentum: options.momentum as f32,
            epsilon: options.epsilon as f32,
        }
    }
}

impl<const MOMENTUM: bool, const CENTERED: bool, const N: usize> Rule<N> for Rmsprop<MOMENTUM, CENTERED> {
    #[inline(always)]
    unsafe fn update<L: Lanes>(self, weight: L, gradient: L, mut state: [L; N]) -> (L, [L; N]) {
        // SAFETY: as the caller.
        unsafe {
            let (kept, added) = (L::splat(self.kept), L::splat(self.added));
            let velocity = kept.mul(state[0]).add(added.mul(gradient.mul(gradient)));
            state[0] = velocity;
            let mut denominator = velocity;
            if CENTERED {
                let average = kept.mul(state[N - 1]).add(added.mul(gradient));
                state[N - 1] = average;
                denominator = denominator.sub(average.mul(average));
            }
            denominator = denominator.add(L::splat(self.epsilon));
            let mut step = L::splat(self.learning_rate).mul(gradient).div(denominator.sqrt());
            if MOMENTUM {
                step = L::splat(self.momentum).mul(state[1]).add(step);
                state[1] = step;
            }
            (weight.sub(step), state)
        }
    }
}

/// One step.
///
/// `v <- rho v + (1 - rho) g^2`, `w <- w - rate g / sqrt(v + epsilon)`; centred: `a <- rho a + (1 - rho) g` and
/// `sqrt(v - a^2 + epsilon)`; with momentum: `m <- momentum m + rate g / sqrt(..)`, `w <- w - m`.
pub fn step(ctx: &Context, options: &RmspropOptions, update: Update<'_>, state: RmspropState<'_>) {
    let (rate, decay) = (update.learning_rate, options.weight_decay);
    let RmspropState { velocity, momentum, average_gradient } = state;
    let momentum = momentum.filter(|_| options.momentum != 0.0);
    let average_gradient = average_gradient.filter(|_| options.centered);
    assert_eq!(momentum.is_some(), options.momentum != 0.0, "rmsprop: momentum needs its slice");
    assert_eq!(average_gradient.is_some(), options.centered, "rmsprop: centering needs the average gradient");
    match (momentum, average_gradient) {
        (None, None) => drive::dense(ctx, update, decay, [velocity], Rmsprop::<false, false>::new(options, rate)),
        (Some(m), None) => drive::dense(ctx, update, decay, [velocity, m], Rmsprop::<true, false>::new(options, rate)),
        (None, Some(a)) => drive::dense(ctx, update, decay, [velocity, a], Rmsprop::<false, true>::new(options, rate)),
        (Some(m), Some(a)) => {
            drive::dense(ctx, update, decay, [velocity, m, a], Rmsprop::<true, true>::new(options, rate));
        }
    }
}

/// State of [`step_rows`]: slices `[V, D]`, and one step number a row.
#[derive(Debug)]
pub struct RmspropRowState<'a> {
    /// Average of the squared gradients.
    pub velocity: &'a mut [f32],
    /// Average of the gradients; needed if `centered`.
    pub average_gradient: Option<&'a mut [f32]>,
    /// `[V]`: up to which step the averages of a row are decayed, 0 at first.
    pub last: &'a mut [u32],
}

/// One step without momentum and weight decay on the rows that have a gradient. A row without one does not move under
/// the dense rule, its averages only decay; here they decay when the row is next touched, so that the result is that of
/// the dense rule but for rounding.
pub fn step_rows(ctx: &Context, options: &RmspropOptions, update: RowUpdate<'_>, state: RmspropRowState<'_>) {
    let RmspropRowState { velocity, average_gradient, last } = state;
    let now = step_number(update.iteration.saturating_add(1));
    assert!(options.momentum == 0.0 && options.weight_decay == 0.0, "rmsprop: rows know no momentum and no decay");
    assert_eq!(last.len() * update.width, update.table.len(), "rmsprop: one step number a row is needed");
    let average_gradient = average_gradient.filter(|_| options.centered);
    assert_eq!(average_gradient.is_some(), options.centered, "rmsprop: centering needs the average gradient");
    let (rate, gradients) = (update.learning_rate, update.gradients);
    match average_gradient {
        None => drive::rows(ctx, update, 0.0, [velocity], |row| Rmsprop::<false, false> {
            kept: kept(options.rho, last[row], now),
            ..Rmsprop::new(options, rate)
        }),
        Some(average) => drive::rows(ctx, update, 0.0, [velocity, average], |row| Rmsprop::<false, true> {
            kept: kept(options.rho, last[row], now),
            ..Rmsprop::new(options, rate)
        }),
    }
    settle::touch(last, &gradients.rows, now);
}

/// Decays the averages of every row up to step `iteration`, after which the dense [`step`] may follow.
pub fn settle_rows(options: &RmspropOptions, width: usize, iteration: u64, state: RmspropRowState<'_>) {
    let RmspropRowState { velocity, average_gradient, last } = state;
    match average_gradient {
        None => settle::settle(options.rho, width, iteration, &mut [velocity], last),
        Some(average) => settle::settle(options.rho, width, iteration, &mut [velocity, average], last),
    }
}
