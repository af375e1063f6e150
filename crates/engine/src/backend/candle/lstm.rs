//! LSTMs, step by step. B batch, T time, D features of the input, U units; gates in the order input, forget, cell, output.
use ::candle_core::Tensor as Array;
use sconce_kernels::activation::Activation;

use super::{Run, Value, activation, add_to};
use crate::{
    error::{Code, Error, Result},
    plan::{LstmPlan, Node, ValueId},
    tensor::Mask,
};

/// A step, with all rows.
struct Step {
    time: usize,
    h_before: Array, // [B, U]
    c_before: Array, // [B, U]
    z: Array,        // [B, 4U]
    c: Array,        // [B, U], not masked
}

/// Factors of dropout, one for all gates or one for each.
type Factors = Option<Vec<Array>>;

/// What the backward pass needs.
pub(super) struct Saved {
    steps: Vec<Step>,
    dropout: Factors,
    recurrent_dropout: Factors,
}

/// The factor of a gate.
fn factor(factors: &Factors, gate: usize) -> Option<&Array> {
    factors.as_ref().and_then(|factors| factors.get(gate).or_else(|| factors.first()))
}

fn multiplied(x: &Array, factor: Option<&Array>) -> Result<Array> {
    Ok(match factor {
        Some(factor) => (x * factor)?,
        None => x.clone(),
    })
}

/// Rows of `yes` where the `[B, 1]` mask is set, of `no` elsewhere.
fn select(mask: Option<&Array>, yes: &Array, no: &Array) -> Result<Array> {
    Ok(match mask {
        Some(mask) => mask.broadcast_as(yes.dims())?.contiguous()?.where_cond(yes, no)?,
        None => yes.clone(),
    })
}

/// Part of a gate of `[B, 4U]` or `[4U, D]`.
fn part(x: &Array, axis: usize, gate: usize, units: usize) -> Result<Array> {
    Ok(x.narrow(axis, gate * units, units)?.contiguous()?)
}

/// The sums of all gates of one operand: `[B, 4U]`.
fn product(x: &Array, factors: &Factors, weights: &Array, units: usize) -> Result<Array> {
    let gates = (0..4)
        .map(|gate| {
            let weights = part(weights, 0, gate, units)?;
            Ok(multiplied(x, factor(factors, gate))?.matmul(&weights.t()?)?)
        })
        .collect::<Result<Vec<_>>>()?;
    Ok(Array::cat(&gates, 1)?)
}

/// Gradients of an operand and of its weights: `[B, D]` and `[4U, D]`.
fn product_backward(dz: &Array, x: &Array, factors: &Factors, weights: &Array, units: usize) -> Result<(Array, Array)> {
    let mut dx = None;
    let mut dweights = Vec::with_capacity(4);
    for gate in 0..4 {
        let (dz, factor) = (part(dz, 1, gate, units)?, factor(factors, gate));
        add_to(&mut dx, multiplied(&dz.matmul(&part(weights, 0, gate, units)?)?, factor)?)?;
        dweights.push(dz.t()?.matmul(&multiplied(x, factor)?)?);
    }
    let dx = dx.ok_or_else(|| Error::new(Code::Internal, "an LSTM has four gates"))?;
    Ok((dx, Array::cat(&dweights, 0)?))
}

impl LstmPlan {
    fn function(&self, gate: usize) -> Activation {
        if gate == 2 { self.activation } else { self.recurrent_activation }
    }

    fn gate(&self, z: &Array, gate: usize) -> Result<Array> {
        Ok(activation::value(self.function(gate), &part(z, 1, gate, self.units)?)?)
    }

    fn time(&self, step: usize, steps: usize) -> usize {
        if self.reverse { steps - 1 - step } else { step }
    }
}

