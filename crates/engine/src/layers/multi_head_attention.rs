//! Attention of several heads, between projections; keys and values may have fewer heads than queries.
use serde::Deserialize;
use serde_json::Value;

use super::{
    AttentionAxes, AttentionCall, Inference, Role, Signature, WeightSpecification,
    attention_axes::{Scores, run},
    float, last_size, options, unify,
};
use crate::{
    error::Result,
    graph::LayerDocument,
    shape::{Dimension, ElementType, Equality, Shape, count, describe},
};

/// Most axes that are attended over.
const MAXIMUM_AXES: usize = 16;

/// Options of `multiHeadAttention` and `groupedQueryAttention`.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MultiHeadAttentionOptions {
    /// Whether keys and values have heads of their own: no option of the document but its type.
    #[serde(skip)]
    grouped: bool,
    /// What this call says: no option of the document.
    #[serde(skip)]
    pub call: AttentionCall,
    num_heads: Option<usize>,
    key_dim: Option<usize>,
    value_dim: Option<usize>,
    num_query_heads: Option<usize>,
    num_key_value_heads: Option<usize>,
    head_dim: Option<usize>,
    /// Features of the output; `null`: those of the query.
    #[serde(default)]
    output_shape: Option<usize>,
    /// Axes that are attended over, negative ones counted from the end; `None`: all between batch and features.
    #[serde(default)]
    attention_axes: Option<Vec<i64>>,
    /// Share of the scores that become 0 in training.
    pub dropout: f32,
    /// Whether the projections have biases.
    pub use_bias: bool,
    /// A key counts for a query only if they are fewer than so many steps apart; `None`: at any distance.
    #[serde(default)]
    pub sliding_window: Option<usize>,
    /// Between minus and plus which scaled scores are brought softly; `None`: they are left as they are.
    #[serde(default)]
    pub logit_soft_cap: Option<f32>,
    /// Whether what the heads give is multiplied by the sigmoid of a projection of the query.
    #[serde(default)]
    pub use_gate: bool,
    /// The seed of the layer's own dropout; `None`: that of the model.
    #[serde(default)]
    pub seed: Option<u64>,
    /// How the kernels begin.
    pub kernel_initializer: Value,
    /// How the biases begin.
    pub bias_initializer: Value,
    /// The penalty of the kernels.
    #[serde(default)]
    pub kernel_regularizer: Value,
    /// What the kernels are brought back to after each step.
    #[serde(default)]
    pub kernel_constraint: Value,
    /// The penalty of the biases.
    #[serde(default)]
    pub bias_regularizer: Value,
    /// What the biases are brought back to after each step.
    #[serde(default)]
    pub bias_constraint: Value,
}

impl MultiHeadAttentionOptions {
    pub(super) fn parse(layer: &LayerDocument) -> Result<Self> {
        let grouped = layer.kind == "groupedQueryAttention";
        Ok(Self { grouped, ..options::<Self>(layer)? })
    }

    /// The layer in a call.
    pub(super) fn called(&self, call: AttentionCall) -> Self {
        Self { call, ..self.clone() }
    }

