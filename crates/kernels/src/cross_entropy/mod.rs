//! Categorical cross-entropy of given logits or probabilities, where it cannot be fused with the layer that makes them.
//!
//! # Source
//! `categorical_crossentropy` of `keras/src/losses/losses.py` and `keras/src/backend/torch/nn.py` of Keras 3.15.
mod logits;
mod probabilities;

use crate::{
    Context, Destination,
    pieces::{PIECE, load_at},
    shared::Shared,
    simd::{LANES, Lanes},
    smoothing::{Smoothing, SmoothingDefinition},
    targets::{RowTarget, Targets},
};

/// Sizes of a cross-entropy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CrossEntropyShape {
    /// Rows, all leading dimensions together.
    pub rows: usize,
    /// Classes.
    pub classes: usize,
}

/// Variants of the loss.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CrossEntropyOptions {
    /// Whether `x` holds logits; otherwise probabilities (default `false`).
    pub from_logits: bool,
    /// The part of a target that is spread over the classes, 0 to 1 (default 0).
    pub label_smoothing: f32,
    /// How it is spread.
    pub definition: SmoothingDefinition,
    /// Factor on the gradient (default 1).
    pub gradient_scale: f32,
}

impl Default for CrossEntropyOptions {
    fn default() -> Self {
        Self { from_logits: false, label_smoothing: 0.0, definition: SmoothingDefinition::Keras, gradient_scale: 1.0 }
    }
}

/// Operands of [`cross_entropy`].
#[derive(Clone, Copy, Debug)]
pub struct CrossEntropyInputs<'a> {
    /// Logits or probabilities: `[rows, classes]`.
    pub x: &'a [f32],
    /// Targets.
    pub targets: Targets<'a>,
    /// Weight of each row: `[rows]`; without them all are 1. Rows with weight 0 are skipped.
    pub row_weights: Option<&'a [f32]>,
}

/// Results of [`cross_entropy`].
#[derive(Debug)]
pub struct CrossEntropyOutputs<'a> {
    /// Unweighted loss of each row: `[rows]`; 0 for rows with weight 0, NaN if an element of the row is.
    pub row_loss: &'a mut [f32],
    /// Class with the largest element, the lowest of equals: `[rows]`; 0 for rows with weight 0.
    pub row_prediction: &'a mut [u32],
    /// Gradient of `gradient_scale * sum_r row_weight_r * row_loss_r`, if it is wanted: `[rows, classes]`.
    pub dx: Option<Destination<'a>>,
}

/// Lanes that are summed before they are added to the rest, which keeps the error of long sums small.
const BLOCK: usize = 16 * LANES;

/// One row: its elements, its target, and where its gradient goes.
struct Row<'a> {
    x: &'a [f32],
    target: RowTarget<'a>,
    smoothing: Smoothing,
    /// Factor of the gradient.
    scale: f32,
    dx: Option<&'a mut [f32]>,
    accumulate: bool,
}

impl<'a> Row<'a> {
    /// Target of every class but that of an id.
    fn smoothed(&self) -> Smoothed<'a> {
        let y = match self.target {
            RowTarget::Id(_) => None,
            RowTarget::Probabilities(y) => Some(y),
        };
        let Smoothing { kept, spread, left_out } = self.smoothing;
        Smoothed { y, factor: kept as f32, addend: spread as f32, left_out }
    }
}

/// Targets `y factor + addend`; `y` is 0 if there is none, and one class has no addend.
#[derive(Clone, Copy)]
struct Smoothed<'a> {
    y: Option<&'a [f32]>,
    factor: f32,
    addend: f32,
    left_out: Option<usize>,
}

impl Smoothed<'_> {
    /// Whether every class has a target.
    fn is_everywhere(&self) -> bool {
        self.y.is_some() || self.addend != 0.0
    }
}

/// The largest of the lanes.
///
/// # Safety
/// The instruction set of `L` is available.
#[inline(always)]
unsafe fn largest<L: Lanes>(lanes: L) -> f32 {
    let mut values = [0.0f32; LANES];
    // SAFETY: an array of 16.
    unsafe { lanes.store(values.as_mut_ptr()) };
    values.into_iter().fold(f32::NEG_INFINITY, f32::max)
}

/// The sum of the lanes.
///
/// # Safety
/// The instruction set of `L` is available.
#[inline(always)]
unsafe fn total<L: Lanes>(lanes: L) -> f32 {
    let mut values = [0.0f32; LANES];
    // SAFETY: an array of 16.
    unsafe { lanes.store(values.as_mut_ptr()) };
    values.into_iter().sum()
}

/// Lanes `at..` of a slice, `padding` behind its end.
///
/// # Safety
/// The instruction set of `L` is available, and `at < from.len()`.
#[inline(always)]
unsafe fn load_padded<L: Lanes>(from: &[f32], at: usize, padding: f32) -> L {
    // SAFETY: inside the slice, or in an array of 16.
    unsafe {
        if from.len() - at >= LANES {
            return L::load(from.as_ptr().add(at));
        }
        let mut values = [padding; LANES];
        values[..from.len() - at].copy_from_slice(&from[at..]);
        L::load(values.as_ptr())
    }
}

