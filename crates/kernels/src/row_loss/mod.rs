//! Losses between a row of the output and a row of its target: means or sums over elements, and functions of a whole row.
//!
//! # Source
//! `keras/src/losses/losses.py` of Keras 3.15.
mod element;
mod whole;

use crate::{
    Context, Destination,
    pieces::PIECE,
    shared::Shared,
    simd::{Kernel, LANES, Lanes},
};

/// A loss of one row of `width` elements `x` with targets `y`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum RowLoss {
    /// Mean of `-y log p - (1 - y) log(1 - p)`, with `p` clipped to `1e-7..=1 - 1e-7`.
    BinaryCrossentropy {
        /// Whether `x` holds logits; then `p` is their sigmoid, and nothing is clipped.
        from_logits: bool,
        /// `e` in the smoothed targets `y (1 - e) + e / 2`, 0 to 1.
        label_smoothing: f32,
    },
    /// Mean of `(x - y)^2`.
    MeanSquaredError,
    /// Mean of `|x - y|`.
    MeanAbsoluteError,
    /// 100 times the mean of `|x - y| / max(|y|, 1e-7)`.
    MeanAbsolutePercentageError,
    /// Mean of `(log(1 + x) - log(1 + y))^2`, with `x` and `y` at least 1e-7.
    MeanSquaredLogarithmicError,
    /// Mean of `(x - y)^2 / 2` where `|x - y| <= delta`, of `delta |x - y| - delta^2 / 2` elsewhere.
    Huber {
        /// Where the parabola becomes a line, above 0.
        delta: f32,
    },
    /// Mean of `log(cosh(x - y))`.
    LogCosh,
    /// Mean of `x - y log(x + 1e-7)`.
    Poisson,
    /// Mean of `max(1 - y x, 0)`.
    Hinge,
    /// Mean of `max(1 - y x, 0)^2`.
    SquaredHinge,
    /// Sum of `y log(y / x)`, both clipped to `1e-7..=1`.
    KlDivergence,
    /// Minus the cosine of the angle between `x` and `y`; lengths below 1e-7 count as 1e-7.
    CosineSimilarity,
    /// `max(max((1 - y) x) - sum(y x) + 1, 0)`.
    CategoricalHinge,
}

impl RowLoss {
    /// Whether a row's loss is the mean of those of its elements, so that it does not matter how elements are put into rows.
    #[must_use]
    pub fn is_mean(self) -> bool {
        !matches!(self, Self::KlDivergence | Self::CosineSimilarity | Self::CategoricalHinge)
    }

    /// Factor of the sum over the elements of a row.
    fn factor(self, width: usize) -> f64 {
        match self {
            Self::KlDivergence => 1.0,
            Self::MeanAbsolutePercentageError => 100.0 / width as f64,
            _ => 1.0 / width as f64,
        }
    }
}

/// Operands of [`row_loss`].
#[derive(Clone, Copy, Debug)]
pub struct RowLossInputs<'a> {
    /// Output: `[rows, width]`.
    pub x: &'a [f32],
    /// Targets: `[rows, width]`.
    pub y: &'a [f32],
    /// Weight of each row: `[rows]`. Rows with weight 0 are skipped.
    pub row_weights: &'a [f32],
    /// Factor on the gradient.
    pub gradient_scale: f32,
}

/// Results of [`row_loss`].
#[derive(Debug)]
pub struct RowLossOutputs<'a> {
    /// Unweighted loss of each row: `[rows]`; 0 for rows with weight 0, NaN if an element of the row is.
    pub row_loss: &'a mut [f32],
    /// Gradient of `gradient_scale * sum_r row_weight_r * row_loss_r` by `x`, if it is wanted: `[rows, width]`.
    pub dx: Option<Destination<'a>>,
}

/// Elements that are summed in single precision before they are added to the rest.
const BLOCK: usize = 8 * LANES;

/// Where the gradient of a row goes.
struct Slope<'a> {
    dx: &'a mut [f32],
    accumulate: bool,
    /// Factor of the gradient.
    scale: f32,
}

