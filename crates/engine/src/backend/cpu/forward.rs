//! Forward passes of single nodes.
use std::sync::Arc;

use sconce_kernels::{
    activation,
    buffer::Buffer,
    dense, dropout, embedding,
    lstm::{self, LstmInputs, LstmOptions, LstmOutputs, LstmShape, LstmWeights},
    softmax,
};

use super::{Run, Saved};
use crate::{
    backend::checks::check_ids,
    error::{Code, Error, Result},
    layers::WeightSpecification,
    plan::{LstmPlan, Node, Operation},
    tensor::{Data, Mask, Tensor},
};

/// Sizes of a sequence `[B, T, D]`.
pub(super) fn sequence(tensor: &Tensor) -> Result<[usize; 3]> {
    <[usize; 3]>::try_from(tensor.shape.as_slice())
        .map_err(|_| Error::new(Code::Internal, format!("expected a sequence, got shape {:?}", tensor.shape)))
}

impl<'a> Run<'a> {
    /// Runs a node and keeps its outputs.
    pub(super) fn node_forward(&mut self, position: usize, index: usize) -> Result<()> {
        let plan = self.plan;
        let node = &plan.nodes[index];
        match node.operation {
            Operation::Input => return Ok(()),
            Operation::Lstm(options) => return self.lstm_forward(index, node, options),
            Operation::Scan(ref scan) => return self.scan_forward(index, node, scan),
            Operation::Tensor(ref operation) => return self.tensor_forward(position, index, node, operation),
            _ => {}
        }
        let output = match node.operation {
            Operation::Embedding { mask_zero } => self.embedding_forward(node, mask_zero)?,
            Operation::Linear => self.linear_forward(node)?,
            Operation::Activate(function) => {
                let mut tensor = self.take_or_copy(position, node)?;
                if let Data::Float(data) = &mut tensor.data {
                    activation::forward_in_place(self.context, function, data);
                }
                tensor
            }
            Operation::Softmax => {
                let x = self.value(node.inputs[0])?;
                let mut y = Buffer::new(x.len());
                if !y.is_empty() {
                    softmax::forward(self.context, x.width(), x.floats()?, &mut y);
                }
                Tensor::float(x.shape.clone(), y)
            }
            Operation::Dropout(rate) => match self.random {
                Some(random) if rate > 0.0 => {
                    let x = self.value(node.inputs[0])?;
                    let mut y = Buffer::new(x.len());
                    dropout::forward(self.context, x.floats()?, &mut y, rate, random.key(index, 0));
                    Tensor::float(x.shape.clone(), y)
                }
                _ => self.take_or_copy(position, node)?,
            },
            Operation::Concatenate(axis) => self.concatenate_forward(node, axis)?,
            Operation::RepeatVector(count) => {
                let x = self.value(node.inputs[0])?;
                let (rows, width) = (x.rows(), x.width());
                let mut y = Buffer::new(rows * count * width);
                if !y.is_empty() {
                    for (x, y) in x.floats()?.chunks_exact(width).zip(y.chunks_exact_mut(count * width)) {
                        y.chunks_exact_mut(width).for_each(|step| step.copy_from_slice(x));
                    }
                }
                Tensor::float(vec![rows, count, width], y)
            }
            Operation::Merge(merge) => self.merge_forward(node, merge)?,
            Operation::Input | Operation::Lstm(_) | Operation::Tensor(_) | Operation::Scan(_) => return Ok(()),
        };
        let mask = match node.operation {
            Operation::Embedding { .. } => self.masks[node.outputs[0]].clone(),
            Operation::RepeatVector(_) => None,
            Operation::Concatenate(_) | Operation::Merge(_) => {
                if plan.values[node.outputs[0]].masked {
                    self.joined_mask(node)
                } else {
                    None
                }
            }
            _ => self.masks[node.inputs[0]].clone(),
        };
        self.masks[node.outputs[0]] = mask;
        self.values[node.outputs[0]] = Some(output);
        Ok(())
    }

