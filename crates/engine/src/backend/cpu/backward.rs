//! Backward passes of single nodes. A gradient goes to its value's buffer: the first contribution sets it, others add.
use std::sync::Arc;

use sconce_kernels::{
    Destination, activation,
    buffer::Buffer,
    dense, dropout,
    embedding::{self, Source},
    lstm::{self, LstmGradients, LstmInputs, LstmOutputGradients, LstmShape, LstmWeights},
    reduce, softmax,
};

use super::{Run, Saved, forward};
use crate::{
    backend::WeightGradient,
    error::{Code, Error, Result},
    plan::{LstmPlan, Node, Operation, ValueId},
    shape::Dimension,
    tensor::Data,
};

/// Gradients of weights, one a weight of the plan.
pub(super) type WeightGradients = [Option<WeightGradient>];

/// One use of a table: the ids that it gathered and the gradient of what it gave.
struct Use {
    weight: usize,
    ids: Arc<Vec<i32>>,
    dy: Buffer,
}

/// A buffer to write a gradient of `length` elements to: what is there already, to add to, or a fresh one.
pub(super) struct Slot {
    pub buffer: Buffer,
    pub accumulate: bool,
}

impl Slot {
    pub(super) fn new(present: Option<Buffer>, length: usize) -> Self {
        match present {
            Some(buffer) => Self { buffer, accumulate: true },
            None => Self { buffer: Buffer::new(length), accumulate: false },
        }
    }

    pub(super) fn destination(&mut self) -> Destination<'_> {
        Destination { data: &mut self.buffer, accumulate: self.accumulate }
    }
}

/// The slot of a dense weight gradient.
pub(super) fn weight_slot(gradients: &mut WeightGradients, weight: usize, length: usize) -> Slot {
    match gradients[weight].take() {
        Some(WeightGradient::Dense(buffer)) => Slot::new(Some(buffer), length),
        // Only tables of embeddings have row gradients, and nothing else writes to those.
        Some(WeightGradient::Rows(_)) | None => Slot::new(None, length),
    }
}

