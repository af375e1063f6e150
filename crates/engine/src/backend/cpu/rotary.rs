//! Positions as angles by which pairs of features are turned.
use sconce_kernels::{
    Destination,
    buffer::Buffer,
    positions::rotary::{Rotation, rotate},
};

use super::{Run, Saved, recurrent::sequence};
use crate::{
    error::{Code, Error, Result},
    plan::Node,
    tensor::Tensor,
};

impl Run<'_> {
    pub(super) fn rotate_forward(&mut self, index: usize, node: &Node, rotation: Rotation) -> Result<Tensor> {
        let x = self.value(node.inputs[0])?;
        let rows = self.rows(node.inputs[0]);
        let sizes = match rows {
            Some(rows) => [rows.batch, rows.steps, x.width()],
            None => sequence(x)?,
        };
        let positions = rows.map(|rows| &rows.positions[..]);
        let mut y = Buffer::new(x.len());
        let to = Destination { data: &mut y, accumulate: false };
        rotate(self.context, rotation, sizes[1], self.forward.position(), positions, false, x.floats()?, to);
        let y = Tensor::float(x.shape.clone(), y);
        self.saved[index] = self.schedule.backward[index].then_some(Saved::Sizes(sizes));
        Ok(y)
    }

    pub(super) fn rotate_backward(&mut self, index: usize, node: &Node, rotation: Rotation, dy: &[f32]) -> Result<()> {
        let Some(Saved::Sizes([_, steps, _])) = self.saved[index] else {
            return Err(Error::new(Code::Internal, "turned features lack the sizes of their sequence"));
        };
        if let Some(mut slot) = self.slot(node.inputs[0], dy.len()) {
            let positions = self.rows(node.inputs[0]).map(|rows| &rows.positions[..]);
            rotate(self.context, rotation, steps, self.forward.position(), positions, true, dy, slot.destination());
            self.put(node.inputs[0], Some(slot));
        }
        Ok(())
    }
}
