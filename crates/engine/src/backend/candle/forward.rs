//! Forward passes of single nodes.
use std::sync::Arc;

use ::candle_core::{D, DType, Tensor as Array};

use super::{Run, Value, activation};
use crate::{
    backend::checks::check_ids,
    error::{Code, Error, Result},
    plan::{Node, Operation},
    tensor::Mask,
};

/// `[rows, width]` of a tensor with more axes.
pub(super) fn flat(x: &Array) -> Result<Array> {
    let width = x.dims().last().copied().unwrap_or(1);
    let rows: usize = x.dims().iter().rev().skip(1).product();
    Ok(x.reshape((rows, width))?)
}

/// Softmax over the last axis.
pub(super) fn softmax(x: &Array) -> Result<Array> {
    Ok(candle_nn::ops::softmax(x, D::Minus1)?)
}

impl Run<'_> {
    /// Runs a node and keeps its outputs.
    pub(super) fn node_forward(&mut self, index: usize) -> Result<()> {
        let plan = self.plan;
        let node = &plan.nodes[index];
        let input = node.inputs.first().copied().unwrap_or_default();
        let output = match node.operation {
            Operation::Input => return Ok(()),
            Operation::Recurrent(options) => return self.recurrent_forward(index, node, options),
            Operation::Scan(ref scan) => return self.scan_forward(node, scan),
            Operation::Attention(plan) => return self.attention_forward(index, node, plan),
            Operation::AttentionRnn(plan) => return self.attention_rnn_forward(index, node, plan),
            Operation::AdditiveScores => self.additive_scores_forward(node)?,
            Operation::Tensor(ref operation) => return self.tensor_forward(node, operation),
            Operation::Embedding { mask_zero } => self.embedding_forward(node, mask_zero)?,
            Operation::Linear => self.linear(node)?,
            Operation::Activate(function) => activation::value(function, self.floats(input)?)?,
            Operation::Softmax => softmax(self.floats(input)?)?,
            Operation::Dropout(rate) => self.dropped(index, rate, self.floats(input)?)?,
            Operation::Residual(rate) => {
                (self.floats(input)? + self.dropped(index, rate, self.floats(node.inputs[1])?)?)?
            }
            Operation::ActivateDropped(function, rate) => {
                self.dropped(index, rate, &activation::value(function, self.floats(input)?)?)?
            }
            Operation::Gate => (self.floats(input)? * self.floats(node.inputs[1])?)?,
            Operation::Concatenate(axis) => {
                let parts = node.inputs.iter().map(|&input| self.floats(input)).collect::<Result<Vec<_>>>()?;
                Array::cat(&parts, axis)?
            }
            Operation::RepeatVector(count) => {
                let x = self.floats(input)?;
                let (rows, width) = x.dims2()?;
                x.unsqueeze(1)?.broadcast_as((rows, count, width))?.contiguous()?
            }
            Operation::Merge(merge) => self.merge_forward(node, merge)?,
            Operation::FlipTime => self.floats(input)?.flip(&[1])?,
            Operation::Normalize(ref plan) => self.normalize_forward(node, plan)?,
            Operation::AddPositions(plan) => self.positions_forward(node, plan)?,
            Operation::Bias(bias) => self.bias_forward(node, bias)?,
            Operation::Rotate(rotation) => self.rotated(self.floats(input)?, rotation, false)?,
            Operation::Pool(pooling) => self.pool_forward(node, pooling)?,
            Operation::Mask(value) => self.mask_forward(node, value)?,
            Operation::SpatialDropout(rate) => self.spatial_dropout(index, rate, self.floats(input)?)?,
            Operation::LogSoftmax => candle_nn::ops::log_softmax(self.floats(input)?, D::Minus1)?,
            Operation::SoftmaxOver(ref axes) => self.softmax_over_forward(node, axes)?,
            Operation::FoldTime => return self.fold(node),
            Operation::UnfoldTime => self.unfold_forward(node)?,
        };
        if matches!(node.operation, Operation::Concatenate(_) | Operation::Merge(_)) {
            self.masks[node.outputs[0]] = self.joined_mask(node);
        }
        self.values[node.outputs[0]] = Some(Value::Floats(output));
        Ok(())
    }

    /// Positions that count in any input; `None` if an input has no mask or the plan says so.
    fn joined_mask(&self, node: &Node) -> Option<Mask> {
        if !self.plan.values[node.outputs[0]].masked {
            return None;
        }
        let masks = node.inputs.iter().map(|&input| self.mask(input)).collect::<Option<Vec<_>>>()?;
        let length = masks.first()?.len();
        Some(Arc::new((0..length).map(|at| masks.iter().fold(0, |joined, mask| joined | mask[at])).collect()))
    }

    fn embedding_forward(&mut self, node: &Node, mask_zero: bool) -> Result<Array> {
        let table = self.need_weight(node, 0)?;
        let input = self.ids(node.inputs[0])?;
        let ids = input.as_ids()?;
        let (rows, width) = table.dims2()?;
        check_ids(&self.plan.layers[node.layer].name, ids, &input.shape, rows)?;
        let mut shape = input.shape.clone();
        shape.push(width);
        let output = table.index_select(&self.indices(ids)?, 0)?.reshape(shape)?;
        if mask_zero {
            self.masks[node.outputs[0]] = Some(Arc::new(ids.iter().map(|&id| u8::from(id != 0)).collect()));
        }
        Ok(output)
    }

    /// Checked ids on the device.
    pub(super) fn indices(&self, ids: &[i32]) -> Result<Array> {
        let ids = ids.iter().map(|&id| u32::try_from(id)).collect::<std::result::Result<Vec<_>, _>>();
        let ids = ids.map_err(|_| Error::new(Code::Internal, "an id was not checked"))?;
        Ok(Array::from_slice(&ids, ids.len(), &self.program.placement.device)?)
    }

    /// `x W + b` of a linear node.
    pub(super) fn linear(&self, node: &Node) -> Result<Array> {
        let x = self.floats(node.inputs[0])?;
        let kernel = self.need_weight(node, 0)?;
        let mut y = flat(x)?.matmul(&kernel.t()?)?;
        if let Some(bias) = self.weight(node, 1)? {
            y = y.broadcast_add(&bias.flatten_all()?)?;
        }
        let mut shape = x.dims().to_vec();
        if let Some(last) = shape.last_mut() {
            *last = kernel.dim(0)?;
        }
        Ok(y.reshape(shape)?)
    }

    /// `[batch, 1]` flags of a step of a mask.
    pub(super) fn mask_column(&self, mask: &[u8], steps: usize, time: usize) -> Result<Array> {
        let column: Vec<u8> = mask.chunks_exact(steps).map(|row| u8::from(row[time] != 0)).collect();
        let length = column.len();
        Ok(Array::from_vec(column, (length, 1), &self.program.placement.device)?.to_dtype(DType::U8)?)
    }
}