    pub(super) fn check(&self) -> std::result::Result<(), String> {
        let sizes = [
            ("numHeads", self.num_heads, !self.grouped),
            ("keyDim", self.key_dim, !self.grouped),
            ("valueDim", self.value_dim, !self.grouped),
            ("numQueryHeads", self.num_query_heads, self.grouped),
            ("numKeyValueHeads", self.num_key_value_heads, self.grouped),
            ("headDim", self.head_dim, self.grouped),
        ];
        for (name, size, known) in sizes {
            match size {
                Some(0) => return Err(format!("{name} must be at least 1, got 0")),
                Some(_) if !known => return Err(format!("unknown field `{name}`")),
                None if known => return Err(format!("missing field `{name}`")),
                _ => {}
            }
        }
        if self.output_shape == Some(0) || self.grouped && self.output_shape.is_some() {
            return Err("outputShape must be at least 1, and is no option of groupedQueryAttention".to_owned());
        }
        if let Some(axes) = &self.attention_axes {
            if self.grouped {
                return Err("unknown field `attentionAxes`".to_owned());
            }
            if !(1..=MAXIMUM_AXES).contains(&axes.len()) {
                return Err(format!("attentionAxes must name 1 to {MAXIMUM_AXES} axes, got {}", axes.len()));
            }
        }
        if !self.heads().is_multiple_of(self.key_value_heads()) {
            return Err(format!(
                "numQueryHeads must be a multiple of numKeyValueHeads, got {} and {}",
                self.heads(),
                self.key_value_heads()
            ));
        }
        if !(0.0..1.0).contains(&self.dropout) {
            return Err(format!("dropout must be at least 0 and below 1, got {}", self.dropout));
        }
        check_limits(self.sliding_window, self.logit_soft_cap)?;
        count(&[self.heads(), self.key_width().max(self.value_width())]).map_err(|error| error.message).map(|_| ())
    }

    /// Heads of the queries.
    #[must_use]
    pub fn heads(&self) -> usize {
        self.num_heads.or(self.num_query_heads).unwrap_or(1)
    }

    /// Heads of keys and values.
    #[must_use]
    pub fn key_value_heads(&self) -> usize {
        self.num_heads.or(self.num_key_value_heads).unwrap_or(1)
    }

    /// Features of a head of queries and keys.
    #[must_use]
    pub fn key_width(&self) -> usize {
        self.key_dim.or(self.head_dim).unwrap_or(1)
    }

    /// Features of a head of values.
    #[must_use]
    pub fn value_width(&self) -> usize {
        self.value_dim.or(self.head_dim).unwrap_or(1)
    }

    /// Weights of a projection.
    #[must_use]
    pub(crate) fn weight_count(&self) -> usize {
        1 + usize::from(self.use_bias)
    }

    fn projection(&self, name: &str, kernel: Vec<usize>, bias: Vec<usize>) -> Vec<WeightSpecification> {
        let kernel = WeightSpecification::new(&format!("{name}/kernel"), kernel, &self.kernel_initializer);
        let mut weights = vec![kernel.governed(&self.kernel_regularizer, &self.kernel_constraint)];
        if self.use_bias {
            let bias = WeightSpecification::new(&format!("{name}/bias"), bias, &self.bias_initializer);
            weights.push(bias.governed(&self.bias_regularizer, &self.bias_constraint));
        }
        weights
    }

    /// Axes that are attended over in a call with inputs of so many.
    pub(crate) fn axes(&self, rank: usize) -> std::result::Result<AttentionAxes, String> {
        AttentionAxes::new(self.attention_axes.as_deref(), rank)
    }

    pub(super) fn infer(&self, inputs: &[Signature]) -> std::result::Result<Inference, String> {
        let mut equal = Vec::new();
        let scores = match inputs {
            [query, _, ..] if query.shape.len() > 3 => self.scores_over(inputs, &mut equal)?,
            _ => {
                let AttentionShapes { batch, queries, keys } = AttentionShapes::new(&self.call, inputs, &mut equal)?;
                self.axes(3)?;
                let scores = vec![batch, Dimension::Size(self.heads()), queries, keys];
                check_scores(&self.call, inputs, &scores, &mut equal)?;
                scores
            }
        };
        let (query, value) = (&inputs[0], &inputs[1]);
        let key = self.call.place(Role::Key).map_or(value, |place| &inputs[place]);
        let width = match self.output_shape {
            Some(width) => width,
            None => last_size(query)?,
        };
        let weights = self.weights([query, key, value], width)?;
        let mut output = query.shape.clone();
        if let Some(last) = output.last_mut() {
            *last = Dimension::Size(width);
        }
        let mut inference = Inference::single(output, ElementType::Float32, query.masked);
        if self.call.return_attention_scores {
            inference.outputs.push(Signature { shape: scores, dtype: ElementType::Float32, masked: false });
        }
        inference.weights = weights;
        inference.equal = equal;
        Ok(inference)
    }