impl Run<'_> {
    /// The slot of a value's gradient, if that is needed.
    pub(super) fn slot(&mut self, value: ValueId, length: usize) -> Option<Slot> {
        self.schedule.gradient[value].then(|| Slot::new(self.gradients[value].take(), length))
    }

    pub(super) fn put(&mut self, value: ValueId, slot: Option<Slot>) {
        if let Some(slot) = slot {
            self.gradients[value] = Some(slot.buffer);
        }
    }

    pub(super) fn run_backward(&mut self, gradients: &mut WeightGradients) -> Result<()> {
        let mut tables = Vec::new();
        let schedule = self.schedule;
        for (position, &index) in schedule.order.iter().enumerate().rev() {
            self.forward.interrupt.check()?;
            if schedule.backward[index] {
                self.node_backward(index, gradients, &mut tables)?;
            }
            for &value in &schedule.release_backward[position] {
                self.values[value] = None;
            }
        }
        self.embedding_backward(tables, gradients)
    }

    fn node_backward(&mut self, index: usize, gradients: &mut WeightGradients, tables: &mut Vec<Use>) -> Result<()> {
        let plan = self.plan;
        let node = &plan.nodes[index];
        if let Operation::Lstm(options) = node.operation {
            return self.lstm_backward(index, node, options, gradients);
        }
        if let Operation::Scan(scan) = &node.operation {
            return self.scan_backward(index, node, scan);
        }
        let Some(dy) = self.gradients[node.outputs[0]].take() else { return Ok(()) };
        let input = node.inputs.first().copied();
        match (&node.operation, input) {
            (&Operation::Embedding { .. }, Some(input)) => {
                if let Some(weight) = plan.weight(node, 0).filter(|&weight| self.schedule.trainable[weight]) {
                    let Data::Ids(ids) = &self.value(input)?.data else { return Ok(()) };
                    tables.push(Use { weight, ids: Arc::clone(ids), dy });
                }
            }
            (&Operation::Linear, Some(input)) => self.linear_backward(node, input, &dy, gradients)?,
            (&Operation::Activate(function), Some(input)) => {
                if let Some(mut slot) = self.slot(input, dy.len()) {
                    let kept = if function.gradient_takes_input() { input } else { node.outputs[0] };
                    activation::backward(self.context, function, self.value(kept)?.floats()?, &dy, slot.destination());
                    self.put(input, Some(slot));
                }
            }
            (&Operation::Softmax, Some(input)) => {
                if let Some(mut slot) = self.slot(input, dy.len()) {
                    let y = self.value(node.outputs[0])?;
                    if !dy.is_empty() {
                        softmax::backward(self.context, y.width(), y.floats()?, &dy, slot.destination());
                    }
                    self.put(input, Some(slot));
                }
            }
            (&Operation::Dropout(rate), Some(input)) => {
                if let Some(mut slot) = self.slot(input, dy.len()) {
                    match self.random {
                        Some(random) if rate > 0.0 => {
                            dropout::backward(self.context, &dy, slot.destination(), rate, random.key(index, 0));
                        }
                        _ if slot.accumulate => reduce::add_into(self.context, &dy, &mut slot.buffer),
                        _ => slot.buffer = dy,
                    }
                    self.put(input, Some(slot));
                }
            }
            (&Operation::Concatenate(axis), _) => self.concatenate_backward(node, axis, &dy),
            (&Operation::RepeatVector(count), Some(input)) => {
                let length = dy.len().checked_div(count).unwrap_or(0);
                if let Some(mut slot) = self.slot(input, length) {
                    if !slot.accumulate {
                        slot.buffer.fill(0.0);
                    }
                    // Inference has checked that the last size is known.
                    if let Some(&Dimension::Size(width)) = plan.values[input].shape.last() {
                        for (dx, dy) in slot.buffer.chunks_exact_mut(width).zip(dy.chunks_exact(count * width)) {
                            for step in dy.chunks_exact(width) {
                                dx.iter_mut().zip(step).for_each(|(dx, dy)| *dx += dy);
                            }
                        }
                    }
                    self.put(input, Some(slot));
                }
            }
            (Operation::Tensor(operation), _) => self.tensor_backward(index, node, operation, dy, gradients)?,
            (&Operation::Merge(merge), _) => self.merge_backward(node, merge, &dy)?,
            _ => {}
        }
        Ok(())
    }

    fn linear_backward(
        &mut self,
        node: &Node,
        input: ValueId,
        dy: &[f32],
        gradients: &mut WeightGradients,
    ) -> Result<()> {
        let kernel = self.weight(node, 0)?;
        let units = self.units(node);
        let trainable = |index| self.plan.weight(node, index).filter(|&weight| self.schedule.trainable[weight]);
        let (kernel_weight, bias_weight) = (trainable(0), trainable(1));
        let length = self.value(input)?.len();
        let mut dx = self.slot(input, length);
        let mut dkernel = kernel_weight.map(|weight| weight_slot(gradients, weight, kernel.len()));
        let mut dbias = bias_weight.map(|weight| weight_slot(gradients, weight, units));
        let x = self.value(input)?;
        dense::backward(
            self.context,
            dense::DenseShape { rows: x.rows(), input: x.width(), units },
            x.floats()?,
            kernel,
            dy,
            dx.as_mut().map(Slot::destination),
            dkernel.as_mut().map(Slot::destination),
            dbias.as_mut().map(Slot::destination),
        );
        self.put(input, dx);
        for (weight, slot) in [(kernel_weight, dkernel), (bias_weight, dbias)] {
            if let (Some(weight), Some(slot)) = (weight, slot) {
                gradients[weight] = Some(WeightGradient::Dense(slot.buffer));
            }
        }
        Ok(())
    }

    fn concatenate_backward(&mut self, node: &Node, axis: usize, dy: &[f32]) {
        // Inputs may be released: their sizes follow from the shapes of the plan (the axis is known) and from dy.
        let sizes: Vec<usize> = node
            .inputs
            .iter()
            .map(|&input| match &self.plan.values[input].shape[axis] {
                crate::shape::Dimension::Size(size) => *size,
                crate::shape::Dimension::Symbol(_) => 0,
            })
            .collect();
        let total: usize = sizes.iter().sum();
        let after: usize = self.plan.values[node.outputs[0]].shape[axis + 1..]
            .iter()
            .map(|dimension| match dimension {
                crate::shape::Dimension::Size(size) => *size,
                crate::shape::Dimension::Symbol(name) => self.symbol(name),
            })
            .product();
        let row = total * after;
        let outer = dy.len().checked_div(row).unwrap_or(0);
        let mut start = 0;
        for (&input, size) in node.inputs.iter().zip(sizes) {
            let width = size * after;
            if let Some(mut slot) = self.slot(input, outer * width) {
                for index in 0..outer {
                    let from = &dy[index * row + start..][..width];
                    let to = &mut slot.buffer[index * width..][..width];
                    if slot.accumulate {
                        to.iter_mut().zip(from).for_each(|(to, &from)| *to += from);
                    } else {
                        to.copy_from_slice(from);
                    }
                }
                self.put(input, Some(slot));
            }
            start += width;
        }
    }

    /// The size that the inputs of the batch give a symbol.
    fn symbol(&self, name: &str) -> usize {
        for (&value, tensor) in self.plan.inputs.iter().zip(self.forward.inputs) {
            let shape = &self.plan.values[value].shape;
            let found = shape
                .iter()
                .position(|dimension| matches!(dimension, crate::shape::Dimension::Symbol(symbol) if symbol == name));
            if let Some(axis) = found {
                return tensor.shape[axis];
            }
        }
        0
    }

    fn lstm_backward(
        &mut self,
        index: usize,
        node: &Node,
        options: LstmPlan,
        gradients: &mut WeightGradients,
    ) -> Result<()> {
        let output =
            |run: &mut Self, number: usize| node.outputs.get(number).and_then(|&value| run.gradients[value].take());
        let first = output(self, 0);
        let (dy, mut dh) = if options.sequences { (first, output(self, 1)) } else { (None, first) };
        let dc = output(self, 2);
        if !options.sequences {
            // Output 0 is the state h, but for rows in which it is zeros.
            if let Some(last) = &mut dh {
                let steps = forward::sequence(self.value(node.inputs[0])?)?[1];
                forward::clear_silent_rows(last, self.masks[node.inputs[0]].as_ref(), steps, options);
            }
            if let Some(state) = output(self, 1) {
                match &mut dh {
                    Some(dh) => reduce::add_into(self.context, &state, dh),
                    None => dh = Some(state),
                }
            }
        }
        if dy.is_none() && dh.is_none() && dc.is_none() {
            return Ok(());
        }
        let Some(Saved::Lstm { saved, dropout, recurrent_dropout }) = self.saved[index].take() else {
            return Err(Error::new(Code::Internal, "an LSTM lacks what its forward pass saved"));
        };
        let [batch, steps, input] = forward::sequence(self.value(node.inputs[0])?)?;
        let units = options.units;
        let shape = LstmShape { batch, steps, input, units };
        let weights = LstmWeights {
            kernel: self.weight(node, 0)?,
            recurrent: self.weight(node, 1)?,
            bias: self.optional_weight(node, 2),
        };
        let sizes = [4 * units * input, 4 * units * units, 4 * units];
        let weight_numbers: [Option<usize>; 3] = std::array::from_fn(|number| {
            self.plan.weight(node, number).filter(|&weight| self.schedule.trainable[weight])
        });
        let mut weight_slots: [Option<Slot>; 3] = std::array::from_fn(|number| {
            weight_numbers[number].map(|weight| weight_slot(gradients, weight, sizes[number]))
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
        let [dkernel, drecurrent, dbias] = &mut weight_slots;
        lstm::backward(
            self.context,
            shape,
            weights,
            LstmInputs {
                x: self.value(node.inputs[0])?.floats()?,
                h0: self.state(node, 1)?,
                c0: self.state(node, 2)?,
                mask: mask.as_ref().map(|mask| mask.as_slice()),
            },
            forward::lstm_options(options, dropout.as_deref(), recurrent_dropout.as_deref()),
            *saved,
            LstmOutputGradients { dy: dy.as_deref(), dh: dh.as_deref(), dc: dc.as_deref() },
            LstmGradients {
                dx: dx.as_mut().map(Slot::destination),
                dh0: dh0.as_mut().map(Slot::destination),
                dc0: dc0.as_mut().map(Slot::destination),
                dkernel: dkernel.as_mut().map(Slot::destination),
                drecurrent: drecurrent.as_mut().map(Slot::destination),
                dbias: dbias.as_mut().map(Slot::destination),
            },
        );
        self.put(node.inputs[0], dx);
        if let [Some(h), Some(c)] = state_inputs {
            self.put(h, dh0);
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

    /// Gradients of the tables: all uses of a table together, in the order of the graph.
    fn embedding_backward(&self, mut tables: Vec<Use>, gradients: &mut WeightGradients) -> Result<()> {
        tables.reverse();
        tables.sort_by_key(|used| used.weight);
        for uses in tables.chunk_by(|left, right| left.weight == right.weight) {
            let weight = uses[0].weight;
            let &[rows, width] = self.plan.weights[weight].specification.shape.as_slice() else {
                return Err(Error::new(Code::Internal, "a table has two axes"));
            };
            let skips: Vec<_> = uses.iter().map(|used| skipped(&used.dy, width)).collect();
            let sources: Vec<_> = uses
                .iter()
                .zip(&skips)
                .map(|(used, skip)| Source { ids: &used.ids, dy: &used.dy, skip: skip.as_deref() })
                .collect();
            let new = embedding::backward(self.context, &sources, rows, width);
            gradients[weight] = Some(match gradients[weight].take() {
                None => WeightGradient::Rows(new),
                // Accumulated over steps: a whole table is the simple common form.
                Some(WeightGradient::Rows(old)) => {
                    let mut table = Buffer::zeros(rows * width);
                    for part in [&old, &new] {
                        part.to_dense(self.context, Destination { data: &mut table, accumulate: true }, width);
                    }
                    WeightGradient::Dense(table)
                }
                Some(WeightGradient::Dense(mut table)) => {
                    new.to_dense(self.context, Destination { data: &mut table, accumulate: true }, width);
                    WeightGradient::Dense(table)
                }
            });
        }
        Ok(())
    }
}

/// Positions whose gradient is exactly zero, such as masked ones: their rows need no update.
fn skipped(dy: &[f32], width: usize) -> Option<Vec<bool>> {
    (width > 0).then(|| dy.chunks_exact(width).map(|row| row.iter().all(|&value| value == 0.0)).collect())
}
