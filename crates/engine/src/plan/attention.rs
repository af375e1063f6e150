//! Attention as operations.
use sconce_kernels::attention::Empty;

use super::{Operation, Plan, ValueId};
use crate::{
    layers::{MultiHeadAttentionOptions, Role, Signature},
    shape::{Dimension, ElementType},
};

/// Scaled dot-product attention, resolved. Its inputs are queries `[B, T, heads * key_width]`, keys
/// `[B, S, key_value_heads * key_width]`, values `[B, S, key_value_heads * value_width]`, then a mask and a bias of the
/// scores, as far as there are any; its output `[B, T, heads * value_width]`, then the scores `[B, heads, T, S]`, if they
/// are wanted.
///
/// A key counts where the mask of the values does, and that of the keys if there is `key_mask`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AttentionPlan {
    /// Heads of the queries.
    pub heads: usize,
    /// Heads of keys and values, of which each serves as many heads of queries.
    pub key_value_heads: usize,
    /// Features of a head of queries and keys.
    pub key_width: usize,
    /// Features of a head of values.
    pub value_width: usize,
    /// Factor of the products.
    pub scale: f32,
    /// Whether a query sees no key behind its own place.
    pub causal: bool,
    /// Share of the scores that become 0 in training.
    pub dropout: f32,
    /// What a query gives that sees no key.
    pub empty: Empty,
    /// Whether the mask of the keys counts besides that of the values.
    pub key_mask: bool,
    /// Whether masked queries have scores and only give zeros; otherwise they see no key.
    pub zero_masked: bool,
    /// Whether there is a mask: input 3.
    pub mask: bool,
    /// Whether there is a bias: the last input.
    pub bias: bool,
    /// Whether the scores are an output.
    pub scores: bool,
    /// In a step of decoding, the number of the cache that has the keys and values of the steps before.
    pub cache: Option<usize>,
}

impl AttentionPlan {
    /// The place of the mask of the scores among the inputs.
    #[must_use]
    pub fn mask_input(&self) -> Option<usize> {
        self.mask.then_some(3)
    }

    /// The place of the bias of the scores among the inputs.
    #[must_use]
    pub fn bias_input(&self) -> Option<usize> {
        self.bias.then_some(3 + usize::from(self.mask))
    }
}

impl Plan {
    /// Projections, attention and the projection back; `outputs` are those of the layer.
    pub(super) fn expand_heads(
        &mut self,
        options: &MultiHeadAttentionOptions,
        layer: usize,
        inputs: &[ValueId],
        outputs: &[Signature],
    ) -> Vec<ValueId> {
        let call = &options.call;
        let input = |role: Role| call.place(role).map(|place| inputs[place]);
        let (query, value) = (inputs[0], inputs[1]);
        let key = input(Role::Key).unwrap_or(value);
        let each = options.weight_count();
        let shared = options.key_value_heads();
        let mut taken: Vec<ValueId> = Vec::new();
        for (number, (source, width)) in [
            (query, options.heads() * options.key_width()),
            (key, shared * options.key_width()),
            (value, shared * options.value_width()),
        ]
        .into_iter()
        .enumerate()
        {
            let mut signature = self.values[source].clone();
            if let Some(last) = signature.shape.last_mut() {
                *last = Dimension::Size(width);
            }
            taken.extend(self.projection(layer, number * each, each, source, signature));
        }
        let (mask, bias) = (input(Role::AttentionMask), input(Role::AttentionBias));
        taken.extend([mask, bias].into_iter().flatten());
        // Where Keras calls its softmax layer, a query that sees no key gives zeros; where it calls
        // `dot_product_attention`, the mean of all values.
        let through_softmax = options.dropout > 0.0 || call.return_attention_scores;
        let plan = AttentionPlan {
            heads: options.heads(),
            key_value_heads: shared,
            key_width: options.key_width(),
            value_width: options.value_width(),
            scale: (1.0 / (options.key_width() as f64).sqrt()) as f32,
            causal: call.use_causal_mask,
            dropout: options.dropout,
            empty: if through_softmax { Empty::Zero } else { Empty::Uniform },
            key_mask: true,
            zero_masked: false,
            mask: mask.is_some(),
            bias: bias.is_some(),
            scores: call.return_attention_scores,
            cache: None,
        };
        let mut shape = outputs[0].shape.clone();
        if let Some(last) = shape.last_mut() {
            *last = Dimension::Size(options.heads() * options.value_width());
        }
        let mixed = Signature { shape, dtype: ElementType::Float32, masked: outputs[0].masked };
        let given = std::iter::once(mixed).chain(outputs[1..].iter().cloned()).collect();
        let mut made = self.push(Operation::Attention(plan), layer, taken, given);
        let scores = made.split_off(1);
        let mut values = self.projection(layer, 3 * each, each, made[0], outputs[0].clone());
        values.extend(scores);
        values
    }

    /// A linear node with `count` weights of its layer, the first of which is number `first`.
    fn projection(
        &mut self,
        layer: usize,
        first: usize,
        count: usize,
        input: ValueId,
        output: Signature,
    ) -> Vec<ValueId> {
        let values = self.push(Operation::Linear, layer, vec![input], vec![output]);
        if let Some(node) = self.nodes.last_mut() {
            node.first_weight = first;
            node.weight_count = Some(count);
        }
        values
    }
}
