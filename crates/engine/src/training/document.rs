//! The document that `compile` sends.
use serde::Deserialize;

use super::OptimizerDocument;
use crate::{
    error::{Code, Error, Result},
    plan::{CrossEntropy, Metric, OutputPlan},
};

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
enum LossType {
    CategoricalCrossentropy,
    SparseCategoricalCrossentropy,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct LossDocument {
    #[serde(rename = "type")]
    _kind: LossType,
    #[serde(default)]
    from_logits: bool,
    #[serde(default)]
    label_smoothing: f32,
    #[serde(default)]
    ignore_class: Option<i32>,
    #[serde(default = "one")]
    weight: f32,
}

fn one() -> f32 {
    1.0
}

fn half() -> f32 {
    0.5
}

#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "type", rename_all = "camelCase")]
enum MetricDocument {
    Accuracy,
    CategoricalAccuracy,
    SparseCategoricalAccuracy,
    BinaryAccuracy {
        #[serde(default = "half")]
        threshold: f32,
    },
    Perplexity,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct OutputDocument {
    loss: Option<LossDocument>,
    #[serde(default)]
    metrics: Vec<MetricDocument>,
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
    /// Seed of dropout.
    pub seed: u64,
}

impl CompileDocument {
    /// Reads the document.
    ///
    /// # Errors
    /// `Option` if it is malformed.
    pub fn parse(text: &str) -> Result<Self> {
        let document: Document =
            serde_json::from_str(text).map_err(|error| Error::new(Code::Option, format!("compile: {error}")))?;
        document.optimizer.check()?;
        let outputs = document
            .outputs
            .into_iter()
            .map(|output| {
                let valid =
                    |loss: &LossDocument| (0.0..=1.0).contains(&loss.label_smoothing) && loss.weight.is_finite();
                if let Some(loss) = output.loss.as_ref().filter(|loss| !valid(loss)) {
                    return Err(Error::new(
                        Code::Option,
                        format!(
                            "labelSmoothing must be from 0 to 1 and the loss weight finite, got {} and {}",
                            loss.label_smoothing, loss.weight
                        ),
                    ));
                }
                Ok(OutputPlan {
                    loss: output.loss.map(|loss| CrossEntropy {
                        from_logits: loss.from_logits,
                        label_smoothing: loss.label_smoothing,
                        ignore_class: loss.ignore_class,
                        weight: loss.weight,
                    }),
                    metrics: output.metrics.iter().map(MetricDocument::metric).collect(),
                })
            })
            .collect::<Result<_>>()?;
        Ok(Self { optimizer: document.optimizer, outputs, seed: document.seed })
    }
}

impl MetricDocument {
    fn metric(&self) -> Metric {
        match self {
            Self::Accuracy => Metric::Accuracy,
            Self::CategoricalAccuracy => Metric::CategoricalAccuracy,
            Self::SparseCategoricalAccuracy => Metric::SparseCategoricalAccuracy,
            Self::BinaryAccuracy { threshold } => Metric::BinaryAccuracy(*threshold),
            Self::Perplexity => Metric::Perplexity,
        }
    }
}
