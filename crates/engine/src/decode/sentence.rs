//! One row of a request: the sequences that are made of it.
use super::{
    beams::{Beams, Candidate, Hypothesis},
    candidates::{Scored, descending},
    draw::Draws,
    request::{GenerationRequest, Sampling},
};
use crate::error::{Code, Error, Result};

/// A sequence that is gone on with by itself.
#[derive(Clone, Debug)]
pub(super) struct Row {
    /// The first token, those that are given, and what was generated.
    tokens: Vec<i32>,
    log_probabilities: Vec<f32>,
    score: f64,
    is_done: bool,
}

/// How a row of the request is gone on with.
#[derive(Clone, Debug)]
pub(super) enum Search {
    /// Sequences beside each other, which know nothing of each other.
    Rows(Vec<Row>),
    Beams(Beams),
}

/// One row of the request, or what goes on with one of several first tokens.
#[derive(Clone, Debug)]
pub(super) struct Sentence {
    pub place: usize,
    /// The number of the first token among those.
    pub branch: usize,
    stream: u32,
    /// The first token and those that are given.
    pub given: Vec<i32>,
    pub search: Search,
    pub is_done: bool,
}

impl Sentence {
    /// Before the first step, of which `common` given tokens are read besides the first token.
    pub(super) fn new(request: &GenerationRequest, place: usize, common: usize) -> Self {
        let mut given = vec![request.begin_id];
        given.extend(request.prompts.get(place).into_iter().flatten());
        let tokens = given[..=common].to_vec();
        let search = if request.search.num_beams > 1 {
            Search::Beams(Beams::new(request.beam_options(), tokens))
        } else {
            let row = Row { tokens, log_probabilities: Vec::new(), score: 0.0, is_done: false };
            Search::Rows(vec![row; request.search.sequences()])
        };
        let stream = request.streams.get(place).copied().unwrap_or(place as u32);
        Self { place, branch: 0, stream, given, search, is_done: false }
    }

    /// The tokens of one of its rows.
    pub(super) fn tokens(&self, number: usize) -> &[i32] {
        match &self.search {
            Search::Rows(rows) => rows.get(number).map_or(&[], |row| &row.tokens),
            Search::Beams(beams) => beams.running.get(number).map_or(&[], |beam| &beam.tokens),
        }
    }

    /// Tokens of each of its rows.
    fn length(&self) -> usize {
        self.tokens(0).len()
    }

    /// Whether the next token is given.
    pub(super) fn is_given(&self) -> bool {
        self.length() < self.given.len()
    }

    /// Whether no token was chosen, and the next one is.
    pub(super) fn is_new(&self) -> bool {
        self.length() == self.given.len()
    }

    pub(super) fn is_done(&self, number: usize) -> bool {
        match &self.search {
            Search::Rows(rows) => rows.get(number).is_some_and(|row| row.is_done),
            Search::Beams(_) => self.is_done,
        }
    }

    /// Whether one of its rows may become a result; beams are filled up with rows that cannot.
    pub(super) fn is_open(&self, number: usize) -> bool {
        match &self.search {
            Search::Rows(rows) => rows.get(number).is_some_and(|row| !row.is_done),
            Search::Beams(beams) => beams.is_possible(number),
        }
    }

    /// Random numbers of one of its rows at this step.
    pub(super) fn draws(&self, sampling: Option<Sampling>, number: usize) -> Draws {
        Draws {
            seed: sampling.map_or(0, |sampling| sampling.seed),
            stream: self.stream,
            sequence: number as u32,
            step: (self.length() - self.given.len().min(self.length())) as u64,
        }
    }

