//! Recurrent layers, step by step. B batch, T time, D features of the input, U units.
use ::candle_core::Tensor as Array;
use sconce_kernels::activation::Activation;

use super::{Run, Value, activation, add_to};
use crate::{
    error::{Code, Error, Result},
    layers::Cell,
    plan::{Node, RecurrentPlan, ValueId},
    tensor::{Mask, Tensor},
};

/// Factors of dropout, one for all gates or one for each.
pub(super) type Factors = Option<Vec<Array>>;

/// The gradient of what is a product of an operand and weights.
pub(super) type OperandGradients = (Array, Array);

/// What all steps have in common.
pub(super) struct Layer {
    pub options: RecurrentPlan,
    pub kernel: Array,       // [G U, D]
    pub recurrent: Array,    // [G U, U]
    pub bias: Option<Array>, // [G U] or [2, G U]
    pub dropout: Factors,
    pub recurrent_dropout: Factors,
}

/// A step, with all rows.
struct Step {
    time: usize,
    /// States before it, `[B, U]`.
    before: Vec<Array>,
    /// What its backward pass needs.
    kept: Vec<Array>,
}

/// What the backward pass needs.
pub(super) struct Saved {
    layer: Layer,
    steps: Vec<Step>,
}

/// Gradients of a step.
pub(super) struct StepGradients {
    pub x: Array,
    /// Of the states before it.
    pub before: Vec<Array>,
    pub kernel: Array,
    pub recurrent: Array,
    /// In the shape of the bias.
    pub bias: Array,
}

fn multiplied(x: &Array, factor: Option<&Array>) -> Result<Array> {
    Ok(match factor {
        Some(factor) => (x * factor)?,
        None => x.clone(),
    })
}

/// Rows of `yes` where the `[B, 1]` mask is set, of `no` elsewhere.
pub(super) fn select(mask: Option<&Array>, yes: &Array, no: &Array) -> Result<Array> {
    Ok(match mask {
        Some(mask) => mask.broadcast_as(yes.dims())?.contiguous()?.where_cond(yes, no)?,
        None => yes.clone(),
    })
}

impl Layer {
    /// Part of a gate of `[B, G U]` or `[G U, D]`.
    pub(super) fn part(&self, x: &Array, axis: usize, gate: usize) -> Result<Array> {
        Ok(x.narrow(axis, gate * self.options.units, self.options.units)?.contiguous()?)
    }

    /// The dropout factor of the state for a gate.
    pub(super) fn state_factor(&self, gate: usize) -> Option<&Array> {
        factor(&self.recurrent_dropout, gate)
    }

    /// The sums of all gates of the inputs: `[B, G U]`, without a bias.
    pub(super) fn x_sums(&self, x: &Array) -> Result<Array> {
        self.product(x, &self.dropout, &self.kernel, self.options.cell.gates())
    }

    /// The sums of the first gates of the outputs before.
    pub(super) fn h_sums(&self, h: &Array, gates: usize) -> Result<Array> {
        self.product(h, &self.recurrent_dropout, &self.recurrent, gates)
    }

    fn product(&self, x: &Array, factors: &Factors, weights: &Array, gates: usize) -> Result<Array> {
        let sums = (0..gates)
            .map(|gate| {
                let weights = self.part(weights, 0, gate)?;
                Ok(multiplied(x, factor(factors, gate))?.matmul(&weights.t()?)?)
            })
            .collect::<Result<Vec<_>>>()?;
        Ok(Array::cat(&sums, 1)?)
    }

    /// Gradients of the inputs and of the kernel, from those of the sums.
    pub(super) fn x_sums_backward(&self, dz: &Array, x: &Array) -> Result<OperandGradients> {
        self.product_backward(dz, x, &self.dropout, &self.kernel, self.options.cell.gates())
    }

    /// Gradients of the outputs before and of the recurrent kernel of the first gates.
    pub(super) fn h_sums_backward(&self, dz: &Array, h: &Array, gates: usize) -> Result<OperandGradients> {
        self.product_backward(dz, h, &self.recurrent_dropout, &self.recurrent, gates)
    }

    fn product_backward(
        &self,
        dz: &Array,
        x: &Array,
        factors: &Factors,
        weights: &Array,
        gates: usize,
    ) -> Result<OperandGradients> {
        let mut dx = None;
        let mut dweights = Vec::with_capacity(gates);
        for gate in 0..gates {
            let (dz, factor) = (self.part(dz, 1, gate)?, factor(factors, gate));
            add_to(&mut dx, multiplied(&dz.matmul(&self.part(weights, 0, gate)?)?, factor)?)?;
            dweights.push(dz.t()?.matmul(&multiplied(x, factor)?)?);
        }
        let dx = dx.ok_or_else(|| Error::new(Code::Internal, "a recurrent layer has gates"))?;
        Ok((dx, Array::cat(&dweights, 0)?))
    }

