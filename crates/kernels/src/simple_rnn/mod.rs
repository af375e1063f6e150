//! A whole simple recurrent layer over a sequence, forward and backward: `h' = activation(W x + b + U h)`.
//!
//! Products of a step run over token panels (see [`crate::tile`]), the activation on registers; `crate::recurrent` says how
//! the batch is cut into pieces and which steps are left out.
mod cell;
#[cfg(test)]
mod reference;
#[cfg(test)]
mod tests;

pub use crate::recurrent::Shape as SimpleRnnShape;
use crate::{
    Context, Destination,
    activation::Activation,
    buffer::Buffer,
    panels::panels_length,
    recurrent::{Backward, Forward, Gradients, Plan, Sequence},
    shared::Shared,
    simd::LANES,
};

/// Weights.
#[derive(Clone, Copy, Debug)]
pub struct SimpleRnnWeights<'a> {
    /// `[units, input]`.
    pub kernel: &'a [f32],
    /// `[units, units]`.
    pub recurrent: &'a [f32],
    /// `[units]`.
    pub bias: Option<&'a [f32]>,
}

/// Inputs.
#[derive(Clone, Copy, Debug)]
pub struct SimpleRnnInputs<'a> {
    /// `[batch, steps, input]`.
    pub x: &'a [f32],
    /// Initial output, `[batch, units]`; zeros if left out.
    pub h0: Option<&'a [f32]>,
    /// `[batch, steps]`, not 0 where the step counts.
    pub mask: Option<&'a [u8]>,
}

/// Options, with the defaults of Keras.
#[derive(Clone, Copy, Debug)]
pub struct SimpleRnnOptions<'a> {
    /// Goes from the last step to the first (`go_backwards`). Outputs come in the order of processing.
    pub reverse: bool,
    /// Of the output.
    pub activation: Activation,
    /// The output of a masked step is 0; otherwise it repeats the output before it (0 if there is none).
    pub zero_output_for_mask: bool,
    /// Factors for the inputs, the same at all steps, `[batch, input]`.
    pub dropout: Option<&'a [f32]>,
    /// Factors for the outputs that go into the next step, `[batch, units]`.
    pub recurrent_dropout: Option<&'a [f32]>,
}

impl Default for SimpleRnnOptions<'_> {
    fn default() -> Self {
        Self {
            reverse: false,
            activation: Activation::Tanh,
            zero_output_for_mask: false,
            dropout: None,
            recurrent_dropout: None,
        }
    }
}

/// The results that are asked for.
#[derive(Debug, Default)]
pub struct SimpleRnnOutputs<'a> {
    /// All outputs, `[batch, steps, units]`.
    pub y: Option<&'a mut [f32]>,
    /// Last output state, `[batch, units]`.
    pub h: Option<&'a mut [f32]>,
}

/// What [`forward`] keeps for [`backward`]: two floats for each unit and step that is not masked.
#[derive(Debug)]
pub struct SimpleRnnSaved {
    plan: Plan,
    /// `[slot][units][16]`: what the slope of the activation is computed from: its result, or what went into it.
    values: Buffer,
    /// `[units / 16][slot][16 rows][16 units]`: the output before each slot.
    hidden: Buffer,
}

/// Gradients of the results; what is left out counts as zeros.
#[derive(Clone, Copy, Debug, Default)]
pub struct SimpleRnnOutputGradients<'a> {
    /// `[batch, steps, units]`.
    pub dy: Option<&'a [f32]>,
    /// `[batch, units]`.
    pub dh: Option<&'a [f32]>,
}

/// The gradients that are asked for, with the shapes of what they belong to.
#[derive(Debug, Default)]
pub struct SimpleRnnGradients<'a> {
    /// Of the inputs.
    pub dx: Option<Destination<'a>>,
    /// Of the initial output.
    pub dh0: Option<Destination<'a>>,
    /// Of the kernel.
    pub dkernel: Option<Destination<'a>>,
    /// Of the recurrent kernel.
    pub drecurrent: Option<Destination<'a>>,
    /// Of the bias.
    pub dbias: Option<Destination<'a>>,
}

