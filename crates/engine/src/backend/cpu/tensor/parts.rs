//! Parts of tensors, tensors joined, and elements picked.
use std::sync::Arc;

use sconce_kernels::{Context, Destination, buffer::Buffer, softmax};

use super::{
    Shapes,
    broadcast::{Broadcast, apply1},
    elementwise::as_floats,
    pieces::for_rows,
    view::{View, strides, transpose},
};
use crate::{
    backend::{checks::check_picks, cpu::Run},
    error::{Code, Error, Result},
    ops::Range,
    plan::Node,
    shape::ElementType,
    tensor::{Data, Tensor},
};

/// The elements of an axis, every one or some, forwards or backwards.
fn part(sizes: &[usize], axis: usize, range: Range) -> (View, Vec<usize>) {
    let (start, end) = range.within(sizes[axis]);
    let mut steps = strides(sizes);
    let first = steps[axis] * start.cast_signed();
    let mut taken = sizes.to_vec();
    taken[axis] = (end - start).div_ceil(range.step);
    steps[axis] *= range.step.cast_signed();
    (View::new(&taken, &steps, first), taken)
}

fn flipped(sizes: &[usize], axes: &[usize]) -> View {
    let mut steps = strides(sizes);
    let mut first = 0;
    for &axis in axes {
        first += steps[axis] * (sizes[axis].cast_signed() - 1).max(0);
        steps[axis] = -steps[axis];
    }
    View::new(sizes, &steps, first)
}

/// Axes before, along and behind an axis.
fn around(sizes: &[usize], axis: usize) -> [usize; 3] {
    [sizes[..axis].iter().product(), sizes[axis], sizes[axis + 1..].iter().product()]
}

/// Copies blocks of `width` from tensors one after the other into rows.
fn join<T: Copy>(parts: &[(&[T], usize)], rows: usize, y: &mut [T]) {
    let whole: usize = parts.iter().map(|(_, width)| width).sum();
    let mut start = 0;
    for (x, width) in parts {
        for row in 0..rows {
            y[row * whole + start..][..*width].copy_from_slice(&x[row * width..][..*width]);
        }
        start += width;
    }
}

/// The order that brings an axis to the end, and the sizes then.
fn last(sizes: &[usize], axis: usize) -> (Vec<usize>, Vec<usize>) {
    let axes: Vec<usize> = (0..sizes.len()).filter(|&other| other != axis).chain([axis]).collect();
    let turned = axes.iter().map(|&axis| sizes[axis]).collect();
    (axes, turned)
}

/// `made(x)` along an axis: the axis is the last one for `made`.
fn along(
    context: &Context,
    sizes: &[usize],
    axis: usize,
    inputs: &[&[f32]],
    made: impl FnOnce(&[&[f32]], &mut [f32]),
) -> Buffer {
    let length = sizes.iter().product();
    let mut y = Buffer::new(length);
    if length == 0 {
        return y;
    }
    if axis + 1 == sizes.len() {
        made(inputs, &mut y);
        return y;
    }
    let (axes, turned) = last(sizes, axis);
    let moved: Vec<Buffer> = inputs
        .iter()
        .map(|x| {
            let mut moved = Buffer::new(length);
            transpose(context, sizes, &axes, x, &mut moved);
            moved
        })
        .collect();
    let mut result = Buffer::new(length);
    made(&moved.iter().map(|moved| &**moved).collect::<Vec<_>>(), &mut result);
    transpose(context, &turned, &crate::ops::inverse(&axes), &result, &mut y);
    y
}