    /// Goes on by each of the tokens that may come first, by itself: the sentences with the row that each of theirs comes from.
    pub(super) fn branches(&self, request: &GenerationRequest, next: &[Scored]) -> Result<Vec<(Self, Vec<usize>)>> {
        if next.is_empty() {
            return Err(impossible());
        }
        let one = |(branch, &token): (usize, &Scored)| {
            let mut sentence = Self { branch, ..self.clone() };
            let parents = sentence.choose(request, &[vec![token]])?;
            Ok((sentence, parents))
        };
        next.iter().enumerate().map(one).collect()
    }

    /// Goes on by a token, chosen from what may follow each row that the stepper has (one, until tokens were chosen). Gives
    /// the row that each comes from.
    pub(super) fn choose(&mut self, request: &GenerationRequest, next: &[Vec<Scored>]) -> Result<Vec<usize>> {
        let parent = |row: usize| if next.len() == 1 { 0 } else { row };
        if self.is_given() {
            let token = self.given[self.length()];
            match &mut self.search {
                Search::Rows(rows) => rows.iter_mut().for_each(|row| row.tokens.push(token)),
                Search::Beams(beams) => beams.give(token),
            }
            return Ok((0..request.search.rows()).map(parent).collect());
        }
        let draws = self.draws(request.search.sampling, 0);
        match &mut self.search {
            Search::Rows(rows) => {
                let single = next.len() == 1;
                for (number, row) in rows.iter_mut().enumerate() {
                    if row.is_done {
                        row.tokens.push(request.end_id.first().copied().unwrap_or(request.begin_id));
                        continue;
                    }
                    let chosen = if single { next[0].get(number) } else { next[number].first() };
                    let &(log_probability, id) = chosen.ok_or_else(impossible)?;
                    row.tokens.push(id as i32);
                    row.log_probabilities.push(log_probability);
                    row.score += f64::from(log_probability);
                    row.is_done =
                        request.end_id.contains(&(id as i32)) || row.log_probabilities.len() >= request.max_new_tokens;
                }
                self.is_done = rows.iter().all(|row| row.is_done);
                Ok((0..rows.len()).map(parent).collect())
            }
            Search::Beams(beams) => {
                let all = beams.running.iter().enumerate().flat_map(|(number, beam)| {
                    next[parent(number)].iter().map(move |&(log_probability, id)| Candidate {
                        score: beam.score + log_probability,
                        beam: number,
                        token: id as i32,
                        log_probability,
                    })
                });
                let sampled = request.search.sampling.is_some().then_some(draws);
                let candidates = chosen(all.collect(), request.beam_options().candidates(), sampled);
                if candidates.is_empty() {
                    return Err(impossible());
                }
                self.is_done = beams.advance(&candidates);
                Ok(beams.running.iter().map(|beam| parent(beam.parent)).collect())
            }
        }
    }

    pub(super) fn found(&self, count: usize) -> Vec<Hypothesis> {
        match &self.search {
            Search::Rows(rows) => rows
                .iter()
                .map(|row| {
                    let tokens = row.tokens.get(self.given.len()..).unwrap_or(&[]);
                    Hypothesis {
                        tokens: tokens.iter().take(row.log_probabilities.len()).copied().collect(),
                        log_probabilities: row.log_probabilities.clone(),
                        score: row.score as f32,
                    }
                })
                .collect(),
            Search::Beams(beams) => beams.found(count),
        }
    }
}

/// The best continuations, the best first, or some that are drawn, in the order of drawing.
fn chosen(mut all: Vec<Candidate>, count: usize, draws: Option<Draws>) -> Vec<Candidate> {
    if let Some(draws) = draws {
        let scores: Vec<f32> = all.iter().map(|candidate| candidate.score).collect();
        return draws.without_replacement(&scores, count).into_iter().map(|place| all[place]).collect();
    }
    all.sort_by(|a, b| descending(a.score, b.score));
    all.truncate(count);
    all
}

/// No token may follow.
pub(super) fn impossible() -> Error {
    Error::new(
        Code::Option,
        "generate: no token may follow: the options exclude every one, or the probabilities are no numbers",
    )
}
