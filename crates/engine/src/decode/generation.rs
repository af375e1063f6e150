//! Greedy search, beam search and sampling, one token a turn.
use std::sync::Arc;

use sconce_kernels::{Context, buffer::Buffer, rows::for_rows};

use super::{
    beams::Hypothesis,
    candidates::Scored,
    choice::{Choice, Work},
    ensemble::Ensemble,
    processors::{Chain, History},
    request::{Feed, GenerationRequest},
    sentence::{Search, Sentence, impossible},
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
    decoder: Ensemble,
    choice: Choice,
    /// Whether the caller says which tokens are allowed.
    constrained: bool,
    /// Sentences that are not done, in the order of the decoder's rows.
    sentences: Vec<Sentence>,
    /// Rows that the decoder has for each sentence: one until tokens are chosen.
    width: usize,
    /// What was found, for each row of the request as often as it has searches.
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
        Self::together(&[model], request, inputs, interrupt, false)
    }

    /// The same of several models, as the request's `ensemble` says. `inputs` are those of all models, model after model;
    /// `interrupt` is that of the first. If the search is `constrained`, its caller may say at each step which tokens are allowed.
    ///
    /// # Errors
    /// As [`Generation::new`].
    pub fn together(
        models: &[Arc<Model>],
        mut request: GenerationRequest,
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
        let plan = models.first().map(|model| &model.plan);
        let classes = plan.and_then(|plan| plan.values[*plan.outputs.get(request.output)?].shape.last());
        let classes = if let Some(Dimension::Size(classes)) = classes { *classes } else { 1 };
        let search = &mut request.search;
        if search.return_alternatives {
            // There are no more than tokens.
            search.num_return_sequences = search.num_return_sequences.min(classes);
        }
        let (width, branches) = (search.rows(), search.branches());
        // Scores of all rows, of each model, together and after processors.
        let copies = if models.len() > 1 { models.len() + 2 } else { 2 };
        let bytes = [batch, branches, width, classes, copies, 4].into_iter().fold(1, usize::saturating_mul);
        memory::check("a step of generate", bytes, memory::available(), "use fewer beams or sequences")?;
        // What all rows are given runs at once.
        let common = request.prompts.iter().map(Vec::len).min().unwrap_or(0);
        let sentences: Vec<Sentence> = (0..batch).map(|place| Sentence::new(&request, place, common)).collect();
        let first: Vec<&[i32]> = sentences.iter().map(|sentence| &sentence.given[..=common]).collect();
        let decoder = Ensemble::new(models, &request, inputs, &first, &interrupt)?;
        if (width > 1 || branches > 1) && !decoder.movable {
            return Err(Error::new(
                Code::Graph,
                "generate: the model keeps values whose first axis is not the batch: it can be decoded with one sequence \
                 for each text only",
            ));
        }
        let classes = decoder.classes;
        let known = |id: i32| usize::try_from(id).is_ok_and(|id| id < classes);
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
            beams: beams > 1,
            excluded: u32::try_from(request.pad_id).ok(),
        };
        let found = vec![Vec::new(); batch * branches];
        Ok(Self { request, decoder, choice, constrained, sentences, width: 1, found })
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
            (0..self.width).map(|number| (sentence.place, sentence.tokens(number).get(1..).unwrap_or(&[])))
        })
        .collect()
    }

    /// Tokens of a row of the request that will not change any more.
    #[must_use]
    pub fn stable(&self, place: usize) -> Vec<i32> {
        match self.sentences.iter().find(|sentence| sentence.place == place) {
            None => {
                let found = self.found.get(place * self.request.search.branches());
                found.and_then(|found| found.first()).map_or(Vec::new(), |best| best.tokens.clone())
            }
            Some(Sentence { search: Search::Beams(beams), .. }) => beams.common().to_vec(),
            Some(sentence) => sentence.found(1).swap_remove(0).tokens,
        }
    }

    fn step(&mut self, allowed: &[Vec<i32>]) -> Result<()> {
        let next = self.choices(allowed)?;
        let mut after = Vec::with_capacity(self.sentences.len());
        for (mut sentence, next) in std::mem::take(&mut self.sentences).into_iter().zip(next.chunks(self.width)) {
            after.push(if self.request.search.return_alternatives && sentence.is_new() {
                sentence.branches(&self.request, &next[0])?
            } else {
                let parents = sentence.choose(&self.request, next)?;
                vec![(sentence, parents)]
            });
        }
        self.settle(after)
    }

    /// The tokens that may follow each row.
    fn choices(&mut self, allowed: &[Vec<i32>]) -> Result<Vec<Vec<Scored>>> {
        let width = self.width;
        let numbered = || self.sentences.iter().flat_map(|sentence| (0..width).map(move |number| (sentence, number)));
        let rows: Vec<&[i32]> = numbered().map(|(sentence, number)| sentence.tokens(number)).collect();
        let mut scores = self.decoder.scores(&rows)?;
        let (classes, steps) = (self.decoder.classes.max(1), scores.shape.get(1).copied().unwrap_or(1).max(1));
        let mut of_rows = scores.floats_mut()?.chunks_exact_mut(steps * classes);
        // Read again: where constraints come all the same, and by rows that are drawn of one beginning.
        let again = self.constrained || width == 1 && self.request.search.sequences() > 1;
        let mut changed = Buffer::new(if self.choice.changes() && again { rows.len() * classes } else { 0 });
        let mut room = changed.chunks_exact_mut(classes);
        let mut allowed = allowed.iter();
        let search = &self.request.search;
        let sampling = search.sampling;
        let count = if self.choice.beams { self.request.beam_options().candidates() } else { 1 };
        let mut works = Vec::with_capacity(rows.len());
        for (sentence, number) in numbered() {
            let is_given = sentence.is_given();
            works.push(Work {
                history: History {
                    tokens: sentence.tokens(number),
                    given: sentence.given.len(),
                    sentence: sentence.place,
                    allowed: if is_given { None } else { allowed.next().map(Vec::as_slice) },
                    is_forced: !self.choice.beams,
                },
                draws: sentence.draws(sampling, number),
                is_done: is_given || sentence.is_done(number),
                count: if search.return_alternatives && sentence.is_new() { search.branches() } else { count },
                scores: of_rows.next().map_or(&mut [], |row| &mut row[(steps - 1) * classes..]),
                changed: room.next().unwrap_or(&mut []),
                next: Vec::new(),
            });
        }
        for_rows(Context::global(), &mut works, 1, classes, |_, works| {
            works.iter_mut().for_each(|work| self.choice.run(work));
        });
        // What is allowed comes all the same if no beam of a sentence may go on: Hugging Face's rule, but for rows that cannot become
        // a result, which decide there too.
        if self.constrained && self.choice.beams {
            for (works, sentence) in works.chunks_mut(width).zip(&self.sentences) {
                let goes_on = |(number, work): (usize, &Work<'_>)| sentence.is_open(number) && !work.next.is_empty();
                if !sentence.is_given() && !works.iter().enumerate().any(goes_on) {
                    for work in works {
                        work.history.is_forced = true;
                        self.choice.run(work);
                    }
                }
            }
        }
        // Rows that are drawn of one beginning have one distribution, but numbers of their own.
        if width == 1 && !self.choice.beams {
            for (work, sentence) in works.iter_mut().zip(&self.sentences).filter(|(work, _)| !work.is_done) {
                for number in 1..search.sequences() {
                    let before = std::mem::take(&mut work.next);
                    work.draws = sentence.draws(sampling, number);
                    self.choice.run(work);
                    work.next.splice(..0, before);
                }
            }
        }
        Ok(works.into_iter().map(|work| work.next).collect())
    }

    /// Lets sentences that are done go, and brings the rows of the others into their order. `after` has what each sentence
    /// became, with the row that each row comes from.
    fn settle(&mut self, after: Vec<Vec<(Sentence, Vec<usize>)>>) -> Result<()> {
        let total = after.len();
        if !self.decoder.movable && after.iter().flatten().any(|(sentence, _)| !sentence.is_done) {
            self.sentences = after.into_iter().flatten().map(|(sentence, _)| sentence).collect();
            return Ok(());
        }
        let (branches, sequences) = (self.request.search.branches(), self.request.search.sequences());
        let (mut rows, mut left, mut going) = (Vec::new(), Vec::new(), Vec::new());
        for (number, after) in after.into_iter().enumerate() {
            for (sentence, parents) in after {
                if sentence.is_done {
                    let found = sentence.found(sequences);
                    if found.is_empty() {
                        return Err(impossible());
                    }
                    self.found[sentence.place * branches + sentence.branch] = found;
                    continue;
                }
                rows.extend(parents.iter().map(|parent| number * self.width + parent));
                left.push(number);
                going.push(sentence);
            }
        }
        self.sentences = going;
        let wanted = self.request.search.rows();
        let has_moved = !left.iter().copied().eq(0..total);
        let is_same = self.width == wanted && !has_moved && rows.iter().enumerate().all(|(place, &row)| place == row);
        if !self.sentences.is_empty() && !is_same {
            self.decoder.select(&rows, has_moved.then_some(left.as_slice()));
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
            counts: self
                .found
                .chunks(self.request.search.branches())
                .map(|found| found.iter().map(Vec::len).sum::<usize>() as i32)
                .collect(),
            length,
        }
    }
}