/// What goes in, of the right lengths.
fn checked<'a>(
    shape: SimpleRnnShape,
    weights: SimpleRnnWeights<'a>,
    inputs: SimpleRnnInputs<'a>,
    options: SimpleRnnOptions<'a>,
) -> Sequence<'a> {
    let sequence = Sequence {
        name: "simple_rnn",
        gates: 1,
        shape,
        kernel: weights.kernel,
        recurrent: weights.recurrent,
        x: inputs.x,
        inner: false,
        h0: inputs.h0,
        mask: inputs.mask,
        reverse: options.reverse,
        zero_output_for_mask: options.zero_output_for_mask,
        dropout: options.dropout,
        recurrent_dropout: options.recurrent_dropout,
    };
    sequence.check();
    sequence.fits("bias", weights.bias, shape.units);
    sequence
}

/// Runs the layer, for inference, or for training if `saved` is given.
///
/// # Shapes
/// See [`SimpleRnnShape`] and the fields of the arguments. A row's results do not depend on the other rows.
///
/// A masked step carries the state over. `saved` is set to what [`backward`] needs.
///
/// # Panics
/// If a slice has another length.
///
/// # Source
/// `keras/src/layers/rnn/simple_rnn.py` of Keras 3.15, masks as in `keras/src/backend/tensorflow/rnn.py`.
pub fn forward(
    context: &Context,
    shape: SimpleRnnShape,
    weights: SimpleRnnWeights<'_>,
    inputs: SimpleRnnInputs<'_>,
    options: SimpleRnnOptions<'_>,
    outputs: SimpleRnnOutputs<'_>,
    saved: Option<&mut Option<SimpleRnnSaved>>,
) {
    let sequence = checked(shape, weights, inputs, options);
    let SimpleRnnShape { batch, steps, units, .. } = shape;
    let SimpleRnnOutputs { y, h } = outputs;
    sequence.fits("y", y.as_deref(), batch * steps * units);
    sequence.fits("h", h.as_deref(), batch * units);
    let plan = sequence.plan(context);
    let keep = |length: usize| Buffer::new(if saved.is_some() { length } else { 0 });
    let mut values = keep(plan.slots() * units * LANES);
    let mut hidden = keep(plan.slots() * panels_length(units, LANES));
    let kept = saved.as_ref().map(|_| [&mut values, &mut hidden].map(|buffer| Shared::new(buffer)));
    let cell = cell::ForwardStep {
        sequence,
        bias: weights.bias,
        activation: options.activation,
        values: kept.map(|[values, _]| values),
    };
    let [y, h] = [y, h].map(|to| to.map(Shared::new));
    Forward { sequence, plan: &plan, y, h, before: kept.map(|[_, hidden]| hidden) }.run(context, &cell, &());
    if let Some(saved) = saved {
        *saved = Some(SimpleRnnSaved { plan, values, hidden });
    }
}

/// The gradients that are asked for, of what [`forward`] computed with the same arguments.
///
/// # Gradient
/// Back-propagation through time. Gradients of repeated outputs go to the step whose output they repeat.
///
/// # Panics
/// If a slice has another length, or if `saved` belongs to other sizes.
#[allow(clippy::too_many_arguments, reason = "operands and destinations of one formula")]
pub fn backward(
    context: &Context,
    shape: SimpleRnnShape,
    weights: SimpleRnnWeights<'_>,
    inputs: SimpleRnnInputs<'_>,
    options: SimpleRnnOptions<'_>,
    saved: SimpleRnnSaved,
    output_gradients: SimpleRnnOutputGradients<'_>,
    gradients: SimpleRnnGradients<'_>,
) {
    let sequence = checked(shape, weights, inputs, options);
    let SimpleRnnShape { batch, steps, units, .. } = shape;
    let SimpleRnnSaved { plan, mut values, hidden } = saved;
    let fits = plan.shape() == shape && values.len() == plan.slots() * units * LANES;
    assert!(fits, "simple_rnn: saved for other sizes");
    let SimpleRnnOutputGradients { dy, dh } = output_gradients;
    sequence.fits("dy", dy, batch * steps * units);
    sequence.fits("dh", dh, batch * units);
    let SimpleRnnGradients { dx, dh0, dkernel, drecurrent, dbias } = gradients;
    let to = Gradients { dx, dh0, dkernel, drecurrent, dbias, drecurrent_bias: None }.check(&sequence);
    let backward = Backward {
        sequence,
        plan: &plan,
        sums: Shared::new(&mut values),
        panels: 1,
        places: &[[0, 0]],
        before: &hidden,
        last_before: None,
        dy,
        dh,
        to,
        passes_dx: false,
    };
    backward.run(context, &cell::BackwardStep { units, activation: options.activation }, &());
}
