//! Linear layer, softmax and cross-entropy in one: neither logits nor probabilities of all rows ever exist.
//!
//! Rows are taken chunk by chunk (see `plan`). Of a chunk, the logits are computed as token panels, a block of classes at a
//! time, and at once exponentiated in place and multiplied with the weights of the block. Only the exponentials are kept,
//! for the gradient of the weights. They are relative to a reference that is found in advance rather than to the largest
//! logit (see `chunk::Chunk::pack`), and nothing is normalised: `1 / sum` goes onto the rows of `h` and `dh`, and the target
//! onto one element of each column.
mod chunk;
mod finish;
mod gradient;
mod plan;
pub mod predict;
mod rounded;
mod softmax;
mod target;

#[cfg(test)]
mod reference;
#[cfg(test)]
mod tests;

pub use crate::targets::Targets;
use crate::{
    Context, Destination,
    buffer::Buffer,
    shared::Shared,
    smoothing::{Smoothing, SmoothingDefinition},
};
use chunk::{Chunk, Linear};
use finish::{Finish, Part};
use gradient::{Gradient, dkernel};
use plan::Plan;
use rounded::RoundedBuffers;
use softmax::{Softmax, Work};
use target::ChunkTargets;

/// Sizes of a linear layer with softmax and cross-entropy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinearCrossEntropyShape {
    /// Rows of `h`, all leading dimensions together.
    pub rows: usize,
    /// Features of `h`.
    pub features: usize,
    /// Classes, the outputs of the linear layer.
    pub classes: usize,
}

/// Variants of the loss.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LinearCrossEntropyOptions {
    /// The part of a target that is spread over the classes, 0 to 1 (default 0).
    pub label_smoothing: f32,
    /// How it is spread.
    pub definition: SmoothingDefinition,
    /// Factor on all gradients (default 1).
    pub gradient_scale: f32,
}

impl Default for LinearCrossEntropyOptions {
    fn default() -> Self {
        Self { label_smoothing: 0.0, definition: SmoothingDefinition::Keras, gradient_scale: 1.0 }
    }
}

/// Operands of [`linear_cross_entropy`].
#[derive(Clone, Copy, Debug)]
pub struct LinearCrossEntropyInputs<'a> {
    /// Rows: `[rows, features]`.
    pub h: &'a [f32],
    /// Weights: `[classes, features]`.
    pub kernel: &'a [f32],
    /// Bias: `[classes]`.
    pub bias: Option<&'a [f32]>,
    /// Targets.
    pub targets: Targets<'a>,
    /// Weight of each row: `[rows]`; without them all are 1. Rows with weight 0 cost nothing.
    pub row_weights: Option<&'a [f32]>,
}

/// Results of [`linear_cross_entropy`].
#[derive(Debug)]
pub struct LinearCrossEntropyOutputs<'a> {
    /// Unweighted loss of each row: `[rows]`; 0 for rows with weight 0, NaN if a logit is not a number.
    pub row_loss: &'a mut [f32],
    /// The same without smoothing, if it is wanted: `[rows]`. It costs nothing.
    pub row_unsmoothed: Option<&'a mut [f32]>,
    /// Class with the largest logit, the lowest of equals: `[rows]`; 0 for rows with weight 0.
    pub row_prediction: &'a mut [u32],
    /// Gradients, if they are wanted.
    pub gradients: Option<LinearCrossEntropyGradients<'a>>,
}

/// Gradients of `gradient_scale * sum_r row_weight_r * row_loss_r`.
#[derive(Debug)]
pub struct LinearCrossEntropyGradients<'a> {
    /// Of `h`: `[rows, features]`. Rows with weight 0 have gradient 0.
    pub dh: Destination<'a>,
    /// Of `kernel`: `[classes, features]`.
    pub dkernel: Destination<'a>,
    /// Of `bias`: `[classes]`.
    pub dbias: Option<Destination<'a>>,
}

fn check(
    shape: LinearCrossEntropyShape,
    inputs: &LinearCrossEntropyInputs<'_>,
    outputs: &LinearCrossEntropyOutputs<'_>,
) {
    let LinearCrossEntropyShape { rows, features, classes } = shape;
    assert_eq!(inputs.h.len(), rows * features, "cross-entropy: length of h");
    assert_eq!(inputs.kernel.len(), classes * features, "cross-entropy: length of kernel");
    assert!(inputs.bias.is_none_or(|bias| bias.len() == classes), "cross-entropy: length of bias");
    assert!(inputs.row_weights.is_none_or(|weights| weights.len() == rows), "cross-entropy: length of row_weights");
    inputs.targets.check(rows, classes);
    assert_eq!(outputs.row_loss.len(), rows, "cross-entropy: length of row_loss");
    assert_eq!(outputs.row_prediction.len(), rows, "cross-entropy: length of row_prediction");
    let length = outputs.row_unsmoothed.as_ref().map(|losses| losses.len());
    assert!(length.is_none_or(|length| length == rows), "cross-entropy: length of row_unsmoothed");
    if let Some(gradients) = &outputs.gradients {
        assert_eq!(gradients.dh.data.len(), rows * features, "cross-entropy: length of dh");
        assert_eq!(gradients.dkernel.data.len(), classes * features, "cross-entropy: length of dkernel");
        let length = gradients.dbias.as_ref().map(|dbias| dbias.data.len());
        assert!(length.is_none_or(|length| length == classes), "cross-entropy: length of dbias");
    }
}

