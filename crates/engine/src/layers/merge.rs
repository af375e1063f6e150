//! Tensors of one shape, element by element.
use super::{Inference, Signature, float, unify};
use crate::shape::{ElementType, describe};

/// How elements at one place become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Merge {
    /// Their sum.
    Add,
    /// The first less the second.
    Subtract,
    /// Their product.
    Multiply,
    /// Their mean.
    Average,
    /// The largest.
    Maximum,
    /// The smallest.
    Minimum,
}

impl Merge {
    /// The merge that a layer type stands for.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "add" => Self::Add,
            "subtract" => Self::Subtract,
            "multiply" => Self::Multiply,
            "average" => Self::Average,
            "maximum" => Self::Maximum,
            "minimum" => Self::Minimum,
            _ => return None,
        })
    }

    pub(super) fn infer(self, inputs: &[Signature]) -> Result<Inference, String> {
        let count = inputs.len();
        let first = match inputs {
            [first, _] => first,
            [first, _, ..] if self != Self::Subtract => first,
            _ if self == Self::Subtract => return Err(format!("expected exactly 2 inputs, got {count}")),
            _ => return Err(format!("expected at least 2 inputs, got {count}")),
        };
        let mut equal = Vec::new();
        for x in inputs {
            float(x, "its inputs")?;
        }
        for x in &inputs[1..] {
            let same = x.shape.len() == first.shape.len()
                && x.shape.iter().zip(&first.shape).all(|(left, right)| unify(right, left, &mut equal));
            if !same {
                return Err(format!(
                    "expected inputs of one shape, got {} and {}",
                    describe(&first.shape),
                    describe(&x.shape)
                ));
            }
        }
        let masked = inputs.iter().all(|x| x.masked);
        let mut inference = Inference::single(first.shape.clone(), ElementType::Float32, masked);
        inference.equal = equal;
        Ok(inference)
    }
}
