//! Beam search of one sentence: which sequences are gone on with, which are finished, and when it ends.
//!
//! # Source
//! The rules, and the order in which numbers are rounded, are those of `_beam_search` in
//! `huggingface/transformers:src/transformers/generation/utils.py` (version 5.23) for a batch of one sentence.
use super::{candidates::descending, request::EarlyStopping};

/// The score of what must not be chosen while there is anything else.
const OUT: f32 = -1e9;

/// What beam search depends on.
#[derive(Clone, Debug)]
pub(super) struct BeamOptions {
    /// Sequences that are gone on with.
    pub beams: usize,
    /// Power of the length that sums are divided by.
    pub length_penalty: f64,
    /// When the search ends.
    pub early_stopping: EarlyStopping,
    /// Tokens that a sequence has at most.
    pub max_new_tokens: usize,
    /// Tokens that end a sequence.
    pub ends: Vec<i32>,
}

impl BeamOptions {
    /// Continuations that are looked at in a step: so many that enough of them go on if every sequence could end in each way.
    pub fn candidates(&self) -> usize {
        (1 + self.ends.len()).max(2) * self.beams
    }

    fn divisor(&self, length: usize) -> f32 {
        (length as f64).powf(self.length_penalty) as f32
    }
}

/// A sequence that is gone on with.
#[derive(Clone, Debug)]
pub(super) struct Beam {
    /// All tokens, the given ones included.
    pub tokens: Vec<i32>,
    /// The log-probability of each generated one.
    pub log_probabilities: Vec<f32>,
    /// Their sum.
    pub score: f32,
    /// Which of the rows before the last step it comes from.
    pub parent: usize,
}

/// A possible continuation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Candidate {
    /// Sum of log-probabilities with the new token.
    pub score: f32,
    /// The beam.
    pub beam: usize,
    /// The new token.
    pub token: i32,
    /// Its log-probability.
    pub log_probability: f32,
}

/// A sequence that ended, or the place of one.
#[derive(Clone, Debug)]
struct Ended {
    beam: Option<Beam>,
    score: f32,
    is_finished: bool,
}

/// The state of the search.
#[derive(Clone, Debug)]
pub(super) struct Beams {
    options: BeamOptions,
    /// As many as there are beams, the best first.
    pub running: Vec<Beam>,
    ended: Vec<Ended>,
    given: usize,
    improvable: bool,
}

/// What a search found.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Hypothesis {
    /// Generated tokens, the end included.
    pub tokens: Vec<i32>,
    /// The log-probability of each.
    pub log_probabilities: Vec<f32>,
    /// What it is ranked by.
    pub score: f32,
}

impl Beams {
    /// Before the first step, with the tokens that are given.
    pub fn new(options: BeamOptions, tokens: Vec<i32>) -> Self {
        let given = tokens.len();
        let beam = |score| Beam { tokens: tokens.clone(), log_probabilities: Vec::new(), score, parent: 0 };
        // All beams are the same at first: only one may be gone on with.
        let running = (0..options.beams).map(|number| beam(if number == 0 { 0.0 } else { OUT })).collect();
        let ended = vec![Ended { beam: None, score: OUT, is_finished: false }; options.beams];
        Self { options, running, ended, given, improvable: true }
    }

    /// Gives a token to all beams, before any was generated.
    pub fn give(&mut self, token: i32) {
        self.given += 1;
        self.running.iter_mut().for_each(|beam| beam.tokens.push(token));
    }

