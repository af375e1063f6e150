//! The tokens that may follow a row, from its scores.
use super::{
    candidates::{Scored, best, log_sum_exp, top},
    draw::Draws,
    processors::{Chain, History},
};

/// One row at a step, and the tokens that may follow it: one if rows go on by themselves, else several.
pub(super) struct Work<'a> {
    pub history: History<'a>,
    pub draws: Draws,
    pub is_done: bool,
    pub scores: &'a [f32],
    /// For changed scores; empty if none are changed.
    pub changed: &'a mut [f32],
    pub next: Vec<Scored>,
}

/// How tokens are chosen.
#[derive(Debug)]
pub(super) struct Choice {
    pub processors: Chain,
    /// Only when tokens are drawn.
    pub warpers: Option<Chain>,
    /// Continuations of all beams; 0 without beams.
    pub candidates: usize,
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
        work.next = if self.candidates > 0 { self.beam(work) } else { self.single(work) };
    }

    /// The token that follows a row, with its log-probability.
    fn single(&self, work: &mut Work<'_>) -> Vec<Scored> {
        if !self.changes() {
            let found = best(work.scores, self.excluded);
            return found.map(|(score, id)| (minus(score, log_sum_exp(work.scores)), id)).into_iter().collect();
        }
        let scores = &mut *work.changed;
        scores.copy_from_slice(work.scores);
        self.processors.process(&work.history, scores);
        let Some(warpers) = &self.warpers else {
            let total = log_sum_exp(scores);
            return best(scores, self.excluded).map(|(score, id)| (minus(score, total), id)).into_iter().collect();
        };
        self.exclude(scores);
        warpers.process(&work.history, scores);
        let total = log_sum_exp(scores);
        let drawn = work.draws.one(&finite(scores));
        drawn.map(|(score, id)| (minus(score, total), id)).into_iter().collect()
    }

    /// The tokens that may follow a beam, with their log-probabilities.
    fn beam(&self, work: &mut Work<'_>) -> Vec<Scored> {
        let total = log_sum_exp(work.scores);
        if !self.changes() {
            let mut found = top(work.scores, self.candidates, self.excluded);
            found.iter_mut().for_each(|(score, _)| *score = minus(*score, total));
            return found;
        }
        let scores = &mut *work.changed;
        for (changed, &score) in scores.iter_mut().zip(work.scores) {
            *changed = minus(score, total);
        }
        self.processors.process(&work.history, scores);
        self.exclude(scores);
        let Some(warpers) = &self.warpers else { return top(scores, self.candidates, None) };
        warpers.process(&work.history, scores);
        finite(scores)
    }

    fn exclude(&self, scores: &mut [f32]) {
        if let Some(score) = self.excluded.and_then(|id| scores.get_mut(id as usize)) {
            *score = f32::NEG_INFINITY;
        }
    }
}

fn minus(score: f32, total: f64) -> f32 {
    (f64::from(score) - total) as f32
}

/// Tokens that are not excluded.
fn finite(scores: &[f32]) -> Vec<Scored> {
    scores.iter().copied().zip(0..).filter(|(score, _)| score.is_finite()).collect()
}
