//! Only tokens about as surprising as is to be expected are left.
//!
//! # Source
//! Meister, Pimentel, Wiher and Cotterell, "Locally Typical Sampling" (TACL 2023).
use super::{History, Processor, left, probabilities};

/// Excludes the tokens whose information is farthest from the entropy.
#[derive(Debug)]
pub(super) struct Typical {
    /// Probability that is left, at least.
    pub mass: f32,
    /// Tokens that are left, at least.
    pub kept: usize,
}

impl Processor for Typical {
    fn process(&self, _: &History<'_>, scores: &mut [f32]) {
        let ids = left(scores);
        let probabilities = probabilities(scores, &ids);
        let logarithms: Vec<f32> = probabilities.iter().map(|p| p.ln()).collect();
        let information = |(p, log): (&f32, &f32)| if *p > 0.0 { -f64::from(p * log) } else { 0.0 };
        let entropy = probabilities.iter().zip(&logarithms).map(information).sum::<f64>() as f32;
        let distance: Vec<f32> = logarithms.iter().map(|log| (-log - entropy).abs()).collect();
        let mut order: Vec<usize> = (0..ids.len()).collect();
        order.sort_by(|&a, &b| distance[a].total_cmp(&distance[b]));
        let mut sum = 0.0f64;
        let below = order.iter().take_while(|&&place| {
            sum += f64::from(probabilities[place]);
            (sum as f32) < self.mass
        });
        // Rounding may leave all below: then nothing is excluded.
        let Some(&last) = order.get(below.count()) else { return };
        for &place in order.iter().skip(self.kept) {
            if distance[place] > distance[last] {
                scores[ids[place] as usize] = f32::NEG_INFINITY;
            }
        }
    }
}
