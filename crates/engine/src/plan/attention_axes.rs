//! Attention over other axes than that of time: inputs are folded to sequences, and what comes out is unfolded.
use super::{Operation, Plan, ValueId};
use crate::layers::{AttentionAxes, Signature, Step};

impl Plan {
    /// Query, value and key as sequences, and mask and bias as they fit these.
    pub(super) fn fold_attention(
        &mut self,
        axes: &AttentionAxes,
        layer: usize,
        sequences: [ValueId; 3],
        scores: [Option<ValueId>; 2],
    ) -> ([ValueId; 3], [Option<ValueId>; 2]) {
        let [query, value, _] = sequences;
        let mut made: Vec<(ValueId, ValueId)> = Vec::new();
        let folded = sequences.map(|x| {
            // What is query and value at once is folded once.
            if let Some(&(_, folded)) = made.iter().find(|(whole, _)| *whole == x) {
                return folded;
            }
            let folded = self.steps_of(layer, &axes.fold(self.values[x].masked), &[x]);
            made.push((x, folded));
            folded
        });
        let scores = scores.map(|own| {
            own.map(|own| {
                let steps = axes.fold_scores(&self.values[own]);
                self.steps_of(layer, &steps, &[own, query, value])
            })
        });
        (folded, scores)
    }

    /// The output, and the scores if there are any, with the axes of query and value.
    pub(super) fn unfold_attention(
        &mut self,
        axes: &AttentionAxes,
        layer: usize,
        values: &[ValueId],
        (query, value): (ValueId, ValueId),
    ) -> Vec<ValueId> {
        let masked = self.values[query].masked;
        let mut unfolded = vec![self.steps_of(layer, &axes.unfold(masked), &[values[0], query])];
        if let Some(&scores) = values.get(1) {
            unfolded.push(self.steps_of(layer, &axes.unfold_scores(), &[scores, query, value]));
        }
        unfolded
    }

    /// Nodes of steps; gives what the last one does, or the first input if there is no step.
    fn steps_of(&mut self, layer: usize, steps: &[Step], inputs: &[ValueId]) -> ValueId {
        let mut values = inputs.to_vec();
        for (operation, takes) in steps {
            let taken: Vec<ValueId> = takes.iter().map(|&value| values[value]).collect();
            let signatures: Vec<Signature> = taken.iter().map(|&value| self.values[value].clone()).collect();
            // Inference has run the same steps.
            let given = operation.infer(&signatures).map_or_else(|_| signatures[..1].to_vec(), |found| found.outputs);
            values.extend(self.push(Operation::Tensor(operation.clone()), layer, taken, given));
        }
        if steps.is_empty() { inputs[0] } else { values[values.len() - 1] }
    }
}
