//! Log-probabilities of sequences that are given.
use std::sync::Arc;

use sconce_kernels::{Context, rows::for_rows};

use super::{
    candidates::{log_sum_exp, top},
    ensemble::Ensemble,
    request::GenerationRequest,
};
use crate::{
    error::{Code, Error, Result},
    interrupt::Interrupt,
    model::Model,
    tensor::Tensor,
};

/// Steps that targets are padded to at least: attention of fewer queries takes another way, which rounds otherwise. Where a decoder
/// does not mask padding, scores would depend on what they are computed with.
const SHORTEST: usize = 5;

/// What a model thinks of sequences.
#[derive(Clone, Debug, PartialEq)]
pub struct TargetScores {
    /// The log-probabilities of all tokens, row after row.
    pub log_probabilities: Vec<f32>,
    /// For each of them the most probable token in its place, the lowest id of equals.
    pub best: Vec<i32>,
}

/// Log-probabilities of the tokens of each row, each after those before it, by one run of the whole graph of each model. `inputs`
/// are those of the models but the decoders', model after model; `interrupt` is that of the first. Of the request only what says how the model is read is looked at.
///
/// # Errors
/// `Graph`, `Shape`, `Option`; `Data` if a token is none of the model's, or there is nothing to score.
pub fn target_scores(
    models: &[Arc<Model>],
    request: &GenerationRequest,
    inputs: Vec<Tensor>,
    targets: &[Vec<i32>],
    interrupt: Interrupt,
) -> Result<TargetScores> {
    let longest = targets.iter().map(Vec::len).max().unwrap_or(0);
    if longest == 0 {
        return Ok(TargetScores { log_probabilities: Vec::new(), best: Vec::new() });
    }
    let longest = longest.max(SHORTEST);
    // The last token is not read, what fills a row is not looked at.
    let rows: Vec<Vec<i32>> = targets
        .iter()
        .map(|target| {
            let read = &target[..target.len().saturating_sub(1)];
            let mut row = vec![request.begin_id];
            row.extend_from_slice(read);
            row.resize(longest, request.pad_id.max(0));
            row
        })
        .collect();
    let rows: Vec<&[i32]> = rows.iter().map(Vec::as_slice).collect();
    let request = GenerationRequest { recompute: true, ..request.clone() };
    let mut ensemble = Ensemble::new(models, &request, inputs, &rows, &interrupt)?;
    let classes = ensemble.classes;
    let known = |id: i32| usize::try_from(id).is_ok_and(|id| id < classes);
    if let Some(id) = targets.iter().flatten().find(|&&id| !known(id)) {
        return Err(Error::new(Code::Data, format!("score: token {id} is not within 0..{classes}")));
    }
    let scores = ensemble.scores(&rows)?;
    let scores = scores.floats()?;
    let mut works: Vec<(usize, f32, i32)> = Vec::new();
    for (row, target) in targets.iter().enumerate() {
        let place = |(step, &id): (usize, &i32)| ((row * longest + step) * classes + id as usize, 0.0, 0);
        works.extend(target.iter().enumerate().map(place));
    }
    for_rows(Context::global(), &mut works, 1, classes, |_, works| {
        for (place, log_probability, best) in works {
            let own = &scores[*place / classes * classes..][..classes];
            *log_probability = (f64::from(scores[*place]) - log_sum_exp(own)) as f32;
            *best = top(own, 1, None).first().map_or(0, |&(_, id)| id as i32);
        }
    });
    let (log_probabilities, best) = works.into_iter().map(|(_, probability, best)| (probability, best)).unzip();
    Ok(TargetScores { log_probabilities, best })
}
