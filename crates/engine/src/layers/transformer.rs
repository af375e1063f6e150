//! Layers of a Transformer: attention, then a network at each step, each with a residual and a normalisation.
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    AttentionCall, Inference, Role, Signature, WeightSpecification, activation, float, last_size,
    multi_head_attention::{check_limits, check_scores},
    options, unify,
};
use crate::{
    error::Result as EngineResult,
    graph::LayerDocument,
    shape::{Dimension, ElementType, count, describe},
};

/// Options of a layer of a Transformer.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TransformerOptions {
    /// Features of the hidden layer of the network at each step.
    pub intermediate_dim: usize,
    /// Heads of each attention.
    pub num_heads: usize,
    /// Features of a head; `None`: those of the sequence by the heads.
    pub key_dim: Option<usize>,
    /// Activation of the hidden layer.
    pub activation: String,
    /// Share of what each part adds that becomes 0 in training.
    pub dropout: f32,
    /// Share of the weights of attention that become 0 in training.
    pub attention_dropout: f32,
    /// Share of the hidden layer that becomes 0 in training.
    pub activation_dropout: f32,
    /// Added to variances.
    pub layer_norm_epsilon: f32,
    /// Whether what goes into each part is normalised, instead of its sum with the residual.
    pub normalize_first: bool,
    /// Whether linear parts have a bias.
    pub use_bias: bool,
    /// How pairs of features of queries and keys of the sequence itself are turned by their positions; `None`: they are not.
    pub rotary: Option<Rotary>,
    /// Steps of the sequence itself see one another only if they are fewer than so many apart; `None`: at any distance.
    #[serde(default)]
    pub sliding_window: Option<usize>,
    /// Between minus and plus which scaled scores are brought softly; `None`: they are left as they are.
    #[serde(default)]
    pub logit_soft_cap: Option<f32>,
    /// Whether what the heads of an attention give is multiplied by the sigmoid of a projection of its query.
    #[serde(default)]
    pub use_gate: bool,
    /// How kernels begin.
    pub kernel_initializer: Value,
    /// How biases begin.
    pub bias_initializer: Value,
    /// Whether training makes the values within the layer again for its backward pass instead of keeping them.
    #[serde(default)]
    pub recompute: bool,
    /// Whether it is a decoder: no step sees a later one, and a second sequence is attended to.
    #[serde(skip)]
    pub decoder: bool,
}

/// Which features of a head are a pair that is turned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Rotary {
    /// One of the first half and one of the second.
    Halves,
    /// Neighbours.
    Interleaved,
}

/// A part with weights.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// A linear part: features of input and output.
    Linear(usize, usize),
    /// A normalisation of so many features.
    Normalization(usize),
}

impl TransformerOptions {
    pub(super) fn parse(layer: &LayerDocument) -> EngineResult<Self> {
        let read: Self = options(layer)?;
        Ok(Self { decoder: layer.kind == "transformerDecoder", ..read })
    }

    pub(super) fn check(&self) -> Result<(), String> {
        for (name, size) in [("intermediateDim", self.intermediate_dim), ("numHeads", self.num_heads)] {
            if size == 0 {
                return Err(format!("{name} must be at least 1, got 0"));
            }
        }
        if self.key_dim == Some(0) {
            return Err("keyDim must be at least 1, got 0".to_owned());
        }
        for (name, rate) in [
            ("dropout", self.dropout),
            ("attentionDropout", self.attention_dropout),
            ("activationDropout", self.activation_dropout),
        ] {
            if !(0.0..1.0).contains(&rate) {
                return Err(format!("{name} must be from 0 to below 1, got {rate}"));
            }
        }
        if !(self.layer_norm_epsilon >= 0.0 && self.layer_norm_epsilon.is_finite()) {
            return Err(format!("layerNormEpsilon must be a number of at least 0, got {}", self.layer_norm_epsilon));
        }
        check_limits(self.sliding_window, self.logit_soft_cap)?;
        activation::check_name(&self.activation)
    }

    /// Features of a head of a sequence of so many.
    pub(crate) fn head_width(&self, width: usize) -> Result<usize, String> {
        match self.key_dim {
            Some(width) => Ok(width),
            None if width.is_multiple_of(self.num_heads) => Ok(width / self.num_heads),
            None => Err(format!(
                "expected features that {} heads (numHeads) divide, got {width}: take another number of heads, or say \
                 keyDim",
                self.num_heads
            )),
        }
    }

