//! A mask from values.
use serde::Deserialize;

use super::{Inference, Signature, float};
use crate::shape::{ElementType, describe};

/// Options of a masking.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MaskingOptions {
    /// A position all of whose features have this value is masked.
    pub mask_value: f32,
}

impl MaskingOptions {
    pub(super) fn check(&self) -> Result<(), String> {
        if self.mask_value.is_finite() {
            return Ok(());
        }
        Err(format!("maskValue must be a finite number, got {}", self.mask_value))
    }

    pub(super) fn infer(&self, inputs: &[Signature]) -> Result<Inference, String> {
        let [x] = inputs else { return Err(format!("expected 1 input, got {}", inputs.len())) };
        float(x, "its input")?;
        if x.shape.len() < 2 {
            return Err(format!("expected an input of at least two dimensions, got {}", describe(&x.shape)));
        }
        Ok(Inference::single(x.shape.clone(), ElementType::Float32, true))
    }
}

/// Inference of dropout of whole features of a sequence.
pub(super) fn infer_spatial_dropout(inputs: &[Signature]) -> Result<Inference, String> {
    let [x] = inputs else { return Err(format!("expected 1 input, got {}", inputs.len())) };
    float(x, "its input")?;
    if x.shape.len() != 3 {
        return Err(format!("expected a sequence of shape [batch, time, features], got {}", describe(&x.shape)));
    }
    Ok(Inference::single(x.shape.clone(), ElementType::Float32, x.masked))
}
