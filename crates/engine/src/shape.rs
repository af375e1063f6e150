//! Shapes with unknown dimensions, and what a batch binds them to.
use std::{collections::HashMap, fmt::Write as _};

use serde::{Deserialize, Serialize};

use crate::{
    error::{Code, Error, Result},
    expression,
};

/// Elements that one tensor may have at most; keeps products of sizes far from overflow.
pub const MAXIMUM_ELEMENTS: usize = 1 << 36;

/// A known size, or the name of an unknown one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Dimension {
    /// A known size.
    Size(usize),
    /// An unknown size; the same name means the same size.
    Symbol(String),
}

/// Type of a tensor's elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ElementType {
    /// 32-bit floating point.
    Float32,
    /// 32-bit integers: ids.
    Int32,
}

impl ElementType {
    /// The name in documents.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Float32 => "float32",
            Self::Int32 => "int32",
        }
    }
}

/// A shape of known and unknown dimensions, the batch first.
pub type Shape = Vec<Dimension>;

/// `[batch, 20, 256]`, for messages.
#[must_use]
pub fn describe(shape: &[Dimension]) -> String {
    let mut text = String::from("[");
    for (index, dimension) in shape.iter().enumerate() {
        let separator = if index > 0 { ", " } else { "" };
        // Writing to a string cannot fail.
        let _ = match dimension {
            Dimension::Size(size) => write!(text, "{separator}{size}"),
            Dimension::Symbol(name) => write!(text, "{separator}{name}"),
        };
    }
    text.push(']');
    text
}

/// Two symbols, or a symbol and a size, that a layer needs to be equal; checked when a batch is bound.
pub type Equality = (Dimension, Dimension);

/// Sizes of the unknown dimensions in one batch.
#[derive(Clone, Debug, Default)]
pub struct Bindings(HashMap<String, usize>);

impl Bindings {
    /// Binds the unknown dimensions of `shape` to those of `actual`; `what` names the tensor in messages.
    ///
    /// # Errors
    /// `Shape` if the ranks or known sizes differ, or a symbol is bound to another size already; `Limit` if it is huge.
    pub fn bind(&mut self, what: &str, shape: &[Dimension], actual: &[usize]) -> Result<()> {
        let mismatch = |reason: String| {
            Err(Error::new(Code::Shape, format!("{what}: expected shape {}, got {actual:?}{reason}", describe(shape))))
        };
        if shape.len() != actual.len() {
            return mismatch(String::new());
        }
        for (dimension, &size) in shape.iter().zip(actual) {
            match dimension {
                Dimension::Size(expected) if *expected != size => return mismatch(String::new()),
                Dimension::Size(_) => {}
                Dimension::Symbol(name) => match self.0.get(name) {
                    Some(&bound) if bound != size => {
                        return mismatch(format!(" ({name} is {bound} in the other tensors of the batch)"));
                    }
                    Some(_) => {}
                    None => {
                        self.0.insert(name.clone(), size);
                    }
                },
            }
        }
        count(actual).map(|_| ())
    }

    /// The size of a dimension.
    ///
    /// # Errors
    /// `Graph` if it is unbound, which a checked graph does not let happen.
    pub fn size(&self, dimension: &Dimension) -> Result<usize> {
        match dimension {
            Dimension::Size(size) => Ok(*size),
            Dimension::Symbol(name) => {
                if let Some(&size) = self.0.get(name) {
                    return Ok(size);
                }
                match expression::evaluate(name, &|part| self.0.get(part).copied()) {
                    Some(size) => size.map_err(|why| Error::new(Code::Shape, format!("dimension {name}: {why}"))),
                    None => Err(Error::new(Code::Graph, format!("the size of dimension {name} follows from no input"))),
                }
            }
        }
    }

    /// All sizes of a shape.
    ///
    /// # Errors
    /// As [`Bindings::size`]; `Limit` if the tensor would be huge.
    pub fn sizes(&self, shape: &[Dimension]) -> Result<Vec<usize>> {
        let sizes = shape.iter().map(|dimension| self.size(dimension)).collect::<Result<Vec<_>>>()?;
        count(&sizes)?;
        Ok(sizes)
    }

    /// Checks what layers need to be equal.
    ///
    /// # Errors
    /// `Shape` with both names and sizes.
    pub fn check(&self, equalities: &[Equality]) -> Result<()> {
        for (left, right) in equalities {
            let (left_size, right_size) = (self.size(left)?, self.size(right)?);
            if left_size != right_size {
                let names = describe(&[left.clone(), right.clone()]);
                return Err(Error::new(
                    Code::Shape,
                    format!("dimensions {names} must be equal in each batch, got {left_size} and {right_size}"),
                ));
            }
        }
        Ok(())
    }
}

/// Number of elements.
///
/// # Errors
/// `Limit` if there are more than [`MAXIMUM_ELEMENTS`].
pub fn count(sizes: &[usize]) -> Result<usize> {
    sizes
        .iter()
        .try_fold(1usize, |product, &size| product.checked_mul(size))
        .filter(|&product| product <= MAXIMUM_ELEMENTS)
        .ok_or_else(|| Error::new(Code::Limit, format!("a tensor of shape {sizes:?} is too large")))
}
