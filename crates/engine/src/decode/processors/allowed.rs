//! The tokens that the caller allows after what a row has.
use super::{History, Processor};

/// Excludes all but those.
#[derive(Debug)]
pub(super) struct Allowed;

impl Processor for Allowed {
    fn process(&self, history: &History<'_>, scores: &mut [f32]) {
        let Some(allowed) = history.allowed else { return };
        let kept: Vec<(usize, f32)> = allowed
            .iter()
            .filter_map(|&id| usize::try_from(id).ok().and_then(|id| scores.get(id).map(|&score| (id, score))))
            .collect();
        scores.fill(f32::NEG_INFINITY);
        let is_forced = history.is_forced && kept.iter().all(|&(_, score)| score == f32::NEG_INFINITY);
        kept.into_iter().for_each(|(id, score)| scores[id] = if is_forced { 0.0 } else { score });
    }
}
