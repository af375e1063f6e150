//! Rows of a table.
use serde::Deserialize;
use serde_json::Value;

use super::{Inference, Signature, WeightSpecification};
use crate::shape::{Dimension, ElementType, count, describe};

/// Options of an embedding.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EmbeddingOptions {
    /// Rows of the table: ids are below it.
    pub input_dim: usize,
    /// Width of a row.
    pub output_dim: usize,
    /// Whether id 0 is masked.
    pub mask_zero: bool,
    /// How the table begins.
    pub embeddings_initializer: Value,
    /// The penalty of the table.
    #[serde(default)]
    pub embeddings_regularizer: Value,
    /// What the table is brought back to after each step.
    #[serde(default)]
    pub embeddings_constraint: Value,
}

impl EmbeddingOptions {
    pub(super) fn check(&self) -> Result<(), String> {
        if self.input_dim == 0 || self.output_dim == 0 || self.input_dim > i32::MAX as usize {
            return Err(format!(
                "inputDim and outputDim must be at least 1 and inputDim below 2^31, got {} and {}",
                self.input_dim, self.output_dim
            ));
        }
        count(&[self.input_dim, self.output_dim]).map(|_| ()).map_err(|error| error.message)
    }

    pub(super) fn infer(&self, inputs: &[Signature]) -> Result<Inference, String> {
        let [ids] = inputs else { return Err(format!("expected 1 input of ids, got {}", inputs.len())) };
        if ids.dtype != ElementType::Int32 {
            return Err(format!(
                "expected ids of dtype int32, got {} of shape {}",
                ids.dtype.name(),
                describe(&ids.shape)
            ));
        }
        let mut shape = ids.shape.clone();
        shape.push(Dimension::Size(self.output_dim));
        let mut inference = Inference::single(shape, ElementType::Float32, self.mask_zero);
        let shape = vec![self.input_dim, self.output_dim];
        let table = WeightSpecification::new("embeddings", shape, &self.embeddings_initializer);
        inference.weights.push(table.governed(&self.embeddings_regularizer, &self.embeddings_constraint));
        Ok(inference)
    }
}
