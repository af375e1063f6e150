//! A long short-term memory over a sequence.
use sconce_kernels::activation::Activation;
use serde::Deserialize;
use serde_json::Value;

use super::{Inference, Signature, WeightSpecification, float, last_size, unify};
use crate::shape::{Dimension, ElementType, count, describe};

/// Options of an LSTM.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LstmOptions {
    /// Features of its output and states.
    pub units: usize,
    /// Activation of the candidate and the output.
    pub activation: String,
    /// Activation of the gates.
    pub recurrent_activation: String,
    /// Whether there is a bias.
    pub use_bias: bool,
    /// Whether the bias of the forget gate begins at 1.
    pub unit_forget_bias: bool,
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
}

impl LstmOptions {
    pub(super) fn check(&self) -> Result<(), String> {
        if self.units == 0 {
            return Err("units must be at least 1, got 0".to_owned());
        }
        for name in [&self.activation, &self.recurrent_activation] {
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

    pub(super) fn infer(&self, inputs: &[Signature]) -> Result<Inference, String> {
        let (x, states) = match inputs {
            [x] => (x, &inputs[1..]),
            [x, _, _] => (x, &inputs[1..]),
            _ => return Err(format!("expected a sequence, or a sequence and 2 states, got {} inputs", inputs.len())),
        };
        float(x, "its input")?;
        let [batch, steps, _] = x.shape.as_slice() else {
            return Err(format!("expected a sequence of shape [batch, time, features], got {}", describe(&x.shape)));
        };
        let features = last_size(x)?;
        count(&[self.units, 4, features.max(self.units)]).map_err(|error| error.message)?;
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
        let state = Signature { shape: vec![batch.clone(), units.clone()], dtype: ElementType::Float32, masked: false };
        let mut outputs = vec![state.clone()];
        if self.return_sequences {
            outputs[0].shape = vec![batch.clone(), steps.clone(), units];
            outputs[0].masked = x.masked;
        }
        if self.return_state {
            outputs.extend([state.clone(), state]);
        }
        let gates = 4 * self.units;
        let kernel = WeightSpecification::new("kernel", vec![features, gates], &self.kernel_initializer);
        let recurrent =
            WeightSpecification::new("recurrentKernel", vec![self.units, gates], &self.recurrent_initializer);
        let mut weights = vec![
            kernel.governed(&self.kernel_regularizer, &self.kernel_constraint),
            recurrent.governed(&self.recurrent_regularizer, &self.recurrent_constraint),
        ];
        if self.use_bias {
            let mut start = self.bias_initializer.clone();
            if self.unit_forget_bias {
                start = serde_json::json!({ "type": "forgetBias", "of": start });
            }
            let bias = WeightSpecification::new("bias", vec![gates], &start);
            weights.push(bias.governed(&self.bias_regularizer, &self.bias_constraint));
        }
        Ok(Inference { outputs, weights, equal })
    }
}
