//! A table of vectors that also turns vectors back into scores of its rows.
use serde::Deserialize;
use serde_json::Value;

use super::{Inference, Signature, WeightSpecification, last_size};
use crate::shape::{Dimension, ElementType, count, describe};

/// Options of a reversible embedding.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReversibleEmbeddingOptions {
    /// Rows of the table: ids are below it.
    pub input_dim: usize,
    /// Width of a row.
    pub output_dim: usize,
    /// Whether the way back takes the same table.
    pub tie_weights: bool,
    /// Whether there is a bias on the way back.
    pub use_bias: bool,
    /// Whether id 0 is masked.
    pub mask_zero: bool,
    /// How the tables begin.
    pub embeddings_initializer: Value,
    /// The penalty of the table.
    #[serde(default)]
    pub embeddings_regularizer: Value,
    /// What the table is brought back to after each step.
    #[serde(default)]
    pub embeddings_constraint: Value,
    /// How the bias begins.
    pub bias_initializer: Value,
}

impl ReversibleEmbeddingOptions {
    pub(super) fn check(&self) -> Result<(), String> {
        if self.input_dim == 0 || self.output_dim == 0 || self.input_dim > i32::MAX as usize {
            return Err(format!(
                "inputDim and outputDim must be at least 1 and inputDim below 2^31, got {} and {}",
                self.input_dim, self.output_dim
            ));
        }
        count(&[self.input_dim, self.output_dim]).map(|_| ()).map_err(|error| error.message)
    }

    /// Whether a call of an input goes back from vectors to scores.
    pub(crate) fn is_reverse(x: &Signature) -> bool {
        x.dtype == ElementType::Float32
    }

    /// The first weight of the way back.
    pub(crate) fn reverse_weight(&self) -> usize {
        usize::from(!self.tie_weights)
    }

    fn weights(&self) -> Vec<WeightSpecification> {
        let table =
            WeightSpecification::new("embeddings", vec![self.input_dim, self.output_dim], &self.embeddings_initializer);
        let mut weights = vec![table.governed(&self.embeddings_regularizer, &self.embeddings_constraint)];
        if !self.tie_weights {
            let shape = vec![self.output_dim, self.input_dim];
            weights.push(WeightSpecification::new("reverseEmbeddings", shape, &self.embeddings_initializer));
        }
        if self.use_bias {
            weights.push(WeightSpecification::new("reverseBias", vec![self.input_dim], &self.bias_initializer));
        }
        weights
    }

    pub(super) fn infer(&self, inputs: &[Signature]) -> Result<Inference, String> {
        let [x] = inputs else { return Err(format!("expected 1 input, got {}", inputs.len())) };
        let mut shape = x.shape.clone();
        let masked = if Self::is_reverse(x) {
            let width = last_size(x)?;
            if shape.len() < 2 || width != self.output_dim {
                return Err(format!(
                    "expected vectors of {} elements (outputDim) to score, got shape {}",
                    self.output_dim,
                    describe(&x.shape)
                ));
            }
            shape.pop();
            shape.push(Dimension::Size(self.input_dim));
            x.masked
        } else {
            shape.push(Dimension::Size(self.output_dim));
            self.mask_zero
        };
        let mut inference = Inference::single(shape, ElementType::Float32, masked);
        inference.weights = self.weights();
        Ok(inference)
    }
}
