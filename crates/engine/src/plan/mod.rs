//! A graph document as a list of primitive operations: what every backend runs.
//!
//! Layers are expanded where a layer is more than one operation (a linear layer and its activation), so that fusion and
//! differentiation see the parts. Values are numbered; each has a signature.
mod activity;
mod attention;
mod attention_axes;
mod attention_rnn;
mod extension;
mod loss;
mod loss_function;
mod multiplied;
mod packing;
mod position_bias;
mod positions;
mod recomputation;
mod recurrent;
mod schedule;
mod steps;
mod tensor;
mod transformer;

pub use activity::Activity;
pub(crate) use activity::own_options;
pub use attention::AttentionPlan;
pub use attention_rnn::{AttentionRnnPlan, AttentionRnnWeights};
pub use extension::{Extension, LossGraph};
pub use loss::{LossPlan, LossTarget, MetricPlan, OutputPlan, RowPass, TrainingPlan};
pub use loss_function::{CrossEntropy, LossFunction, Metric, OutputLoss};
pub use position_bias::{Buckets, PositionBias};
pub use positions::{PositionPlan, PositionTable};
pub use recomputation::Recomputation;
pub use recurrent::RecurrentPlan;
pub use schedule::{Roots, Schedule};
pub use steps::{Normalization, Pooling};

use std::ops::Range;

use sconce_kernels::{activation::Activation, positions::rotary::Rotation};

use crate::{
    constraint::Constraint,
    error::{Code, Error, Result},
    graph::GraphDocument,
    initializer::Start,
    layers::{Inference, LayerKind, Merge, Scan, Signature, WeightSpecification},
    ops::TensorOperation,
    regularizer::Regularizer,
    shape::{Bindings, Equality},
};

/// Number of a value of a plan.
pub type ValueId = usize;

/// What a node computes.
#[derive(Clone, Debug, PartialEq)]
pub enum Operation {
    /// Nothing: the value comes with the batch.
    Input,
    /// Rows of a table; masks id 0 if `mask_zero`.
    Embedding {
        /// Whether id 0 is masked.
        mask_zero: bool,
    },
    /// A recurrent layer over a sequence.
    Recurrent(RecurrentPlan),
    /// The steps of a sequence in the opposite order. Its mask stays: a layer that runs from the end has a mask in the
    /// order of time, as in Keras.
    FlipTime,
    /// `x W + b`.
    Linear,
    /// A function of each element.
    Activate(Activation),
    /// Softmax over the last axis.
    Softmax,
    /// Zeros at random while training; otherwise the identity.
    Dropout(f32),
    /// The sum of a residual and a branch, of which this share becomes 0 at random while training.
    Residual(f32),
    /// A function of each element, then dropout. The function is one of [`Operation::drops_with`].
    ActivateDropped(Activation, f32),
    /// A sequence times another of its shape, element by element, whose mask is of no effect.
    Gate,
    /// Tensors side by side along an axis.
    Concatenate(usize),
    /// Tensors of one shape, element by element.
    Merge(Merge),
    /// A vector as this many steps of a sequence.
    RepeatVector(usize),
    /// Normalisation over axes.
    Normalize(Normalization),
    /// Positions of steps, added to a sequence.
    AddPositions(PositionPlan),
    /// What is added to scores for the distance between query and key.
    Bias(PositionBias),
    /// Positions of steps as angles by which pairs of features are turned.
    Rotate(Rotation),
    /// One step for all of a sequence.
    Pool(Pooling),
    /// Zeros where all features have this value, which makes the mask.
    Mask(f32),
    /// Zeros for whole features of a sequence at random while training; otherwise the identity.
    SpatialDropout(f32),
    /// Logarithm of the softmax over the last axis.
    LogSoftmax,
    /// Softmax over these axes, of the elements that the second input keeps if there is one.
    SoftmaxOver(Vec<usize>),
    /// Batch and time as one axis.
    FoldTime,
    /// One axis as the batch and time of the second input.
    UnfoldTime,
    /// A primitive operation on tensors.
    Tensor(TensorOperation),
    /// A graph for each step of sequences.
    Scan(Scan),
    /// Dot-product attention of queries to keys and values that are projected to heads already.
    Attention(AttentionPlan),
    /// A recurrent layer that attends over a memory in each step.
    AttentionRnn(AttentionRnnPlan),
    /// Sums of hyperbolic tangents of queries and keys, `[B, 1, T, S]`. Its inputs are queries, keys, values, which lend
    /// their mask, and a factor for each feature, if there is any.
    AdditiveScores,
}

