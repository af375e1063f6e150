//! Layer normalisation in 64 bits.

/// Outputs and all gradients of `sum(y dy)`.
pub(super) struct Reference {
    pub y: Vec<f64>,
    pub dx: Vec<f64>,
    pub dgamma: Vec<f64>,
    pub dbeta: Vec<f64>,
}

/// `y = gamma (x - mean) / sqrt(variance + epsilon) + beta`, row by row.
pub(super) fn forward(x: &[f64], gamma: &[f64], beta: &[f64], epsilon: f64) -> Vec<f64> {
    let width = gamma.len();
    let row = |row: &[f64]| {
        let mean = row.iter().sum::<f64>() / width as f64;
        let variance = row.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / width as f64;
        let normal = row.iter().map(|x| (x - mean) / (variance + epsilon).sqrt());
        normal.zip(gamma.iter().zip(beta)).map(|(normal, (gamma, beta))| gamma * normal + beta).collect::<Vec<_>>()
    };
    x.chunks_exact(width.max(1)).flat_map(row).collect()
}

/// Gradients by the chain rule through mean and variance, each written out.
pub(super) fn reference(x: &[f64], gamma: &[f64], beta: &[f64], dy: &[f64], epsilon: f64) -> Reference {
    let width = gamma.len();
    let size = width as f64;
    let (mut dx, mut dgamma, mut dbeta) = (Vec::new(), vec![0.0; width], vec![0.0; width]);
    for (x, dy) in x.chunks_exact(width.max(1)).zip(dy.chunks_exact(width.max(1))) {
        let mean = x.iter().sum::<f64>() / size;
        let variance = x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / size;
        let deviation = (variance + epsilon).sqrt();
        let dnormal: Vec<f64> = dy.iter().zip(gamma).map(|(dy, gamma)| dy * gamma).collect();
        let dvariance: f64 = dnormal.iter().zip(x).map(|(d, x)| -0.5 * d * (x - mean) / deviation.powi(3)).sum();
        let dmean: f64 = dnormal.iter().map(|d| -d / deviation).sum();
        for (at, x) in x.iter().enumerate() {
            dx.push(dnormal[at] / deviation + dvariance * 2.0 * (x - mean) / size + dmean / size);
            dgamma[at] += dy[at] * (x - mean) / deviation;
            dbeta[at] += dy[at];
        }
    }
    Reference { y: forward(x, gamma, beta, epsilon), dx, dgamma, dbeta }
}
