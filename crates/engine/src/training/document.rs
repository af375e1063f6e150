//! The document that `compile` sends.
use sconce_kernels::{row_loss::RowLoss, smoothing::SmoothingDefinition};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::OptimizerDocument;
use crate::{
    error::{Code, Error, Result},
    graph::GraphDocument,
    plan::{CrossEntropy, LossFunction, LossGraph, Metric, OutputLoss, OutputPlan},
};

/// Names of [`SmoothingDefinition`]s.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
enum DefinitionName {
    #[default]
    Keras,
    Fairseq,
    Joeynmt,
}

/// A function of rows, as losses and metrics have it.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(tag = "type", rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
enum FunctionDocument {
    CategoricalCrossentropy {
        #[serde(default)]
        from_logits: bool,
        #[serde(default)]
        label_smoothing: f32,
        #[serde(default)]
        smoothing_definition: DefinitionName,
        #[serde(default)]
        padding: u32,
        #[serde(default)]
        ignore_class: Option<i32>,
    },
    SparseCategoricalCrossentropy {
        #[serde(default)]
        from_logits: bool,
        #[serde(default)]
        label_smoothing: f32,
        #[serde(default)]
        ignore_class: Option<i32>,
    },
    BinaryCrossentropy {
        #[serde(default)]
        from_logits: bool,
        #[serde(default)]
        label_smoothing: f32,
    },
    MeanSquaredError {},
    MeanAbsoluteError {},
    MeanAbsolutePercentageError {},
    MeanSquaredLogarithmicError {},
    Huber {
        #[serde(default = "one")]
        delta: f32,
    },
    LogCosh {},
    Poisson {},
    Hinge {},
    SquaredHinge {},
    CategoricalHinge {},
    KlDivergence {},
    CosineSimilarity {},
}

impl FunctionDocument {
    fn function(self) -> Result<LossFunction> {
        let smoothing = |e: f32| {
            let message = || Error::new(Code::Option, format!("labelSmoothing must be from 0 to 1, got {e}"));
            (0.0..=1.0).contains(&e).then_some(e).ok_or_else(message)
        };
        Ok(LossFunction::Rows(match self {
            Self::CategoricalCrossentropy {
                from_logits,
                label_smoothing,
                smoothing_definition,
                padding,
                ignore_class,
            } => {
                let definition = match smoothing_definition {
                    DefinitionName::Keras => SmoothingDefinition::Keras,
                    DefinitionName::Fairseq => SmoothingDefinition::Fairseq,
                    DefinitionName::Joeynmt => SmoothingDefinition::JoeyNmt { padding },
                };
                let label_smoothing = smoothing(label_smoothing)?;
                let loss = CrossEntropy { from_logits, label_smoothing, definition, ignore_class };
                return Ok(LossFunction::CrossEntropy(loss));
            }
            Self::SparseCategoricalCrossentropy { from_logits, label_smoothing, ignore_class } => {
                let (label_smoothing, definition) = (smoothing(label_smoothing)?, SmoothingDefinition::Keras);
                let loss = CrossEntropy { from_logits, label_smoothing, definition, ignore_class };
                return Ok(LossFunction::CrossEntropy(loss));
            }
            Self::BinaryCrossentropy { from_logits, label_smoothing } => {
                RowLoss::BinaryCrossentropy { from_logits, label_smoothing: smoothing(label_smoothing)? }
            }
            Self::MeanSquaredError {} => RowLoss::MeanSquaredError,
            Self::MeanAbsoluteError {} => RowLoss::MeanAbsoluteError,
            Self::MeanAbsolutePercentageError {} => RowLoss::MeanAbsolutePercentageError,
            Self::MeanSquaredLogarithmicError {} => RowLoss::MeanSquaredLogarithmicError,
            Self::Huber { delta } if delta > 0.0 && delta.is_finite() => RowLoss::Huber { delta },
            Self::Huber { delta } => {
                return Err(Error::new(Code::Option, format!("delta must be above 0 and finite, got {delta}")));
            }
            Self::LogCosh {} => RowLoss::LogCosh,
            Self::Poisson {} => RowLoss::Poisson,
            Self::Hinge {} => RowLoss::Hinge,
            Self::SquaredHinge {} => RowLoss::SquaredHinge,
            Self::CategoricalHinge {} => RowLoss::CategoricalHinge,
            Self::KlDivergence {} => RowLoss::KlDivergence,
            Self::CosineSimilarity {} => RowLoss::CosineSimilarity,
        }))
    }
}

fn one() -> f32 {
    1.0
}

fn half() -> f32 {
    0.5
}

fn five() -> usize {
    5
}

