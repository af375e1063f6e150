//! The fused loss in `f64`, with everything in full.
use super::LinearCrossEntropyShape;
use crate::smoothing::Smoothing;

pub(super) struct Inputs {
    pub h: Vec<f64>,
    pub kernel: Vec<f64>,
    pub bias: Option<Vec<f64>>,
    /// `[rows, classes]`, before smoothing.
    pub targets: Vec<f64>,
    pub row_weights: Vec<f64>,
    pub smoothing: Smoothing,
    pub scale: f64,
}

#[derive(Debug)]
pub(super) struct Outputs {
    pub row_loss: Vec<f64>,
    pub row_unsmoothed: Vec<f64>,
    pub prediction: Vec<u32>,
    pub dh: Vec<f64>,
    pub dkernel: Vec<f64>,
    pub dbias: Vec<f64>,
    pub probabilities: Vec<f64>,
}

pub(super) fn linear_cross_entropy(shape: LinearCrossEntropyShape, inputs: &Inputs) -> Outputs {
    let LinearCrossEntropyShape { rows, features, classes } = shape;
    let mut outputs = Outputs {
        row_loss: vec![0.0; rows],
        row_unsmoothed: vec![0.0; rows],
        prediction: vec![0; rows],
        dh: vec![0.0; rows * features],
        dkernel: vec![0.0; classes * features],
        dbias: vec![0.0; classes],
        probabilities: vec![0.0; rows * classes],
    };
    for row in 0..rows {
        let h = &inputs.h[row * features..][..features];
        let logits: Vec<f64> = (0..classes)
            .map(|v| {
                let bias = inputs.bias.as_ref().map_or(0.0, |bias| bias[v]);
                bias + h.iter().zip(&inputs.kernel[v * features..]).map(|(h, w)| h * w).sum::<f64>()
            })
            .collect();
        let largest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = logits.iter().map(|z| (z - largest).exp()).sum();
        let probabilities: Vec<f64> = logits.iter().map(|z| (z - largest).exp() / sum).collect();
        outputs.probabilities[row * classes..][..classes].copy_from_slice(&probabilities);
        if inputs.row_weights[row] == 0.0 {
            continue;
        }
        let targets = &inputs.targets[row * classes..][..classes];
        let y: Vec<f64> = targets.iter().enumerate().map(|(class, &y)| inputs.smoothing.target(y, class)).collect();
        let mass: f64 = y.iter().sum();
        let loss = |y: &[f64]| logits.iter().zip(y).map(|(z, y)| y * (largest + sum.ln() - z)).sum();
        outputs.row_loss[row] = loss(&y);
        outputs.row_unsmoothed[row] = loss(targets);
        outputs.prediction[row] = logits.iter().position(|z| *z == largest).unwrap_or(0) as u32;
        for (v, (probability, y)) in probabilities.iter().zip(&y).enumerate() {
            let dz = inputs.scale * inputs.row_weights[row] * (mass * probability - y);
            outputs.dbias[v] += dz;
            let kernel = &inputs.kernel[v * features..];
            for (dh, w) in outputs.dh[row * features..][..features].iter_mut().zip(kernel) {
                *dh += dz * w;
            }
            for (dw, h) in outputs.dkernel[v * features..].iter_mut().zip(h) {
                *dw += dz * h;
            }
        }
    }
    outputs
}
