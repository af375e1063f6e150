//! What a caller asks of a search.
use serde::Deserialize;

use super::beams::BeamOptions;
use crate::error::{Code, Error, Result};

/// How tokens go into the decoder.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Feed {
    /// As ids.
    #[default]
    Ids,
    /// As vectors with a single 1.
    OneHot,
}

/// What to generate.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GenerationRequest {
    /// Which input of the model takes the tokens.
    pub decoder_input: usize,
    /// Which output gives the probabilities.
    pub output: usize,
    /// The first token.
    pub begin_id: i32,
    /// Tokens that end a sentence.
    pub end_id: Vec<i32>,
    /// What fills rows behind their end; never generated. Negative: nothing is excluded.
    pub pad_id: i32,
    /// Tokens that a row has at most.
    pub max_new_tokens: usize,
    /// How tokens go in.
    pub feed: Feed,
    /// Run the whole graph on all tokens so far at each step: slow, for comparison.
    #[serde(default)]
    pub recompute: bool,
    /// Tokens that each row has behind the first before any is generated, no part of the result; empty: none. For a model
    /// of the decoder's input alone they say how many rows there are.
    #[serde(default)]
    pub prompts: Vec<Vec<i32>>,
    /// What each row was made from, for [`ProcessorOptions::encoder_no_repeat_ngram_size`]; empty: unknown.
    #[serde(default)]
    pub sources: Vec<Vec<i32>>,
    /// The stream of random numbers of each row; empty: the number of the row.
    #[serde(default)]
    pub streams: Vec<u32>,
    /// What changes the scores of tokens before one is chosen.
    #[serde(default)]
    pub processors: ProcessorOptions,
    /// How tokens are chosen.
    #[serde(default)]
    pub search: SearchOptions,
    /// Other models that choose tokens together with the first; `None`: there is one.
    #[serde(default)]
    pub ensemble: Option<EnsembleOptions>,
}

/// How a model is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Reading {
    /// Which input of the model takes the tokens.
    pub decoder_input: usize,
    /// Which output gives the probabilities.
    pub output: usize,
    /// How tokens go in.
    pub feed: Feed,
}

/// What is taken of the probabilities of several models.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Mean {
    /// Their mean.
    #[default]
    Arithmetic,
    /// The mean of their logarithms, brought to sum 1.
    Geometric,
}

/// How several models choose tokens together.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EnsembleOptions {
    /// The models behind the first.
    pub others: Vec<Reading>,
    /// The weight of each model in the mean, the first included; only their ratios count. Empty: all the same.
    #[serde(default)]
    pub weights: Vec<f64>,
    /// Which mean.
    #[serde(default)]
    pub mean: Mean,
}

/// What changes the scores of tokens, as in Hugging Face's `generate`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ProcessorOptions {
    /// Scores of tokens that a row has are divided by it, if they are positive, else multiplied; 0: none.
    pub repetition_penalty: f32,
    /// No sequence of so many tokens comes twice; 0: none.
    pub no_repeat_ngram_size: usize,
    /// No sequence of so many tokens of the source comes; 0: none.
    pub encoder_no_repeat_ngram_size: usize,
    /// Sequences of tokens that are not generated.
    pub bad_words_ids: Vec<Vec<i32>>,
    /// No row ends before.
    pub min_new_tokens: usize,
    /// The only token behind the first.
    pub forced_bos_token_id: Option<i32>,
    /// The only tokens at the last place.
    pub forced_eos_token_id: Vec<i32>,
    /// Tokens that are never generated.
    pub suppress_tokens: Vec<i32>,
}

/// When beam search ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "serde_json::Value")]
pub enum EarlyStopping {
    /// When no running beam is better than the worst finished one, taken at its present length.
    #[default]
    Heuristic,
    /// As soon as there are as many finished sequences as beams.
    Full,
    /// When no running beam can become better than the worst finished one.
    Never,
}

impl TryFrom<serde_json::Value> for EarlyStopping {
    type Error = String;

    fn try_from(value: serde_json::Value) -> std::result::Result<Self, String> {
        match value {
            serde_json::Value::Bool(true) => Ok(Self::Full),
            serde_json::Value::Bool(false) => Ok(Self::Heuristic),
            serde_json::Value::String(name) if name == "never" => Ok(Self::Never),
            other => Err(format!("earlyStopping must be true, false or \"never\", got {other}")),
        }
    }
}

