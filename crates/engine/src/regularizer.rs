//! Regularisers of weights as documents name them: penalties that the loss includes.
use sconce_kernels::{
    Context,
    penalty::{SumPenalty, Vectors, orthogonal},
};
use serde::Deserialize;
use serde_json::Value;

use crate::{
    error::{Code, Error, Result},
    layers::WeightSpecification,
    weights::is_transposed,
};

/// A penalty on the numbers of a weight.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Regularizer {
    /// On their absolute values and squares.
    Sums(SumPenalty),
    /// On rows or columns of a matrix, in Keras' layout, that are not orthogonal to each other, with a factor.
    Orthogonal(f64, Vectors),
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "camelCase", deny_unknown_fields)]
enum Document {
    #[serde(rename = "l1l2")]
    Sums {
        l1: f64,
        l2: f64,
    },
    OrthogonalRegularizer {
        factor: f64,
        mode: Mode,
    },
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
enum Mode {
    Rows,
    Columns,
}

impl Regularizer {
    /// Reads a regulariser of a weight of `shape`; `null` is none.
    ///
    /// # Errors
    /// `Option` naming `what`.
    pub fn parse(what: &str, document: &Value, shape: &[usize]) -> Result<Option<Self>> {
        if document.is_null() {
            return Ok(None);
        }
        let bad = |reason: String| Error::new(Code::Option, format!("{what}: regularizer: {reason}"));
        let parsed: Document = serde_json::from_value(document.clone()).map_err(|error| bad(error.to_string()))?;
        let at_least_0 = |name: &str, value: f64| {
            if value.is_finite() && value >= 0.0 {
                return Ok(value);
            }
            Err(bad(format!("{name} must be a finite number of at least 0, got {value}")))
        };
        Ok(Some(match parsed {
            Document::Sums { l1, l2 } => {
                Self::Sums(SumPenalty { l1: at_least_0("l1", l1)?, l2: at_least_0("l2", l2)? })
            }
            Document::OrthogonalRegularizer { factor, mode } => {
                if shape.len() != 2 {
                    return Err(bad(format!(
                        "orthogonalRegularizer is for weights of 2 axes, this one has shape {shape:?}"
                    )));
                }
                let vectors = if matches!(mode, Mode::Rows) { Vectors::Rows } else { Vectors::Columns };
                Self::Orthogonal(at_least_0("factor", factor)?, vectors)
            }
        }))
    }

    /// The penalty of a weight in the engine's layout; `scale` times its gradient is added to `gradients`, if they are given.
    #[must_use]
    pub fn penalty(
        &self,
        context: &Context,
        weight: &WeightSpecification,
        values: &[f32],
        gradients: Option<(f64, &mut [f32])>,
    ) -> f64 {
        match *self {
            Self::Sums(penalty) => {
                if let Some((scale, gradients)) = gradients {
                    penalty.add_gradient(context, values, scale, gradients);
                }
                penalty.value(context, values)
            }
            Self::Orthogonal(factor, vectors) => {
                let &[rows, columns] = weight.shape.as_slice() else { return 0.0 };
                let (stored, vectors) = match (is_transposed(weight), vectors) {
                    (false, vectors) => ((rows, columns), vectors),
                    (true, Vectors::Rows) => ((columns, rows), Vectors::Columns),
                    (true, Vectors::Columns) => ((columns, rows), Vectors::Rows),
                };
                orthogonal(context, (factor, vectors), stored, values, gradients)
            }
        }
    }
}
