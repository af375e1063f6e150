//! Losses and metrics, with the gradient of what goes into them.
use std::sync::Arc;

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
    packing::Rows,
};
use crate::{
    backend::{
        LossInput, LossResult, RowWeights, TargetData, WeightGradient,
        checks::check_targets,
        metrics::{Found, MetricInputs, RowResults},
        row_weights,
    },
    error::{Code, Error, Result},
    plan::{CrossEntropy, LossFunction, LossPlan, LossTarget, RowPass, ValueId},
};

impl TargetData {
    /// The targets of the rows that are there.
    fn choose(&self, rows: &Rows, classes: usize) -> Self {
        match self {
            Self::Ids(ids) => Self::Ids(Arc::new(rows.choose(ids))),
            Self::Probabilities(values) => {
                let mut chosen = Buffer::new(rows.positions.len() * classes);
                for (to, &position) in chosen.chunks_exact_mut(classes.max(1)).zip(&rows.positions) {
                    to.copy_from_slice(&values[position as usize * classes..][..classes]);
                }
                Self::Probabilities(chosen)
            }
        }
    }

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
        let (source, classes) = match (loss.fused(), loss.value.or(loss.roots().next())) {
            (Some(node), _) => {
                let node = &self.plan.nodes[node];
                (node.inputs[0], self.units(node))
            }
            (None, source) => {
                let source = source.unwrap_or(output);
                (source, self.value(source)?.width())
            }
        };
        let tensor = self.value(source)?;
        let (rows, batch) = match self.rows(source) {
            Some(rows) => (rows.places.len(), rows.batch),
            None => (tensor.rows(), tensor.shape.first().copied().unwrap_or(0)),
        };
        let mask = self.mask(output);
        let weights = row_weights(loss, input, mask.as_ref().map(|mask| mask.as_slice()), rows);
        check_targets(self.plan.value_layer(output), loss, input, &weights.valid, batch, classes)?;
        let scale = gradient_scale * loss.weight;
        let mut found = Found::default();
        if let Some(pass) = loss.loss {
            let results = self.pass(&pass, input, &weights, scale, gradients)?;
            found.add(pass, results);
        }
        for metric in &loss.metrics {
            if let Some(pass) = found.lacks(metric) {
                let results = self.pass(&pass, input, &weights, 0.0, None)?;
                found.add(pass, results);
            }
        }
        let prediction = loss.loss.and_then(|pass| found.of(&pass)?.prediction.as_deref());
        let output = loss.value.map(|value| self.value(value)?.floats()).transpose()?;
        let looked_at = MetricInputs { input, weights: &weights, found: &found, prediction, output, batch, classes };
        let metrics = loss.metrics.iter().map(|metric| looked_at.metric(metric)).collect::<Result<Vec<_>>>()?;
        Ok(LossResult { loss: found.loss(loss, &weights), metrics, valid: weights.count })
    }

    /// A function of all rows that count; with `gradients`, also the gradient of what goes into it.
    fn pass(
        &mut self,
        pass: &RowPass,
        input: &LossInput,
        weights: &RowWeights,
        scale: f32,
        gradients: Option<&mut WeightGradients>,
    ) -> Result<RowResults> {
        match (pass.function, pass.target) {
            (_, LossTarget::Losses(value)) => self.given(value, weights, gradients.is_some().then_some(scale)),
            (LossFunction::CrossEntropy(loss), LossTarget::Linear(node)) => {
                self.fused(loss, node, input, weights, scale, gradients)
            }
            (LossFunction::CrossEntropy(loss), LossTarget::Logits(value)) => {
                let loss = CrossEntropy { from_logits: true, ..loss };
                self.unfused(loss, value, input, weights, scale, gradients.is_some())
            }
            (LossFunction::CrossEntropy(loss), LossTarget::Probabilities(value) | LossTarget::Elements(value)) => {
                let loss = CrossEntropy { from_logits: false, ..loss };
                self.unfused(loss, value, input, weights, scale, gradients.is_some())
            }
            (LossFunction::Graph(_), _) => Err(Error::new(Code::Internal, "a loss that nodes compute takes theirs")),
            (LossFunction::Rows(function), target) => {
                let LossTarget::Elements(value) = target else {
                    return Err(Error::new(Code::Internal, "a function of elements takes a value"));
                };
                self.row_loss(function, value, input, weights, scale, gradients.is_some())
            }
        }
    }

    fn fused(
        &mut self,
        loss: CrossEntropy,
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
        let chosen = self.rows(source).cloned();
        let of_rows =
            chosen.as_ref().map(|chosen| (input.target.choose(chosen, classes), chosen.choose(&weights.loss)));
        let (target, row_weights) = match &of_rows {
            Some((target, weights)) => (target, weights),
            None => (&input.target, &weights.loss),
        };
        let (rows, features) = (row_weights.len(), self.value(source)?.width());
        let (mut row_loss, mut prediction) = (Buffer::new(rows), vec![0; rows]);
        let mut unsmoothed = (loss.label_smoothing != 0.0).then(|| Buffer::new(rows));
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
        linear_cross_entropy(
            self.context,
            LinearCrossEntropyShape { rows, features, classes },
            &LinearCrossEntropyInputs {
                h: self.value(source)?.floats()?,
                kernel,
                bias,
                targets: target.view(),
                row_weights: Some(row_weights),
            },
            LinearCrossEntropyOptions {
                label_smoothing: loss.label_smoothing,
                definition: loss.definition,
                gradient_scale: scale,
            },
            LinearCrossEntropyOutputs {
                row_loss: &mut row_loss,
                row_unsmoothed: unsmoothed.as_deref_mut(),
                row_prediction: &mut prediction,
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
        let losses = |losses: &[f32]| {
            let losses: Vec<f64> = losses.iter().map(|&loss| f64::from(loss)).collect();
            match &chosen {
                Some(chosen) => chosen.spread(&losses),
                None => losses,
            }
        };
        let (loss, unsmoothed) = (losses(&row_loss), unsmoothed.as_deref().map(losses));
        let prediction = match &chosen {
            Some(chosen) => chosen.spread(&prediction),
            None => prediction,
        };
        Ok(RowResults { loss, unsmoothed, prediction: Some(prediction) })
    }

    fn unfused(
        &mut self,
        loss: CrossEntropy,
        source: ValueId,
        input: &LossInput,
        weights: &RowWeights,
        scale: f32,
        gradients: bool,
    ) -> Result<RowResults> {
        let length = self.value(source)?.len();
        let (rows, classes) = (weights.valid.len(), self.value(source)?.width());
        let (mut row_loss, mut prediction) = (Buffer::new(rows), vec![0; rows]);
        let mut slot = if gradients { self.slot(source, length) } else { None };
        cross_entropy(
            self.context,
            CrossEntropyShape { rows, classes },
            &CrossEntropyInputs {
                x: self.value(source)?.floats()?,
                targets: input.target.view(),
                row_weights: Some(&weights.loss),
            },
            CrossEntropyOptions {
                from_logits: loss.from_logits,
                label_smoothing: loss.label_smoothing,
                definition: loss.definition,
                gradient_scale: scale,
            },
            CrossEntropyOutputs {
                row_loss: &mut row_loss,
                row_prediction: &mut prediction,
                dx: slot.as_mut().map(|slot| Destination { data: &mut slot.buffer, accumulate: slot.accumulate }),
            },
        );
        self.put(source, slot);
        let loss = row_loss.iter().map(|&loss| f64::from(loss)).collect();
        Ok(RowResults { loss, prediction: Some(prediction), ..RowResults::default() })
    }
}
