//! Recurrent layers, forward and backward.
use sconce_kernels::{
    Destination,
    buffer::Buffer,
    dropout::Dropout,
    gru::{self, GruGradients, GruInputs, GruOptions, GruOutputGradients, GruOutputs, GruSaved, GruShape, GruWeights},
    lstm::{
        self, LstmGradients, LstmInputs, LstmOptions, LstmOutputGradients, LstmOutputs, LstmSaved, LstmShape,
        LstmWeights,
    },
    reduce,
    simple_rnn::{
        self, SimpleRnnGradients, SimpleRnnInputs, SimpleRnnOptions, SimpleRnnOutputGradients, SimpleRnnOutputs,
        SimpleRnnSaved, SimpleRnnWeights,
    },
};

use super::{
    Run, Saved,
    backward::{Slot, WeightGradients, weight_slot},
};
use crate::{
    backend::WeightGradient,
    error::{Code, Error, Result},
    layers::Cell,
    plan::{Node, RecurrentPlan},
    tensor::{Mask, Tensor},
};

/// What a node keeps for its backward pass.
pub(super) struct Kept {
    cell: KeptCell,
    dropout: Option<Buffer>,
    recurrent_dropout: Option<Buffer>,
}

enum KeptCell {
    Lstm(Box<LstmSaved>),
    Gru(Box<GruSaved>),
    SimpleRnn(Box<SimpleRnnSaved>),
}

/// What a kernel takes.
struct Operands<'b> {
    shape: GruShape,
    kernel: &'b [f32],
    recurrent: &'b [f32],
    bias: Option<&'b [f32]>,
    x: &'b [f32],
    states: [Option<&'b [f32]>; 2],
    mask: Option<&'b [u8]>,
    dropout: Option<&'b [f32]>,
    recurrent_dropout: Option<&'b [f32]>,
    options: RecurrentPlan,
}

/// Sizes of a sequence `[B, T, D]`.
pub(super) fn sequence(tensor: &Tensor) -> Result<[usize; 3]> {
    <[usize; 3]>::try_from(tensor.shape.as_slice())
        .map_err(|_| Error::new(Code::Internal, format!("expected a sequence, got shape {:?}", tensor.shape)))
}

impl Operands<'_> {
    fn lstm(&self) -> (LstmShape, LstmWeights<'_>, LstmInputs<'_>, LstmOptions<'_>) {
        let &Self { shape, kernel, recurrent, bias, x, states: [h0, c0], mask, options, .. } = self;
        let weights = LstmWeights { kernel, recurrent, bias };
        let options = LstmOptions {
            reverse: options.reverse,
            activation: options.activation,
            recurrent_activation: options.recurrent_activation,
            zero_output_for_mask: options.zero_output_for_mask,
            dropout: self.dropout,
            recurrent_dropout: self.recurrent_dropout,
        };
        (shape, weights, LstmInputs { x, h0, c0, mask }, options)
    }

    fn gru(&self, reset_after: bool) -> (GruShape, GruWeights<'_>, GruInputs<'_>, GruOptions<'_>) {
        let &Self { shape, kernel, recurrent, bias, x, states: [h0, _], mask, options, .. } = self;
        // One row for the sums of the inputs, one for those of the outputs before.
        let (bias, recurrent_bias) = match bias {
            Some(both) if reset_after => (both.get(..both.len() / 2), both.get(both.len() / 2..)),
            bias => (bias, None),
        };
        let weights = GruWeights { kernel, recurrent, bias, recurrent_bias };
        let options = GruOptions {
            reset_after,
            reverse: options.reverse,
            activation: options.activation,
            recurrent_activation: options.recurrent_activation,
            zero_output_for_mask: options.zero_output_for_mask,
            dropout: self.dropout,
            recurrent_dropout: self.recurrent_dropout,
        };
        (shape, weights, GruInputs { x, h0, mask }, options)
    }

    fn simple_rnn(&self) -> (GruShape, SimpleRnnWeights<'_>, SimpleRnnInputs<'_>, SimpleRnnOptions<'_>) {
        let &Self { shape, kernel, recurrent, bias, x, states: [h0, _], mask, options, .. } = self;
        let weights = SimpleRnnWeights { kernel, recurrent, bias };
        let options = SimpleRnnOptions {
            reverse: options.reverse,
            activation: options.activation,
            zero_output_for_mask: options.zero_output_for_mask,
            dropout: self.dropout,
            recurrent_dropout: self.recurrent_dropout,
        };
        (shape, weights, SimpleRnnInputs { x, h0, mask }, options)
    }
}

