//! A linear layer with an activation.
use serde::Deserialize;
use serde_json::Value;

use super::{Inference, Signature, WeightSpecification, activation, float, last_size};
use crate::shape::{Dimension, ElementType, count, describe};

/// Options of a linear layer.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DenseOptions {
    /// Features of its output.
    pub units: usize,
    /// Activation of its output.
    pub activation: String,
    /// Whether there is a bias.
    pub use_bias: bool,
    /// How the kernel begins.
    pub kernel_initializer: Value,
    /// How the bias begins.
    pub bias_initializer: Value,
    /// The penalty of the kernel.
    #[serde(default)]
    pub kernel_regularizer: Value,
    /// What the kernel is brought back to after each step.
    #[serde(default)]
    pub kernel_constraint: Value,
    /// The penalty of the bias.
    #[serde(default)]
    pub bias_regularizer: Value,
    /// What the bias is brought back to after each step.
    #[serde(default)]
    pub bias_constraint: Value,
}

impl DenseOptions {
    pub(super) fn check(&self) -> Result<(), String> {
        if self.units == 0 {
            return Err("units must be at least 1, got 0".to_owned());
        }
        activation::check_name(&self.activation)
    }

    pub(super) fn infer(&self, inputs: &[Signature]) -> Result<Inference, String> {
        let [x] = inputs else { return Err(format!("expected 1 input, got {}", inputs.len())) };
        float(x, "its input")?;
        if x.shape.len() < 2 {
            return Err(format!("expected an input of at least two dimensions, got {}", describe(&x.shape)));
        }
        let features = last_size(x)?;
        count(&[features, self.units]).map_err(|error| error.message)?;
        let mut shape = x.shape.clone();
        shape.pop();
        shape.push(Dimension::Size(self.units));
        let mut inference = Inference::single(shape, ElementType::Float32, x.masked);
        let kernel = WeightSpecification::new("kernel", vec![features, self.units], &self.kernel_initializer);
        inference.weights.push(kernel.governed(&self.kernel_regularizer, &self.kernel_constraint));
        if self.use_bias {
            let bias = WeightSpecification::new("bias", vec![self.units], &self.bias_initializer);
            inference.weights.push(bias.governed(&self.bias_regularizer, &self.bias_constraint));
        }
        Ok(inference)
    }
}
