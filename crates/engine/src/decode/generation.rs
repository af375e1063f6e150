//! Greedy search, one token a turn.
use std::sync::Arc;

use sconce_kernels::{Context, buffer::Buffer, softmax};
use serde::Deserialize;

use super::{Incremental, incremental::InitialState};
use crate::{
    backend::{Decoding, Forward, Program},
    error::{Code, Error, Result},
    interrupt::Interrupt,
    model::Model,
    plan::{Roots, Schedule},
    shape::{Dimension, ElementType},
    tensor::{Mask, Tensor},
    weights::WeightView,
};

/// How tokens go into the decoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Feed {
    /// As ids.
    Ids,
    /// As vectors with a single 1.
    OneHot,
}

/// What to generate.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GenerationRequest {
    /// Which input of the model takes the tokens.
    pub decoder_input: usize,
    /// Which output gives the probabilities.
    pub output: usize,
    /// The first token.
    pub begin_id: i32,
    /// Tokens that end a sentence.
    pub end_id: Vec<i32>,
    /// What fills rows behind their end; never generated.
    pub pad_id: i32,
    /// Tokens that a row has at most.
    pub max_new_tokens: usize,
    /// How tokens go in.
    pub feed: Feed,
    /// Run the whole graph on all tokens so far at each step: slow, for comparison.
    #[serde(default)]
    pub recompute: bool,
    /// Tokens that each row has behind the first before any is generated, no part of the result; empty: none. For a model
    /// of the decoder's input alone they say how many rows there are.
    #[serde(default)]
    pub prompts: Vec<Vec<i32>>,
}

/// What was generated.
#[derive(Clone, Debug, PartialEq)]
pub struct Generated {
    /// `[B, length]`, without the first token, the end included, padded.
    pub ids: Vec<i32>,
    /// Tokens of each row.
    pub lengths: Vec<i32>,
    /// Sum of log-probabilities of each row.
    pub scores: Vec<f32>,
    /// Length of the longest row.
    pub length: usize,
}

/// A search under way.
#[derive(Debug)]
pub struct Generation {
    model: Arc<Model>,
    request: GenerationRequest,
    inputs: Vec<Tensor>,
    interrupt: Interrupt,
    incremental: Incremental,
    program: Box<dyn Program>,
    schedule: Schedule,
    batch: usize,
    decoding: Decoding,
    /// Values computed once and states; empty before the first turn.
    once: Vec<Tensor>,
    states: Vec<Tensor>,
    /// Tokens behind the first.
    rows: Vec<Vec<i32>>,
    /// Those of them that are given.
    prompts: Vec<Vec<i32>>,
    finished: Vec<bool>,
    scores: Vec<f64>,
}

impl Generation {
    /// Prepares a search. `inputs` are the inputs of the model but the decoder's, in order.
    ///
    /// # Errors
    /// `Graph` if the decoder is not causal; `Shape` or `Option`.
    pub fn new(
        model: Arc<Model>,
        request: GenerationRequest,
        mut inputs: Vec<Tensor>,
        interrupt: Interrupt,
    ) -> Result<Self> {
        let incremental = Incremental::new(&model.plan, request.decoder_input, request.output)?;
        if request.max_new_tokens == 0 {
            return Err(Error::new(Code::Option, "maxNewTokens must be at least 1, got 0"));
        }
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
        let mut prompts = request.prompts.clone();
        if prompts.is_empty() {
            prompts.resize(batch, Vec::new());
        }
        if prompts.len() != batch {
            return Err(Error::new(
                Code::Shape,
                format!("generate: expected {batch} prompts, one for each row of the inputs, got {}", prompts.len()),
            ));
        }
        // What all rows are given runs at once.
        let common = prompts.iter().map(Vec::len).min().unwrap_or(0);
        let rows: Vec<Vec<i32>> = prompts.iter().map(|prompt| prompt[..common].to_vec()).collect();
        if request.decoder_input > inputs.len() {
            return Err(Error::new(
                Code::Shape,
                format!("generate: expected inputs for all but the decoder's, got {}", inputs.len()),
            ));
        }
        let decoder = model.plan.inputs[request.decoder_input];
        let wanted = if request.feed == Feed::Ids { ElementType::Int32 } else { ElementType::Float32 };
        if model.plan.values[decoder].dtype != wanted {
            return Err(Error::new(
                Code::Option,
                format!("feed: the decoder input is {}", model.plan.values[decoder].dtype.name()),
            ));
        }
        let classes = match model.plan.values[incremental.logits].shape.last() {
            Some(Dimension::Size(size)) => *size,
            _ => 0,
        };
        let known = |id: i32| usize::try_from(id).is_ok_and(|id| id < classes);
        if !known(request.begin_id) && request.feed == Feed::OneHot || request.end_id.iter().any(|&id| !known(id)) {
            return Err(Error::new(Code::Option, format!("beginId and endId must be within 0..{classes}")));
        }
        inputs.insert(request.decoder_input, tokens(&request, classes, &rows));
        model.bind(&inputs)?;
        let schedule = Schedule::new(&incremental.step, Roots::Values(&incremental.step.outputs), None);
        let program = model.backend.lower(Arc::new(incremental.step.clone()))?;
        Ok(Self {
            model,
            request,
            inputs,
            interrupt,
            decoding: Decoding::new(incremental.caches),
            incremental,
            program,
            schedule,
            batch,
            once: Vec::new(),
            states: Vec::new(),
            rows,
            prompts,
            finished: vec![false; batch],
            scores: vec![0.0; batch],
        })
    }