/// Loss, prediction and gradients of `softmax(h W^T + b)` against targets.
///
/// The products are in the precision of the context, if neither features nor classes are fewer than 32.
///
/// `row_loss = sum_v y_v (logsumexp(z) - z_v)` with the logits `z` of the row and its smoothed targets `y`.
///
/// # Shapes
/// See [`LinearCrossEntropyInputs`] and [`LinearCrossEntropyOutputs`].
///
/// # Gradient
/// `dz = scale * weight * (sum(y) softmax(z) - y)`, `dh = dz W`, `dW = sum_r dz_r h_r`, `db = sum_r dz_r`.
///
/// # Panics
/// If a slice has another length, the id of a row with weight is no class, or there are fewer classes than the smoothing
/// needs.
pub fn linear_cross_entropy(
    context: &Context,
    shape: LinearCrossEntropyShape,
    inputs: &LinearCrossEntropyInputs<'_>,
    options: LinearCrossEntropyOptions,
    outputs: LinearCrossEntropyOutputs<'_>,
) {
    check(shape, inputs, &outputs);
    let LinearCrossEntropyShape { rows, features, classes } = shape;
    let weight = |row: usize| inputs.row_weights.map_or(1.0, |weights| weights[row]);
    let valid: Vec<usize> = (0..rows).filter(|&row| weight(row) != 0.0).collect();
    let LinearCrossEntropyOutputs { row_loss, mut row_unsmoothed, row_prediction, gradients } = outputs;
    if valid.len() < rows {
        row_loss.fill(0.0);
        row_unsmoothed.iter_mut().for_each(|losses| losses.fill(0.0));
        row_prediction.fill(0);
    }
    let mut gradient = gradients.map(|gradients| {
        let LinearCrossEntropyGradients { dh, dkernel, dbias } = gradients;
        if valid.len() < rows && !dh.accumulate {
            (0..rows).filter(|&row| weight(row) == 0.0).for_each(|row| dh.data[row * features..][..features].fill(0.0));
        }
        let (kernel_keeps, bias_keeps) = (dkernel.accumulate, dbias.as_ref().is_some_and(|dbias| dbias.accumulate));
        Gradient {
            dh_keeps: dh.accumulate,
            dh: Shared::new(dh.data),
            kernel_keeps,
            dkernel: Shared::new(dkernel.data),
            bias_keeps,
            dbias: dbias.map(|dbias| Shared::new(dbias.data)),
        }
    });
    if valid.is_empty() {
        if let Some(gradient) = gradient {
            gradient.clear();
        }
        return;
    }
    assert!(classes > 0, "cross-entropy: rows without classes");
    let plan = Plan::new(valid.len(), features, classes);
    let mut buffers = plan.buffers(gradient.is_some());
    let (row_loss, row_prediction) = (Shared::new(row_loss), Shared::new(row_prediction));
    let row_unsmoothed = row_unsmoothed.map(Shared::new);
    let linear = Linear { features, classes, kernel: inputs.kernel, bias: inputs.bias };
    let smoothing = Smoothing::new(options.definition, options.label_smoothing, classes);
    let mut rounded = RoundedBuffers::new(context, &plan, linear, gradient.is_some());
    for rows in valid.chunks(plan.tokens) {
        let targets = ChunkTargets::new(inputs.targets, rows, classes, smoothing);
        let weights: Vec<f32> = rows.iter().map(|&row| weight(row) * options.gradient_scale).collect();
        let rounded = rounded.as_mut().map(|rounded| rounded.share(context.simd));
        let chunk = Chunk::new(&plan, linear, rows.len(), &mut buffers, rounded);
        chunk.pack(context, inputs.h, rows);
        let finish = Finish {
            chunk: &chunk,
            h: inputs.h,
            rows,
            targets: &targets,
            weights: &weights,
            row_loss,
            row_unsmoothed,
            row_prediction,
            gradient: gradient.as_ref(),
        };
        let pass = |work| Softmax { chunk: &chunk, targets: Some(&targets), work }.run(context);
        match &gradient {
            None => {
                pass(Work::Exponentials);
                finish.run(context, &[Part::Factors]);
            }
            Some(_) if targets.explicit() => {
                pass(Work::Exponentials);
                finish.run(context, &[Part::Factors]);
                pass(Work::GradientsAndProduct);
                finish.run(context, &[Part::Rows]);
            }
            Some(_) => {
                pass(Work::ExponentialsAndProduct);
                finish.run(context, &[Part::Factors, Part::Rows]);
            }
        }
        if let Some(gradient) = &mut gradient {
            dkernel(context, &chunk, gradient);
            (gradient.kernel_keeps, gradient.bias_keeps) = (true, true);
        }
    }
}

/// A buffer that is only made where it is needed.
fn buffer(wanted: bool, length: usize) -> Buffer {
    Buffer::new(if wanted { length } else { 0 })
}
