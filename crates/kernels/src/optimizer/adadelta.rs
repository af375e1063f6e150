//! Adadelta.
use super::{
    RowUpdate, Update,
    drive::{self, Rule},
    settle::{self, kept, step_number},
};
use crate::{Context, simd::Lanes};

/// Options of [`step`].
#[derive(Clone, Copy, Debug)]
pub struct AdadeltaOptions {
    /// Decay of the averages. Default 0.95.
    pub rho: f64,
    /// Inside both roots. Default 1e-7.
    pub epsilon: f64,
    /// Weights lose `weight * weight_decay * learning_rate` before a step. Default 0.
    pub weight_decay: f64,
}

impl Default for AdadeltaOptions {
    fn default() -> Self {
        Self { rho: 0.95, epsilon: 1e-7, weight_decay: 0.0 }
    }
}

/// State of [`step`]: each slice as long as the weights, 0 at first.
#[derive(Debug)]
pub struct AdadeltaState<'a> {
    /// Average of the squared gradients.
    pub gradient: &'a mut [f32],
    /// Average of the squared changes.
    pub change: &'a mut [f32],
}

#[derive(Clone, Copy)]
struct Adadelta {
    learning_rate: f32,
    /// What the averages kept over steps in which a row was left alone: 1, or a power of rho.
    missed: f32,
    kept: f32,
    added: f32,
    epsilon: f32,
}

impl Adadelta {
    fn new(options: &AdadeltaOptions, learning_rate: f32) -> Self {
        Self {
            learning_rate,
            missed: 1.0,
            kept: options.rho as f32,
            added: (1.0 - options.rho) as f32,
            epsilon: options.epsilon as f32,
        }
    }
}

impl Rule<2> for Adadelta {
    #[inline(always)]
    unsafe fn update<L: Lanes>(self, weight: L, gradient: L, [squares, changes]: [L; 2]) -> (L, [L; 2]) {
        // SAFETY: as the caller.
        unsafe {
            let (kept, added, epsilon) = (L::splat(self.kept), L::splat(self.added), L::splat(self.epsilon));
            let (squares, changes) = (squares.mul(L::splat(self.missed)), changes.mul(L::splat(self.missed)));
            let squares = kept.mul(squares).add(added.mul(gradient.mul(gradient)));
            let change = changes.add(epsilon).sqrt().mul(gradient).div(squares.add(epsilon).sqrt());
            let changes = kept.mul(changes).add(added.mul(change.mul(change)));
            (weight.sub(L::splat(self.learning_rate).mul(change)), [squares, changes])
        }
    }
}

/// One step.
///
/// `a <- rho a + (1 - rho) g^2`, `x = g sqrt(d + epsilon) / sqrt(a + epsilon)`, `d <- rho d + (1 - rho) x^2`,
/// `w <- w - rate x`.
pub fn step(ctx: &Context, options: &AdadeltaOptions, update: Update<'_>, state: AdadeltaState<'_>) {
    let rule = Adadelta::new(options, update.learning_rate);
    drive::dense(ctx, update, options.weight_decay, [state.gradient, state.change], rule);
}

/// One step without weight decay on the rows that have a gradient. A row without one does not move under the dense rule,
/// its averages only decay; here they decay when the row is next touched, so that the result is that of the dense rule
/// but for rounding. `last` holds for each row up to which step its averages are decayed, 0 at first.
pub fn step_rows(
    ctx: &Context,
    options: &AdadeltaOptions,
    update: RowUpdate<'_>,
    state: AdadeltaState<'_>,
    last: &mut [u32],
) {
    let before = step_number(update.iteration);
    assert!(options.weight_decay == 0.0, "adadelta: rows know no weight decay");
    assert_eq!(last.len() * update.width, update.table.len(), "adadelta: one step number a row is needed");
    let (rule, gradients) = (Adadelta::new(options, update.learning_rate), update.gradients);
    drive::rows(ctx, update, 0.0, [state.gradient, state.change], |row| Adadelta {
        missed: kept(options.rho, last[row], before),
        ..rule
    });
    settle::touch(last, &gradients.rows, before.saturating_add(1));
}

/// Decays the averages of every row up to step `iteration`, after which the dense [`step`] may follow.
pub fn settle_rows(
    options: &AdadeltaOptions,
    width: usize,
    iteration: u64,
    state: AdadeltaState<'_>,
    last: &mut [u32],
) {
    settle::settle(options.rho, width, iteration, &mut [state.gradient, state.change], last);
}
