//! Layers: options, shapes and weights. One file a layer; none of them computes.
mod activation;
mod attention;
mod attention_axes;
mod attention_call;
mod attention_rnn;
mod axes;
mod bidirectional;
mod concatenate;
mod dense;
mod dropout;
mod embedding;
mod input;
mod layer_normalization;
mod masking;
mod merge;
mod multi_head_attention;
mod pooling;
mod positional_encoding;
mod recurrent;
mod relative_position_bias;
mod repeat_vector;
mod reversible_embedding;
mod rms_normalization;
mod scan;
mod softmax;
mod tensor;
mod time_distributed;
mod transformer;

pub use activation::ActivationOptions;
pub use attention::AttentionOptions;
pub(crate) use attention_axes::AttentionAxes;
pub use attention_call::{AttentionCall, Role};
pub use attention_rnn::{AttentionForm, AttentionRnnOptions};
pub use bidirectional::{BidirectionalOptions, Direction, MergeMode};
pub use concatenate::ConcatenateOptions;
pub use dense::DenseOptions;
pub use dropout::DropoutOptions;
pub use embedding::EmbeddingOptions;
pub use input::InputOptions;
pub use layer_normalization::LayerNormalizationOptions;
pub use masking::MaskingOptions;
pub use merge::Merge;
pub use multi_head_attention::MultiHeadAttentionOptions;
pub use pooling::{DataFormat, PoolingOptions};
pub use positional_encoding::{PositionKind, PositionScale, PositionalEncodingOptions};
pub use recurrent::{Cell, RecurrentOptions};
pub use relative_position_bias::{BiasKind, RelativePositionBiasOptions};
pub use repeat_vector::RepeatVectorOptions;
pub use reversible_embedding::ReversibleEmbeddingOptions;
pub use rms_normalization::RmsNormalizationOptions;
pub use scan::{Scan, ScanBody, ScanOptions};
pub use softmax::SoftmaxOptions;
pub(crate) use tensor::Step;
pub use tensor::{TensorLayer, WeightOptions};
pub use time_distributed::TimeDistributed;
pub(crate) use transformer::{Part, bias_place, with_features};
pub use transformer::{Rotary, TransformerOptions};

use std::borrow::Cow;

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{
    error::{Code, Error, Result},
    graph::LayerDocument,
    plan::own_options,
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
    /// The penalty of its values (`docs/graph.md`); `null`: none.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub regularizer: Value,
    /// What its values are brought back to after each step (`docs/graph.md`); `null`: nothing.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub constraint: Value,
}

impl WeightSpecification {
    /// A trainable weight without regulariser and constraint.
    #[must_use]
    pub fn new(name: &str, shape: Vec<usize>, initializer: &Value) -> Self {
        Self {
            name: name.to_owned(),
            shape,
            initializer: initializer.clone(),
            trainable: true,
            regularizer: Value::Null,
            constraint: Value::Null,
        }
    }

