//! Tensors side by side.
use serde::Deserialize;

use super::{Inference, Signature, float, unify};
use crate::shape::{Dimension, ElementType, describe};

/// Options of a concatenation.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConcatenateOptions {
    /// The axis along which tensors are joined; negative counts from the end. Not the batch.
    pub axis: isize,
}

impl ConcatenateOptions {
    /// The axis counted from the front, for tensors of `rank` dimensions; `None` if there is none.
    #[must_use]
    pub fn position(&self, rank: usize) -> Option<usize> {
        let axis = if self.axis < 0 { self.axis + isize::try_from(rank).ok()? } else { self.axis };
        usize::try_from(axis).ok().filter(|axis| (1..rank).contains(axis))
    }

    pub(super) fn infer(&self, inputs: &[Signature]) -> Result<Inference, String> {
        let [first, rest @ ..] = inputs else { return Err("expected at least 2 inputs, got 0".to_owned()) };
        if rest.is_empty() {
            return Err("expected at least 2 inputs, got 1".to_owned());
        }
        let rank = first.shape.len();
        let Some(axis) = self.position(rank) else {
            return Err(format!("axis {} is not an axis after the batch of {}", self.axis, describe(&first.shape)));
        };
        for x in inputs {
            float(x, "its inputs")?;
        }
        let mut equal = Vec::new();
        let mut total = Some(0usize);
        for x in inputs {
            let fits = x.shape.len() == rank
                && x.shape
                    .iter()
                    .zip(&first.shape)
                    .enumerate()
                    .all(|(index, (left, right))| index == axis || unify(right, left, &mut equal));
            if !fits {
                return Err(format!(
                    "expected inputs that differ along axis {} only, got {} and {}",
                    self.axis,
                    describe(&first.shape),
                    describe(&x.shape)
                ));
            }
            total = match (&x.shape[axis], total) {
                (Dimension::Size(size), Some(sum)) => sum.checked_add(*size),
                _ => None,
            };
        }
        let mut shape = first.shape.clone();
        shape[axis] = match total {
            Some(total) => Dimension::Size(total),
            None => {
                let parts: Vec<_> = inputs.iter().map(|x| describe(&x.shape[axis..=axis])).collect();
                return Err(format!(
                    "axis {} has unknown sizes {}: only axes of known sizes can be joined",
                    self.axis,
                    parts.join(", ")
                ));
            }
        };
        // Along the last axis masks are per position and join; along time they would have to be joined end to end.
        let masked = axis == rank - 1 && inputs.iter().all(|x| x.masked);
        let mut inference = Inference::single(shape, ElementType::Float32, masked);
        inference.equal = equal;
        Ok(inference)
    }
}
