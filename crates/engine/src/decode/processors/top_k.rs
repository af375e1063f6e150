//! Only the best tokens are left.
use super::{History, Processor};

/// Excludes tokens with a lower score than the one at this place.
#[derive(Debug)]
pub(super) struct TopK(pub usize);

impl Processor for TopK {
    fn process(&self, _: &History<'_>, scores: &mut [f32]) {
        if self.0 >= scores.len() {
            return;
        }
        let mut sorted = scores.to_vec();
        let (_, &mut least, _) = sorted.select_nth_unstable_by(self.0 - 1, |a, b| b.total_cmp(a));
        for score in scores {
            if *score < least {
                *score = f32::NEG_INFINITY;
            }
        }
    }
}
