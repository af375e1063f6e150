//! Steps of a scan, one after the other, by a program of its body. Shared by all backends.
use sconce_kernels::{Precision, buffer::Buffer};

use super::{Forward, Program};
use crate::{
    error::{Code, Error, Result},
    interrupt::Interrupt,
    layers::Scan,
    tensor::{Data, Tensor},
    weights::WeightView,
};

/// A scan that runs.
pub(super) struct ScanRun<'a> {
    pub scan: &'a Scan,
    /// Of the body.
    pub program: &'a dyn Program,
    pub interrupt: &'a Interrupt,
    pub precision: Precision,
}

/// States before each step, in the order of the steps.
pub(super) type Carries = Vec<Vec<Tensor>>;

/// Rows of a batch, and elements of a row.
fn rows(tensor: &Tensor) -> (usize, usize) {
    let batch = tensor.shape.first().copied().unwrap_or(1);
    (batch, tensor.len().checked_div(batch).unwrap_or(0))
}

/// Step `step` of a sequence.
fn step_of(sequence: &Tensor, step: usize) -> Tensor {
    let (batch, steps) = (sequence.shape[0], sequence.shape[1]);
    let width: usize = sequence.shape[2..].iter().product();
    let mut shape = sequence.shape.clone();
    shape.remove(1);
    let at = |row: usize| (row * steps + step) * width;
    match &sequence.data {
        Data::Float(x) => {
            let mut y = Buffer::new(batch * width);
            (0..batch).for_each(|row| y[row * width..][..width].copy_from_slice(&x[at(row)..][..width]));
            Tensor::float(shape, y)
        }
        Data::Ids(x) => Tensor::ids(shape, (0..batch).flat_map(|row| x[at(row)..][..width].iter().copied()).collect()),
    }
}

/// Adds or sets step `step` of the sequence `to`.
fn put_step(from: &[f32], to: &mut [f32], batch: usize, steps: usize, step: usize) {
    let width = from.len().checked_div(batch).unwrap_or(0);
    for row in 0..batch {
        to[(row * steps + step) * width..][..width].copy_from_slice(&from[row * width..][..width]);
    }
}

fn add(sum: &mut Option<Buffer>, part: Option<Buffer>) {
    match (sum.as_mut(), part) {
        (Some(sum), Some(part)) => sum.iter_mut().zip(part.iter()).for_each(|(sum, part)| *sum += part),
        (None, part) => *sum = part,
        (Some(_), None) => {}
    }
}