impl Operation {
    /// Whether it reads weights of its layer.
    #[must_use]
    pub fn has_weights(&self) -> bool {
        matches!(self, Self::Embedding { .. } | Self::Recurrent(_) | Self::Linear | Self::Normalize(_))
            || matches!(self, Self::AttentionRnn(_))
            || matches!(self, Self::Tensor(TensorOperation::Weight { .. }))
            || matches!(self, Self::Bias(PositionBias { buckets: Some(_), .. }))
            || matches!(self, Self::AddPositions(PositionPlan { table: PositionTable::Learned, .. }))
    }

    /// Whether an activation and the dropout behind it can be one node: its gradient follows from its input, or from
    /// what is left of its output.
    pub(super) fn drops_with(function: Activation) -> bool {
        function == Activation::Relu || function.gradient_takes_input()
    }

    /// Whether the mask of its output is that of its first input.
    #[must_use]
    pub fn passes_mask(&self) -> bool {
        matches!(self, Self::Linear | Self::Activate(_) | Self::Softmax | Self::Dropout(_) | Self::FlipTime)
            || matches!(self, Self::Normalize(_) | Self::SpatialDropout(_) | Self::FoldTime)
            || matches!(self, Self::SoftmaxOver(_) | Self::LogSoftmax)
            || matches!(self, Self::Residual(_) | Self::ActivateDropped(..) | Self::Gate)
            || matches!(self, Self::AddPositions(_) | Self::Rotate(_))
            || matches!(self, Self::Attention(plan) if !plan.scores)
    }
}

/// One operation on values.
#[derive(Clone, Debug)]
pub struct Node {
    /// What it computes.
    pub operation: Operation,
    /// Its layer, an index of [`Plan::layers`].
    pub layer: usize,
    /// Its first weight, counted within the layer: a layer may be several nodes with weights.
    pub first_weight: usize,
    /// How many weights it has, if those behind them in its layer are of other nodes.
    pub weight_count: Option<usize>,
    /// What it takes.
    pub inputs: Vec<ValueId>,
    /// What it gives.
    pub outputs: Vec<ValueId>,
}

/// A weight of a plan.
#[derive(Clone, Debug)]
pub struct PlanWeight {
    /// Its layer, an index of [`Plan::layers`].
    pub layer: usize,
    /// Its number within the layer.
    pub index: usize,
    /// What shape inference says of it.
    pub specification: WeightSpecification,
    /// How its values begin.
    pub start: Start,
    /// The penalty of its values.
    pub regularizer: Option<Regularizer>,
    /// What its values are brought back to.
    pub constraint: Option<Constraint>,
}

/// A layer of a plan.
#[derive(Clone, Debug)]
pub struct PlanLayer {
    /// Unique name.
    pub name: String,
    /// Its type and options.
    pub kind: LayerKind,
    /// Its first weight, an index of [`Plan::weights`].
    pub first_weight: usize,
    /// How many weights it has.
    pub weight_count: usize,
}

