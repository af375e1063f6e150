//! What losses and metrics compute of an output: functions of its rows.
use sconce_kernels::{row_loss::RowLoss, smoothing::SmoothingDefinition};

use crate::error::{Code, Error, Result};

/// A categorical cross-entropy.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CrossEntropy {
    /// Whether the output holds logits.
    pub from_logits: bool,
    /// The part of a target that is spread over the classes.
    pub label_smoothing: f32,
    /// How it is spread.
    pub definition: SmoothingDefinition,
    /// Ids that count as masked.
    pub ignore_class: Option<i32>,
}

impl CrossEntropy {
    /// Without smoothing and ignored ids.
    #[must_use]
    pub fn plain(from_logits: bool) -> Self {
        Self { from_logits, label_smoothing: 0.0, definition: SmoothingDefinition::Keras, ignore_class: None }
    }
}

/// A function of a row of an output and its target.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum LossFunction {
    /// Of classes.
    CrossEntropy(CrossEntropy),
    /// Of elements, with a target for each.
    Rows(RowLoss),
    /// What nodes compute: a number of [`super::Plan::extensions`].
    Graph(usize),
}

impl LossFunction {
    /// Whether so many classes are enough for the smoothing.
    ///
    /// # Errors
    /// `Option` if not.
    pub fn check_classes(&self, output: &str, classes: usize) -> Result<()> {
        let Self::CrossEntropy(CrossEntropy { label_smoothing, definition, .. }) = self else { return Ok(()) };
        let fewest = definition.fewest_classes();
        if *label_smoothing == 0.0 || classes >= fewest {
            return Ok(());
        }
        let name = match definition {
            SmoothingDefinition::Keras => "keras",
            SmoothingDefinition::Fairseq => "fairseq",
            SmoothingDefinition::JoeyNmt { .. } => "joeynmt",
        };
        let needed = format!("labelSmoothing {name:?} needs at least {fewest} classes, padding among them");
        Err(Error::new(Code::Option, format!("output {output}: {needed}, got {classes}")))
    }
}

/// A loss of an output.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OutputLoss {
    /// What is averaged over the rows.
    pub function: LossFunction,
    /// Factor in the total loss.
    pub weight: f32,
}

impl From<CrossEntropy> for OutputLoss {
    fn from(loss: CrossEntropy) -> Self {
        Self { function: LossFunction::CrossEntropy(loss), weight: 1.0 }
    }
}

impl From<RowLoss> for OutputLoss {
    fn from(loss: RowLoss) -> Self {
        Self { function: LossFunction::Rows(loss), weight: 1.0 }
    }
}

/// A metric of an output.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Metric {
    /// One of the three below, by output and target, as in Keras.
    Accuracy,
    /// Largest class of the output against the largest of the target.
    CategoricalAccuracy,
    /// Largest class of the output against the id.
    SparseCategoricalAccuracy,
    /// Elements above the threshold against targets of 1.
    BinaryAccuracy(f32),
    /// Whether fewer than so many classes have a larger element than the right one.
    TopK(usize),
    /// Elements above the threshold whose target is not 0, of all elements above it.
    Precision(f32),
    /// Elements above the threshold whose target is not 0, of all whose target is not 0.
    Recall(f32),
    /// Exponential of the mean cross-entropy.
    Perplexity {
        /// Whether the output holds logits, also if its loss does not say so.
        from_logits: bool,
    },
    /// Mean of a function, times 1 or -1.
    Mean(LossFunction, f32),
}