    /// Generates one more token for each row; `Some` if that was the last.
    ///
    /// # Errors
    /// `Data`, `State` or `Cancelled`.
    pub fn advance(&mut self) -> Result<Option<Generated>> {
        self.interrupt.check()?;
        if (0..self.batch).any(|row| !self.is_done(row)) {
            let logits = if self.request.recompute { self.recompute()? } else { self.step()? };
            self.choose(&logits)?;
        }
        if (0..self.batch).any(|row| !self.is_done(row)) {
            return Ok(None);
        }
        Ok(Some(self.result()))
    }

    /// Whether a row has its end or all tokens that it may have.
    fn is_done(&self, row: usize) -> bool {
        self.finished[row] || self.rows[row].len() >= self.prompts[row].len() + self.request.max_new_tokens
    }

    fn classes(&self) -> usize {
        match self.model.plan.values[self.incremental.logits].shape.last() {
            Some(Dimension::Size(size)) => *size,
            _ => 0,
        }
    }

    /// Logits of the steps that are new, of which the last ones are of the next token, by the incremental decoder.
    fn step(&mut self) -> Result<Tensor> {
        let weights = WeightView::new(&self.model.layers)?;
        let first = self.decoding.position == 0;
        if first {
            let mut wanted = self.incremental.once.clone();
            wanted.extend(self.incremental.states.iter().filter_map(|state| match state {
                InitialState::Value(value) => Some(*value),
                InitialState::Zeros(_) => None,
            }));
            let schedule = Schedule::new(&self.model.plan, Roots::Values(&wanted), None);
            let forward = Forward::new(&self.inputs, &weights, &self.interrupt);
            let mut values = self.model.program.masked_values(&schedule, forward, &wanted)?;
            let mut given = values.split_off(self.incremental.once.len()).into_iter();
            let masks: Vec<Option<Mask>>;
            (self.once, masks) = values.into_iter().unzip();
            // The token comes first.
            self.decoding.masks = std::iter::once(None).chain(masks).collect();
            for state in &self.incremental.states {
                let tensor = match state {
                    InitialState::Zeros(units) => {
                        Some(Tensor::float(vec![self.batch, *units], Buffer::zeros(self.batch * units)))
                    }
                    InitialState::Value(_) => given.next().map(|(state, _)| state),
                };
                self.states.extend(tensor);
            }
        }
        let last: Vec<Vec<i32>> = self.rows.iter().map(|row| row.last().copied().into_iter().collect()).collect();
        let token = if first {
            tokens(&self.request, self.classes(), &self.rows)
        } else {
            rows_tensor(&self.request, self.classes(), &last)
        };
        let mut inputs = vec![token];
        inputs.append(&mut self.once);
        inputs.append(&mut self.states);
        let decoding = Some(&self.decoding);
        let forward = Forward { decoding, ..Forward::new(&inputs, &weights, &self.interrupt) };
        let mut outputs = self.program.values(&self.schedule, forward, &self.incremental.step.outputs)?;
        self.states = outputs.split_off(1);
        self.decoding.position += inputs[0].shape[1];
        // What is the same at each step is not copied.
        self.once = inputs.drain(1..=self.incremental.once.len()).collect();
        outputs.pop().ok_or_else(|| Error::new(Code::Internal, "a step gave no logits"))
    }

