//! Recurrent layers with attention, step by step. B batch, T steps, S positions of the memory, U units, E features of the
//! memory, A of the keys.
use ::candle_core::{D, Tensor as Array};

use super::{
    Run, Value, add_to,
    recurrent::{Layer, select},
};
use crate::{
    backend::RandomState,
    error::Result,
    plan::{AttentionRnnPlan, Node},
};

/// What all steps have in common.
struct Attention {
    keys: Array,   // [B, S, A]
    memory: Array, // [B, S, E]
    counts: Array, // [B, S], 1 where a position counts
    query: Option<Array>,
    scale: Option<Array>,
    combine: Option<Array>, // [U, E + U]
}

/// What an attention leaves for its backward pass.
struct Attended {
    query: Array, // [B, U]
    /// Hidden features of additive scores, `[B, S, A]`.
    hidden: Option<Array>,
    weights: Array, // [B, S]
    context: Array, // [B, E]
}

/// A step of a cell, with all rows.
struct CellStep {
    input: Array,
    /// States before it.
    before: Vec<Array>,
    kept: Vec<Array>,
}

/// A step, with all rows.
struct Step {
    /// Of each cell, upwards.
    cells: Vec<CellStep>,
    attended: Attended,
    /// Output, if the attention makes it.
    output: Option<Array>,
}

/// A run through all steps.
struct Steps {
    /// The cells, upwards.
    layers: Vec<Layer>,
    attention: Attention,
    steps: Vec<Step>,
    /// All outputs, the last states, and the weights of each step.
    shown: Vec<Array>,
    states: Vec<Array>,
    weights: Vec<Array>,
}

/// Gradients that all steps add to.
#[derive(Default)]
struct Sums {
    keys: Option<Array>,
    memory: Option<Array>,
    query: Option<Array>,
    scale: Option<Array>,
}

impl Attention {
    fn attend(&self, query: &Array) -> Result<Attended> {
        let (scores, hidden) = match (&self.query, &self.scale) {
            (Some(project), Some(scale)) => {
                let hidden = self.keys.broadcast_add(&query.matmul(&project.t()?)?.unsqueeze(1)?)?.tanh()?;
                (hidden.broadcast_mul(scale)?.sum(D::Minus1)?, Some(hidden))
            }
            _ => (self.keys.broadcast_mul(&query.unsqueeze(1)?)?.sum(D::Minus1)?, None),
        };
        let scores = self.counts.gt(0.0)?.where_cond(&scores, &scores.zeros_like()?.affine(1.0, -1e30)?)?;
        let weights = (candle_nn::ops::softmax(&scores, D::Minus1)? * &self.counts)?;
        let context = self.memory.broadcast_mul(&weights.unsqueeze(2)?)?.sum(1)?;
        Ok(Attended { query: query.clone(), hidden, weights, context })
    }

    /// From the gradient of a context to that of the query.
    fn backward(&self, at: &Attended, dcontext: &Array, sums: &mut Sums) -> Result<Array> {
        let dcontext = dcontext.unsqueeze(1)?;
        add_to(&mut sums.memory, at.weights.unsqueeze(2)?.broadcast_mul(&dcontext)?)?;
        let dweights = self.memory.broadcast_mul(&dcontext)?.sum(D::Minus1)?;
        let mean = (&dweights * &at.weights)?.sum_keepdim(D::Minus1)?;
        let dscores = (&at.weights * dweights.broadcast_sub(&mean)?)?.unsqueeze(2)?;
        let (Some(hidden), Some(project), Some(scale)) = (&at.hidden, &self.query, &self.scale) else {
            add_to(&mut sums.keys, dscores.broadcast_mul(&at.query.unsqueeze(1)?)?)?;
            return Ok(self.keys.broadcast_mul(&dscores)?.sum(1)?);
        };
        add_to(&mut sums.scale, hidden.broadcast_mul(&dscores)?.sum((0, 1))?)?;
        let slope = hidden.sqr()?.affine(-1.0, 1.0)?.broadcast_mul(scale)?;
        let dhidden = slope.broadcast_mul(&dscores)?;
        let dquery = dhidden.sum(1)?;
        add_to(&mut sums.keys, dhidden)?;
        add_to(&mut sums.query, dquery.t()?.matmul(&at.query)?)?;
        Ok(dquery.matmul(project)?)
    }
}

/// The first columns, and the others.
fn split(x: &Array, first: usize) -> Result<(Array, Array)> {
    let width = x.dim(1)?;
    Ok((x.narrow(1, 0, first)?.contiguous()?, x.narrow(1, first, width - first)?.contiguous()?))
}

