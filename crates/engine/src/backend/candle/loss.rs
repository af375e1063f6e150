//! Losses and metrics, with the gradient of what goes into them. R rows, V classes.
use ::candle_core::{D, Tensor as Array};
use sconce_kernels::buffer::Buffer;

use super::{
    Run,
    forward::{flat, softmax},
};
use crate::{
    backend::{
        LossInput, LossResult, TargetData,
        checks::check_targets,
        metrics::{MetricInputs, RowResults, first_largest},
        row_weights,
    },
    error::Result,
    plan::{LossPlan, LossTarget},
};

/// Keras' `epsilon()`.
const LOWEST: f64 = 1e-7;
const HIGHEST: f64 = 1.0 - 1e-7;

/// Losses of rows, `[R, 1]`, and the gradient of each, `[R, V]`.
type Rows = (Array, Array);

/// Of logits.
fn logits(x: &Array, y: &Array) -> Result<Rows> {
    let shifted = x.broadcast_sub(&x.max_keepdim(D::Minus1)?)?;
    let log_sum = shifted.exp()?.sum_keepdim(D::Minus1)?.log()?;
    let loss = (y * log_sum.broadcast_sub(&shifted)?)?.sum_keepdim(D::Minus1)?;
    let gradient = (softmax(x)?.broadcast_mul(&y.sum_keepdim(D::Minus1)?)? - y)?;
    Ok((loss, gradient))
}

/// Of probabilities, which are divided by their sum and clipped.
fn probabilities(p: &Array, y: &Array) -> Result<Rows> {
    let sum = p.sum_keepdim(D::Minus1)?;
    let q = p.broadcast_div(&sum)?;
    let loss = (y * q.clamp(LOWEST, HIGHEST)?.log()?)?.sum_keepdim(D::Minus1)?.neg()?;
    let unclipped = (q.ge(LOWEST)?.to_dtype(p.dtype())? * q.le(HIGHEST)?.to_dtype(p.dtype())?)?;
    let seen = (y * unclipped)?;
    let pulled = (&seen / q.clamp(LOWEST, HIGHEST)?)?;
    let gradient = pulled.broadcast_sub(&seen.sum_keepdim(D::Minus1)?)?.neg()?.broadcast_div(&sum)?;
    Ok((loss, gradient))
}

impl Run<'_> {
    /// Computes a loss and its metrics; with a factor for gradients, also the gradient of what goes into it.
    pub(super) fn loss(&mut self, loss: &LossPlan, input: &LossInput, scale: Option<f32>) -> Result<LossResult> {
        let output = self.plan.outputs[loss.output];
        let x = match loss.target {
            LossTarget::Linear(node) => self.linear(&self.plan.nodes[node])?,
            LossTarget::Logits(value) | LossTarget::Probabilities(value) => self.floats(value)?.clone(),
        };
        let shape = x.dims().to_vec();
        let x = flat(&x)?;
        let (rows, classes) = x.dims2()?;
        let batch = shape.first().copied().unwrap_or(0);
        let mask = self.mask(output);
        let weights = row_weights(loss, input, mask.as_ref().map(|mask| mask.as_slice()), rows);
        check_targets(self.plan.value_layer(output), input, &weights.valid, batch, classes)?;
        let y = self.targets(loss, input, &weights.valid, classes)?;
        let (row_loss, gradient) = match loss.target {
            LossTarget::Linear(_) | LossTarget::Logits(_) => logits(&x, &y)?,
            LossTarget::Probabilities(_) => probabilities(&x, &y)?,
        };
        if let (Some(scale), Some(options)) = (scale, loss.loss) {
            let factors: Vec<f32> = weights.loss.iter().map(|weight| weight * scale * options.weight).collect();
            let gradient = gradient.broadcast_mul(&self.upload(&factors, &[rows, 1])?)?.reshape(shape)?;
            match loss.target {
                LossTarget::Linear(node) => self.linear_backward(&self.plan.nodes[node], &gradient)?,
                LossTarget::Logits(value) | LossTarget::Probabilities(value) => self.add_gradient(value, gradient)?,
            }
        }
        let exact = Self::download_double(&row_loss)?;
        let found = Self::rows(&x, &exact, &weights.valid)?;
        let counted = exact.iter().zip(&weights.loss).filter(|(_, weight)| loss.loss.is_some() && **weight != 0.0);
        let total = counted.map(|(&loss, &weight)| loss * f64::from(weight)).sum();
        let output = loss.value.map(|value| Self::download(self.floats(value)?)).transpose()?;
        let looked_at =
            MetricInputs { input, weights: &weights, found: &found, output: output.as_deref(), batch, classes };
        let metrics = loss.metrics.iter().map(|&metric| looked_at.metric(metric)).collect::<Result<Vec<_>>>()?;
        Ok(LossResult { loss: total, metrics, valid: weights.count })
    }

    /// Smoothed targets of all rows, `[R, V]`; zeros in rows that do not count.
    fn targets(&self, loss: &LossPlan, input: &LossInput, valid: &[bool], classes: usize) -> Result<Array> {
        let smoothing = loss.loss.map_or(0.0, |loss| loss.label_smoothing);
        let mut y = vec![0.0; valid.len() * classes];
        for (row, y) in y.chunks_exact_mut(classes.max(1)).enumerate().filter(|(row, _)| valid[*row]) {
            match &input.target {
                TargetData::Ids(ids) => {
                    // Ids of rows that count were checked.
                    if let Some(target) = usize::try_from(ids[row]).ok().and_then(|id| y.get_mut(id)) {
                        *target = 1.0;
                    }
                }
                TargetData::Probabilities(values) => y.copy_from_slice(&values[row * classes..][..classes]),
            }
            y.iter_mut().for_each(|y| *y = *y * (1.0 - smoothing) + smoothing / classes as f32);
        }
        self.upload(&y, &[valid.len(), classes])
    }

    /// Losses and predictions on the host; 0 where a row does not count.
    fn rows(x: &Array, row_loss: &[f64], valid: &[bool]) -> Result<RowResults> {
        let x = Self::download(x)?;
        let classes = x.len().checked_div(valid.len()).unwrap_or(0);
        let mut found = RowResults { loss: Buffer::zeros(valid.len()), prediction: vec![0; valid.len()] };
        for (row, _) in valid.iter().enumerate().filter(|(_, valid)| **valid) {
            found.prediction[row] = first_largest(&x[row * classes..][..classes]) as u32;
            found.loss[row] = row_loss[row] as f32;
        }
        Ok(found)
    }
}
