//! Greedy search, beam search and sampling, one token a turn.
use std::sync::Arc;

use sconce_kernels::{Context, buffer::Buffer, rows::for_rows};

use super::{
    beams::Hypothesis,
    candidates::Scored,
    choice::{Choice, Work},
    processors::{Chain, History},
    request::{Feed, GenerationRequest, SearchOptions},
    sentence::{Search, Sentence, impossible},
    stepper::Stepper,
};
use crate::{
    error::{Code, Error, Result},
    interrupt::Interrupt,
    memory,
    model::Model,
    shape::Dimension,
    tensor::Tensor,
};

/// What was generated.
#[derive(Clone, Debug, PartialEq)]
pub struct Generated {
    /// `[N, length]`, without the first token, the end included, padded; N sequences, those of a row of the request one after
    /// the other, the best first.
    pub ids: Vec<i32>,
    /// Tokens of each sequence.
    pub lengths: Vec<i32>,
    /// What each sequence is ranked by: the sum of its log-probabilities, in beam search divided by a power of its length.
    pub scores: Vec<f32>,
    /// `[N, length]`: the log-probability of each token, 0 behind the end.
    pub log_probabilities: Vec<f32>,
    /// Sequences of each row of the request.
    pub counts: Vec<i32>,
    /// Length of the longest sequence.
    pub length: usize,
}

/// A search under way.
#[derive(Debug)]
pub struct Generation {
    request: GenerationRequest,
    stepper: Stepper,
    choice: Choice,
    /// Sentences that are not done, in the order of the stepper's rows.
    sentences: Vec<Sentence>,
    /// Rows that the stepper has for each sentence: one until tokens are chosen.
    width: usize,
    found: Vec<Vec<Hypothesis>>,
}

impl Generation {
    /// Prepares a search. `inputs` are the inputs of the model but the decoder's, in order.
    ///
    /// # Errors
    /// `Graph` if the decoder is not causal; `Shape` or `Option`.
    pub fn new(
        model: Arc<Model>,
        request: GenerationRequest,
        inputs: Vec<Tensor>,
        interrupt: Interrupt,
    ) -> Result<Self> {
        Self::constrained(model, request, inputs, interrupt, false)
    }

    /// The same for a search whose caller may say at each step which tokens are allowed.
    ///
    /// # Errors
    /// As [`Generation::new`].
    pub fn constrained(
        model: Arc<Model>,
        request: GenerationRequest,
        inputs: Vec<Tensor>,
        interrupt: Interrupt,
        constrained: bool,
    ) -> Result<Self> {
        request.check()?;
        let batch = match inputs.first().and_then(|input| input.shape.first().copied()) {
            Some(batch) => batch,
            None if request.prompts.is_empty() => {
                return Err(Error::new(
                    Code::Shape,
                    "generate: the model has no input beside the decoder's: give prompts, one for each text",
                ));
            }
            None => request.prompts.len(),
        };
        for (name, count) in
            [("prompts", request.prompts.len()), ("sources", request.sources.len()), ("streams", request.streams.len())]
        {
            if count != 0 && count != batch {
                return Err(Error::new(
                    Code::Shape,
                    format!("generate: expected {batch} {name}, one for each row of the inputs, got {count}"),
                ));
            }
        }
        // Scores of all rows, before and after processors.
        let classes = model.plan.outputs.get(request.output).and_then(|&output| model.plan.values[output].shape.last());
        let classes = if let Some(Dimension::Size(classes)) = classes { *classes } else { 1 };
        let bytes = [batch, request.search.rows(), classes, 8].into_iter().fold(1, usize::saturating_mul);
        memory::check("a step of generate", bytes, memory::available(), "use fewer beams or sequences")?;
        // What all rows are given runs at once.
        let common = request.prompts.iter().map(Vec::len).min().unwrap_or(0);
        let sentences: Vec<Sentence> = (0..batch).map(|place| Sentence::new(&request, place, common)).collect();
        let first: Vec<&[i32]> = sentences.iter().map(|sentence| &sentence.given[..=common]).collect();
        let stepper = Stepper::new(model, &request, inputs, &first, interrupt)?;
        let width = request.search.rows();
        if width > 1 && !stepper.movable {
            return Err(Error::new(
                Code::Graph,
                "generate: the model keeps values whose first axis is not the batch: it can be decoded with one sequence \
                 for each text only",
            ));
        }
        let known = |id: i32| usize::try_from(id).is_ok_and(|id| id < stepper.classes);
        let classes = stepper.classes;
        if !known(request.begin_id) && request.feed == Feed::OneHot || request.end_id.iter().any(|&id| !known(id)) {
            return Err(Error::new(Code::Option, format!("beginId and endId must be within 0..{classes}")));
        }
        let options = &request.processors;
        let named = [
            ("forcedBosTokenId", options.forced_bos_token_id.as_slice()),
            ("forcedEosTokenId", options.forced_eos_token_id.as_slice()),
            ("suppressTokens", options.suppress_tokens.as_slice()),
        ];
        let words = options.bad_words_ids.iter().map(|word| ("badWordsIds", word.as_slice()));
        if let Some((name, _)) = named.into_iter().chain(words).find(|(_, ids)| !ids.iter().all(|&id| known(id))) {
            return Err(Error::new(Code::Option, format!("{name} must be within 0..{classes}")));
        }
        let beams = request.search.num_beams;
        let kept = if beams > 1 { request.end_id.len() + 1 } else { 1 };
        let choice = Choice {
            processors: Chain::processors(&request, constrained),
            warpers: request.search.sampling.as_ref().map(|sampling| Chain::warpers(sampling, kept)),
            candidates: if beams > 1 { request.beam_options().candidates() } else { 0 },
            excluded: u32::try_from(request.pad_id).ok(),
        };
        Ok(Self { request, stepper, choice, sentences, width: 1, found: vec![Vec::new(); batch] })
    }