/// Metrics that are no mean of a loss.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "type", rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
enum MetricDocument {
    Accuracy {},
    CategoricalAccuracy {},
    SparseCategoricalAccuracy {},
    BinaryAccuracy {
        #[serde(default = "half")]
        threshold: f32,
    },
    TopKCategoricalAccuracy {
        #[serde(default = "five")]
        k: usize,
    },
    SparseTopKCategoricalAccuracy {
        #[serde(default = "five")]
        k: usize,
    },
    Precision {
        #[serde(default = "half")]
        threshold: f32,
    },
    Recall {
        #[serde(default = "half")]
        threshold: f32,
    },
    Perplexity {
        #[serde(default)]
        from_logits: bool,
    },
    RootMeanSquaredError {},
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct OutputDocument {
    loss: Option<Map<String, Value>>,
    #[serde(default)]
    metrics: Vec<Value>,
    #[serde(default)]
    weighted_metrics: Vec<Value>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Document {
    optimizer: OptimizerDocument,
    outputs: Vec<OutputDocument>,
    seed: u64,
}

/// What a model is trained with.
#[derive(Clone, Debug)]
pub struct CompileDocument {
    /// The optimiser.
    pub optimizer: OptimizerDocument,
    /// One entry an output.
    pub outputs: Vec<OutputPlan>,
    /// Losses and metrics that are graphs: the functions [`LossFunction::Graph`] of the entries.
    pub graphs: Vec<LossGraph>,
    /// Seed of dropout.
    pub seed: u64,
}

fn malformed(error: &serde_json::Error) -> Error {
    Error::new(Code::Option, format!("compile: {error}"))
}

/// A function that is a graph, if the document is one: it is added to `graphs`.
fn graph(document: &Value, output: usize, graphs: &mut Vec<LossGraph>) -> Result<Option<LossFunction>> {
    if document.get("type").and_then(Value::as_str) != Some("graph") {
        return Ok(None);
    }
    let graph = GraphDocument::parse(&document.get("graph").unwrap_or(&Value::Null).to_string())?;
    graphs.push(LossGraph { output, graph });
    Ok(Some(LossFunction::Graph(graphs.len() - 1)))
}

fn loss(mut document: Map<String, Value>, output: usize, graphs: &mut Vec<LossGraph>) -> Result<OutputLoss> {
    let weight = match document.remove("weight") {
        None => 1.0,
        Some(weight) => serde_json::from_value::<f32>(weight).map_err(|error| malformed(&error))?,
    };
    if !weight.is_finite() {
        return Err(Error::new(Code::Option, format!("the weight of a loss must be finite, got {weight}")));
    }
    let document = Value::Object(document);
    if let Some(function) = graph(&document, output, graphs)? {
        return Ok(OutputLoss { function, weight });
    }
    let function: FunctionDocument = serde_json::from_value(document).map_err(|error| malformed(&error))?;
    Ok(OutputLoss { function: function.function()?, weight })
}

fn metric(document: &Value, output: usize, graphs: &mut Vec<LossGraph>) -> Result<Metric> {
    if let Some(function) = graph(document, output, graphs)? {
        return Ok(Metric::Mean(function, 1.0));
    }
    let mut document = document.clone();
    // What it is called is of interest where it is shown.
    if let Some(fields) = document.as_object_mut() {
        fields.remove("name");
    }
    if let Ok(function) = serde_json::from_value::<FunctionDocument>(document.clone()) {
        let function = function.function()?;
        // Keras' loss is minus the cosine, its metric the cosine.
        let sign = if function == LossFunction::Rows(RowLoss::CosineSimilarity) { -1.0 } else { 1.0 };
        return Ok(Metric::Mean(function, sign));
    }
    let known: MetricDocument = serde_json::from_value(document).map_err(|error| malformed(&error))?;
    Ok(match known {
        MetricDocument::Accuracy {} => Metric::Accuracy,
        MetricDocument::CategoricalAccuracy {} => Metric::CategoricalAccuracy,
        MetricDocument::SparseCategoricalAccuracy {} => Metric::SparseCategoricalAccuracy,
        MetricDocument::BinaryAccuracy { threshold } => Metric::BinaryAccuracy(threshold),
        MetricDocument::TopKCategoricalAccuracy { k } | MetricDocument::SparseTopKCategoricalAccuracy { k } => {
            Metric::TopK(k)
        }
        MetricDocument::Precision { threshold } => Metric::Precision(threshold),
        MetricDocument::Recall { threshold } => Metric::Recall(threshold),
        MetricDocument::Perplexity { from_logits } => Metric::Perplexity { from_logits },
        // The root is drawn where the sums of all batches are known.
        MetricDocument::RootMeanSquaredError {} => Metric::Mean(LossFunction::Rows(RowLoss::MeanSquaredError), 1.0),
    })
}

impl CompileDocument {
    /// Reads the document.
    ///
    /// # Errors
    /// `Option` if it is malformed.
    pub fn parse(text: &str) -> Result<Self> {
        let document: Document = serde_json::from_str(text).map_err(|error| malformed(&error))?;
        document.optimizer.check()?;
        let mut graphs = Vec::new();
        let mut outputs = Vec::with_capacity(document.outputs.len());
        for (number, output) in document.outputs.into_iter().enumerate() {
            let mut read = |list: &[Value]| {
                list.iter().map(|document| metric(document, number, &mut graphs)).collect::<Result<Vec<_>>>()
            };
            let (metrics, weighted_metrics) = (read(&output.metrics)?, read(&output.weighted_metrics)?);
            let loss = output.loss.map(|document| loss(document, number, &mut graphs)).transpose()?;
            outputs.push(OutputPlan { loss, metrics, weighted_metrics });
        }
        Ok(Self { optimizer: document.optimizer, outputs, graphs, seed: document.seed })
    }
}