    pub(super) fn gate(&self, z: &Array) -> Result<Array> {
        Ok(activation::value(self.options.recurrent_activation, z)?)
    }

    pub(super) fn gate_slope(&self, z: &Array) -> Result<Array> {
        Ok(activation::slope(self.options.recurrent_activation, z)?)
    }

    pub(super) fn function(&self) -> Activation {
        self.options.activation
    }

    fn time(&self, step: usize, steps: usize) -> usize {
        if self.options.reverse { steps - 1 - step } else { step }
    }

    /// States after a step as if no row were masked, and what to keep.
    pub(super) fn step(&self, x: &Array, before: &[Array]) -> Result<(Vec<Array>, Vec<Array>)> {
        match self.options.cell {
            Cell::Lstm => self.lstm(x, before),
            Cell::Gru { reset_after } => self.gru(x, before, reset_after),
            Cell::SimpleRnn => self.simple_rnn(x, before),
        }
    }

    /// From the gradients of the states after a step, which are 0 in masked rows.
    pub(super) fn step_backward(
        &self,
        x: &Array,
        before: &[Array],
        kept: &[Array],
        after: &[Array],
    ) -> Result<StepGradients> {
        match self.options.cell {
            Cell::Lstm => self.lstm_backward(x, before, kept, after),
            Cell::Gru { reset_after } => self.gru_backward(x, before, kept, after, reset_after),
            Cell::SimpleRnn => self.simple_rnn_backward(x, before, kept, after),
        }
    }
}

/// The factor of a gate.
fn factor(factors: &Factors, gate: usize) -> Option<&Array> {
    factors.as_ref().and_then(|factors| factors.get(gate).or_else(|| factors.first()))
}