impl ScanRun<'_> {
    fn steps(&self, inputs: &[Tensor]) -> usize {
        let sequence = inputs.first().filter(|_| self.scan.options.sequences > 0);
        sequence.map_or(self.scan.options.length.unwrap_or(0), |sequence| sequence.shape[1])
    }

    /// Steps in the order in which they run.
    fn order(&self, inputs: &[Tensor]) -> Vec<usize> {
        let steps = 0..self.steps(inputs);
        if self.scan.options.reverse { steps.rev().collect() } else { steps.collect() }
    }

    /// What the body takes at a step.
    fn taken(&self, inputs: &[Tensor], states: &[Tensor], step: usize) -> Vec<Tensor> {
        let options = &self.scan.options;
        let captured = &inputs[options.sequences + options.states..self.scan.body.plan.inputs.len()];
        let sequences = inputs[..options.sequences].iter().map(|sequence| step_of(sequence, step));
        sequences.chain(states.iter().cloned()).chain(captured.iter().cloned()).collect()
    }

    /// Rows that do not count at a step.
    fn silent(&self, inputs: &[Tensor], step: usize) -> Result<Vec<usize>> {
        let Some(mask) = inputs.last().filter(|_| self.scan.options.masked) else { return Ok(Vec::new()) };
        let (flags, steps) = (mask.floats()?, mask.shape[1]);
        Ok((0..mask.shape[0]).filter(|row| flags[row * steps + step] == 0.0).collect())
    }

    /// Final states and outputs, and the states before each step.
    pub(super) fn forward(&self, inputs: &[Tensor]) -> Result<(Vec<Tensor>, Carries)> {
        let options = &self.scan.options;
        let body = &self.scan.body;
        let weights = WeightView::new(&[])?;
        let mut states: Vec<Tensor> = inputs[options.sequences..][..options.states].to_vec();
        let steps = self.steps(inputs);
        let mut made: Vec<Option<(Vec<usize>, Buffer)>> = vec![None; body.plan.outputs.len() - options.states];
        let mut before: Vec<Option<Tensor>> = vec![None; made.len()];
        let mut carries = Vec::with_capacity(steps);
        for step in self.order(inputs) {
            self.interrupt.check()?;
            let taken = self.taken(inputs, &states, step);
            let shapes: Vec<&[usize]> = taken.iter().map(|tensor| tensor.shape.as_slice()).collect();
            body.plan.bind(&shapes)?;
            let forward = Forward { precision: self.precision, ..Forward::new(&taken, &weights, self.interrupt) };
            let mut results = self.program.values(&body.forward, forward, &body.plan.outputs)?;
            let mut outputs = results.split_off(options.states);
            let silent = self.silent(inputs, step)?;
            for (new, old) in results.iter_mut().zip(&states) {
                stay(new, Some(old), &silent)?;
            }
            for ((output, before), made) in outputs.iter_mut().zip(&mut before).zip(&mut made) {
                stay(output, before.as_ref(), &silent)?;
                let (batch, width) = rows(output);
                let (_, sequence) = made.get_or_insert_with(|| {
                    let mut shape = output.shape.clone();
                    shape.insert(1, steps);
                    (shape, Buffer::zeros(batch * steps * width))
                });
                put_step(output.floats()?, sequence, batch, steps, step);
                *before = Some(output.clone());
            }
            carries.push(std::mem::replace(&mut states, results));
        }
        let mut outputs = states;
        for (number, made) in made.into_iter().enumerate() {
            let (shape, data) = match made {
                Some(made) => made,
                None => (self.empty(inputs, number)?, Buffer::new(0)),
            };
            outputs.push(Tensor::float(shape, data));
        }
        Ok((outputs, carries))
    }

    /// The shape of an output of no steps.
    fn empty(&self, inputs: &[Tensor], number: usize) -> Result<Vec<usize>> {
        let options = &self.scan.options;
        let plan = &self.scan.body.plan;
        let shapes: Vec<Vec<usize>> = inputs[..plan.inputs.len()]
            .iter()
            .enumerate()
            .map(|(index, input)| {
                let mut shape = input.shape.clone();
                if index < options.sequences {
                    shape.remove(1);
                }
                shape
            })
            .collect();
        let bindings = plan.bind(&shapes.iter().map(Vec::as_slice).collect::<Vec<_>>())?;
        let mut shape = bindings.sizes(&plan.values[plan.outputs[options.states + number]].shape)?;
        shape.insert(1, 0);
        Ok(shape)
    }

    /// Gradients of the inputs from those of the outputs.
    pub(super) fn backward(
        &self,
        inputs: &[Tensor],
        carries: &Carries,
        mut gradients: Vec<Option<Buffer>>,
    ) -> Result<Vec<Option<Buffer>>> {
        let options = &self.scan.options;
        let body = &self.scan.body;
        let weights = WeightView::new(&[])?;
        let steps = self.steps(inputs);
        let of_outputs = gradients.split_off(options.states);
        let mut of_states = gradients;
        // Gradients of outputs that stayed, which belong to the step before.
        let mut waiting: Vec<Option<Buffer>> = of_outputs.iter().map(|_| None).collect();
        let mut found: Vec<Option<Buffer>> = inputs.iter().map(|_| None).collect();
        for (position, step) in self.order(inputs).into_iter().enumerate().rev() {
            self.interrupt.check()?;
            let Some(states) = carries.get(position) else {
                return Err(Error::new(Code::Internal, "a scan lacks the states of a step"));
            };
            let taken = self.taken(inputs, states, step);
            let silent = self.silent(inputs, step)?;
            let batch = taken.first().and_then(|tensor| tensor.shape.first()).copied().unwrap_or(0);
            let mut given = Vec::new();
            let mut passed: Vec<Option<Buffer>> = Vec::with_capacity(options.states);
            for (number, gradient) in of_states.iter_mut().enumerate() {
                let Some(mut gradient) = gradient.take() else {
                    passed.push(None);
                    continue;
                };
                passed.push(split(&mut gradient, &silent, batch));
                given.push((body.plan.outputs[number], gradient));
            }
            for (number, whole) in of_outputs.iter().enumerate() {
                let mut own = waiting[number].take();
                if let Some(whole) = whole {
                    let width = whole.len().checked_div(batch * steps).unwrap_or(0);
                    let mut part = Buffer::new(batch * width);
                    for row in 0..batch {
                        part[row * width..][..width].copy_from_slice(&whole[(row * steps + step) * width..][..width]);
                    }
                    add(&mut own, Some(part));
                }
                let Some(mut own) = own else { continue };
                waiting[number] = split(&mut own, &silent, batch);
                given.push((body.plan.outputs[options.states + number], own));
            }
            let forward = Forward { precision: self.precision, ..Forward::new(&taken, &weights, self.interrupt) };
            let back = self.program.gradients(&body.backward, forward, None, given, &mut [])?;
            for (number, gradient) in back.into_iter().enumerate() {
                if number < options.sequences {
                    if let Some(gradient) = gradient {
                        let length = inputs[number].len();
                        let sum = found[number].get_or_insert_with(|| Buffer::zeros(length));
                        put_step(&gradient, sum, batch, steps, step);
                    }
                } else if number < options.sequences + options.states {
                    let mut sum = gradient;
                    add(&mut sum, passed[number - options.sequences].take());
                    of_states[number - options.sequences] = sum;
                } else {
                    add(&mut found[number], gradient);
                }
            }
        }
        for (number, gradient) in of_states.into_iter().enumerate() {
            found[options.sequences + number] = gradient;
        }
        Ok(found)
    }
}

/// Rows of a new value that do not count stay as they were, or zeros.
fn stay(new: &mut Tensor, old: Option<&Tensor>, silent: &[usize]) -> Result<()> {
    let (_, width) = rows(new);
    let old = old.map(Tensor::floats).transpose()?;
    if let Data::Float(data) = &mut new.data {
        for row in silent {
            let to = &mut data[row * width..][..width];
            match old {
                Some(old) => to.copy_from_slice(&old[row * width..][..width]),
                None => to.fill(0.0),
            }
        }
    }
    Ok(())
}

/// Takes the rows that do not count out of a gradient.
fn split(gradient: &mut Buffer, silent: &[usize], batch: usize) -> Option<Buffer> {
    if silent.is_empty() {
        return None;
    }
    let width = gradient.len().checked_div(batch).unwrap_or(0);
    let mut passed = Buffer::zeros(gradient.len());
    for row in silent {
        let range = row * width..(row + 1) * width;
        passed[range.clone()].copy_from_slice(&gradient[range.clone()]);
        gradient[range].fill(0.0);
    }
    Some(passed)
}
