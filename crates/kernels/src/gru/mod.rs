//! A whole GRU layer over a sequence, forward and backward.
//!
//! `z = sigmoid(Wz x + bz + Uz h + cz)`, `r = sigmoid(Wr x + br + Ur h + cr)`, `h' = z h + (1 - z) g`; with the reset gate
//! after the product `g = tanh(Wh x + bh + r (Uh h + ch))`, with it before the product `g = tanh(Wh x + bh + Uh (r h))`.
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

pub use crate::recurrent::Shape as GruShape;
use crate::{
    Context, Destination,
    activation::Activation,
    buffer::Buffer,
    panels::panels_length,
    recurrent::{
        Activations, Backward, Forward, Gradients, LayerGradients, LayerOutputGradients, LayerOutputs, Plan, Prepared,
        PreparedBackward, Sequence,
    },
    shared::Shared,
    simd::LANES,
};

/// Weights. The blocks of the gates come in the order update, reset, candidate; unit `u` of gate `g` is row
/// `g * units + u`.
#[derive(Clone, Copy, Debug)]
pub struct GruWeights<'a> {
    /// `[3 * units, input]`.
    pub kernel: &'a [f32],
    /// `[3 * units, units]`.
    pub recurrent: &'a [f32],
    /// Added to the products of the inputs, `[3 * units]`.
    pub bias: Option<&'a [f32]>,
    /// Added to the products of the outputs before, `[3 * units]`. Only with [`GruOptions::reset_after`].
    pub recurrent_bias: Option<&'a [f32]>,
}

/// Inputs.
#[derive(Clone, Copy, Debug)]
pub struct GruInputs<'a> {
    /// `[batch, steps, input]`.
    pub x: &'a [f32],
    /// Initial output, `[batch, units]`; zeros if left out.
    pub h0: Option<&'a [f32]>,
    /// `[batch, steps]`, not 0 where the step counts.
    pub mask: Option<&'a [u8]>,
}

/// Options, with the defaults of Keras.
#[derive(Clone, Copy, Debug)]
pub struct GruOptions<'a> {
    /// Applies the reset gate to the recurrent product of the candidate; otherwise to the output that goes into it.
    pub reset_after: bool,
    /// Goes from the last step to the first (`go_backwards`). Outputs come in the order of processing.
    pub reverse: bool,
    /// Of the candidate.
    pub activation: Activation,
    /// Of the two gates.
    pub recurrent_activation: Activation,
    /// The output of a masked step is 0; otherwise it repeats the output before it (0 if there is none).
    pub zero_output_for_mask: bool,
    /// Factors for the inputs, the same at all steps: `[batch, input]` for all gates or `[3, batch, input]`, one each.
    /// Keras uses three if there is recurrent dropout too.
    pub dropout: Option<&'a [f32]>,
    /// Factors for the outputs that go into the products of the next step: `[batch, units]` or `[3, batch, units]`. The
    /// output that the update gate carries over has none.
    pub recurrent_dropout: Option<&'a [f32]>,
}

impl Default for GruOptions<'_> {
    fn default() -> Self {
        Self {
            reset_after: true,
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
pub struct GruOutputs<'a> {
    /// All outputs, `[batch, steps, units]`.
    pub y: Option<&'a mut [f32]>,
    /// Last output state, `[batch, units]`.
    pub h: Option<&'a mut [f32]>,
}

/// What [`forward`] keeps for [`backward`]: about five floats for each unit and step that is not masked.
#[derive(Debug)]
pub struct GruSaved {
    plan: Plan,
    /// `[slot][panels * units][16]`: the gates (or what goes into them if the activations are not the usual ones), and
    /// with the reset gate after the product the recurrent sums of the candidate.
    gates: Buffer,
    /// `[units / 16][slot][16 rows][16 units]`: the output before each slot.
    hidden: Buffer,
    /// The same, times dropout factors and reset gate, if that comes before the product.
    reset: Buffer,
}

/// Gradients of the results; what is left out counts as zeros.
#[derive(Clone, Copy, Debug, Default)]
pub struct GruOutputGradients<'a> {
    /// `[batch, steps, units]`.
    pub dy: Option<&'a [f32]>,
    /// `[batch, units]`.
    pub dh: Option<&'a [f32]>,
}

/// The gradients that are asked for, with the shapes of what they belong to.
#[derive(Debug, Default)]
pub struct GruGradients<'a> {
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
    /// Of the recurrent bias. Only with [`GruOptions::reset_after`].
    pub drecurrent_bias: Option<Destination<'a>>,
}

/// Everything that goes in.
#[derive(Clone, Copy, Debug)]
struct Layer<'a> {
    shape: GruShape,
    weights: GruWeights<'a>,
    inputs: GruInputs<'a>,
    options: GruOptions<'a>,
}

