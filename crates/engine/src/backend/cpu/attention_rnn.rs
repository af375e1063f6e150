//! Recurrent layers with attention, forward and backward.
use sconce_kernels::{
    Destination,
    attentive_rnn::{
        self, AttentiveGradients, AttentiveInputs, AttentiveOutputGradients, AttentiveOutputs, AttentiveShape,
        AttentiveWeights, Order, Score,
    },
    buffer::Buffer,
};

use super::{
    Run, Saved,
    backward::{Slot, WeightGradients, weight_slot},
    recurrent::sequence,
};
use crate::{
    backend::WeightGradient,
    error::{Code, Error, Result},
    layers::Cell,
    plan::{AttentionRnnPlan, Node, ValueId},
    tensor::{Mask, Tensor},
};

/// What forward keeps.
pub(super) struct Kept {
    saved: attentive_rnn::AttentiveSaved,
    factors: Factors,
}

/// Factors of dropout, of what goes into the cell and of its outputs before.
type Factors = (Option<Buffer>, Option<Buffer>);

/// What a kernel takes.
struct Operands<'b> {
    cell: attentive_rnn::Cell,
    shape: AttentiveShape,
    weights: AttentiveWeights<'b>,
    inputs: AttentiveInputs<'b>,
}

/// Places of the initial states among the inputs: of h, c and a.
fn state_places(plan: &AttentionRnnPlan) -> [Option<usize>; 3] {
    let lstm = plan.cell == Cell::Lstm;
    [Some(3), lstm.then_some(4), plan.feed.then_some(3 + plan.cell.states())]
}

