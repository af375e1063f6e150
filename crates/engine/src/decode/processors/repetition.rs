//! Tokens that a row has get lower scores.
use super::{History, Processor};

/// Divides positive scores of tokens that are there by a penalty and multiplies negative ones by it.
#[derive(Debug)]
pub(super) struct RepetitionPenalty(pub f32);

impl Processor for RepetitionPenalty {
    fn process(&self, history: &History<'_>, scores: &mut [f32]) {
        let mut seen = history.tokens.to_vec();
        seen.sort_unstable();
        seen.dedup();
        for id in seen {
            if let Some(score) = usize::try_from(id).ok().and_then(|id| scores.get_mut(id)) {
                *score = if *score < 0.0 { *score * self.0 } else { *score / self.0 };
            }
        }
    }
}
