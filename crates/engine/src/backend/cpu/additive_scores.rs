//! Scores of additive attention.
use sconce_kernels::{
    additive_attention::{self, AdditiveGradients, AdditiveInputs, AdditiveSizes},
    buffer::Buffer,
};

use super::{Run, backward::Slot};
use crate::{
    error::{Code, Error, Result},
    plan::Node,
    tensor::{Mask, Tensor},
};

impl Run<'_> {
    fn additive_sizes(&self, node: &Node) -> Result<AdditiveSizes> {
        let (query, key) = (self.value(node.inputs[0])?, self.value(node.inputs[1])?);
        match (query.shape.as_slice(), key.shape.as_slice()) {
            (&[batch, queries, width], &[_, keys, _]) => Ok(AdditiveSizes { batch, queries, keys, width }),
            _ => Err(Error::new(Code::Internal, "additive attention is over sequences")),
        }
    }

    fn additive_inputs<'b>(&'b self, node: &Node, mask: Option<&'b Mask>) -> Result<AdditiveInputs<'b>> {
        let factors = node.inputs.get(3).map(|&factors| self.value(factors)?.floats()).transpose()?;
        Ok(AdditiveInputs {
            query: self.value(node.inputs[0])?.floats()?,
            key: self.value(node.inputs[1])?.floats()?,
            factors,
            key_mask: mask.map(|mask| mask.as_slice()),
        })
    }

    pub(super) fn additive_scores_forward(&mut self, node: &Node) -> Result<()> {
        let sizes = self.additive_sizes(node)?;
        let mask = self.mask(node.inputs[2]);
        let mut scores = Buffer::new(sizes.batch * sizes.queries * sizes.keys);
        additive_attention::forward(self.context, sizes, &self.additive_inputs(node, mask.as_ref())?, &mut scores);
        let scores = Tensor::float(vec![sizes.batch, 1, sizes.queries, sizes.keys], scores);
        self.values[node.outputs[0]] = Some(scores);
        Ok(())
    }

    pub(super) fn additive_scores_backward(&mut self, node: &Node, dscores: &[f32]) -> Result<()> {
        let sizes = self.additive_sizes(node)?;
        let mask = self.mask(node.inputs[2]);
        let places: Vec<usize> = (0..node.inputs.len()).filter(|&place| place != 2).collect();
        let mut slots = Vec::with_capacity(places.len());
        for &place in &places {
            let length = self.value(node.inputs[place])?.len();
            slots.push(self.slot(node.inputs[place], length));
        }
        let inputs = self.additive_inputs(node, mask.as_ref())?;
        let mut destinations = slots.iter_mut().map(|slot| slot.as_mut().map(Slot::destination));
        let gradients = AdditiveGradients {
            query: destinations.next().flatten(),
            key: destinations.next().flatten(),
            factors: destinations.next().flatten(),
        };
        additive_attention::backward(self.context, sizes, &inputs, dscores, gradients);
        // Queries may be keys too: each adds to what the one before gave.
        for (place, slot) in places.into_iter().zip(slots) {
            let input = node.inputs[place];
            match slot {
                Some(slot) if self.gradients[input].is_some() => self.add_gradient(input, &slot.buffer),
                slot => self.put(input, slot),
            }
        }
        Ok(())
    }
}
