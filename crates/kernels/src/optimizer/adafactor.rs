//! Adafactor: second moments as the product of a column and a row.
use super::{
    Update,
    drive::{self, Rule},
    sgd::Plain,
};
use crate::{
    Context,
    buffer::Buffer,
    clip,
    pieces::{load_at, store_at},
    reduce,
    shared::Shared,
    simd::{Kernel, LANES, Lanes},
    squares,
};

/// Options of [`step`].
#[derive(Clone, Copy, Debug)]
pub struct AdafactorOptions {
    /// The averages keep `1 - t^beta_2_decay` of themselves. Default -0.8.
    pub beta_2_decay: f64,
    /// Added to squared gradients. Default 1e-30.
    pub epsilon_1: f64,
    /// The weights count as at least this large. Default 1e-3.
    pub epsilon_2: f64,
    /// Root mean square that a direction has at most. Default 1.
    pub clip_threshold: f64,
    /// Weights lose `weight * weight_decay * learning_rate` before a step. Default 0.
    pub weight_decay: f64,
}

impl Default for AdafactorOptions {
    fn default() -> Self {
        Self { beta_2_decay: -0.8, epsilon_1: 1e-30, epsilon_2: 1e-3, clip_threshold: 1.0, weight_decay: 0.0 }
    }
}

/// State of [`step`], 0 at first.
#[derive(Debug)]
pub enum AdafactorState<'a> {
    /// Of a weight of at least two axes `[.., rows, columns]`.
    Factored {
        /// Length of the last axis.
        columns: usize,
        /// Length of the axis before.
        rows: usize,
        /// `[.., rows]`: averages over columns.
        of_rows: &'a mut [f32],
        /// `[.., columns]`: averages over rows.
        of_columns: &'a mut [f32],
    },
    /// Of a vector: the average of the squared gradients.
    Whole(&'a mut [f32]),
}

/// State: the average, and the direction of the step.
#[derive(Clone, Copy)]
struct Direction {
    kept: f32,
    added: f32,
    epsilon: f32,
}

impl Rule<2> for Direction {
    #[inline(always)]
    unsafe fn update<L: Lanes>(self, weight: L, gradient: L, [average, _]: [L; 2]) -> (L, [L; 2]) {
        // SAFETY: as the caller.
        unsafe {
            let square = gradient.mul(gradient).add(L::splat(self.epsilon));
            let average = L::splat(self.kept).mul(average).add(L::splat(self.added).mul(square));
            (weight, [average, gradient.div(average.sqrt())])
        }
    }
}

/// The direction of one row.
struct Row<'a> {
    gradients: &'a [f32],
    direction: &'a mut [f32],
    of_columns: &'a [f32],
    /// Of the row, divided by the mean of all.
    of_row: f32,
    factor: f32,
}

impl Kernel for Row<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let mut at = 0;
        while at < self.gradients.len() {
            // SAFETY: `at` is inside all slices, which have one length.
            unsafe {
                let gradient = load_at::<L>(self.gradients, at).mul(L::splat(self.factor));
                let square = L::splat(self.of_row).mul(load_at(self.of_columns, at));
                store_at(self.direction, at, gradient.div(square.sqrt()));
            }
            at += LANES;
        }
    }
}

/// One step.
///
/// With `t` counting from 1, `b = 1 - t^beta_2_decay` and `s = g^2 + epsilon_1`: `r <- b r + (1 - b) mean(s)` over
/// columns, `c` likewise over rows, `v = r c / mean(r)` (for a vector `v <- b v + (1 - b) s`), `u = g / sqrt(v)`,
/// `w <- w - max(epsilon_2, rms(w)) min(rate, 1 / sqrt(t)) u / max(1, rms(u) / clip_threshold)`. That `v` is the same
/// for a matrix and its transpose but for rounding.
pub fn step(ctx: &Context, options: &AdafactorOptions, update: Update<'_>, state: AdafactorState<'_>) {
    let Update { weights, gradients, learning_rate, iteration, gradient_factor } = update;
    assert_eq!(gradients.len(), weights.len(), "adafactor: one gradient a weight is needed");
    if weights.is_empty() {
        return;
    }
    if options.weight_decay != 0.0 {
        reduce::scale(ctx, weights, 1.0 - options.weight_decay as f32 * learning_rate);
    }
    let time = iteration.saturating_add(1) as f32;
    let kept = 1.0 - f64::from(time).powf(options.beta_2_decay) as f32;
    let mut direction = Buffer::zeros(weights.len());
    match state {
        AdafactorState::Whole(average) => {
            let rule = Direction { kept, added: 1.0 - kept, epsilon: options.epsilon_1 as f32 };
            let update = Update { weights: &mut *weights, gradients, learning_rate, iteration, gradient_factor };
            drive::dense(ctx, update, 0.0, [average, &mut direction], rule);
        }
        AdafactorState::Factored { rows, columns, of_rows, of_columns } => {
            let size = rows * columns;
            assert!(size > 0 && weights.len().is_multiple_of(size), "adafactor: the weight is not [.., rows, columns]");
            let count = weights.len() / size;
            assert!(of_rows.len() == count * rows && of_columns.len() == count * columns, "adafactor: state");
            let matrices = gradients.chunks_exact(size).zip(direction.chunks_exact_mut(size));
            let averages = of_rows.chunks_exact_mut(rows).zip(of_columns.chunks_exact_mut(columns));
            for ((gradients, direction), (of_rows, of_columns)) in matrices.zip(averages) {
                factored(ctx, options, (gradients, gradient_factor), kept, (of_rows, of_columns), direction);
            }
        }
    }
    let rms = |x: &[f32]| (clip::sum_of_squares(ctx, x) / x.len() as f64).sqrt() as f32;
    let step = learning_rate.min(1.0 / time.sqrt());
    let alpha = (options.epsilon_2 as f32).max(rms(weights)) * step;
    let above = (rms(&direction) / options.clip_threshold as f32).max(1.0);
    let update = Update { weights, gradients: &direction, learning_rate, iteration, gradient_factor: 1.0 };
    drive::dense(ctx, update, 0.0, [], Plain { learning_rate: alpha / above });
}

/// New averages of one matrix, and its direction.
fn factored(
    ctx: &Context,
    options: &AdafactorOptions,
    (gradients, factor): (&[f32], f32),
    kept: f32,
    (of_rows, of_columns): (&mut [f32], &mut [f32]),
    direction: &mut [f32],
) {
    let columns = of_columns.len();
    let average = |averages: &mut [f32], sums: Vec<f64>, count: usize| {
        for (average, sum) in averages.iter_mut().zip(sums) {
            let mean = sum / count as f64 * f64::from(factor).powi(2) + options.epsilon_1;
            *average = kept * *average + (1.0 - kept) * mean as f32;
        }
    };
    average(of_rows, squares::of_rows(ctx, gradients, columns), columns);
    average(of_columns, squares::of_columns(ctx, gradients, columns), of_rows.len());
    let mean = (of_rows.iter().map(|&x| f64::from(x)).sum::<f64>() / of_rows.len() as f64) as f32;
    let shared = Shared::new(direction);
    let step = squares::rows_per_piece(of_rows.len(), columns);
    ctx.pool.run(of_rows.len().div_ceil(step), &|piece| {
        for row in piece * step..of_rows.len().min((piece + 1) * step) {
            // SAFETY: a row belongs to one piece.
            let direction = unsafe { shared.part(row * columns, columns) };
            let gradients = &gradients[row * columns..][..columns];
            ctx.simd.run(Row { gradients, direction, of_columns, of_row: of_rows[row] / mean, factor });
        }
    });
}
