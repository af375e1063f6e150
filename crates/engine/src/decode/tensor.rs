//! Operations on tensors in the plan of one step: where the decoder's steps are after each.
use super::{Treatment, incremental::Builder};
use crate::{
    error::{Code, Error, Result},
    expression::Expression,
    ops::TensorOperation,
    plan::{Node, Operation, Plan, ValueId},
    shape::Dimension,
};

/// Why an operation has no step.
type Refusal = &'static str;

/// Where the steps are, or that a value is the same at each.
type Axis = Option<usize>;

const MIXES: Refusal = "it mixes the steps of the decoder's input";
const FOREIGN: Refusal = "it joins the decoder's steps with a sequence of another origin";

/// Values that depend on no input.
pub(super) fn constants(plan: &Plan) -> Vec<bool> {
    let mut constant = vec![false; plan.values.len()];
    for node in plan.nodes.iter().filter(|node| node.operation != Operation::Input) {
        let own = node.inputs.iter().all(|&input| constant[input]);
        node.outputs.iter().for_each(|&output| constant[output] = own);
    }
    constant
}

/// An input as the rules see it.
struct Input<'a> {
    shape: &'a [Dimension],
    /// `None` if it does not depend on the decoder's input.
    time: Option<Axis>,
}

impl Input<'_> {
    fn axis(&self) -> Axis {
        self.time.flatten()
    }
}