    /// The same by running the whole graph on all tokens so far.
    fn recompute(&mut self) -> Result<Tensor> {
        let weights = WeightView::new(&self.model.layers)?;
        self.inputs[self.request.decoder_input] = tokens(&self.request, self.classes(), &self.rows);
        let wanted = [self.incremental.logits];
        let schedule = Schedule::new(&self.model.plan, Roots::Values(&wanted), None);
        let forward = Forward::new(&self.inputs, &weights, &self.interrupt);
        let all = self.model.program.values(&schedule, forward, &wanted)?;
        let (steps, classes) = (self.rows[0].len() + 1, self.classes());
        let values = all[0].floats()?;
        let mut last = Buffer::new(self.batch * classes);
        for (row, last) in last.chunks_exact_mut(classes).enumerate() {
            last.copy_from_slice(&values[(row * steps + steps - 1) * classes..][..classes]);
        }
        Ok(Tensor::float(vec![self.batch, 1, classes], last))
    }

    fn choose(&mut self, logits: &Tensor) -> Result<()> {
        let classes = self.classes().max(1);
        let steps = logits.shape.get(1).copied().unwrap_or(1).max(1);
        for (row, logits) in logits.floats()?.chunks_exact(steps * classes).enumerate() {
            let logits = &logits[(steps - 1) * classes..];
            if let Some(&given) = self.prompts[row].get(self.rows[row].len()) {
                self.rows[row].push(given);
                continue;
            }
            if self.is_done(row) {
                self.rows[row].push(self.request.end_id.first().copied().unwrap_or(self.request.pad_id));
                continue;
            }
            let (id, score) = best(logits, self.request.pad_id);
            self.rows[row].push(id);
            self.scores[row] += score;
            self.finished[row] = self.request.end_id.contains(&id);
        }
        Ok(())
    }

    fn result(&self) -> Generated {
        let new = |(row, prompt): (&Vec<i32>, &Vec<i32>)| {
            let mut row = row.get(prompt.len()..).unwrap_or(&[]).to_vec();
            row.truncate(self.request.max_new_tokens);
            row
        };
        let rows: Vec<Vec<i32>> = self.rows.iter().zip(&self.prompts).map(new).collect();
        let ends = |row: &Vec<i32>| {
            row.iter().position(|id| self.request.end_id.contains(id)).map_or(row.len(), |end| end + 1)
        };
        let lengths: Vec<usize> = rows.iter().map(ends).collect();
        let length = lengths.iter().copied().max().unwrap_or(0);
        let mut ids = Vec::with_capacity(self.batch * length);
        for (row, &own) in rows.iter().zip(&lengths) {
            ids.extend_from_slice(&row[..own]);
            ids.extend(std::iter::repeat_n(self.request.pad_id, length - own));
        }
        Generated {
            ids,
            lengths: lengths.iter().map(|&length| length as i32).collect(),
            scores: self.scores.iter().map(|&score| score as f32).collect(),
            length,
        }
    }
}

/// The class with the largest logit (the lowest of equals, never `excluded`) and the logarithm of its probability.
fn best(logits: &[f32], excluded: i32) -> (i32, f64) {
    let excluded = usize::try_from(excluded).unwrap_or(usize::MAX);
    let mut most = f32::NEG_INFINITY;
    let mut id = 0;
    for (class, &logit) in logits.iter().enumerate() {
        if logit > most && class != excluded {
            (most, id) = (logit, class);
        }
    }
    let top = logits.get(excluded).copied().unwrap_or(most).max(most);
    let score = f64::from(logits.get(id).copied().unwrap_or(f32::NAN));
    (id as i32, score - softmax::log_sum_exp(Context::global(), logits, top))
}

/// The first token and `rows` behind it, as the decoder takes them.
fn tokens(request: &GenerationRequest, classes: usize, rows: &[Vec<i32>]) -> Tensor {
    let rows: Vec<Vec<i32>> =
        rows.iter().map(|row| std::iter::once(request.begin_id).chain(row.iter().copied()).collect()).collect();
    rows_tensor(request, classes, &rows)
}

fn rows_tensor(request: &GenerationRequest, classes: usize, rows: &[Vec<i32>]) -> Tensor {
    let steps = rows.first().map_or(0, Vec::len);
    let ids: Vec<i32> = rows.iter().flatten().copied().collect();
    match request.feed {
        Feed::Ids => Tensor::ids(vec![rows.len(), steps], ids),
        Feed::OneHot => {
            let mut values = Buffer::zeros(ids.len() * classes);
            for (position, &id) in ids.iter().enumerate() {
                if let Some(id) = usize::try_from(id).ok().filter(|&id| id < classes) {
                    values[position * classes + id] = 1.0;
                }
            }
            Tensor::float(vec![rows.len(), steps, classes], values)
        }
    }
}
