//! Layer normalisation, and softmax over any axes.
use sconce_kernels::{
    Destination,
    buffer::Buffer,
    layer_norm::{
        self, LayerNormGradients, LayerNormInputs, LayerNormSaved, LayerNormWeights,
        rms::{self, RmsNormInputs},
    },
    rows::for_rows,
    softmax,
};

use super::{
    Run, Saved,
    axes::Layout,
    backward::{Slot, WeightGradients, weight_slot},
};
use crate::{
    backend::{WeightGradient, masks::broadcast_mask},
    error::{Code, Error, Result},
    plan::{Node, Normalization},
    tensor::Tensor,
};

/// What Keras puts in the place of a masked logit.
const MASKED: f32 = -1e9;

impl<'a> Run<'a> {
    fn normalization_weights(&self, node: &Node, plan: &Normalization) -> Result<LayerNormWeights<'a>> {
        Ok(LayerNormWeights {
            gamma: if plan.scale { Some(self.weight(node, 0)?) } else { None },
            beta: if plan.center { Some(self.weight(node, usize::from(plan.scale))?) } else { None },
        })
    }

    /// How a value lies; one of which only some rows are there has an axis less in front.
    fn layout(&self, node: &Node, shape: &[usize], plan: &Normalization) -> Layout {
        let lacking = self.plan.values[node.inputs[0]].shape.len() - shape.len();
        let axes: Vec<usize> = plan.axes.iter().map(|axis| axis - lacking).collect();
        Layout::new(shape, &axes)
    }

    pub(super) fn normalize_forward(&mut self, index: usize, node: &Node, plan: &Normalization) -> Result<Tensor> {
        let x = self.value(node.inputs[0])?;
        let shape = x.shape.clone();
        let layout = self.layout(node, &shape, plan);
        let weights = self.normalization_weights(node, plan)?;
        let rows = x.len().checked_div(layout.width).unwrap_or(0);
        let mut y = Buffer::new(x.len());
        let keeps = if self.schedule.backward[index] { rows } else { 0 };
        let (mut mean, mut inverse) = (Buffer::new(if plan.centred { keeps } else { 0 }), Buffer::new(keeps));
        let x = layout.rows(self.context, x.floats()?);
        let backward = self.schedule.backward[index];
        if plan.centred {
            let saved = LayerNormSaved { mean: &mut mean, inverse: &mut inverse };
            let saved = backward.then_some(saved);
            layer_norm::forward(self.context, layout.width, plan.epsilon, &x, weights, &mut y, saved);
        } else {
            let saved = backward.then_some(&mut *inverse);
            rms::forward(self.context, layout.width, plan.epsilon, &x, weights.gamma, &mut y, saved);
        }
        if !layout.is_same() {
            let mut placed = Buffer::new(y.len());
            layout.back(self.context, &y, Destination { data: &mut placed, accumulate: false });
            y = placed;
        }
        self.saved[index] = Some(Saved::Normal { mean, inverse });
        Ok(Tensor::float(shape, y))
    }

    pub(super) fn normalize_backward(
        &mut self,
        index: usize,
        node: &Node,
        plan: &Normalization,
        dy: &[f32],
        gradients: &mut WeightGradients,
    ) -> Result<()> {
        let Some(Saved::Normal { mean, inverse }) = self.saved[index].take() else {
            return Err(Error::new(Code::Internal, "a normalisation lacks what its forward pass saved"));
        };
        let input = node.inputs[0];
        let weights = self.normalization_weights(node, plan)?;
        let mut slot = self.slot(input, dy.len());
        let x = self.value(input)?;
        let layout = self.layout(node, &x.shape, plan);
        let trainable =
            |used: bool, index| self.plan.weight(node, index).filter(|&weight| used && self.schedule.trainable[weight]);
        let numbers = [trainable(plan.scale, 0), trainable(plan.center, usize::from(plan.scale))];
        let mut slots = numbers.map(|number| number.map(|weight| weight_slot(gradients, weight, layout.width)));
        let [dgamma, dbeta] = &mut slots;
        // Of moved rows the gradient is moved back afterwards.
        let mut moved = Buffer::new(if slot.is_some() && !layout.is_same() { dy.len() } else { 0 });
        let dx = match &mut slot {
            None => None,
            Some(slot) if layout.is_same() => Some(slot.destination()),
            Some(_) => Some(Destination { data: &mut moved, accumulate: false }),
        };
        let (x, dy) = (layout.rows(self.context, x.floats()?), layout.rows(self.context, dy));
        let (gamma, inverse) = (weights.gamma, &inverse);
        let dgamma = dgamma.as_mut().map(Slot::destination);
        if plan.centred {
            let inputs = LayerNormInputs { x: &x, gamma, mean: &mean, inverse };
            let gradients = LayerNormGradients { dx, dgamma, dbeta: dbeta.as_mut().map(Slot::destination) };
            layer_norm::backward(self.context, layout.width, inputs, &dy, gradients);
        } else {
            let inputs = RmsNormInputs { x: &x, scale: gamma, inverse };
            rms::backward(self.context, layout.width, inputs, &dy, dx, dgamma);
        }
        if let Some(slot) = slot.as_mut().filter(|_| !layout.is_same()) {
            layout.back(self.context, &moved, slot.destination());
        }
        self.put(input, slot);
        for (weight, slot) in numbers.into_iter().zip(slots) {
            if let (Some(weight), Some(slot)) = (weight, slot) {
                gradients[weight] = Some(WeightGradient::Dense(slot.buffer));
            }
        }
        Ok(())
    }

    pub(super) fn log_softmax_forward(&self, node: &Node) -> Result<Tensor> {
        let x = self.value(node.inputs[0])?;
        let mut y = Buffer::new(x.len());
        if !y.is_empty() {
            softmax::log_forward(self.context, x.width(), x.floats()?, &mut y);
        }
        Ok(Tensor::float(x.shape.clone(), y))
    }

    pub(super) fn log_softmax_backward(&mut self, node: &Node, dy: &[f32]) -> Result<()> {
        let Some(mut slot) = self.slot(node.inputs[0], dy.len()) else { return Ok(()) };
        let y = self.value(node.outputs[0])?;
        if !dy.is_empty() {
            softmax::log_backward(self.context, y.width(), y.floats()?, dy, slot.destination());
        }
        self.put(node.inputs[0], Some(slot));
        Ok(())
    }

    pub(super) fn softmax_over_forward(&self, node: &Node, axes: &[usize]) -> Result<Tensor> {
        let x = self.value(node.inputs[0])?;
        let mask = node.inputs.get(1).map(|&mask| self.value(mask)).transpose()?;
        let mask = mask.map(|mask| broadcast_mask(self.context, mask, &x.shape));
        let layout = Layout::new(&x.shape, axes);
        let mut y = Buffer::new(x.len());
        if y.is_empty() {
            return Ok(Tensor::float(x.shape.clone(), y));
        }
        let mut kept = Buffer::new(if mask.is_some() { x.len() } else { 0 });
        let mut logits = x.floats()?;
        if let Some(mask) = &mask {
            for_rows(self.context, &mut kept, 1, 1, |first, kept| {
                for ((kept, &x), &counts) in kept.iter_mut().zip(&logits[first..]).zip(&mask[first..]) {
                    *kept = if counts { x } else { MASKED };
                }
            });
            logits = &kept;
        }
        softmax::forward(self.context, layout.width, &layout.rows(self.context, logits), &mut y);
        if !layout.is_same() {
            let mut placed = Buffer::new(y.len());
            layout.back(self.context, &y, Destination { data: &mut placed, accumulate: false });
            y = placed;
        }
        if let Some(mask) = &mask {
            for_rows(self.context, &mut y, 1, 1, |first, y| {
                y.iter_mut().zip(&mask[first..]).filter(|(_, counts)| !**counts).for_each(|(y, _)| *y = 0.0);
            });
        }
        Ok(Tensor::float(x.shape.clone(), y))
    }

    /// What is masked is 0 in the output, and has a gradient of 0 by that alone.
    pub(super) fn softmax_over_backward(&mut self, node: &Node, axes: &[usize], dy: &[f32]) -> Result<()> {
        let input = node.inputs[0];
        let Some(mut slot) = self.slot(input, dy.len()) else { return Ok(()) };
        if !dy.is_empty() {
            let y = self.value(node.outputs[0])?;
            let layout = Layout::new(&y.shape, axes);
            let (rows, dy) = (layout.rows(self.context, y.floats()?), layout.rows(self.context, dy));
            if layout.is_same() {
                softmax::backward(self.context, layout.width, &rows, &dy, slot.destination());
            } else {
                let mut dx = Buffer::new(dy.len());
                let to = Destination { data: &mut dx, accumulate: false };
                softmax::backward(self.context, layout.width, &rows, &dy, to);
                layout.back(self.context, &dx, slot.destination());
            }
        }
        self.put(input, Some(slot));
        Ok(())
    }
}
