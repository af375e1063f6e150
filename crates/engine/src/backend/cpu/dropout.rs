//! Dropout, alone or in one pass with what is around it.
use sconce_kernels::{
    Destination,
    activation::{self, Activation},
    buffer::Buffer,
    dropout::{Dropout, Rows},
    reduce,
};

use super::Run;
use crate::{
    error::Result,
    plan::{Node, Operation, ValueId},
    tensor::{Data, Tensor},
};

impl Run<'_> {
    /// What a node drops of the `length` elements of tensors with the rows of `value`; nothing in inference.
    fn dropping(&self, index: usize, rate: f32, value: ValueId, length: usize) -> Option<Dropout<'_>> {
        let random = self.random.filter(|_| rate > 0.0)?;
        let rows = self.rows(value).map(|rows| {
            let numbers = rows.positions.as_slice();
            Rows { width: length / numbers.len().max(1), numbers }
        });
        Some(Dropout { rate, key: random.key(index, 0), rows })
    }

    pub(super) fn dropout_forward(&mut self, position: usize, index: usize, node: &Node, rate: f32) -> Result<Tensor> {
        let input = node.inputs[0];
        if let Some(mut tensor) = self.take_last(position, input) {
            if let Data::Float(data) = &mut tensor.data
                && let Some(dropout) = self.dropping(index, rate, input, data.len())
            {
                dropout.in_place(self.context, data);
            }
            return Ok(tensor);
        }
        let x = self.value(input)?;
        let Some(dropout) = self.dropping(index, rate, input, x.len()) else { return Ok(x.clone()) };
        let mut y = Buffer::new(x.len());
        dropout.forward(self.context, x.floats()?, &mut y);
        Ok(Tensor::float(x.shape.clone(), y))
    }

    pub(super) fn dropout_backward(&mut self, index: usize, node: &Node, rate: f32, mut dy: Buffer) {
        if let Some(dropout) = self.dropping(index, rate, node.inputs[0], dy.len()) {
            dropout.in_place(self.context, &mut dy);
        }
        self.give(node.inputs[0], dy);
    }

    /// The first input, and the second one after dropout.
    pub(super) fn residual_forward(&mut self, position: usize, index: usize, node: &Node, rate: f32) -> Result<Tensor> {
        let &[x, branch] = node.inputs.as_slice() else { return self.take_or_copy(position, node) };
        let taken = if x == branch { None } else { self.take_last(position, branch) };
        let mut sum = match taken {
            Some(tensor) => tensor,
            None => self.value(branch)?.clone(),
        };
        let dropping = self.dropping(index, rate, branch, sum.len());
        let x = self.value(x)?.floats()?;
        if let Data::Float(sum) = &mut sum.data {
            match dropping {
                Some(dropout) => dropout.add(self.context, x, sum),
                None => reduce::add_into(self.context, x, sum),
            }
        }
        Ok(sum)
    }

    pub(super) fn residual_backward(&mut self, index: usize, node: &Node, rate: f32, dy: Buffer) {
        let &[x, branch] = node.inputs.as_slice() else { return };
        if let Some(mut slot) = self.slot(branch, dy.len()) {
            match self.dropping(index, rate, branch, dy.len()) {
                Some(dropout) => dropout.backward(self.context, &dy, slot.destination()),
                None if slot.accumulate => reduce::add_into(self.context, &dy, &mut slot.buffer),
                None => slot.buffer.copy_from_slice(&dy),
            }
            self.put(branch, Some(slot));
        }
        self.give(x, dy);
    }

    pub(super) fn activate_dropped_forward(
        &mut self,
        position: usize,
        index: usize,
        node: &Node,
        (function, rate): (Activation, f32),
    ) -> Result<Tensor> {
        let input = node.inputs[0];
        if let Some(mut tensor) = self.take_last(position, input) {
            if let Data::Float(data) = &mut tensor.data {
                match self.dropping(index, rate, input, data.len()) {
                    Some(dropout) => dropout.activate(self.context, function, data),
                    None => activation::forward_in_place(self.context, function, data),
                }
            }
            return Ok(tensor);
        }
        let x = self.value(input)?;
        let mut y = Buffer::new(x.len());
        match self.dropping(index, rate, input, x.len()) {
            Some(dropout) => dropout.activate_to(self.context, function, x.floats()?, &mut y),
            None => activation::forward(self.context, function, x.floats()?, &mut y),
        }
        Ok(Tensor::float(x.shape.clone(), y))
    }

    /// What a ReLU with or without dropout multiplies with what it keeps, of `length` elements.
    pub(super) fn relu_factor(&self, index: usize, length: usize) -> f32 {
        let node = &self.plan.nodes[index];
        let Operation::ActivateDropped(_, rate) = node.operation else { return 1.0 };
        self.dropping(index, rate, node.inputs[0], length).map_or(1.0, |dropout| dropout.scale())
    }

    pub(super) fn activate_dropped_backward(
        &mut self,
        index: usize,
        node: &Node,
        (function, rate): (Activation, f32),
        mut dy: Buffer,
    ) -> Result<()> {
        let input = node.inputs[0];
        let kept = if function.gradient_takes_input() { input } else { node.outputs[0] };
        let saved = self.value(kept)?.floats()?;
        match self.dropping(index, rate, input, dy.len()) {
            Some(dropout) if function.gradient_takes_input() => {
                dropout.activate_backward(self.context, function, saved, &mut dy);
            }
            Some(dropout) => dropout.relu_backward(self.context, saved, &mut dy),
            None => {
                let mut dx = Buffer::new(dy.len());
                let to = Destination { data: &mut dx, accumulate: false };
                activation::backward(self.context, function, saved, &dy, to);
                dy = dx;
            }
        }
        self.give(input, dy);
        Ok(())
    }
}
