//! Data of the caller.
use serde::Deserialize;

use super::{Inference, Signature};
use crate::shape::{ElementType, Shape};

/// Options of an input.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InputOptions {
    /// Shape, the batch first.
    pub shape: Shape,
    /// Type of the elements.
    pub dtype: ElementType,
}

impl InputOptions {
    pub(super) fn infer(&self, inputs: &[Signature]) -> Result<Inference, String> {
        if !inputs.is_empty() {
            return Err("an input layer is not called".to_owned());
        }
        if self.shape.is_empty() {
            return Err("the shape of an input has the batch as first dimension".to_owned());
        }
        Ok(Inference::single(self.shape.clone(), self.dtype, false))
    }
}