    fn weights(
        &self,
        [query, key, value]: [&Signature; 3],
        width: usize,
    ) -> std::result::Result<Vec<WeightSpecification>, String> {
        let (heads, shared) = (self.heads(), self.key_value_heads());
        let (key_width, value_width) = (self.key_width(), self.value_width());
        let mut weights = Vec::new();
        // In the order of Keras.
        let gate = self.use_gate.then_some(("gate", query, heads, value_width));
        for (name, input, heads, head_width) in [("query", query, heads, key_width), ("key", key, shared, key_width)]
            .into_iter()
            .chain(gate)
            .chain([("value", value, shared, value_width)])
        {
            let features = last_size(input)?;
            count(&[features, heads, head_width]).map_err(|error| error.message)?;
            weights.extend(self.projection(name, vec![features, heads, head_width], vec![heads, head_width]));
        }
        count(&[heads, value_width, width]).map_err(|error| error.message)?;
        weights.extend(self.projection("attentionOutput", vec![heads, value_width, width], vec![width]));
        Ok(weights)
    }

    /// Sizes of the scores of inputs of more axes than that of time, and whether they can be folded.
    fn scores_over(&self, inputs: &[Signature], equal: &mut Vec<Equality>) -> std::result::Result<Shape, String> {
        if self.grouped {
            return Err(format!(
                "expected the query to be a sequence of shape [batch, time, features], got {}: attention over more than \
                 one axis is that of multiHeadAttention",
                describe(&inputs[0].shape)
            ));
        }
        if inputs.len() != self.call.inputs.len() {
            return Err(format!("expected {} inputs, got {}", self.call.inputs.len(), inputs.len()));
        }
        let axes = self.axes(inputs[0].shape.len())?;
        if axes.count() > 1 && (self.call.use_causal_mask || self.sliding_window.is_some()) {
            let option = if self.call.use_causal_mask { "useCausalMask" } else { "slidingWindow" };
            return Err(format!(
                "{option} needs one axis that is attended over, which has an order: say attentionAxes, got {} axes for \
                 inputs of shape {}",
                axes.count(),
                describe(&inputs[0].shape)
            ));
        }
        let Scores { shape, equal: of_scores } = axes.scores(&self.call, inputs, self.heads())?;
        equal.extend(of_scores);
        // What is folded fits if its inputs do; their sizes may be too many factors to be written down.
        let mut unnoted = Vec::new();
        let (query, value) = (&inputs[0], &inputs[1]);
        let [folded, keys] = [query, value].map(|x| run(&axes.fold(x.masked), &[x], &mut Vec::new()));
        let (folded, keys) = (folded?, keys?);
        run(&axes.unfold(query.masked), &[&folded, query], &mut unnoted)?;
        let [batch, queries] = [folded.shape[0].clone(), folded.shape[1].clone()];
        let scores = vec![batch, Dimension::Size(self.heads()), queries, keys.shape[1].clone()];
        let scores = Signature { shape: scores, dtype: ElementType::Float32, masked: false };
        run(&axes.unfold_scores(), &[&scores, query, value], &mut unnoted)?;
        for (_, input) in self.call.inputs.iter().zip(inputs).filter(|(role, _)| **role > Role::Key) {
            run(&axes.fold_scores(input), &[input, query, value], &mut unnoted)?;
        }
        Ok(shape)
    }
}

/// Checks a window and a cap of scores, as far as there are any.
pub(super) fn check_limits(window: Option<usize>, cap: Option<f32>) -> std::result::Result<(), String> {
    if window == Some(0) {
        return Err("slidingWindow must be at least 1, got 0".to_owned());
    }
    match cap.filter(|cap| !(*cap > 0.0 && cap.is_finite())) {
        Some(cap) => Err(format!("logitSoftCap must be a number above 0, got {cap}")),
        None => Ok(()),
    }
}