impl Run<'_> {
    fn attention_rnn_steps(&self, index: usize, node: &Node, plan: &AttentionRnnPlan) -> Result<Steps> {
        let x = self.floats(node.inputs[0])?.clone();
        let (batch, steps, input) = x.dims3()?;
        let (keys, memory) = (self.floats(node.inputs[1])?.clone(), self.floats(node.inputs[2])?.clone());
        let (_, sources, width) = memory.dims3()?;
        let counts = match self.mask(node.inputs[2]) {
            Some(mask) => {
                let flags: Vec<f32> = mask.iter().map(|&counts| f32::from(u8::from(counts != 0))).collect();
                self.upload(&flags, &[batch, sources])?
            }
            None => self.zeros(&[batch, sources])?.affine(1.0, 1.0)?,
        };
        let places = plan.weights();
        let weight = |place: Option<usize>| place.map(|place| self.need_weight(node, place)).transpose();
        let attention = Attention {
            keys,
            memory,
            counts,
            query: weight(places.query)?,
            scale: weight(places.scale)?,
            combine: weight(places.combine)?,
        };
        let layers = (0..plan.layers).map(|cell| {
            let features = [batch, plan.cell_input(cell, [input, width])];
            let index = RandomState::cell_node(index, cell, self.plan.nodes.len());
            let [first, ..] = plan.cell_weights(cell);
            self.recurrent_layer(index, node, plan.recurrent(), features, first.unwrap_or_default())
        });
        let layers = layers.collect::<Result<Vec<_>>>()?;
        let zeros = self.zeros(&[batch, plan.units])?;
        let mut states = (0..plan.state_count())
            .map(|state| self.state(node, 3 + state, &[batch, plan.units]))
            .collect::<Result<Vec<_>>>()?;
        let each = plan.cell.states();
        let count = plan.layers * each;
        let mask = self.mask(node.inputs[0]);
        let mut output = zeros;
        let mut run =
            Steps { layers, attention, steps: Vec::new(), shown: Vec::new(), states: Vec::new(), weights: Vec::new() };
        for step in 0..steps {
            let column = self.step_mask(mask.as_ref(), steps, step)?;
            let column = column.as_ref();
            let mut input = x.narrow(1, step, 1)?.squeeze(1)?.contiguous()?;
            let first = if plan.after { None } else { Some(run.attention.attend(&states[0])?) };
            if let Some(attended) = &first {
                input = Array::cat(&[&input, &attended.context], 1)?;
            } else if plan.feed {
                input = Array::cat(&[&input, &states[count]], 1)?;
            }
            let (mut new, mut cells) = (Vec::with_capacity(count), Vec::with_capacity(plan.layers));
            for (layer, before) in run.layers.iter().zip(states[..count].chunks_exact(each)) {
                let before = before.to_vec();
                let (after, kept) = layer.step(&input, &before)?;
                cells.push(CellStep { input, before, kept });
                input = after[0].clone();
                new.extend(after);
            }
            // What the last cell gives.
            let hidden = input;
            let (attended, made) = match (first, &run.attention.combine) {
                (None, Some(combine)) => {
                    let attended = run.attention.attend(&hidden)?;
                    let joined = Array::cat(&[&attended.context, &hidden], 1)?;
                    (attended, Some(joined.matmul(&combine.t()?)?.tanh()?))
                }
                (Some(attended), _) => (attended, None),
                (None, None) => (run.attention.attend(&hidden)?, None),
            };
            output = select(column, made.as_ref().unwrap_or(&hidden), &output)?;
            run.shown.push(output.clone());
            run.weights.push(select(column, &attended.weights, &attended.weights.zeros_like()?)?);
            if plan.feed {
                new.extend(made.clone());
            }
            states = new.iter().zip(&states).map(|(new, old)| select(column, new, old)).collect::<Result<Vec<_>>>()?;
            run.steps.push(Step { cells, attended, output: made });
        }
        run.states = states;
        Ok(run)
    }

    pub(super) fn attention_rnn_forward(&mut self, index: usize, node: &Node, plan: AttentionRnnPlan) -> Result<()> {
        let (batch, steps, _) = self.floats(node.inputs[0])?.dims3()?;
        let sources = self.floats(node.inputs[2])?.dim(1)?;
        let run = self.attention_rnn_steps(index, node, &plan)?;
        let first = match (plan.sequences, run.shown.last()) {
            (true, Some(_)) => Array::stack(&run.shown, 1)?,
            (true, None) => self.zeros(&[batch, 0, plan.units])?,
            (false, Some(last)) => last.clone(),
            (false, None) => self.zeros(&[batch, plan.units])?,
        };
        let mut outputs = vec![first];
        if plan.states {
            outputs.extend(run.states);
        }
        if plan.scores {
            outputs.push(if steps == 0 { self.zeros(&[batch, 0, sources])? } else { Array::stack(&run.weights, 1)? });
        }
        for (&value, output) in node.outputs.iter().zip(outputs) {
            self.values[value] = Some(Value::Floats(output));
        }
        if plan.sequences {
            self.masks[node.outputs[0]] = self.mask(node.inputs[0]);
        }
        Ok(())
    }

    pub(super) fn attention_rnn_backward(&mut self, index: usize, node: &Node, plan: AttentionRnnPlan) -> Result<()> {
        let gradients: Vec<Option<Array>> = node.outputs.iter().map(|&value| self.gradients[value].take()).collect();
        let x = self.floats(node.inputs[0])?.clone();
        let (batch, steps, input) = x.dims3()?;
        let zeros = self.zeros(&[batch, plan.units])?;
        let run = self.attention_rnn_steps(index, node, &plan)?;
        let each = plan.cell.states();
        let (count, states) = (plan.layers * each, plan.state_count());
        let mut dstates: Vec<Array> = (0..states)
            .map(|state| {
                let given = if plan.states { gradients.get(1 + state).cloned().flatten() } else { None };
                given.unwrap_or_else(|| zeros.clone())
            })
            .collect();
        let dy = gradients.first().cloned().flatten();
        // What later steps, which repeat an output, pass back to it.
        let (dy, mut repeated) =
            if plan.sequences { (dy, zeros.clone()) } else { (None, dy.unwrap_or_else(|| zeros.clone())) };
        let mask = self.mask(node.inputs[0]);
        let mut dx = vec![self.zeros(&[batch, input])?; steps];
        let mut sums = Sums::default();
        let mut dcells: Vec<[Option<Array>; 3]> = (0..plan.layers).map(|_| [None, None, None]).collect();
        // The output of the last cell is its first state.
        let last = count - each;
        let mut dcombine = None;
        for (step, at) in run.steps.iter().enumerate().rev() {
            let column = self.step_mask(mask.as_ref(), steps, step)?;
            let column = column.as_ref();
            if let Some(dy) = &dy {
                repeated = (repeated + dy.narrow(1, step, 1)?.squeeze(1)?)?;
            }
            let mut after = dstates[..count].to_vec();
            match (&at.output, &run.attention.combine) {
                (Some(output), Some(combine)) => {
                    let mut doutput = repeated.clone();
                    if plan.feed {
                        doutput = (doutput + &dstates[count])?;
                    }
                    let doutput = select(column, &doutput, &zeros)?;
                    let dsum = (doutput * output.sqr()?.affine(-1.0, 1.0)?)?;
                    let joined = Array::cat(&[&at.attended.context, &at.attended.query], 1)?;
                    add_to(&mut dcombine, dsum.t()?.matmul(&joined)?)?;
                    let (dcontext, dhidden) = split(&dsum.matmul(combine)?, at.attended.context.dim(1)?)?;
                    let dquery = run.attention.backward(&at.attended, &dcontext, &mut sums)?;
                    after[last] = ((&after[last] + dhidden)? + dquery)?;
                }
                _ => after[last] = (&after[last] + &repeated)?,
            }
            let mut after = after.iter().map(|d| select(column, d, &zeros)).collect::<Result<Vec<_>>>()?;
            let mut before = vec![zeros.clone(); count];
            let mut fed = zeros.clone();
            for (cell, layer) in run.layers.iter().enumerate().rev() {
                let (at, first) = (&at.cells[cell], cell * each);
                let found = layer.step_backward(&at.input, &at.before, &at.kept, &after[first..first + each])?;
                for (sum, gradient) in dcells[cell].iter_mut().zip([found.kernel, found.recurrent, found.bias]) {
                    add_to(sum, gradient)?;
                }
                before[first..first + each].clone_from_slice(&found.before);
                if cell == 0 {
                    (dx[step], fed) = split(&found.x, input)?;
                } else {
                    after[first - each] = (&after[first - each] + found.x)?;
                }
            }
            if !plan.after {
                before[0] = (&before[0] + run.attention.backward(&at.attended, &fed, &mut sums)?)?;
            }
            if plan.feed {
                before.push(fed);
            }
            dstates = before
                .iter()
                .zip(&dstates)
                .map(|(before, passed)| select(column, before, passed))
                .collect::<Result<Vec<_>>>()?;
            repeated = select(column, &zeros, &repeated)?;
        }
        if steps > 0 {
            self.add_gradient(node.inputs[0], Array::stack(&dx, 1)?)?;
        }
        for (input, gradient) in [(1, sums.keys), (2, sums.memory)] {
            if let Some(gradient) = gradient {
                self.add_gradient(node.inputs[input], gradient)?;
            }
        }
        for (&value, gradient) in node.inputs.iter().skip(3).zip(dstates) {
            self.add_gradient(value, gradient)?;
        }
        let places = plan.weights();
        for (cell, gradients) in dcells.into_iter().enumerate() {
            for (place, gradient) in plan.cell_weights(cell).into_iter().zip(gradients) {
                if let Some((place, gradient)) = place.zip(gradient) {
                    self.add_weight_gradient(node, place, gradient)?;
                }
            }
        }
        let weights = [(places.query, sums.query), (places.scale, sums.scale), (places.combine, dcombine)];
        for (place, gradient) in weights {
            if let Some((place, gradient)) = place.zip(gradient) {
                self.add_weight_gradient(node, place, gradient)?;
            }
        }
        Ok(())
    }
}
