//! A graph document as a list of primitive operations: what every backend runs.
//!
//! Layers are expanded where a layer is more than one operation (a linear layer and its activation), so that fusion and
//! differentiation see the parts. Values are numbered; each has a signature.
mod loss;
mod schedule;
mod tensor;

pub use loss::{CrossEntropy, LossPlan, LossTarget, Metric, OutputPlan, TrainingPlan};
pub use schedule::{Roots, Schedule};

use sconce_kernels::activation::Activation;

use crate::{
    error::{Code, Error, Result},
    graph::GraphDocument,
    initializer::Start,
    layers::{Inference, LayerKind, LstmOptions, Merge, Scan, Signature, WeightSpecification},
    ops::TensorOperation,
    shape::{Bindings, Equality},
};

/// Number of a value of a plan.
pub type ValueId = usize;

/// An LSTM's options, resolved.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LstmPlan {
    /// Features of outputs and states.
    pub units: usize,
    /// Of the candidate and the output.
    pub activation: Activation,
    /// Of the gates.
    pub recurrent_activation: Activation,
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
}

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
    /// A long short-term memory.
    Lstm(LstmPlan),
    /// `x W + b`.
    Linear,
    /// A function of each element.
    Activate(Activation),
    /// Softmax over the last axis.
    Softmax,
    /// Zeros at random while training; otherwise the identity.
    Dropout(f32),
    /// Tensors side by side along an axis.
    Concatenate(usize),
    /// Tensors of one shape, element by element.
    Merge(Merge),
    /// A vector as this many steps of a sequence.
    RepeatVector(usize),
    /// A primitive operation on tensors.
    Tensor(TensorOperation),
    /// A graph for each step of sequences.
    Scan(Scan),
}

impl Operation {
    /// Whether it reads weights of its layer.
    #[must_use]
    pub fn has_weights(&self) -> bool {
        matches!(
            self,
            Self::Embedding { .. } | Self::Lstm(_) | Self::Linear | Self::Tensor(TensorOperation::Weight { .. })
        )
    }

    /// Whether the mask of its output is that of its first input.
    #[must_use]
    pub fn passes_mask(&self) -> bool {
        matches!(self, Self::Linear | Self::Activate(_) | Self::Softmax | Self::Dropout(_))
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
}

fn lstm(options: &LstmOptions) -> LstmPlan {
    // The options were checked: the names are known.
    let function = |name: &str| Activation::from_name(name).unwrap_or(Activation::Linear);
    LstmPlan {
        units: options.units,
        activation: function(&options.activation),
        recurrent_activation: function(&options.recurrent_activation),
        dropout: options.dropout,
        recurrent_dropout: options.recurrent_dropout,
        sequences: options.return_sequences,
        reverse: options.go_backwards,
        zero_output_for_mask: options.zero_output_for_mask,
    }
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
        };
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
            let Inference { outputs, weights, equal } = kinds[node.layer].infer(name, &signatures)?;
            plan.equalities.extend(equal);
            match &layer_weights[node.layer] {
                None => layer_weights[node.layer] = Some(weights),
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
            node_values.push(plan.expand(&kinds[node.layer], node.layer, inputs, outputs));
        }
        for ((layer, kind), weights) in document.layers.iter().zip(kinds).zip(layer_weights) {
            let index = plan.layers.len();
            let first_weight = plan.weights.len();
            for (number, specification) in weights.unwrap_or_default().into_iter().enumerate() {
                let what = format!("layer {}: {}", layer.name, specification.name);
                let start = Start::parse(&what, &specification.initializer, &specification.shape)?;
                plan.weights.push(PlanWeight { layer: index, index: number, specification, start });
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
        self.nodes.push(Node { operation, layer, first_weight: 0, inputs, outputs: outputs.clone() });
        outputs
    }

    /// Nodes of one call of a layer; gives its outputs.
    fn expand(
        &mut self,
        kind: &LayerKind,
        layer: usize,
        inputs: Vec<ValueId>,
        outputs: Vec<Signature>,
    ) -> Vec<ValueId> {
        let function = |name: &str| match Activation::from_name(name) {
            _ if name == "softmax" => Operation::Softmax,
            Some(activation) => Operation::Activate(activation),
            None => Operation::Activate(Activation::Linear),
        };
        match kind {
            LayerKind::Input(_) => self.push(Operation::Input, layer, inputs, outputs),
            LayerKind::Embedding(options) => {
                self.push(Operation::Embedding { mask_zero: options.mask_zero }, layer, inputs, outputs)
            }
            LayerKind::Lstm(options) => self.push(Operation::Lstm(lstm(options)), layer, inputs, outputs),
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
            LayerKind::Scan(scan) => self.push(Operation::Scan(scan.clone()), layer, inputs, outputs),
            LayerKind::Tensor(tensor) => self.expand_tensor(tensor, layer, inputs, outputs),
            LayerKind::Merge(merge) => self.push(Operation::Merge(*merge), layer, inputs, outputs),
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