    /// Generates one more token for each row; `Some` if that was the last.
    ///
    /// # Errors
    /// `Data`, `State` or `Cancelled`; `Option` if no token may follow a row.
    pub fn advance(&mut self) -> Result<Option<Generated>> {
        self.advance_within(&[])
    }

    /// The same with the tokens that may follow each of the [`Generation::prefixes`].
    ///
    /// # Errors
    /// As [`Generation::advance`].
    pub fn advance_within(&mut self, allowed: &[Vec<i32>]) -> Result<Option<Generated>> {
        if !self.sentences.is_empty() {
            self.step(allowed)?;
        }
        Ok(self.sentences.is_empty().then(|| self.result()))
    }

    /// The rows whose next token is chosen by [`Generation::advance`]: the row of the request, and what it has so far behind
    /// the first token.
    #[must_use]
    pub fn prefixes(&self) -> Vec<(usize, &[i32])> {
        let open = self.sentences.iter().filter(|sentence| !sentence.is_given());
        open.flat_map(|sentence| {
            sentence.rows().into_iter().take(self.width).map(|tokens| (sentence.place, &tokens[1..]))
        })
        .collect()
    }

    /// Tokens of a row of the request that will not change any more.
    #[must_use]
    pub fn stable(&self, place: usize) -> Vec<i32> {
        match self.sentences.iter().find(|sentence| sentence.place == place) {
            None => {
                self.found.get(place).and_then(|found| found.first()).map_or(Vec::new(), |best| best.tokens.clone())
            }
            Some(Sentence { search: Search::Beams(beams), .. }) => beams.common().to_vec(),
            Some(sentence) => sentence.found(1).swap_remove(0).tokens,
        }
    }

