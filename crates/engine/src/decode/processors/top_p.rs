//! Only the best tokens that have some probability together are left.
use super::{History, Processor, left, probabilities};

/// Excludes the worst tokens that have at most `1 - share` together.
#[derive(Debug)]
pub(super) struct TopP {
    /// What is left, at least.
    pub share: f32,
    /// Tokens that are left, at least.
    pub kept: usize,
}

impl Processor for TopP {
    fn process(&self, _: &History<'_>, scores: &mut [f32]) {
        let mut ids = left(scores);
        ids.sort_by(|&a, &b| scores[a as usize].total_cmp(&scores[b as usize]));
        let limit = (1.0 - f64::from(self.share)) as f32;
        let mut sum = 0.0f64;
        let removable = ids.len().saturating_sub(self.kept);
        for (&id, probability) in ids[..removable].iter().zip(probabilities(scores, &ids)) {
            sum += f64::from(probability);
            if sum as f32 > limit {
                break;
            }
            scores[id as usize] = f32::NEG_INFINITY;
        }
    }
}
