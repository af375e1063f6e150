//! Losses and metrics, with the gradient of what goes into them.
use sconce_kernels::{
    Destination,
    buffer::Buffer,
    cross_entropy::{CrossEntropyInputs, CrossEntropyOptions, CrossEntropyOutputs, CrossEntropyShape, cross_entropy},
    linear_cross_entropy::{
        LinearCrossEntropyGradients, LinearCrossEntropyInputs, LinearCrossEntropyOptions, LinearCrossEntropyOutputs,
        LinearCrossEntropyShape, linear_cross_entropy,
    },
    targets::Targets,
};

use super::{
    Run,
    backward::{Slot, WeightGradients, weight_slot},
};
use crate::{
    backend::{
        LossInput, LossResult, RowWeights, TargetData, WeightGradient,
        checks::check_targets,
        metrics::{MetricInputs, RowResults},
        row_weights,
    },
    error::Result,
    plan::{LossPlan, LossTarget, ValueId},
};

impl TargetData {
    fn view(&self) -> Targets<'_> {
        match self {
            Self::Ids(ids) => Targets::Ids(ids),
            Self::Probabilities(values) => Targets::Probabilities(values),
        }
    }
}

impl Run<'_> {
    /// Computes a loss and its metrics; with `gradients`, also the gradient of what goes into it.
    pub(super) fn loss(
        &mut self,
        loss: &LossPlan,
        input: &LossInput,
        gradient_scale: f32,
        gradients: Option<&mut WeightGradients>,
    ) -> Result<LossResult> {
        let output = self.plan.outputs[loss.output];
        let (source, classes) = match loss.target {
            LossTarget::Linear(node) => {
                let node = &self.plan.nodes[node];
                (node.inputs[0], self.units(node))
            }
            LossTarget::Logits(value) | LossTarget::Probabilities(value) => (value, self.value(value)?.width()),
        };
        let tensor = self.value(source)?;
        let (rows, batch) = (tensor.rows(), tensor.shape.first().copied().unwrap_or(0));
        let mask = self.mask(output);
        let weights = row_weights(loss, input, mask.as_ref().map(|mask| mask.as_slice()), rows);
        check_targets(self.plan.value_layer(output), input, &weights.valid, batch, classes)?;
        let scale = gradient_scale * loss.loss.map_or(0.0, |loss| loss.weight);
        let found = match loss.target {
            LossTarget::Linear(node) => self.fused(loss, node, input, &weights, scale, gradients)?,
            LossTarget::Logits(value) => {
                let gradients = gradients.is_some() && loss.loss.is_some();
                self.unfused(loss, value, input, &weights, scale, gradients, true)?
            }
            LossTarget::Probabilities(value) => {
                let gradients = gradients.is_some() && loss.loss.is_some();
                self.unfused(loss, value, input, &weights, scale, gradients, false)?
            }
        };
        let total = match loss.loss {
            Some(_) => {
                found.loss.iter().zip(&weights.loss).map(|(&loss, &weight)| f64::from(loss) * f64::from(weight)).sum()
            }
            None => 0.0,
        };
        let output = loss.value.map(|value| self.value(value)?.floats()).transpose()?;
        let looked_at = MetricInputs { input, weights: &weights, found: &found, output, batch, classes };
        let metrics = loss.metrics.iter().map(|&metric| looked_at.metric(metric)).collect::<Result<Vec<_>>>()?;
        Ok(LossResult { loss: total, metrics, valid: weights.count })
    }

    fn fused(
        &mut self,
        loss: &LossPlan,
        node: usize,
        input: &LossInput,
        weights: &RowWeights,
        scale: f32,
        gradients: Option<&mut WeightGradients>,
    ) -> Result<RowResults> {
        let node = &self.plan.nodes[node];
        let source = node.inputs[0];
        let (kernel, bias) = (self.weight(node, 0)?, self.optional_weight(node, 1));
        let classes = self.units(node);
        let (rows, features) = (weights.valid.len(), self.value(source)?.width());
        let mut found = RowResults { loss: Buffer::new(rows), prediction: vec![0; rows] };
        let numbers = [self.plan.weight(node, 0), self.plan.weight(node, 1)];
        let trainable = |number: Option<usize>| number.filter(|&weight| self.schedule.trainable[weight]);
        let [kernel_weight, bias_weight] = numbers.map(trainable);
        let wanted = self.schedule.gradient[source] || kernel_weight.is_some() || bias_weight.is_some();
        let mut slots = None;
        let mut gradients = gradients;
        if let Some(gradients) = gradients.as_deref_mut().filter(|_| wanted) {
            // What nobody wants goes to a buffer that is dropped.
            let dh = self.slot(source, rows * features).unwrap_or_else(|| Slot::new(None, rows * features));
            let mut slot = |weight: Option<usize>, length: usize| match weight {
                Some(weight) => weight_slot(gradients, weight, length),
                None => Slot::new(None, length),
            };
            let dkernel = slot(kernel_weight, kernel.len());
            let dbias = bias.is_some().then(|| slot(bias_weight, classes));
            slots = Some((dh, dkernel, dbias));
        }
        let smoothing = loss.loss.map_or(0.0, |loss| loss.label_smoothing);
        linear_cross_entropy(
            self.context,
            LinearCrossEntropyShape { rows, features, classes },
            &LinearCrossEntropyInputs {
                h: self.value(source)?.floats()?,
                kernel,
                bias,
                targets: input.target.view(),
                row_weights: Some(&weights.loss),
            },
            LinearCrossEntropyOptions { label_smoothing: smoothing, gradient_scale: scale },
            LinearCrossEntropyOutputs {
                row_loss: &mut found.loss,
                row_prediction: &mut found.prediction,
                gradients: slots.as_mut().map(|(dh, dkernel, dbias)| LinearCrossEntropyGradients {
                    dh: dh.destination(),
                    dkernel: dkernel.destination(),
                    dbias: dbias.as_mut().map(Slot::destination),
                }),
            },
        );
        if let (Some((dh, dkernel, dbias)), Some(gradients)) = (slots, gradients) {
            if self.schedule.gradient[source] {
                self.put(source, Some(dh));
            }
            for (weight, slot) in [(kernel_weight, Some(dkernel)), (bias_weight, dbias)] {
                if let (Some(weight), Some(slot)) = (weight, slot) {
                    gradients[weight] = Some(WeightGradient::Dense(slot.buffer));
                }
            }
        }
        Ok(found)
    }

    #[allow(clippy::too_many_arguments, reason = "operands of one formula")]
    fn unfused(
        &mut self,
        loss: &LossPlan,
        source: ValueId,
        input: &LossInput,
        weights: &RowWeights,
        scale: f32,
        gradients: bool,
        from_logits: bool,
    ) -> Result<RowResults> {
        let length = self.value(source)?.len();
        let (rows, classes) = (weights.valid.len(), self.value(source)?.width());
        let mut found = RowResults { loss: Buffer::new(rows), prediction: vec![0; rows] };
        let mut slot = if gradients { self.slot(source, length) } else { None };
        // A metric without a loss still needs the weights of valid rows.
        cross_entropy(
            self.context,
            CrossEntropyShape { rows, classes },
            &CrossEntropyInputs {
                x: self.value(source)?.floats()?,
                targets: input.target.view(),
                row_weights: Some(&weights.loss),
            },
            CrossEntropyOptions {
                from_logits,
                label_smoothing: loss.loss.map_or(0.0, |loss| loss.label_smoothing),
                gradient_scale: scale,
            },
            CrossEntropyOutputs {
                row_loss: &mut found.loss,
                row_prediction: &mut found.prediction,
                dx: slot.as_mut().map(|slot| Destination { data: &mut slot.buffer, accumulate: slot.accumulate }),
            },
        );
        self.put(source, slot);
        Ok(found)
    }
}
