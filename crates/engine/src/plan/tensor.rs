//! Layers of operations on tensors as nodes.
use super::{Operation, Plan, ValueId};
use crate::layers::{Signature, TensorLayer};

impl Plan {
    /// Nodes of one call; inference has checked that it has steps and that they fit.
    pub(super) fn expand_tensor(
        &mut self,
        tensor: &TensorLayer,
        layer: usize,
        inputs: Vec<ValueId>,
        outputs: Vec<Signature>,
    ) -> Vec<ValueId> {
        let signatures: Vec<Signature> = inputs.iter().map(|&value| self.values[value].clone()).collect();
        let steps = tensor.steps(&signatures).unwrap_or_default();
        let count = steps.len();
        let mut values = inputs;
        for (number, (operation, takes)) in steps.into_iter().enumerate() {
            let taken: Vec<ValueId> = takes.iter().map(|&value| values[value]).collect();
            let given = if number + 1 == count {
                outputs.clone()
            } else {
                let signatures: Vec<Signature> = taken.iter().map(|&value| self.values[value].clone()).collect();
                operation.infer(&signatures).map(|inference| inference.outputs).unwrap_or_default()
            };
            let made = self.push(Operation::Tensor(operation), layer, taken, given);
            values.extend(made);
        }
        values.split_off(values.len() - usize::from(count > 0))
    }
}
