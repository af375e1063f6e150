//! Which operations along axes see more than one step of the decoder's input.
use crate::{
    plan::{Node, Operation, Plan, ValueId},
    shape::Dimension,
};

/// For each value whether batch and time are one axis of it: it is within a layer at each step.
pub(super) fn folded(plan: &Plan) -> Vec<bool> {
    let mut folded = vec![false; plan.values.len()];
    for node in &plan.nodes {
        let inside = match node.operation {
            Operation::FoldTime => true,
            Operation::UnfoldTime => false,
            _ => node.inputs.first().is_some_and(|&input| folded[input]),
        };
        node.outputs.iter().for_each(|&output| folded[output] = inside);
    }
    folded
}

/// Why a node that depends on the decoder's input, and is not within a layer at each step, cannot run step by step; only
/// of operations along axes.
pub(super) fn refusal(plan: &Plan, dependent: &[bool], node: &Node) -> Option<&'static str> {
    let shape = |value: ValueId| plan.values[value].shape.as_slice();
    let mixes = Some("it mixes the steps of the decoder's input");
    match &node.operation {
        Operation::Pool(_) => Some("it takes all steps of the decoder's input together"),
        Operation::Normalize(_) | Operation::SoftmaxOver(_) | Operation::LogSoftmax | Operation::Mask(_)
            if shape(node.inputs[0]).len() < 3 =>
        {
            mixes
        }
        Operation::Normalize(normalization) if normalization.axes.contains(&1) => mixes,
        Operation::SoftmaxOver(axes) if axes.contains(&1) => mixes,
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
