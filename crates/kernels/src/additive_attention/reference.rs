//! Scores of additive attention in 64 bits, by their definition.
use super::{AdditiveInputs, AdditiveSizes};

/// Scores and gradients.
pub(super) struct Exact {
    pub scores: Vec<f64>,
    pub query: Vec<f64>,
    pub key: Vec<f64>,
    pub factors: Vec<f64>,
}

pub(super) fn reference(sizes: AdditiveSizes, inputs: &AdditiveInputs<'_>, dscores: &[f32]) -> Exact {
    let AdditiveSizes { batch, queries, keys, width } = sizes;
    let mut exact = Exact {
        scores: vec![0.0; batch * queries * keys],
        query: vec![0.0; inputs.query.len()],
        key: vec![0.0; inputs.key.len()],
        factors: vec![0.0; width],
    };
    for row in 0..batch * queries {
        for key in 0..keys {
            let place = row / queries * keys + key;
            if inputs.key_mask.is_some_and(|mask| mask[place] == 0) {
                continue;
            }
            let slope = f64::from(dscores[row * keys + key]);
            for at in 0..width {
                let (i, j) = (row * width + at, place * width + at);
                let tanh = (f64::from(inputs.query[i]) + f64::from(inputs.key[j])).tanh();
                let factor = inputs.factors.map_or(1.0, |factors| f64::from(factors[at]));
                exact.scores[row * keys + key] += factor * tanh;
                exact.factors[at] += slope * tanh;
                exact.query[i] += slope * factor * (1.0 - tanh * tanh);
                exact.key[j] += slope * factor * (1.0 - tanh * tanh);
            }
        }
    }
    exact
}
