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
    panels::panels_length,
    recurrent::{
        Activations, Backward, Forward, Gradients, LayerGradients, LayerOutputGradients, LayerOutputs, Plan, Prepared,
        PreparedBackward, Sequence, To,
    },
    shared::Shared,
    simd::LANES,
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

impl<'a> Layer<'a> {
    fn sequence(&self, inner: bool) -> Sequence<'a> {
        Sequence {
            name: "lstm",
            gates: 4,
            shape: self.shape,
            kernel: self.weights.kernel,
            recurrent: self.weights.recurrent,
            x: self.inputs.x,
            inner,
            h0: self.inputs.h0,
            mask: self.inputs.mask,
            reverse: self.options.reverse,
            zero_output_for_mask: self.options.zero_output_for_mask,
            dropout: self.options.dropout,
            recurrent_dropout: self.options.recurrent_dropout,
        }
    }

    /// What goes into it, of the right lengths; `inner`: without inputs.
    fn checked(&self, inner: bool) -> Sequence<'a> {
        let sequence = self.sequence(inner);
        sequence.check();
        sequence.fits("bias", self.weights.bias, 4 * self.shape.units);
        sequence.fits("c0", self.inputs.c0, self.shape.batch * self.shape.units);
        sequence
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
    let LstmOutputs { y, h, c } = outputs;
    let mut pass = LstmForward::new(context, (shape, false), weights, inputs, options, saved.is_some());
    let (forward, cell) = pass.parts(LayerOutputs { y, h, c });
    forward.run(context, &cell, &());
    if let Some(saved) = saved {
        *saved = Some(pass.saved());
    }
}

/// A forward pass that is prepared.
pub(crate) struct LstmForward<'a> {
    layer: Layer<'a>,
    sequence: Sequence<'a>,
    plan: Plan,
    keeps: bool,
    gates: Buffer,
    cells: Buffer,
    hidden: Buffer,
}

impl<'a> LstmForward<'a> {
    /// As [`forward`]; `inner`: there are no inputs, what is around the cell gives them.
    pub(crate) fn new(
        context: &Context,
        (shape, inner): (LstmShape, bool),
        weights: LstmWeights<'a>,
        inputs: LstmInputs<'a>,
        options: LstmOptions<'a>,
        keeps: bool,
    ) -> Self {
        let layer = Layer { shape, weights, inputs, options };
        let sequence = layer.checked(inner);
        let plan = sequence.plan(context);
        let keep = |length: usize| Buffer::new(if keeps { length } else { 0 });
        let block = shape.units * LANES;
        let gates = keep(plan.slots() * 4 * block);
        let cells = keep((plan.blocks() + plan.slots()) * block);
        let hidden = keep(plan.slots() * panels_length(shape.units, LANES));
        Self { layer, sequence, plan, keeps, gates, cells, hidden }
    }
}

impl<'a> Prepared for LstmForward<'a> {
    type Cell<'b>
        = forward::Cell<'b>
    where
        Self: 'b;
    type Saved = LstmSaved;

    fn parts<'b>(&'b mut self, to: LayerOutputs<'b>) -> (Forward<'b>, forward::Cell<'b>) {
        let Self { layer, sequence, plan, keeps, gates, cells, hidden } = self;
        let LayerOutputs { y, h, c } = to;
        let LstmShape { batch, steps, units, .. } = layer.shape;
        sequence.fits("y", y.as_deref(), batch * steps * units);
        sequence.fits("h", h.as_deref(), batch * units);
        sequence.fits("c", c.as_deref(), batch * units);
        let kept = keeps.then(|| [gates, cells, hidden].map(|buffer| Shared::new(buffer)));
        let cell = forward::Cell {
            layer: *layer,
            c: c.map(Shared::new),
            saved: kept.map(|[gates, cells, _]| forward::Parts { gates, cells }),
        };
        let [y, h] = [y, h].map(|to| to.map(Shared::new));
        (Forward { sequence: *sequence, plan, y, h, before: kept.map(|[_, _, hidden]| hidden) }, cell)
    }

    fn saved(self) -> LstmSaved {
        LstmSaved { plan: self.plan, gates: self.gates, cells: self.cells, hidden: self.hidden }
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
    let LstmOutputGradients { dy, dh, dc } = output_gradients;
    let LstmGradients { dx, dh0, dc0, dkernel, drecurrent, dbias } = gradients;
    let mut pass = LstmBackward::new(shape, weights, inputs, options, saved);
    let to = LayerGradients { dx, dh0, dc0, dkernel, drecurrent, dbias, drecurrent_bias: None, passes_dx: false };
    let (backward, cell) = pass.parts(LayerOutputGradients { dy, dh, dc }, to);
    backward.run(context, &cell, &());
}

/// A backward pass that is prepared.
pub(crate) struct LstmBackward<'a> {
    layer: Layer<'a>,
    sequence: Sequence<'a>,
    saved: LstmSaved,
}

impl<'a> LstmBackward<'a> {
    /// As [`backward`].
    pub(crate) fn new(
        shape: LstmShape,
        weights: LstmWeights<'a>,
        inputs: LstmInputs<'a>,
        options: LstmOptions<'a>,
        saved: LstmSaved,
    ) -> Self {
        let layer = Layer { shape, weights, inputs, options };
        let sequence = layer.checked(false);
        let fits = saved.gates.len() == saved.plan.slots() * 4 * shape.units * LANES;
        assert!(fits, "lstm: saved for other sizes");
        Self { layer, sequence, saved }
    }
}

impl<'a> PreparedBackward for LstmBackward<'a> {
    type Cell<'b>
        = backward::Cell<'b>
    where
        Self: 'b;

    fn parts<'b>(
        &'b mut self,
        d: LayerOutputGradients<'b>,
        to: LayerGradients<'b>,
    ) -> (Backward<'b>, backward::Cell<'b>) {
        let Self { layer, sequence, saved: LstmSaved { plan, gates, cells, hidden } } = self;
        let LstmShape { batch, steps, units, .. } = layer.shape;
        let LayerOutputGradients { dy, dh, dc } = d;
        sequence.fits("dy", dy, batch * steps * units);
        sequence.fits("dh", dh, batch * units);
        sequence.fits("dc", dc, batch * units);
        let LayerGradients { dx, dh0, dc0, dkernel, drecurrent, dbias, drecurrent_bias, passes_dx } = to;
        assert!(drecurrent_bias.is_none(), "lstm: it has no recurrent bias");
        sequence.destination_fits("dc0", dc0.as_ref(), batch * units);
        let to = Gradients { dx, dh0, dkernel, drecurrent, dbias, drecurrent_bias: None }.check(sequence);
        let cell = backward::Cell { layer: *layer, cells, dc, dc0: dc0.map(To::new) };
        let backward = Backward {
            sequence: *sequence,
            plan,
            sums: Shared::new(gates),
            panels: 4,
            places: &[[0, 0], [1, 1], [2, 2], [3, 3]],
            before: hidden,
            last_before: None,
            dy,
            dh,
            to,
            passes_dx,
        };
        (backward, cell)
    }
}
