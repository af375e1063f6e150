//! Primitive operations on tensors. Functions of elements are those of `ops/function.rs`, in 64 bits on the CPU.
mod elementwise;
mod matmul;

use std::sync::Arc;

use ::candle_core::{DType, Device, Tensor as Array};

use super::{Candle, Run, Value, activation};
use crate::{
    backend::checks::check_picks,
    error::{Code, Error, Result},
    ops::{Range, TensorOperation, inverse},
    plan::{Node, ValueId},
    shape::ElementType,
    tensor::{Data, Tensor},
};

/// The places of a range of an axis.
fn places(range: Range, size: usize) -> Vec<usize> {
    let (start, end) = range.within(size);
    (start..end).step_by(range.step.max(1)).collect()
}

fn numbers(places: &[usize], device: &Device) -> Result<Array> {
    let places: Vec<u32> = places.iter().map(|&place| place as u32).collect();
    let length = places.len();
    Ok(Array::from_vec(places, length, device)?)
}

/// The gradient of a broadcast value: summed over the axes along which it was repeated.
pub(super) fn reduce_to(gradient: &Array, shape: &[usize]) -> Result<Array> {
    let mut sum = gradient.clone();
    while sum.rank() > shape.len() {
        sum = sum.sum(0)?;
    }
    for (axis, &size) in shape.iter().enumerate() {
        if size == 1 && sum.dim(axis)? != 1 {
            sum = sum.sum_keepdim(axis)?;
        }
    }
    Ok(sum)
}

