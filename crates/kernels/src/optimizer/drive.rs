//! Runs a rule for one weight over all weights, or over rows of a table.
use super::{RowUpdate, Update};
use crate::{
    Context,
    pieces::{PIECE, for_pieces, load_at, store_at},
    shared::Shared,
    simd::{Kernel, LANES, Lanes},
};

/// The update of a weight with `N` numbers of state.
pub(super) trait Rule<const N: usize>: Copy + Sync {
    /// New weight and state. Must be `#[inline(always)]`.
    ///
    /// # Safety
    /// Only called where the instruction set of `L` is available.
    unsafe fn update<L: Lanes>(self, weight: L, gradient: L, state: [L; N]) -> (L, [L; N]);
}

/// What happens before the rule.
#[derive(Clone, Copy)]
pub(super) struct Before {
    gradient_factor: f32,
    weight_decay: f32,
    learning_rate: f32,
}

struct Run<'a, R, const N: usize> {
    rule: R,
    before: Before,
    weights: &'a mut [f32],
    gradients: &'a [f32],
    state: [&'a mut [f32]; N],
}

impl<R: Rule<N>, const N: usize> Kernel for Run<'_, R, N> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let length = self.weights.len();
        assert!(self.gradients.len() == length && self.state.iter().all(|state| state.len() == length));
        let mut at = 0;
        while at < length {
            // SAFETY: `at` is inside all slices, which have one length.
            unsafe {
                let mut weight: L = load_at(self.weights, at);
                let gradient = load_at::<L>(self.gradients, at).mul(L::splat(self.before.gradient_factor));
                let mut state = [L::splat(0.0); N];
                let mut slot = 0;
                while slot < N {
                    state[slot] = load_at(self.state[slot], at);
                    slot += 1;
                }
                if self.before.weight_decay != 0.0 {
                    let decay = weight.mul(L::splat(self.before.weight_decay));
                    weight = weight.sub(decay.mul(L::splat(self.before.learning_rate)));
                }
                let (weight, state) = self.rule.update(weight, gradient, state);
                store_at(self.weights, at, weight);
                let mut slot = 0;
                while slot < N {
                    store_at(self.state[slot], at, state[slot]);
                    slot += 1;
                }
            }
            at += LANES;
        }
    }
}

/// Applies a rule to every weight.
pub(super) fn dense<R: Rule<N>, const N: usize>(
    ctx: &Context,
    update: Update<'_>,
    weight_decay: f64,
    state: [&mut [f32]; N],
    rule: R,
) {
    let Update { weights, gradients, learning_rate, gradient_factor, .. } = update;
    let length = weights.len();
    assert_eq!(gradients.len(), length, "optimizer: one gradient a weight is needed");
    assert!(state.iter().all(|state| state.len() == length), "optimizer: a state slice differs from the weights");
    let before = Before { gradient_factor, weight_decay: weight_decay as f32, learning_rate };
    let weights = Shared::new(weights);
    let state = state.map(Shared::new);
    for_pieces(ctx, length, |start, length| {
        // SAFETY: pieces do not overlap.
        let (weights, state) = unsafe { (weights.part(start, length), state.map(|state| state.part(start, length))) };
        ctx.simd.run(Run { rule, before, weights, gradients: &gradients[start..][..length], state });
    });
}

/// Applies `rule(row)` to the rows that have a gradient.
pub(super) fn rows<R: Rule<N>, const N: usize>(
    ctx: &Context,
    update: RowUpdate<'_>,
    weight_decay: f64,
    state: [&mut [f32]; N],
    rule: impl Fn(usize) -> R + Sync,
) {
    let RowUpdate { table, width, gradients, learning_rate, gradient_factor, .. } = update;
    assert!(width > 0 && table.len().is_multiple_of(width), "optimizer: the table is not [V, D]");
    assert!(state.iter().all(|state| state.len() == table.len()), "optimizer: a state slice differs from the table");
    gradients.check(table.len() / width, width);
    let before = Before { gradient_factor, weight_decay: weight_decay as f32, learning_rate };
    let table = Shared::new(table);
    let state = state.map(Shared::new);
    let step = (PIECE / width).max(1);
    ctx.pool.run(gradients.rows.len().div_ceil(step), &|piece| {
        for index in piece * step..gradients.rows.len().min((piece + 1) * step) {
            let row = gradients.rows[index] as usize;
            let start = row * width;
            // SAFETY: rows are unique (checked above), and a row belongs to one piece.
            let (weights, state) = unsafe { (table.part(start, width), state.map(|state| state.part(start, width))) };
            let gradients = &gradients.values[index * width..][..width];
            ctx.simd.run(Run { rule: rule(row), before, weights, gradients, state });
        }
    });
}
