//! Attention as operations.
use sconce_kernels::{activation::Activation, attention::Empty};

use super::{Operation, Plan, ValueId};
use crate::{
    layers::{AttentionOptions, MultiHeadAttentionOptions, Role, Signature, with_features},
    ops::{Binary, Extent, TensorOperation},
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
    /// Whether a query sees only keys that are fewer than so many steps away.
    pub window: Option<usize>,
    /// Between minus and plus which scaled scores are brought softly.
    pub cap: Option<f32>,
    /// Share of the scores that become 0 in training.
    pub dropout: f32,
    /// The seed of this dropout, if it is not that of the model.
    pub seed: Option<u64>,
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
        // Inference has checked both.
        let axes = options.axes(self.values[inputs[0]].shape.len()).ok().filter(|axes| !axes.are_time());
        let (mask, bias) = (input(Role::AttentionMask), input(Role::AttentionBias));
        let whole = (inputs[0], inputs[1]);
        let key = input(Role::Key).unwrap_or(inputs[1]);
        let ([query, value, key], [mask, bias]) = match &axes {
            Some(axes) => self.fold_attention(axes, layer, [whole.0, whole.1, key], [mask, bias]),
            None => ([whole.0, whole.1, key], [mask, bias]),
        };
        let each = options.weight_count();
        let shared = options.key_value_heads();
        let gate = options.use_gate.then_some((query, options.heads() * options.value_width()));
        let sources = [(query, options.heads() * options.key_width()), (key, shared * options.key_width())]
            .into_iter()
            .chain(gate)
            .chain([(value, shared * options.value_width())]);
        let mut taken: Vec<ValueId> = Vec::new();
        for (number, (source, width)) in sources.enumerate() {
            let signature = with_features(&self.values[source], width);
            taken.extend(self.projection(layer, number * each, each, source, signature));
        }
        let gate = gate.map(|_| taken.remove(2));
        taken.extend([mask, bias].into_iter().flatten());
        // Where Keras calls its softmax layer, a query that sees no key gives zeros; where it calls
        // `dot_product_attention`, the mean of all values.
        let through_softmax = options.dropout > 0.0 || call.return_attention_scores || axes.is_some();
        let plan = AttentionPlan {
            heads: options.heads(),
            key_value_heads: shared,
            key_width: options.key_width(),
            value_width: options.value_width(),
            scale: (1.0 / (options.key_width() as f64).sqrt()) as f32,
            causal: call.use_causal_mask,
            window: options.sliding_window,
            cap: options.logit_soft_cap,
            dropout: options.dropout,
            seed: options.seed,
            empty: if through_softmax { Empty::Zero } else { Empty::Uniform },
            key_mask: true,
            zero_masked: false,
            mask: mask.is_some(),
            bias: bias.is_some(),
            scores: call.return_attention_scores,
            cache: None,
        };
        let mixed = with_features(&self.values[query], options.heads() * options.value_width());
        let scores = call.return_attention_scores.then(|| {
            let [batch, queries] = [mixed.shape[0].clone(), mixed.shape[1].clone()];
            let shape = vec![batch, Dimension::Size(options.heads()), queries, self.values[value].shape[1].clone()];
            Signature { shape, dtype: ElementType::Float32, masked: false }
        });
        let given = std::iter::once(mixed).chain(scores).collect();
        let mut made = self.push(Operation::Attention(plan), layer, taken, given);
        let scores = made.split_off(1);
        let mut mixed = made[0];
        let projections = 3 + usize::from(gate.is_some());
        if let Some(gate) = gate {
            let of = self.values[gate].clone();
            let opened = self.push(Operation::Activate(Activation::Sigmoid), layer, vec![gate], vec![of]);
            let signature = self.values[mixed].clone();
            mixed = self.push(Operation::Gate, layer, vec![mixed, opened[0]], vec![signature])[0];
        }
        let width = outputs[0].shape.last().cloned();
        let mut output = self.values[mixed].clone();
        output.shape.pop();
        output.shape.extend(width);
        let mut values = self.projection(layer, projections * each, each, mixed, output);
        values.extend(scores);
        match &axes {
            Some(axes) => self.unfold_attention(axes, layer, &values, whole),
            None => values,
        }
    }

    /// Attention without projections; `outputs` are those of the layer.
    pub(super) fn expand_attention(
        &mut self,
        options: &AttentionOptions,
        layer: usize,
        inputs: &[ValueId],
        outputs: &[Signature],
    ) -> Vec<ValueId> {
        let call = &options.call;
        let (query, value) = (inputs[0], inputs[1]);
        let key = call.place(Role::Key).map_or(value, |place| inputs[place]);
        let width = |value: &Signature| match value.shape.last() {
            Some(Dimension::Size(size)) => *size,
            _ => 0,
        };
        let (key_width, value_width) = (width(&self.values[query]), width(&outputs[0]));
        let scale = options.use_scale.then(|| {
            let shape = if options.additive { vec![key_width] } else { Vec::new() };
            self.layer_weight(layer, 0, shape)
        });
        // Products of scaled keys are scaled products; the mask that counts is that of the values.
        let mut compared = [query, key];
        if let Some(scale) = scale.filter(|_| !options.additive) {
            compared[1] = self.scaled(layer, key, scale);
            if options.sums() {
                compared[0] = self.scaled(layer, query, scale);
            }
        }
        let [batch, queries] = [outputs[0].shape[0].clone(), outputs[0].shape[1].clone()];
        let shape = vec![batch.clone(), Dimension::Size(1), queries.clone(), self.values[value].shape[1].clone()];
        let scores = Signature { shape, dtype: ElementType::Float32, masked: false };
        let bias = options.sums().then(|| {
            let mut taken = vec![compared[0], compared[1], value];
            if options.additive {
                taken.extend(scale);
            } else {
                let weight = self.layer_weight(layer, usize::from(options.use_scale), Vec::new());
                let factors = Signature { shape: vec![Dimension::Size(key_width)], ..scores.clone() };
                let spread = TensorOperation::BroadcastTo { shape: vec![Extent::Size(key_width as i64)] };
                taken.extend(self.push(Operation::Tensor(spread), layer, vec![weight], vec![factors]));
            }
            self.push(Operation::AdditiveScores, layer, taken, vec![scores.clone()])[0]
        });
        let plan = AttentionPlan {
            heads: 1,
            key_value_heads: 1,
            key_width,
            value_width,
            // Scores that are sums come as a bias of no products.
            scale: if options.sums() { 0.0 } else { 1.0 },
            causal: call.use_causal_mask,
            window: None,
            cap: None,
            dropout: options.dropout,
            seed: options.seed,
            empty: Empty::Uniform,
            key_mask: false,
            zero_masked: true,
            mask: false,
            bias: bias.is_some(),
            scores: call.return_attention_scores,
            cache: None,
        };
        let key = if options.sums() { key } else { compared[1] };
        let taken = [query, key, value].into_iter().chain(bias).collect();
        let mut given = vec![outputs[0].clone()];
        given.extend(outputs.get(1).map(|_| scores));
        let mut values = self.push(Operation::Attention(plan), layer, taken, given);
        if let Some(output) = outputs.get(1) {
            let flat = TensorOperation::Reshape {
                shape: vec![Extent::Like([0, 0]), Extent::Like([0, 2]), Extent::Like([0, 3])],
            };
            values[1] = self.push(Operation::Tensor(flat), layer, vec![values[1]], vec![output.clone()])[0];
        }
        values
    }

    /// Weight `number` of a layer as a value.
    fn layer_weight(&mut self, layer: usize, number: usize, shape: Vec<usize>) -> ValueId {
        let sizes = shape.iter().map(|&size| Dimension::Size(size)).collect();
        let signature = Signature { shape: sizes, dtype: ElementType::Float32, masked: false };
        let values =
            self.push(Operation::Tensor(TensorOperation::Weight { shape }), layer, Vec::new(), vec![signature]);
        if let Some(node) = self.nodes.last_mut() {
            node.first_weight = number;
            node.weight_count = Some(1);
        }
        values[0]
    }

    /// A sequence times a scalar, without its mask.
    fn scaled(&mut self, layer: usize, x: ValueId, factor: ValueId) -> ValueId {
        let signature = Signature { masked: false, ..self.values[x].clone() };
        let product = Operation::Tensor(TensorOperation::Binary { function: Binary::Multiply });
        self.push(product, layer, vec![x, factor], vec![signature])[0]
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
