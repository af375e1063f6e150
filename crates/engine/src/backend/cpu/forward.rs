//! Forward passes of single nodes.
use std::sync::Arc;

use sconce_kernels::{activation, buffer::Buffer, dense, embedding, softmax};

use super::Run;
use crate::{
    backend::checks::check_ids,
    error::{Code, Error, Result},
    layers::WeightSpecification,
    plan::{Node, Operation, ValueId},
    tensor::{Data, Mask, Tensor},
    weights,
};

impl<'a> Run<'a> {
    /// Runs a node and keeps its outputs.
    pub(super) fn node_forward(&mut self, position: usize, index: usize) -> Result<()> {
        let plan = self.plan;
        let node = &plan.nodes[index];
        match node.operation {
            Operation::Input => return Ok(()),
            Operation::Recurrent(options) => return self.recurrent_forward(index, node, options),
            Operation::Pool(pooling) => return self.pool_forward(index, node, pooling),
            Operation::Mask(value) => return self.mask_forward(node, value),
            Operation::UnfoldTime => return self.unfold_forward(position, node),
            Operation::Scan(ref scan) => return self.scan_forward(index, node, scan),
            Operation::Attention(plan) => return self.attention_forward(index, node, plan),
            Operation::AttentionRnn(plan) => return self.attention_rnn_forward(index, node, plan),
            Operation::AdditiveScores => return self.additive_scores_forward(node),
            Operation::Tensor(ref operation) => return self.tensor_forward(position, index, node, operation),
            _ => {}
        }
        let output = match node.operation {
            Operation::Embedding { mask_zero } => self.embedding_forward(node, mask_zero)?,
            Operation::Linear => self.linear_forward(node)?,
            Operation::Activate(function) => {
                let mut tensor = self.take_or_copy(position, node)?;
                if let Data::Float(data) = &mut tensor.data {
                    activation::forward_in_place(self.context, function, data);
                }
                tensor
            }
            Operation::Softmax => {
                let x = self.value(node.inputs[0])?;
                let mut y = Buffer::new(x.len());
                if !y.is_empty() {
                    softmax::forward(self.context, x.width(), x.floats()?, &mut y);
                }
                Tensor::float(x.shape.clone(), y)
            }
            Operation::Dropout(rate) => self.dropout_forward(position, index, node, rate)?,
            Operation::Residual(rate) => self.residual_forward(position, index, node, rate)?,
            Operation::ActivateDropped(function, rate) => {
                self.activate_dropped_forward(position, index, node, (function, rate))?
            }
            Operation::Gate => self.gate_forward(node)?,
            Operation::Concatenate(axis) => self.concatenate_forward(node, axis)?,
            Operation::RepeatVector(count) => self.repeat_forward(node, count)?,
            Operation::Merge(merge) => self.merge_forward(node, merge)?,
            Operation::FlipTime => self.flip_forward(index, node)?,
            Operation::Normalize(ref plan) => self.normalize_forward(index, node, plan)?,
            Operation::AddPositions(plan) => self.positions_forward(index, node, plan)?,
            Operation::Bias(bias) => self.bias_forward(index, node, bias)?,
            Operation::Rotate(rotation) => self.rotate_forward(index, node, rotation)?,
            Operation::LogSoftmax => self.log_softmax_forward(node)?,
            Operation::SoftmaxOver(ref axes) => self.softmax_over_forward(node, axes)?,
            Operation::SpatialDropout(rate) => match self.spatial_dropout_forward(index, node, rate)? {
                Some(tensor) => tensor,
                None => self.take_or_copy(position, node)?,
            },
            Operation::FoldTime => self.fold_forward(node)?,
            Operation::Pool(_) | Operation::Mask(_) | Operation::UnfoldTime => return Ok(()),
            Operation::Input | Operation::Recurrent(_) | Operation::Tensor(_) | Operation::Scan(_) => return Ok(()),
            Operation::Attention(_) | Operation::AttentionRnn(_) | Operation::AdditiveScores => return Ok(()),
        };
        let mask = match node.operation {
            Operation::Embedding { .. } => self.masks[node.outputs[0]].clone(),
            Operation::RepeatVector(_) | Operation::Bias(_) => None,
            Operation::Concatenate(_) | Operation::Merge(_) => {
                if plan.values[node.outputs[0]].masked {
                    self.joined_mask(node)
                } else {
                    None
                }
            }
            _ => self.masks[node.inputs[0]].clone(),
        };
        self.masks[node.outputs[0]] = mask;
        self.values[node.outputs[0]] = Some(output);
        Ok(())
    }

