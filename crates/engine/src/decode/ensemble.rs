//! Decoders of several models that choose tokens together: the search sees one distribution.
use std::sync::Arc;

use sconce_kernels::{Context, buffer::Buffer, mixture, rows::for_rows};

use super::{
    candidates::log_sum_exp,
    request::{EnsembleOptions, GenerationRequest, Mean, Reading},
    stepper::Stepper,
};
use crate::{
    error::{Code, Error, Result},
    interrupt::Interrupt,
    model::Model,
    tensor::Tensor,
};

/// The decoder of one model, or those of several that have the same tokens.
#[derive(Debug)]
pub(super) struct Ensemble {
    steppers: Vec<Stepper>,
    mean: Mean,
    /// The share of each in the mean; they sum to 1.
    shares: Vec<f64>,
    /// Scores that a step gives for each row.
    pub classes: usize,
    /// Whether rows may be exchanged.
    pub movable: bool,
}

impl Ensemble {
    /// Prepares the steps for `rows` of tokens. `inputs` are those of the models but the decoders', in order, model after model;
    /// `interrupt` is that of the first model.
    ///
    /// # Errors
    /// `Graph` if a decoder is not causal; `Shape` if the models have not the same tokens; `Shape` or `Option`.
    pub fn new(
        models: &[Arc<Model>],
        request: &GenerationRequest,
        inputs: Vec<Tensor>,
        rows: &[&[i32]],
        interrupt: &Interrupt,
    ) -> Result<Self> {
        let alone = EnsembleOptions::default();
        let EnsembleOptions { others, weights, mean } = request.ensemble.as_ref().unwrap_or(&alone);
        let shares = shares(models.len(), others.len() + 1, weights)?;
        let GenerationRequest { decoder_input, output, feed, recompute, max_new_tokens, .. } = *request;
        let most = rows.len().saturating_mul(request.search.rows() * request.search.branches());
        let longest = request.prompts.iter().map(Vec::len).max().unwrap_or(0);
        let first = Reading { decoder_input, output, feed };
        let mut steppers = Vec::with_capacity(models.len());
        let mut inputs = inputs.into_iter();
        for (number, (model, reading)) in models.iter().zip(std::iter::once(&first).chain(others)).enumerate() {
            let Reading { decoder_input, output, feed } = *reading;
            let own = GenerationRequest { decoder_input, output, feed, recompute, ..GenerationRequest::default() };
            let count = if models.len() == 1 { inputs.len() } else { model.plan.inputs.len().saturating_sub(1) };
            let disposed = if number == 0 { interrupt.disposed.clone() } else { model.disposed.clone() };
            let interrupt = Interrupt { cancelled: interrupt.cancelled.clone(), disposed };
            steppers.push(Stepper::new(
                Arc::clone(model),
                &own,
                inputs.by_ref().take(count).collect(),
                rows,
                [most, longest.saturating_add(max_new_tokens)],
                interrupt,
            )?);
        }
        let classes = steppers.first().map_or(0, |stepper| stepper.classes);
        if let Some(other) = steppers.iter().find(|stepper| stepper.classes != classes) {
            return Err(Error::new(
                Code::Shape,
                format!("generate: the models of an ensemble have {classes} and {} tokens", other.classes),
            ));
        }
        let movable = steppers.iter().all(|stepper| stepper.movable);
        Ok(Self { steppers, mean: *mean, shares, classes, movable })
    }

    /// Scores of the token behind each row, `[rows, steps, classes]`, of which the last step counts: those of the model, or
    /// logarithms of the mean of probabilities. The tokens of `rows` that were there at the step before are not read again.
    ///
    /// # Errors
    /// `Data`, `State` or `Cancelled`.
    pub fn scores(&mut self, rows: &[&[i32]]) -> Result<Tensor> {
        let mut all = self.steppers.iter_mut().map(|stepper| stepper.scores(rows)).collect::<Result<Vec<_>>>()?;
        if let [_, _, ..] = all.as_slice() {
            return self.together(&all);
        }
        all.pop().ok_or_else(|| Error::new(Code::Internal, "a step of no models"))
    }

    fn together(&self, all: &[Tensor]) -> Result<Tensor> {
        let shape = all[0].shape.clone();
        if all.iter().any(|scores| scores.shape != shape) {
            return Err(Error::new(Code::Internal, "the steps of an ensemble have not the same sizes"));
        }
        let scores = all.iter().map(Tensor::floats).collect::<Result<Vec<_>>>()?;
        let mut mean = Buffer::new(scores[0].len());
        let classes = self.classes.max(1);
        for_rows(Context::global(), &mut mean, classes, classes * all.len(), |first, mean| {
            for (row, mean) in (first..).zip(mean.chunks_exact_mut(classes)) {
                self.mean_of(scores.iter().map(|scores| &scores[row * classes..][..classes]), mean);
            }
        });
        Ok(Tensor::float(shape, mean))
    }

    /// One row of the mean.
    fn mean_of<'a>(&self, rows: impl Iterator<Item = &'a [f32]>, mean: &mut [f32]) {
        for (number, (row, &share)) in rows.zip(&self.shares).enumerate() {
            let total = log_sum_exp(row);
            if !total.is_finite() {
                // What is no distribution makes none with others.
                return mean.fill(f32::NAN);
            }
            match self.mean {
                Mean::Arithmetic => {
                    let shift = (share.ln() - total) as f32;
                    match number {
                        0 => mean.iter_mut().zip(row).for_each(|(mean, score)| *mean = score + shift),
                        _ => mixture::add(Context::global(), mean, row, shift),
                    }
                }
                Mean::Geometric => {
                    let (share, total) = (share as f32, total as f32);
                    let parts = row.iter().map(|score| share * (score - total));
                    match number {
                        0 => mean.iter_mut().zip(parts).for_each(|(mean, part)| *mean = part),
                        _ => mean.iter_mut().zip(parts).for_each(|(mean, part)| *mean += part),
                    }
                }
            }
        }
    }

    /// Takes row `rows[n]` in the place of row `n`. `sentences` are those that the rows belong to, if they are not those of before.
    pub fn select(&mut self, rows: &[usize], sentences: Option<&[usize]>) {
        self.steppers.iter_mut().for_each(|stepper| stepper.select(rows, sentences));
    }
}

/// The share of each model.
fn shares(models: usize, read: usize, weights: &[f64]) -> Result<Vec<f64>> {
    let refuse = |message: String| Err(Error::new(Code::Option, format!("ensemble: {message}")));
    if models != read {
        return refuse(format!("{models} models, of which {read} are described"));
    }
    if weights.is_empty() {
        return Ok(vec![1.0 / models as f64; models]);
    }
    if weights.len() != models || weights.iter().any(|&weight| !weight.is_finite() || weight <= 0.0) {
        return refuse(format!("weights must be {models} numbers above 0, got {weights:?}"));
    }
    let largest = weights.iter().copied().fold(0.0, f64::max);
    let sum: f64 = weights.iter().map(|weight| weight / largest).sum();
    Ok(weights.iter().map(|weight| weight / largest / sum).collect())
}
