//! Tokens that have to come at a place.
use super::{History, Processor};

/// Leaves nothing but some tokens, with score 0.
fn force(scores: &mut [f32], ids: &[i32]) {
    scores.fill(f32::NEG_INFINITY);
    for &id in ids {
        if let Some(score) = usize::try_from(id).ok().and_then(|id| scores.get_mut(id)) {
            *score = 0.0;
        }
    }
}

/// The token behind the first.
#[derive(Debug)]
pub(super) struct First(pub i32);

impl Processor for First {
    fn process(&self, history: &History<'_>, scores: &mut [f32]) {
        if history.tokens.len() == 1 {
            force(scores, &[self.0]);
        }
    }
}

/// The tokens at the last place that a row may have.
#[derive(Debug)]
pub(super) struct Last {
    /// New tokens that a row may have.
    pub new: usize,
    /// One of these is the last.
    pub ids: Vec<i32>,
}

impl Processor for Last {
    fn process(&self, history: &History<'_>, scores: &mut [f32]) {
        if history.tokens.len() - history.given + 1 == self.new {
            force(scores, &self.ids);
        }
    }
}