impl Run<'_> {
    fn state(&self, node: &Node, input: usize, shape: &[usize]) -> Result<Array> {
        match node.inputs.get(input) {
            Some(&value) => Ok(self.floats(value)?.clone()),
            None => self.zeros(shape),
        }
    }

    fn lstm_factors(
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

    /// `[B, 1]` flags of a step, if there is a mask.
    fn step_mask(&self, mask: Option<&Mask>, steps: usize, time: usize) -> Result<Option<Array>> {
        mask.map(|mask| self.mask_column(mask, steps, time)).transpose()
    }

    pub(super) fn lstm_forward(&mut self, index: usize, node: &Node, options: LstmPlan) -> Result<()> {
        let x = self.floats(node.inputs[0])?.clone();
        let (batch, steps, input) = x.dims3()?;
        let units = options.units;
        let (kernel, recurrent) = (self.need_weight(node, 0)?, self.need_weight(node, 1)?);
        let bias = self.weight(node, 2)?;
        let variants = if options.recurrent_dropout > 0.0 { 4 } else { 1 };
        let dropout = self.lstm_factors(index, options.dropout, variants, [batch, input], 1)?;
        let recurrent_dropout = self.lstm_factors(index, options.recurrent_dropout, 4, [batch, units], 2)?;
        let mask = self.mask(node.inputs[0]);
        let mut h = self.state(node, 1, &[batch, units])?;
        let mut c = self.state(node, 2, &[batch, units])?;
        let zeros = self.zeros(&[batch, units])?;
        let mut shown = zeros.clone();
        let mut outputs = Vec::with_capacity(steps);
        let mut saved = Vec::with_capacity(steps);
        for step in 0..steps {
            let time = options.time(step, steps);
            let column = self.step_mask(mask.as_ref(), steps, time)?;
            let x = x.narrow(1, time, 1)?.squeeze(1)?.contiguous()?;
            let mut z = (product(&x, &dropout, &kernel, units)? + product(&h, &recurrent_dropout, &recurrent, units)?)?;
            if let Some(bias) = &bias {
                z = z.broadcast_add(bias)?;
            }
            let candidate = (options.gate(&z, 0)? * options.gate(&z, 2)?)?;
            let new_c = ((options.gate(&z, 1)? * &c)? + candidate)?;
            let new_h = (options.gate(&z, 3)? * activation::value(options.activation, &new_c)?)?;
            let masked = if options.zero_output_for_mask { &zeros } else { &shown };
            shown = select(column.as_ref(), &new_h, masked)?;
            outputs.push(shown.clone());
            let after = (select(column.as_ref(), &new_h, &h)?, select(column.as_ref(), &new_c, &c)?);
            saved.push(Step { time, h_before: h, c_before: c, z, c: new_c });
            (h, c) = after;
        }
        self.saved[index] = Some(Saved { steps: saved, dropout, recurrent_dropout });
        let first = if options.sequences {
            self.masks[node.outputs[0]] = mask;
            if steps == 0 { self.zeros(&[batch, 0, units])? } else { Array::stack(&outputs, 1)? }
        } else {
            shown
        };
        for (&value, output) in node.outputs.iter().zip([first, h, c]) {
            self.values[value] = Some(Value::Floats(output));
        }
        Ok(())
    }

    pub(super) fn lstm_backward(&mut self, index: usize, node: &Node, options: LstmPlan) -> Result<()> {
        let mut output = |number: usize| node.outputs.get(number).and_then(|&value| self.gradients[value].take());
        let (dy, dh, dc) = (output(0), output(1), output(2));
        if dy.is_none() && dh.is_none() && dc.is_none() {
            return Ok(());
        }
        let Some(Saved { steps: saved, dropout, recurrent_dropout }) = self.saved[index].take() else {
            return Err(Error::new(Code::Internal, "an LSTM lacks what its forward pass saved"));
        };
        let x = self.floats(node.inputs[0])?.clone();
        let (batch, steps, input) = x.dims3()?;
        let units = options.units;
        let (kernel, recurrent) = (self.need_weight(node, 0)?, self.need_weight(node, 1)?);
        let mask = self.mask(node.inputs[0]);
        let zeros = self.zeros(&[batch, units])?;
        let mut dh = dh.unwrap_or_else(|| zeros.clone());
        let mut dc = dc.unwrap_or_else(|| zeros.clone());
        // What later steps, which repeat the output of an earlier one, pass back to it. The last output is such a one.
        let (dy, mut repeated) =
            if options.sequences { (dy, zeros.clone()) } else { (None, dy.unwrap_or_else(|| zeros.clone())) };
        let mut dx: Vec<Array> = vec![self.zeros(&[batch, input])?; steps];
        let (mut dkernel, mut drecurrent, mut dbias) = (None, None, None);
        for (step, at) in saved.iter().enumerate().rev() {
            let column = self.step_mask(mask.as_ref(), steps, at.time)?;
            let column = column.as_ref();
            if let Some(dy) = &dy {
                repeated = (repeated + dy.narrow(1, step, 1)?.squeeze(1)?)?;
            }
            let dh_after = (&dh + &repeated)?;
            let activated = activation::value(options.activation, &at.c)?;
            let slope = activation::slope(options.activation, &at.c)?;
            let dcell = (&dc + ((&dh_after * options.gate(&at.z, 3)?)? * slope)?)?;
            let dvalues = [
                (&dcell * options.gate(&at.z, 2)?)?,
                (&dcell * &at.c_before)?,
                (&dcell * options.gate(&at.z, 0)?)?,
                (&dh_after * activated)?,
            ];
            let dz = dvalues
                .iter()
                .enumerate()
                .map(|(gate, dvalue)| {
                    let slope = activation::slope(options.function(gate), &part(&at.z, 1, gate, units)?)?;
                    select(column, &(dvalue * slope)?, &zeros)
                })
                .collect::<Result<Vec<_>>>()?;
            let dz = Array::cat(&dz, 1)?;
            let x = x.narrow(1, at.time, 1)?.squeeze(1)?.contiguous()?;
            let (dx_step, dkernel_step) = product_backward(&dz, &x, &dropout, &kernel, units)?;
            let (dh_step, drecurrent_step) =
                product_backward(&dz, &at.h_before, &recurrent_dropout, &recurrent, units)?;
            dx[at.time] = dx_step;
            add_to(&mut dkernel, dkernel_step)?;
            add_to(&mut drecurrent, drecurrent_step)?;
            add_to(&mut dbias, dz.sum(0)?)?;
            dc = select(column, &(dcell * options.gate(&at.z, 1)?)?, &dc)?;
            dh = select(column, &dh_step, &dh)?;
            let passed = if options.zero_output_for_mask { &zeros } else { &repeated };
            repeated = select(column, &zeros, passed)?;
        }
        if steps > 0 {
            self.add_gradient(node.inputs[0], Array::stack(&dx, 1)?)?;
        }
        let states: Vec<(ValueId, Array)> = node.inputs.iter().skip(1).copied().zip([dh, dc]).collect();
        for (value, gradient) in states {
            self.add_gradient(value, gradient)?;
        }
        for (number, gradient) in [dkernel, drecurrent, dbias].into_iter().enumerate() {
            if let Some(gradient) = gradient {
                self.add_weight_gradient(node, number, gradient)?;
            }
        }
        Ok(())
    }
}
