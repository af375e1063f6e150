//! A recurrent layer that attends over the steps of another sequence.
use serde::Deserialize;
use serde_json::Value;

use super::{Cell, Inference, Signature, WeightSpecification, float, last_size, unify};
use crate::shape::{Dimension, ElementType, count, describe};

/// How the steps of the other sequence are scored, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum AttentionForm {
    /// Luong: the inner product with the output of the cell.
    Dot,
    /// Luong: the same with projected steps.
    General,
    /// Luong: a layer with one hidden layer.
    Concat,
    /// Bahdanau: the same, before the cell.
    Bahdanau,
}

impl AttentionForm {
    /// Whether scores come from a layer with one hidden layer.
    #[must_use]
    pub fn additive(self) -> bool {
        matches!(self, Self::Concat | Self::Bahdanau)
    }

    /// Whether a step attends after the cell.
    #[must_use]
    pub fn after(self) -> bool {
        self != Self::Bahdanau
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
enum CellName {
    Lstm,
    Gru,
}

/// Options of `attentionRnn`.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AttentionRnnOptions {
    cell: CellName,
    /// Features of its output and states.
    pub units: usize,
    /// Cells, each above the one before: the first is fed the output, the last attends.
    #[serde(default = "one")]
    pub layers: usize,
    /// The form of the attention.
    pub attention: AttentionForm,
    /// Hidden features of additive scores; other forms have none.
    #[serde(default)]
    pub attention_units: Option<usize>,
    /// Whether the output before goes into the cell; not of `bahdanau`.
    pub input_feeding: bool,
    /// Whether the cell has a bias.
    pub use_bias: bool,
    /// Share of what goes into the cell, what is fed to it too, that becomes 0 in training, for all steps alike.
    #[serde(default)]
    pub dropout: f32,
    /// Share of the outputs of the cell that go into the next step that becomes 0 in training, for all steps alike.
    #[serde(default)]
    pub recurrent_dropout: f32,
    /// Whether the bias of the forget gate begins at 1, of an LSTM only.
    #[serde(default)]
    pub unit_forget_bias: Option<bool>,
    /// Whether the reset gate comes after the product, of a GRU only.
    #[serde(default)]
    pub reset_after: Option<bool>,
    /// How the kernels begin.
    pub kernel_initializer: Value,
    /// How the recurrent kernel begins.
    pub recurrent_initializer: Value,
    /// How the bias begins.
    pub bias_initializer: Value,
    /// The penalty of the kernels.
    #[serde(default)]
    pub kernel_regularizer: Value,
    /// What the kernels are brought back to after each step.
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
    /// Whether the output has all steps.
    pub return_sequences: bool,
    /// Whether the states are outputs too.
    pub return_state: bool,
    /// Whether the weights of the other sequence's steps are an output too.
    pub return_attention_scores: bool,
}

/// Most cells above one another.
const MAXIMUM_LAYERS: usize = 64;

fn one() -> usize {
    1
}

impl AttentionRnnOptions {
    pub(super) fn check(&self) -> std::result::Result<(), String> {
        let lstm = self.cell == CellName::Lstm;
        let own = [
            ("attentionUnits", self.attention_units.is_some(), self.attention.additive()),
            ("unitForgetBias", self.unit_forget_bias.is_some(), lstm),
            ("resetAfter", self.reset_after.is_some(), !lstm),
        ];
        for (name, given, known) in own {
            if given != known {
                return Err(format!("{} field `{name}`", if known { "missing" } else { "unknown" }));
            }
        }
        for (name, size) in [("units", Some(self.units)), ("attentionUnits", self.attention_units)] {
            if size == Some(0) {
                return Err(format!("{name} must be at least 1, got 0"));
            }
        }
        if !(1..=MAXIMUM_LAYERS).contains(&self.layers) {
            return Err(format!("layers must be from 1 to {MAXIMUM_LAYERS}, got {}", self.layers));
        }
        if self.layers > 1 && !self.input_feeding {
            return Err("layers above 1 need inputFeeding: stack other layers on it instead".to_owned());
        }
        for (name, rate) in [("dropout", self.dropout), ("recurrentDropout", self.recurrent_dropout)] {
            if !(0.0..1.0).contains(&rate) {
                return Err(format!("{name} must be at least 0 and below 1, got {rate}"));
            }
        }
        if self.input_feeding && !self.attention.after() {
            return Err("inputFeeding is no option of bahdanau, whose cell is fed the context".to_owned());
        }
        Ok(())
    }

    /// What a step computes besides the attention.
    #[must_use]
    pub fn cell(&self) -> Cell {
        match self.cell {
            CellName::Lstm => Cell::Lstm,
            CellName::Gru => Cell::Gru { reset_after: self.reset_after.unwrap_or(true) },
        }
    }

    /// States from step to step: those of the cells, and the output if it is fed to the next step.
    #[must_use]
    pub fn states(&self) -> usize {
        self.cell_states() + usize::from(self.input_feeding)
    }

    /// States of all cells.
    fn cell_states(&self) -> usize {
        self.layers * self.cell().states()
    }

