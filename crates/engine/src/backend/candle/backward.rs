//! Backward passes of single nodes.
use ::candle_core::{D, Tensor as Array};

use super::{Run, activation, forward::flat};
use crate::{
    error::Result,
    plan::{Node, Operation},
};

impl Run<'_> {
    /// Sends the gradients of a node's outputs on to its inputs and weights.
    pub(super) fn node_backward(&mut self, index: usize) -> Result<()> {
        let plan = self.plan;
        let node = &plan.nodes[index];
        if let Operation::Recurrent(options) = node.operation {
            return self.recurrent_backward(index, node, options);
        }
        if let Operation::Scan(scan) = &node.operation {
            return self.scan_backward(node, scan);
        }
        if let Operation::AttentionRnn(plan) = node.operation {
            return self.attention_rnn_backward(index, node, plan);
        }
        if let Operation::Attention(plan) = node.operation {
            return self.attention_backward(index, node, plan);
        }
        // Gradients of inputs stay: the caller may want them.
        if node.operation == Operation::Input {
            return Ok(());
        }
        let Some(dy) = self.gradients[node.outputs[0]].take() else { return Ok(()) };
        let input = node.inputs.first().copied().unwrap_or_default();
        match node.operation {
            Operation::Input | Operation::Recurrent(_) | Operation::Scan(_) | Operation::Attention(_) => Ok(()),
            Operation::AttentionRnn(_) => Ok(()),
            Operation::Embedding { .. } => {
                let indices = self.indices(self.ids(input)?.as_ids()?)?;
                let table = self.zeros(
                    &plan.weights[plan.layers[node.layer].first_weight + node.first_weight].specification.shape,
                )?;
                self.add_weight_gradient(node, 0, table.index_add(&indices, &flat(&dy)?, 0)?)
            }
            Operation::Linear => self.linear_backward(node, &dy),
            Operation::Activate(function) => {
                let slope = activation::slope(function, self.floats(input)?)?;
                self.add_gradient(input, (dy * slope)?)
            }
            Operation::Softmax => {
                let y = self.floats(node.outputs[0])?;
                let mean = (y * &dy)?.sum_keepdim(D::Minus1)?;
                let dx = (y * dy.broadcast_sub(&mean)?)?;
                self.add_gradient(input, dx)
            }
            Operation::Dropout(rate) => {
                let dx = self.dropped(index, rate, &dy)?;
                self.add_gradient(input, dx)
            }
            Operation::Residual(rate) => {
                let dx = self.dropped(index, rate, &dy)?;
                self.add_gradient(node.inputs[1], dx)?;
                self.add_gradient(input, dy)
            }
            Operation::ActivateDropped(function, rate) => {
                let slope = activation::slope(function, self.floats(input)?)?;
                let dx = (self.dropped(index, rate, &dy)? * slope)?;
                self.add_gradient(input, dx)
            }
            Operation::Gate => {
                let dx = (&dy * self.floats(node.inputs[1])?)?;
                let dgate = (&dy * self.floats(input)?)?;
                self.add_gradient(input, dx)?;
                self.add_gradient(node.inputs[1], dgate)
            }
            Operation::Concatenate(axis) => {
                let mut start = 0;
                for &input in &node.inputs {
                    let length = self.floats(input)?.dim(axis)?;
                    self.add_gradient(input, dy.narrow(axis, start, length)?.contiguous()?)?;
                    start += length;
                }
                Ok(())
            }
            Operation::Tensor(ref operation) => self.tensor_backward(node, operation, &dy),
            Operation::RepeatVector(_) => self.add_gradient(input, dy.sum(1)?),
            Operation::Merge(merge) => self.merge_backward(node, merge, &dy),
            Operation::FlipTime => self.add_gradient(input, dy.flip(&[1])?),
            Operation::Normalize(ref plan) => self.normalize_backward(node, plan, &dy),
            Operation::AddPositions(plan) => self.positions_backward(node, plan, &dy),
            Operation::Bias(bias) => self.bias_backward(node, bias, &dy),
            Operation::Rotate(rotation) => {
                let dx = self.rotated(&dy, rotation, true)?;
                self.add_gradient(input, dx)
            }
            Operation::Pool(pooling) => self.pool_backward(node, pooling, &dy),
            Operation::Mask(_) => self.mask_backward(node, &dy),
            Operation::SpatialDropout(rate) => {
                let dx = self.spatial_dropout(index, rate, &dy)?;
                self.add_gradient(input, dx)
            }
            Operation::LogSoftmax => {
                let y = self.floats(node.outputs[0])?;
                let dx = (&dy - y.exp()?.broadcast_mul(&dy.sum_keepdim(D::Minus1)?)?)?;
                self.add_gradient(input, dx)
            }
            Operation::AdditiveScores => self.additive_scores_backward(node, &dy),
            Operation::SoftmaxOver(ref axes) => self.softmax_over_backward(node, axes, &dy),
            Operation::FoldTime | Operation::UnfoldTime => self.fold_backward(node, &dy),
        }
    }

    /// Gradients of a linear node's input and weights.
    pub(super) fn linear_backward(&mut self, node: &Node, dy: &Array) -> Result<()> {
        let x = self.floats(node.inputs[0])?.clone();
        let kernel = self.need_weight(node, 0)?;
        let (flat_x, flat_dy) = (flat(&x)?, flat(dy)?);
        self.add_gradient(node.inputs[0], flat_dy.matmul(&kernel)?.reshape(x.dims())?)?;
        self.add_weight_gradient(node, 0, flat_dy.t()?.matmul(&flat_x)?)?;
        self.add_weight_gradient(node, 1, flat_dy.sum(0)?)
    }
}
