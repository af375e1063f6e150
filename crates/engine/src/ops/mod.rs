//! Primitive operations on tensors: shapes and what their backward passes read. They compute nothing and have no masks.
mod elementwise;
mod function;
mod matmul;
mod normalize;
mod parts;
mod reduce;
mod reshape;
mod transpose;

pub use function::{Binary, Reduction, Unary};
pub use matmul::MatmulGeometry;
pub(crate) use parts::Range;
pub use reshape::Extent;
pub(crate) use transpose::inverse;

use sconce_kernels::activation::Activation;

use serde::Deserialize;

use crate::{
    error::{Code, Error, Result},
    layers::{Inference, Signature},
    plan::ValueId,
    shape::{Dimension, ElementType, count, describe},
};

/// A primitive operation with its options, as the graph document has them: all axes count from the front.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum TensorOperation {
    /// The same elements in another shape. Further inputs only lend their sizes.
    Reshape {
        /// The new sizes.
        shape: Vec<Extent>,
    },
    /// Axes in another order.
    Transpose {
        /// Which axis of the input becomes each axis of the output.
        axes: Vec<usize>,
    },
    /// Products of matrices, the last two axes; the axes before are broadcast.
    Matmul {
        /// Whether the left matrices are transposed first.
        transpose_a: bool,
        /// Whether the right matrices are transposed first.
        transpose_b: bool,
    },
    /// A function of each element.
    Unary {
        /// The function.
        function: Unary,
    },
    /// An activation of each element.
    Activate {
        /// Its name.
        activation: String,
    },
    /// Elements within limits.
    Clip {
        /// The smallest.
        minimum: f32,
        /// The largest.
        maximum: f32,
    },
    /// A function of two elements, broadcast.
    Binary {
        /// The function.
        function: Binary,
    },
    /// The elements of the second input where the first is not 0, else those of the third, broadcast.
    Where {},
    /// Elements along axes as one.
    Reduce {
        /// How.
        function: Reduction,
        /// Along which axes.
        axes: Vec<usize>,
        /// Whether the axes stay, with size 1.
        keepdims: bool,
    },
    /// The number of the first largest or smallest element along an axis.
    Place {
        /// Along which axis.
        axis: usize,
        /// Whether the largest is looked for.
        largest: bool,
        /// Whether the axis stays, with size 1.
        keepdims: bool,
    },
    /// Exponentials along an axis as shares of their sum.
    Softmax {
        /// Along which axis.
        axis: usize,
    },
    /// Tensors one after the other along an axis.
    Concatenate {
        /// Along which axis.
        axis: usize,
    },
    /// Elements `start..end` of an axis, every `step`-th.
    Slice {
        /// Of which axis.
        axis: usize,
        /// The first; negative counts from the end.
        start: i64,
        /// The one behind the last; negative counts from the end, `None`: all.
        end: Option<i64>,
        /// How far apart.
        step: usize,
    },
    /// Axes from the end.
    Flip {
        /// Which axes.
        axes: Vec<usize>,
    },
    /// Repeated along axes of size 1 and new ones in front. Further inputs only lend their sizes.
    BroadcastTo {
        /// The new sizes.
        shape: Vec<Extent>,
    },
    /// The elements of the first input that the ids of the second name.
    Take {
        /// Along which axis.
        axis: usize,
    },
    /// A 1 at the place of each id; zeros for an id that is no class.
    OneHot {
        /// How many places.
        classes: usize,
    },
    /// Elements of another type.
    Cast {
        /// Which.
        dtype: ElementType,
    },
    /// The numbers from 0 up to the size of an axis of the input.
    Arange {
        /// Which axis.
        axis: usize,
    },
    /// Numbers that are always the same.
    Constant {
        /// Sizes of the axes; none of them is a batch.
        shape: Vec<usize>,
        /// The numbers, row by row.
        values: Vec<f64>,
        /// Type of the elements.
        dtype: ElementType,
    },
    /// 1 where the mask of the input counts, else 0; without a mask ones.
    Mask {},
    /// The first input, with the second one as its mask: positions count where it is not 0.
    SetMask {},
    /// 1 in training, else 0.
    Training {},
    /// The first weight of the layer.
    #[serde(skip)]
    Weight {
        /// Its shape.
        shape: Vec<usize>,
    },
    /// Vectors of length 1 along an axis; those that are shorter than 1e-7 are multiplied by 1e7.
    Normalize {
        /// The axis.
        axis: usize,
    },
}

