//! The mean or the maximum of all steps.
use sconce_kernels::{
    buffer::Buffer,
    global_pooling::{self, PoolingShape},
};

use super::{Run, Saved};
use crate::{
    error::{Code, Error, Result},
    plan::{Node, Pooling},
    tensor::Tensor,
};

/// Sizes for the kernel: with time as the last axis, every feature is a sequence of its own.
fn kernel_shape(shape: &[usize], pooling: Pooling) -> Result<PoolingShape> {
    let &[batch, first, second] = shape else {
        return Err(Error::new(Code::Internal, format!("expected a sequence, got shape {shape:?}")));
    };
    Ok(if pooling.axis == 1 {
        PoolingShape { sequences: batch, steps: first, width: second }
    } else {
        PoolingShape { sequences: batch * first, steps: second, width: 1 }
    })
}

impl Run<'_> {
    pub(super) fn pool_forward(&mut self, index: usize, node: &Node, pooling: Pooling) -> Result<()> {
        let x = self.value(node.inputs[0])?;
        let shape = kernel_shape(&x.shape, pooling)?;
        let mut y = Buffer::new(shape.sequences * shape.width);
        if pooling.maximum {
            global_pooling::maximum(self.context, shape, x.floats()?, &mut y);
        } else {
            let mask = self.masks[node.inputs[0]].as_ref().map(|mask| mask.as_slice());
            global_pooling::mean(self.context, shape, x.floats()?, mask, &mut y);
        }
        let sizes = x.shape.clone();
        self.values[node.outputs[0]] = Some(Tensor::float(pooling.shape(&sizes), y));
        self.saved[index] = Some(Saved::Shape(sizes));
        Ok(())
    }

    pub(super) fn pool_backward(&mut self, index: usize, node: &Node, pooling: Pooling, dy: &[f32]) -> Result<()> {
        let Some(Saved::Shape(sizes)) = self.saved[index].take() else {
            return Err(Error::new(Code::Internal, "a pooling lacks what its forward pass saved"));
        };
        let input = node.inputs[0];
        let Some(mut slot) = self.slot(input, sizes.iter().product()) else { return Ok(()) };
        let shape = kernel_shape(&sizes, pooling)?;
        if pooling.maximum {
            let (x, y) = (self.value(input)?.floats()?, self.value(node.outputs[0])?.floats()?);
            global_pooling::maximum_backward(self.context, shape, x, y, dy, slot.destination());
        } else {
            let mask = self.masks[input].as_ref().map(|mask| mask.as_slice());
            global_pooling::mean_backward(self.context, shape, mask, dy, slot.destination());
        }
        self.put(input, Some(slot));
        Ok(())
    }
}
