//! Normalisation by the root mean square over axes of each sample.
use serde::Deserialize;
use serde_json::json;

use super::{Inference, Signature, WeightSpecification, axes, float};
use crate::shape::{Dimension, ElementType};

/// Options of a normalisation by the root mean square.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RmsNormalizationOptions {
    /// Axes over which the mean of squares is taken; negative ones count from the end.
    pub axis: Vec<i64>,
    /// Added to the mean of squares.
    pub epsilon: f32,
}

impl RmsNormalizationOptions {
    pub(super) fn check(&self) -> Result<(), String> {
        axes::check_normalization(&self.axis, self.epsilon)
    }

    /// The axes in an input of a shape, ascending.
    pub(crate) fn positions(&self, shape: &[Dimension]) -> Result<Vec<usize>, String> {
        axes::positions(&self.axis, shape)
    }

    pub(super) fn infer(&self, inputs: &[Signature]) -> Result<Inference, String> {
        let [x] = inputs else { return Err(format!("expected 1 input, got {}", inputs.len())) };
        float(x, "its input")?;
        let sizes = axes::sizes(&self.axis, &x.shape)?;
        let mut inference = Inference::single(x.shape.clone(), ElementType::Float32, x.masked);
        inference.weights.push(WeightSpecification::new("scale", sizes, &json!({ "type": "ones" })));
        Ok(inference)
    }
}