    fn step(&mut self, allowed: &[Vec<i32>]) -> Result<()> {
        let width = self.width;
        let rows: Vec<&[i32]> =
            self.sentences.iter().flat_map(|sentence| sentence.rows().into_iter().take(width)).collect();
        let scores = self.stepper.scores(&rows)?;
        let (classes, steps) = (self.stepper.classes.max(1), scores.shape.get(1).copied().unwrap_or(1).max(1));
        let scores = scores.floats()?;
        let mut changed = Buffer::new(if self.choice.changes() { rows.len() * classes } else { 0 });
        let mut room = changed.chunks_exact_mut(classes);
        let mut allowed = allowed.iter();
        let mut works = Vec::with_capacity(rows.len());
        let sampling = self.request.search.sampling;
        for sentence in self.sentences.iter() {
            for (number, tokens) in sentence.rows().into_iter().take(width).enumerate() {
                let row = works.len();
                let is_given = sentence.is_given();
                works.push(Work {
                    history: History {
                        tokens,
                        given: sentence.given.len(),
                        sentence: sentence.place,
                        allowed: if is_given { None } else { allowed.next().map(Vec::as_slice) },
                    },
                    draws: sentence.draws(sampling, number),
                    is_done: is_given || sentence.is_done(number),
                    scores: &scores[(row * steps + steps - 1) * classes..][..classes],
                    changed: room.next().unwrap_or(&mut []),
                    next: Vec::new(),
                });
            }
        }
        for_rows(Context::global(), &mut works, 1, classes, |_, works| {
            works.iter_mut().for_each(|work| self.choice.run(work));
        });
        // Rows that are drawn of one beginning have one distribution, but numbers of their own.
        let SearchOptions { num_beams, num_return_sequences, .. } = self.request.search;
        if width == 1 && num_beams == 1 {
            for (work, sentence) in works.iter_mut().zip(&self.sentences).filter(|(work, _)| !work.is_done) {
                for number in 1..num_return_sequences {
                    let before = std::mem::take(&mut work.next);
                    work.draws = sentence.draws(sampling, number);
                    self.choice.run(work);
                    work.next.splice(..0, before);
                }
            }
        }
        let next: Vec<Vec<Scored>> = works.into_iter().map(|work| work.next).collect();
        let mut parents = Vec::with_capacity(self.sentences.len());
        for (sentence, next) in self.sentences.iter_mut().zip(next.chunks(width)) {
            parents.push(sentence.choose(&self.request, next)?);
        }
        self.settle(&parents)
    }

    /// Lets sentences that are done go, and brings the rows of the others into their order.
    fn settle(&mut self, parents: &[Vec<usize>]) -> Result<()> {
        let total = self.sentences.len();
        if !self.stepper.movable && self.sentences.iter().any(|sentence| !sentence.is_done) {
            return Ok(());
        }
        let (mut rows, mut left, mut going) = (Vec::new(), Vec::new(), Vec::new());
        for ((number, sentence), parents) in std::mem::take(&mut self.sentences).into_iter().enumerate().zip(parents) {
            if sentence.is_done {
                let found = sentence.found(self.request.search.num_return_sequences);
                if found.is_empty() {
                    return Err(impossible());
                }
                self.found[sentence.place] = found;
                continue;
            }
            rows.extend(parents.iter().map(|parent| number * self.width + parent));
            left.push(number);
            going.push(sentence);
        }
        self.sentences = going;
        let wanted = self.request.search.rows();
        let is_same = self.width == wanted
            && rows.len() == total * wanted
            && rows.iter().enumerate().all(|(place, &row)| place == row);
        if !self.sentences.is_empty() && !is_same {
            self.stepper.select(&rows, (left.len() < total).then_some(left.as_slice()));
        }
        self.width = wanted;
        Ok(())
    }

    fn result(&self) -> Generated {
        let all: Vec<&Hypothesis> = self.found.iter().flatten().collect();
        let length = all.iter().map(|found| found.tokens.len()).max().unwrap_or(0);
        let mut ids = Vec::with_capacity(all.len() * length);
        let mut log_probabilities = Vec::with_capacity(all.len() * length);
        for found in &all {
            let rest = length - found.tokens.len();
            ids.extend_from_slice(&found.tokens);
            ids.extend(std::iter::repeat_n(self.request.pad_id, rest));
            log_probabilities.extend_from_slice(&found.log_probabilities);
            log_probabilities.extend(std::iter::repeat_n(0.0, rest));
        }
        Generated {
            ids,
            lengths: all.iter().map(|found| found.tokens.len() as i32).collect(),
            scores: all.iter().map(|found| found.score).collect(),
            log_probabilities,
            counts: self.found.iter().map(|found| found.len() as i32).collect(),
            length,
        }
    }
}
