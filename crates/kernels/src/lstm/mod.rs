//! A whole LSTM layer over a sequence, forward and backward.
//!
//! Products of a step run over token panels (see `tile`), the gates on registers; `crate::recurrent` says how the
//! batch is cut into pieces and which steps are left out.
mod backward;
mod forward;
mod gates;
#[cfg(test)]
mod reference;
#[cfg(test)]
mod tests;

pub use crate::recurrent::Shape as LstmShape;
use crate::{
    Context, Destination,
    activation::Activation,
    buffer::Buffer,
    recurrent::{self, Activations, Operand, Plan, To, WeightGradients},
    shared::Shared,
};

/// Weights. The blocks of the gates come in the order input, forget, cell, output; unit `u` of gate `g` is row
/// `g * units + u`.
#[derive(Clone, Copy, Debug)]
pub struct LstmWeights<'a> {
    /// `[4 * units, input]`.
    pub kernel: &'a [f32],
    /// `[4 * units, units]`.
    pub recurrent: &'a [f32],
    /// `[4 * units]`.
    pub bias: Option<&'a [f32]>,
}

/// Inputs.
#[derive(Clone, Copy, Debug)]
pub struct LstmInputs<'a> {
    /// `[batch, steps, input]`.
    pub x: &'a [f32],
    /// Initial output, `[batch, units]`; zeros if left out.
    pub h0: Option<&'a [f32]>,
    /// Initial cell state, `[batch, units]`; zeros if left out.
    pub c0: Option<&'a [f32]>,
    /// `[batch, steps]`, not 0 where the step counts.
    pub mask: Option<&'a [u8]>,
}

/// Options, with the defaults of Keras.
#[derive(Clone, Copy, Debug)]
pub struct LstmOptions<'a> {
    /// Goes from the last step to the first (`go_backwards`). Outputs come in the order of processing.
    pub reverse: bool,
    /// Of the candidate and the output.
    pub activation: Activation,
    /// Of the three gates.
    pub recurrent_activation: Activation,
    /// The output of a masked step is 0; otherwise it repeats the output before it (0 if there is none).
    pub zero_output_for_mask: bool,
    /// Factors for the inputs, the same at all steps: `[batch, input]` for all gates or `[4, batch, input]`, one each.
    /// Keras uses four if there is recurrent dropout too.
    pub dropout: Option<&'a [f32]>,
    /// Factors for the outputs that go into the next step: `[batch, units]` or `[4, batch, units]`.
    pub recurrent_dropout: Option<&'a [f32]>,
}

impl Default for LstmOptions<'_> {
    fn default() -> Self {
        Self {
            reverse: false,
            activation: Activation::Tanh,
            recurrent_activation: Activation::Sigmoid,
            zero_output_for_mask: false,
            dropout: None,
            recurrent_dropout: None,
        }
    }
}

/// The results that are asked for.
#[derive(Debug, Default)]
pub struct LstmOutputs<'a> {
    /// All outputs, `[batch, steps, units]`.
    pub y: Option<&'a mut [f32]>,
    /// Last output state, `[batch, units]`.
    pub h: Option<&'a mut [f32]>,
    /// Last cell state, `[batch, units]`.
    pub c: Option<&'a mut [f32]>,
}

/// What [`forward`] keeps for [`backward`]: about six floats for each unit and step that is not masked.
#[derive(Debug)]
pub struct LstmSaved {
    plan: Plan,
    /// `[slot][4 * units][16]`: the gates, or what goes into them if the activations are not the usual ones.
    gates: Buffer,
    /// `[block or slot][units][16]`: initial cell states of the blocks, then those after each slot.
    cells: Buffer,
    /// `[units / 16][slot][16 rows][16 units]`: the output before each slot.
    hidden: Buffer,
}

/// Gradients of the results; what is left out counts as zeros.
#[derive(Clone, Copy, Debug, Default)]
pub struct LstmOutputGradients<'a> {
    /// `[batch, steps, units]`.
    pub dy: Option<&'a [f32]>,
    /// `[batch, units]`.
    pub dh: Option<&'a [f32]>,
    /// `[batch, units]`.
    pub dc: Option<&'a [f32]>,
}

