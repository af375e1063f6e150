//! Losses and metrics as terminal nodes, and the fusion of a linear layer, softmax and cross-entropy.
use super::{Operation, Plan, Schedule, ValueId, schedule::Roots};
use crate::error::{Code, Error, Result};

/// A categorical cross-entropy.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CrossEntropy {
    /// Whether the output holds logits.
    pub from_logits: bool,
    /// `e` in `y (1 - e) + e / classes`.
    pub label_smoothing: f32,
    /// Ids that count as masked.
    pub ignore_class: Option<i32>,
    /// Factor in the total loss.
    pub weight: f32,
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
    /// Elements above the threshold against targets above one half.
    BinaryAccuracy(f32),
    /// Exponential of the mean cross-entropy.
    Perplexity,
}

/// What is wanted of an output in training.
#[derive(Clone, Debug)]
pub struct OutputPlan {
    /// Its loss, if it has one.
    pub loss: Option<CrossEntropy>,
    /// Its metrics.
    pub metrics: Vec<Metric>,
}

/// Where a loss takes its input from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LossTarget {
    /// Fused: the input of this linear node, whose logits are never kept.
    Linear(usize),
    /// Logits: what goes into the softmax, or the output itself.
    Logits(ValueId),
    /// Probabilities that come from something else than a softmax.
    Probabilities(ValueId),
}

/// One output with its loss and metrics.
#[derive(Clone, Debug)]
pub struct LossPlan {
    /// Number of the output.
    pub output: usize,
    /// Where the cross-entropy (of loss and metrics) takes its input from.
    pub target: LossTarget,
    /// The model's output itself, where a metric needs it.
    pub value: Option<ValueId>,
    /// The loss; without one only metrics are computed.
    pub loss: Option<CrossEntropy>,
    /// The metrics.
    pub metrics: Vec<Metric>,
}

/// A plan with losses.
#[derive(Clone, Debug)]
pub struct TrainingPlan {
    /// Losses and metrics.
    pub losses: Vec<LossPlan>,
    /// For training steps.
    pub train: Schedule,
    /// For test steps.
    pub test: Schedule,
}

impl TrainingPlan {
    /// Decides what is fused, and in which order forward and backward go.
    ///
    /// # Errors
    /// `Option` if there are not as many entries as outputs, or no loss.
    pub fn new(plan: &Plan, outputs: &[OutputPlan], trainable: &[bool]) -> Result<Self> {
        if outputs.len() != plan.outputs.len() {
            return Err(Error::new(
                Code::Option,
                format!("the model has {} outputs, got losses for {}", plan.outputs.len(), outputs.len()),
            ));
        }
        if outputs.iter().all(|output| output.loss.is_none()) {
            return Err(Error::new(Code::Option, "compile: at least one output needs a loss"));
        }
        let mut losses = Vec::new();
        for (number, (output, &value)) in outputs.iter().zip(&plan.outputs).enumerate() {
            if output.loss.is_none() && output.metrics.is_empty() {
                continue;
            }
            if plan.values[value].shape.len() < 2 {
                return Err(Error::new(
                    Code::Shape,
                    format!("output {}: a loss needs a class axis after the batch", plan.value_layer(value)),
                ));
            }
            let needs_value = output.metrics.iter().any(|metric| {
                let one = plan.values[value].shape.last() == Some(&crate::shape::Dimension::Size(1));
                matches!(metric, Metric::BinaryAccuracy(_)) || (*metric == Metric::Accuracy && one)
            });
            let producer = &plan.nodes[plan.producers[value]];
            // A softmax right before its cross-entropy is computed from the logits, as Keras does on TensorFlow.
            let target = if producer.operation == Operation::Softmax {
                LossTarget::Logits(producer.inputs[0])
            } else if output.loss.is_some_and(|loss| loss.from_logits) {
                LossTarget::Logits(value)
            } else {
                LossTarget::Probabilities(value)
            };
            losses.push(LossPlan {
                output: number,
                target,
                value: needs_value.then_some(value),
                loss: output.loss,
                metrics: output.metrics.clone(),
            });
        }
        fuse(plan, &mut losses);
        let roots = Roots::Losses(&losses);
        let train = Schedule::new(plan, roots, Some(trainable));
        let test = Schedule::new(plan, roots, None);
        Ok(Self { losses, train, test })
    }
}

/// Turns logits of a linear node that nothing else needs into a fused loss.
fn fuse(plan: &Plan, losses: &mut [LossPlan]) {
    for index in 0..losses.len() {
        let LossTarget::Logits(value) = losses[index].target else { continue };
        let node = plan.producers[value];
        if plan.nodes[node].operation != Operation::Linear || losses[index].loss.is_none() {
            continue;
        }
        // With the loss taken away, is the value still wanted by anything?
        let others: Vec<LossPlan> =
            losses.iter().enumerate().filter(|(other, _)| *other != index).map(|(_, loss)| loss.clone()).collect();
        let mut wanted: Vec<ValueId> = losses[index].value.into_iter().collect();
        wanted.extend(others.iter().flat_map(LossPlan::roots));
        wanted.extend(others.iter().filter_map(|loss| match loss.target {
            LossTarget::Linear(node) => Some(plan.nodes[node].inputs[0]),
            _ => None,
        }));
        if !plan.reaches(&wanted, value) {
            losses[index].target = LossTarget::Linear(node);
        }
    }
}

impl LossPlan {
    /// Values that must be computed before the loss.
    pub fn roots(&self) -> impl Iterator<Item = ValueId> + '_ {
        let target = match self.target {
            LossTarget::Linear(_) => None,
            LossTarget::Logits(value) | LossTarget::Probabilities(value) => Some(value),
        };
        target.into_iter().chain(self.value)
    }
}

impl Plan {
    /// Whether computing `wanted` takes `value`.
    fn reaches(&self, wanted: &[ValueId], value: ValueId) -> bool {
        let mut needed = vec![false; self.values.len()];
        wanted.iter().for_each(|&value| needed[value] = true);
        for node in self.nodes.iter().rev() {
            if node.outputs.iter().any(|&output| needed[output]) {
                node.inputs.iter().for_each(|&input| needed[input] = true);
            }
        }
        needed[value]
    }
}