    /// Parts with weights of a layer for `width` features that attends to `memory` features, in the order of the weights.
    ///
    /// The orders are those of KerasHub's `TransformerEncoder` and `TransformerDecoder`; a gate is where Keras'
    /// `MultiHeadAttention` has it.
    pub(crate) fn parts(&self, width: usize, memory: Option<usize>) -> Result<Vec<(String, Part)>, String> {
        let head = self.head_width(width)?;
        if self.rotary.is_some() && !head.is_multiple_of(2) {
            return Err(format!(
                "expected heads of an even number of features to turn (rotary), got {head}: say keyDim"
            ));
        }
        let inner = self.num_heads.checked_mul(head).ok_or("the heads are too wide")?;
        let mut parts = Vec::new();
        let attention = |name: &str, keys: usize, parts: &mut Vec<(String, Part)>| {
            let gate = self.use_gate.then_some(("gate", width, inner));
            let projections = [("query", width, inner), ("key", keys, inner)]
                .into_iter()
                .chain(gate)
                .chain([("value", keys, inner), ("attentionOutput", inner, width)]);
            parts.extend(projections.map(|(part, from, to)| (format!("{name}/{part}"), Part::Linear(from, to))));
            parts.push((format!("{name}LayerNorm"), Part::Normalization(width)));
        };
        attention("selfAttention", width, &mut parts);
        if let Some(memory) = memory {
            attention("crossAttention", memory, &mut parts);
        }
        let hidden = self.intermediate_dim;
        let norm = ("feedforwardLayerNorm".to_owned(), Part::Normalization(width));
        let place = parts.len();
        parts.push(("feedforwardIntermediateDense".to_owned(), Part::Linear(width, hidden)));
        parts.push(("feedforwardOutputDense".to_owned(), Part::Linear(hidden, width)));
        parts.insert(if self.decoder { parts.len() } else { place }, norm);
        Ok(parts)
    }

    /// Weights of a part.
    pub(crate) fn weights_of(&self, part: &Part) -> usize {
        if matches!(part, Part::Linear(..)) { 1 + usize::from(self.use_bias) } else { 2 }
    }

    pub(super) fn infer(&self, inputs: &[Signature]) -> Result<Inference, String> {
        let bias = bias_place(inputs);
        let (sequences, bias) = inputs.split_at(bias.unwrap_or(inputs.len()));
        let (x, memory) = match sequences {
            [x] => (x, None),
            [x, memory] if self.decoder => (x, Some(memory)),
            _ => {
                let or = if self.decoder { ", or that and one to attend to" } else { "" };
                return Err(format!(
                    "expected a sequence{or}, then a bias if there is any, got {} inputs",
                    inputs.len()
                ));
            }
        };
        for sequence in sequences {
            float(sequence, "its inputs")?;
            if sequence.shape.len() != 3 {
                return Err(format!("expected sequences [batch, time, features], got {}", describe(&sequence.shape)));
            }
        }
        let width = last_size(x)?;
        let mut inference = Inference::single(x.shape.clone(), ElementType::Float32, x.masked);
        if let Some(memory) = memory
            && !unify(&x.shape[0], &memory.shape[0], &mut inference.equal)
        {
            return Err(format!(
                "expected sequences of one batch, got {} and {}",
                describe(&x.shape),
                describe(&memory.shape)
            ));
        }
        if let [bias] = bias {
            let call = AttentionCall {
                inputs: vec![Role::Query, Role::Value, Role::AttentionBias],
                ..AttentionCall::default()
            };
            let [batch, steps] = [x.shape[0].clone(), x.shape[1].clone()];
            let scores = vec![batch, Dimension::Size(self.num_heads), steps.clone(), steps];
            check_scores(&call, &[x.clone(), x.clone(), bias.clone()], &scores, &mut inference.equal)?;
        }
        for (name, part) in self.parts(width, memory.map(last_size).transpose()?)? {
            match part {
                Part::Linear(from, to) => {
                    count(&[from, to]).map_err(|error| error.message)?;
                    let kernel = format!("{name}/kernel");
                    inference.weights.push(WeightSpecification::new(&kernel, vec![from, to], &self.kernel_initializer));
                    if self.use_bias {
                        let bias = format!("{name}/bias");
                        inference.weights.push(WeightSpecification::new(&bias, vec![to], &self.bias_initializer));
                    }
                }
                Part::Normalization(width) => {
                    for (weight, start) in [("gamma", "ones"), ("beta", "zeros")] {
                        let name = format!("{name}/{weight}");
                        let weight = WeightSpecification::new(&name, vec![width], &json!({ "type": start }));
                        inference.weights.push(weight);
                    }
                }
            }
        }
        Ok(inference)
    }
}

/// The place of what is added to the scores of the attention to itself: scores alone have four axes.
pub(crate) fn bias_place(inputs: &[Signature]) -> Option<usize> {
    inputs.len().checked_sub(1).filter(|&last| inputs[last].shape.len() == 4)
}

/// A shape of the same steps with other features.
pub(crate) fn with_features(x: &Signature, features: usize) -> Signature {
    let mut shape = x.shape.clone();
    if let Some(last) = shape.last_mut() {
        *last = Dimension::Size(features);
    }
    Signature { shape, dtype: ElementType::Float32, masked: x.masked }
}
