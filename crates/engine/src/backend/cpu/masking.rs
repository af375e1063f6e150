//! Masks from values, and dropout of whole features.
use std::sync::Arc;

use sconce_kernels::{buffer::Buffer, dropout::Dropout, rows::for_rows};

use super::{Run, Saved, recurrent::sequence};
use crate::{
    error::{Code, Error, Result},
    plan::Node,
    tensor::Tensor,
};

impl Run<'_> {
    /// Keeps the rows that have another value than `masked` anywhere; the others become zeros and are masked.
    pub(super) fn mask_forward(&mut self, node: &Node, masked: f32) -> Result<()> {
        let x = self.value(node.inputs[0])?;
        let (width, floats) = (x.width(), x.floats()?);
        let mut mask = vec![0u8; x.rows()];
        for_rows(self.context, &mut mask, 1, width, |first, mask| {
            for (row, counts) in mask.iter_mut().enumerate() {
                *counts = u8::from(floats[(first + row) * width..][..width].iter().any(|&x| x != masked));
            }
        });
        let mut y = Buffer::new(x.len());
        for_rows(self.context, &mut y, width, width, |first, y| {
            for (row, y) in y.chunks_exact_mut(width).enumerate() {
                match mask[first + row] {
                    0 => y.fill(0.0),
                    _ => y.copy_from_slice(&floats[(first + row) * width..][..width]),
                }
            }
        });
        let y = Tensor::float(x.shape.clone(), y);
        self.masks[node.outputs[0]] = Some(Arc::new(mask));
        self.values[node.outputs[0]] = Some(y);
        Ok(())
    }

    pub(super) fn mask_backward(&mut self, node: &Node, dy: &[f32]) -> Result<()> {
        let Some(mut slot) = self.slot(node.inputs[0], dy.len()) else { return Ok(()) };
        let mask = self.masks[node.outputs[0]].as_ref();
        let mask = mask.ok_or_else(|| Error::new(Code::Internal, "a masking lacks its mask"))?;
        let width = dy.len().checked_div(mask.len()).unwrap_or(0);
        let accumulate = slot.accumulate;
        for_rows(self.context, &mut slot.buffer, width, width, |first, dx| {
            for (row, dx) in dx.chunks_exact_mut(width).enumerate() {
                let dy = &dy[(first + row) * width..][..width];
                match (mask[first + row], accumulate) {
                    (0, true) => {}
                    (0, false) => dx.fill(0.0),
                    (_, true) => dx.iter_mut().zip(dy).for_each(|(dx, dy)| *dx += dy),
                    (_, false) => dx.copy_from_slice(dy),
                }
            }
        });
        self.put(node.inputs[0], Some(slot));
        Ok(())
    }

    /// Multiplies every step of a sequence by the same factors; `None` if there is no dropout in this run.
    pub(super) fn spatial_dropout_forward(&mut self, index: usize, node: &Node, rate: f32) -> Result<Option<Tensor>> {
        let Some(random) = self.random.filter(|_| rate > 0.0) else { return Ok(None) };
        let x = self.value(node.inputs[0])?;
        let [batch, steps, width] = sequence(x)?;
        let mut factors = Buffer::new(batch * width);
        Dropout::new(rate, random.key(index, 0)).mask(self.context, &mut factors);
        let (floats, shape) = (x.floats()?, x.shape.clone());
        let mut y = Buffer::new(x.len());
        for_rows(self.context, &mut y, width, width, |first, y| {
            for (row, y) in y.chunks_exact_mut(width).enumerate() {
                let factors = &factors[(first + row) / steps * width..][..width];
                let x = &floats[(first + row) * width..][..width];
                for ((y, x), factor) in y.iter_mut().zip(x).zip(factors) {
                    *y = if *factor == 0.0 { 0.0 } else { x * factor };
                }
            }
        });
        self.saved[index] = Some(Saved::Shape(shape.clone()));
        Ok(Some(Tensor::float(shape, y)))
    }

    pub(super) fn spatial_dropout_backward(&mut self, index: usize, node: &Node, rate: f32, dy: &[f32]) -> Result<()> {
        let input = node.inputs[0];
        let (Some(random), Some(Saved::Shape(shape))) = (self.random.filter(|_| rate > 0.0), self.saved[index].take())
        else {
            self.add_gradient(input, dy);
            return Ok(());
        };
        let &[batch, steps, width] = shape.as_slice() else {
            return Err(Error::new(Code::Internal, format!("expected a sequence, got shape {shape:?}")));
        };
        let Some(mut slot) = self.slot(input, dy.len()) else { return Ok(()) };
        let mut factors = Buffer::new(batch * width);
        Dropout::new(rate, random.key(index, 0)).mask(self.context, &mut factors);
        let accumulate = slot.accumulate;
        for_rows(self.context, &mut slot.buffer, width, width, |first, dx| {
            for (row, dx) in dx.chunks_exact_mut(width).enumerate() {
                let factors = &factors[(first + row) / steps * width..][..width];
                let dy = &dy[(first + row) * width..][..width];
                for ((dx, dy), factor) in dx.iter_mut().zip(dy).zip(factors) {
                    let value = if *factor == 0.0 { 0.0 } else { dy * factor };
                    *dx = if accumulate { *dx + value } else { value };
                }
            }
        });
        self.put(input, Some(slot));
        Ok(())
    }
}