/// A checked graph of primitive operations.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Each layer once.
    pub layers: Vec<PlanLayer>,
    /// All weights, layer by layer, in Keras' order within a layer.
    pub weights: Vec<PlanWeight>,
    /// Operations, inputs before their users.
    pub nodes: Vec<Node>,
    /// Signatures of all values.
    pub values: Vec<Signature>,
    /// The node that makes each value.
    pub producers: Vec<usize>,
    /// Values that come with the batch, in the order of the data.
    pub inputs: Vec<ValueId>,
    /// What the model returns.
    pub outputs: Vec<ValueId>,
    /// Dimensions that must be equal in each batch.
    pub equalities: Vec<Equality>,
    /// Penalties on values.
    pub activities: Vec<Activity>,
    /// Losses that nodes compute.
    pub extensions: Vec<Extension>,
    /// Blocks of nodes, each a call of a layer, whose values training makes again for the backward pass instead of keeping
    /// them.
    pub recomputed: Vec<Range<usize>>,
}

impl Plan {
    /// Reads a document: infers all shapes, expands layers, checks that layers which are called twice agree on their
    /// weights.
    ///
    /// # Errors
    /// `Graph`, `Shape` or `Option`, naming the layer.
    pub fn new(document: &GraphDocument) -> Result<Self> {
        let mut plan = Self {
            layers: Vec::new(),
            weights: Vec::new(),
            nodes: Vec::new(),
            values: Vec::new(),
            producers: Vec::new(),
            inputs: Vec::new(),
            outputs: Vec::new(),
            equalities: Vec::new(),
            activities: Vec::new(),
            extensions: Vec::new(),
            recomputed: Vec::new(),
        };
        let activities = document.layers.iter().map(Activity::factors).collect::<Result<Vec<_>>>()?;
        let kinds = document.layers.iter().map(LayerKind::parse).collect::<Result<Vec<_>>>()?;
        let mut layer_weights: Vec<Option<Vec<WeightSpecification>>> = vec![None; kinds.len()];
        let mut node_values: Vec<Vec<ValueId>> = Vec::with_capacity(document.nodes.len());
        for node in &document.nodes {
            let name = &document.layers[node.layer].name;
            let inputs = node
                .inputs
                .iter()
                .map(|&(source, output)| {
                    node_values[source].get(output).copied().ok_or_else(|| {
                        Error::new(Code::Graph, format!("layer {name}: node {source} has no output {output}"))
                    })
                })
                .collect::<Result<Vec<_>>>()?;
            let signatures: Vec<Signature> = inputs.iter().map(|&value| plan.values[value].clone()).collect();
            let kind = kinds[node.layer].called(name, &node.call)?;
            let Inference { outputs, weights, equal } = kind.infer(name, &signatures)?;
            plan.equalities.extend(equal);
            match &layer_weights[node.layer] {
                None => layer_weights[node.layer] = Some(weights),
                Some(known) if known.len() != weights.len() => {
                    return Err(Error::new(
                        Code::Shape,
                        format!("layer {name}: it has {} weights, another call needs {}", known.len(), weights.len()),
                    ));
                }
                Some(known) => {
                    let differing = known.iter().zip(&weights).find(|(known, new)| known.shape != new.shape);
                    if let Some((known, new)) = differing {
                        return Err(Error::new(
                            Code::Shape,
                            format!(
                                "layer {name}: {} has shape {:?}, another call needs {:?}",
                                known.name, known.shape, new.shape
                            ),
                        ));
                    }
                }
            }
            let values = plan.expand(&kind, node.layer, inputs, outputs);
            if let Some((l1, l2)) = activities[node.layer] {
                plan.activities.extend(values.iter().map(|&value| Activity { value, l1, l2 }));
            }
            node_values.push(values);
        }
        for ((layer, kind), weights) in document.layers.iter().zip(kinds).zip(layer_weights) {
            let index = plan.layers.len();
            let first_weight = plan.weights.len();
            for (number, specification) in weights.unwrap_or_default().into_iter().enumerate() {
                let what = format!("layer {}: {}", layer.name, specification.name);
                let start = Start::parse(&what, &specification.initializer, &specification.shape)?;
                let regularizer = Regularizer::parse(&what, &specification.regularizer, &specification.shape)?;
                let constraint = Constraint::parse(&what, &specification.constraint, &specification.shape)?;
                let weight = PlanWeight { layer: index, index: number, specification, start, regularizer, constraint };
                plan.weights.push(weight);
            }
            let weight_count = plan.weights.len() - first_weight;
            plan.layers.push(PlanLayer { name: layer.name.clone(), kind, first_weight, weight_count });
        }
        let find = |&(node, output): &(usize, usize)| {
            node_values[node]
                .get(output)
                .copied()
                .ok_or_else(|| Error::new(Code::Graph, format!("graph document: node {node} has no output {output}")))
        };
        plan.inputs = document.inputs.iter().map(find).collect::<Result<_>>()?;
        plan.outputs = document.outputs.iter().map(find).collect::<Result<_>>()?;
        for (index, node) in plan.nodes.iter().enumerate() {
            let listed = plan.inputs.iter().filter(|&&value| plan.producers[value] == index).count();
            if listed != usize::from(node.operation == Operation::Input) {
                let name = &plan.layers[node.layer].name;
                return Err(Error::new(
                    Code::Graph,
                    format!("layer {name}: every input of the graph, and nothing else, is listed once in inputs"),
                ));
            }
        }
        Ok(plan)
    }

