//! Sequences in the opposite order.
use sconce_kernels::buffer::Buffer;

use super::{Run, Saved, recurrent::sequence};
use crate::{
    error::{Code, Error, Result},
    plan::Node,
    tensor::Tensor,
};

impl Run<'_> {
    /// The steps in the opposite order.
    pub(super) fn flip_forward(&mut self, index: usize, node: &Node) -> Result<Tensor> {
        let x = self.value(node.inputs[0])?;
        let sizes = sequence(x)?;
        let mut y = Buffer::new(x.len());
        flip(sizes, x.floats()?, &mut y, |to, from| to.copy_from_slice(from));
        let y = Tensor::float(x.shape.clone(), y);
        self.saved[index] = self.schedule.backward[index].then_some(Saved::Sizes(sizes));
        Ok(y)
    }

    pub(super) fn flip_backward(&mut self, index: usize, node: &Node, dy: &[f32]) -> Result<()> {
        let Some(Saved::Sizes(sizes)) = self.saved[index] else {
            return Err(Error::new(Code::Internal, "a flip lacks the sizes of its sequence"));
        };
        let Some(mut slot) = self.slot(node.inputs[0], dy.len()) else { return Ok(()) };
        if slot.accumulate {
            let add = |to: &mut [f32], from: &[f32]| to.iter_mut().zip(from).for_each(|(to, from)| *to += from);
            flip(sizes, dy, &mut slot.buffer, add);
        } else {
            flip(sizes, dy, &mut slot.buffer, |to, from| to.copy_from_slice(from));
        }
        self.put(node.inputs[0], Some(slot));
        Ok(())
    }
}

/// Hands each step of `from`, `[B, T, D]`, to `write` with its place in the opposite order.
fn flip([_, steps, width]: [usize; 3], from: &[f32], to: &mut [f32], write: impl Fn(&mut [f32], &[f32])) {
    let row = steps * width;
    if row == 0 {
        return;
    }
    for (to, from) in to.chunks_exact_mut(row).zip(from.chunks_exact(row)) {
        for (to, from) in to.chunks_exact_mut(width).rev().zip(from.chunks_exact(width)) {
            write(to, from);
        }
    }
}
