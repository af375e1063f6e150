//! Losses and metrics, with the gradient of what goes into them. R rows, V classes.
use ::candle_core::{D, Tensor as Array};
use sconce_kernels::smoothing::Smoothing;

use super::{
    Run,
    forward::{flat, softmax},
    row_loss::row_losses,
};
use crate::{
    backend::{
        LossInput, LossResult, RowWeights, TargetData,
        checks::check_targets,
        metrics::{Found, MetricInputs, RowResults, first_largest},
        row_targets::element_targets,
        row_weights,
    },
    error::{Code, Error, Result},
    plan::{CrossEntropy, LossFunction, LossPlan, LossTarget, RowPass},
};

/// Keras' `epsilon()`.
const LOWEST: f64 = 1e-7;
const HIGHEST: f64 = 1.0 - 1e-7;

/// Losses of rows, `[R, 1]`, and the gradient of each, `[R, V]`.
pub(super) type Rows = (Array, Array);

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
        let x = match (loss.fused(), loss.value.or(loss.roots().next())) {
            (Some(node), _) => self.linear(&self.plan.nodes[node])?,
            (None, source) => self.floats(source.unwrap_or(output))?.clone(),
        };
        let batch = x.dims().first().copied().unwrap_or(0);
        let (rows, classes) = flat(&x)?.dims2()?;
        let mask = self.mask(output);
        let weights = row_weights(loss, input, mask.as_ref().map(|mask| mask.as_slice()), rows);
        check_targets(self.plan.value_layer(output), loss, input, &weights.valid, batch, classes)?;
        let mut found = Found::default();
        if let Some(pass) = loss.loss {
            found.add(pass, self.pass(&pass, input, &weights, scale.map(|scale| scale * loss.weight))?);
        }
        for metric in &loss.metrics {
            if let Some(pass) = found.lacks(metric) {
                found.add(pass, self.pass(&pass, input, &weights, None)?);
            }
        }
        let prediction = loss.loss.and_then(|pass| found.of(&pass)?.prediction.as_deref());
        let output = loss.value.map(|value| Self::download(self.floats(value)?)).transpose()?;
        let output = output.as_deref();
        let looked_at = MetricInputs { input, weights: &weights, found: &found, prediction, output, batch, classes };
        let metrics = loss.metrics.iter().map(|metric| looked_at.metric(metric)).collect::<Result<Vec<_>>>()?;
        Ok(LossResult { loss: found.loss(loss, &weights), metrics, valid: weights.count })
    }

    /// A function of all rows; with a factor for gradients, also the gradient of what goes into it.
    fn pass(
        &mut self,
        pass: &RowPass,
        input: &LossInput,
        weights: &RowWeights,
        scale: Option<f32>,
    ) -> Result<RowResults> {
        if let LossTarget::Losses(value) = pass.target {
            return self.given(value, weights, scale);
        }
        let x = match pass.target {
            LossTarget::Linear(node) => self.linear(&self.plan.nodes[node])?,
            LossTarget::Logits(value)
            | LossTarget::Probabilities(value)
            | LossTarget::Elements(value)
            | LossTarget::Losses(value) => self.floats(value)?.clone(),
        };
        let shape = x.dims().to_vec();
        let x = flat(&x)?;
        let (rows, classes) = x.dims2()?;
        let (row_loss, gradient) = match pass.function {
            LossFunction::Graph(_) => return Err(Error::new(Code::Internal, "a loss that nodes compute takes theirs")),
            LossFunction::Rows(function) => {
                let y = self.upload(&element_targets(&input.target, function), &[rows, classes])?;
                row_losses(function, &x, &y)?
            }
            LossFunction::CrossEntropy(loss) => {
                let y = self.targets(&loss, input, &weights.valid, classes)?;
                match pass.target {
                    LossTarget::Linear(_) | LossTarget::Logits(_) => logits(&x, &y)?,
                    LossTarget::Probabilities(_) | LossTarget::Elements(_) | LossTarget::Losses(_) => {
                        probabilities(&x, &y)?
                    }
                }
            }
        };
        if let Some(scale) = scale {
            let factors: Vec<f32> = weights.loss.iter().map(|weight| weight * scale).collect();
            let gradient = gradient.broadcast_mul(&self.upload(&factors, &[rows, 1])?)?.reshape(shape)?;
            match pass.target {
                LossTarget::Linear(node) => self.linear_backward(&self.plan.nodes[node], &gradient)?,
                LossTarget::Logits(value)
                | LossTarget::Probabilities(value)
                | LossTarget::Elements(value)
                | LossTarget::Losses(value) => {
                    self.add_gradient(value, gradient)?;
                }
            }
        }
        let exact = Self::download_double(&row_loss)?;
        let predicts = matches!(pass.function, LossFunction::CrossEntropy(_));
        Self::rows(&x, &exact, &weights.valid, predicts)
    }

    /// Smoothed targets of all rows, `[R, V]`; zeros in rows that do not count.
    fn targets(&self, loss: &CrossEntropy, input: &LossInput, valid: &[bool], classes: usize) -> Result<Array> {
        if classes == 0 || valid.is_empty() {
            return self.upload(&[], &[valid.len(), classes]);
        }
        let smoothing = Smoothing::new(loss.definition, loss.label_smoothing, classes);
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
            y.iter_mut().enumerate().for_each(|(class, y)| *y = smoothing.target(f64::from(*y), class) as f32);
        }
        self.upload(&y, &[valid.len(), classes])
    }

    /// Losses and, of classes, predictions on the host; 0 where a row does not count.
    fn rows(x: &Array, row_loss: &[f64], valid: &[bool], predicts: bool) -> Result<RowResults> {
        let loss = row_loss.iter().zip(valid).map(|(&loss, &valid)| if valid { loss } else { 0.0 }).collect();
        if !predicts {
            return Ok(RowResults { loss, ..RowResults::default() });
        }
        let x = Self::download(x)?;
        let classes = x.len().checked_div(valid.len()).unwrap_or(0);
        let mut prediction = vec![0; valid.len()];
        for (row, _) in valid.iter().enumerate().filter(|(_, valid)| **valid) {
            prediction[row] = first_largest(&x[row * classes..][..classes]) as u32;
        }
        Ok(RowResults { loss, prediction: Some(prediction), ..RowResults::default() })
    }
}
