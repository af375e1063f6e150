//! Attention in the plan of one step: to the decoder's own steps so far, whose keys and values are kept, or to a sequence
//! that is there from the beginning.
use super::{Treatment, incremental::Builder};
use crate::{
    error::{Code, Error, Result},
    plan::{AttentionPlan, Node, Operation},
};

impl Builder<'_> {
    /// Scores of one step of the queries.
    pub(super) fn additive_scores(&mut self, node: &Node) -> Result<Treatment> {
        let name = self.plan.layers[node.layer].name.clone();
        let refuse = |why: &str| Err(Error::new(Code::Graph, format!("layer {name} cannot decode: {why}")));
        let [query, key, value] = [node.inputs[0], node.inputs[1], node.inputs[2]];
        if !self.dependent[query] || self.time[query] != Some(1) {
            return refuse("it attends to all of the decoder's input from a sequence of another origin");
        }
        if self.dependent[key] || self.dependent[value] {
            return refuse(
                "scores that are sums are not carried from token to token: attend to the steps so far by products",
            );
        }
        let inputs = node.inputs.iter().map(|&input| self.take(input)).collect::<Result<Vec<_>>>()?;
        let output = node.outputs[0];
        let made = self.value(self.plan.values[output].clone());
        self.mapped[output] = Some(made);
        self.time[output] = Some(2);
        self.step.nodes.push(Node { inputs, outputs: vec![made], ..node.clone() });
        Ok(Treatment::Pointwise)
    }

    /// A node that sees one step of the queries.
    pub(super) fn attention(&mut self, node: &Node, plan: AttentionPlan) -> Result<Treatment> {
        let name = self.plan.layers[node.layer].name.clone();
        let refuse = |why: &str| Err(Error::new(Code::Graph, format!("layer {name} cannot decode: {why}")));
        let [query, key, value] = [node.inputs[0], node.inputs[1], node.inputs[2]];
        if !self.dependent[query] {
            return refuse("it attends to all of the decoder's input from a sequence of another origin");
        }
        if [query, key, value].iter().any(|&input| self.dependent[input] && self.time[input] != Some(1)) {
            return refuse("the steps of the decoder's input are on another axis than 1");
        }
        if self.plan.values[query].shape[0] != self.batch {
            return refuse("it attends within rows of another batch than that of the decoder's input");
        }
        if self.dependent[key] != self.dependent[value] {
            return refuse(
                "of its key and value, one is of the decoder's steps and one is a sequence of another origin",
            );
        }
        let own = self.dependent[key];
        if own && !plan.causal {
            return refuse("it sees all steps of the decoder's input: call it with useCausalMask");
        }
        if let Some(place) = plan.mask_input() {
            let mask = node.inputs[place];
            let axis = self.plan.values[mask].shape.len() - 2;
            if own {
                return refuse("its attentionMask is over the decoder's steps: use useCausalMask and masks of inputs");
            }
            if !self.dependent[mask] || self.time[mask] != Some(axis) {
                return refuse("its attentionMask does not go along with the steps of the decoder's input");
            }
        }
        // Whatever makes a bias says whether it can make it for one step.
        if let Some(bias) = plan.bias_input().map(|place| node.inputs[place])
            && (!self.dependent[bias] || self.time[bias] != Some(2))
        {
            return refuse("its attentionBias does not go along with the steps of the decoder's input");
        }
        let inputs = node.inputs.iter().map(|&input| self.take(input)).collect::<Result<Vec<_>>>()?;
        let cache = own.then_some(self.caches);
        self.caches += usize::from(own);
        // Scores of the decoder's own steps have one more column at each step, which nothing in a step can take.
        let scores = plan.scores && !own;
        let outputs = &node.outputs[..1 + usize::from(scores)];
        let outputs = outputs
            .iter()
            .map(|&output| {
                let made = self.value(self.plan.values[output].clone());
                self.mapped[output] = Some(made);
                made
            })
            .collect();
        if let Some(&scores) = node.outputs.get(1) {
            self.time[scores] = Some(2);
        }
        let operation = Operation::Attention(AttentionPlan { cache, scores, ..plan });
        self.step.nodes.push(Node { operation, inputs, outputs, ..node.clone() });
        Ok(if own { Treatment::Recurrent } else { Treatment::Pointwise })
    }
}
