//! Normalisation over axes of each sample.
use serde::Deserialize;
use serde_json::Value;

use super::{Inference, Signature, WeightSpecification, axes, float};
use crate::shape::{Dimension, ElementType};

/// Options of a layer normalisation.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LayerNormalizationOptions {
    /// Axes over which mean and variance are taken; negative ones count from the end.
    pub axis: Vec<i64>,
    /// Added to the variance.
    pub epsilon: f32,
    /// Whether there is a `beta`.
    pub center: bool,
    /// Whether there is a `gamma`.
    pub scale: bool,
    /// How `beta` begins.
    pub beta_initializer: Value,
    /// How `gamma` begins.
    pub gamma_initializer: Value,
    /// The penalty of `beta`.
    #[serde(default)]
    pub beta_regularizer: Value,
    /// What `beta` is brought back to after each step.
    #[serde(default)]
    pub beta_constraint: Value,
    /// The penalty of `gamma`.
    #[serde(default)]
    pub gamma_regularizer: Value,
    /// What `gamma` is brought back to after each step.
    #[serde(default)]
    pub gamma_constraint: Value,
}

impl LayerNormalizationOptions {
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
        if self.scale {
            let gamma = WeightSpecification::new("gamma", sizes.clone(), &self.gamma_initializer);
            inference.weights.push(gamma.governed(&self.gamma_regularizer, &self.gamma_constraint));
        }
        if self.center {
            let beta = WeightSpecification::new("beta", sizes, &self.beta_initializer);
            inference.weights.push(beta.governed(&self.beta_regularizer, &self.beta_constraint));
        }
        Ok(inference)
    }
}
