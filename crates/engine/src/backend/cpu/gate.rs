//! Gates: products element by element.
use sconce_kernels::{buffer::Buffer, rows::for_rows};

use super::Run;
use crate::{error::Result, plan::Node, tensor::Tensor};

/// Elements that count as a row, so that pieces are of some size.
const ROW: usize = 1;

impl Run<'_> {
    pub(super) fn gate_forward(&self, node: &Node) -> Result<Tensor> {
        let (x, gate) = (self.value(node.inputs[0])?, self.value(node.inputs[1])?.floats()?);
        let mut y = Buffer::new(x.len());
        y.copy_from_slice(x.floats()?);
        for_rows(self.context, &mut y, ROW, ROW, |first, y| {
            y.iter_mut().zip(&gate[first..]).for_each(|(y, gate)| *y *= gate);
        });
        Ok(Tensor::float(x.shape.clone(), y))
    }

    pub(super) fn gate_backward(&mut self, node: &Node, dy: &[f32]) -> Result<()> {
        for place in 0..2 {
            let Some(mut slot) = self.slot(node.inputs[place], dy.len()) else { continue };
            let other = self.value(node.inputs[1 - place])?.floats()?;
            let accumulate = slot.accumulate;
            for_rows(self.context, &mut slot.buffer, ROW, ROW, |first, dx| {
                for (at, dx) in dx.iter_mut().enumerate() {
                    let before = if accumulate { *dx } else { 0.0 };
                    *dx = before + dy[first + at] * other[first + at];
                }
            });
            self.put(node.inputs[place], Some(slot));
        }
        Ok(())
    }
}