/// How tokens are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Sampling {
    /// Names the random numbers.
    pub seed: u64,
    /// What scores are divided by.
    pub temperature: f32,
    /// Only so many of the best tokens are left; 0: all.
    pub top_k: usize,
    /// Only the best tokens that have this probability together are left; 1: all.
    pub top_p: f32,
    /// Only tokens with this share of the probability of the best one are left; 0: all.
    pub min_p: f32,
    /// Only the tokens whose information is nearest to the mean, with this probability together, are left; 1: all.
    pub typical_p: f32,
}

impl Default for Sampling {
    fn default() -> Self {
        Self { seed: 0, temperature: 1.0, top_k: 0, top_p: 1.0, min_p: 0.0, typical_p: 1.0 }
    }
}

/// How tokens are chosen.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct SearchOptions {
    /// Sequences that are gone on with at each step; 1: no beam search.
    pub num_beams: usize,
    /// Power of the length that sums of log-probabilities are divided by.
    pub length_penalty: f64,
    /// When beam search ends.
    pub early_stopping: EarlyStopping,
    /// Sequences that come back of each row.
    pub num_return_sequences: usize,
    /// Whether these begin with the best tokens, each with another one, and go on with the best that follows each.
    pub return_alternatives: bool,
    /// Draw tokens; `None`: take the best.
    pub sampling: Option<Sampling>,
}

impl Default for SearchOptions {
    fn default() -> Self {
        Self {
            num_beams: 1,
            length_penalty: 1.0,
            early_stopping: EarlyStopping::default(),
            num_return_sequences: 1,
            return_alternatives: false,
            sampling: None,
        }
    }
}

impl SearchOptions {
    /// Searches that become of each row of a request when its first token is chosen.
    pub(super) fn branches(&self) -> usize {
        if self.return_alternatives { self.num_return_sequences } else { 1 }
    }

    /// Sequences that come back of each of them.
    pub(super) fn sequences(&self) -> usize {
        if self.return_alternatives { 1 } else { self.num_return_sequences }
    }

    /// Rows that each sentence has once tokens were chosen.
    pub(super) fn rows(&self) -> usize {
        if self.num_beams > 1 { self.num_beams } else { self.sequences() }
    }
}

impl GenerationRequest {
    /// What beam search of a sentence depends on.
    pub(super) fn beam_options(&self) -> BeamOptions {
        BeamOptions {
            beams: self.search.num_beams,
            length_penalty: self.search.length_penalty,
            early_stopping: self.search.early_stopping,
            max_new_tokens: self.max_new_tokens,
            ends: self.end_id.clone(),
        }
    }

    /// Checks what does not depend on the model.
    ///
    /// # Errors
    /// `Option` for numbers out of range and options that contradict each other.
    pub(super) fn check(&self) -> Result<()> {
        let refuse = |message: String| Err(Error::new(Code::Option, message));
        if self.max_new_tokens == 0 {
            return refuse("maxNewTokens must be at least 1, got 0".to_owned());
        }
        let SearchOptions { num_beams, num_return_sequences, sampling, return_alternatives, .. } = &self.search;
        if *return_alternatives && sampling.is_some() {
            return refuse("returnAlternatives goes on with the best tokens, but doSample draws them".to_owned());
        }
        if *num_beams == 0 || *num_return_sequences == 0 {
            return refuse("numBeams and numReturnSequences must be at least 1, got 0".to_owned());
        }
        if *num_beams > 1 && self.search.sequences() > *num_beams {
            return refuse(format!(
                "numReturnSequences must be at most numBeams ({num_beams}), got {num_return_sequences}"
            ));
        }
        if *num_beams == 1 && self.search.sequences() > 1 && sampling.is_none() {
            return refuse(format!(
                "numReturnSequences is {num_return_sequences}, but greedy search gives one: use numBeams or doSample"
            ));
        }
        if !self.search.length_penalty.is_finite() {
            return refuse("lengthPenalty must be a finite number".to_owned());
        }
        let penalty = self.processors.repetition_penalty;
        if !penalty.is_finite() || penalty < 0.0 {
            return refuse(format!("repetitionPenalty must be above 0, got {penalty}"));
        }
        if let Some(Sampling { temperature, top_p, min_p, typical_p, .. }) = sampling {
            let share = |value: f32| (0.0..=1.0).contains(&value);
            if !temperature.is_finite() || *temperature <= 0.0 {
                return refuse(format!("temperature must be above 0, got {temperature}"));
            }
            if !share(*top_p) || !share(*min_p) || !share(*typical_p) || *typical_p == 0.0 {
                return refuse("topP, minP and typicalP must be from 0 to 1, typicalP above 0".to_owned());
            }
        }
        if self.processors.bad_words_ids.iter().any(Vec::is_empty) {
            return refuse("badWordsIds: a sequence of no tokens".to_owned());
        }
        Ok(())
    }
}