/// The first `count` lanes (all if there are more), zeros behind them.
///
/// # Safety
/// The instruction set of `L` is available.
#[inline(always)]
unsafe fn first_lanes<L: Lanes>(lanes: L, count: usize) -> L {
    if count >= LANES {
        return lanes;
    }
    // SAFETY: as the caller.
    unsafe { lanes.select(L::mask_from_bits((1u16 << count) - 1), L::splat(0.0)) }
}

/// The sum of the lanes.
///
/// # Safety
/// The instruction set of `L` is available.
#[inline(always)]
unsafe fn total<L: Lanes>(lanes: L) -> f64 {
    let mut values = [0.0f32; LANES];
    // SAFETY: an array of 16.
    unsafe { lanes.store(values.as_mut_ptr()) };
    values.into_iter().map(f64::from).sum()
}

/// Rows of one piece.
struct Rows<'a> {
    function: RowLoss,
    width: usize,
    x: &'a [f32],
    y: &'a [f32],
    weights: &'a [f32],
    loss: &'a mut [f32],
    dx: Option<&'a mut [f32]>,
    accumulate: bool,
    scale: f32,
}

impl Kernel for Rows<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<L: Lanes>(mut self) {
        let width = self.width;
        for (row, loss) in self.loss.iter_mut().enumerate() {
            let range = row * width..(row + 1) * width;
            let dx = self.dx.as_deref_mut().map(|dx| &mut dx[range.clone()]);
            if self.weights[row] == 0.0 {
                *loss = 0.0;
                dx.filter(|_| !self.accumulate).into_iter().for_each(|dx| dx.fill(0.0));
                continue;
            }
            let slope = dx.map(|dx| Slope { dx, accumulate: self.accumulate, scale: self.scale * self.weights[row] });
            let (x, y) = (&self.x[range.clone()], &self.y[range]);
            // SAFETY: as the caller; all slices have the length of a row.
            *loss = unsafe {
                match self.function {
                    RowLoss::CosineSimilarity => whole::cosine::<L>(x, y, slope),
                    RowLoss::CategoricalHinge => whole::categorical_hinge(x, y, slope),
                    function => element::row::<L>(function, x, y, slope),
                }
            };
        }
    }
}

/// Loss and gradient of each row, in one pass.
///
/// # Shapes
/// See [`RowLossInputs`] and [`RowLossOutputs`]; there are as many rows as weights.
///
/// # Gradient
/// 0 at kinks (`|x - y|` at 0, hinges where they reach 0), and 0 where `x` is clipped.
///
/// # Panics
/// If a slice has another length.
pub fn row_loss(
    ctx: &Context,
    function: RowLoss,
    width: usize,
    inputs: &RowLossInputs<'_>,
    outputs: RowLossOutputs<'_>,
) {
    let RowLossInputs { x, y, row_weights, gradient_scale } = *inputs;
    let RowLossOutputs { row_loss, dx } = outputs;
    let rows = row_weights.len();
    assert_eq!(x.len(), rows * width, "row loss: length of x");
    assert_eq!(y.len(), x.len(), "row loss: length of y");
    assert_eq!(row_loss.len(), rows, "row loss: length of row_loss");
    assert!(dx.as_ref().is_none_or(|dx| dx.data.len() == x.len()), "row loss: length of dx");
    let row_loss = Shared::new(row_loss);
    let dx = dx.map(|dx| (Shared::new(dx.data), dx.accumulate));
    let step = (PIECE / width.max(1)).max(1);
    ctx.pool.run(rows.div_ceil(step), &|piece| {
        let start = piece * step;
        let count = step.min(rows - start);
        let range = start * width..(start + count) * width;
        // SAFETY: a row belongs to one piece.
        let (loss, dx, accumulate) = unsafe {
            let accumulate = dx.as_ref().is_some_and(|(_, accumulate)| *accumulate);
            let dx = dx.as_ref().map(|(dx, _)| dx.part(range.start, range.len()));
            (row_loss.part(start, count), dx, accumulate)
        };
        ctx.simd.run(Rows {
            function,
            width,
            x: &x[range.clone()],
            y: &y[range],
            weights: &row_weights[start..start + count],
            loss,
            dx,
            accumulate,
            scale: gradient_scale,
        });
    });
}

#[cfg(test)]
mod reference;
#[cfg(test)]
mod tests;