impl TensorOperation {
    /// Checks options that need no shapes.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn check(&self) -> std::result::Result<(), String> {
        match self {
            Self::Reshape { shape } | Self::BroadcastTo { shape } => reshape::check(shape),
            Self::Transpose { axes } => transpose::check(axes),
            Self::Reduce { axes, .. } | Self::Flip { axes } => reduce::check(axes),
            Self::Activate { activation } if Activation::from_name(activation).is_none() => {
                Err(format!("unknown activation {activation}"))
            }
            Self::Slice { step: 0, .. } => Err("step must be at least 1, got 0".to_owned()),
            Self::Constant { shape, values, .. } => match count(shape) {
                Ok(size) if size == values.len() => Ok(()),
                _ => Err(format!("{} values do not have the shape {shape:?}", values.len())),
            },
            _ => Ok(()),
        }
    }

    /// The activation of an operation that is one.
    #[must_use]
    pub fn activation(name: &str) -> Activation {
        // The options were checked: the name is known.
        Activation::from_name(name).unwrap_or(Activation::Linear)
    }

    /// Shapes of a call.
    ///
    /// # Errors
    /// What was expected, and what came.
    pub fn infer(&self, inputs: &[Signature]) -> std::result::Result<Inference, String> {
        let constant = |shape: &[usize], dtype: ElementType| {
            let [] = exactly(inputs)?;
            count(shape).map_err(|error| error.message)?;
            Ok(Inference::single(shape.iter().map(|&size| Dimension::Size(size)).collect(), dtype, false))
        };
        match self {
            Self::Reshape { shape } => reshape::infer(shape, inputs),
            Self::Transpose { axes } => transpose::infer(axes, inputs),
            Self::Matmul { transpose_a, transpose_b } => matmul::infer(*transpose_a, *transpose_b, inputs),
            Self::Unary { function } => elementwise::unary(*function, inputs),
            Self::Activate { .. } | Self::Clip { .. } => elementwise::floats(inputs),
            Self::Binary { function } => elementwise::binary(*function, inputs),
            Self::Where {} => elementwise::choice(inputs),
            Self::Reduce { axes, keepdims, .. } => reduce::infer(axes, *keepdims, inputs),
            Self::Place { axis, keepdims, .. } => reduce::place(*axis, *keepdims, inputs),
            Self::Softmax { axis } | Self::Normalize { axis } => normalize::infer(*axis, inputs),
            Self::Concatenate { axis } => parts::concatenate(*axis, inputs),
            &Self::Slice { axis, start, end, step } => parts::slice(axis, Range { start, end, step }, inputs),
            Self::Flip { axes } => parts::flip(axes, inputs),
            Self::BroadcastTo { shape } => parts::broadcast_to(shape, inputs),
            Self::Take { axis } => parts::take(*axis, inputs),
            Self::OneHot { classes } => parts::one_hot(*classes, inputs),
            Self::Cast { dtype } => parts::cast(*dtype, inputs),
            Self::Arange { axis } => parts::arange(*axis, inputs),
            Self::Mask {} => parts::mask(inputs),
            Self::SetMask {} => parts::set_mask(inputs),
            Self::Constant { shape, dtype, .. } => constant(shape, *dtype),
            Self::Training {} => constant(&[], ElementType::Float32),
            Self::Weight { shape } => constant(shape, ElementType::Float32),
        }
    }

    /// Values of a node that its backward pass reads; the shapes of all inputs are known besides.
    #[must_use]
    pub fn kept(&self, inputs: &[ValueId], outputs: &[ValueId]) -> Vec<ValueId> {
        match self {
            Self::Matmul { .. } | Self::Normalize { .. } | Self::Clip { .. } => inputs.to_vec(),
            Self::Unary { function } if *function != Unary::Negative && !function.is_flat() => inputs.to_vec(),
            Self::Activate { activation } if Self::activation(activation).gradient_takes_input() => inputs.to_vec(),
            Self::Activate { .. } | Self::Softmax { .. } => outputs.to_vec(),
            Self::Binary { function: Binary::Add | Binary::Subtract } => Vec::new(),
            Self::Binary { function } if !function.is_flat() => inputs.to_vec(),
            Self::Where {} => inputs[..1].to_vec(),
            Self::Reduce { function: Reduction::Max | Reduction::Min, .. } => [inputs, outputs].concat(),
            Self::Reduce { function: Reduction::Prod, .. } => inputs.to_vec(),
            Self::Take { .. } => inputs[1..].to_vec(),
            _ => Vec::new(),
        }
    }

    /// The sizes and type of the output for inputs of these sizes.
    ///
    /// # Errors
    /// `Shape` if they do not fit, `Limit` if the output would be huge.
    pub fn output(&self, inputs: &[(&[usize], ElementType)]) -> Result<(Vec<usize>, ElementType)> {
        let signatures: Vec<Signature> = inputs
            .iter()
            .map(|(shape, dtype)| Signature {
                shape: shape.iter().map(|&size| Dimension::Size(size)).collect(),
                dtype: *dtype,
                masked: false,
            })
            .collect();
        let inference = self.infer(&signatures).map_err(|why| Error::new(Code::Shape, why))?;
        let Some(output) = inference.outputs.first() else {
            return Err(Error::new(Code::Internal, "an operation gives nothing"));
        };
        let sizes = output.shape.iter().map(|dimension| match dimension {
            Dimension::Size(size) => Ok(*size),
            Dimension::Symbol(name) => Err(Error::new(Code::Internal, format!("the size {name} is not known"))),
        });
        let sizes = sizes.collect::<Result<Vec<_>>>()?;
        count(&sizes)?;
        Ok((sizes, output.dtype))
    }
}

/// The inputs of an operation of `N`.
fn exactly<const N: usize>(inputs: &[Signature]) -> std::result::Result<&[Signature; N], String> {
    inputs.try_into().map_err(|_| format!("expected {N} inputs, got {}", inputs.len()))
}

/// An axis of a tensor.
fn check_axis(axis: usize, x: &Signature) -> std::result::Result<(), String> {
    if axis < x.shape.len() {
        return Ok(());
    }
    Err(format!("axis {axis} is no axis of {}", describe(&x.shape)))
}