/// The largest element that is a number.
///
/// # Safety
/// The instruction set of `L` is available.
#[inline(always)]
unsafe fn maximum<L: Lanes>(x: &[f32]) -> f32 {
    // SAFETY: `at` is inside the slice.
    unsafe {
        let mut most = L::splat(f32::NEG_INFINITY);
        let mut at = 0;
        while at < x.len() {
            // In this order a NaN does not replace what was found.
            most = load_padded::<L>(x, at, f32::NEG_INFINITY).max(most);
            at += LANES;
        }
        largest(most)
    }
}

/// Smoothed targets of lanes `at..`.
///
/// # Safety
/// The instruction set of `L` is available, and `at` is inside `y`.
#[inline(always)]
unsafe fn target<L: Lanes>(smoothed: Smoothed<'_>, at: usize) -> L {
    // SAFETY: as the caller.
    unsafe {
        let mut addend = L::splat(smoothed.addend);
        if let Some(lane) = smoothed.left_out.and_then(|class| class.checked_sub(at)).filter(|&lane| lane < LANES) {
            addend = L::splat(0.0).select(L::mask_from_bits(1u16 << lane), addend);
        }
        match smoothed.y {
            Some(y) => load_at::<L>(y, at).mul(L::splat(smoothed.factor)).add(addend),
            None => addend,
        }
    }
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

/// The first class with the largest element.
fn prediction(x: &[f32], most: f32) -> u32 {
    x.iter().position(|&x| x == most).unwrap_or(0) as u32
}

/// Loss, prediction and gradient of each row against its target.
///
/// With `y` the smoothed targets of a row, logits `z` give `sum_v y_v (logsumexp(z) - z_v)`. Probabilities are divided
/// by their sum and clipped to `1e-7..=1 - 1e-7`, then give `-sum_v y_v log p_v`.
///
/// # Shapes
/// See [`CrossEntropyInputs`] and [`CrossEntropyOutputs`].
///
/// # Gradient
/// `dz = scale * weight * (sum(y) softmax(z) - y)`. Probabilities: with `q = p / sum(p)` and `k_v` 1 where `q_v` is not
/// clipped, 0 where it is, `dp_v = scale * weight * (sum_j k_j y_j - k_v y_v / q_v) / sum(p)`.
///
/// # Panics
/// If a slice has another length, the id of a row with weight is no class, or there are fewer classes than the smoothing
/// needs.
pub fn cross_entropy(
    ctx: &Context,
    shape: CrossEntropyShape,
    inputs: &CrossEntropyInputs<'_>,
    options: CrossEntropyOptions,
    outputs: CrossEntropyOutputs<'_>,
) {
    let CrossEntropyShape { rows, classes } = shape;
    let CrossEntropyInputs { x, targets, row_weights } = *inputs;
    let CrossEntropyOutputs { row_loss, row_prediction, dx } = outputs;
    assert_eq!(x.len(), rows * classes, "cross-entropy: length of x");
    assert!(row_weights.is_none_or(|weights| weights.len() == rows), "cross-entropy: length of row_weights");
    assert_eq!(row_loss.len(), rows, "cross-entropy: length of row_loss");
    assert_eq!(row_prediction.len(), rows, "cross-entropy: length of row_prediction");
    assert!(dx.as_ref().is_none_or(|dx| dx.data.len() == x.len()), "cross-entropy: length of dx");
    targets.check(rows, classes);
    let (row_loss, row_prediction) = (Shared::new(row_loss), Shared::new(row_prediction));
    let dx = dx.map(|dx| (Shared::new(dx.data), dx.accumulate));
    // Without classes nothing is smoothed.
    let label_smoothing = if classes == 0 { 0.0 } else { options.label_smoothing };
    let smoothing = Smoothing::new(options.definition, label_smoothing, classes);
    let step = (PIECE / classes.max(1)).max(1);
    ctx.pool.run(rows.div_ceil(step), &|piece| {
        for row in piece * step..rows.min((piece + 1) * step) {
            // SAFETY: a row belongs to one piece.
            let (loss, predicted, dx) = unsafe {
                let dx = dx.as_ref().map(|(dx, accumulate)| (dx.part(row * classes, classes), *accumulate));
                (row_loss.part(row, 1), row_prediction.part(row, 1), dx)
            };
            let weight = row_weights.map_or(1.0, |weights| weights[row]);
            let (dx, accumulate) = dx.map_or((None, false), |(dx, accumulate)| (Some(dx), accumulate));
            if weight == 0.0 || classes == 0 {
                (loss[0], predicted[0]) = (0.0, 0);
                dx.filter(|_| !accumulate).into_iter().for_each(|dx| dx.fill(0.0));
                continue;
            }
            let row = Row {
                x: &x[row * classes..][..classes],
                target: targets.row(row, classes),
                smoothing,
                scale: options.gradient_scale * weight,
                dx,
                accumulate,
            };
            (loss[0], predicted[0]) = if options.from_logits {
                ctx.simd.run(logits::Logits(row))
            } else {
                ctx.simd.run(probabilities::Probabilities(row))
            };
        }
    });
}

#[cfg(test)]
mod golden;
#[cfg(test)]
mod tests;
