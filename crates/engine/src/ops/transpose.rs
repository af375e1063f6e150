//! Axes in another order.
use super::exactly;
use crate::{
    layers::{Inference, Signature},
    shape::describe,
};

pub(super) fn check(axes: &[usize]) -> Result<(), String> {
    let mut sorted = axes.to_vec();
    sorted.sort_unstable();
    if sorted.into_iter().eq(0..axes.len()) {
        return Ok(());
    }
    Err(format!("the axes {axes:?} are not each axis once"))
}

pub(super) fn infer(axes: &[usize], inputs: &[Signature]) -> Result<Inference, String> {
    let [x] = exactly(inputs)?;
    if x.shape.len() != axes.len() {
        return Err(format!("expected an input of {} axes, got {}", axes.len(), describe(&x.shape)));
    }
    Ok(Inference::single(axes.iter().map(|&axis| x.shape[axis].clone()).collect(), x.dtype, false))
}

/// The order that undoes an order.
pub(crate) fn inverse(axes: &[usize]) -> Vec<usize> {
    let mut inverse = vec![0; axes.len()];
    for (to, &from) in axes.iter().enumerate() {
        inverse[from] = to;
    }
    inverse
}