impl<'a> Layer<'a> {
    /// What goes into it, of the right lengths; `inner`: without inputs.
    fn checked(&self, inner: bool) -> Sequence<'a> {
        let sequence = Sequence {
            name: "gru",
            gates: 3,
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
        };
        sequence.check();
        sequence.fits("bias", self.weights.bias, 3 * self.shape.units);
        sequence.fits("recurrent_bias", self.weights.recurrent_bias, 3 * self.shape.units);
        assert!(
            self.options.reset_after || self.weights.recurrent_bias.is_none(),
            "gru: recurrent_bias without reset_after"
        );
        sequence
    }

    fn activations(&self) -> Activations {
        Activations::new(self.options.activation, self.options.recurrent_activation)
    }

    /// Panels of `units` that a slot has: the recurrent sums of the candidate stay apart if the reset gate is applied to
    /// them.
    fn panels(&self) -> usize {
        if self.options.reset_after { 4 } else { 3 }
    }

    /// What the sums start from, `[panels * units]`: both biases for the gates, one each for the sums of the candidate.
    fn bias(&self) -> Option<Vec<f32>> {
        let GruWeights { bias, recurrent_bias, .. } = self.weights;
        if bias.is_none() && recurrent_bias.is_none() {
            return None;
        }
        let units = self.shape.units;
        let mut sums = vec![0.0; self.panels() * units];
        if let Some(bias) = bias {
            sums[..3 * units].copy_from_slice(bias);
        }
        if let Some(bias) = recurrent_bias {
            let (gates, candidate) = bias.split_at(2 * units);
            sums[..2 * units].iter_mut().zip(gates).for_each(|(sum, bias)| *sum += bias);
            sums[3 * units..].copy_from_slice(candidate);
        }
        Some(sums)
    }
}

/// Runs the layer, for inference, or for training if `saved` is given.
///
/// # Shapes
/// See [`GruShape`] and the fields of the arguments. A row's results do not depend on the other rows.
///
/// A masked step carries the state over. `saved` is set to what [`backward`] needs.
///
/// # Panics
/// If a slice has another length, or if there is a recurrent bias without [`GruOptions::reset_after`].
///
/// # Source
/// `keras/src/layers/rnn/gru.py` of Keras 3.15, masks as in `keras/src/backend/tensorflow/rnn.py`. Recurrent dropout as in
/// its implementation 1: implementation 2, the default, leaves it out.
pub fn forward(
    context: &Context,
    shape: GruShape,
    weights: GruWeights<'_>,
    inputs: GruInputs<'_>,
    options: GruOptions<'_>,
    outputs: GruOutputs<'_>,
    saved: Option<&mut Option<GruSaved>>,
) {
    let GruOutputs { y, h } = outputs;
    let mut pass = GruForward::new(context, (shape, false), weights, inputs, options, saved.is_some());
    let (forward, cell) = pass.parts(LayerOutputs { y, h, c: None });
    forward.run(context, &cell, &());
    if let Some(saved) = saved {
        *saved = Some(pass.saved());
    }
}

/// A forward pass that is prepared.
pub(crate) struct GruForward<'a> {
    layer: Layer<'a>,
    sequence: Sequence<'a>,
    bias: Option<Vec<f32>>,
    plan: Plan,
    keeps: bool,
    gates: Buffer,
    hidden: Buffer,
    reset: Buffer,
}

impl<'a> GruForward<'a> {
    /// As [`forward`]; `inner`: there are no inputs, what is around the cell gives them.
    pub(crate) fn new(
        context: &Context,
        (shape, inner): (GruShape, bool),
        weights: GruWeights<'a>,
        inputs: GruInputs<'a>,
        options: GruOptions<'a>,
        keeps: bool,
    ) -> Self {
        let layer = Layer { shape, weights, inputs, options };
        let sequence = layer.checked(inner);
        let plan = sequence.plan(context);
        let keep = |length: usize| Buffer::new(if keeps { length } else { 0 });
        let tiles = plan.slots() * panels_length(shape.units, LANES);
        let gates = keep(plan.slots() * layer.panels() * shape.units * LANES);
        let hidden = keep(tiles);
        let reset = keep(if options.reset_after { 0 } else { tiles });
        let bias = layer.bias();
        Self { layer, sequence, bias, plan, keeps, gates, hidden, reset }
    }
}

impl<'a> Prepared for GruForward<'a> {
    type Cell<'b>
        = forward::Cell<'b>
    where
        Self: 'b;
    type Saved = GruSaved;

    fn parts<'b>(&'b mut self, to: LayerOutputs<'b>) -> (Forward<'b>, forward::Cell<'b>) {
        let Self { layer, sequence, bias, plan, keeps, gates, hidden, reset } = self;
        let LayerOutputs { y, h, c } = to;
        let GruShape { batch, steps, units, .. } = layer.shape;
        assert!(c.is_none(), "gru: it has no cell state");
        sequence.fits("y", y.as_deref(), batch * steps * units);
        sequence.fits("h", h.as_deref(), batch * units);
        let kept = keeps.then(|| [gates, hidden, reset].map(|buffer| Shared::new(buffer)));
        let cell = forward::Cell {
            layer: *layer,
            bias: bias.as_deref(),
            saved: kept.map(|[gates, _, reset]| forward::Parts { gates, reset }),
        };
        let [y, h] = [y, h].map(|to| to.map(Shared::new));
        (Forward { sequence: *sequence, plan, y, h, before: kept.map(|[_, hidden, _]| hidden) }, cell)
    }

    fn saved(self) -> GruSaved {
        GruSaved { plan: self.plan, gates: self.gates, hidden: self.hidden, reset: self.reset }
    }
}

