//! Recurrent layers with attention, forward and backward.
use sconce_kernels::{
    Destination,
    attentive_rnn::{
        self, AttentiveGradients, AttentiveInputs, AttentiveOutputGradients, AttentiveOutputs, AttentiveShape,
        AttentiveWeights, CellGradients, CellInputs, CellOutputGradients, CellOutputs, CellWeights, Order, Score,
    },
    buffer::Buffer,
};

use super::{
    Run, Saved,
    backward::{Slot, WeightGradients, weight_slot},
    recurrent::sequence,
};
use crate::{
    backend::{RandomState, WeightGradient},
    error::{Code, Error, Result},
    layers::Cell,
    plan::{AttentionRnnPlan, Node, ValueId},
    tensor::{Mask, Tensor},
};

/// What forward keeps.
pub(super) struct Kept {
    saved: attentive_rnn::AttentiveSaved,
    factors: Vec<Factors>,
}

/// Factors of dropout, of what goes into a cell and of its outputs before.
type Factors = (Option<Buffer>, Option<Buffer>);

/// What a kernel takes, but for the cells above the first.
struct Operands<'b> {
    cell: attentive_rnn::Cell,
    shape: AttentiveShape,
    weights: AttentiveWeights<'b>,
    inputs: AttentiveInputs<'b>,
}

/// What the cells take, the first one first.
struct Cells<'b> {
    weights: Vec<CellWeights<'b>>,
    inputs: Vec<CellInputs<'b>>,
}

/// Places of the initial states of a cell among the inputs: of h and c.
fn state_places(plan: &AttentionRnnPlan, cell: usize) -> [Option<usize>; 2] {
    let first = 3 + cell * plan.cell.states();
    [Some(first), (plan.cell == Cell::Lstm).then_some(first + 1)]
}

/// The place of what is fed to the first step.
fn fed_place(plan: &AttentionRnnPlan) -> Option<usize> {
    plan.feed.then_some(3 + plan.layers * plan.cell.states())
}

/// The row of a bias for the sums of the inputs, and that for those of the outputs before, where there are two.
fn rows_of_bias<'b>(plan: &AttentionRnnPlan, bias: Option<&'b [f32]>) -> [Option<&'b [f32]>; 2] {
    match bias {
        Some(both) if plan.cell == (Cell::Gru { reset_after: true }) => {
            [both.get(..both.len() / 2), both.get(both.len() / 2..)]
        }
        bias => [bias, None],
    }
}

/// The same of where the gradient of a bias goes.
fn rows_of_bias_gradient<'b>(plan: &AttentionRnnPlan, bias: Option<Destination<'b>>) -> [Option<Destination<'b>>; 2] {
    match bias {
        Some(Destination { data, accumulate }) if plan.cell == (Cell::Gru { reset_after: true }) => {
            let (bias, recurrent) = data.split_at_mut(data.len() / 2);
            [bias, recurrent].map(|data| Some(Destination { data, accumulate }))
        }
        bias => [bias, None],
    }
}

/// Gradients of what a layer gives.
struct OutputGradients {
    y: Option<Buffer>,
    /// Of h and c of each cell.
    states: Vec<[Option<Buffer>; 2]>,
    a: Option<Buffer>,
}

