//! Recurrent layers over a sequence: LSTM, GRU and simple RNN.
use sconce_kernels::activation::Activation;
use serde::Deserialize;
use serde_json::Value;

use super::{Inference, Signature, WeightSpecification, float, last_size, options, unify};
use crate::{
    error::Result,
    graph::LayerDocument,
    shape::{Dimension, ElementType, count, describe},
};

/// What a recurrent layer computes in a step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Cell {
    /// A long short-term memory.
    #[default]
    Lstm,
    /// A gated recurrent unit.
    Gru {
        /// Whether the reset gate is applied after the recurrent product of the candidate.
        reset_after: bool,
    },
    /// An activation of the sums.
    SimpleRnn,
}

impl Cell {
    /// Blocks of its kernel.
    #[must_use]
    pub fn gates(self) -> usize {
        match self {
            Self::Lstm => 4,
            Self::Gru { .. } => 3,
            Self::SimpleRnn => 1,
        }
    }

    /// States that it carries.
    #[must_use]
    pub fn states(self) -> usize {
        if self == Self::Lstm { 2 } else { 1 }
    }

    /// Sums that have a bias of their own, for each gate.
    fn biases(self) -> usize {
        if self == (Self::Gru { reset_after: true }) { 2 } else { 1 }
    }
}

/// Options of a recurrent layer.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RecurrentOptions {
    /// What it computes: no option of the document but its type.
    #[serde(skip)]
    pub cell: Cell,
    /// Features of its output and states.
    pub units: usize,
    /// Activation of the candidate and the output.
    pub activation: String,
    /// Activation of the gates; a simple RNN has none.
    pub recurrent_activation: Option<String>,
    /// Whether there is a bias.
    pub use_bias: bool,
    /// Whether the bias of the forget gate begins at 1, of an LSTM only.
    pub unit_forget_bias: Option<bool>,
    /// Whether the reset gate comes after the product, of a GRU only.
    pub reset_after: Option<bool>,
    /// How the kernel begins.
    pub kernel_initializer: Value,
    /// How the recurrent kernel begins.
    pub recurrent_initializer: Value,
    /// How the bias begins.
    pub bias_initializer: Value,
    /// The penalty of the kernel.
    #[serde(default)]
    pub kernel_regularizer: Value,
    /// What the kernel is brought back to after each step.
    #[serde(default)]
    pub kernel_constraint: Value,
    /// The penalty of the recurrent kernel.
    #[serde(default)]
    pub recurrent_regularizer: Value,
    /// What the recurrent kernel is brought back to after each step.
    #[serde(default)]
    pub recurrent_constraint: Value,
    /// The penalty of the bias.
    #[serde(default)]
    pub bias_regularizer: Value,
    /// What the bias is brought back to after each step.
    #[serde(default)]
    pub bias_constraint: Value,
    /// Dropout on the inputs, one mask a sequence.
    pub dropout: f32,
    /// Dropout on the state, one mask a sequence.
    pub recurrent_dropout: f32,
    /// Whether the output has all steps.
    pub return_sequences: bool,
    /// Whether the states are outputs too.
    pub return_state: bool,
    /// Whether time runs from the end.
    pub go_backwards: bool,
    /// Whether masked steps give zeros instead of the output before.
    pub zero_output_for_mask: bool,
    /// Whether it begins with the states that it had after the batch before.
    #[serde(default)]
    pub stateful: bool,
}

impl RecurrentOptions {
    /// The options of a layer of a document; `None` if its type is another.
    pub(super) fn parse(layer: &LayerDocument) -> Option<Result<Self>> {
        let cell = match layer.kind.as_str() {
            "lstm" => Cell::Lstm,
            "gru" => Cell::Gru { reset_after: true },
            "simpleRnn" => Cell::SimpleRnn,
            _ => return None,
        };
        Some(options::<Self>(layer).map(|parsed| {
            let cell = match cell {
                Cell::Gru { .. } => Cell::Gru { reset_after: parsed.reset_after.unwrap_or(true) },
                other => other,
            };
            Self { cell, ..parsed }
        }))
    }

