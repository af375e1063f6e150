//! Only tokens that are not much less probable than the best one are left.
use super::{History, Processor, left, probabilities};

/// Excludes tokens with less than this share of the largest probability.
#[derive(Debug)]
pub(super) struct MinP {
    /// From 0 to 1.
    pub share: f32,
    /// Tokens that are left, at least.
    pub kept: usize,
}

impl Processor for MinP {
    fn process(&self, _: &History<'_>, scores: &mut [f32]) {
        let mut ids = left(scores);
        ids.sort_by(|&a, &b| scores[b as usize].total_cmp(&scores[a as usize]));
        let probabilities = probabilities(scores, &ids);
        let Some(&most) = probabilities.first() else { return };
        for (&id, probability) in ids.iter().zip(probabilities).skip(self.kept) {
            if probability < self.share * most {
                scores[id as usize] = f32::NEG_INFINITY;
            }
        }
    }
}
