//! Constraints of weights as documents name them.
use sconce_kernels::{
    Context,
    buffer::Buffer,
    constraint::{self, NormRule},
};
use serde::Deserialize;
use serde_json::Value;

use crate::{
    error::{Code, Error, Result},
    layers::WeightSpecification,
    weights::{copy_from_keras, is_transposed, to_keras},
};

/// What a weight is brought back to after each step.
#[derive(Clone, Debug, PartialEq)]
pub enum Constraint {
    /// No number is negative.
    NotNegative,
    /// Norms over some axes, in Keras' layout, obey a rule.
    Norms(NormRule, Vec<usize>),
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
enum Document {
    NonNeg,
    MaxNorm { max_value: f64, axis: Axes },
    UnitNorm { axis: Axes },
    MinMaxNorm { min_value: f64, max_value: f64, rate: f64, axis: Axes },
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Axes {
    One(i64),
    Several(Vec<i64>),
}

impl Constraint {
    /// Reads a constraint of a weight of `shape`; `null` is none.
    ///
    /// # Errors
    /// `Option` naming `what`.
    pub fn parse(what: &str, document: &Value, shape: &[usize]) -> Result<Option<Self>> {
        if document.is_null() {
            return Ok(None);
        }
        let bad = |reason: String| Error::new(Code::Option, format!("{what}: constraint: {reason}"));
        let parsed: Document = serde_json::from_value(document.clone()).map_err(|error| bad(error.to_string()))?;
        let at_least_0 = |name: &str, value: f64| {
            if value.is_finite() && value >= 0.0 {
                return Ok(value);
            }
            Err(bad(format!("{name} must be a finite number of at least 0, got {value}")))
        };
        let (rule, axes) = match parsed {
            Document::NonNeg => return Ok(Some(Self::NotNegative)),
            Document::MaxNorm { max_value, axis } => (NormRule::Maximum(at_least_0("maxValue", max_value)?), axis),
            Document::UnitNorm { axis } => (NormRule::Unit, axis),
            Document::MinMaxNorm { min_value, max_value, rate, axis } => {
                let minimum = at_least_0("minValue", min_value)?;
                let maximum = at_least_0("maxValue", max_value)?;
                if !(0.0..=1.0).contains(&rate) {
                    return Err(bad(format!("rate must be from 0 to 1, got {rate}")));
                }
                (NormRule::Between { minimum, maximum, rate }, axis)
            }
        };
        let axes = match axes {
            Axes::One(axis) => vec![axis],
            Axes::Several(axes) => axes,
        };
        let rank = shape.len();
        let axes = axes.into_iter().map(|axis| {
            let position = if axis < 0 { axis + rank as i64 } else { axis };
            usize::try_from(position).ok().filter(|&position| position < rank).ok_or_else(|| {
                bad(format!(
                    "axis {axis} does not exist in a weight of shape {shape:?}: give one from 0 to {}",
                    rank.saturating_sub(1)
                ))
            })
        });
        Ok(Some(Self::Norms(rule, axes.collect::<Result<_>>()?)))
    }

    /// Changes a weight, given in the engine's layout.
    pub fn apply(&self, context: &Context, weight: &WeightSpecification, values: &mut Buffer) {
        let Self::Norms(rule, axes) = self else { return constraint::not_negative(context, values) };
        match *weight.shape.as_slice() {
            [rows, columns] if is_transposed(weight) => {
                let axes: Vec<usize> = axes.iter().map(|axis| 1 - axis).collect();
                constraint::norms(context, *rule, &[columns, rows], &axes, values);
            }
            [_, _] | [_] | [] => constraint::norms(context, *rule, &weight.shape, axes, values),
            _ => {
                let mut in_keras = to_keras(weight, values);
                constraint::norms(context, *rule, &weight.shape, axes, &mut in_keras);
                copy_from_keras(weight, &in_keras, values);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use sconce_kernels::{Context, buffer::Buffer, simd::Simd};
    use serde_json::{Value, json};

    use super::Constraint;
    use crate::layers::WeightSpecification;

    /// Norms over the given axes of `[2, 3, 2]`, after the constraint.
    #[test]
    fn weights_of_three_axes_obey() {
        let shape = [2, 3, 2];
        let weight = WeightSpecification::new("kernel", shape.to_vec(), &Value::Null);
        let context = Context::new(1, Simd::best());
        for (axis, groups) in [(json!(0), vec![[0, 6], [1, 7], [5, 11]]), (json!(-1), vec![[0, 1], [2, 3], [10, 11]])] {
            let document = json!({ "type": "unitNorm", "axis": axis });
            let constraint = Constraint::parse("kernel", &document, &shape).expect("valid").expect("one");
            let mut values = Buffer::new(12);
            values.iter_mut().zip(1u8..).for_each(|(value, number)| *value = f32::from(number));
            constraint.apply(&context, &weight, &mut values);
            for [a, b] in groups {
                let norm = values[a].hypot(values[b]);
                assert!((norm - 1.0).abs() < 1e-6, "{document}: {norm}");
                let ratio = values[b] / values[a];
                assert!((ratio - (b + 1) as f32 / (a + 1) as f32).abs() < 1e-5, "{document}: {ratio}");
            }
        }
    }

    #[test]
    fn null_is_no_constraint() {
        assert_eq!(Constraint::parse("kernel", &Value::Null, &[2]), Ok(None));
    }
}
