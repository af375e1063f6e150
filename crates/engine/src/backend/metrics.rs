//! Metrics of an output, from the losses and predictions of its rows.
use sconce_kernels::buffer::Buffer;

use super::{LossInput, MetricSums, RowWeights, TargetData, metric_sums};
use crate::{
    error::{Code, Error, Result},
    plan::Metric,
};

/// Losses and predictions of all rows of an output.
pub(super) struct RowResults {
    /// Unweighted loss of each row; 0 where the row does not count.
    pub loss: Buffer,
    /// Class of the largest element of each row.
    pub prediction: Vec<u32>,
}

/// What a metric looks at.
pub(super) struct MetricInputs<'a> {
    /// Targets.
    pub input: &'a LossInput,
    /// Which rows count.
    pub weights: &'a RowWeights,
    /// What the loss found.
    pub found: &'a RowResults,
    /// The output itself, `[rows, classes]`, if a metric needs it.
    pub output: Option<&'a [f32]>,
    /// Samples.
    pub batch: usize,
    /// Width of a row.
    pub classes: usize,
}

/// The first of the largest values.
pub(super) fn first_largest(values: &[f32]) -> usize {
    let mut best = 0;
    for (index, &value) in values.iter().enumerate() {
        if value > values[best] {
            best = index;
        }
    }
    best
}

impl TargetData {
    /// The class of a row: its id, or the first of its largest probabilities.
    fn class(&self, row: usize, classes: usize) -> usize {
        match self {
            Self::Ids(ids) => usize::try_from(ids[row]).unwrap_or(usize::MAX),
            Self::Probabilities(values) => first_largest(&values[row * classes..][..classes]),
        }
    }
}

impl MetricInputs<'_> {
    /// Sums of a metric.
    pub(super) fn metric(&self, metric: Metric) -> Result<MetricSums> {
        let valid = &self.weights.valid;
        Ok(match metric {
            Metric::BinaryAccuracy(threshold) => self.binary(threshold)?,
            Metric::Accuracy if self.classes == 1 => self.binary(0.5)?,
            Metric::Accuracy | Metric::CategoricalAccuracy | Metric::SparseCategoricalAccuracy => {
                metric_sums(valid, self.batch, |row| {
                    let right = self.found.prediction[row] as usize == self.input.target.class(row, self.classes);
                    f64::from(u8::from(right))
                })
            }
            Metric::Perplexity => {
                let inner = (valid.len() / self.batch.max(1)).max(1) as f64;
                let sums = metric_sums(valid, self.batch, |row| f64::from(self.found.loss[row]));
                MetricSums { total: sums.total * inner, count: sums.count * inner }
            }
        })
    }

    fn binary(&self, threshold: f32) -> Result<MetricSums> {
        let x = self.output.ok_or_else(|| Error::new(Code::Internal, "a metric lacks its output"))?;
        let right = |element: usize, row: usize| {
            let target = match &self.input.target {
                TargetData::Ids(ids) => ids[row] as f32,
                TargetData::Probabilities(values) => values[element],
            };
            f64::from(u8::from((x[element] > threshold) == (target > 0.5)))
        };
        let classes = self.classes;
        Ok(metric_sums(&self.weights.valid, self.batch, |row| {
            (0..classes).map(|class| right(row * classes + class, row)).sum::<f64>() / classes.max(1) as f64
        }))
    }
}
