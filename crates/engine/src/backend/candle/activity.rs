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
            let x = self.floats(activity.value)?.clone();
            let batch = x.dims().first().copied().unwrap_or(1).max(1) as f64;
            let sums = [x.abs()?.sum_all()?, x.sqr()?.sum_all()?];
            let sum = |index: usize| Self::download_double(&sums[index]).map(|values| values[0]);
            loss += (activity.l1 * sum(0)? + activity.l2 * sum(1)?) / batch;
            if let Some(scale) = scale {
                let sign = (x.gt(0.0)?.to_dtype(x.dtype())? - x.lt(0.0)?.to_dtype(x.dtype())?)?;
                let slope = ((sign * activity.l1)? + (x * (2.0 * activity.l2))?)?;
                self.add_gradient(activity.value, (slope * (f64::from(scale) / batch))?)?;
            }
        }
        let result = LossResult { loss, metrics: Vec::new(), valid: 0 };
        Ok((!schedule.activities.is_empty()).then_some(result))
    }

    /// Losses that a node computed; with a factor for gradients, also their gradient.
    pub(super) fn given(&mut self, value: ValueId, weights: &RowWeights, scale: Option<f32>) -> Result<RowResults> {
        let x = self.floats(value)?.clone();
        let values = Self::download(&x)?;
        let given = Given::new(&values, weights.valid.len())?;
        if let Some(scale) = scale {
            self.add_gradient(value, self.upload(&given.gradient(&weights.loss, scale), x.dims())?)?;
        }
        Ok(RowResults { loss: given.row_losses(&weights.valid), ..RowResults::default() })
    }
}
