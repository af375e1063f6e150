//! What changes the scores of the next token before one is chosen: the logits processors and warpers of Hugging Face's
//! `generate`, in its order.
//!
//! # Source
//! `huggingface/transformers:src/transformers/generation/logits_process.py`, whose rules these follow (version 5.23).
mod allowed;
mod forced;
mod min_p;
mod ngrams;
mod repetition;
mod temperature;
#[cfg(test)]
mod tests;
mod top_k;
mod top_p;
mod typical;
mod words;

use std::fmt::Debug;

use super::request::{GenerationRequest, Sampling};

/// What a processor knows about a row.
#[derive(Clone, Copy, Debug)]
pub(super) struct History<'a> {
    /// The first token, those that were given, and those that were generated.
    pub tokens: &'a [i32],
    /// How many of them were not generated.
    pub given: usize,
    /// The row of the request.
    pub sentence: usize,
    /// The only tokens that may come, if someone said so.
    pub allowed: Option<&'a [i32]>,
    /// Whether these get score 0 if all of them were excluded before.
    pub is_forced: bool,
}

/// Changes scores of the next token.
pub(super) trait Processor: Debug + Send + Sync {
    /// `scores`: one for each token; minus infinity excludes it.
    fn process(&self, history: &History<'_>, scores: &mut [f32]);
}

/// Processors that act one after the other.
#[derive(Debug, Default)]
pub(super) struct Chain(Vec<Box<dyn Processor>>);

impl Chain {
    /// What a request wants done before tokens are chosen.
    pub fn processors(request: &GenerationRequest, constrained: bool) -> Self {
        let options = &request.processors;
        let ends = &request.end_id;
        let mut chain: Vec<Box<dyn Processor>> = Vec::new();
        if options.repetition_penalty != 0.0 && options.repetition_penalty != 1.0 {
            chain.push(Box::new(repetition::RepetitionPenalty(options.repetition_penalty)));
        }
        if options.no_repeat_ngram_size > 0 {
            chain.push(Box::new(ngrams::NoRepeat(options.no_repeat_ngram_size)));
        }
        if options.encoder_no_repeat_ngram_size > 0 {
            chain.push(Box::new(ngrams::EncoderNoRepeat::new(options.encoder_no_repeat_ngram_size, &request.sources)));
        }
        if !options.bad_words_ids.is_empty() {
            chain.push(Box::new(words::BadWords::new(&options.bad_words_ids, ends)));
        }
        if options.min_new_tokens > 0 && !ends.is_empty() {
            chain.push(Box::new(words::MinNewTokens { count: options.min_new_tokens, ends: ends.clone() }));
        }
        if constrained {
            chain.push(Box::new(allowed::Allowed));
        }
        if let Some(id) = options.forced_bos_token_id {
            chain.push(Box::new(forced::First(id)));
        }
        if !options.forced_eos_token_id.is_empty() {
            let ids = options.forced_eos_token_id.clone();
            chain.push(Box::new(forced::Last { new: request.max_new_tokens, ids }));
        }
        if !options.suppress_tokens.is_empty() {
            chain.push(Box::new(words::Suppress(options.suppress_tokens.clone())));
        }
        Self(chain)
    }

    /// What narrows the distribution that tokens are drawn from; at least `kept` tokens are left.
    pub fn warpers(sampling: &Sampling, kept: usize) -> Self {
        let mut chain: Vec<Box<dyn Processor>> = Vec::new();
        if sampling.temperature != 1.0 {
            chain.push(Box::new(temperature::Temperature(sampling.temperature)));
        }
        if sampling.top_k > 0 {
            chain.push(Box::new(top_k::TopK(sampling.top_k.max(kept))));
        }
        if sampling.top_p < 1.0 {
            chain.push(Box::new(top_p::TopP { share: sampling.top_p, kept }));
        }
        if sampling.min_p > 0.0 {
            chain.push(Box::new(min_p::MinP { share: sampling.min_p, kept }));
        }
        if sampling.typical_p < 1.0 {
            chain.push(Box::new(typical::Typical { mass: sampling.typical_p, kept }));
        }
        Self(chain)
    }

    /// Whether nothing is done.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Changes scores.
    pub fn process(&self, history: &History<'_>, scores: &mut [f32]) {
        self.0.iter().for_each(|processor| processor.process(history, scores));
    }
}

/// Excludes a token; ids that are none are passed over.
fn exclude(scores: &mut [f32], id: i32) {
    if let Some(score) = usize::try_from(id).ok().and_then(|id| scores.get_mut(id)) {
        *score = f32::NEG_INFINITY;
    }
}

/// Tokens that are not excluded.
fn left(scores: &[f32]) -> Vec<u32> {
    (0..scores.len() as u32).filter(|&id| scores[id as usize] > f32::NEG_INFINITY).collect()
}

/// Softmax of some tokens' scores, in their order.
fn probabilities(scores: &[f32], ids: &[u32]) -> Vec<f32> {
    let score = |id: &u32| scores[*id as usize];
    let largest = ids.iter().map(score).fold(f32::NEG_INFINITY, f32::max);
    let powers: Vec<f32> = ids.iter().map(|id| (score(id) - largest).exp()).collect();
    let sum = powers.iter().map(|&power| f64::from(power)).sum::<f64>() as f32;
    powers.into_iter().map(|power| power / sum).collect()
}
