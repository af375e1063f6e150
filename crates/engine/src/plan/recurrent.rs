//! Recurrent layers as operations.
use sconce_kernels::activation::Activation;

use super::{Operation, Plan, ValueId};
use crate::layers::{BidirectionalOptions, Cell, Merge, MergeMode, RecurrentOptions, Signature};

/// A recurrent layer's options, resolved.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RecurrentPlan {
    /// What a step computes.
    pub cell: Cell,
    /// Features of outputs and states.
    pub units: usize,
    /// Of the candidate and the output.
    pub activation: Activation,
    /// Of the gates.
    pub recurrent_activation: Activation,
    /// Whether there is a bias: its third weight.
    pub use_bias: bool,
    /// Rate of dropout on the inputs.
    pub dropout: f32,
    /// Rate of dropout on the state.
    pub recurrent_dropout: f32,
    /// Whether output 0 has all steps; otherwise it is the last output.
    pub sequences: bool,
    /// Whether time runs from the end.
    pub reverse: bool,
    /// Whether masked steps give zeros.
    pub zero_output_for_mask: bool,
    /// Whether it begins with the states that it had after the batch before.
    pub stateful: bool,
}

impl From<&RecurrentOptions> for RecurrentPlan {
    fn from(options: &RecurrentOptions) -> Self {
        // The options were checked: the names are known.
        let function = |name: &str| Activation::from_name(name).unwrap_or(Activation::Linear);
        Self {
            cell: options.cell,
            units: options.units,
            activation: function(&options.activation),
            recurrent_activation: options.recurrent_activation.as_deref().map_or(Activation::Linear, function),
            use_bias: options.use_bias,
            dropout: options.dropout,
            recurrent_dropout: options.recurrent_dropout,
            sequences: options.return_sequences,
            reverse: options.go_backwards,
            zero_output_for_mask: options.zero_output_for_mask,
            stateful: options.stateful,
        }
    }
}

impl RecurrentPlan {
    /// Factors of dropout for each input: one for all gates, or one for each if there is recurrent dropout too, as in
    /// Keras.
    pub(crate) fn input_variants(&self) -> usize {
        if self.recurrent_dropout > 0.0 { self.cell.gates() } else { 1 }
    }
}

impl Plan {
    /// Both directions, the second turned round in time, and what joins them; `outputs` are those of the layer.
    pub(super) fn expand_bidirectional(
        &mut self,
        options: &BidirectionalOptions,
        layer: usize,
        inputs: &[ValueId],
        outputs: &[Signature],
    ) -> Vec<ValueId> {
        let x = self.values[inputs[0]].clone();
        let (mut joined, mut states, mut first_weight) = (Vec::new(), Vec::new(), 0);
        for (index, direction) in options.directions.iter().enumerate() {
            let own = BidirectionalOptions::half(inputs, index);
            let signatures = direction.options.outputs(&x);
            let sequence = signatures[0].clone();
            let operation = Operation::Recurrent(RecurrentPlan::from(&direction.options));
            let mut values = self.push(operation, layer, own, signatures);
            if let Some(node) = self.nodes.last_mut() {
                node.first_weight = first_weight;
            }
            first_weight += direction.options.weight_count();
            states.extend(values.drain(1..));
            if index == 1 && direction.options.return_sequences {
                values = self.push(Operation::FlipTime, layer, values, vec![sequence]);
            }
            joined.append(&mut values);
        }
        let operation = match options.merge_mode {
            None => None,
            Some(MergeMode::Concat) => Some(Operation::Concatenate(outputs[0].shape.len() - 1)),
            Some(MergeMode::Sum) => Some(Operation::Merge(Merge::Add)),
            Some(MergeMode::Mul) => Some(Operation::Merge(Merge::Multiply)),
            Some(MergeMode::Ave) => Some(Operation::Merge(Merge::Average)),
        };
        if let Some(operation) = operation {
            joined = self.push(operation, layer, joined, vec![outputs[0].clone()]);
        }
        joined.append(&mut states);
        joined
    }
}