impl Run<'_> {
    fn attention_rnn_masks(&self, node: &Node) -> [Option<Mask>; 2] {
        [self.mask(node.inputs[0]), self.mask(node.inputs[2])]
    }

    fn attention_rnn_cells<'b>(
        &'b self,
        node: &Node,
        plan: &AttentionRnnPlan,
        factors: &'b [Factors],
    ) -> Result<Cells<'b>> {
        let mut cells = Cells { weights: Vec::new(), inputs: Vec::new() };
        let state = |place: Option<usize>| {
            place.and_then(|place| node.inputs.get(place)).map(|&value| self.value(value)?.floats()).transpose()
        };
        for (cell, (dropout, recurrent_dropout)) in factors.iter().enumerate() {
            let weight = |place: Option<usize>| place.map(|place| self.weight(node, place)).transpose();
            let [kernel, recurrent, bias] = plan.cell_weights(cell);
            let [bias, recurrent_bias] = rows_of_bias(plan, weight(bias)?);
            let [kernel, recurrent] = [weight(kernel)?, weight(recurrent)?].map(Option::unwrap_or_default);
            cells.weights.push(CellWeights { kernel, recurrent, bias, recurrent_bias });
            let [h0, c0] = state_places(plan, cell);
            let (dropout, recurrent_dropout) = (dropout.as_deref(), recurrent_dropout.as_deref());
            cells.inputs.push(CellInputs { h0: state(h0)?, c0: state(c0)?, dropout, recurrent_dropout });
        }
        Ok(cells)
    }

    fn attention_rnn_operands<'b>(
        &'b self,
        node: &Node,
        plan: &AttentionRnnPlan,
        masks: &'b [Option<Mask>; 2],
        cells: &'b Cells<'b>,
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
        let score = match (weight(places.query)?, weight(places.scale)?) {
            (Some(query), Some(scale)) => Score::Additive { query, scale },
            _ => Score::Dot,
        };
        let order = match weight(places.combine)? {
            Some(combine) => Order::After { combine, feed: plan.feed },
            None => Order::Before,
        };
        let lacking = || Error::new(Code::Internal, "a recurrent layer with attention has a cell");
        let (&first, above) = cells.weights.split_first().ok_or_else(lacking)?;
        let CellWeights { kernel, recurrent, bias, recurrent_bias } = first;
        let (&first, inputs_above) = cells.inputs.split_first().ok_or_else(lacking)?;
        let CellInputs { h0, c0, dropout, recurrent_dropout } = first;
        let fed = fed_place(plan).and_then(|place| node.inputs.get(place));
        let a0 = fed.map(|&value| self.value(value)?.floats()).transpose()?;
        let mask = |index: usize| masks[index].as_ref().map(|mask| mask.as_slice());
        Ok(Operands {
            cell,
            shape,
            weights: AttentiveWeights { kernel, recurrent, bias, recurrent_bias, score, order, above },
            inputs: AttentiveInputs {
                x: x.floats()?,
                keys: keys.floats()?,
                memory: memory.floats()?,
                memory_mask: mask(1),
                mask: mask(0),
                h0,
                c0,
                a0,
                dropout,
                recurrent_dropout,
                above: inputs_above,
            },
        })
    }

    pub(super) fn attention_rnn_forward(&mut self, index: usize, node: &Node, plan: AttentionRnnPlan) -> Result<()> {
        let masks = self.attention_rnn_masks(node);
        let ([batch, _, input], [.., width]) =
            (sequence(self.value(node.inputs[0])?)?, sequence(self.value(node.inputs[2])?)?);
        let nodes = self.plan.nodes.len();
        let factors: Vec<Factors> = (0..plan.layers)
            .map(|cell| {
                let lengths = [batch * plan.cell_input(cell, [input, width]), batch * plan.units];
                self.recurrent_dropout(RandomState::cell_node(index, cell, nodes), plan.recurrent(), lengths)
            })
            .collect();
        let cells = self.attention_rnn_cells(node, &plan, &factors)?;
        let Operands { cell, shape, weights, inputs } = self.attention_rnn_operands(node, &plan, &masks, &cells)?;
        let AttentiveShape { batch, steps, sources, units, .. } = shape;
        let mut y = Buffer::new(batch * steps * units);
        let lstm = plan.cell == Cell::Lstm;
        let state = |wanted: bool| wanted.then(|| Buffer::new(batch * units));
        let mut states: Vec<[Option<Buffer>; 2]> =
            (0..plan.layers).map(|_| [state(plan.states), state(plan.states && lstm)]).collect();
        let mut a = state(plan.states && plan.feed);
        let mut scores = plan.scores.then(|| Buffer::new(batch * steps * sources));
        let mut of_cells = states.iter_mut().map(|[h, c]| CellOutputs { h: h.as_deref_mut(), c: c.as_deref_mut() });
        let CellOutputs { h, c } = of_cells.next().unwrap_or_default();
        let outputs = AttentiveOutputs {
            y: Some(&mut y),
            h,
            c,
            a: a.as_deref_mut(),
            weights: scores.as_deref_mut(),
            above: of_cells.collect(),
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
        drop(cells);
        let states = states.into_iter().flatten().chain([a]).flatten();
        let states = states.map(|state| Tensor::float(vec![batch, units], state));
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
        // Those of the attention, then those of the cells.
        let of_cells = (0..plan.layers).flat_map(|cell| plan.cell_weights(cell));
        let numbers = [places.query, places.scale, places.combine].into_iter().chain(of_cells).map(|place| {
            place.and_then(|place| self.plan.weight(node, place)).filter(|&weight| self.schedule.trainable[weight])
        });
        let numbers: Vec<Option<usize>> = numbers.collect();
        let slot = |&weight: &Option<usize>| {
            let weight = weight?;
            let length = self.plan.weights[weight].specification.shape.iter().product();
            Some(weight_slot(gradients, weight, length))
        };
        let mut weight_slots: Vec<Option<Slot>> = numbers.iter().map(slot).collect();
        let cells = self.attention_rnn_cells(node, &plan, &factors)?;
        let Operands { cell, shape, weights, inputs } = self.attention_rnn_operands(node, &plan, &masks, &cells)?;
        let mut to: Vec<Option<Destination<'_>>> =
            input_slots.iter_mut().map(|slot| slot.as_mut().map(Slot::destination)).collect();
        let mut input = |place: Option<usize>| place.and_then(|place| to.get_mut(place)).and_then(Option::take);
        let mut to_weights = weight_slots.iter_mut().map(|slot| slot.as_mut().map(Slot::destination));
        let mut weight = || to_weights.next().flatten();
        let (dquery, dscale, dcombine) = (weight(), weight(), weight());
        let mut of_cells = Vec::with_capacity(plan.layers);
        for cell in 0..plan.layers {
            let (dkernel, drecurrent) = (weight(), weight());
            let [dbias, drecurrent_bias] = rows_of_bias_gradient(&plan, weight());
            let [h_place, c_place] = state_places(&plan, cell);
            let (dh0, dc0) = (input(h_place), input(c_place));
            of_cells.push(CellGradients { dh0, dc0, dkernel, drecurrent, dbias, drecurrent_bias });
        }
        let mut of_cells = of_cells.into_iter();
        let CellGradients { dh0, dc0, dkernel, drecurrent, dbias, drecurrent_bias } =
            of_cells.next().unwrap_or_default();
        let gradients_to = AttentiveGradients {
            dx: input(Some(0)),
            dkeys: input(Some(1)),
            dmemory: input(Some(2)),
            dh0,
            dc0,
            da0: input(fed_place(&plan)),
            dkernel,
            drecurrent,
            dbias,
            drecurrent_bias,
            dquery,
            dscale,
            dcombine,
            above: of_cells.collect(),
        };
        let states: Vec<CellOutputGradients<'_>> =
            d.states.iter().map(|[dh, dc]| CellOutputGradients { dh: dh.as_deref(), dc: dc.as_deref() }).collect();
        let (first, above) = states.split_at(1.min(states.len()));
        let CellOutputGradients { dh, dc } = first.first().copied().unwrap_or_default();
        let d = AttentiveOutputGradients { dy: d.y.as_deref(), dh, dc, da: d.a.as_deref(), above };
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

    /// Gradients of all outputs and of the last states; `None` if there are none at all.
    fn attention_rnn_output_gradients(
        &mut self,
        node: &Node,
        plan: &AttentionRnnPlan,
    ) -> Result<Option<OutputGradients>> {
        let mut outputs = node.outputs.iter().copied();
        let mut next = |run: &mut Self, wanted: bool| {
            let value: Option<ValueId> = if wanted { outputs.next() } else { None };
            value.and_then(|value| run.gradients[value].take())
        };
        let mut dy = next(self, true);
        let lstm = plan.cell == Cell::Lstm;
        let states: Vec<[Option<Buffer>; 2]> =
            (0..plan.layers).map(|_| [next(self, plan.states), next(self, plan.states && lstm)]).collect();
        let da = next(self, plan.states && plan.feed);
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
        let any = dy.is_some() || da.is_some() || states.iter().flatten().any(Option::is_some);
        Ok(any.then_some(OutputGradients { y: dy, states, a: da }))
    }
}
