//! Losses that are graphs themselves: nodes that a compiled model adds to its plan.
use std::sync::Arc;

use super::{Plan, PlanLayer, ValueId};
use crate::{
    error::{Code, Error, Result},
    graph::GraphDocument,
    layers::{LayerKind, Signature},
    shape::{Dimension, describe},
};

/// A loss or metric as a graph of `[target, output]` with one result: a loss for each sample or position.
#[derive(Clone, Debug)]
pub struct LossGraph {
    /// Number of the output that it is of.
    pub output: usize,
    /// Its first input takes the target, its second the output.
    pub graph: GraphDocument,
}

/// What became of a [`LossGraph`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extension {
    /// Number of the output that it is of.
    pub output: usize,
    /// The input that takes the target.
    pub target: ValueId,
    /// The losses.
    pub value: ValueId,
}

impl Plan {
    /// A plan that also computes losses; without any it is the same one.
    ///
    /// The targets come after the inputs of the model, in the order of the graphs.
    ///
    /// # Errors
    /// `Graph`, `Shape` or `Option`, naming the layer or output.
    pub fn extended(self: &Arc<Self>, graphs: &[LossGraph]) -> Result<Arc<Self>> {
        if graphs.is_empty() {
            return Ok(Arc::clone(self));
        }
        let mut plan = Self::clone(self);
        for graph in graphs {
            let extension = plan.extend(graph)?;
            plan.extensions.push(extension);
        }
        Ok(Arc::new(plan))
    }

    fn extend(&mut self, LossGraph { output, graph }: &LossGraph) -> Result<Extension> {
        let prediction = *self.outputs.get(*output).ok_or_else(|| {
            Error::new(Code::Option, format!("a loss is of output {output}, which the model does not have"))
        })?;
        let place = format!("loss of output {}", self.value_layer(prediction));
        let wrong = |reason: &str| Error::new(Code::Graph, format!("{place}: {reason}"));
        let (&[target, predicted], &[result]) = (&graph.inputs[..], &graph.outputs[..]) else {
            return Err(wrong("its graph must have two inputs, target and output, and one result"));
        };
        let first_layer = self.layers.len();
        let kinds = graph.layers.iter().map(LayerKind::parse).collect::<Result<Vec<_>>>()?;
        let mut node_values: Vec<Vec<ValueId>> = Vec::with_capacity(graph.nodes.len());
        let mut target_value = None;
        for (index, node) in graph.nodes.iter().enumerate() {
            let name = &graph.layers[node.layer].name;
            let inputs = node
                .inputs
                .iter()
                .map(|&(source, number)| node_values[source].get(number).copied())
                .collect::<Option<Vec<_>>>()
                .ok_or_else(|| wrong(&format!("layer {name} refers to an output that does not exist")))?;
            if (index, 0) == predicted && matches!(kinds[node.layer], LayerKind::Input(_)) {
                node_values.push(vec![prediction]);
                continue;
            }
            let signatures: Vec<Signature> = inputs.iter().map(|&value| self.values[value].clone()).collect();
            let kind = kinds[node.layer].called(name, &node.call)?;
            let inference = kind.infer(name, &signatures)?;
            if !inference.weights.is_empty() {
                return Err(wrong(&format!("layer {name} has weights, which a loss cannot have")));
            }
            self.equalities.extend(inference.equal);
            let values = self.expand(&kind, first_layer + node.layer, inputs, inference.outputs);
            if matches!(kinds[node.layer], LayerKind::Input(_)) {
                if (index, 0) != target {
                    return Err(wrong(&format!("it takes a target and an output, not {name}")));
                }
                target_value = Some(values[0]);
                self.inputs.push(values[0]);
            }
            node_values.push(values);
        }
        let first_weight = self.weights.len();
        for (layer, kind) in graph.layers.iter().zip(kinds) {
            // Names only serve messages.
            self.layers.push(PlanLayer { name: layer.name.clone(), kind, first_weight, weight_count: 0 });
        }
        let value = node_values.get(result.0).and_then(|values| values.get(result.1)).copied();
        let value = value.ok_or_else(|| wrong("it has no result"))?;
        let target = target_value.ok_or_else(|| wrong("it has no input for the target"))?;
        self.check_losses(prediction, value)?;
        Ok(Extension { output: *output, target, value })
    }

    /// Losses have the first axes of the output, but for axes of size 1 at their end.
    fn check_losses(&self, output: ValueId, value: ValueId) -> Result<()> {
        let (losses, whole) = (&self.values[value].shape, &self.values[output].shape);
        let ones = losses.iter().rev().take_while(|dimension| **dimension == Dimension::Size(1)).count();
        let cut = &losses[..losses.len() - ones];
        if whole.starts_with(losses) || whole.starts_with(cut) {
            return Ok(());
        }
        Err(Error::new(
            Code::Shape,
            format!(
                "loss of output {}: expected losses whose shape begins as {}, got {}",
                self.value_layer(output),
                describe(whole),
                describe(losses)
            ),
        ))
    }
}
