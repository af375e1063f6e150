//! Biases of scores by distance.
use ::candle_core::Tensor as Array;

use super::{Run, Value};
use crate::{
    error::Result,
    plan::{Node, PositionBias, ValueId},
};

impl Run<'_> {
    fn steps_of(&self, value: ValueId) -> Result<usize> {
        Ok(match &self.values[value] {
            Some(Value::Ids(ids)) => ids.shape[1],
            _ => self.floats(value)?.dim(1)?,
        })
    }

    fn bias_sizes(&self, node: &Node) -> Result<[usize; 2]> {
        let queries = self.steps_of(node.inputs[0])?;
        let keys = match node.inputs.get(1) {
            Some(&key) => self.steps_of(key)?,
            None => self.forward.position() + queries,
        };
        Ok([queries, keys])
    }

    fn bucket_indices(&self, node: &Node, bias: PositionBias) -> Result<Option<Array>> {
        let Some(buckets) = bias.buckets else { return Ok(None) };
        let [queries, keys] = self.bias_sizes(node)?;
        let places = bias.places(&buckets, self.forward.position(), queries, keys);
        Ok(Some(Array::from_vec(places, queries * keys, &self.program.placement.device)?))
    }

    pub(super) fn bias_forward(&self, node: &Node, bias: PositionBias) -> Result<Array> {
        let [queries, keys] = self.bias_sizes(node)?;
        let shape = [1, bias.heads, queries, keys];
        match self.bucket_indices(node, bias)? {
            None => self.upload(&bias.slopes(self.forward.position(), queries, keys), &shape),
            Some(places) => {
                let rows = self.need_weight(node, 0)?.index_select(&places, 0)?;
                Ok(rows.t()?.contiguous()?.reshape(&shape[..])?)
            }
        }
    }

    pub(super) fn bias_backward(&mut self, node: &Node, bias: PositionBias, dy: &Array) -> Result<()> {
        let Some(places) = self.bucket_indices(node, bias)? else { return Ok(()) };
        let rows = dy.reshape((bias.heads, dy.elem_count() / bias.heads))?.t()?.contiguous()?;
        let table = self.need_weight(node, 0)?.zeros_like()?;
        self.add_weight_gradient(node, 0, table.index_add(&places, &rows, 0)?)
    }
}