impl Run<'_> {
    fn attention_rnn_masks(&self, node: &Node) -> [Option<Mask>; 2] {
        [self.mask(node.inputs[0]), self.mask(node.inputs[2])]
    }

    fn attention_rnn_operands<'b>(
        &'b self,
        node: &Node,
        plan: &AttentionRnnPlan,
        masks: &'b [Option<Mask>; 2],
        factors: &'b Factors,
    ) -> Result<Operands<'b>> {
        let (x, keys, memory) = (self.value(node.inputs[0])?, self.value(node.inputs[1])?, self.value(node.inputs[2])?);
        let [batch, steps, input] = sequence(x)?;
        let [_, sources, width] = sequence(memory)?;
        let shape =
            AttentiveShape { batch, steps, sources, input, units: plan.units, memory: width, keys: keys.width() };
        let cell = match plan.cell {
            Cell::Lstm => attentive_rnn::Cell::Lstm,
            Cell::Gru { reset_after } => attentive_rnn::Cell::Gru { reset_after },
            Cell::SimpleRnn => return Err(Error::new(Code::Internal, "no attention around a simple RNN")),
        };
        let places = plan.weights();
        let weight = |place: Option<usize>| place.map(|place| self.weight(node, place)).transpose();
        let bias = weight(places.bias)?;
        // One row for the sums of the inputs, one for those of the outputs before.
        let (bias, recurrent_bias) = match bias {
            Some(both) if plan.cell == (Cell::Gru { reset_after: true }) => {
                (both.get(..both.len() / 2), both.get(both.len() / 2..))
            }
            bias => (bias, None),
        };
        let score = match (weight(places.query)?, weight(places.scale)?) {
            (Some(query), Some(scale)) => Score::Additive { query, scale },
            _ => Score::Dot,
        };
        let order = match weight(places.combine)? {
            Some(combine) => Order::After { combine, feed: plan.feed },
            None => Order::Before,
        };
        let (kernel, recurrent) = (self.weight(node, 0)?, self.weight(node, 1)?);
        let state = |place: Option<usize>| {
            place.and_then(|place| node.inputs.get(place)).map(|&value| self.value(value)?.floats()).transpose()
        };
        let [h0, c0, a0] = state_places(plan);
        let mask = |index: usize| masks[index].as_ref().map(|mask| mask.as_slice());
        Ok(Operands {
            cell,
            shape,
            weights: AttentiveWeights { kernel, recurrent, bias, recurrent_bias, score, order },
            inputs: AttentiveInputs {
                x: x.floats()?,
                keys: keys.floats()?,
                memory: memory.floats()?,
                memory_mask: mask(1),
                mask: mask(0),
                h0: state(h0)?,
                c0: state(c0)?,
                a0: state(a0)?,
                dropout: factors.0.as_deref(),
                recurrent_dropout: factors.1.as_deref(),
            },
        })
    }

    pub(super) fn attention_rnn_forward(&mut self, index: usize, node: &Node, plan: AttentionRnnPlan) -> Result<()> {
        let masks = self.attention_rnn_masks(node);
        let ([batch, _, input], [.., width]) =
            (sequence(self.value(node.inputs[0])?)?, sequence(self.value(node.inputs[2])?)?);
        let lengths = [batch * (input + plan.fed(width)), batch * plan.units];
        let factors = self.recurrent_dropout(index, plan.recurrent(), lengths);
        let Operands { cell, shape, weights, inputs } = self.attention_rnn_operands(node, &plan, &masks, &factors)?;
        let AttentiveShape { batch, steps, sources, units, .. } = shape;
        let mut y = Buffer::new(batch * steps * units);
        let lstm = plan.cell == Cell::Lstm;
        let state = |wanted: bool| wanted.then(|| Buffer::new(batch * units));
        let (mut h, mut c, mut a) = (state(plan.states), state(plan.states && lstm), state(plan.states && plan.feed));
        let mut scores = plan.scores.then(|| Buffer::new(batch * steps * sources));
        let outputs = AttentiveOutputs {
            y: Some(&mut y),
            h: h.as_deref_mut(),
            c: c.as_deref_mut(),
            a: a.as_deref_mut(),
            weights: scores.as_deref_mut(),
        };
        let mut saved = None;
        let keep = self.schedule.backward[index].then_some(&mut saved);
        attentive_rnn::forward(self.context, cell, shape, weights, inputs, outputs, keep);
        let first = if plan.sequences {
            Tensor::float(vec![batch, steps, units], y)
        } else {
            let mut last = Buffer::zeros(batch * units);
            if steps > 0 {
                for (row, last) in last.chunks_exact_mut(units).enumerate() {
                    last.copy_from_slice(&y[((row + 1) * steps - 1) * units..][..units]);
                }
            }
            Tensor::float(vec![batch, units], last)
        };
        let states = [h, c, a].into_iter().flatten().map(|state| Tensor::float(vec![batch, units], state));
        let scores = scores.map(|scores| Tensor::float(vec![batch, steps, sources], scores));
        let values = std::iter::once(first).chain(states).chain(scores);
        for (&output, value) in node.outputs.iter().zip(values) {
            self.values[output] = Some(value);
        }
        if plan.sequences {
            let [mask, _] = masks;
            self.masks[node.outputs[0]] = mask;
        }
        self.saved[index] = saved.map(|saved| Saved::AttentionRnn(Box::new(Kept { saved, factors })));
        Ok(())
    }

    pub(super) fn attention_rnn_backward(
        &mut self,
        index: usize,
        node: &Node,
        plan: AttentionRnnPlan,
        gradients: &mut WeightGradients,
    ) -> Result<()> {
        let Some(Saved::AttentionRnn(kept)) = self.saved[index].take() else {
            return Err(Error::new(
                Code::Internal,
                "a recurrent layer with attention lacks what its forward pass kept",
            ));
        };
        let Kept { saved, factors } = *kept;
        let masks = self.attention_rnn_masks(node);
        let Some(d) = self.attention_rnn_output_gradients(node, &plan)? else { return Ok(()) };
        // Slots of the gradients of all inputs and weights.
        let mut input_slots = Vec::with_capacity(node.inputs.len());
        for &input in &node.inputs {
            let length = self.value(input)?.len();
            input_slots.push(self.slot(input, length));
        }
        let places = plan.weights();
        let numbers = [Some(0), Some(1), places.bias, places.query, places.scale, places.combine];
        let numbers = numbers.map(|place| {
            place.and_then(|place| self.plan.weight(node, place)).filter(|&weight| self.schedule.trainable[weight])
        });
        let mut weight_slots = numbers.map(|weight| {
            let weight = weight?;
            let length = self.plan.weights[weight].specification.shape.iter().product();
            Some(weight_slot(gradients, weight, length))
        });
        let Operands { cell, shape, weights, inputs } = self.attention_rnn_operands(node, &plan, &masks, &factors)?;
        let [h_place, c_place, a_place] = state_places(&plan);
        let mut to: Vec<Option<Destination<'_>>> =
            input_slots.iter_mut().map(|slot| slot.as_mut().map(Slot::destination)).collect();
        let mut input = |place: Option<usize>| place.and_then(|place| to.get_mut(place)).and_then(Option::take);
        let [kernel, recurrent, bias, query, scale, combine] =
            weight_slots.each_mut().map(|slot| slot.as_mut().map(Slot::destination));
        let (dbias, drecurrent_bias) = match bias {
            Some(Destination { data, accumulate }) if plan.cell == (Cell::Gru { reset_after: true }) => {
                let (bias, recurrent) = data.split_at_mut(data.len() / 2);
                (Some(Destination { data: bias, accumulate }), Some(Destination { data: recurrent, accumulate }))
            }
            bias => (bias, None),
        };
        let gradients_to = AttentiveGradients {
            dx: input(Some(0)),
            dkeys: input(Some(1)),
            dmemory: input(Some(2)),
            dh0: input(h_place),
            dc0: input(c_place),
            da0: input(a_place),
            dkernel: kernel,
            drecurrent: recurrent,
            dbias,
            drecurrent_bias,
            dquery: query,
            dscale: scale,
            dcombine: combine,
        };
        let [dy, dh, dc, da] = &d;
        let d = AttentiveOutputGradients { dy: dy.as_deref(), dh: dh.as_deref(), dc: dc.as_deref(), da: da.as_deref() };
        attentive_rnn::backward(self.context, cell, shape, weights, inputs, saved, d, gradients_to);
        // One value may be several inputs: each but the first adds to what the one before gave.
        for (&input, slot) in node.inputs.iter().zip(input_slots) {
            match slot {
                Some(slot) if self.gradients[input].is_some() => self.add_gradient(input, &slot.buffer),
                slot => self.put(input, slot),
            }
        }
        for (weight, slot) in numbers.into_iter().zip(weight_slots) {
            if let (Some(weight), Some(slot)) = (weight, slot) {
                gradients[weight] = Some(WeightGradient::Dense(slot.buffer));
            }
        }
        Ok(())
    }

    /// Gradients of all outputs, of the last h, c and a; `None` if there are none at all.
    fn attention_rnn_output_gradients(
        &mut self,
        node: &Node,
        plan: &AttentionRnnPlan,
    ) -> Result<Option<[Option<Buffer>; 4]>> {
        let mut outputs = node.outputs.iter().copied();
        let mut next = |run: &mut Self, wanted: bool| {
            let value: Option<ValueId> = if wanted { outputs.next() } else { None };
            value.and_then(|value| run.gradients[value].take())
        };
        let mut dy = next(self, true);
        let lstm = plan.cell == Cell::Lstm;
        let (dh, dc, da) =
            (next(self, plan.states), next(self, plan.states && lstm), next(self, plan.states && plan.feed));
        if !plan.sequences {
            let [batch, steps, _] = sequence(self.value(node.inputs[0])?)?;
            let units = plan.units;
            // Output 0 is that of the last step.
            dy = dy.map(|last| {
                let mut all = Buffer::zeros(batch * steps * units);
                if steps > 0 {
                    for (row, last) in last.chunks_exact(units).enumerate() {
                        all[((row + 1) * steps - 1) * units..][..units].copy_from_slice(last);
                    }
                }
                all
            });
        }
        let any = dy.is_some() || dh.is_some() || dc.is_some() || da.is_some();
        Ok(any.then_some([dy, dh, dc, da]))
    }
}
