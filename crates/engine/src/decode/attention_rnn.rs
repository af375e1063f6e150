//! A recurrent layer with attention in the plan of one step: its states are carried, its memory is there from the
//! beginning.
use super::{
    Treatment,
    incremental::{Builder, InitialState},
};
use crate::{
    error::{Code, Error, Result},
    layers::Signature,
    plan::{AttentionRnnPlan, Node, Operation},
    shape::{Dimension, ElementType},
};

impl Builder<'_> {
    pub(super) fn attention_rnn(&mut self, node: &Node, plan: AttentionRnnPlan) -> Result<Treatment> {
        let name = self.plan.layers[node.layer].name.clone();
        let refuse = |why: &str| Err(Error::new(Code::Graph, format!("layer {name} cannot decode: {why}")));
        if node.inputs[1..].iter().any(|&input| self.dependent[input]) {
            return refuse("its memory or its initial states depend on all of the decoder's input");
        }
        if !plan.sequences {
            return refuse("it gives its last output alone: use returnSequences");
        }
        let mut inputs = node.inputs[..3].iter().map(|&input| self.take(input)).collect::<Result<Vec<_>>>()?;
        let batch = self.plan.values[node.inputs[0]].shape[0].clone();
        let shape = vec![batch, Dimension::Size(plan.units)];
        let signature = Signature { shape, dtype: ElementType::Float32, masked: false };
        let count = plan.state_count();
        for index in 0..count {
            let begin =
                node.inputs.get(3 + index).map_or(InitialState::Zeros(plan.units), |&at| InitialState::Value(at));
            inputs.push(self.carry(node.layer, signature.clone(), begin));
        }
        let mut signatures = vec![self.plan.values[node.outputs[0]].clone()];
        signatures.extend(std::iter::repeat_n(signature, count));
        // Weights of a step are those of its column.
        let scores = node.outputs.last().copied().filter(|_| plan.scores);
        signatures.extend(scores.map(|scores| self.plan.values[scores].clone()));
        let outputs: Vec<_> = signatures.into_iter().map(|signature| self.value(signature)).collect();
        self.mapped[node.outputs[0]] = Some(outputs[0]);
        if let Some(scores) = scores {
            self.mapped[scores] = outputs.last().copied();
        }
        self.carried(&outputs[1..=count]);
        let operation = Operation::AttentionRnn(AttentionRnnPlan { states: true, ..plan });
        self.step.nodes.push(Node { operation, inputs, outputs, ..node.clone() });
        Ok(Treatment::Recurrent)
    }
}