impl Run<'_> {
    fn shape(&self, value: ValueId) -> Result<(Vec<usize>, ElementType)> {
        match &self.values[value] {
            Some(Value::Floats(array)) => Ok((array.dims().to_vec(), ElementType::Float32)),
            Some(Value::Ids(tensor)) => Ok((tensor.shape.clone(), ElementType::Int32)),
            None => Err(self.lacking(value)),
        }
    }

    /// A value as an array: ids in 64-bit floats, which hold every one.
    fn array(&self, value: ValueId) -> Result<Array> {
        match &self.values[value] {
            Some(Value::Floats(array)) => Ok(array.clone()),
            Some(Value::Ids(tensor)) => {
                let ids: Vec<f64> = tensor.as_ids()?.iter().map(|&id| f64::from(id)).collect();
                Ok(Array::from_vec(ids, tensor.shape.as_slice(), &Device::Cpu)?)
            }
            None => Err(self.lacking(value)),
        }
    }

    /// Numbers as floats of the device.
    fn placed(&self, values: Vec<f64>, sizes: &[usize]) -> Result<Array> {
        let Candle { device, precision } = &self.program.placement;
        Ok(Array::from_vec(values, sizes, &Device::Cpu)?.to_dtype(*precision)?.to_device(device)?)
    }

    /// Runs an operation and keeps its output.
    pub(super) fn tensor_forward(&mut self, node: &Node, operation: &TensorOperation) -> Result<()> {
        let shapes = node.inputs.iter().map(|&input| self.shape(input)).collect::<Result<Vec<_>>>()?;
        let borrowed: Vec<_> = shapes.iter().map(|(shape, dtype)| (shape.as_slice(), *dtype)).collect();
        let (sizes, dtype) = operation.output(&borrowed).map_err(|error| {
            Error::new(error.code, format!("layer {}: {}", self.plan.layers[node.layer].name, error.message))
        })?;
        let made = self.made(node, operation, &sizes)?;
        let output = match dtype {
            ElementType::Float32 => {
                let Candle { device, precision } = &self.program.placement;
                Value::Floats(made.to_dtype(*precision)?.to_device(device)?)
            }
            ElementType::Int32 => {
                let ids = Self::download_double(&made)?.into_iter().map(|value| value as i32).collect();
                Value::Ids(Tensor { shape: sizes, data: Data::Ids(Arc::new(ids)) })
            }
        };
        let mask = match operation {
            TensorOperation::SetMask {} => {
                let flags = Self::download_double(&self.array(node.inputs[1])?)?;
                Some(Arc::new(flags.into_iter().map(|flag| u8::from(flag != 0.0)).collect()))
            }
            _ => None,
        };
        self.masks[node.outputs[0]] = mask;
        self.values[node.outputs[0]] = Some(output);
        Ok(())
    }

    fn made(&self, node: &Node, operation: &TensorOperation, sizes: &[usize]) -> Result<Array> {
        let x = |number: usize| match node.inputs.get(number) {
            Some(&input) => self.array(input),
            None => Err(Error::new(Code::Internal, "an operation lacks an input")),
        };
        match operation {
            TensorOperation::Reshape { .. } => Ok(x(0)?.reshape(sizes)?),
            TensorOperation::Transpose { axes } => Ok(x(0)?.permute(axes.as_slice())?.contiguous()?),
            TensorOperation::Matmul { transpose_a, transpose_b } => {
                self.matrix_product(node, *transpose_a, *transpose_b)
            }
            TensorOperation::Normalize { axis } => {
                let factor = x(0)?.sqr()?.sum_keepdim(*axis)?.sqrt()?.recip()?.minimum(1e7)?;
                Ok(x(0)?.broadcast_mul(&factor)?)
            }
            TensorOperation::Unary { function } => self.mapped(&[&x(0)?], sizes, |x| function.value(x[0])),
            TensorOperation::Activate { activation } => {
                Ok(activation::value(TensorOperation::activation(activation), &x(0)?)?)
            }
            TensorOperation::Clip { minimum, maximum } => {
                let (minimum, maximum) = (f64::from(*minimum), f64::from(*maximum));
                self.mapped(&[&x(0)?], sizes, |x| {
                    if x[0] < minimum {
                        minimum
                    } else if x[0] > maximum {
                        maximum
                    } else {
                        x[0]
                    }
                })
            }
            TensorOperation::Binary { function } => {
                self.mapped(&[&x(0)?, &x(1)?], sizes, |x| function.value(x[0], x[1]))
            }
            TensorOperation::Where {} => {
                self.mapped(&[&x(0)?, &x(1)?, &x(2)?], sizes, |x| if x[0] != 0.0 { x[1] } else { x[2] })
            }
            TensorOperation::Reduce { function, axes, .. } => self.reduced(&x(0)?, *function, axes, sizes),
            TensorOperation::Place { axis, largest, .. } => {
                let x = x(0)?;
                let place = if *largest { x.argmax_keepdim(*axis)? } else { x.argmin_keepdim(*axis)? };
                Ok(place.to_dtype(DType::F64)?.reshape(sizes)?)
            }
            TensorOperation::Softmax { axis } => Ok(candle_nn::ops::softmax(&x(0)?, *axis)?),
            TensorOperation::Concatenate { axis } => {
                let parts = (0..node.inputs.len()).map(x).collect::<Result<Vec<_>>>()?;
                Ok(Array::cat(&parts, *axis)?)
            }
            &TensorOperation::Slice { axis, start, end, step } => {
                let x = x(0)?;
                Self::picked(&x, axis, &places(Range { start, end, step }, x.dim(axis)?))
            }
            TensorOperation::Flip { axes } => {
                let mut y = x(0)?;
                for &axis in axes {
                    let order: Vec<usize> = (0..y.dim(axis)?).rev().collect();
                    y = Self::picked(&y, axis, &order)?;
                }
                Ok(y)
            }
            TensorOperation::BroadcastTo { .. } => Ok(x(0)?.broadcast_as(sizes)?.contiguous()?),
            TensorOperation::Take { axis } => {
                let x = x(0)?;
                Ok(Self::picked(&x, *axis, &self.picks(node, x.dim(*axis)?)?)?.reshape(sizes)?)
            }
            TensorOperation::OneHot { classes } => {
                let ids = Self::download_double(&x(0)?)?;
                let row = |id: f64| (0..*classes).map(move |class| f64::from(u8::from(id == class as f64)));
                self.placed(ids.into_iter().flat_map(row).collect(), sizes)
            }
            TensorOperation::Cast { .. } | TensorOperation::SetMask {} => x(0),
            TensorOperation::Arange { .. } => {
                let numbers = (0..sizes.iter().product()).map(|number: usize| number as f64).collect();
                self.placed_double(numbers, sizes)
            }
            TensorOperation::Constant { values, .. } => self.placed_double(values.clone(), sizes),
            TensorOperation::Training {} => self.placed(vec![f64::from(u8::from(self.random.is_some()))], sizes),
            TensorOperation::Mask {} => {
                let flags = self
                    .mask(node.inputs[0])
                    .map(|mask| mask.iter().map(|&flag| f64::from(u8::from(flag != 0))).collect());
                self.placed(flags.unwrap_or_else(|| vec![1.0; sizes.iter().product()]), sizes)
            }
            TensorOperation::Weight { .. } => Ok(self.need_weight(node, 0)?.reshape(sizes)?),
        }
    }

    fn placed_double(&self, values: Vec<f64>, sizes: &[usize]) -> Result<Array> {
        Ok(Array::from_vec(values, sizes, &Device::Cpu)?)
    }

    fn picks(&self, node: &Node, length: usize) -> Result<Vec<usize>> {
        check_picks(&self.plan.layers[node.layer].name, self.ids(node.inputs[1])?.as_ids()?, length)
    }

    /// Elements of an axis, by their places.
    fn picked(x: &Array, axis: usize, places: &[usize]) -> Result<Array> {
        Ok(x.contiguous()?.index_select(&numbers(places, x.device())?, axis)?)
    }

    /// Elements added at their places of an axis of zeros.
    fn spread(&self, dy: &Array, axis: usize, places: &[usize], shape: &[usize]) -> Result<Array> {
        Ok(self.zeros(shape)?.index_add(&numbers(places, dy.device())?, &dy.contiguous()?, axis)?)
    }

    /// Sends the gradient of an operation's output on to its inputs.
    pub(super) fn tensor_backward(&mut self, node: &Node, operation: &TensorOperation, dy: &Array) -> Result<()> {
        if let TensorOperation::Weight { .. } = operation {
            return self.add_weight_gradient(node, 0, dy.clone());
        }
        let Some(&input) = node.inputs.first() else { return Ok(()) };
        let shape = self.shape(input)?.0;
        match operation {
            TensorOperation::Reshape { .. } => self.add_gradient(input, dy.reshape(shape)?),
            TensorOperation::Transpose { axes } => {
                self.add_gradient(input, dy.permute(inverse(axes).as_slice())?.contiguous()?)
            }
            TensorOperation::Matmul { transpose_a, transpose_b } => {
                self.matrix_product_backward(node, *transpose_a, *transpose_b, dy)
            }
            TensorOperation::Normalize { axis } => {
                let x = self.floats(input)?;
                let inverse = x.sqr()?.sum_keepdim(*axis)?.sqrt()?.recip()?;
                let factor = inverse.minimum(1e7)?;
                let along = (x * dy)?.sum_keepdim(*axis)?.mul(&inverse.powf(3.0)?)?;
                let back = inverse.lt(1e7)?.where_cond(&along, &along.zeros_like()?)?;
                let dx = (dy.broadcast_mul(&factor)? - x.broadcast_mul(&back)?)?;
                self.add_gradient(input, dx)
            }
            TensorOperation::Unary { function } if !function.is_flat() => {
                let dx = self.mapped(&[self.floats(input)?, dy], &shape, |x| function.slope(x[0]) * x[1])?;
                self.add_gradient(input, dx)
            }
            TensorOperation::Activate { activation } => {
                let slope = activation::slope(TensorOperation::activation(activation), self.floats(input)?)?;
                self.add_gradient(input, (dy * slope)?)
            }
            TensorOperation::Clip { minimum, maximum } => {
                let (minimum, maximum) = (f64::from(*minimum), f64::from(*maximum));
                let slope = |x: &[f64]| if x[0] < minimum || x[0] > maximum { 0.0 } else { x[1] };
                let dx = self.mapped(&[self.floats(input)?, dy], &shape, slope)?;
                self.add_gradient(input, dx)
            }
            TensorOperation::Binary { function } if !function.is_flat() => {
                for side in 0..2 {
                    let value = node.inputs[side];
                    if !self.schedule.gradient[value] {
                        continue;
                    }
                    let inputs = [self.floats(node.inputs[0])?, self.floats(node.inputs[1])?, dy];
                    let dx = self.mapped(&inputs, dy.dims(), |x| {
                        x[2] * if side == 0 { function.slope_a(x[0], x[1]) } else { function.slope_b(x[0], x[1]) }
                    })?;
                    let dx = reduce_to(&dx, &self.shape(value)?.0)?;
                    self.add_gradient(value, dx)?;
                }
                Ok(())
            }
            TensorOperation::Where {} => {
                for side in [1, 2] {
                    let condition = self.array(input)?;
                    let chosen = |x: &[f64]| if (x[0] != 0.0) == (side == 1) { x[1] } else { 0.0 };
                    let dx = self.mapped(&[&condition, dy], dy.dims(), chosen)?;
                    let dx = reduce_to(&dx, &self.shape(node.inputs[side])?.0)?;
                    self.add_gradient(node.inputs[side], dx)?;
                }
                Ok(())
            }
            TensorOperation::Reduce { function, axes, .. } => self.reduced_backward(node, *function, axes, dy),
            TensorOperation::Softmax { axis } => {
                let y = self.floats(node.outputs[0])?;
                let mean = (y * dy)?.sum_keepdim(*axis)?;
                let dx = (y * dy.broadcast_sub(&mean)?)?;
                self.add_gradient(input, dx)
            }
            TensorOperation::Concatenate { axis } => {
                let mut start = 0;
                for &input in &node.inputs {
                    let length = self.shape(input)?.0[*axis];
                    self.add_gradient(input, dy.narrow(*axis, start, length)?.contiguous()?)?;
                    start += length;
                }
                Ok(())
            }
            &TensorOperation::Slice { axis, start, end, step } => {
                let dx = self.spread(dy, axis, &places(Range { start, end, step }, shape[axis]), &shape)?;
                self.add_gradient(input, dx)
            }
            TensorOperation::Flip { axes } => {
                let mut dx = dy.clone();
                for &axis in axes {
                    let order: Vec<usize> = (0..dx.dim(axis)?).rev().collect();
                    dx = Self::picked(&dx, axis, &order)?;
                }
                self.add_gradient(input, dx)
            }
            TensorOperation::BroadcastTo { .. } => self.add_gradient(input, reduce_to(dy, &shape)?),
            TensorOperation::Take { axis } => {
                let places = self.picks(node, shape[*axis])?;
                let mut flat = shape.clone();
                flat[*axis] = places.len();
                let dx = self.spread(&dy.reshape(flat)?, *axis, &places, &shape)?;
                self.add_gradient(input, dx)
            }
            TensorOperation::SetMask {} => self.add_gradient(input, dy.clone()),
            _ => Ok(()),
        }
    }
}