/// The gradients that are asked for, with the shapes of what they belong to.
#[derive(Debug, Default)]
pub struct LstmGradients<'a> {
    /// Of the inputs.
    pub dx: Option<Destination<'a>>,
    /// Of the initial output.
    pub dh0: Option<Destination<'a>>,
    /// Of the initial cell state.
    pub dc0: Option<Destination<'a>>,
    /// Of the kernel.
    pub dkernel: Option<Destination<'a>>,
    /// Of the recurrent kernel.
    pub drecurrent: Option<Destination<'a>>,
    /// Of the bias.
    pub dbias: Option<Destination<'a>>,
}

/// Everything that goes in.
#[derive(Clone, Copy, Debug)]
struct Layer<'a> {
    shape: LstmShape,
    weights: LstmWeights<'a>,
    inputs: LstmInputs<'a>,
    options: LstmOptions<'a>,
}

impl Layer<'_> {
    fn check(&self) {
        let LstmShape { batch, steps, input, units } = self.shape;
        let fits = |slice: Option<&[f32]>, length: usize| slice.is_none_or(|slice| slice.len() == length);
        assert_eq!(self.weights.kernel.len(), 4 * units * input, "lstm: length of kernel");
        assert_eq!(self.weights.recurrent.len(), 4 * units * units, "lstm: length of recurrent");
        assert!(fits(self.weights.bias, 4 * units), "lstm: length of bias");
        assert_eq!(self.inputs.x.len(), batch * steps * input, "lstm: length of x");
        assert!(fits(self.inputs.h0, batch * units), "lstm: length of h0");
        assert!(fits(self.inputs.c0, batch * units), "lstm: length of c0");
        assert!(self.inputs.mask.is_none_or(|mask| mask.len() == batch * steps), "lstm: length of mask");
        let one_or_four = |slice, length| fits(slice, length) || fits(slice, 4 * length);
        assert!(one_or_four(self.options.dropout, batch * input), "lstm: length of dropout");
        assert!(one_or_four(self.options.recurrent_dropout, batch * units), "lstm: length of recurrent_dropout");
    }

    /// Variants of the input: 4 if each gate has its own dropout.
    fn input_variants(&self) -> usize {
        recurrent::variants(self.options.dropout, self.shape.batch * self.shape.input, 4)
    }

    /// Variants of the previous output.
    fn hidden_variants(&self) -> usize {
        recurrent::variants(self.options.recurrent_dropout, self.shape.batch * self.shape.units, 4)
    }

    fn activations(&self) -> Activations {
        Activations::new(self.options.activation, self.options.recurrent_activation)
    }
}

/// Runs the layer, for inference, or for training if `saved` is given.
///
/// # Shapes
/// See [`LstmShape`] and the fields of the arguments. A row's results do not depend on the other rows.
///
/// A masked step carries the state over. `saved` is set to what [`backward`] needs.
///
/// # Panics
/// If a slice has another length.
///
/// # Source
/// `keras/src/layers/rnn/lstm.py` of Keras 3.15, masks as in `keras/src/backend/tensorflow/rnn.py`.
pub fn forward(
    context: &Context,
    shape: LstmShape,
    weights: LstmWeights<'_>,
    inputs: LstmInputs<'_>,
    options: LstmOptions<'_>,
    outputs: LstmOutputs<'_>,
    saved: Option<&mut Option<LstmSaved>>,
) {
    let layer = Layer { shape, weights, inputs, options };
    layer.check();
    let LstmShape { batch, steps, units, .. } = shape;
    let LstmOutputs { y, h, c } = outputs;
    assert!(y.as_ref().is_none_or(|y| y.len() == batch * steps * units), "lstm: length of y");
    assert!(h.as_ref().is_none_or(|h| h.len() == batch * units), "lstm: length of h");
    assert!(c.as_ref().is_none_or(|c| c.len() == batch * units), "lstm: length of c");
    let plan = Plan::new(shape, options.reverse, inputs.mask, context.pool.threads());
    let (mut gates, mut cells, mut hidden) = if saved.is_some() {
        let block = units * crate::simd::LANES;
        (
            Buffer::new(plan.slots() * 4 * block),
            Buffer::new((plan.blocks() + plan.slots()) * block),
            Buffer::new(plan.slots() * crate::panels::panels_length(units, crate::simd::LANES)),
        )
    } else {
        (Buffer::new(0), Buffer::new(0), Buffer::new(0))
    };
    let task = forward::Task {
        layer,
        plan: &plan,
        y: y.map(Shared::new),
        h: h.map(Shared::new),
        c: c.map(Shared::new),
        saved: saved.as_ref().map(|_| forward::Parts {
            gates: Shared::new(&mut gates),
            cells: Shared::new(&mut cells),
            hidden: Shared::new(&mut hidden),
        }),
    };
    context.pool.run(plan.pieces(), &|piece| context.simd.run(forward::Piece { task: &task, piece }));
    if let Some(saved) = saved {
        *saved = Some(LstmSaved { plan, gates, cells, hidden });
    }
}

