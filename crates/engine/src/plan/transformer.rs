//! Layers of a Transformer as primitive operations.
use sconce_kernels::{
    activation::Activation,
    attention::Empty,
    positions::{Order, rotary::Rotation},
};

use super::{AttentionPlan, Normalization, Operation, Plan, ValueId};
use crate::{
    layers::{Part, Rotary, Signature, TransformerOptions, bias_place, with_features},
    shape::Dimension,
};

/// The longest wave of turned features, divided by 2 pi.
const WAVELENGTH: f64 = 10_000.0;

/// The nodes of one call under way.
struct Expansion<'a> {
    plan: &'a mut Plan,
    options: &'a TransformerOptions,
    layer: usize,
    parts: Vec<(String, Part)>,
    /// Features of the sequence.
    width: usize,
    /// Features of a head.
    head: usize,
}

impl Expansion<'_> {
    /// A node with one input and output.
    fn push(&mut self, operation: Operation, inputs: Vec<ValueId>, features: usize) -> ValueId {
        let output = with_features(&self.plan.values[inputs[0]], features);
        let values = self.plan.push(operation, self.layer, inputs, vec![output]);
        values[0]
    }

    /// Gives the last node the weights of a part.
    fn own(&mut self, name: &str) {
        let mut first = 0;
        for (part, kind) in &self.parts {
            let count = self.options.weights_of(kind);
            if let Some(node) = self.plan.nodes.last_mut().filter(|_| part == name) {
                node.first_weight = first;
                node.weight_count = Some(count);
                return;
            }
            first += count;
        }
    }

    fn linear(&mut self, name: &str, x: ValueId, features: usize) -> ValueId {
        let value = self.push(Operation::Linear, vec![x], features);
        self.own(name);
        value
    }

    fn normalize(&mut self, name: &str, x: ValueId) -> ValueId {
        let axis = self.plan.values[x].shape.len() - 1;
        let norm = Normalization {
            axes: vec![axis],
            epsilon: self.options.layer_norm_epsilon,
            scale: true,
            center: true,
            centred: true,
        };
        let value = self.push(Operation::Normalize(norm), vec![x], self.width);
        self.own(name);
        value
    }

    /// What a part makes of `x`, added to it, with the normalisation before or after.
    fn residual(&mut self, norm: &str, x: ValueId, part: impl FnOnce(&mut Self, ValueId) -> ValueId) -> ValueId {
        let first = self.options.normalize_first;
        let input = if first { self.normalize(norm, x) } else { x };
        let made = part(self, input);
        let sum = self.push(Operation::Residual(self.options.dropout), vec![x, made], self.width);
        if first { sum } else { self.normalize(norm, sum) }
    }

    /// `bias`: what is added to the scores.
    fn attention(&mut self, name: &str, x: ValueId, memory: ValueId, causal: bool, bias: Option<ValueId>) -> ValueId {
        let heads = self.options.num_heads;
        let inner = heads * self.head;
        let mut query = self.linear(&format!("{name}/query"), x, inner);
        let mut key = self.linear(&format!("{name}/key"), memory, inner);
        // Places in one sequence mean nothing in another.
        if let Some(rotary) = self.options.rotary.filter(|_| x == memory) {
            let order = if rotary == Rotary::Halves { Order::Halves } else { Order::Interleaved };
            let rotation = Rotation { heads, width: self.head, order, wavelength: WAVELENGTH };
            query = self.push(Operation::Rotate(rotation), vec![query], inner);
            key = self.push(Operation::Rotate(rotation), vec![key], inner);
        }
        let gate = self.options.use_gate.then(|| {
            let gate = self.linear(&format!("{name}/gate"), x, inner);
            self.push(Operation::Activate(Activation::Sigmoid), vec![gate], inner)
        });
        let value = self.linear(&format!("{name}/value"), memory, inner);
        let plan = AttentionPlan {
            heads,
            key_value_heads: heads,
            key_width: self.head,
            value_width: self.head,
            scale: (1.0 / (self.head as f64).sqrt()) as f32,
            causal,
            window: self.options.sliding_window.filter(|_| x == memory),
            cap: self.options.logit_soft_cap,
            dropout: self.options.attention_dropout,
            seed: None,
            empty: Empty::Zero,
            key_mask: true,
            zero_masked: false,
            mask: false,
            bias: bias.is_some(),
            scores: false,
            cache: None,
        };
        let taken = [query, key, value].into_iter().chain(bias).collect();
        let mut mixed = self.push(Operation::Attention(plan), taken, inner);
        if let Some(gate) = gate {
            mixed = self.push(Operation::Gate, vec![mixed, gate], inner);
        }
        self.linear(&format!("{name}/attentionOutput"), mixed, self.width)
    }

    fn network(&mut self, x: ValueId) -> ValueId {
        let hidden = self.options.intermediate_dim;
        let mut value = self.linear("feedforwardIntermediateDense", x, hidden);
        let rate = self.options.activation_dropout;
        match Plan::function(&self.options.activation) {
            Operation::Activate(function) if rate > 0.0 && Operation::drops_with(function) => {
                value = self.push(Operation::ActivateDropped(function, rate), vec![value], hidden);
            }
            operation => {
                if operation != Operation::Activate(Activation::Linear) {
                    value = self.push(operation, vec![value], hidden);
                }
                if rate > 0.0 {
                    value = self.push(Operation::Dropout(rate), vec![value], hidden);
                }
            }
        }
        self.linear("feedforwardOutputDense", value, self.width)
    }
}

impl Plan {
    /// Attention to itself, with a bias of its scores if there is one, attention to a second sequence if there is one, and
    /// the network at each step.
    pub(super) fn expand_transformer(
        &mut self,
        options: &TransformerOptions,
        layer: usize,
        inputs: &[ValueId],
    ) -> Vec<ValueId> {
        let features = |value: ValueId| match self.values[value].shape.last() {
            Some(&Dimension::Size(size)) => size,
            _ => 0,
        };
        let signatures: Vec<Signature> = inputs.iter().map(|&input| self.values[input].clone()).collect();
        let bias = bias_place(&signatures);
        let (x, memory) = (inputs[0], inputs[..bias.unwrap_or(inputs.len())].get(1).copied());
        let bias = bias.map(|place| inputs[place]);
        let width = features(x);
        // Inference has checked both.
        let parts = options.parts(width, memory.map(features)).unwrap_or_default();
        let head = options.head_width(width).unwrap_or_default();
        let first_node = self.nodes.len();
        let mut expansion = Expansion { plan: self, options, layer, parts, width, head };
        let mut value = expansion.residual("selfAttentionLayerNorm", x, |expansion, x| {
            expansion.attention("selfAttention", x, x, options.decoder, bias)
        });
        if let Some(memory) = memory {
            value = expansion.residual("crossAttentionLayerNorm", value, |expansion, x| {
                expansion.attention("crossAttention", x, memory, false, None)
            });
        }
        let output = expansion.residual("feedforwardLayerNorm", value, Expansion::network);
        if options.recompute {
            self.recomputed.push(first_node..self.nodes.len());
        }
        vec![output]
    }
}
