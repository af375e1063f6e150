//! Primitive operations on tensors.
mod broadcast;
mod elementwise;
mod matmul;
mod normalize;
mod parts;
mod pieces;
mod reduce;
mod view;

use std::sync::Arc;

use sconce_kernels::{buffer::Buffer, reduce::add_into};

use self::elementwise::as_floats;
use super::{
    Run, Saved,
    backward::{Slot, WeightGradients, weight_slot},
};
use crate::{
    backend::WeightGradient,
    error::{Code, Error, Result},
    ops::{Range, TensorOperation},
    plan::{Node, ValueId},
    shape::ElementType,
    tensor::{Data, Tensor},
};

/// Sizes of what a node took and gave, for its backward pass: the values may be gone by then.
pub(super) struct Shapes {
    pub inputs: Vec<Vec<usize>>,
    pub output: Vec<usize>,
}

/// What marks the positions that count.
fn flags(mask: &Tensor) -> Vec<u8> {
    as_floats(mask).iter().map(|&flag| u8::from(flag != 0.0)).collect()
}

fn arange(sizes: Vec<usize>) -> Tensor {
    let size = sizes.first().copied().unwrap_or(0);
    Tensor::ids(sizes, (0..size).map(|number| number as i32).collect())
}

fn constant(shape: &[usize], values: &[f64], dtype: ElementType) -> Tensor {
    match dtype {
        ElementType::Int32 => Tensor::ids(shape.to_vec(), values.iter().map(|&value| value as i32).collect()),
        ElementType::Float32 => {
            let mut y = Buffer::new(values.len());
            y.iter_mut().zip(values).for_each(|(y, &value)| *y = value as f32);
            Tensor::float(shape.to_vec(), y)
        }
    }
}