    fn push(
        &mut self,
        operation: Operation,
        layer: usize,
        inputs: Vec<ValueId>,
        outputs: Vec<Signature>,
    ) -> Vec<ValueId> {
        let node = self.nodes.len();
        let first = self.values.len();
        self.producers.extend(outputs.iter().map(|_| node));
        self.values.extend(outputs);
        let outputs: Vec<ValueId> = (first..self.values.len()).collect();
        self.nodes.push(Node {
            operation,
            layer,
            first_weight: 0,
            weight_count: None,
            inputs,
            outputs: outputs.clone(),
        });
        outputs
    }

    /// The operation of an activation.
    fn function(name: &str) -> Operation {
        match Activation::from_name(name) {
            _ if name == "softmax" => Operation::Softmax,
            _ if name == "logSoftmax" => Operation::LogSoftmax,
            Some(activation) => Operation::Activate(activation),
            None => Operation::Activate(Activation::Linear),
        }
    }

    /// Nodes of one call of a layer; gives its outputs.
    fn expand(
        &mut self,
        kind: &LayerKind,
        layer: usize,
        inputs: Vec<ValueId>,
        outputs: Vec<Signature>,
    ) -> Vec<ValueId> {
        let function = Self::function;
        match kind {
            LayerKind::Input(_) => self.push(Operation::Input, layer, inputs, outputs),
            LayerKind::Embedding(options) => {
                self.push(Operation::Embedding { mask_zero: options.mask_zero }, layer, inputs, outputs)
            }
            LayerKind::Recurrent(options) => {
                self.push(Operation::Recurrent(RecurrentPlan::from(options)), layer, inputs, outputs)
            }
            LayerKind::Bidirectional(options) => self.expand_bidirectional(options, layer, &inputs, &outputs),
            LayerKind::Dense(options) => {
                let linear = self.push(Operation::Linear, layer, inputs, outputs.clone());
                match function(&options.activation) {
                    Operation::Activate(Activation::Linear) => linear,
                    operation => self.push(operation, layer, linear, outputs),
                }
            }
            LayerKind::Dropout(options) => self.push(Operation::Dropout(options.rate), layer, inputs, outputs),
            LayerKind::Activation(options) => self.push(function(&options.activation), layer, inputs, outputs),
            LayerKind::Concatenate(options) => {
                let rank = outputs[0].shape.len();
                // Inference has checked the axis.
                let axis = options.position(rank).unwrap_or(rank - 1);
                self.push(Operation::Concatenate(axis), layer, inputs, outputs)
            }
            LayerKind::RepeatVector(options) => self.push(Operation::RepeatVector(options.n), layer, inputs, outputs),
            LayerKind::LayerNormalization(options) => {
                self.push(Operation::Normalize(Normalization::new(options, &outputs)), layer, inputs, outputs)
            }
            LayerKind::RmsNormalization(options) => {
                self.push(Operation::Normalize(Normalization::of_squares(options, &outputs)), layer, inputs, outputs)
            }
            LayerKind::PositionalEncoding(options) => {
                self.push(Operation::AddPositions(PositionPlan::new(options, &outputs)), layer, inputs, outputs)
            }
            LayerKind::RelativePositionBias(options) => {
                self.push(Operation::Bias(PositionBias::from(options)), layer, inputs, outputs)
            }
            LayerKind::Transformer(options) => self.expand_transformer(options, layer, &inputs),
            LayerKind::ReversibleEmbedding(options) => self.expand_reversible(options, layer, inputs, outputs),
            LayerKind::GlobalAveragePooling(options) | LayerKind::GlobalMaxPooling(options) => {
                let maximum = matches!(kind, LayerKind::GlobalMaxPooling(_));
                self.push(Operation::Pool(Pooling::new(*options, maximum)), layer, inputs, outputs)
            }
            LayerKind::Masking(options) => self.push(Operation::Mask(options.mask_value), layer, inputs, outputs),
            LayerKind::SpatialDropout(options) => {
                self.push(Operation::SpatialDropout(options.rate), layer, inputs, outputs)
            }
            LayerKind::Softmax(options) => {
                self.push(steps::softmax(options, &inputs, &outputs), layer, inputs, outputs)
            }
            LayerKind::TimeDistributed(wrapper) => self.expand_steps(wrapper, layer, inputs, outputs),
            LayerKind::Scan(scan) => self.push(Operation::Scan(scan.clone()), layer, inputs, outputs),
            LayerKind::Tensor(tensor) => self.expand_tensor(tensor, layer, inputs, outputs),
            LayerKind::Merge(merge) => self.push(Operation::Merge(*merge), layer, inputs, outputs),
            LayerKind::MultiHeadAttention(options) => self.expand_heads(options, layer, &inputs, &outputs),
            LayerKind::AttentionRnn(options) => self.expand_attention_rnn(options, layer, &inputs, outputs),
            LayerKind::Attention(options) => self.expand_attention(options, layer, &inputs, &outputs),
        }
    }

