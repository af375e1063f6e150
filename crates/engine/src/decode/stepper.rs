//! Runs the steps of a decoder: rows of tokens in, scores of the next token out.
use std::sync::Arc;

use sconce_kernels::buffer::Buffer;

use super::{
    Incremental,
    incremental::InitialState,
    request::{Feed, GenerationRequest},
    room::Room,
};
use crate::{
    backend::{Decoding, Forward, Program},
    error::{Code, Error, Result},
    interrupt::Interrupt,
    model::Model,
    plan::{Roots, Schedule},
    shape::{Dimension, ElementType},
    tensor::{Data, Mask, Tensor},
    weights::WeightView,
};

/// A decoder between its steps. Its rows belong to sentences, the same number to each, one after the other.
#[derive(Debug)]
pub(super) struct Stepper {
    model: Arc<Model>,
    interrupt: Interrupt,
    incremental: Incremental,
    program: Box<dyn Program>,
    schedule: Schedule,
    decoder_input: usize,
    feed: Feed,
    recompute: bool,
    /// Scores that a step gives for each row.
    pub classes: usize,
    /// Whether rows may be exchanged: all that belongs to them lies row by row.
    pub movable: bool,
    decoding: Decoding,
    /// All inputs of the model; that of the decoder is replaced.
    inputs: Vec<Tensor>,
    /// Values computed once and states; empty before the first step.
    once: Vec<Tensor>,
    states: Vec<Tensor>,
    /// Which row of the inputs each row comes from.
    owners: Vec<usize>,
    room: Room,
}

/// Rows of a tensor.
fn chosen(tensor: &Tensor, rows: &[usize]) -> Tensor {
    let width: usize = tensor.shape.iter().skip(1).product();
    let mut shape = tensor.shape.clone();
    if let Some(count) = shape.first_mut() {
        *count = rows.len();
    }
    match &tensor.data {
        Data::Ids(ids) => {
            Tensor::ids(shape, rows.iter().flat_map(|row| &ids[row * width..][..width]).copied().collect())
        }
        Data::Float(values) => {
            let mut data = Buffer::new(rows.len() * width);
            for (place, row) in rows.iter().enumerate() {
                data[place * width..][..width].copy_from_slice(&values[row * width..][..width]);
            }
            Tensor::float(shape, data)
        }
    }
}

/// Rows of a mask of `batch` rows.
fn chosen_mask(mask: &Mask, batch: usize, rows: &[usize]) -> Mask {
    let width = mask.len() / batch.max(1);
    Arc::new(rows.iter().flat_map(|row| &mask[row * width..][..width]).copied().collect())
}

impl Stepper {
    /// Prepares the steps for `rows` of tokens, of which there will be `most` at most with so many steps. `inputs` are those of the model but the
    /// decoder's, in order.
    ///
    /// # Errors
    /// `Graph` if the decoder is not causal; `Shape` or `Option`.
    pub fn new(
        model: Arc<Model>,
        request: &GenerationRequest,
        mut inputs: Vec<Tensor>,
        rows: &[&[i32]],
        [most, steps]: [usize; 2],
        interrupt: Interrupt,
    ) -> Result<Self> {
        let room = Room::new();
        let incremental = Incremental::new(&model.plan, request.decoder_input, request.output)?;
        if request.decoder_input > inputs.len() {
            return Err(Error::new(
                Code::Shape,
                format!("generate: expected inputs for all but the decoder's, got {}", inputs.len()),
            ));
        }
        let plan = &model.plan;
        let decoder = &plan.values[plan.inputs[request.decoder_input]];
        let wanted = if request.feed == Feed::Ids { ElementType::Int32 } else { ElementType::Float32 };
        if decoder.dtype != wanted {
            return Err(Error::new(Code::Option, format!("feed: the decoder input is {}", decoder.dtype.name())));
        }
        let classes = match plan.values[incremental.logits].shape.last() {
            Some(Dimension::Size(size)) => *size,
            _ => 0,
        };
        let batch = decoder.shape.first();
        let mut kept = incremental.once.iter().chain(incremental.states.iter().filter_map(|state| match state {
            InitialState::Value(value) => Some(value),
            InitialState::Zeros(_) => None,
        }));
        let movable = kept.all(|&value| plan.values[value].shape.first() == batch);
        inputs.insert(request.decoder_input, tokens(request.feed, classes, rows));
        model.bind(&inputs)?;
        let schedule = Schedule::new(&incremental.step, Roots::Values(&incremental.step.outputs), None);
        let program = model.backend.lower(Arc::new(incremental.step.clone()))?;
        Ok(Self {
            decoding: Decoding::new(incremental.caches, most, steps),
            model,
            interrupt,
            incremental,
            program,
            schedule,
            decoder_input: request.decoder_input,
            feed: request.feed,
            recompute: request.recompute,
            classes,
            movable,
            inputs,
            once: Vec::new(),
            states: Vec::new(),
            owners: (0..rows.len()).collect(),
            room,
        })
    }

