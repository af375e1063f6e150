//! Losses and metrics as terminal nodes, and the fusion of a linear layer, softmax and cross-entropy.
use sconce_kernels::{activation::Activation, row_loss::RowLoss};

use super::{CrossEntropy, LossFunction, Metric, Operation, OutputLoss, Plan, Schedule, ValueId, schedule::Roots};
use crate::{
    error::{Code, Error, Result},
    shape::Dimension,
};

/// What is wanted of an output in training.
#[derive(Clone, Debug, Default)]
pub struct OutputPlan {
    /// Its loss, if it has one.
    pub loss: Option<OutputLoss>,
    /// Its metrics.
    pub metrics: Vec<Metric>,
    /// Its metrics in which sample weights have a part.
    pub weighted_metrics: Vec<Metric>,
}

/// Where a function of rows takes its input from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LossTarget {
    /// Fused: the input of this linear node, whose logits are never kept.
    Linear(usize),
    /// Logits: what goes into the softmax, or the output itself.
    Logits(ValueId),
    /// Probabilities that come from something else than a softmax.
    Probabilities(ValueId),
    /// Elements of a function that is no cross-entropy of classes.
    Elements(ValueId),
    /// Losses that nodes computed.
    Losses(ValueId),
}

/// A function with its input.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RowPass {
    /// What is computed of each row.
    pub function: LossFunction,
    /// Of what.
    pub target: LossTarget,
}

/// A metric with what it needs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MetricPlan {
    /// What is reported.
    pub metric: Metric,
    /// Whether sample weights have a part in it.
    pub weighted: bool,
    /// The function that it averages.
    pub pass: Option<RowPass>,
}

/// One output with its loss and metrics.
#[derive(Clone, Debug)]
pub struct LossPlan {
    /// Number of the output.
    pub output: usize,
    /// The loss; without one only metrics are computed.
    pub loss: Option<RowPass>,
    /// Factor in the total loss.
    pub weight: f32,
    /// The model's output itself, where a metric needs it.
    pub value: Option<ValueId>,
    /// The metrics: first those without sample weights.
    pub metrics: Vec<MetricPlan>,
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
            if output.loss.is_some() || !output.metrics.is_empty() || !output.weighted_metrics.is_empty() {
                losses.push(LossPlan::new(plan, number, value, output)?);
            }
        }
        fuse(plan, &mut losses);
        let roots = Roots::Losses(&losses);
        let train = Schedule::new(plan, roots, Some(trainable));
        let test = Schedule::new(plan, roots, None);
        Ok(Self { losses, train, test })
    }
}

impl RowPass {
    /// A cross-entropy of the same without smoothing.
    pub fn unsmoothed(&self) -> Option<Self> {
        let LossFunction::CrossEntropy(loss) = self.function else { return None };
        Some(Self { function: LossFunction::CrossEntropy(CrossEntropy::plain(loss.from_logits)), target: self.target })
    }

    fn new(plan: &Plan, value: ValueId, function: LossFunction) -> Self {
        let producer = &plan.nodes[plan.producers[value]];
        match function {
            // A softmax right before its cross-entropy is computed from the logits, as Keras does on TensorFlow.
            LossFunction::CrossEntropy(loss) => {
                let target = if producer.operation == Operation::Softmax {
                    LossTarget::Logits(producer.inputs[0])
                } else if loss.from_logits {
                    LossTarget::Logits(value)
                } else {
                    LossTarget::Probabilities(value)
                };
                Self { function, target }
            }
            // The same for a sigmoid.
            LossFunction::Rows(RowLoss::BinaryCrossentropy { label_smoothing, .. })
                if producer.operation == Operation::Activate(Activation::Sigmoid) =>
            {
                let function = RowLoss::BinaryCrossentropy { from_logits: true, label_smoothing };
                Self { function: LossFunction::Rows(function), target: LossTarget::Elements(producer.inputs[0]) }
            }
            LossFunction::Rows(_) => Self { function, target: LossTarget::Elements(value) },
            LossFunction::Graph(number) => Self { function, target: LossTarget::Losses(plan.extensions[number].value) },
        }
    }
}

