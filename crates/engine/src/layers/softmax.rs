//! Softmax over axes, of all elements or of those that a mask keeps.
use serde::Deserialize;

use super::{Inference, Signature, axes, float, unify};
use crate::shape::{Dimension, ElementType, describe};

/// Options of a softmax.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SoftmaxOptions {
    /// Axes over which the output sums up to 1; negative ones count from the end.
    pub axis: Vec<i64>,
}

impl SoftmaxOptions {
    pub(super) fn check(&self) -> Result<(), String> {
        axes::check(&self.axis)
    }

    /// The axes in an input of a shape, ascending.
    pub(crate) fn positions(&self, shape: &[Dimension]) -> Result<Vec<usize>, String> {
        axes::positions(&self.axis, shape)
    }

    pub(super) fn infer(&self, inputs: &[Signature]) -> Result<Inference, String> {
        let (x, mask) = match inputs {
            [x] => (x, None),
            [x, mask] => (x, Some(mask)),
            _ => return Err(format!("expected 1 input, or an input and a mask, got {}", inputs.len())),
        };
        float(x, "its input")?;
        self.positions(&x.shape)?;
        let mut inference = Inference::single(x.shape.clone(), ElementType::Float32, x.masked);
        if let Some(mask) = mask {
            let mut equal = Vec::new();
            let fits = mask.shape.len() <= x.shape.len()
                && mask
                    .shape
                    .iter()
                    .rev()
                    .zip(x.shape.iter().rev())
                    .all(|(kept, size)| *kept == Dimension::Size(1) || unify(size, kept, &mut equal));
            if !fits {
                return Err(format!(
                    "expected a mask whose last axes are 1 or those of the input {}, got {}",
                    describe(&x.shape),
                    describe(&mask.shape)
                ));
            }
            inference.equal = equal;
        }
        Ok(inference)
    }
}
