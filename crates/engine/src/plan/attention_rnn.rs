//! Recurrent layers with attention as operations.
use sconce_kernels::activation::Activation;

use super::{Operation, Plan, RecurrentPlan, ValueId};
use crate::{
    layers::{AttentionRnnOptions, Cell, Signature},
    shape::Dimension,
};

/// A recurrent layer that attends over a memory, resolved. Its inputs are a sequence `[B, T, D]`, keys `[B, S, A]`, the
/// memory `[B, S, E]`, then initial states; its outputs the output, the states if there are `states`, and the weights of
/// the memory's steps `[B, T, S]` if there are `scores`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AttentionRnnPlan {
    /// What a step computes besides the attention: an LSTM or a GRU.
    pub cell: Cell,
    /// Features of outputs and states.
    pub units: usize,
    /// Cells, each above the one before: the first is fed the output, the last attends.
    pub layers: usize,
    /// Whether the cells have a bias: the third weight of each.
    pub use_bias: bool,
    /// Share of what goes into the cell that becomes 0 in training, for all steps alike.
    pub dropout: f32,
    /// Share of the outputs that go into the next step that becomes 0 in training.
    pub recurrent_dropout: f32,
    /// Whether scores come from a layer with one hidden layer.
    pub additive: bool,
    /// Whether a step attends after the cell.
    pub after: bool,
    /// Whether the output before goes into the cell: its last state.
    pub feed: bool,
    /// Whether output 0 has all steps; otherwise it is the last output.
    pub sequences: bool,
    /// Whether the states are outputs.
    pub states: bool,
    /// Whether the weights of the memory's steps are the last output.
    pub scores: bool,
}

/// Places of the weights of an [`AttentionRnnPlan`]; what it lacks is `None`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttentionRnnWeights {
    /// Of the projection of the queries.
    pub query: Option<usize>,
    /// Of the factors of the hidden features.
    pub scale: Option<usize>,
    /// Of what makes the output from context and state.
    pub combine: Option<usize>,
}

impl AttentionRnnPlan {
    /// States from step to step.
    #[must_use]
    pub fn state_count(&self) -> usize {
        self.layers * self.cell.states() + usize::from(self.feed)
    }

    /// Where kernel, recurrent kernel and bias of a cell are.
    #[must_use]
    pub fn cell_weights(&self, cell: usize) -> [Option<usize>; 3] {
        let first = cell * (2 + usize::from(self.use_bias));
        [Some(first), Some(first + 1), self.use_bias.then_some(first + 2)]
    }

    /// Features that go into a cell, for an input and a memory of so many.
    #[must_use]
    pub fn cell_input(&self, cell: usize, [input, memory]: [usize; 2]) -> usize {
        if cell == 0 { input + self.fed(memory) } else { self.units }
    }

    /// Where its weights are behind those of the cells.
    #[must_use]
    pub fn weights(&self) -> AttentionRnnWeights {
        let mut next = self.layers * (2 + usize::from(self.use_bias));
        let mut place = |there: bool| {
            let place = there.then_some(next);
            next += usize::from(there);
            place
        };
        let (query, scale) = (place(self.additive), place(self.additive));
        AttentionRnnWeights { query, scale, combine: place(self.after) }
    }

    /// Features that complete the input of the cell, for a memory of so many features.
    #[must_use]
    pub fn fed(&self, memory: usize) -> usize {
        match (self.after, self.feed) {
            (false, _) => memory,
            (true, true) => self.units,
            (true, false) => 0,
        }
    }

    /// Each of its cells as a recurrent layer of its own.
    pub(crate) fn recurrent(&self) -> RecurrentPlan {
        RecurrentPlan {
            cell: self.cell,
            units: self.units,
            activation: Activation::Tanh,
            recurrent_activation: Activation::Sigmoid,
            use_bias: self.use_bias,
            dropout: self.dropout,
            recurrent_dropout: self.recurrent_dropout,
            sequences: self.sequences,
            reverse: false,
            zero_output_for_mask: false,
            stateful: false,
        }
    }
}

impl Plan {
    /// The projection of the memory to keys, then the steps; `outputs` are those of the layer.
    pub(super) fn expand_attention_rnn(
        &mut self,
        options: &AttentionRnnOptions,
        layer: usize,
        inputs: &[ValueId],
        outputs: Vec<Signature>,
    ) -> Vec<ValueId> {
        let (x, memory) = (inputs[0], inputs[1]);
        let first_key_weight = options.first_key_weight();
        let mut keys = memory;
        if let Some(width) = options.key_width() {
            let mut signature = self.values[memory].clone();
            if let Some(last) = signature.shape.last_mut() {
                *last = Dimension::Size(width);
            }
            keys = self.push(Operation::Linear, layer, vec![memory], vec![signature])[0];
            if let Some(node) = self.nodes.last_mut() {
                (node.first_weight, node.weight_count) = (first_key_weight, Some(1));
            }
        }
        let plan = AttentionRnnPlan {
            cell: options.cell(),
            units: options.units,
            layers: options.layers,
            use_bias: options.use_bias,
            dropout: options.dropout,
            recurrent_dropout: options.recurrent_dropout,
            additive: options.attention.additive(),
            after: options.attention.after(),
            feed: options.input_feeding,
            sequences: options.return_sequences,
            states: options.return_state,
            scores: options.return_attention_scores,
        };
        let taken = [&[x, keys, memory], &inputs[2..]].concat();
        let values = self.push(Operation::AttentionRnn(plan), layer, taken, outputs);
        if let Some(node) = self.nodes.last_mut() {
            node.weight_count = Some(first_key_weight);
        }
        values
    }
}
