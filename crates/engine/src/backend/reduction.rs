//! How rows count in losses and metrics: masks, sample weights and ignored classes, as in Keras.
//!
//! # Source
//! `reduce_weighted_values` of `keras/src/losses/loss.py` and `reduce_to_samplewise_values` of
//! `keras/src/metrics/reduction_metrics.py` of Keras 3.15.
use super::{LossInput, MetricSums, TargetData};
use crate::plan::{LossFunction, LossPlan};

/// Weights of the rows of an output.
#[derive(Clone, Debug)]
pub struct RowWeights {
    /// 1 where a row counts, 0 where it is masked or ignored.
    pub valid: Vec<bool>,
    /// Rows that count.
    pub count: usize,
    /// What a row's loss is multiplied by so that the sum is the mean over the rows that count.
    pub loss: Vec<f32>,
}

/// Row weights of a loss: with a mask the mean runs over valid rows only; sample weights multiply.
#[must_use]
pub fn row_weights(loss: &LossPlan, input: &LossInput, mask: Option<&[u8]>, rows: usize) -> RowWeights {
    let ignored = loss.loss.and_then(|pass| match pass.function {
        LossFunction::CrossEntropy(loss) => loss.ignore_class,
        LossFunction::Rows(_) | LossFunction::Graph(_) => None,
    });
    let valid: Vec<bool> = (0..rows)
        .map(|row| {
            let kept = match (&input.target, ignored) {
                (TargetData::Ids(ids), Some(class)) => ids[row] != class,
                _ => true,
            };
            kept && mask.is_none_or(|mask| mask[row] != 0)
        })
        .collect();
    let count = valid.iter().filter(|&&valid| valid).count();
    let share = if count == 0 { 0.0 } else { 1.0 / count as f32 };
    let loss = valid
        .iter()
        .enumerate()
        .map(|(row, &valid)| {
            let weight = input.sample_weights.as_ref().map_or(1.0, |weights| weights[row]);
            // Kernels skip rows of weight 0, but metrics want the prediction of every valid row: such a row gets the
            // smallest weight there is, which no sum notices.
            if valid { (weight * share).max(f32::MIN_POSITIVE) } else { 0.0 }
        })
        .collect();
    RowWeights { valid, count, loss }
}

/// Sums of a metric whose value in a row is `value(row)`: rows of one sample are averaged, as Keras does.
///
/// Masks have a part in it, and sample weights where they are given.
#[must_use]
pub fn metric_sums(
    valid: &[bool],
    sample_weights: Option<&[f32]>,
    batch: usize,
    value: impl Fn(usize) -> f64,
) -> MetricSums {
    let inner = (valid.len() / batch.max(1)).max(1) as f64;
    let mut sums = MetricSums::default();
    for (row, _) in valid.iter().enumerate().filter(|(_, valid)| **valid) {
        let weight = sample_weights.map_or(1.0, |weights| f64::from(weights[row]));
        sums.total += weight * value(row);
        sums.count += weight;
    }
    MetricSums { total: sums.total / inner, count: sums.count / inner }
}
