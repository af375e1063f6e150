//! Metrics of an output, from the losses and predictions of its rows.
use super::{LossInput, MetricSums, RowWeights, TargetData, metric_sums};
use crate::{
    error::{Code, Error, Result},
    plan::{LossPlan, Metric, MetricPlan, RowPass},
};

/// Losses and predictions of all rows of an output.
#[derive(Default)]
pub(super) struct RowResults {
    /// Unweighted loss of each row; 0 where the row does not count.
    pub loss: Vec<f64>,
    /// The same without smoothing, where a cross-entropy found it besides.
    pub unsmoothed: Option<Vec<f64>>,
    /// Class of the largest element of each row, where a cross-entropy looked for it.
    pub prediction: Option<Vec<u32>>,
}

/// What the functions of a loss plan found, each once.
#[derive(Default)]
pub(super) struct Found(Vec<(RowPass, RowResults)>);

impl Found {
    /// The function of a metric that is still to be computed.
    pub fn lacks(&self, metric: &MetricPlan) -> Option<RowPass> {
        metric.pass.filter(|pass| self.of(pass).is_none())
    }

    pub fn add(&mut self, pass: RowPass, mut results: RowResults) {
        let unsmoothed = results.unsmoothed.take().zip(pass.unsmoothed());
        self.0.push((pass, results));
        if let Some((loss, pass)) = unsmoothed {
            self.0.push((pass, RowResults { loss, ..RowResults::default() }));
        }
    }

    pub fn of(&self, pass: &RowPass) -> Option<&RowResults> {
        self.0.iter().find(|(known, _)| known == pass).map(|(_, results)| results)
    }

    /// Mean over the rows that count, as the loss has it.
    pub fn loss(&self, plan: &LossPlan, weights: &RowWeights) -> f64 {
        let rows = plan.loss.as_ref().and_then(|pass| self.of(pass)).map(|results| results.loss.iter());
        let counted = rows.into_iter().flatten().zip(&weights.loss).filter(|(_, weight)| **weight != 0.0);
        counted.map(|(&loss, &weight)| loss * f64::from(weight)).sum()
    }
}

/// What a metric looks at.
pub(super) struct MetricInputs<'a> {
    /// Targets.
    pub input: &'a LossInput,
    /// Which rows count.
    pub weights: &'a RowWeights,
    /// What losses found.
    pub found: &'a Found,
    /// Predictions that the loss found.
    pub prediction: Option<&'a [u32]>,
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

    /// The target of element `element`, which lies in `row`.
    fn element(&self, element: usize, row: usize) -> f32 {
        match self {
            Self::Ids(ids) => ids[row] as f32,
            Self::Probabilities(values) => values[element],
        }
    }
}

fn indicator(holds: bool) -> f64 {
    f64::from(u8::from(holds))
}

impl MetricInputs<'_> {
    /// Sums of a metric.
    pub(super) fn metric(&self, plan: &MetricPlan) -> Result<MetricSums> {
        let lacking = || Error::new(Code::Internal, "a metric lacks what it averages");
        let rows = |pass: Option<&RowPass>| pass.and_then(|pass| self.found.of(pass)).ok_or_else(lacking);
        Ok(match plan.metric {
            Metric::BinaryAccuracy(threshold) => self.binary(plan, threshold)?,
            Metric::Accuracy if self.classes == 1 => self.binary(plan, 0.5)?,
            Metric::Accuracy | Metric::CategoricalAccuracy | Metric::SparseCategoricalAccuracy => {
                let output = if self.prediction.is_none() { self.output()? } else { &[] };
                self.sums(plan, |row| {
                    let predicted = match self.prediction {
                        Some(prediction) => prediction[row] as usize,
                        None => first_largest(&output[row * self.classes..][..self.classes]),
                    };
                    indicator(predicted == self.input.target.class(row, self.classes))
                })
            }
            Metric::TopK(k) => {
                let output = self.output()?;
                self.sums(plan, |row| {
                    let row_values = &output[row * self.classes..][..self.classes];
                    let right = row_values.get(self.input.target.class(row, self.classes));
                    indicator(right.is_some_and(|right| row_values.iter().filter(|&x| x > right).count() < k))
                })
            }
            Metric::Precision(threshold) => self.share(plan, |x, _| x > threshold, threshold)?,
            Metric::Recall(threshold) => self.share(plan, |_, y| y != 0.0, threshold)?,
            Metric::Perplexity { .. } => {
                let inner = (self.weights.valid.len() / self.batch.max(1)).max(1) as f64;
                let loss = &rows(plan.pass.as_ref())?.loss;
                let sums = self.sums(plan, |row| loss[row]);
                MetricSums { total: sums.total * inner, count: sums.count * inner }
            }
            Metric::Mean(_, sign) => {
                let loss = &rows(plan.pass.as_ref())?.loss;
                self.sums(plan, |row| f64::from(sign) * loss[row])
            }
        })
    }

    fn sums(&self, plan: &MetricPlan, value: impl Fn(usize) -> f64) -> MetricSums {
        metric_sums(&self.weights.valid, self.sample_weights(plan), self.batch, value)
    }

    fn sample_weights(&self, plan: &MetricPlan) -> Option<&[f32]> {
        self.input.sample_weights.as_deref().filter(|_| plan.weighted)
    }

    fn output(&self) -> Result<&[f32]> {
        self.output.ok_or_else(|| Error::new(Code::Internal, "a metric lacks its output"))
    }

    fn binary(&self, plan: &MetricPlan, threshold: f32) -> Result<MetricSums> {
        let x = self.output()?;
        let right = |element: usize, row: usize| {
            let predicted = if x[element] > threshold { 1.0 } else { 0.0 };
            indicator(predicted == self.input.target.element(element, row))
        };
        let classes = self.classes;
        Ok(self.sums(plan, |row| {
            (0..classes).map(|class| right(row * classes + class, row)).sum::<f64>() / classes.max(1) as f64
        }))
    }

    /// Of the elements that `counts` names by output and target: those that are above the threshold with a target that is not 0.
    fn share(&self, plan: &MetricPlan, counts: impl Fn(f32, f32) -> bool, threshold: f32) -> Result<MetricSums> {
        let x = self.output()?;
        let mut sums = MetricSums::default();
        for (row, _) in self.weights.valid.iter().enumerate().filter(|(_, valid)| **valid) {
            let weight = self.sample_weights(plan).map_or(1.0, |weights| f64::from(weights[row]));
            for element in row * self.classes..(row + 1) * self.classes {
                let (x, y) = (x[element], self.input.target.element(element, row));
                if counts(x, y) {
                    sums.count += weight;
                    sums.total += weight * indicator(x > threshold && y != 0.0);
                }
            }
        }
        Ok(sums)
    }
}
