//! A vector as every step of a sequence.
use sconce_kernels::{buffer::Buffer, rows::for_rows};

use super::Run;
use crate::{
    error::Result,
    plan::{Node, ValueId},
    shape::Dimension,
    tensor::Tensor,
};

impl Run<'_> {
    pub(super) fn repeat_forward(&self, node: &Node, count: usize) -> Result<Tensor> {
        let x = self.value(node.inputs[0])?;
        let (rows, width, floats) = (x.rows(), x.width(), x.floats()?);
        let mut y = Buffer::new(rows * count * width);
        for_rows(self.context, &mut y, width, width, |first, y| {
            for (row, y) in y.chunks_exact_mut(width).enumerate() {
                y.copy_from_slice(&floats[(first + row) / count * width..][..width]);
            }
        });
        Ok(Tensor::float(vec![rows, count, width], y))
    }

    pub(super) fn repeat_backward(&mut self, input: ValueId, count: usize, dy: &[f32]) {
        let Some(mut slot) = self.slot(input, dy.len().checked_div(count).unwrap_or(0)) else { return };
        // Inference has checked that the last size is known.
        if let Some(&Dimension::Size(width)) = self.plan.values[input].shape.last() {
            let accumulate = slot.accumulate;
            for_rows(self.context, &mut slot.buffer, width, count * width, |first, dx| {
                if !accumulate {
                    dx.fill(0.0);
                }
                for (row, dx) in dx.chunks_exact_mut(width).enumerate() {
                    for step in dy[(first + row) * count * width..][..count * width].chunks_exact(width) {
                        dx.iter_mut().zip(step).for_each(|(dx, dy)| *dx += dy);
                    }
                }
            });
        }
        self.put(input, Some(slot));
    }
}