    /// Goes on with candidates, the best (or the first drawn) first; `true`: this was the last step.
    ///
    /// There may be fewer than [`BeamOptions::candidates`]; the others are impossible ones.
    pub fn advance(&mut self, candidates: &[Candidate]) -> bool {
        let options = &self.options;
        let count = options.candidates();
        let impossible = Candidate {
            score: f32::NEG_INFINITY,
            beam: 0,
            token: options.ends.first().copied().unwrap_or(0),
            log_probability: f32::NEG_INFINITY,
        };
        let candidates: Vec<Candidate> =
            candidates.iter().copied().chain(std::iter::repeat(impossible)).take(count).collect();
        let length = self.running.first().map_or(0, |beam| beam.tokens.len()) + 1 - self.given;
        let last = length >= options.max_new_tokens;
        let stops: Vec<bool> =
            candidates.iter().map(|candidate| last || options.ends.contains(&candidate.token)).collect();
        let extend = |candidate: &Candidate, score: f32| {
            let before = &self.running[candidate.beam];
            Beam {
                tokens: extended(&before.tokens, candidate.token),
                log_probabilities: extended(&before.log_probabilities, candidate.log_probability),
                score,
                parent: candidate.beam,
            }
        };

        let going: Vec<f32> = candidates
            .iter()
            .zip(&stops)
            .map(|(candidate, &stop)| if stop { candidate.score + OUT } else { candidate.score })
            .collect();
        let mut order: Vec<usize> = (0..count).collect();
        order.sort_by(|&a, &b| descending(going[a], going[b]));
        let running: Vec<Beam> =
            order[..options.beams].iter().map(|&place| extend(&candidates[place], going[place])).collect();

        let is_full = options.early_stopping == EarlyStopping::Full && self.ended.iter().all(|ended| ended.is_finished);
        let divisor = options.divisor(length);
        let mut before = std::mem::take(&mut self.ended);
        let mut all: Vec<(f32, bool)> = before.iter().map(|ended| (ended.score, ended.is_finished)).collect();
        for (place, (candidate, &stop)) in candidates.iter().zip(&stops).enumerate() {
            // Those behind the first are only there so that enough can go on.
            let finished = stop && place < options.beams;
            let mut score = candidate.score / divisor;
            for out in [is_full, !self.improvable, !finished] {
                score += if out { OUT } else { 0.0 };
            }
            all.push((score, finished));
        }
        let mut order: Vec<usize> = (0..all.len()).collect();
        order.sort_by(|&a, &b| descending(all[a].0, all[b].0));
        let ended = order[..options.beams]
            .iter()
            .map(|&place| {
                let (score, is_finished) = all[place];
                match place.checked_sub(options.beams) {
                    None => Ended { beam: before[place].beam.take(), score, is_finished },
                    Some(place) => {
                        let beam = is_finished.then(|| extend(&candidates[place], candidates[place].score));
                        Ended { beam, score, is_finished }
                    }
                }
            })
            .collect();
        self.running = running;
        self.ended = ended;
        self.improvable = self.improvable && self.can_improve(length);
        let is_full =
            self.options.early_stopping == EarlyStopping::Full && self.ended.iter().all(|ended| ended.is_finished);
        !self.improvable || is_full || stops.iter().all(|&stop| stop)
    }

    /// Whether a running beam may become better than one that ended.
    fn can_improve(&self, length: usize) -> bool {
        let options = &self.options;
        let length = if options.early_stopping == EarlyStopping::Never && options.length_penalty > 0.0 {
            options.max_new_tokens
        } else {
            length
        };
        let best = self.running[0].score / options.divisor(length);
        let least = self.ended.iter().map(|ended| ended.score).fold(f32::INFINITY, f32::min);
        self.ended.iter().any(|ended| best > if ended.is_finished { least } else { OUT })
    }

    /// The best sequences that ended, the best first; fewer than `count` if there were no more.
    pub fn found(&self, count: usize) -> Vec<Hypothesis> {
        let real = |ended: &&Ended| ended.is_finished && ended.score > OUT / 2.0;
        self.ended
            .iter()
            .take(count)
            .filter(real)
            .filter_map(|ended| {
                let beam = ended.beam.as_ref().filter(|beam| beam.score > OUT / 2.0)?;
                Some(Hypothesis {
                    tokens: beam.tokens[self.given..].to_vec(),
                    log_probabilities: beam.log_probabilities.clone(),
                    score: ended.score,
                })
            })
            .collect()
    }

