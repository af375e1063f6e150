//! Functions of elements, with broadcasting.
use super::{Binary, Unary, exactly, matmul::broadcast};
use crate::{
    layers::{Inference, Signature, float},
    shape::{ElementType, describe},
};

pub(super) fn unary(function: Unary, inputs: &[Signature]) -> Result<Inference, String> {
    let [x] = exactly(inputs)?;
    if function == Unary::LogicalNot {
        return Ok(Inference::single(x.shape.clone(), ElementType::Float32, false));
    }
    if !function.keeps_integers() {
        float(x, "its input")?;
    }
    Ok(Inference::single(x.shape.clone(), x.dtype, false))
}

pub(super) fn floats(inputs: &[Signature]) -> Result<Inference, String> {
    let [x] = exactly(inputs)?;
    float(x, "its input")?;
    Ok(Inference::single(x.shape.clone(), x.dtype, false))
}

/// The common shape of all inputs.
fn common(inputs: &[Signature]) -> Result<Inference, String> {
    let mut equal = Vec::new();
    let [first, rest @ ..] = inputs else { return Err("expected inputs, got 0".to_owned()) };
    let mut shape = first.shape.clone();
    for x in rest {
        shape = broadcast(&shape, &x.shape, &mut equal).ok_or_else(|| {
            let shapes: Vec<_> = inputs.iter().map(|x| describe(&x.shape)).collect();
            format!("expected shapes that can be broadcast together, got {}", shapes.join(" and "))
        })?;
    }
    let mut inference = Inference::single(shape, ElementType::Float32, false);
    inference.equal = equal;
    Ok(inference)
}

/// The type of elements that are all of one type.
fn type_of(inputs: &[Signature]) -> Result<ElementType, String> {
    match inputs {
        [a, b] if a.dtype != b.dtype => {
            Err(format!("expected inputs of one type, got {} and {}: cast one", a.dtype.name(), b.dtype.name()))
        }
        [a, ..] => Ok(a.dtype),
        [] => Err("expected inputs, got 0".to_owned()),
    }
}

pub(super) fn binary(function: Binary, inputs: &[Signature]) -> Result<Inference, String> {
    let [a, b] = exactly(inputs)?;
    let mut inference = common(inputs)?;
    if matches!(function, Binary::LogicalAnd | Binary::LogicalOr) {
        return Ok(inference);
    }
    let dtype = type_of(inputs)?;
    if !function.is_truth() {
        if !function.keeps_integers() {
            float(a, "its inputs")?;
            float(b, "its inputs")?;
        }
        inference.outputs[0].dtype = dtype;
    }
    Ok(inference)
}

pub(super) fn choice(inputs: &[Signature]) -> Result<Inference, String> {
    let [_, a, b] = exactly(inputs)?;
    let mut inference = common(inputs)?;
    inference.outputs[0].dtype = type_of(&[a.clone(), b.clone()])?;
    Ok(inference)
}