impl Run<'_> {
    pub(super) fn softmax_forward(&self, node: &Node, axis: usize) -> Result<Tensor> {
        let x = self.value(node.inputs[0])?;
        let y = along(self.context, &x.shape, axis, &[x.floats()?], |x, y| {
            softmax::forward(self.context, self.axis_size(node, axis), x[0], y);
        });
        Ok(Tensor::float(x.shape.clone(), y))
    }

    fn axis_size(&self, node: &Node, axis: usize) -> usize {
        let found = self.value(node.inputs[0]).or_else(|_| self.value(node.outputs[0]));
        found.map_or(1, |x| x.shape[axis])
    }

    pub(super) fn softmax_backward(&mut self, node: &Node, axis: usize, dy: &[f32]) -> Result<()> {
        let y = self.value(node.outputs[0])?;
        let size = y.shape[axis];
        let dx = along(self.context, &y.shape, axis, &[y.floats()?, dy], |inputs, dx| {
            let dx = Destination { data: dx, accumulate: false };
            softmax::backward(self.context, size, inputs[0], inputs[1], dx);
        });
        self.give(node.inputs[0], dx);
        Ok(())
    }

    pub(super) fn join_forward(&self, node: &Node, axis: usize, sizes: Vec<usize>) -> Result<Tensor> {
        let tensors = node.inputs.iter().map(|&input| self.value(input)).collect::<Result<Vec<_>>>()?;
        let rows = sizes[..axis].iter().product();
        let width = |tensor: &Tensor| tensor.shape[axis..].iter().product::<usize>();
        if matches!(tensors[0].data, Data::Ids(_)) {
            let parts = tensors.iter().map(|x| Ok((x.as_ids()?, width(x)))).collect::<Result<Vec<_>>>()?;
            let mut y = vec![0; sizes.iter().product()];
            join(&parts, rows, &mut y);
            return Ok(Tensor { shape: sizes, data: Data::Ids(Arc::new(y)) });
        }
        let parts = tensors.iter().map(|x| Ok((x.floats()?, width(x)))).collect::<Result<Vec<_>>>()?;
        let mut y = Buffer::new(sizes.iter().product());
        join(&parts, rows, &mut y);
        Ok(Tensor::float(sizes, y))
    }

    pub(super) fn join_backward(&mut self, node: &Node, axis: usize, shapes: &Shapes, dy: &[f32]) {
        let rows: usize = shapes.output[..axis].iter().product();
        let whole: usize = shapes.output[axis..].iter().product();
        let mut start = 0;
        for (&input, sizes) in node.inputs.iter().zip(&shapes.inputs) {
            let width: usize = sizes[axis..].iter().product();
            let mut dx = Buffer::new(rows * width);
            for row in 0..rows {
                dx[row * width..][..width].copy_from_slice(&dy[row * whole + start..][..width]);
            }
            self.give(input, dx);
            start += width;
        }
    }

    fn viewed(&self, x: &Tensor, view: &View, sizes: Vec<usize>) -> Tensor {
        Self::made(x, sizes, |x, y| view.gather(self.context, x, y), |x, y| view.gather(self.context, x, y))
    }

    pub(super) fn slice_forward(&self, node: &Node, axis: usize, range: Range) -> Result<Tensor> {
        let x = self.value(node.inputs[0])?;
        let (view, sizes) = part(&x.shape, axis, range);
        Ok(self.viewed(x, &view, sizes))
    }

    pub(super) fn slice_backward(&mut self, node: &Node, axis: usize, range: Range, shapes: &Shapes, dy: &[f32]) {
        let mut dx = Buffer::zeros(shapes.inputs[0].iter().product());
        part(&shapes.inputs[0], axis, range).0.scatter(dy, &mut dx);
        self.give(node.inputs[0], dx);
    }

    pub(super) fn reverse_forward(&self, node: &Node, axes: &[usize]) -> Result<Tensor> {
        let x = self.value(node.inputs[0])?;
        Ok(self.viewed(x, &flipped(&x.shape, axes), x.shape.clone()))
    }

    pub(super) fn reverse_backward(&mut self, node: &Node, axes: &[usize], shapes: &Shapes, dy: &[f32]) {
        let mut dx = Buffer::new(dy.len());
        flipped(&shapes.output, axes).gather(self.context, dy, &mut dx);
        self.give(node.inputs[0], dx);
    }

    pub(super) fn spread_forward(&self, node: &Node, sizes: Vec<usize>) -> Result<Tensor> {
        let x = self.value(node.inputs[0])?;
        let layout = Broadcast::new(&sizes, [&x.shape]);
        Ok(Self::made(
            x,
            sizes,
            |x, y| layout.map(self.context, [x], y, |rows, y| apply1(rows, y, |x| x)),
            |x, y| layout.map(self.context, [x], y, |rows, y| apply1(rows, y, |x| x)),
        ))
    }

    pub(super) fn take_forward(&self, node: &Node, axis: usize, sizes: Vec<usize>) -> Result<Tensor> {
        let (x, ids) = (self.value(node.inputs[0])?, self.value(node.inputs[1])?);
        let [_, length, inner] = around(&x.shape, axis);
        let picks = check_picks(&self.plan.layers[node.layer].name, ids.as_ids()?, length)?;
        Ok(Self::made(
            x,
            sizes,
            |x, y| take(self.context, x, &picks, length, inner, y),
            |x, y| take(self.context, x, &picks, length, inner, y),
        ))
    }

    pub(super) fn take_backward(&mut self, node: &Node, axis: usize, shapes: &Shapes, dy: &[f32]) -> Result<()> {
        let [_, length, inner] = around(&shapes.inputs[0], axis);
        let picks = check_picks(&self.plan.layers[node.layer].name, self.value(node.inputs[1])?.as_ids()?, length)?;
        let mut dx = Buffer::zeros(shapes.inputs[0].iter().product());
        let width = picks.len() * inner;
        for_rows(self.context, &mut dx, length * inner, |first, dx| {
            for (row, dx) in dx.chunks_exact_mut(length * inner).enumerate() {
                let dy = &dy[(first + row) * width..][..width];
                for (pick, dy) in picks.iter().zip(dy.chunks_exact(inner.max(1))) {
                    dx[pick * inner..][..inner].iter_mut().zip(dy).for_each(|(dx, dy)| *dx += dy);
                }
            }
        });
        self.give(node.inputs[0], dx);
        Ok(())
    }

    pub(super) fn one_hot_forward(&self, node: &Node, classes: usize, sizes: Vec<usize>) -> Result<Tensor> {
        let ids = self.value(node.inputs[0])?.as_ids()?;
        let mut y = Buffer::zeros(sizes.iter().product());
        for (row, id) in ids.iter().enumerate() {
            // An id that is no class gives zeros.
            if let Some(class) = usize::try_from(*id).ok().filter(|&class| class < classes) {
                y[row * classes + class] = 1.0;
            }
        }
        Ok(Tensor::float(sizes, y))
    }

    pub(super) fn cast_forward(&self, node: &Node, dtype: ElementType, sizes: Vec<usize>) -> Result<Tensor> {
        let x = self.value(node.inputs[0])?;
        let values = as_floats(x);
        match (dtype, &x.data) {
            (ElementType::Float32, _) => {
                let mut y = Buffer::new(values.len());
                y.copy_from_slice(&values);
                Ok(Tensor::float(sizes, y))
            }
            (ElementType::Int32, Data::Ids(_)) => Ok(x.clone()),
            (ElementType::Int32, Data::Float(_)) => {
                let ids = values.iter().map(|&value| value as i32).collect();
                Ok(Tensor { shape: sizes, data: Data::Ids(Arc::new(ids)) })
            }
        }
    }

    /// 1 where the mask of a value counts; ones without a mask.
    pub(super) fn mask_values_forward(&self, node: &Node, sizes: Vec<usize>) -> Result<Tensor> {
        let mut y = Buffer::new(sizes.iter().product());
        match self.mask(node.inputs[0]) {
            Some(mask) if mask.len() == y.len() => {
                y.iter_mut().zip(mask.iter()).for_each(|(y, &counts)| *y = f32::from(u8::from(counts != 0)));
            }
            Some(_) => return Err(Error::new(Code::Internal, "a mask has another length than its positions")),
            None => y.fill(1.0),
        }
        Ok(Tensor::float(sizes, y))
    }
}

fn take<T: Copy + Send + Sync>(context: &Context, x: &[T], picks: &[usize], length: usize, inner: usize, y: &mut [T]) {
    for_rows(context, y, picks.len() * inner, |first, y| {
        for (row, y) in y.chunks_exact_mut(picks.len() * inner).enumerate() {
            let x = &x[(first + row) * length * inner..][..length * inner];
            for (pick, y) in picks.iter().zip(y.chunks_exact_mut(inner)) {
                y.copy_from_slice(&x[pick * inner..][..inner]);
            }
        }
    });
}