impl Run<'_> {
    /// An initial state, if the node has one.
    fn state(&self, node: &Node, input: usize) -> Result<Option<&[f32]>> {
        node.inputs.get(input).map(|&value| self.value(value)?.floats()).transpose()
    }

    /// The states before the first step: those of the batch before of a stateful layer, or those that are given.
    fn initial_states(&self, index: usize, node: &Node) -> Result<[Option<&[f32]>; 2]> {
        match self.states.before(index) {
            Some(states) => {
                let state = |number: usize| states.get(number).map(Tensor::floats).transpose();
                Ok([state(0)?, state(1)?])
            }
            None => Ok([self.state(node, 1)?, self.state(node, 2)?]),
        }
    }

    #[allow(clippy::too_many_arguments, reason = "operands of one kernel")]
    fn operands<'b>(
        &'b self,
        index: usize,
        node: &Node,
        options: RecurrentPlan,
        mask: Option<&'b Mask>,
        dropout: Option<&'b [f32]>,
        recurrent_dropout: Option<&'b [f32]>,
    ) -> Result<Operands<'b>> {
        let x = self.value(node.inputs[0])?;
        let [batch, steps, input] = sequence(x)?;
        Ok(Operands {
            shape: GruShape { batch, steps, input, units: options.units },
            kernel: self.weight(node, 0)?,
            recurrent: self.weight(node, 1)?,
            bias: if options.use_bias { Some(self.weight(node, 2)?) } else { None },
            x: x.floats()?,
            states: self.initial_states(index, node)?,
            mask: mask.map(|mask| mask.as_slice()),
            dropout,
            recurrent_dropout,
            options,
        })
    }

    pub(super) fn recurrent_forward(&mut self, index: usize, node: &Node, options: RecurrentPlan) -> Result<()> {
        let [batch, steps, input] = sequence(self.value(node.inputs[0])?)?;
        let units = options.units;
        let mask = self.masks[node.inputs[0]].clone();
        let stateful = options.stateful && self.states.are_carried();
        if stateful {
            self.states.check(index, &self.plan.layers[node.layer].name, batch)?;
        }
        let factors = self.recurrent_dropout(index, options, [batch * input, batch * units]);
        let (dropout, recurrent_dropout) = (factors.0.as_deref(), factors.1.as_deref());
        let operands = self.operands(index, node, options, mask.as_ref(), dropout, recurrent_dropout)?;
        let states = node.outputs.len() > 1;
        let mut y_all = Buffer::new(if options.sequences { batch * steps * units } else { 0 });
        // Without sequences, output 0 is the last output.
        let wants_h = states || stateful || !options.sequences;
        let wants_c = node.outputs.len() > 2 || (stateful && options.cell == Cell::Lstm);
        let mut h_last = Buffer::new(if wants_h { batch * units } else { 0 });
        let mut c_last = Buffer::new(if wants_c { batch * units } else { 0 });
        let y = options.sequences.then_some(&mut *y_all);
        let h = wants_h.then_some(&mut *h_last);
        let keeps = self.schedule.backward[index];
        let kept = match options.cell {
            Cell::Lstm => {
                let (shape, weights, inputs, options) = operands.lstm();
                let outputs = LstmOutputs { y, h, c: wants_c.then_some(&mut *c_last) };
                let mut saved = None;
                let keep = keeps.then_some(&mut saved);
                lstm::forward(self.context, shape, weights, inputs, options, outputs, keep);
                saved.map(|saved| KeptCell::Lstm(Box::new(saved)))
            }
            Cell::Gru { reset_after } => {
                let (shape, weights, inputs, options) = operands.gru(reset_after);
                let mut saved = None;
                let keep = keeps.then_some(&mut saved);
                gru::forward(self.context, shape, weights, inputs, options, GruOutputs { y, h }, keep);
                saved.map(|saved| KeptCell::Gru(Box::new(saved)))
            }
            Cell::SimpleRnn => {
                let (shape, weights, inputs, options) = operands.simple_rnn();
                let mut saved = None;
                let keep = keeps.then_some(&mut saved);
                simple_rnn::forward(self.context, shape, weights, inputs, options, SimpleRnnOutputs { y, h }, keep);
                saved.map(|saved| KeptCell::SimpleRnn(Box::new(saved)))
            }
        };
        self.saved[index] =
            kept.map(|cell| Saved::Recurrent(Kept { cell, dropout: factors.0, recurrent_dropout: factors.1 }));
        let state = |data: Buffer| Some(Tensor::float(vec![batch, units], data));
        if stateful {
            let last = [Some(&h_last), wants_c.then_some(&c_last)].into_iter().flatten();
            self.states.leave(index, last.map(|data| Tensor::float(vec![batch, units], data.clone())).collect());
        }
        if options.sequences {
            self.values[node.outputs[0]] = Some(Tensor::float(vec![batch, steps, units], y_all));
        } else {
            let mut last = if states { h_last.clone() } else { std::mem::replace(&mut h_last, Buffer::new(0)) };
            clear_silent_rows(&mut last, mask.as_ref(), steps, options);
            self.values[node.outputs[0]] = state(last);
        }
        for (&output, data) in node.outputs[1..].iter().zip([h_last, c_last]) {
            self.values[output] = state(data);
        }
        if options.sequences {
            self.masks[node.outputs[0]] = mask;
        }
        Ok(())
    }

    /// Factors of dropout, of the inputs and of the state.
    pub(super) fn recurrent_dropout(
        &self,
        index: usize,
        options: RecurrentPlan,
        lengths: [usize; 2],
    ) -> (Option<Buffer>, Option<Buffer>) {
        let Some(random) = self.random else { return (None, None) };
        let factors = |rate: f32, length: usize, part: usize| {
            (rate > 0.0).then(|| {
                let mut factors = Buffer::new(length);
                Dropout::new(rate, random.key(index, part)).mask(self.context, &mut factors);
                factors
            })
        };
        (
            factors(options.dropout, options.input_variants() * lengths[0], 1),
            factors(options.recurrent_dropout, options.cell.gates() * lengths[1], 2),
        )
    }

    pub(super) fn recurrent_backward(
        &mut self,
        index: usize,
        node: &Node,
        options: RecurrentPlan,
        gradients: &mut WeightGradients,
    ) -> Result<()> {
        let Some([dy, dh, dc]) = self.recurrent_output_gradients(node, options)? else { return Ok(()) };
        let Some(Saved::Recurrent(Kept { cell, dropout, recurrent_dropout })) = self.saved[index].take() else {
            return Err(Error::new(Code::Internal, "a recurrent layer lacks what its forward pass saved"));
        };
        let [batch, steps, input] = sequence(self.value(node.inputs[0])?)?;
        let units = options.units;
        let weight_numbers: [Option<usize>; 3] = std::array::from_fn(|number| {
            let weight = if number < 2 || options.use_bias { self.plan.weight(node, number) } else { None };
            weight.filter(|&weight| self.schedule.trainable[weight])
        });
        let mut weight_slots = weight_numbers.map(|weight| {
            let weight = weight?;
            let length = self.plan.weights[weight].specification.shape.iter().product();
            Some(weight_slot(gradients, weight, length))
        });
        let mut dx = self.slot(node.inputs[0], batch * steps * input);
        // The two states may be one value: the second then goes to a buffer of its own and is added.
        let state_inputs = [node.inputs.get(1).copied(), node.inputs.get(2).copied()];
        let mut dh0 = state_inputs[0].and_then(|value| self.slot(value, batch * units));
        let mut dc0 = state_inputs[1].and_then(|value| {
            let same = state_inputs[0] == Some(value);
            self.schedule.gradient[value]
                .then(|| Slot::new(if same { None } else { self.gradients[value].take() }, batch * units))
        });
        let mask = self.masks[node.inputs[0]].clone();
        let operands =
            self.operands(index, node, options, mask.as_ref(), dropout.as_deref(), recurrent_dropout.as_deref())?;
        let (dy, dh, dc) = (dy.as_deref(), dh.as_deref(), dc.as_deref());
        let [kernel_slot, recurrent_slot, bias_slot] = &mut weight_slots;
        match cell {
            KeptCell::Lstm(saved) => {
                let (shape, weights, inputs, options) = operands.lstm();
                let outputs = LstmOutputGradients { dy, dh, dc };
                let gradients = LstmGradients {
                    dx: dx.as_mut().map(Slot::destination),
                    dh0: dh0.as_mut().map(Slot::destination),
                    dc0: dc0.as_mut().map(Slot::destination),
                    dkernel: kernel_slot.as_mut().map(Slot::destination),
                    drecurrent: recurrent_slot.as_mut().map(Slot::destination),
                    dbias: bias_slot.as_mut().map(Slot::destination),
                };
                lstm::backward(self.context, shape, weights, inputs, options, *saved, outputs, gradients);
            }
            KeptCell::Gru(saved) => {
                let reset_after = options.cell == (Cell::Gru { reset_after: true });
                let (shape, weights, inputs, options) = operands.gru(reset_after);
                let (dbias, drecurrent_bias) = match bias_slot {
                    Some(slot) if reset_after => {
                        let accumulate = slot.accumulate;
                        let (bias, recurrent) = slot.buffer.split_at_mut(3 * units);
                        let to = |data| Some(Destination { data, accumulate });
                        (to(bias), to(recurrent))
                    }
                    slot => (slot.as_mut().map(Slot::destination), None),
                };
                let gradients = GruGradients {
                    dx: dx.as_mut().map(Slot::destination),
                    dh0: dh0.as_mut().map(Slot::destination),
                    dkernel: kernel_slot.as_mut().map(Slot::destination),
                    drecurrent: recurrent_slot.as_mut().map(Slot::destination),
                    dbias,
                    drecurrent_bias,
                };
                let outputs = GruOutputGradients { dy, dh };
                gru::backward(self.context, shape, weights, inputs, options, *saved, outputs, gradients);
            }
            KeptCell::SimpleRnn(saved) => {
                let (shape, weights, inputs, options) = operands.simple_rnn();
                let gradients = SimpleRnnGradients {
                    dx: dx.as_mut().map(Slot::destination),
                    dh0: dh0.as_mut().map(Slot::destination),
                    dkernel: kernel_slot.as_mut().map(Slot::destination),
                    drecurrent: recurrent_slot.as_mut().map(Slot::destination),
                    dbias: bias_slot.as_mut().map(Slot::destination),
                };
                let outputs = SimpleRnnOutputGradients { dy, dh };
                simple_rnn::backward(self.context, shape, weights, inputs, options, *saved, outputs, gradients);
            }
        }
        self.put(node.inputs[0], dx);
        if let Some(h) = state_inputs[0] {
            self.put(h, dh0);
        }
        if let [Some(h), Some(c)] = state_inputs {
            match dc0 {
                Some(slot) if h == c => {
                    if let Some(sum) = &mut self.gradients[h] {
                        reduce::add_into(self.context, &slot.buffer, sum);
                    }
                }
                slot => self.put(c, slot),
            }
        }
        for (weight, slot) in weight_numbers.into_iter().zip(weight_slots) {
            if let (Some(weight), Some(slot)) = (weight, slot) {
                gradients[weight] = Some(WeightGradient::Dense(slot.buffer));
            }
        }
        Ok(())
    }

    /// Gradients of all outputs and of the last states; `None` if there are none at all.
    fn recurrent_output_gradients(
        &mut self,
        node: &Node,
        options: RecurrentPlan,
    ) -> Result<Option<[Option<Buffer>; 3]>> {
        let output =
            |run: &mut Self, number: usize| node.outputs.get(number).and_then(|&value| run.gradients[value].take());
        let first = output(self, 0);
        let (dy, mut dh) = if options.sequences { (first, output(self, 1)) } else { (None, first) };
        let dc = output(self, 2);
        if !options.sequences {
            // Output 0 is the state h, but for rows in which it is zeros.
            if let Some(last) = &mut dh {
                let steps = sequence(self.value(node.inputs[0])?)?[1];
                clear_silent_rows(last, self.masks[node.inputs[0]].as_ref(), steps, options);
            }
            if let Some(state) = output(self, 1) {
                match &mut dh {
                    Some(dh) => reduce::add_into(self.context, &state, dh),
                    None => dh = Some(state),
                }
            }
        }
        let any = dy.is_some() || dh.is_some() || dc.is_some();
        Ok(any.then_some([dy, dh, dc]))
    }
}

/// Clears the rows of a last output that are zeros: those without any step that counts, and with `zero_output_for_mask`
/// those whose last processed step is masked; all rows of a sequence of no steps. Everywhere else the last output is the
/// last state.
fn clear_silent_rows(last: &mut [f32], mask: Option<&Mask>, steps: usize, options: RecurrentPlan) {
    if steps == 0 {
        last.fill(0.0);
    }
    let Some(mask) = mask else { return };
    for (row, values) in last.chunks_exact_mut(options.units).enumerate() {
        let mask = &mask[row * steps..][..steps];
        let end = if options.reverse { mask.first() } else { mask.last() };
        let silent = if options.zero_output_for_mask {
            end.is_none_or(|&counts| counts == 0)
        } else {
            mask.iter().all(|&counts| counts == 0)
        };
        if silent {
            values.fill(0.0);
        }
    }
}
