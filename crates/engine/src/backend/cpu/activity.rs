//! Penalties on what layers gave, and losses that nodes computed.
use super::Run;
use crate::{
    backend::{LossResult, RowWeights, given::Given, metrics::RowResults},
    error::Result,
    plan::ValueId,
};

impl Run<'_> {
    /// The sum of all penalties; with a factor for gradients, also their gradients.
    pub(super) fn activities(&mut self, scale: Option<f32>) -> Result<Option<LossResult>> {
        let schedule = self.schedule;
        let mut loss = 0.0;
        for activity in &schedule.activities {
            let tensor = self.value(activity.value)?.clone();
            let (x, batch) = (tensor.floats()?, tensor.shape.first().copied().unwrap_or(1));
            loss += activity.penalty(x, batch);
            if let Some(scale) = scale
                && let Some(mut slot) = self.slot(activity.value, x.len())
            {
                if !slot.accumulate {
                    slot.buffer.fill(0.0);
                }
                slot.buffer.iter_mut().zip(x).for_each(|(dx, &x)| *dx += scale * activity.slope(x, batch));
                self.put(activity.value, Some(slot));
            }
        }
        let result = LossResult { loss, metrics: Vec::new(), valid: 0 };
        Ok((!schedule.activities.is_empty()).then_some(result))
    }

    /// Losses that a node computed; with a factor for gradients, also their gradient.
    pub(super) fn given(&mut self, value: ValueId, weights: &RowWeights, scale: Option<f32>) -> Result<RowResults> {
        let tensor = self.value(value)?;
        let given = Given::new(tensor.floats()?, weights.valid.len())?;
        let loss = given.row_losses(&weights.valid);
        let gradient = scale.map(|scale| given.gradient(&weights.loss, scale));
        if let Some(gradient) = gradient
            && let Some(mut slot) = self.slot(value, gradient.len())
        {
            if slot.accumulate {
                slot.buffer.iter_mut().zip(gradient.iter()).for_each(|(sum, new)| *sum += new);
            } else {
                slot.buffer = gradient;
            }
            self.put(value, Some(slot));
        }
        Ok(RowResults { loss, ..RowResults::default() })
    }
}
