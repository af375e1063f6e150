//! Generation as JavaScript sees it: whole calls, and searches that are gone on with step by step.
use std::sync::{Arc, Mutex, PoisonError};

use napi::{
    Env,
    bindgen_prelude::{ClassInstance, Int32Array, Object},
};
use napi_derive::napi;
use sconce_engine::{
    Code, Error,
    decode::{Generated, Generation, GenerationRequest, TargetScores},
    interrupt::{Flag, Interrupt},
    model::Model,
    tensor::Tensor,
};

use crate::{
    batch::{FloatVector, Integers},
    error::Result,
    layer::NativeCancel,
    settle::queue,
};

/// Generated ids.
#[napi(object, object_from_js = false)]
pub struct GenerateResult {
    /// `[N, maxLength]`, padded; N sequences, those of a row of the inputs one after the other, the best first.
    #[napi(ts_type = "Int32Array")]
    pub ids: Integers,
    /// `[N]`, the end included.
    #[napi(ts_type = "Int32Array")]
    pub lengths: Integers,
    /// `[N]`: what sequences are ranked by.
    #[napi(ts_type = "Float32Array")]
    pub scores: FloatVector,
    /// `[N, maxLength]`: of each token; 0 behind the end.
    #[napi(ts_type = "Float32Array")]
    pub log_probabilities: FloatVector,
    /// `[B]`: sequences of each row of the inputs.
    #[napi(ts_type = "Int32Array")]
    pub counts: Integers,
    /// Tokens of the longest sequence.
    pub max_length: u32,
}

impl From<Generated> for GenerateResult {
    fn from(result: Generated) -> Self {
        Self {
            ids: Integers(result.ids),
            lengths: Integers(result.lengths),
            scores: FloatVector(result.scores),
            log_probabilities: FloatVector(result.log_probabilities),
            counts: Integers(result.counts),
            max_length: result.length as u32,
        }
    }
}

/// What a model thinks of given tokens.
#[napi(object, object_from_js = false)]
pub struct TargetScoresResult {
    /// Their log-probabilities.
    #[napi(ts_type = "Float32Array")]
    pub log_probabilities: FloatVector,
    /// The most probable token in the place of each.
    #[napi(ts_type = "Int32Array")]
    pub best: Integers,
}

impl From<TargetScores> for TargetScoresResult {
    fn from(scores: TargetScores) -> Self {
        Self { log_probabilities: FloatVector(scores.log_probabilities), best: Integers(scores.best) }
    }
}

/// Where a search is.
#[napi(object, object_from_js = false)]
pub struct SearchStep {
    /// Tokens of the first row that will not change any more.
    #[napi(ts_type = "Int32Array")]
    pub stable: Integers,
    /// Of a search with constraints: rows of the inputs, one for each sequence that is gone on with.
    #[napi(ts_type = "Int32Array")]
    pub sentences: Integers,
    /// What these sequences have so far behind the first token.
    #[napi(ts_type = "Int32Array[]")]
    pub prefixes: Vec<Integers>,
    /// What was found, after the last step.
    pub result: Option<GenerateResult>,
}

/// What a search begins with.
struct Start {
    models: Vec<Arc<Model>>,
    request: GenerationRequest,
    inputs: Vec<Tensor>,
}

#[derive(Default)]
struct State {
    start: Option<Start>,
    generation: Option<Generation>,
}

/// A search that is gone on with step by step.
#[napi]
pub struct NativeSearch {
    state: Arc<Mutex<State>>,
    model: Arc<Model>,
    constrained: bool,
    cancelled: Flag,
}

impl NativeSearch {
    /// A search that has not begun, of one model or of several together.
    pub fn new(
        models: Vec<Arc<Model>>,
        request: GenerationRequest,
        inputs: Vec<Tensor>,
        constrained: bool,
        cancel: Option<ClassInstance<'_, NativeCancel>>,
    ) -> Self {
        let model = Arc::clone(&models[0]);
        let start = Start { models, request, inputs };
        Self {
            state: Arc::new(Mutex::new(State { start: Some(start), generation: None })),
            model,
            constrained,
            cancelled: cancel.map_or_else(Flag::default, |cancel| cancel.flag.clone()),
        }
    }
}

#[napi]
impl NativeSearch {
    /// Goes on by so many tokens, or to the end; `allowed`: the tokens that may follow each of the prefixes of the step before.
    #[napi(catch_unwind, ts_return_type = "Promise<SearchStep>")]
    pub fn step<'env>(&self, env: &'env Env, tokens: u32, allowed: Vec<Int32Array>) -> Result<Object<'env>> {
        let state = Arc::clone(&self.state);
        let family = Arc::clone(&self.model);
        let constrained = self.constrained;
        let interrupt = Interrupt { cancelled: self.cancelled.clone(), disposed: self.model.disposed.clone() };
        let allowed: Vec<Vec<i32>> = allowed.iter().map(|ids| ids.to_vec()).collect();
        let mut left = tokens;
        queue(
            env,
            move || family.family(),
            move || {
                let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
                interrupt.check()?;
                if let Some(Start { models, request, inputs }) = state.start.take() {
                    let made = Generation::together(&models, request, inputs, interrupt.clone(), constrained)?;
                    state.generation = Some(made);
                }
                let Some(generation) = &mut state.generation else {
                    return Err(Error::new(Code::State, "a search that failed cannot go on"));
                };
                let result = match left {
                    0 => None,
                    _ => match generation.advance_within(&allowed) {
                        Ok(result) => result,
                        Err(error) => {
                            state.generation = None;
                            return Err(error);
                        }
                    },
                };
                left = left.saturating_sub(1);
                if result.is_none() && left > 0 {
                    return Ok(None);
                }
                let prefixes = if constrained { generation.prefixes() } else { Vec::new() };
                Ok(Some(SearchStep {
                    stable: Integers(generation.stable(0)),
                    sentences: Integers(prefixes.iter().map(|&(sentence, _)| sentence as i32).collect()),
                    prefixes: prefixes.into_iter().map(|(_, tokens)| Integers(tokens.to_vec())).collect(),
                    result: result.map(GenerateResult::from),
                }))
            },
        )
    }
}