    /// Whether a running beam is one that may be found.
    pub fn is_possible(&self, number: usize) -> bool {
        self.running.get(number).is_some_and(|beam| beam.score > OUT / 2.0)
    }

    /// The tokens with which every sequence begins that may still be the best one.
    pub fn common(&self) -> &[i32] {
        let running = self.running.iter().filter(|beam| beam.score > OUT / 2.0);
        let mut all = running.chain(self.ended.iter().filter_map(|ended| ended.beam.as_ref()));
        let Some(first) = all.next() else { return &[] };
        let same = |a: &[i32], b: &[i32]| a.iter().zip(b).take_while(|(a, b)| a == b).count();
        let length = all.fold(first.tokens.len(), |length, beam| same(&first.tokens[..length], &beam.tokens));
        &first.tokens[self.given.min(length)..length]
    }
}

fn extended<T: Copy>(all: &[T], last: T) -> Vec<T> {
    let mut longer = Vec::with_capacity(all.len() + 1);
    longer.extend_from_slice(all);
    longer.push(last);
    longer
}

#[cfg(test)]
mod tests {
    use super::{BeamOptions, Beams, Candidate};
    use crate::decode::request::EarlyStopping;

    fn options(early_stopping: EarlyStopping) -> BeamOptions {
        BeamOptions { beams: 2, length_penalty: 1.0, early_stopping, max_new_tokens: 3, ends: vec![9] }
    }

    fn candidate(score: f32, beam: usize, token: i32) -> Candidate {
        Candidate { score, beam, token, log_probability: score }
    }

    #[test]
    fn only_the_first_candidates_may_end() {
        let mut beams = Beams::new(options(EarlyStopping::Never), vec![1]);
        let step = [candidate(-0.1, 0, 5), candidate(-0.2, 0, 6), candidate(-0.3, 0, 9), candidate(-0.4, 0, 7)];
        assert!(!beams.advance(&step));
        assert!(beams.found(2).is_empty());
        let running: Vec<_> = beams.running.iter().map(|beam| beam.tokens.clone()).collect();
        assert_eq!(running, [vec![1, 5], vec![1, 6]]);
        assert_eq!(beams.common(), [0i32; 0]);
        // Both end: what was behind them goes on.
        let step = [candidate(-0.5, 0, 9), candidate(-0.6, 1, 9), candidate(-0.7, 1, 5), candidate(-0.8, 0, 6)];
        assert!(!beams.advance(&step));
        assert_eq!(beams.found(2).iter().map(|found| found.score).collect::<Vec<_>>(), [-0.25, -0.3]);
        assert_eq!(beams.running.iter().map(|beam| beam.parent).collect::<Vec<_>>(), [1, 0]);
        // The last step ends all.
        let step = [candidate(-0.71, 0, 5), candidate(-2.0, 1, 9)];
        assert!(beams.advance(&step));
        let found = beams.found(2);
        assert_eq!(found[0].tokens, [6, 5, 5]);
        assert_eq!(found[1].tokens, [5, 9]);
        assert_eq!(found[1].log_probabilities, [-0.1, -0.5]);
    }

    #[test]
    fn early_stopping_decides_on_the_end() {
        for (early_stopping, ends) in
            [(EarlyStopping::Full, true), (EarlyStopping::Heuristic, true), (EarlyStopping::Never, false)]
        {
            let mut beams = Beams::new(BeamOptions { max_new_tokens: 30, ..options(early_stopping) }, vec![1]);
            let step = [candidate(-0.1, 0, 9), candidate(-0.2, 0, 5), candidate(-3.0, 0, 6)];
            assert!(!beams.advance(&step));
            let step = [candidate(-0.3, 0, 9), candidate(-3.0, 0, 5), candidate(-4.0, 1, 6)];
            assert_eq!(beams.advance(&step), ends, "{early_stopping:?}");
            assert_eq!(beams.found(9).len(), 2);
        }
    }
}