    /// The only input of a node: taken if nothing needs it afterwards, otherwise copied.
    pub(super) fn take_or_copy(&mut self, position: usize, node: &Node) -> Result<Tensor> {
        let input = node.inputs[0];
        match self.take_last(position, input) {
            Some(tensor) => Ok(tensor),
            None => self.value(input).cloned(),
        }
    }

    /// A value, taken, if an earlier node computed it and nothing needs it after this position.
    pub(super) fn take_last(&mut self, position: usize, value: ValueId) -> Option<Tensor> {
        let last = self.release[position].contains(&value);
        self.values[value].take_if(|_| last)
    }

    /// Positions that count in any input.
    fn joined_mask(&self, node: &Node) -> Option<Mask> {
        let masks = node.inputs.iter().map(|&input| self.masks[input].as_ref()).collect::<Option<Vec<_>>>()?;
        let mut joined = masks.first()?.to_vec();
        for mask in &masks[1..] {
            joined.iter_mut().zip(mask.iter()).for_each(|(joined, &other)| *joined |= other);
        }
        Some(Arc::new(joined))
    }

    fn embedding_forward(&mut self, node: &Node, mask_zero: bool) -> Result<Tensor> {
        let input = self.value(node.inputs[0])?;
        let ids = input.as_ids()?;
        let layer = &self.plan.layers[node.layer];
        let &[count, width] = self.specification(node).shape.as_slice() else {
            return Err(Error::new(Code::Internal, "a table of embeddings is a matrix"));
        };
        check_ids(&layer.name, ids, &input.shape, count)?;
        let mask = mask_zero.then(|| Arc::new(ids.iter().map(|&id| u8::from(id != 0)).collect::<Vec<u8>>()));
        self.masks[node.outputs[0]] = mask;
        let input = self.value(node.inputs[0])?;
        let (ids, mut shape) = (input.as_ids()?, input.shape.clone());
        let rows = match shape[..] {
            [batch, steps] => self.rows_for(node.outputs[0], batch, steps),
            _ => None,
        };
        let chosen = rows.map(|rows| rows.choose(ids));
        if let Some(chosen) = &chosen {
            shape = vec![chosen.len()];
        }
        let ids = chosen.as_deref().unwrap_or(ids);
        let mut y = Buffer::new(ids.len() * width);
        if let Some(table) = self.quantized_weight(node) {
            for (&id, row) in ids.iter().zip(y.chunks_exact_mut(width)) {
                table.row(id as usize, row);
            }
        } else {
            embedding::forward(self.context, self.weight(node, 0)?, width, ids, &mut y);
        }
        shape.push(width);
        Ok(Tensor::float(shape, y))
    }

    fn linear_forward(&self, node: &Node) -> Result<Tensor> {
        let x = self.value(node.inputs[0])?;
        let bias = self.optional_weight(node, 1);
        let units = self.units(node);
        let shape = dense::DenseShape { rows: x.rows(), input: x.width(), units };
        let mut y = Buffer::new(shape.rows * units);
        match self.quantized_weight(node) {
            Some(kernel) => kernel.forward(self.context, shape.rows, x.floats()?, bias, &mut y),
            None => dense::forward(self.context, shape, x.floats()?, self.weight(node, 0)?, bias, &mut y),
        }
        let mut sizes = x.shape.clone();
        if let Some(last) = sizes.last_mut() {
            *last = units;
        }
        Ok(Tensor::float(sizes, y))
    }

    /// What the first weight of a node is.
    fn specification(&self, node: &Node) -> &WeightSpecification {
        &self.plan.weights[self.plan.layers[node.layer].first_weight + node.first_weight].specification
    }

    /// Outputs of a linear node.
    pub(super) fn units(&self, node: &Node) -> usize {
        let specification = self.specification(node);
        // A table that is multiplied has its rows as outputs.
        weights::matrix(specification).map_or(specification.shape[0], |(_, columns)| columns)
    }

    fn concatenate_forward(&self, node: &Node, axis: usize) -> Result<Tensor> {
        let tensors = node.inputs.iter().map(|&input| self.value(input)).collect::<Result<Vec<_>>>()?;
        let mut shape = tensors[0].shape.clone();
        shape[axis] = tensors.iter().map(|tensor| tensor.shape[axis]).sum();
        let outer: usize = shape[..axis].iter().product();
        let mut y = Buffer::new(shape.iter().product());
        let row: usize = shape[axis..].iter().product();
        let mut start = 0;
        for tensor in &tensors {
            let width: usize = tensor.shape[axis..].iter().product();
            let x = tensor.floats()?;
            for index in 0..outer {
                y[index * row + start..][..width].copy_from_slice(&x[index * width..][..width]);
            }
            start += width;
        }
        Ok(Tensor::float(shape, y))
    }
}
