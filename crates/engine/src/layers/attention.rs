//! Attention without projections: by products or by sums of hyperbolic tangents.
use serde::Deserialize;
use serde_json::json;

use super::{
    AttentionCall, Inference, Role, Signature, WeightSpecification, last_size, multi_head_attention::AttentionShapes,
    options,
};
use crate::{
    error::Result,
    graph::LayerDocument,
    shape::{Dimension, ElementType, describe},
};

/// How queries and keys are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ScoreMode {
    /// By their product.
    Dot,
    /// By the sum of the hyperbolic tangents of their sums.
    Concat,
}

/// Options of `attention` and `additiveAttention`.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AttentionOptions {
    /// Whether each feature has a factor: no option of the document but its type.
    #[serde(skip)]
    pub additive: bool,
    /// What this call says: no option of the document.
    #[serde(skip)]
    pub call: AttentionCall,
    /// Whether there is a trained factor.
    pub use_scale: bool,
    /// How queries and keys are compared; no option of `additiveAttention`.
    score_mode: Option<ScoreMode>,
    /// Share of the scores that become 0 in training.
    pub dropout: f32,
    /// The seed of the layer's own dropout; `None`: that of the model.
    #[serde(default)]
    pub seed: Option<u64>,
}

impl AttentionOptions {
    pub(super) fn parse(layer: &LayerDocument) -> Result<Self> {
        Ok(Self { additive: layer.kind == "additiveAttention", ..options::<Self>(layer)? })
    }

    /// The layer in a call.
    pub(super) fn called(&self, call: AttentionCall) -> std::result::Result<Self, String> {
        if call.inputs.iter().any(|role| *role > Role::Key) {
            return Err("call: inputs must be query, value and, if it is another tensor, key".to_owned());
        }
        Ok(Self { call, ..self.clone() })
    }

    pub(super) fn check(&self) -> std::result::Result<(), String> {
        if self.additive == self.score_mode.is_some() {
            return Err(format!("{} field `scoreMode`", if self.additive { "unknown" } else { "missing" }));
        }
        if !(0.0..1.0).contains(&self.dropout) {
            return Err(format!("dropout must be at least 0 and below 1, got {}", self.dropout));
        }
        Ok(())
    }

    /// Whether scores are sums of hyperbolic tangents.
    #[must_use]
    pub fn sums(&self) -> bool {
        self.score_mode != Some(ScoreMode::Dot)
    }

    pub(super) fn infer(&self, inputs: &[Signature]) -> std::result::Result<Inference, String> {
        let mut equal = Vec::new();
        let AttentionShapes { batch, queries, keys } = AttentionShapes::new(&self.call, inputs, &mut equal)?;
        let (query, value) = (&inputs[0], &inputs[1]);
        let key = self.call.place(Role::Key).map_or(value, |place| &inputs[place]);
        let (width, value_width) = (last_size(query)?, last_size(value)?);
        if last_size(key)? != width {
            return Err(format!(
                "expected query and key to have as many features, got {} and {}",
                describe(&query.shape),
                describe(&key.shape)
            ));
        }
        let output = vec![batch.clone(), queries.clone(), Dimension::Size(value_width)];
        let mut inference = Inference::single(output, ElementType::Float32, query.masked);
        if self.call.return_attention_scores {
            let shape = vec![batch, queries, keys];
            inference.outputs.push(Signature { shape, dtype: ElementType::Float32, masked: false });
        }
        let ones = json!({ "type": "ones" });
        if self.use_scale {
            inference.weights.push(match self.additive {
                true => WeightSpecification::new("scale", vec![width], &json!({ "type": "glorotUniform" })),
                false => WeightSpecification::new("scale", Vec::new(), &ones),
            });
        }
        if self.score_mode == Some(ScoreMode::Concat) {
            inference.weights.push(WeightSpecification::new("concatScoreWeight", Vec::new(), &ones));
        }
        inference.equal = equal;
        Ok(inference)
    }
}
