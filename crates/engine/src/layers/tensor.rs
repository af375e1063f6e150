//! Layers that are primitive operations on tensors, one or a few.
use serde::Deserialize;
use serde_json::{Value, json};

use super::{DataFormat, Inference, Signature, WeightSpecification, float, unify};
use crate::{
    error::{Code, Error, Result},
    graph::LayerDocument,
    ops::{Extent, TensorOperation},
    shape::describe,
};

/// A layer of operations on tensors.
#[derive(Clone, Debug)]
pub enum TensorLayer {
    /// An operation, by the type `ops.` and its name.
    Operation(TensorOperation),
    /// All axes after the batch in another shape.
    Reshape(Vec<i64>),
    /// All axes after the batch as one.
    Flatten(DataFormat),
    /// The axes after the batch in another order, counted from 1.
    Permute(Vec<usize>),
    /// A weight as a tensor without a batch.
    Weight(WeightOptions),
    /// Products along an axis of two tensors.
    Dot {
        /// The axis of each; negative counts from the end.
        axes: [isize; 2],
        /// Whether vectors are brought to length 1 first.
        normalize: bool,
    },
}

/// Options of a weight that is a tensor.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WeightOptions {
    /// Sizes of its axes.
    pub shape: Vec<usize>,
    /// How its values begin.
    pub initializer: Value,
    /// The penalty of its values.
    #[serde(default)]
    pub regularizer: Value,
    /// What its values are brought back to after each step.
    #[serde(default)]
    pub constraint: Value,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ReshapeOptions {
    target_shape: Vec<i64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct FlattenOptions {
    data_format: DataFormat,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PermuteOptions {
    dims: Vec<usize>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DotOptions {
    axes: [isize; 2],
    normalize: bool,
}

/// An operation of the steps that a layer is made of, and the numbers of what it takes: first the inputs of the layer,
/// then what the steps before gave.
pub(crate) type Step = (TensorOperation, Vec<usize>);

/// Most axes of a tensor.
const MAXIMUM_RANK: usize = 32;

impl TensorLayer {
    /// The layer of a type; `None` if the type is of another kind.
    pub(super) fn parse(layer: &LayerDocument) -> Result<Option<Self>> {
        let parsed = match layer.kind.as_str() {
            "reshape" => Self::Reshape(super::options::<ReshapeOptions>(layer)?.target_shape),
            "flatten" => Self::Flatten(super::options::<FlattenOptions>(layer)?.data_format),
            "permute" => Self::Permute(super::options::<PermuteOptions>(layer)?.dims),
            "weight" => Self::Weight(super::options(layer)?),
            "dot" => {
                let DotOptions { axes, normalize } = super::options(layer)?;
                Self::Dot { axes, normalize }
            }
            other => match other.strip_prefix("ops.") {
                Some(name) => Self::Operation(operation(layer, name)?),
                None => return Ok(None),
            },
        };
        parsed.check().map_err(|why| Error::new(Code::Option, format!("layer {}: {why}", layer.name)))?;
        Ok(Some(parsed))
    }

    fn check(&self) -> std::result::Result<(), String> {
        match self {
            Self::Operation(operation) => operation.check(),
            Self::Reshape(shape) if shape.len() >= MAXIMUM_RANK => Err("targetShape has too many axes".to_owned()),
            Self::Reshape(shape) => self.reshaped(shape).check(),
            Self::Permute(dims) => {
                let mut sorted = dims.clone();
                sorted.sort_unstable();
                if sorted.into_iter().eq(1..=dims.len()) {
                    return Ok(());
                }
                Err(format!("dims {dims:?} are not each axis after the batch once, counted from 1"))
            }
            Self::Weight(options) if options.shape.len() > MAXIMUM_RANK || options.shape.contains(&0) => {
                Err(format!("shape must hold at most {MAXIMUM_RANK} sizes of at least 1, got {:?}", options.shape))
            }
            Self::Weight(_) | Self::Flatten(_) | Self::Dot { .. } => Ok(()),
        }
    }

    fn reshaped(&self, shape: &[i64]) -> TensorOperation {
        let sizes = shape.iter().map(|&size| Extent::Size(size));
        TensorOperation::Reshape { shape: std::iter::once(Extent::Like([0, 0])).chain(sizes).collect() }
    }

    /// The operations that it is made of; the last gives the output.
    pub(crate) fn steps(&self, inputs: &[Signature]) -> std::result::Result<Vec<Step>, String> {
        match self {
            Self::Operation(operation) => Ok(vec![(operation.clone(), (0..inputs.len()).collect())]),
            Self::Reshape(shape) => {
                let [_] = one(inputs)?;
                Ok(vec![(self.reshaped(shape), vec![0])])
            }
            Self::Flatten(format) => {
                let [x] = one(inputs)?;
                let rank = x.shape.len();
                if rank == 0 {
                    return Err("expected an input with a batch".to_owned());
                }
                let shape = vec![Extent::Like([0, 0]), Extent::Size(if rank == 1 { 1 } else { -1 })];
                let flat = TensorOperation::Reshape { shape };
                if *format == DataFormat::ChannelsLast || rank < 3 {
                    return Ok(vec![(flat, vec![0])]);
                }
                let axes = std::iter::once(0).chain(2..rank).chain([1]).collect();
                Ok(vec![(TensorOperation::Transpose { axes }, vec![0]), (flat, vec![1])])
            }
            Self::Permute(dims) => {
                let [x] = one(inputs)?;
                if x.shape.len() != dims.len() + 1 {
                    let expected = dims.len() + 1;
                    return Err(format!("expected an input of {expected} axes, got {}", describe(&x.shape)));
                }
                let axes = std::iter::once(0).chain(dims.iter().copied()).collect();
                Ok(vec![(TensorOperation::Transpose { axes }, vec![0])])
            }
            Self::Weight(options) => Ok(vec![(TensorOperation::Weight { shape: options.shape.clone() }, Vec::new())]),
            Self::Dot { axes, normalize } => dot(*axes, *normalize, inputs),
        }
    }

    pub(super) fn infer(&self, inputs: &[Signature]) -> std::result::Result<Inference, String> {
        let mut values = inputs.to_vec();
        let mut equal = Vec::new();
        let mut last = None;
        for (operation, takes) in self.steps(inputs)? {
            let taken: Vec<Signature> = takes.iter().map(|&value| values[value].clone()).collect();
            let inference = operation.infer(&taken)?;
            equal.extend(inference.equal.iter().cloned());
            values.extend(inference.outputs.iter().cloned());
            last = Some(inference);
        }
        let mut inference = last.ok_or("it does nothing")?;
        inference.equal = equal;
        if let Self::Weight(options) = self {
            if !inputs.is_empty() {
                return Err(format!("expected no inputs, got {}", inputs.len()));
            }
            let weight = WeightSpecification::new("value", options.shape.clone(), &options.initializer);
            inference.weights.push(weight.governed(&options.regularizer, &options.constraint));
        }
        Ok(inference)
    }
}

fn operation(layer: &LayerDocument, name: &str) -> Result<TensorOperation> {
    let options = if layer.options.is_object() { layer.options.clone() } else { Value::Null };
    serde_json::from_value(json!({ name: options }))
        .map_err(|error| Error::new(Code::Option, format!("layer {}: {error}", layer.name)))
}

fn one(inputs: &[Signature]) -> std::result::Result<&[Signature; 1], String> {
    inputs.try_into().map_err(|_| format!("expected 1 input, got {}", inputs.len()))
}

/// What Keras' `batch_dot` does: the axis is summed over, the others follow one another.
fn dot(axes: [isize; 2], normalize: bool, inputs: &[Signature]) -> std::result::Result<Vec<Step>, String> {
    let [a, b] = inputs else { return Err(format!("expected a list of 2 inputs, got {}", inputs.len())) };
    let position = |axis: isize, x: &Signature| {
        float(x, "its inputs")?;
        let rank = x.shape.len();
        let counted = if axis < 0 { axis + isize::try_from(rank).unwrap_or(isize::MAX) } else { axis };
        let found = usize::try_from(counted).ok().filter(|axis| (1..rank).contains(axis));
        found.ok_or_else(|| format!("axes: {axis} is no axis after the batch of {}", describe(&x.shape)))
    };
    let (axis_a, axis_b) = (position(axes[0], a)?, position(axes[1], b)?);
    if !unify(&a.shape[axis_a], &b.shape[axis_b], &mut Vec::new()) {
        return Err(format!(
            "expected equal sizes along the axes {axes:?}, got {} and {}",
            describe(&a.shape),
            describe(&b.shape)
        ));
    }
    let mut steps: Vec<Step> = Vec::new();
    let mut push = |operation: TensorOperation, takes: Vec<usize>| {
        steps.push((operation, takes));
        steps.len() + 1
    };
    let mut values = [0, 1];
    let mut transposed = [false; 2];
    for (side, (x, axis)) in [(a, axis_a), (b, axis_b)].into_iter().enumerate() {
        if normalize {
            values[side] = push(TensorOperation::Normalize { axis }, vec![values[side]]);
        }
        let rank = x.shape.len();
        // Three axes: rows by what is summed over on the left, the other way round on the right.
        match rank {
            2 => {
                let shape = match side {
                    0 => vec![Extent::Like([0, 0]), Extent::Size(1), Extent::Like([0, 1])],
                    _ => vec![Extent::Like([0, 0]), Extent::Like([0, 1]), Extent::Size(1)],
                };
                values[side] = push(TensorOperation::Reshape { shape }, vec![values[side]]);
            }
            3 => transposed[side] = (axis == 1) == (side == 0),
            _ => {
                let others: Vec<usize> = (1..rank).filter(|&other| other != axis).collect();
                let order =
                    [&[0][..], if side == 0 { &others } else { &[] }, &[axis], if side == 0 { &[] } else { &others }];
                let axes = order.concat();
                values[side] = push(TensorOperation::Transpose { axes }, vec![values[side]]);
                let own = Extent::Like([0, if side == 0 { rank - 1 } else { 1 }]);
                let shape = match side {
                    0 => vec![Extent::Like([0, 0]), Extent::Size(-1), own],
                    _ => vec![Extent::Like([0, 0]), own, Extent::Size(-1)],
                };
                values[side] = push(TensorOperation::Reshape { shape }, vec![values[side]]);
            }
        }
    }
    let [transpose_a, transpose_b] = transposed;
    let product = push(TensorOperation::Matmul { transpose_a, transpose_b }, values.to_vec());
    let others = |side: usize, x: &Signature, axis: usize| {
        (1..x.shape.len())
            .filter(move |&other| other != axis)
            .map(move |other| Extent::Like([side + 1, other]))
            .collect::<Vec<_>>()
    };
    if a.shape.len() != 3 || b.shape.len() != 3 {
        let mut shape = vec![Extent::Like([0, 0])];
        shape.extend(others(0, a, axis_a));
        shape.extend(others(1, b, axis_b));
        if shape.len() == 1 {
            shape.push(Extent::Size(1));
        }
        push(TensorOperation::Reshape { shape }, vec![product, 0, 1]);
    }
    Ok(steps)
}