/// Common sizes of the inputs of an attention.
pub(super) struct AttentionShapes {
    pub batch: Dimension,
    /// Steps of the query.
    pub queries: Dimension,
    /// Steps of key and value.
    pub keys: Dimension,
}

impl AttentionShapes {
    /// Of a call whose inputs are sequences that fit.
    pub(super) fn new(
        call: &AttentionCall,
        inputs: &[Signature],
        equal: &mut Vec<Equality>,
    ) -> std::result::Result<Self, String> {
        if inputs.len() != call.inputs.len() {
            return Err(format!("expected {} inputs, got {}", call.inputs.len(), inputs.len()));
        }
        for (role, input) in call.inputs.iter().zip(inputs) {
            if matches!(role, Role::AttentionMask | Role::AttentionBias) {
                continue;
            }
            let name = role.name();
            float(input, name)?;
            if input.shape.len() != 3 {
                return Err(format!(
                    "expected {name} to be a sequence of shape [batch, time, features], got {}",
                    describe(&input.shape)
                ));
            }
        }
        let (query, value) = (&inputs[0], &inputs[1]);
        let fits = unify(&query.shape[0], &value.shape[0], equal);
        if !fits {
            return Err(format!(
                "expected query and value to have one batch, got {} and {}",
                describe(&query.shape),
                describe(&value.shape)
            ));
        }
        if let Some(key) = call.place(Role::Key).map(|place| &inputs[place]) {
            let fits = unify(&value.shape[0], &key.shape[0], equal) && unify(&value.shape[1], &key.shape[1], equal);
            if !fits {
                return Err(format!(
                    "expected key and value to have one batch and as many steps, got {} and {}",
                    describe(&key.shape),
                    describe(&value.shape)
                ));
            }
        }
        let [batch, queries] = [query.shape[0].clone(), query.shape[1].clone()];
        Ok(Self { batch, queries, keys: value.shape[1].clone() })
    }
}

/// Checks mask and bias against the shape of the scores, `[batch, heads, T, S]`.
pub(super) fn check_scores(
    call: &AttentionCall,
    inputs: &[Signature],
    scores: &Shape,
    equal: &mut Vec<Equality>,
) -> std::result::Result<(), String> {
    let [batch, heads, queries, keys] = scores.as_slice() else { return Ok(()) };
    let one = Dimension::Size(1);
    let mut fits = |shape: &[Dimension]| {
        let (before, after) = shape.split_at(shape.len().saturating_sub(2));
        let before_fits = match before {
            [own] => *own == one || unify(batch, own, equal),
            [own, of_heads] => (*own == one || unify(batch, own, equal)) && (*of_heads == one || of_heads == heads),
            _ => false,
        };
        before_fits && matches!(after, [own, other] if unify(queries, own, equal) && unify(keys, other, equal))
    };
    if let Some(mask) = call.place(Role::AttentionMask).map(|place| &inputs[place])
        && !fits(&mask.shape)
    {
        return Err(format!(
            "expected attentionMask to have shape {} or {} (1 in the place of the batch or the heads is for all), got {}",
            describe(&[batch.clone(), queries.clone(), keys.clone()]),
            describe(scores),
            describe(&mask.shape)
        ));
    }
    if let Some(bias) = call.place(Role::AttentionBias).map(|place| &inputs[place]) {
        float(bias, "attentionBias")?;
        if bias.shape.len() != 4 || !fits(&bias.shape) {
            return Err(format!(
                "expected attentionBias to have shape {} (1 in the place of the batch or the heads is for all), got {}",
                describe(scores),
                describe(&bias.shape)
            ));
        }
    }
    Ok(())
}
