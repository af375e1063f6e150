//! Layers: options, shapes and weights. One file a layer; none of them computes.
mod activation;
mod concatenate;
mod dense;
mod dropout;
mod embedding;
mod input;
mod lstm;
mod merge;
mod repeat_vector;
mod scan;
mod tensor;

pub use activation::ActivationOptions;
pub use concatenate::ConcatenateOptions;
pub use dense::DenseOptions;
pub use dropout::DropoutOptions;
pub use embedding::EmbeddingOptions;
pub use input::InputOptions;
pub use lstm::LstmOptions;
pub use merge::Merge;
pub use repeat_vector::RepeatVectorOptions;
pub use scan::{Scan, ScanBody, ScanOptions};
pub use tensor::{DataFormat, TensorLayer, WeightOptions};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{
    error::{Code, Error, Result},
    graph::LayerDocument,
    shape::{Dimension, ElementType, Equality, Shape, describe},
};

/// What shape inference knows of a tensor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signature {
    /// Its shape, the batch first.
    pub shape: Shape,
    /// Type of its elements.
    pub dtype: ElementType,
    /// Whether it carries a mask.
    pub masked: bool,
}

/// A weight that a layer needs.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct WeightSpecification {
    /// Name within the layer.
    pub name: String,
    /// Shape in Keras' layout.
    pub shape: Vec<usize>,
    /// How its values begin (`docs/graph.md`).
    pub initializer: Value,
    /// Whether it is trained if its layer is.
    pub trainable: bool,
}

/// What a call of a layer gives.
#[derive(Clone, Debug, Serialize)]
pub struct Inference {
    /// Its outputs.
    pub outputs: Vec<Signature>,
    /// Its weights, in Keras' order.
    pub weights: Vec<WeightSpecification>,
    /// Dimensions that must be equal in each batch.
    pub equal: Vec<Equality>,
}

impl Inference {
    /// One output, no weights.
    pub(crate) fn single(shape: Shape, dtype: ElementType, masked: bool) -> Self {
        Self { outputs: vec![Signature { shape, dtype, masked }], weights: Vec::new(), equal: Vec::new() }
    }
}

/// A layer type with its options.
#[derive(Clone, Debug)]
pub enum LayerKind {
    /// Data of the caller.
    Input(InputOptions),
    /// Rows of a table.
    Embedding(EmbeddingOptions),
    /// A long short-term memory over a sequence.
    Lstm(LstmOptions),
    /// A linear layer with an activation.
    Dense(DenseOptions),
    /// Zeros at random while training.
    Dropout(DropoutOptions),
    /// A function of each element, or softmax over the last axis.
    Activation(ActivationOptions),
    /// Tensors side by side.
    Concatenate(ConcatenateOptions),
    /// Tensors of one shape, element by element.
    Merge(Merge),
    /// A vector as every step of a sequence.
    RepeatVector(RepeatVectorOptions),
    /// Primitive operations on tensors.
    Tensor(TensorLayer),
    /// A graph for each step of sequences.
    Scan(Scan),
}

fn options<T: DeserializeOwned>(layer: &LayerDocument) -> Result<T> {
    serde_json::from_value(layer.options.clone())
        .map_err(|error| Error::new(Code::Option, format!("layer {}: {error}", layer.name)))
}

impl LayerKind {
    /// The kind and options of a layer of a document.
    ///
    /// # Errors
    /// `Option` if an option is missing, unknown or has a wrong value; `Graph` if the type is unknown.
    pub fn parse(layer: &LayerDocument) -> Result<Self> {
        if layer.kind == "ops.scan" {
            let scan = Scan::new(options(layer)?);
            let scan = scan.map_err(|why| Error::new(Code::Option, format!("layer {}: {why}", layer.name)))?;
            return Ok(Self::Scan(scan));
        }
        if let Some(tensor) = TensorLayer::parse(layer)? {
            return Ok(Self::Tensor(tensor));
        }
        let kind = match layer.kind.as_str() {
            "input" => Self::Input(options(layer)?),
            "embedding" => Self::Embedding(options(layer)?),
            "lstm" => Self::Lstm(options(layer)?),
            "dense" => Self::Dense(options(layer)?),
            "dropout" => Self::Dropout(options(layer)?),
            "activation" => Self::Activation(options(layer)?),
            "concatenate" => Self::Concatenate(options(layer)?),
            "repeatVector" => Self::RepeatVector(options(layer)?),
            other => Self::Merge(
                Merge::from_name(other)
                    .ok_or_else(|| Error::new(Code::Graph, format!("layer {}: unknown type {other}", layer.name)))?,
            ),
        };
        match &kind {
            Self::Embedding(options) => options.check(),
            Self::Lstm(options) => options.check(),
            Self::Dense(options) => options.check(),
            Self::Dropout(options) => options.check(),
            Self::Activation(options) => options.check(),
            Self::RepeatVector(options) => options.check(),
            Self::Input(_) | Self::Concatenate(_) | Self::Merge(_) | Self::Tensor(_) | Self::Scan(_) => Ok(()),
        }
        .map_err(|reason| Error::new(Code::Option, format!("layer {}: {reason}", layer.name)))?;
        Ok(kind)
    }

    /// Shapes and weights of a call.
    ///
    /// # Errors
    /// `Shape` naming the layer, what it expected and what it got.
    pub fn infer(&self, layer: &str, inputs: &[Signature]) -> Result<Inference> {
        match self {
            Self::Input(options) => options.infer(inputs),
            Self::Embedding(options) => options.infer(inputs),
            Self::Lstm(options) => options.infer(inputs),
            Self::Dense(options) => options.infer(inputs),
            Self::Dropout(_) | Self::Activation(_) => same(inputs),
            Self::Concatenate(options) => options.infer(inputs),
            Self::Merge(merge) => merge.infer(inputs),
            Self::RepeatVector(options) => options.infer(inputs),
            Self::Tensor(tensor) => tensor.infer(inputs),
            Self::Scan(scan) => scan.infer(inputs),
        }
        .map_err(|reason| Error::new(Code::Shape, format!("layer {layer}: {reason}")))
    }
}

/// Inference of layers that keep the shape of their only input.
fn same(inputs: &[Signature]) -> std::result::Result<Inference, String> {
    let [x] = inputs else { return Err(format!("expected 1 input, got {}", inputs.len())) };
    float(x, "its input")?;
    Ok(Inference::single(x.shape.clone(), x.dtype, x.masked))
}

pub(crate) fn float(x: &Signature, what: &str) -> std::result::Result<(), String> {
    if x.dtype == ElementType::Float32 {
        return Ok(());
    }
    Err(format!("expected {what} to be float32, got {} of shape {}", x.dtype.name(), describe(&x.shape)))
}

/// The known size of the last axis.
fn last_size(x: &Signature) -> std::result::Result<usize, String> {
    match x.shape.last() {
        Some(Dimension::Size(size)) => Ok(*size),
        _ => Err(format!("expected an input whose last dimension is known, got shape {}", describe(&x.shape))),
    }
}

/// Notes that two dimensions must be equal; an error if they are known to differ.
pub(crate) fn unify(left: &Dimension, right: &Dimension, equal: &mut Vec<Equality>) -> bool {
    match (left, right) {
        (left, right) if left == right => true,
        (Dimension::Size(_), Dimension::Size(_)) => false,
        (left, right) => {
            equal.push((left.clone(), right.clone()));
            true
        }
    }
}
