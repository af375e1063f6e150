//! Backward passes of single nodes. A gradient goes to its value's buffer: the first contribution sets it, others add.
use std::sync::Arc;

use sconce_kernels::{
    Destination, activation,
    buffer::Buffer,
    dense,
    embedding::{self, Source},
    softmax,
};

use super::Run;
use crate::{
    backend::WeightGradient,
    error::{Code, Error, Result},
    plan::{Node, Operation, ValueId},
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
        // Rows of tables come last in a run, and those of a table that is multiplied too are added to its dense gradient.
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
        self.release = &schedule.recomputation.release;
        for (position, &index) in schedule.order.iter().enumerate().rev() {
            for &again in &schedule.recomputation.before[position] {
                self.run_entry(again)?;
            }
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
        self.unpack_gradients(node);
        if let Operation::Recurrent(options) = node.operation {
            return self.recurrent_backward(index, node, options, gradients);
        }
        if let Operation::Scan(scan) = &node.operation {
            return self.scan_backward(index, node, scan);
        }
        if let Operation::AttentionRnn(plan) = node.operation {
            return self.attention_rnn_backward(index, node, plan, gradients);
        }
        if let Operation::Attention(plan) = node.operation {
            return self.attention_backward(index, node, plan);
        }
        let Some(dy) = self.gradients[node.outputs[0]].take() else { return Ok(()) };
        let input = node.inputs.first().copied();
        match (&node.operation, input) {
            (&Operation::Embedding { .. }, Some(input)) => {
                if let Some(weight) = plan.weight(node, 0).filter(|&weight| self.schedule.trainable[weight]) {
                    let Data::Ids(ids) = &self.value(input)?.data else { return Ok(()) };
                    let rows = self.rows(node.outputs[0]);
                    let ids = rows.map_or_else(|| Arc::clone(ids), |rows| Arc::new(rows.choose(ids)));
                    tables.push(Use { weight, ids, dy });
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
            (&Operation::Dropout(rate), _) => self.dropout_backward(index, node, rate, dy),
            (&Operation::Residual(rate), _) => self.residual_backward(index, node, rate, dy),
            (&Operation::ActivateDropped(function, rate), _) => {
                self.activate_dropped_backward(index, node, (function, rate), dy)?;
            }
            (&Operation::Gate, _) => self.gate_backward(node, &dy)?,
            (&Operation::Concatenate(axis), _) => self.concatenate_backward(node, axis, &dy),
            (&Operation::RepeatVector(count), Some(input)) => self.repeat_backward(input, count, &dy),
            (Operation::Tensor(operation), _) => self.tensor_backward(index, node, operation, dy, gradients)?,
            (&Operation::Merge(merge), _) => self.merge_backward(node, merge, &dy)?,
            (&Operation::FlipTime, _) => self.flip_backward(index, node, &dy)?,
            (Operation::Normalize(plan), _) => self.normalize_backward(index, node, plan, &dy, gradients)?,
            (&Operation::Bias(bias), _) => self.bias_backward(index, node, bias, &dy, gradients)?,
            (&Operation::Rotate(rotation), _) => self.rotate_backward(index, node, rotation, &dy)?,
            (&Operation::AddPositions(plan), _) => self.positions_backward(index, node, plan, &dy, gradients)?,
            (&Operation::Pool(pooling), _) => self.pool_backward(index, node, pooling, &dy)?,
            (&Operation::Mask(_), _) => self.mask_backward(node, &dy)?,
            (&Operation::SpatialDropout(rate), _) => self.spatial_dropout_backward(index, node, rate, &dy)?,
            (&Operation::LogSoftmax, _) => self.log_softmax_backward(node, &dy)?,
            (Operation::AdditiveScores, _) => self.additive_scores_backward(node, &dy)?,
            (Operation::SoftmaxOver(axes), _) => self.softmax_over_backward(node, axes, &dy)?,
            (&Operation::FoldTime | &Operation::UnfoldTime, Some(input)) => self.add_gradient(input, &dy),
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
        let relu = self.schedule.rectified[input].filter(|_| dx.as_ref().is_some_and(|dx| !dx.accumulate));
        let through = dense::backward(
            self.context,
            dense::DenseShape { rows: x.rows(), input: x.width(), units },
            x.floats()?,
            relu.map(|node| self.relu_factor(node, length)),
            kernel,
            dy,
            dx.as_mut().map(Slot::destination),
            dkernel.as_mut().map(Slot::destination),
            dbias.as_mut().map(Slot::destination),
        );
        match (relu, dx) {
            (Some(node), Some(dx)) if through => self.give(self.plan.nodes[node].inputs[0], dx.buffer),
            (_, dx) => self.put(input, dx),
        }
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
