//! The losses in 64 bits, straight from Keras' definitions.
use super::RowLoss;

const EPSILON: f64 = 1e-7;
/// `1 - 1e-7` in single precision.
const HIGHEST: f64 = 0.999_999_9_f32 as f64;

fn mean(values: impl Iterator<Item = f64>, width: usize) -> f64 {
    values.sum::<f64>() / width as f64
}

fn unit(x: &[f64]) -> Vec<f64> {
    let inverse = (1.0 / x.iter().map(|x| x * x).sum::<f64>().sqrt()).min(1.0 / EPSILON);
    x.iter().map(|x| x * inverse).collect()
}

/// Loss of a row.
pub(super) fn loss(function: RowLoss, x: &[f64], y: &[f64]) -> f64 {
    let pairs = || x.iter().copied().zip(y.iter().copied());
    let width = x.len();
    match function {
        RowLoss::BinaryCrossentropy { from_logits, label_smoothing } => {
            let e = f64::from(label_smoothing);
            let term = |(x, y): (f64, f64)| {
                let y = y * (1.0 - e) + 0.5 * e;
                if from_logits {
                    return y * (-x).exp().ln_1p() + (1.0 - y) * x.exp().ln_1p();
                }
                let p = x.clamp(EPSILON, HIGHEST);
                -y * p.ln() - (1.0 - y) * (1.0 - p).ln()
            };
            mean(pairs().map(term), width)
        }
        RowLoss::MeanSquaredError => mean(pairs().map(|(x, y)| (x - y).powi(2)), width),
        RowLoss::MeanAbsoluteError => mean(pairs().map(|(x, y)| (x - y).abs()), width),
        RowLoss::MeanAbsolutePercentageError => {
            100.0 * mean(pairs().map(|(x, y)| ((y - x) / y.abs().max(EPSILON)).abs()), width)
        }
        RowLoss::MeanSquaredLogarithmicError => {
            let log = |x: f64| (x.max(EPSILON) + 1.0).ln();
            mean(pairs().map(|(x, y)| (log(x) - log(y)).powi(2)), width)
        }
        RowLoss::Huber { delta } => {
            let delta = f64::from(delta);
            let term = |error: f64| {
                if error <= delta { 0.5 * error * error } else { delta * error - 0.5 * delta * delta }
            };
            mean(pairs().map(|(x, y)| term((x - y).abs())), width)
        }
        RowLoss::LogCosh => mean(pairs().map(|(x, y)| (x - y).cosh().ln()), width),
        RowLoss::Poisson => mean(pairs().map(|(x, y)| x - y * (x + EPSILON).ln()), width),
        RowLoss::Hinge => mean(pairs().map(|(x, y)| (1.0 - y * x).max(0.0)), width),
        RowLoss::SquaredHinge => mean(pairs().map(|(x, y)| (1.0 - y * x).max(0.0).powi(2)), width),
        RowLoss::KlDivergence => {
            let clip = |x: f64| x.clamp(EPSILON, 1.0);
            pairs().map(|(x, y)| clip(y) * (clip(y) / clip(x)).ln()).sum()
        }
        RowLoss::CosineSimilarity => -unit(x).iter().zip(unit(y)).map(|(x, y)| x * y).sum::<f64>(),
        RowLoss::CategoricalHinge => {
            let right: f64 = pairs().map(|(x, y)| x * y).sum();
            let wrong = pairs().map(|(x, y)| (1.0 - y) * x).fold(f64::NEG_INFINITY, f64::max);
            (wrong - right + 1.0).max(0.0)
        }
    }
}

/// Its gradient by `x`, from central differences.
pub(super) fn gradient(function: RowLoss, x: &[f64], y: &[f64]) -> Vec<f64> {
    let moved = |at: usize, step: f64| {
        let mut x = x.to_vec();
        x[at] += step;
        loss(function, &x, y)
    };
    (0..x.len()).map(|at| (moved(at, 1e-5) - moved(at, -1e-5)) / 2e-5).collect()
}
