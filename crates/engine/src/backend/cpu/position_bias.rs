//! Biases of scores by distance.
use sconce_kernels::{buffer::Buffer, rows::for_rows};

use super::{
    Run, Saved,
    backward::{WeightGradients, weight_slot},
};
use crate::{
    backend::WeightGradient,
    error::{Code, Error, Result},
    plan::{Node, PositionBias},
    tensor::Tensor,
};

impl Run<'_> {
    /// Queries and keys of the scores: those of a second input, or of the first with all steps before.
    fn score_sizes(&self, node: &Node) -> Result<[usize; 2]> {
        let first = self.forward.position();
        let steps = |place: usize| self.value(node.inputs[place]).map(|x| x.shape.get(1).copied().unwrap_or(0));
        let queries = steps(0)?;
        Ok([queries, if node.inputs.len() > 1 { steps(1)? } else { first + queries }])
    }

    pub(super) fn bias_forward(&mut self, index: usize, node: &Node, bias: PositionBias) -> Result<Tensor> {
        let [queries, keys] = self.score_sizes(node)?;
        let (first, heads) = (self.forward.position(), bias.heads);
        let size = queries * keys;
        let mut y = Buffer::new(heads * size);
        match bias.buckets {
            None => y.copy_from_slice(&bias.slopes(first, queries, keys)),
            Some(buckets) => {
                let (table, places) = (self.weight(node, 0)?, bias.places(&buckets, first, queries, keys));
                for_rows(self.context, &mut y, keys, keys, |first, y| {
                    for (row, y) in y.chunks_exact_mut(keys).enumerate() {
                        let (head, query) = ((first + row) / queries, (first + row) % queries);
                        let places = &places[query * keys..][..keys];
                        y.iter_mut().zip(places).for_each(|(y, &place)| *y = table[place as usize * heads + head]);
                    }
                });
            }
        }
        self.saved[index] = self.schedule.backward[index].then_some(Saved::Sizes([queries, keys, heads]));
        Ok(Tensor::float(vec![1, heads, queries, keys], y))
    }

    pub(super) fn bias_backward(
        &mut self,
        index: usize,
        node: &Node,
        bias: PositionBias,
        dy: &[f32],
        gradients: &mut WeightGradients,
    ) -> Result<()> {
        let (Some(buckets), Some(weight)) = (bias.buckets, self.plan.weight(node, 0)) else { return Ok(()) };
        let Some(Saved::Sizes([queries, keys, heads])) = self.saved[index] else {
            return Err(Error::new(Code::Internal, "a bias by distance lacks its sizes"));
        };
        if !self.schedule.trainable[weight] {
            return Ok(());
        }
        let places = bias.places(&buckets, self.forward.position(), queries, keys);
        let mut slot = weight_slot(gradients, weight, buckets.count * heads);
        if !slot.accumulate {
            slot.buffer.fill(0.0);
        }
        // `[heads, buckets]`. Many scores share a number: they are summed in 64 bits.
        let mut sums = vec![0.0f64; buckets.count * heads];
        let size = queries * keys;
        for_rows(self.context, &mut sums, buckets.count, size, |first, sums| {
            for (row, sums) in sums.chunks_exact_mut(buckets.count).enumerate() {
                let dy = &dy[(first + row) * size..][..size];
                dy.iter().zip(&places).for_each(|(dy, &place)| sums[place as usize] += f64::from(*dy));
            }
        });
        for (at, slope) in slot.buffer.iter_mut().enumerate() {
            *slope += sums[at % heads * buckets.count + at / heads] as f32;
        }
        gradients[weight] = Some(WeightGradient::Dense(slot.buffer));
        Ok(())
    }
}