    /// Features of the keys, if they are a projection of the memory.
    #[must_use]
    pub fn key_width(&self) -> Option<usize> {
        match self.attention {
            AttentionForm::Dot => None,
            AttentionForm::General => Some(self.units),
            AttentionForm::Concat | AttentionForm::Bahdanau => self.attention_units,
        }
    }

    /// Weights before that of the keys, which is the last.
    #[must_use]
    pub fn first_key_weight(&self) -> usize {
        self.layers * (2 + usize::from(self.use_bias))
            + if self.attention.additive() { 2 } else { 0 }
            + usize::from(self.attention.after())
    }

    pub(super) fn infer(&self, inputs: &[Signature]) -> std::result::Result<Inference, String> {
        let [x, memory, states @ ..] = inputs else {
            return Err(format!("expected a sequence and a memory to attend over, got {} inputs", inputs.len()));
        };
        let cell_states = self.cell_states();
        if ![0, cell_states, self.states()].contains(&states.len()) {
            let or = if self.input_feeding { format!(" or {}", self.states()) } else { String::new() };
            return Err(format!("expected no initial states or {cell_states}{or}, got {}", states.len()));
        }
        for (name, sequence) in [("its input", x), ("its memory", memory)] {
            float(sequence, name)?;
            if sequence.shape.len() != 3 {
                return Err(format!(
                    "expected {name} to be a sequence of shape [batch, time, features], got {}",
                    describe(&sequence.shape)
                ));
            }
        }
        let mut equal = Vec::new();
        if !unify(&x.shape[0], &memory.shape[0], &mut equal) {
            return Err(format!(
                "expected input and memory to have one batch, got {} and {}",
                describe(&x.shape),
                describe(&memory.shape)
            ));
        }
        let (features, width) = (last_size(x)?, last_size(memory)?);
        if self.attention == AttentionForm::Dot && width != self.units {
            return Err(format!(
                "attention \"dot\" needs a memory with the {} features of the units, got {width}: use \"general\"",
                self.units
            ));
        }
        let units = Dimension::Size(self.units);
        let state = vec![x.shape[0].clone(), units.clone()];
        for given in states {
            float(given, "its initial states")?;
            let fits = matches!(given.shape.as_slice(), [rows, width]
                if *width == units && unify(&state[0], rows, &mut equal));
            if !fits {
                return Err(format!(
                    "expected initial states of shape {}, got {}",
                    describe(&state),
                    describe(&given.shape)
                ));
            }
        }
        let of = |shape: Vec<Dimension>, masked: bool| Signature { shape, dtype: ElementType::Float32, masked };
        let mut outputs = vec![if self.return_sequences {
            of(vec![x.shape[0].clone(), x.shape[1].clone(), units], x.masked)
        } else {
            of(state.clone(), false)
        }];
        outputs.extend(std::iter::repeat_n(of(state, false), if self.return_state { self.states() } else { 0 }));
        if self.return_attention_scores {
            outputs.push(of(vec![x.shape[0].clone(), x.shape[1].clone(), memory.shape[1].clone()], false));
        }
        Ok(Inference { outputs, weights: self.weights(features, width)?, equal })
    }

    fn weights(&self, features: usize, memory: usize) -> std::result::Result<Vec<WeightSpecification>, String> {
        let (units, gates) = (self.units, self.cell().gates() * self.units);
        let fed = match (self.attention.after(), self.input_feeding) {
            (false, _) => memory,
            (true, true) => units,
            (true, false) => 0,
        };
        count(&[gates, features + fed + units + memory, self.attention_units.unwrap_or(1)])
            .map_err(|error| error.message)?;
        let kernel = |name: &str, shape: Vec<usize>| {
            WeightSpecification::new(name, shape, &self.kernel_initializer)
                .governed(&self.kernel_regularizer, &self.kernel_constraint)
        };
        let mut weights = Vec::new();
        for layer in 1..=self.layers {
            // Those of the first cell have the names of a layer with one.
            let (prefix, features) =
                if layer == 1 { (String::new(), features + fed) } else { (format!("cell{layer}/"), units) };
            weights.push(kernel(&format!("{prefix}kernel"), vec![features, gates]));
            let name = format!("{prefix}recurrentKernel");
            let recurrent = WeightSpecification::new(&name, vec![units, gates], &self.recurrent_initializer);
            weights.push(recurrent.governed(&self.recurrent_regularizer, &self.recurrent_constraint));
            if self.use_bias {
                let mut start = self.bias_initializer.clone();
                if self.unit_forget_bias == Some(true) {
                    start = serde_json::json!({ "type": "forgetBias", "of": start });
                }
                let shape = if self.reset_after == Some(true) { vec![2, gates] } else { vec![gates] };
                let bias = WeightSpecification::new(&format!("{prefix}bias"), shape, &start);
                weights.push(bias.governed(&self.bias_regularizer, &self.bias_constraint));
            }
        }
        if let Some(hidden) = self.attention_units {
            weights.push(kernel("query/kernel", vec![units, hidden]));
            weights.push(kernel("scale", vec![hidden]));
        }
        if self.attention.after() {
            weights.push(kernel("combine/kernel", vec![memory + units, units]));
        }
        if let Some(width) = self.key_width() {
            weights.push(kernel("key/kernel", vec![memory, width]));
        }
        Ok(weights)
    }
}