    pub(super) fn check(&self) -> std::result::Result<(), String> {
        let gated = self.cell != Cell::SimpleRnn;
        let own = [
            ("recurrentActivation", self.recurrent_activation.is_some(), gated),
            ("unitForgetBias", self.unit_forget_bias.is_some(), self.cell == Cell::Lstm),
            ("resetAfter", self.reset_after.is_some(), matches!(self.cell, Cell::Gru { .. })),
        ];
        for (name, given, known) in own {
            if given != known {
                return Err(format!("{} field `{name}`", if known { "missing" } else { "unknown" }));
            }
        }
        if self.units == 0 {
            return Err("units must be at least 1, got 0".to_owned());
        }
        for name in [Some(&self.activation), self.recurrent_activation.as_ref()].into_iter().flatten() {
            if Activation::from_name(name).is_none() {
                return Err(format!("unknown activation {name}"));
            }
        }
        for (name, rate) in [("dropout", self.dropout), ("recurrentDropout", self.recurrent_dropout)] {
            if !(0.0..1.0).contains(&rate) {
                return Err(format!("{name} must be at least 0 and below 1, got {rate}"));
            }
        }
        Ok(())
    }

    /// What a call gives for a sequence that was checked: the output, then the states if they are outputs too.
    pub(crate) fn outputs(&self, x: &Signature) -> Vec<Signature> {
        let units = Dimension::Size(self.units);
        let shape = vec![x.shape[0].clone(), units.clone()];
        let state = Signature { shape, dtype: ElementType::Float32, masked: false };
        let mut outputs = vec![state.clone()];
        if self.return_sequences {
            outputs[0].shape = vec![x.shape[0].clone(), x.shape[1].clone(), units];
            outputs[0].masked = x.masked;
        }
        outputs.extend(std::iter::repeat_n(state, if self.return_state { self.cell.states() } else { 0 }));
        outputs
    }

    pub(super) fn infer(&self, inputs: &[Signature]) -> std::result::Result<Inference, String> {
        let expected = self.cell.states();
        let Some((x, states)) = inputs.split_first().filter(|(_, states)| [0, expected].contains(&states.len())) else {
            let plural = if expected == 1 { "" } else { "s" };
            return Err(format!(
                "expected a sequence, or a sequence and {expected} state{plural}, got {} inputs",
                inputs.len()
            ));
        };
        if self.stateful && !states.is_empty() {
            return Err("a stateful layer begins with its own states: leave initialState out".to_owned());
        }
        float(x, "its input")?;
        let [batch, _, _] = x.shape.as_slice() else {
            return Err(format!("expected a sequence of shape [batch, time, features], got {}", describe(&x.shape)));
        };
        let features = last_size(x)?;
        count(&[self.units, self.cell.gates(), features.max(self.units)]).map_err(|error| error.message)?;
        let units = Dimension::Size(self.units);
        let mut equal = Vec::new();
        for state in states {
            float(state, "its initial states")?;
            let fits = matches!(state.shape.as_slice(), [rows, width]
                if *width == units && unify(batch, rows, &mut equal));
            if !fits {
                return Err(format!(
                    "expected initial states of shape {}, got {}",
                    describe(&[batch.clone(), units.clone()]),
                    describe(&state.shape)
                ));
            }
        }
        Ok(Inference { outputs: self.outputs(x), weights: self.weights(features), equal })
    }

    /// How many weights it has.
    pub(crate) fn weight_count(&self) -> usize {
        2 + usize::from(self.use_bias)
    }

    fn weights(&self, features: usize) -> Vec<WeightSpecification> {
        let gates = self.cell.gates() * self.units;
        let kernel = WeightSpecification::new("kernel", vec![features, gates], &self.kernel_initializer);
        let recurrent =
            WeightSpecification::new("recurrentKernel", vec![self.units, gates], &self.recurrent_initializer);
        let mut weights = vec![
            kernel.governed(&self.kernel_regularizer, &self.kernel_constraint),
            recurrent.governed(&self.recurrent_regularizer, &self.recurrent_constraint),
        ];
        if self.use_bias {
            let mut start = self.bias_initializer.clone();
            if self.unit_forget_bias == Some(true) {
                start = serde_json::json!({ "type": "forgetBias", "of": start });
            }
            let shape = if self.cell.biases() == 1 { vec![gates] } else { vec![self.cell.biases(), gates] };
            let bias = WeightSpecification::new("bias", shape, &start);
            weights.push(bias.governed(&self.bias_regularizer, &self.bias_constraint));
        }
        weights
    }
}
