//! Elements in another order: transposes.
use sconce_kernels::{Context, buffer::Buffer};

use super::{Shapes, pieces::for_rows};
use crate::{backend::cpu::Run, error::Result, ops::inverse, plan::Node, tensor::Tensor};

/// Where the elements of a tensor lie within another.
#[derive(Clone, Debug)]
pub(super) struct View {
    /// Size and distance of each axis. Neither is there an axis of size 1, nor two that are one.
    axes: Vec<(usize, isize)>,
    /// Elements along the last axis.
    inner: usize,
    /// Distance of those.
    step: isize,
    start: isize,
}

/// Distances of the elements of a tensor along its axes.
pub(super) fn strides(sizes: &[usize]) -> Vec<isize> {
    let mut strides = vec![1isize; sizes.len()];
    for axis in (0..sizes.len().saturating_sub(1)).rev() {
        strides[axis] = strides[axis + 1] * sizes[axis + 1].max(1).cast_signed();
    }
    strides
}

impl View {
    pub(super) fn new(sizes: &[usize], strides: &[isize], start: isize) -> Self {
        let mut axes: Vec<(usize, isize)> = Vec::new();
        for (&size, &stride) in sizes.iter().zip(strides).filter(|(size, _)| **size != 1) {
            match axes.last_mut() {
                Some((outer, step)) if *step == stride * size.cast_signed() => {
                    *outer *= size;
                    *step = stride;
                }
                _ => axes.push((size, stride)),
            }
        }
        let (inner, step) = axes.pop().unwrap_or((1, 1));
        Self { axes, inner, step, start }
    }

    /// Where row `row` begins.
    fn offset(&self, mut row: usize) -> isize {
        let mut offset = self.start;
        for &(size, stride) in self.axes.iter().rev() {
            offset += (row % size).cast_signed() * stride;
            row /= size;
        }
        offset
    }

    /// The reverse of [`Self::gather`]: elements of `y` that are not in the view stay.
    pub(super) fn scatter<T: Copy>(&self, x: &[T], y: &mut [T]) {
        for (row, x) in x.chunks_exact(self.inner.max(1)).enumerate() {
            let mut at = self.offset(row);
            for &x in x {
                y[at.cast_unsigned()] = x;
                at += self.step;
            }
        }
    }

    /// `y = x` in the order of the view.
    pub(super) fn gather<T: Copy + Send + Sync>(&self, context: &Context, x: &[T], y: &mut [T]) {
        for_rows(context, y, self.inner, |first, rows| {
            for (row, y) in rows.chunks_exact_mut(self.inner).enumerate() {
                let mut at = self.offset(first + row);
                if self.step == 1 {
                    y.copy_from_slice(&x[at.cast_unsigned()..][..self.inner]);
                    continue;
                }
                for y in y {
                    *y = x[at.cast_unsigned()];
                    at += self.step;
                }
            }
        });
    }
}

/// `y` is `x` with its axes in another order.
pub(super) fn transpose<T: Copy + Send + Sync>(
    context: &Context,
    sizes: &[usize],
    axes: &[usize],
    x: &[T],
    y: &mut [T],
) {
    let strides = strides(sizes);
    let (sizes, strides): (Vec<_>, Vec<_>) = axes.iter().map(|&axis| (sizes[axis], strides[axis])).unzip();
    View::new(&sizes, &strides, 0).gather(context, x, y);
}

impl Run<'_> {
    pub(super) fn transpose_forward(&self, node: &Node, axes: &[usize], sizes: Vec<usize>) -> Result<Tensor> {
        let x = self.value(node.inputs[0])?;
        let from = x.shape.clone();
        Ok(Self::made(
            x,
            sizes,
            |x, y| transpose(self.context, &from, axes, x, y),
            |x, y| transpose(self.context, &from, axes, x, y),
        ))
    }

    pub(super) fn transpose_backward(
        &mut self,
        node: &Node,
        axes: &[usize],
        shapes: &Shapes,
        dy: &[f32],
    ) -> Result<()> {
        let mut dx = Buffer::new(dy.len());
        transpose(self.context, &shapes.output, &inverse(axes), dy, &mut dx);
        self.give(node.inputs[0], dx);
        Ok(())
    }
}
