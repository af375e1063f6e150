//! Batch and time as one axis, for layers at each step: the elements stay where they are.
use super::Run;
use crate::{
    backend::masks::step_mask,
    error::{Code, Error, Result},
    plan::Node,
    tensor::Tensor,
};

impl Run<'_> {
    pub(super) fn fold_forward(&mut self, node: &Node) -> Result<Tensor> {
        let mut x = self.value(node.inputs[0])?.clone();
        let time = x.shape.remove(1);
        x.shape[0] *= time;
        Ok(x)
    }

    pub(super) fn unfold_forward(&mut self, position: usize, node: &Node) -> Result<()> {
        let whole = self.value(node.inputs[1])?;
        let &[batch, time, ..] = whole.shape.as_slice() else {
            return Err(Error::new(Code::Internal, format!("expected a sequence, got shape {:?}", whole.shape)));
        };
        let mut y = self.take_or_copy(position, node)?;
        y.shape.splice(..1, [batch, time]);
        let positions = y.shape.iter().rev().skip(1).product();
        self.masks[node.outputs[0]] =
            self.masks[node.inputs[1]].as_ref().map(|mask| step_mask(mask, batch * time, positions));
        self.values[node.outputs[0]] = Some(y);
        Ok(())
    }
}
