//! Positions of the steps of a sequence, added to it.
use serde::Deserialize;
use serde_json::Value;

use super::{Inference, Signature, WeightSpecification, float, last_size};
use crate::shape::{Dimension, ElementType, count, describe};

/// What stands for a position.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum PositionKind {
    /// Sines and cosines.
    Sinusoidal,
    /// A row of a table that is a weight.
    Learned,
    /// Nothing: the sequence is only multiplied.
    None,
}

/// What a sequence is multiplied by before its positions are added.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(untagged)]
pub enum PositionScale {
    /// By the root of the number of features, or by nothing.
    Root(bool),
    /// By a number.
    Factor(f32),
}

/// Options of positions.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PositionalEncodingOptions {
    /// What stands for a position.
    #[serde(rename = "type")]
    pub kind: PositionKind,
    /// Whether each sine lies before its cosine; otherwise all sines lie before all cosines.
    pub interleaved: bool,
    /// The longest wave of sines and cosines, divided by 2 pi.
    pub max_wavelength: f64,
    /// Steps that a sequence has at most; `None`: any number, only of sines and cosines.
    pub max_length: Option<usize>,
    /// Factor of the sequence.
    pub scale: PositionScale,
    /// How the table begins.
    pub embeddings_initializer: Value,
    /// The penalty of the table.
    #[serde(default)]
    pub embeddings_regularizer: Value,
    /// What the table is brought back to after each step.
    #[serde(default)]
    pub embeddings_constraint: Value,
}

impl PositionalEncodingOptions {
    pub(super) fn check(&self) -> Result<(), String> {
        if self.max_length == Some(0) {
            return Err("maxLength must be at least 1, got 0".to_owned());
        }
        if self.kind == PositionKind::Learned && self.max_length.is_none() {
            return Err("maxLength must be given for a learned table".to_owned());
        }
        if !(self.max_wavelength >= 1.0 && self.max_wavelength.is_finite()) {
            return Err(format!("maxWavelength must be a number of at least 1, got {}", self.max_wavelength));
        }
        match self.scale {
            PositionScale::Factor(factor) if !factor.is_finite() => {
                Err(format!("scale must be true, false or a finite number, got {factor}"))
            }
            _ => Ok(()),
        }
    }

    /// Factor of a sequence of so many features.
    pub(crate) fn factor(&self, width: usize) -> f32 {
        match self.scale {
            PositionScale::Root(true) => (width as f64).sqrt() as f32,
            PositionScale::Root(false) => 1.0,
            PositionScale::Factor(factor) => factor,
        }
    }

    pub(super) fn infer(&self, inputs: &[Signature]) -> Result<Inference, String> {
        let [x] = inputs else { return Err(format!("expected 1 input, got {}", inputs.len())) };
        float(x, "its input")?;
        if x.shape.len() != 3 {
            return Err(format!("expected a sequence [batch, time, features], got {}", describe(&x.shape)));
        }
        let width = last_size(x)?;
        if let (Dimension::Size(steps), Some(longest)) = (&x.shape[1], self.max_length)
            && *steps > longest
        {
            return Err(format!("expected sequences of at most {longest} steps (maxLength), got {steps}"));
        }
        let mut inference = Inference::single(x.shape.clone(), ElementType::Float32, x.masked);
        if let (PositionKind::Learned, Some(rows)) = (self.kind, self.max_length) {
            count(&[rows, width]).map_err(|error| error.message)?;
            let table = WeightSpecification::new("embeddings", vec![rows, width], &self.embeddings_initializer);
            inference.weights.push(table.governed(&self.embeddings_regularizer, &self.embeddings_constraint));
        }
        Ok(inference)
    }
}