    /// The same weight with a regulariser and a constraint.
    #[must_use]
    pub fn governed(self, regularizer: &Value, constraint: &Value) -> Self {
        Self { regularizer: regularizer.clone(), constraint: constraint.clone(), ..self }
    }
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
    /// An LSTM, a GRU or a simple RNN over a sequence.
    Recurrent(RecurrentOptions),
    /// One of these in both directions of time.
    Bidirectional(Box<BidirectionalOptions>),
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
    /// A layer of a Transformer.
    Transformer(Box<TransformerOptions>),
    /// What is added to scores for the distance between query and key.
    RelativePositionBias(RelativePositionBiasOptions),
    /// Positions, added to a sequence.
    PositionalEncoding(PositionalEncodingOptions),
    /// Rows of a table, and scores of its rows.
    ReversibleEmbedding(ReversibleEmbeddingOptions),
    /// Normalisation by the root mean square over axes of each sample.
    RmsNormalization(RmsNormalizationOptions),
    /// A vector as every step of a sequence.
    RepeatVector(RepeatVectorOptions),
    /// Normalisation over axes of each sample.
    LayerNormalization(LayerNormalizationOptions),
    /// The mean of all steps.
    GlobalAveragePooling(PoolingOptions),
    /// The maximum of all steps.
    GlobalMaxPooling(PoolingOptions),
    /// A mask from values.
    Masking(MaskingOptions),
    /// Zeros for whole features of a sequence at random while training.
    SpatialDropout(DropoutOptions),
    /// Softmax over axes.
    Softmax(SoftmaxOptions),
    /// A layer at each step by itself.
    TimeDistributed(TimeDistributed),
    /// Primitive operations on tensors.
    Tensor(TensorLayer),
    /// A graph for each step of sequences.
    Scan(Scan),
    /// Attention of several heads, between projections.
    MultiHeadAttention(Box<MultiHeadAttentionOptions>),
    /// A recurrent layer that attends over another sequence.
    AttentionRnn(Box<AttentionRnnOptions>),
    /// Attention without projections.
    Attention(AttentionOptions),
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
        let layer = &LayerDocument { options: own_options(&layer.options), ..layer.clone() };
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
            "bidirectional" => Self::Bidirectional(Box::new(BidirectionalOptions::parse(layer)?)),
            "dense" => Self::Dense(options(layer)?),
            "dropout" => Self::Dropout(options(layer)?),
            "activation" => Self::Activation(options(layer)?),
            "concatenate" => Self::Concatenate(options(layer)?),
            "repeatVector" => Self::RepeatVector(options(layer)?),
            "layerNormalization" => Self::LayerNormalization(options(layer)?),
            "positionalEncoding" => Self::PositionalEncoding(options(layer)?),
            "reversibleEmbedding" => Self::ReversibleEmbedding(options(layer)?),
            "relativePositionBias" => Self::RelativePositionBias(options(layer)?),
            "rmsNormalization" => Self::RmsNormalization(options(layer)?),
            "transformerEncoder" | "transformerDecoder" => {
                Self::Transformer(Box::new(TransformerOptions::parse(layer)?))
            }
            "globalAveragePooling1d" => Self::GlobalAveragePooling(options(layer)?),
            "globalMaxPooling1d" => Self::GlobalMaxPooling(options(layer)?),
            "masking" => Self::Masking(options(layer)?),
            "spatialDropout1d" => Self::SpatialDropout(options(layer)?),
            "softmax" => Self::Softmax(options(layer)?),
            "timeDistributed" => Self::TimeDistributed(TimeDistributed::parse(layer)?),
            "multiHeadAttention" | "groupedQueryAttention" => {
                Self::MultiHeadAttention(Box::new(MultiHeadAttentionOptions::parse(layer)?))
            }
            "attentionRnn" => Self::AttentionRnn(Box::new(options(layer)?)),
            "attention" | "additiveAttention" => Self::Attention(AttentionOptions::parse(layer)?),
            other => match (RecurrentOptions::parse(layer), Merge::from_name(other)) {
                (Some(options), _) => Self::Recurrent(options?),
                (None, Some(merge)) => Self::Merge(merge),
                (None, None) => {
                    return Err(Error::new(Code::Graph, format!("layer {}: unknown type {other}", layer.name)));
                }
            },
        };
        match &kind {
            Self::Embedding(options) => options.check(),
            Self::Recurrent(options) => options.check(),
            Self::Bidirectional(options) => options.check(),
            Self::Dense(options) => options.check(),
            Self::Dropout(options) => options.check(),
            Self::Activation(options) => options.check(),
            Self::RepeatVector(options) => options.check(),
            Self::LayerNormalization(options) => options.check(),
            Self::PositionalEncoding(options) => options.check(),
            Self::ReversibleEmbedding(options) => options.check(),
            Self::RelativePositionBias(options) => options.check(),
            Self::RmsNormalization(options) => options.check(),
            Self::Transformer(options) => options.check(),
            Self::Masking(options) => options.check(),
            Self::SpatialDropout(options) => options.check(),
            Self::Softmax(options) => options.check(),
            Self::GlobalAveragePooling(_) | Self::GlobalMaxPooling(_) | Self::TimeDistributed(_) => Ok(()),
            Self::Input(_) | Self::Concatenate(_) | Self::Merge(_) | Self::Tensor(_) | Self::Scan(_) => Ok(()),
            Self::MultiHeadAttention(options) => options.check(),
            Self::AttentionRnn(options) => options.check(),
            Self::Attention(options) => options.check(),
        }
        .map_err(|reason| Error::new(Code::Option, format!("layer {}: {reason}", layer.name)))?;
        Ok(kind)
    }

    /// The layer as it is in a call that says something besides its inputs.
    ///
    /// # Errors
    /// `Option` naming the layer if it takes nothing such, or this is wrong.
    pub fn called(&self, layer: &str, call: &Value) -> Result<Cow<'_, Self>> {
        let wrong = |reason: String| Error::new(Code::Option, format!("layer {layer}: {reason}"));
        match self {
            Self::MultiHeadAttention(options) => {
                let call = AttentionCall::parse(call).map_err(wrong)?;
                Ok(Cow::Owned(Self::MultiHeadAttention(Box::new(options.called(call)))))
            }
            Self::Attention(options) => {
                let call = AttentionCall::parse(call).map_err(wrong)?;
                Ok(Cow::Owned(Self::Attention(options.called(call).map_err(wrong)?)))
            }
            _ if call.is_null() => Ok(Cow::Borrowed(self)),
            _ => Err(wrong("a call of it takes no options".to_owned())),
        }
    }

    /// Shapes and weights of a call.
    ///
    /// # Errors
    /// `Shape` naming the layer, what it expected and what it got.
    pub fn infer(&self, layer: &str, inputs: &[Signature]) -> Result<Inference> {
        match self {
            Self::Input(options) => options.infer(inputs),
            Self::Embedding(options) => options.infer(inputs),
            Self::Recurrent(options) => options.infer(inputs),
            Self::Bidirectional(options) => options.infer(inputs),
            Self::Dense(options) => options.infer(inputs),
            Self::Dropout(_) | Self::Activation(_) => same(inputs),
            Self::Concatenate(options) => options.infer(inputs),
            Self::Merge(merge) => merge.infer(inputs),
            Self::RepeatVector(options) => options.infer(inputs),
            Self::LayerNormalization(options) => options.infer(inputs),
            Self::PositionalEncoding(options) => options.infer(inputs),
            Self::ReversibleEmbedding(options) => options.infer(inputs),
            Self::RelativePositionBias(options) => options.infer(inputs),
            Self::RmsNormalization(options) => options.infer(inputs),
            Self::Transformer(options) => options.infer(inputs),
            Self::GlobalAveragePooling(options) => options.infer(inputs, true),
            Self::GlobalMaxPooling(options) => options.infer(inputs, false),
            Self::Masking(options) => options.infer(inputs),
            Self::SpatialDropout(_) => masking::infer_spatial_dropout(inputs),
            Self::Softmax(options) => options.infer(inputs),
            Self::TimeDistributed(wrapper) => return wrapper.infer(layer, inputs),
            Self::Tensor(tensor) => tensor.infer(inputs),
            Self::Scan(scan) => scan.infer(inputs),
            Self::MultiHeadAttention(options) => options.infer(inputs),
            Self::AttentionRnn(options) => options.infer(inputs),
            Self::Attention(options) => options.infer(inputs),
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
