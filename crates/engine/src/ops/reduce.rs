//! Elements along axes as one.
use super::{check_axis, exactly};
use crate::{
    layers::{Inference, Signature, float},
    shape::{Dimension, ElementType, Shape},
};

fn reduced(shape: &[Dimension], axes: &[usize], keepdims: bool) -> Shape {
    let sizes = shape.iter().enumerate().filter(|(axis, _)| keepdims || !axes.contains(axis));
    sizes.map(|(axis, size)| if axes.contains(&axis) { Dimension::Size(1) } else { size.clone() }).collect()
}

pub(super) fn check(axes: &[usize]) -> Result<(), String> {
    match axes.iter().enumerate().find(|(number, axis)| axes[..*number].contains(axis)) {
        Some((_, axis)) => Err(format!("axis {axis} is twice among the axes")),
        None => Ok(()),
    }
}

pub(super) fn infer(axes: &[usize], keepdims: bool, inputs: &[Signature]) -> Result<Inference, String> {
    let [x] = exactly(inputs)?;
    float(x, "its input")?;
    axes.iter().try_for_each(|&axis| check_axis(axis, x))?;
    Ok(Inference::single(reduced(&x.shape, axes, keepdims), ElementType::Float32, false))
}

pub(super) fn place(axis: usize, keepdims: bool, inputs: &[Signature]) -> Result<Inference, String> {
    let [x] = exactly(inputs)?;
    float(x, "its input")?;
    check_axis(axis, x)?;
    Ok(Inference::single(reduced(&x.shape, &[axis], keepdims), ElementType::Int32, false))
}