/// One time step that replaces the states, for decoding.
///
/// # Shapes
/// `x`: `[batch, input]`; `h` and `c`: `[batch, units]`. A row's results do not depend on the other rows.
///
/// # Panics
/// If a slice has another length.
#[allow(clippy::too_many_arguments, reason = "operands of one formula")]
pub fn step(
    context: &Context,
    shape: LstmShape,
    weights: LstmWeights<'_>,
    options: LstmOptions<'_>,
    x: &[f32],
    h: &mut [f32],
    c: &mut [f32],
) {
    assert_eq!(h.len(), shape.batch * shape.units, "lstm: length of h");
    assert_eq!(c.len(), shape.batch * shape.units, "lstm: length of c");
    let mut before = Buffer::new(h.len() + c.len());
    let (h0, c0) = before.split_at_mut(h.len());
    h0.copy_from_slice(h);
    c0.copy_from_slice(c);
    let inputs = LstmInputs { x, h0: Some(h0), c0: Some(c0), mask: None };
    let outputs = LstmOutputs { y: None, h: Some(h), c: Some(c) };
    forward(context, LstmShape { steps: 1, ..shape }, weights, inputs, options, outputs, None);
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
    shape: LstmShape,
    weights: LstmWeights<'_>,
    inputs: LstmInputs<'_>,
    options: LstmOptions<'_>,
    saved: LstmSaved,
    output_gradients: LstmOutputGradients<'_>,
    gradients: LstmGradients<'_>,
) {
    let layer = Layer { shape, weights, inputs, options };
    layer.check();
    let LstmShape { batch, steps, input, units } = shape;
    let LstmSaved { plan, mut gates, cells, hidden } = saved;
    assert_eq!(gates.len(), plan.slots() * 4 * units * crate::simd::LANES, "lstm: saved for other sizes");
    let LstmOutputGradients { dy, dh, dc } = output_gradients;
    assert!(dy.is_none_or(|dy| dy.len() == batch * steps * units), "lstm: length of dy");
    assert!(dh.is_none_or(|dh| dh.len() == batch * units), "lstm: length of dh");
    assert!(dc.is_none_or(|dc| dc.len() == batch * units), "lstm: length of dc");
    let LstmGradients { dx, dh0, dc0, dkernel, drecurrent, dbias } = gradients;
    let fits = |to: &Option<Destination<'_>>, length| to.as_ref().is_none_or(|to| to.data.len() == length);
    assert!(fits(&dx, batch * steps * input), "lstm: length of dx");
    assert!(fits(&dh0, batch * units), "lstm: length of dh0");
    assert!(fits(&dc0, batch * units), "lstm: length of dc0");
    assert!(fits(&dkernel, 4 * units * input), "lstm: length of dkernel");
    assert!(fits(&drecurrent, 4 * units * units), "lstm: length of drecurrent");
    assert!(fits(&dbias, 4 * units), "lstm: length of dbias");
    let task = backward::Task {
        layer,
        plan: &plan,
        gates: Shared::new(&mut gates),
        cells: &cells,
        output_gradients,
        dx: dx.map(To::new),
        dh0: dh0.map(To::new),
        dc0: dc0.map(To::new),
    };
    context.pool.run(plan.pieces(), &|piece| context.simd.run(backward::Piece { task: &task, piece }));
    let gradients = WeightGradients {
        plan: &plan,
        places: &[[0, 0], [1, 1], [2, 2], [3, 3]],
        sums: &gates,
        panels: 4,
        x: inputs.x,
        x_operand: Operand { features: input, variants: layer.input_variants(), factors: options.dropout },
        hidden: &hidden,
        hidden_operand: Operand {
            features: units,
            variants: layer.hidden_variants(),
            factors: options.recurrent_dropout,
        },
        last_hidden: None,
        dkernel: dkernel.map(To::new),
        drecurrent: drecurrent.map(To::new),
        dbias: dbias.map(To::new),
        drecurrent_bias: None,
    };
    gradients.run(context);
}
