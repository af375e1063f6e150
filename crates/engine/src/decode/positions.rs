//! Positions in the plan of one step: how many steps were before is a state.
use super::{
    Treatment,
    incremental::{Builder, InitialState},
};
use crate::{
    error::Result,
    layers::Signature,
    plan::Node,
    shape::{Dimension, ElementType},
};

impl Builder<'_> {
    /// A node that adds the position of the step that it sees.
    pub(super) fn positions(&mut self, node: &Node) -> Result<Treatment> {
        let x = self.take(node.inputs[0])?;
        let whole = &self.plan.values[node.outputs[0]];
        let shape = vec![whole.shape[0].clone(), Dimension::Size(1)];
        let counted = Signature { shape, dtype: ElementType::Float32, masked: false };
        let whole = whole.clone();
        self.states.push(InitialState::Zeros(1));
        let before = self.input(node.layer, counted.clone());
        self.state_inputs.push(before);
        let outputs = vec![self.value(whole), self.value(counted)];
        self.mapped[node.outputs[0]] = Some(outputs[0]);
        self.state_outputs.push(outputs[1]);
        self.step.nodes.push(Node { inputs: vec![x, before], outputs, ..node.clone() });
        Ok(Treatment::Recurrent)
    }
}
