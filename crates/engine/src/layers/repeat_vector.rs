//! A vector as every step of a sequence.
use serde::Deserialize;

use super::{Inference, Signature, float, last_size};
use crate::shape::{Dimension, ElementType, count, describe};

/// Options of a repetition.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RepeatVectorOptions {
    /// Steps of the sequence.
    pub n: usize,
}

impl RepeatVectorOptions {
    pub(super) fn check(&self) -> Result<(), String> {
        if self.n == 0 {
            return Err("n must be at least 1, got 0".to_owned());
        }
        Ok(())
    }

    pub(super) fn infer(&self, inputs: &[Signature]) -> Result<Inference, String> {
        let [x] = inputs else { return Err(format!("expected 1 input, got {}", inputs.len())) };
        float(x, "its input")?;
        let [batch, features] = x.shape.as_slice() else {
            return Err(format!("expected a vector of shape [batch, features], got {}", describe(&x.shape)));
        };
        count(&[self.n, last_size(x)?]).map_err(|error| error.message)?;
        let shape = vec![batch.clone(), Dimension::Size(self.n), features.clone()];
        Ok(Inference::single(shape, ElementType::Float32, false))
    }
}