    /// The only input of a node: taken if nothing needs it afterwards, otherwise copied.
    pub(super) fn take_or_copy(&mut self, position: usize, node: &Node) -> Result<Tensor> {
        let input = node.inputs[0];
        let last = self.schedule.release[position].contains(&input);
        match self.values[input].take_if(|_| last) {
            Some(tensor) => Ok(tensor),
            None => self.value(input).cloned(),
        }
    }

    /// Positions that count in any input.
    fn joined_mask(&self, node: &Node) -> Option<Mask> {
        let masks = node.inputs.iter().map(|&input| self.masks[input].as_ref()).collect::<Option<Vec<_>>>()?;
        let mut joined = masks.first()?.to_vec();
        for mask in &masks[1..] {
            joined.iter_mut().zip(mask.iter()).for_each(|(joined, &other)| *joined |= other);
        }
        Some(Arc::new(joined))
    }

    fn embedding_forward(&mut self, node: &Node, mask_zero: bool) -> Result<Tensor> {
        let table = self.weight(node, 0)?;
        let input = self.value(node.inputs[0])?;
        let ids = input.as_ids()?;
        let layer = &self.plan.layers[node.layer];
        let width = self.specification(node).shape[1];
        check_ids(&layer.name, ids, &input.shape, table.len() / width)?;
        let mut y = Buffer::new(ids.len() * width);
        embedding::forward(self.context, table, width, ids, &mut y);
        let mut shape = input.shape.clone();
        shape.push(width);
        let mask = mask_zero.then(|| Arc::new(ids.iter().map(|&id| u8::from(id != 0)).collect::<Vec<u8>>()));
        self.masks[node.outputs[0]] = mask;
        Ok(Tensor::float(shape, y))
    }

    fn linear_forward(&self, node: &Node) -> Result<Tensor> {
        let x = self.value(node.inputs[0])?;
        let (kernel, bias) = (self.weight(node, 0)?, self.optional_weight(node, 1));
        let units = self.units(node);
        let shape = dense::DenseShape { rows: x.rows(), input: x.width(), units };
        let mut y = Buffer::new(shape.rows * units);
        dense::forward(self.context, shape, x.floats()?, kernel, bias, &mut y);
        let mut sizes = x.shape.clone();
        if let Some(last) = sizes.last_mut() {
            *last = units;
        }
        Ok(Tensor::float(sizes, y))
    }

    /// What the first weight of a node is.
    fn specification(&self, node: &Node) -> &WeightSpecification {
        &self.plan.weights[self.plan.layers[node.layer].first_weight + node.first_weight].specification
    }

    /// Outputs of a linear node.
    pub(super) fn units(&self, node: &Node) -> usize {
        self.specification(node).shape[1]
    }

    fn concatenate_forward(&self, node: &Node, axis: usize) -> Result<Tensor> {
        let tensors = node.inputs.iter().map(|&input| self.value(input)).collect::<Result<Vec<_>>>()?;
        let mut shape = tensors[0].shape.clone();
        shape[axis] = tensors.iter().map(|tensor| tensor.shape[axis]).sum();
        let outer: usize = shape[..axis].iter().product();
        let mut y = Buffer::new(shape.iter().product());
        let row: usize = shape[axis..].iter().product();
        let mut start = 0;
        for tensor in &tensors {
            let width: usize = tensor.shape[axis..].iter().product();
            let x = tensor.floats()?;
            for index in 0..outer {
                y[index * row + start..][..width].copy_from_slice(&x[index * width..][..width]);
            }
            start += width;
        }
        Ok(Tensor::float(shape, y))
    }

