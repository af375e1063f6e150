//! Which operations along axes see more than one step of the decoder's input.
use crate::{
    plan::{Node, Operation, Plan, ValueId},
    shape::Dimension,
};

/// Whether a node runs within a layer at each step, whose inputs have batch and time as one axis.
pub(super) fn is_folded(plan: &Plan, node: &Node) -> bool {
    let mut inputs = &node.inputs;
    while let Some(&input) = inputs.first() {
        let producer = &plan.nodes[plan.producers[input]];
        match producer.operation {
            Operation::FoldTime => return true,
            Operation::UnfoldTime => return false,
            _ => inputs = &producer.inputs,
        }
    }
    false
}

/// Why a node that depends on the decoder's input cannot run step by step, if it is one along axes.
pub(super) fn refusal(plan: &Plan, dependent: &[bool], node: &Node) -> Option<&'static str> {
    let shape = |value: ValueId| plan.values[value].shape.as_slice();
    let mixes = Some("it mixes the steps of the decoder's input");
    match &node.operation {
        Operation::Pool(_) if !is_folded(plan, node) => Some("it takes all steps of the decoder's input together"),
        Operation::Normalize(_) | Operation::SoftmaxOver(_) | Operation::LogSoftmax | Operation::Mask(_)
            if shape(node.inputs[0]).len() < 3 && !is_folded(plan, node) =>
        {
            mixes
        }
        Operation::Normalize(normalization) if normalization.axes.contains(&1) && !is_folded(plan, node) => mixes,
        Operation::SoftmaxOver(axes) if axes.contains(&1) && !is_folded(plan, node) => mixes,
        Operation::SoftmaxOver(_) => match *node.inputs.as_slice() {
            [x, mask] if !dependent[x] || shape(mask).len() != shape(x).len() => {
                Some("its mask does not go along with the steps of the decoder's input")
            }
            [_, mask] if !dependent[mask] && shape(mask)[1] != Dimension::Size(1) => {
                Some("its mask is over the steps of a sequence of another origin")
            }
            _ => None,
        },
        _ => None,
    }
}