/// The common axis of operands that are broadcast to `rank` axes, of which the last `behind` are not counted.
fn broadcast(inputs: &[Input<'_>], rank: usize, behind: usize) -> std::result::Result<Axis, Refusal> {
    let mut axis = None;
    for input in inputs {
        let Some(own) = input.axis().filter(|&own| own + behind < input.shape.len()) else { continue };
        let aligned = own + rank - input.shape.len();
        if axis.is_some_and(|axis| axis != aligned) {
            return Err(MIXES);
        }
        axis = Some(aligned);
    }
    let Some(found) = axis else { return Ok(None) };
    for input in inputs.iter().filter(|input| input.axis().is_none()) {
        let own = (found + input.shape.len()).checked_sub(rank);
        if own.is_some_and(|own| input.shape[own] != Dimension::Size(1)) {
            return Err(FOREIGN);
        }
    }
    Ok(axis)
}

/// Where the steps are after a product.
fn matmul(a: &Input<'_>, b: &Input<'_>, turned: [bool; 2], rank: usize) -> std::result::Result<Axis, Refusal> {
    let before = broadcast(&[Input { ..*a }, Input { ..*b }], rank, 2)?;
    let mut axis = before;
    for (side, input) in [a, b].into_iter().enumerate() {
        let size = input.shape.len();
        let Some(own) = input.axis().filter(|&own| own + 2 >= size) else { continue };
        // Rows of the left, columns of the right; what is summed over has no step.
        let outer = if (side == 0) == turned[side] { size - 1 } else { size - 2 };
        if own != outer || axis.is_some() {
            return Err(MIXES);
        }
        axis = Some(if side == 0 { rank - 2 } else { rank - 1 });
    }
    Ok(axis)
}

/// Where the steps are after a change of shape.
fn reshaped(from: &[Dimension], time: usize, to: &[Dimension]) -> std::result::Result<Axis, Refusal> {
    let before = Expression::product(&from[..time]);
    let found = (0..to.len()).find(|&axis| to[axis] == from[time] && Expression::product(&to[..axis]) == before);
    found.map(Some).ok_or(MIXES)
}

/// Where the steps are after an operation.
fn after(
    operation: &TensorOperation,
    inputs: &[Input<'_>],
    output: &[Dimension],
) -> std::result::Result<Axis, Refusal> {
    let rank = output.len();
    let first = inputs.first().and_then(Input::axis);
    let apart = |axes: &[usize]| match first {
        Some(time) if axes.contains(&time) => Err(MIXES),
        _ => Ok(first),
    };
    match operation {
        TensorOperation::Unary { .. }
        | TensorOperation::Activate { .. }
        | TensorOperation::Clip { .. }
        | TensorOperation::Cast { .. }
        | TensorOperation::OneHot { .. } => Ok(first),
        TensorOperation::Softmax { axis } | TensorOperation::Normalize { axis } => apart(&[*axis]),
        TensorOperation::Slice { axis, .. } => apart(&[*axis]),
        TensorOperation::Flip { axes } => apart(axes),
        TensorOperation::Mask {} => apart(&[rank]),
        TensorOperation::SetMask {} if inputs.iter().all(|input| input.axis() == first) => Ok(first),
        TensorOperation::SetMask {} => Err(FOREIGN),
        TensorOperation::Reduce { axes, keepdims, .. } => Ok(apart(axes)?
            .map(|time| if *keepdims { time } else { time - axes.iter().filter(|&&axis| axis < time).count() })),
        TensorOperation::Place { axis, keepdims, .. } => {
            Ok(apart(&[*axis])?.map(|time| time - usize::from(!keepdims && *axis < time)))
        }
        TensorOperation::Binary { .. } | TensorOperation::Where {} => broadcast(inputs, rank, 0),
        TensorOperation::Concatenate { axis } => {
            if inputs.iter().any(|input| input.axis() != first) {
                return Err(FOREIGN);
            }
            apart(&[*axis])
        }
        TensorOperation::Transpose { axes } => Ok(first.and_then(|time| axes.iter().position(|&axis| axis == time))),
        TensorOperation::Matmul { transpose_a, transpose_b } => match inputs {
            [a, b] => matmul(a, b, [*transpose_a, *transpose_b], rank),
            _ => Err(MIXES),
        },
        TensorOperation::Reshape { .. } => match (inputs, first) {
            ([x, ..], Some(time)) => reshaped(x.shape, time, output),
            _ => Ok(None),
        },
        TensorOperation::BroadcastTo { .. } => {
            let Some((x, time)) = inputs.first().zip(first) else { return Ok(None) };
            let axis = time + rank - x.shape.len();
            if output[axis] == x.shape[time] { Ok(Some(axis)) } else { Err(MIXES) }
        }
        TensorOperation::Take { axis } => match inputs {
            [Input { time: Some(Some(time)), .. }, ids] if ids.time.is_none() && time != axis => {
                Ok(Some(if time < axis { *time } else { time + ids.shape.len() - 1 }))
            }
            [x, ids] if x.time.is_none() => Ok(ids.axis().map(|time| axis + time)),
            _ => Err(MIXES),
        },
        TensorOperation::Arange { axis } => match first {
            Some(time) if time == *axis => Err("it numbers the steps of the decoder's input"),
            _ => Ok(None),
        },
        TensorOperation::Constant { .. } | TensorOperation::Training {} | TensorOperation::Weight { .. } => Ok(None),
    }
}

impl Builder<'_> {
    /// A node that sees one step.
    pub(super) fn tensor(&mut self, node: &Node, operation: &TensorOperation) -> Result<Treatment> {
        let output = node.outputs[0];
        let plan = self.plan;
        let inputs: Vec<Input<'_>> = node
            .inputs
            .iter()
            .map(|&input| Input {
                shape: &plan.values[input].shape,
                time: self.dependent[input].then(|| self.time[input]),
            })
            .collect();
        let name = &plan.layers[node.layer].name;
        self.time[output] = after(operation, &inputs, &plan.values[output].shape)
            .map_err(|why| Error::new(Code::Graph, format!("layer {name} cannot decode: {why}")))?;
        self.copy(node)?;
        Ok(Treatment::Pointwise)
    }

    fn copy(&mut self, node: &Node) -> Result<()> {
        let inputs = node.inputs.iter().map(|&input| self.take(input)).collect::<Result<Vec<_>>>()?;
        let mut outputs = Vec::with_capacity(node.outputs.len());
        for &output in &node.outputs {
            let value = self.value(self.plan.values[output].clone());
            self.mapped[output] = Some(value);
            outputs.push(value);
        }
        self.step.nodes.push(Node { inputs, outputs, ..node.clone() });
        Ok(())
    }

    /// A value that depends on no input, computed in the step again: it has no rows that belong to sentences.
    pub(super) fn repeat(&mut self, value: ValueId) -> Result<ValueId> {
        let node = &self.plan.nodes[self.plan.producers[value]];
        self.copy(node)?;
        self.mapped[value]
            .ok_or_else(|| Error::new(Code::Internal, format!("layer {} has no output", self.plan.value_layer(value))))
    }
}