impl Run<'_> {
    pub(super) fn state(&self, node: &Node, input: usize, shape: &[usize]) -> Result<Array> {
        match node.inputs.get(input) {
            Some(&value) => Ok(self.floats(value)?.clone()),
            None => self.zeros(shape),
        }
    }

    fn recurrent_factors(
        &self,
        index: usize,
        rate: f32,
        variants: usize,
        shape: [usize; 2],
        part: usize,
    ) -> Result<Factors> {
        let Some(random) = self.random.filter(|_| rate > 0.0) else { return Ok(None) };
        let all = self.factors(random.key(index, part), rate, &[variants, shape[0], shape[1]])?;
        Ok(Some((0..variants).map(|variant| all.get(variant)).collect::<::candle_core::Result<_>>()?))
    }

    pub(super) fn recurrent_layer(
        &self,
        index: usize,
        node: &Node,
        options: RecurrentPlan,
        [batch, input]: [usize; 2],
        first_weight: usize,
    ) -> Result<Layer> {
        let state = [batch, options.units];
        let gates = options.cell.gates();
        Ok(Layer {
            options,
            kernel: self.need_weight(node, first_weight)?,
            recurrent: self.need_weight(node, first_weight + 1)?,
            bias: if options.use_bias { Some(self.need_weight(node, first_weight + 2)?) } else { None },
            dropout: self.recurrent_factors(index, options.dropout, options.input_variants(), [batch, input], 1)?,
            recurrent_dropout: self.recurrent_factors(index, options.recurrent_dropout, gates, state, 2)?,
        })
    }

    /// `[B, 1]` flags of a step, if there is a mask.
    pub(super) fn step_mask(&self, mask: Option<&Mask>, steps: usize, time: usize) -> Result<Option<Array>> {
        mask.map(|mask| self.mask_column(mask, steps, time)).transpose()
    }

    /// The states before the first step: those of the batch before of a stateful layer, those that are given, or zeros.
    fn initial_states(&self, index: usize, node: &Node, options: RecurrentPlan, batch: usize) -> Result<Vec<Array>> {
        let shape = [batch, options.units];
        if options.stateful {
            self.states.check(index, &self.plan.layers[node.layer].name, batch)?;
            if let Some(states) = self.states.before(index) {
                return states.iter().map(|state| self.upload(state.floats()?, &shape)).collect();
            }
        }
        (1..=options.cell.states()).map(|input| self.state(node, input, &shape)).collect()
    }

    pub(super) fn recurrent_forward(&mut self, index: usize, node: &Node, options: RecurrentPlan) -> Result<()> {
        let x = self.floats(node.inputs[0])?.clone();
        let (batch, steps, _) = x.dims3()?;
        let units = options.units;
        let layer = self.recurrent_layer(index, node, options, [batch, x.dim(2)?], 0)?;
        let mask = self.mask(node.inputs[0]);
        let stateful = options.stateful && self.states.are_carried();
        let mut states = self.initial_states(index, node, options, batch)?;
        let zeros = self.zeros(&[batch, units])?;
        let mut shown = zeros.clone();
        let mut outputs = Vec::with_capacity(steps);
        let mut saved = Vec::with_capacity(steps);
        for step in 0..steps {
            let time = layer.time(step, steps);
            let column = self.step_mask(mask.as_ref(), steps, time)?;
            let x = x.narrow(1, time, 1)?.squeeze(1)?.contiguous()?;
            let (new, kept) = layer.step(&x, &states)?;
            let masked = if options.zero_output_for_mask { &zeros } else { &shown };
            shown = select(column.as_ref(), &new[0], masked)?;
            outputs.push(shown.clone());
            let after = new
                .iter()
                .zip(&states)
                .map(|(new, old)| select(column.as_ref(), new, old))
                .collect::<Result<Vec<_>>>()?;
            saved.push(Step { time, before: std::mem::replace(&mut states, after), kept });
        }
        self.saved[index] = Some(Saved { layer, steps: saved });
        if stateful {
            let shape = vec![batch, units];
            let last = states.iter().map(|state| Ok(Tensor::float(shape.clone(), Self::download(state)?)));
            let last = last.collect::<Result<Vec<_>>>()?;
            self.states.leave(index, last);
        }
        let first = if options.sequences {
            self.masks[node.outputs[0]] = mask;
            if steps == 0 { self.zeros(&[batch, 0, units])? } else { Array::stack(&outputs, 1)? }
        } else {
            shown
        };
        for (&value, output) in node.outputs.iter().zip(std::iter::once(first).chain(states)) {
            self.values[value] = Some(Value::Floats(output));
        }
        Ok(())
    }

    pub(super) fn recurrent_backward(&mut self, index: usize, node: &Node, options: RecurrentPlan) -> Result<()> {
        let count = options.cell.states();
        let mut output = |number: usize| node.outputs.get(number).and_then(|&value| self.gradients[value].take());
        let dy = output(0);
        let dstates: Vec<Option<Array>> = (1..=count).map(output).collect();
        if dy.is_none() && dstates.iter().all(Option::is_none) {
            return Ok(());
        }
        let Some(Saved { layer, steps: saved }) = self.saved[index].take() else {
            return Err(Error::new(Code::Internal, "a recurrent layer lacks what its forward pass saved"));
        };
        let x = self.floats(node.inputs[0])?.clone();
        let (batch, steps, input) = x.dims3()?;
        let mask = self.mask(node.inputs[0]);
        let zeros = self.zeros(&[batch, options.units])?;
        let mut dstates: Vec<Array> =
            dstates.into_iter().map(|gradient| gradient.unwrap_or_else(|| zeros.clone())).collect();
        // What later steps, which repeat the output of an earlier one, pass back to it. The last output is such a one.
        let (dy, mut repeated) =
            if options.sequences { (dy, zeros.clone()) } else { (None, dy.unwrap_or_else(|| zeros.clone())) };
        let mut dx: Vec<Array> = vec![self.zeros(&[batch, input])?; steps];
        let mut dweights = [None, None, None];
        for (step, at) in saved.iter().enumerate().rev() {
            let column = self.step_mask(mask.as_ref(), steps, at.time)?;
            let column = column.as_ref();
            if let Some(dy) = &dy {
                repeated = (repeated + dy.narrow(1, step, 1)?.squeeze(1)?)?;
            }
            let mut after = dstates.clone();
            after[0] = (&after[0] + &repeated)?;
            let after = after.iter().map(|d| select(column, d, &zeros)).collect::<Result<Vec<_>>>()?;
            let x = x.narrow(1, at.time, 1)?.squeeze(1)?.contiguous()?;
            let found = layer.step_backward(&x, &at.before, &at.kept, &after)?;
            dx[at.time] = found.x;
            for (sum, gradient) in dweights.iter_mut().zip([found.kernel, found.recurrent, found.bias]) {
                add_to(sum, gradient)?;
            }
            dstates = found
                .before
                .iter()
                .zip(&dstates)
                .map(|(before, passed)| select(column, before, passed))
                .collect::<Result<Vec<_>>>()?;
            let passed = if options.zero_output_for_mask { &zeros } else { &repeated };
            repeated = select(column, &zeros, passed)?;
        }
        if steps > 0 {
            self.add_gradient(node.inputs[0], Array::stack(&dx, 1)?)?;
        }
        let states: Vec<(ValueId, Array)> = node.inputs.iter().skip(1).copied().zip(dstates).collect();
        for (value, gradient) in states {
            self.add_gradient(value, gradient)?;
        }
        let count = if options.use_bias { 3 } else { 2 };
        for (number, gradient) in dweights.into_iter().enumerate().take(count) {
            if let Some(gradient) = gradient {
                self.add_weight_gradient(node, number, gradient)?;
            }
        }
        Ok(())
    }
}