    fn lstm_forward(&mut self, index: usize, node: &Node, options: LstmPlan) -> Result<()> {
        let x = self.value(node.inputs[0])?;
        let [batch, steps, input] = sequence(x)?;
        let units = options.units;
        let shape = LstmShape { batch, steps, input, units };
        let weights = LstmWeights {
            kernel: self.weight(node, 0)?,
            recurrent: self.weight(node, 1)?,
            bias: self.optional_weight(node, 2),
        };
        let mask = self.masks[node.inputs[0]].clone();
        let (dropout, recurrent_dropout) = self.lstm_dropout(index, options, shape);
        let inputs = LstmInputs {
            x: x.floats()?,
            h0: self.state(node, 1)?,
            c0: self.state(node, 2)?,
            mask: mask.as_ref().map(|mask| mask.as_slice()),
        };
        let states = node.outputs.len() == 3;
        let mut y = Buffer::new(if options.sequences { batch * steps * units } else { 0 });
        // Without sequences, output 0 is the last output.
        let wants_h = states || !options.sequences;
        let mut h = Buffer::new(if wants_h { batch * units } else { 0 });
        let mut c = Buffer::new(if states { batch * units } else { 0 });
        let mut saved = None;
        let keeps = self.schedule.backward[index];
        lstm::forward(
            self.context,
            shape,
            weights,
            inputs,
            lstm_options(options, dropout.as_deref(), recurrent_dropout.as_deref()),
            LstmOutputs {
                y: options.sequences.then_some(&mut *y),
                h: wants_h.then_some(&mut *h),
                c: states.then_some(&mut *c),
            },
            keeps.then_some(&mut saved),
        );
        self.saved[index] = saved.map(|saved| Saved::Lstm { saved: Box::new(saved), dropout, recurrent_dropout });
        let state = |data: Buffer| Some(Tensor::float(vec![batch, units], data));
        if options.sequences {
            self.masks[node.outputs[0]] = mask;
            self.values[node.outputs[0]] = Some(Tensor::float(vec![batch, steps, units], y));
            if states {
                self.values[node.outputs[1]] = state(h);
                self.values[node.outputs[2]] = state(c);
            }
        } else {
            let mut last = if states { h.clone() } else { Buffer::new(0) };
            if states {
                self.values[node.outputs[1]] = state(h);
                self.values[node.outputs[2]] = state(c);
            } else {
                last = h;
            }
            clear_silent_rows(&mut last, mask.as_ref(), steps, options);
            self.values[node.outputs[0]] = state(last);
        }
        Ok(())
    }

    /// An initial state, if the node has one.
    pub(super) fn state(&self, node: &Node, input: usize) -> Result<Option<&[f32]>> {
        node.inputs.get(input).map(|&value| self.value(value)?.floats()).transpose()
    }

    /// Factors of an LSTM's dropout. Four masks of the inputs where there is recurrent dropout too, as in Keras.
    fn lstm_dropout(&self, index: usize, options: LstmPlan, shape: LstmShape) -> (Option<Buffer>, Option<Buffer>) {
        let Some(random) = self.random else { return (None, None) };
        let factors = |rate: f32, length: usize, part: usize| {
            (rate > 0.0).then(|| {
                let mut factors = Buffer::new(length);
                dropout::mask(self.context, random.key(index, part), rate, &mut factors);
                factors
            })
        };
        let variants = if options.recurrent_dropout > 0.0 { 4 } else { 1 };
        (
            factors(options.dropout, variants * shape.batch * shape.input, 1),
            factors(options.recurrent_dropout, 4 * shape.batch * shape.units, 2),
        )
    }
}

/// Clears the rows of a last output that are zeros: those without any step that counts, and with `zero_output_for_mask`
/// those whose last processed step is masked; all rows of a sequence of no steps. Everywhere else the last output is the
/// last state.
pub(super) fn clear_silent_rows(last: &mut [f32], mask: Option<&Mask>, steps: usize, options: LstmPlan) {
    if steps == 0 {
        last.fill(0.0);
    }
    let Some(mask) = mask else { return };
    for (row, values) in last.chunks_exact_mut(options.units).enumerate() {
        let mask = &mask[row * steps..][..steps];
        let end = if options.reverse { mask.first() } else { mask.last() };
        let silent = if options.zero_output_for_mask {
            end.is_none_or(|&counts| counts == 0)
        } else {
            mask.iter().all(|&counts| counts == 0)
        };
        if silent {
            values.fill(0.0);
        }
    }
}

/// Options as the kernel takes them.
pub(super) fn lstm_options<'b>(
    options: LstmPlan,
    dropout: Option<&'b [f32]>,
    recurrent_dropout: Option<&'b [f32]>,
) -> LstmOptions<'b> {
    LstmOptions {
        reverse: options.reverse,
        activation: options.activation,
        recurrent_activation: options.recurrent_activation,
        zero_output_for_mask: options.zero_output_for_mask,
        dropout,
        recurrent_dropout,
    }
}