impl Run<'_> {
    /// Runs an operation and keeps its output, which has no mask.
    pub(super) fn tensor_forward(
        &mut self,
        position: usize,
        index: usize,
        node: &Node,
        operation: &TensorOperation,
    ) -> Result<()> {
        let name = || self.plan.layers[node.layer].name.clone();
        let taken = node.inputs.iter().map(|&input| self.value(input)).collect::<Result<Vec<_>>>()?;
        let shapes: Vec<_> = taken.iter().map(|tensor| (tensor.shape.as_slice(), tensor.dtype())).collect();
        let (sizes, _) = operation
            .output(&shapes)
            .map_err(|error| Error::new(error.code, format!("layer {}: {}", name(), error.message)))?;
        if self.schedule.backward[index] {
            let inputs = taken.iter().map(|tensor| tensor.shape.clone()).collect();
            self.saved[index] = Some(Saved::Shapes(Shapes { inputs, output: sizes.clone() }));
        }
        let output = match operation {
            TensorOperation::Reshape { .. } => {
                let mut tensor = self.take_or_copy(position, node)?;
                tensor.shape = sizes;
                tensor
            }
            TensorOperation::Transpose { axes } => self.transpose_forward(node, axes, sizes)?,
            TensorOperation::Matmul { transpose_a, transpose_b } => {
                self.matmul_forward(node, *transpose_a, *transpose_b, sizes)?
            }
            TensorOperation::Normalize { axis } => self.normalize_forward(node, *axis)?,
            TensorOperation::Unary { function } => self.unary_forward(node, *function, sizes)?,
            TensorOperation::Activate { activation } => {
                self.activate_forward(node, TensorOperation::activation(activation), sizes)?
            }
            TensorOperation::Clip { minimum, maximum } => self.clip_forward(node, *minimum, *maximum, sizes)?,
            TensorOperation::Binary { function } => self.binary_forward(node, *function, sizes)?,
            TensorOperation::Where {} => self.choice_forward(node, sizes)?,
            TensorOperation::Reduce { function, axes, .. } => self.reduce_forward(node, *function, axes, sizes)?,
            TensorOperation::Place { axis, largest, .. } => self.place_forward(node, *axis, *largest, sizes)?,
            TensorOperation::Softmax { axis } => self.softmax_forward(node, *axis)?,
            TensorOperation::Concatenate { axis } => self.join_forward(node, *axis, sizes)?,
            &TensorOperation::Slice { axis, start, end, step } => {
                self.slice_forward(node, axis, Range { start, end, step })?
            }
            TensorOperation::Flip { axes } => self.flip_forward(node, axes)?,
            TensorOperation::BroadcastTo { .. } => self.spread_forward(node, sizes)?,
            TensorOperation::Take { axis } => self.take_forward(node, *axis, sizes)?,
            TensorOperation::OneHot { classes } => self.one_hot_forward(node, *classes, sizes)?,
            TensorOperation::Cast { dtype } => self.cast_forward(node, *dtype, sizes)?,
            TensorOperation::Arange { .. } => arange(sizes),
            TensorOperation::Constant { shape, values, dtype } => constant(shape, values, *dtype),
            TensorOperation::Training {} => {
                constant(&[], &[f64::from(u8::from(self.random.is_some()))], ElementType::Float32)
            }
            TensorOperation::Mask {} => self.mask_forward(node, sizes)?,
            TensorOperation::SetMask {} => self.value(node.inputs[0])?.clone(),
            TensorOperation::Weight { .. } => {
                let weight = self.weight(node, 0)?;
                let mut y = Buffer::new(weight.len());
                y.copy_from_slice(weight);
                Tensor::float(sizes, y)
            }
        };
        let value = node.outputs[0];
        let mask = match operation {
            TensorOperation::SetMask {} => Some(Arc::new(flags(self.value(node.inputs[1])?))),
            _ => None,
        };
        self.masks[value] = mask;
        self.values[value] = Some(output);
        Ok(())
    }

    /// Sends the gradient of an operation's output on to its inputs.
    pub(super) fn tensor_backward(
        &mut self,
        index: usize,
        node: &Node,
        operation: &TensorOperation,
        dy: Buffer,
        gradients: &mut WeightGradients,
    ) -> Result<()> {
        let Some(Saved::Shapes(shapes)) = self.saved[index].take() else {
            return Err(Error::new(Code::Internal, "an operation lacks the shapes of its forward pass"));
        };
        match operation {
            TensorOperation::Reshape { .. } => self.give(node.inputs[0], dy),
            TensorOperation::Transpose { axes } => self.transpose_backward(node, axes, &shapes, &dy)?,
            TensorOperation::Matmul { transpose_a, transpose_b } => {
                self.matmul_backward(node, *transpose_a, *transpose_b, &shapes, &dy)?;
            }
            TensorOperation::Normalize { axis } => self.normalize_backward(node, *axis, &dy)?,
            TensorOperation::Unary { function } => self.unary_backward(node, *function, dy)?,
            TensorOperation::Activate { activation } => {
                self.activate_backward(node, TensorOperation::activation(activation), &dy)?;
            }
            TensorOperation::Clip { minimum, maximum } => self.clip_backward(node, *minimum, *maximum, &dy)?,
            TensorOperation::Binary { function } => self.binary_backward(node, *function, &shapes, &dy)?,
            TensorOperation::Where {} => self.choice_backward(node, &shapes, &dy)?,
            TensorOperation::Reduce { function, axes, .. } => {
                self.reduce_backward(node, *function, axes, &shapes, &dy)?;
            }
            TensorOperation::Softmax { axis } => self.softmax_backward(node, *axis, &dy)?,
            TensorOperation::Concatenate { axis } => self.join_backward(node, *axis, &shapes, &dy),
            &TensorOperation::Slice { axis, start, end, step } => {
                self.slice_backward(node, axis, Range { start, end, step }, &shapes, &dy);
            }
            TensorOperation::Flip { axes } => self.flip_backward(node, axes, &shapes, &dy),
            TensorOperation::BroadcastTo { .. } => {
                self.give_summed(node.inputs[0], dy, &shapes.output, &shapes.inputs[0]);
            }
            TensorOperation::Take { axis } => self.take_backward(node, *axis, &shapes, &dy)?,
            TensorOperation::SetMask {} => self.give(node.inputs[0], dy),
            TensorOperation::Weight { .. } => {
                if let Some(weight) = self.plan.weight(node, 0).filter(|&weight| self.schedule.trainable[weight]) {
                    let Slot { mut buffer, accumulate } = weight_slot(gradients, weight, dy.len());
                    if accumulate {
                        add_into(self.context, &dy, &mut buffer);
                    } else {
                        buffer.copy_from_slice(&dy);
                    }
                    gradients[weight] = Some(WeightGradient::Dense(buffer));
                }
            }
            TensorOperation::Place { .. }
            | TensorOperation::OneHot { .. }
            | TensorOperation::Cast { .. }
            | TensorOperation::Arange { .. }
            | TensorOperation::Constant { .. }
            | TensorOperation::Training {}
            | TensorOperation::Mask {} => {}
        }
        Ok(())
    }

    /// Adds a gradient that is made for one value alone, if that is wanted.
    pub(super) fn give(&mut self, value: ValueId, gradient: Buffer) {
        if !self.schedule.gradient[value] {
            return;
        }
        match &mut self.gradients[value] {
            Some(sum) => add_into(self.context, &gradient, sum),
            empty => *empty = Some(gradient),
        }
    }

    /// A tensor of the elements that `floats` or `ids` make.
    fn made(
        input: &Tensor,
        sizes: Vec<usize>,
        floats: impl FnOnce(&[f32], &mut [f32]),
        ids: impl FnOnce(&[i32], &mut [i32]),
    ) -> Tensor {
        let length = sizes.iter().product();
        match &input.data {
            Data::Float(x) => {
                let mut y = Buffer::new(length);
                floats(x, &mut y);
                Tensor::float(sizes, y)
            }
            Data::Ids(x) => {
                let mut y = vec![0; length];
                ids(x, &mut y);
                Tensor { shape: sizes, data: Data::Ids(Arc::new(y)) }
            }
        }
    }
}