    /// The name of the layer that makes a value.
    #[must_use]
    pub fn value_layer(&self, value: ValueId) -> &str {
        &self.layers[self.nodes[self.producers[value]].layer].name
    }

    /// Weight `index` of a node, as an index of [`Plan::weights`].
    #[must_use]
    pub fn weight(&self, node: &Node, index: usize) -> Option<usize> {
        let layer = &self.layers[node.layer];
        if node.weight_count.is_some_and(|count| index >= count) {
            return None;
        }
        let index = node.first_weight + index;
        (index < layer.weight_count).then_some(layer.first_weight + index)
    }

    /// Binds the sizes of a batch.
    ///
    /// # Errors
    /// `Shape` or `Limit`, naming the input.
    pub fn bind(&self, shapes: &[&[usize]]) -> Result<Bindings> {
        if shapes.len() != self.inputs.len() {
            return Err(Error::new(
                Code::Shape,
                format!("the model has {} inputs, got {}", self.inputs.len(), shapes.len()),
            ));
        }
        let mut bindings = Bindings::default();
        for (&value, shape) in self.inputs.iter().zip(shapes) {
            let what = format!("input {}", self.value_layer(value));
            bindings.bind(&what, &self.values[value].shape, shape)?;
        }
        bindings.check(&self.equalities)?;
        Ok(bindings)
    }
}