    /// Scores of the token behind each row, `[rows, steps, classes]`, of which the last step counts. The tokens of `rows`
    /// that were there at the step before are not read again.
    ///
    /// # Errors
    /// `Data`, `State` or `Cancelled`.
    pub fn scores(&mut self, rows: &[&[i32]]) -> Result<Tensor> {
        self.interrupt.check()?;
        if self.recompute { self.whole(rows) } else { self.step(rows) }
    }

    fn begin(&mut self, weights: &WeightView<'_>) -> Result<()> {
        let mut wanted = self.incremental.once.clone();
        wanted.extend(self.incremental.states.iter().filter_map(|state| match state {
            InitialState::Value(value) => Some(*value),
            InitialState::Zeros(_) => None,
        }));
        let schedule = Schedule::new(&self.model.plan, Roots::Values(&wanted), None);
        let forward = Forward::new(&self.inputs, weights, &self.interrupt);
        let mut values = self.model.program.masked_values(&schedule, forward, &wanted)?;
        let mut given = values.split_off(self.incremental.once.len()).into_iter();
        let masks: Vec<Option<Mask>>;
        (self.once, masks) = values.into_iter().unzip();
        // The token comes first.
        self.decoding.masks = std::iter::once(None).chain(masks).collect();
        let batch = self.owners.len();
        for state in &self.incremental.states {
            let tensor = match state {
                InitialState::Zeros(units) => Some(Tensor::float(vec![batch, *units], Buffer::zeros(batch * units))),
                InitialState::Value(_) => given.next().map(|(state, _)| state),
            };
            self.states.extend(tensor);
        }
        let kept: usize = self.once.iter().chain(&self.states).map(Tensor::len).sum();
        // Steps are far smaller than an encoder's pass over whole sources: they have no use for its buffers.
        self.room.give_back(kept);
        Ok(())
    }

    /// By the incremental decoder.
    fn step(&mut self, rows: &[&[i32]]) -> Result<Tensor> {
        let model = Arc::clone(&self.model);
        let weights = WeightView::new(&model.layers)?;
        if self.decoding.position == 0 {
            self.begin(&weights)?;
        }
        let position = self.decoding.position;
        let new: Vec<&[i32]> = rows.iter().map(|row| row.get(position..).unwrap_or(&[])).collect();
        let mut inputs = vec![tokens(self.feed, self.classes, &new)];
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

    /// By the whole graph on all tokens so far.
    fn whole(&mut self, rows: &[&[i32]]) -> Result<Tensor> {
        let weights = WeightView::new(&self.model.layers)?;
        let mut inputs: Vec<Tensor> = self
            .inputs
            .iter()
            .enumerate()
            .map(|(place, input)| if place == self.decoder_input { input.clone() } else { chosen(input, &self.owners) })
            .collect();
        inputs[self.decoder_input] = tokens(self.feed, self.classes, rows);
        let wanted = [self.incremental.logits];
        let schedule = Schedule::new(&self.model.plan, Roots::Values(&wanted), None);
        let forward = Forward::new(&inputs, &weights, &self.interrupt);
        let mut all = self.model.program.values(&schedule, forward, &wanted)?;
        all.pop().ok_or_else(|| Error::new(Code::Internal, "the graph gave no logits"))
    }

    /// Takes row `rows[n]` in the place of row `n`. `sentences` are those that are left, if some are not.
    pub fn select(&mut self, rows: &[usize], sentences: Option<&[usize]>) {
        let before = self.owners.len();
        let owners: Vec<usize> = rows.iter().map(|&row| self.owners[row]).collect();
        // What was computed once is the same for all rows of a sentence.
        let is_same = owners == self.owners;
        self.owners = owners;
        if self.recompute || self.decoding.position == 0 {
            return;
        }
        self.decoding.select(rows);
        for state in &mut self.states {
            *state = chosen(state, rows);
        }
        if is_same {
            return;
        }
        for (place, value) in self.once.iter_mut().enumerate() {
            let mask = &mut self.decoding.masks[place + 1];
            let rows = match (self.incremental.shared[place], sentences) {
                (true, None) => continue,
                (true, Some(sentences)) => sentences,
                (false, _) => rows,
            };
            let count = value.shape.first().copied().unwrap_or(before);
            *value = chosen(value, rows);
            if let Some(mask) = mask {
                *mask = chosen_mask(mask, count, rows);
            }
        }
    }
}

/// Rows of tokens, which have the same number, as the decoder takes them.
fn tokens(feed: Feed, classes: usize, rows: &[&[i32]]) -> Tensor {
    let steps = rows.first().map_or(0, |row| row.len());
    let ids: Vec<i32> = rows.iter().flat_map(|row| row.iter()).copied().collect();
    match feed {
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