impl LossPlan {
    fn new(plan: &Plan, number: usize, value: ValueId, output: &OutputPlan) -> Result<Self> {
        if plan.values[value].shape.len() < 2 {
            return Err(Error::new(
                Code::Shape,
                format!("output {}: a loss needs a class axis after the batch", plan.value_layer(value)),
            ));
        }
        if let (Some(loss), Some(&Dimension::Size(classes))) = (&output.loss, plan.values[value].shape.last()) {
            loss.function.check_classes(plan.value_layer(value), classes)?;
        }
        let loss = output.loss.map(|loss| RowPass::new(plan, value, loss.function));
        let predicts = loss.is_some_and(|pass| matches!(pass.function, LossFunction::CrossEntropy(_)));
        let logits = output.loss.is_some_and(|loss| {
            matches!(loss.function, LossFunction::CrossEntropy(CrossEntropy { from_logits: true, .. }))
        });
        let several = matches!(plan.values[value].shape.last(), Some(&Dimension::Size(size)) if size != 1);
        let needs_value = |metric: &Metric| match metric {
            Metric::Accuracy => !(predicts && several),
            Metric::CategoricalAccuracy | Metric::SparseCategoricalAccuracy => !predicts,
            Metric::BinaryAccuracy(_) | Metric::TopK(_) | Metric::Precision(_) | Metric::Recall(_) => true,
            // Rows are those of the output.
            Metric::Mean(LossFunction::Graph(_), _) => true,
            Metric::Perplexity { .. } | Metric::Mean(..) => false,
        };
        let computed = output.loss.is_some_and(|loss| matches!(loss.function, LossFunction::Graph(_)));
        let all = || output.metrics.iter().chain(&output.weighted_metrics);
        let metrics = all().enumerate().map(|(index, &metric)| {
            let function = match metric {
                Metric::Perplexity { from_logits } => {
                    Some(LossFunction::CrossEntropy(CrossEntropy::plain(from_logits || logits)))
                }
                Metric::Mean(function, _) => Some(function),
                _ => None,
            };
            let pass = function.map(|function| RowPass::new(plan, value, function));
            MetricPlan { metric, weighted: index >= output.metrics.len(), pass }
        });
        Ok(Self {
            output: number,
            loss,
            weight: output.loss.map_or(0.0, |loss| loss.weight),
            value: (computed || all().any(needs_value)).then_some(value),
            metrics: metrics.collect(),
        })
    }

    /// Everything that is computed of rows, the loss first.
    pub fn passes(&self) -> impl Iterator<Item = &RowPass> {
        self.loss.iter().chain(self.metrics.iter().filter_map(|metric| metric.pass.as_ref()))
    }

    /// Values that must be computed before the loss.
    pub fn roots(&self) -> impl Iterator<Item = ValueId> + '_ {
        let targets = self.passes().filter_map(|pass| match pass.target {
            LossTarget::Linear(_) => None,
            LossTarget::Logits(value)
            | LossTarget::Probabilities(value)
            | LossTarget::Elements(value)
            | LossTarget::Losses(value) => Some(value),
        });
        targets.chain(self.value)
    }

    /// Whether targets may be ids of classes: where every element has a target of its own, an id is one for rows of width 1.
    #[must_use]
    pub fn takes_ids(&self, shape: &[usize]) -> bool {
        let elements =
            |metric: Metric| matches!(metric, Metric::BinaryAccuracy(_) | Metric::Precision(_) | Metric::Recall(_));
        let rows = self.passes().any(|pass| matches!(pass.function, LossFunction::Rows(_)));
        shape.last() == Some(&1) || !(rows || self.metrics.iter().any(|plan| elements(plan.metric)))
    }

    /// The linear node that is fused with the loss.
    #[must_use]
    pub fn fused(&self) -> Option<usize> {
        match self.loss?.target {
            LossTarget::Linear(node) => Some(node),
            _ => None,
        }
    }
}

/// Turns logits of a linear node that nothing else needs into a fused loss.
fn fuse(plan: &Plan, losses: &mut [LossPlan]) {
    for index in 0..losses.len() {
        let Some(LossTarget::Logits(value)) = losses[index].loss.map(|loss| loss.target) else { continue };
        let node = plan.producers[value];
        if plan.nodes[node].operation != Operation::Linear {
            continue;
        }
        // With the cross-entropies of the logits taken away, is the value still wanted by anything?
        let own = LossTarget::Logits(value);
        let mut wanted: Vec<ValueId> = losses[index].value.into_iter().collect();
        wanted.extend(plan.activities.iter().map(|activity| activity.value));
        wanted.extend(losses[index].passes().filter_map(|pass| match pass.target {
            LossTarget::Elements(value) | LossTarget::Probabilities(value) | LossTarget::Losses(value) => Some(value),
            LossTarget::Logits(_) | LossTarget::Linear(_) => None,
        }));
        let others = losses.iter().enumerate().filter(|(other, _)| *other != index).map(|(_, loss)| loss);
        for other in others {
            wanted.extend(other.roots());
            wanted.extend(other.fused().map(|node| plan.nodes[node].inputs[0]));
        }
        if !plan.reaches(&wanted, value) {
            let loss = &mut losses[index];
            let passes = loss.loss.iter_mut().chain(loss.metrics.iter_mut().filter_map(|metric| metric.pass.as_mut()));
            for pass in passes.filter(|pass| pass.target == own) {
                pass.target = LossTarget::Linear(node);
            }
        }
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
