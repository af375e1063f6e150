//! The same elements in another shape.
use serde::Deserialize;

use crate::{
    expression::Expression,
    layers::{Inference, Signature},
    shape::{Dimension, describe},
};

/// A size of a new shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Extent {
    /// A known size, or -1: what the others leave.
    Size(i64),
    /// The size of an axis of an input: its number and the axis.
    Like([usize; 2]),
}

pub(super) fn check(shape: &[Extent]) -> Result<(), String> {
    let inferred = shape.iter().filter(|extent| **extent == Extent::Size(-1)).count();
    let negative = shape.iter().any(|extent| matches!(extent, Extent::Size(size) if *size < -1));
    if inferred > 1 || negative {
        return Err("the shape must hold sizes of at least 0, and -1 at most once".to_owned());
    }
    Ok(())
}

/// The dimension that an extent stands for; `None` for -1.
pub(super) fn dimension(extent: Extent, inputs: &[Signature]) -> Result<Option<Dimension>, String> {
    match extent {
        Extent::Size(size) => Ok(usize::try_from(size).ok().map(Dimension::Size)),
        Extent::Like([input, axis]) => {
            let found = inputs.get(input).and_then(|input| input.shape.get(axis));
            found.cloned().map(Some).ok_or_else(|| format!("there is no axis {axis} of an input {input}"))
        }
    }
}

pub(super) fn infer(shape: &[Extent], inputs: &[Signature]) -> Result<Inference, String> {
    let [x, ..] = inputs else { return Err("expected an input, got 0".to_owned()) };
    let dimensions = shape.iter().map(|&extent| dimension(extent, inputs)).collect::<Result<Vec<_>, _>>()?;
    let all = Expression::product(&x.shape)?;
    let known: Vec<Dimension> = dimensions.iter().flatten().cloned().collect();
    let given = Expression::product(&known)?;
    let shown = |sizes: &[Option<Dimension>]| {
        let sizes: Vec<_> =
            sizes.iter().map(|size| size.clone().unwrap_or_else(|| Dimension::Symbol("-1".to_owned()))).collect();
        describe(&sizes)
    };
    let mismatch = || {
        format!("the elements of an input of shape {} cannot take the shape {}", describe(&x.shape), shown(&dimensions))
    };
    let mut equal = Vec::new();
    let rest = if known.len() < dimensions.len() {
        all.over(&given, true).ok_or_else(mismatch)?.dimension()?
    } else {
        let (all, given) = all.without_common(&given);
        match (all.dimension()?, given.dimension()?) {
            (left, right) if left == right => {}
            (Dimension::Size(_), Dimension::Size(_)) => return Err(mismatch()),
            pair => equal.push(pair),
        }
        Dimension::Size(0)
    };
    let shape = dimensions.into_iter().map(|dimension| dimension.unwrap_or_else(|| rest.clone())).collect();
    let mut inference = Inference::single(shape, x.dtype, false);
    inference.equal = equal;
    Ok(inference)
}