/// One time step that replaces the state, for decoding.
///
/// # Shapes
/// `x`: `[batch, input]`; `h`: `[batch, units]`. A row's results do not depend on the other rows.
///
/// # Panics
/// As [`forward`].
pub fn step(
    context: &Context,
    shape: GruShape,
    weights: GruWeights<'_>,
    options: GruOptions<'_>,
    x: &[f32],
    h: &mut [f32],
) {
    assert_eq!(h.len(), shape.batch * shape.units, "gru: length of h");
    let mut before = Buffer::new(h.len());
    before.copy_from_slice(h);
    let inputs = GruInputs { x, h0: Some(&before), mask: None };
    let outputs = GruOutputs { y: None, h: Some(h) };
    forward(context, GruShape { steps: 1, ..shape }, weights, inputs, options, outputs, None);
}

/// The gradients that are asked for, of what [`forward`] computed with the same arguments.
///
/// # Gradient
/// Back-propagation through time. Gradients of repeated outputs go to the step whose output they repeat.
///
/// # Panics
/// If a slice has another length, if `saved` belongs to other sizes, or if the gradient of a recurrent bias is asked for
/// without [`GruOptions::reset_after`].
#[allow(clippy::too_many_arguments, reason = "operands and destinations of one formula")]
pub fn backward(
    context: &Context,
    shape: GruShape,
    weights: GruWeights<'_>,
    inputs: GruInputs<'_>,
    options: GruOptions<'_>,
    saved: GruSaved,
    output_gradients: GruOutputGradients<'_>,
    gradients: GruGradients<'_>,
) {
    let GruOutputGradients { dy, dh } = output_gradients;
    let GruGradients { dx, dh0, dkernel, drecurrent, dbias, drecurrent_bias } = gradients;
    let mut pass = GruBackward::new(shape, weights, inputs, options, saved);
    let to = LayerGradients { dx, dh0, dc0: None, dkernel, drecurrent, dbias, drecurrent_bias, passes_dx: false };
    let (backward, cell) = pass.parts(LayerOutputGradients { dy, dh, dc: None }, to);
    backward.run(context, &cell, &());
}

/// A backward pass that is prepared.
pub(crate) struct GruBackward<'a> {
    layer: Layer<'a>,
    sequence: Sequence<'a>,
    saved: GruSaved,
}

impl<'a> GruBackward<'a> {
    /// As [`backward`].
    pub(crate) fn new(
        shape: GruShape,
        weights: GruWeights<'a>,
        inputs: GruInputs<'a>,
        options: GruOptions<'a>,
        saved: GruSaved,
    ) -> Self {
        let layer = Layer { shape, weights, inputs, options };
        let sequence = layer.checked(false);
        let GruSaved { plan, gates, .. } = &saved;
        let fits = plan.shape() == shape && gates.len() == plan.slots() * layer.panels() * shape.units * LANES;
        assert!(fits, "gru: saved for other sizes");
        Self { layer, sequence, saved }
    }
}

impl<'a> PreparedBackward for GruBackward<'a> {
    type Cell<'b>
        = backward::Cell<'b>
    where
        Self: 'b;

    fn parts<'b>(
        &'b mut self,
        d: LayerOutputGradients<'b>,
        to: LayerGradients<'b>,
    ) -> (Backward<'b>, backward::Cell<'b>) {
        let Self { layer, sequence, saved: GruSaved { plan, gates, hidden, reset } } = self;
        let GruShape { batch, steps, units, .. } = layer.shape;
        let LayerOutputGradients { dy, dh, dc } = d;
        let LayerGradients { dx, dh0, dc0, dkernel, drecurrent, dbias, drecurrent_bias, passes_dx } = to;
        assert!(dc.is_none() && dc0.is_none(), "gru: it has no cell state");
        sequence.fits("dy", dy, batch * steps * units);
        sequence.fits("dh", dh, batch * units);
        let reset_after = layer.options.reset_after;
        assert!(reset_after || drecurrent_bias.is_none(), "gru: drecurrent_bias without reset_after");
        let to = Gradients { dx, dh0, dkernel, drecurrent, dbias, drecurrent_bias }.check(sequence);
        let backward = Backward {
            sequence: *sequence,
            plan,
            sums: Shared::new(gates),
            panels: layer.panels(),
            places: if reset_after { &[[0, 0], [1, 1], [2, 3]] } else { &[[0, 0], [1, 1], [2, 2]] },
            before: hidden,
            last_before: (!reset_after).then_some(&reset[..]),
            dy,
            dh,
            to,
            passes_dx,
        };
        (backward, backward::Cell { layer: *layer })
    }
}
