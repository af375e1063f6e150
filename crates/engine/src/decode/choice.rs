//! The tokens that may follow a row, from its scores.
use super::{
    candidates::{Scored, log_sum_exp, top},
    draw::Draws,
    processors::{Chain, History},
};

/// One row at a step, and the tokens that may follow it: one if rows go on by themselves, else several.
pub(super) struct Work<'a> {
    pub history: History<'a>,
    pub draws: Draws,
    pub is_done: bool,
    /// How many tokens are wanted, if none are drawn.
    pub count: usize,
    /// The scores of all tokens, which are changed in place where nobody reads them again.
    pub scores: &'a mut [f32],
    /// For changed scores where somebody does; else empty.
    pub changed: &'a mut [f32],
    pub next: Vec<Scored>,
}

/// How tokens are chosen.
#[derive(Debug)]
pub(super) struct Choice {
    pub processors: Chain,
    /// Only when tokens are drawn.
    pub warpers: Option<Chain>,
    /// Whether tokens are chosen for beams.
    pub beams: bool,
    pub excluded: Option<u32>,
}

impl Choice {
    pub(super) fn changes(&self) -> bool {
        !self.processors.is_empty() || self.warpers.is_some()
    }

    /// Fills [`Work::next`].
    pub(super) fn run(&self, work: &mut Work<'_>) {
        if work.is_done {
            return;
        }
        work.next = if self.beams { self.beam(work) } else { self.single(work) };
    }

    /// The tokens that follow a row, with their log-probabilities.
    fn single(&self, work: &mut Work<'_>) -> Vec<Scored> {
        if !self.changes() {
            return normalized(top(work.scores, work.count, self.excluded), work.scores);
        }
        let scores = changed(work.scores, work.changed);
        self.processors.process(&work.history, scores);
        let Some(warpers) = &self.warpers else {
            return normalized(top(scores, work.count, self.excluded), scores);
        };
        self.exclude(scores);
        warpers.process(&work.history, scores);
        normalized(work.draws.one(&finite(scores)).into_iter().collect(), scores)
    }

    /// The tokens that may follow a beam, with their log-probabilities.
    fn beam(&self, work: &mut Work<'_>) -> Vec<Scored> {
        let total = log_sum_exp(work.scores);
        if !self.changes() {
            return subtracted(top(work.scores, work.count, self.excluded), total);
        }
        let scores = changed(work.scores, work.changed);
        scores.iter_mut().for_each(|score| *score = minus(*score, total));
        self.processors.process(&work.history, scores);
        self.exclude(scores);
        let Some(warpers) = &self.warpers else { return top(scores, work.count, None) };
        warpers.process(&work.history, scores);
        finite(scores)
    }

    fn exclude(&self, scores: &mut [f32]) {
        if let Some(score) = self.excluded.and_then(|id| scores.get_mut(id as usize)) {
            *score = f32::NEG_INFINITY;
        }
    }
}

/// The scores that are changed: a copy, if there is room for one.
fn changed<'a>(scores: &'a mut [f32], room: &'a mut [f32]) -> &'a mut [f32] {
    if room.is_empty() {
        return scores;
    }
    room.copy_from_slice(scores);
    room
}

fn minus(score: f32, total: f64) -> f32 {
    (f64::from(score) - total) as f32
}

fn subtracted(mut tokens: Vec<Scored>, total: f64) -> Vec<Scored> {
    tokens.iter_mut().for_each(|(score, _)| *score = minus(*score, total));
    tokens
}

/// Tokens of a row with their log-probabilities.
fn normalized(tokens: Vec<Scored>, scores: &[f32]) -> Vec<Scored> {
    if tokens.is_empty() { tokens } else { subtracted(tokens, log_sum_exp(scores)) }
}

/// Tokens that are not excluded.
fn finite(scores: &[f32]) -> Vec<Scored> {
    scores.iter().copied().zip(0..).filter(|(score, _)| score.is_finite()).collect()
}
