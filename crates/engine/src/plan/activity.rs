//! Penalties on what layers give.
use serde::Deserialize;
use serde_json::Value;

use super::ValueId;
use crate::{
    error::{Code, Error, Result},
    graph::LayerDocument,
};

/// The option of a layer that says so.
pub(crate) const OPTION: &str = "activityRegularizer";

/// A penalty on a value: `l1 sum(|x|) + l2 sum(x^2)`, divided by the size of the batch, as in Keras.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Activity {
    /// What is penalised.
    pub value: ValueId,
    /// Factor of the sum of absolute values.
    pub l1: f64,
    /// Factor of the sum of squares.
    pub l2: f64,
}

#[derive(Deserialize)]
#[serde(tag = "type", deny_unknown_fields)]
enum RegularizerDocument {
    #[serde(rename = "l1l2")]
    L1L2 { l1: f64, l2: f64 },
}

impl Activity {
    /// The factors that a layer of a document has, if it has any.
    pub(super) fn factors(layer: &LayerDocument) -> Result<Option<(f64, f64)>> {
        let Some(option) = layer.options.get(OPTION).filter(|option| !option.is_null()) else { return Ok(None) };
        let wrong = |reason: String| Error::new(Code::Option, format!("layer {}: {OPTION}: {reason}", layer.name));
        let RegularizerDocument::L1L2 { l1, l2 } =
            RegularizerDocument::deserialize(option).map_err(|error| wrong(error.to_string()))?;
        if [l1, l2].iter().all(|factor| factor.is_finite() && *factor >= 0.0) {
            return Ok(Some((l1, l2)));
        }
        Err(wrong(format!("l1 and l2 must be finite and at least 0, got {l1} and {l2}")))
    }

    /// The penalty on `x` of a batch of `batch` samples.
    #[must_use]
    pub fn penalty(&self, x: &[f32], batch: usize) -> f64 {
        let (mut sizes, mut squares) = (0.0, 0.0);
        for &x in x {
            let x = f64::from(x);
            sizes += x.abs();
            squares += x * x;
        }
        (self.l1 * sizes + self.l2 * squares) / batch.max(1) as f64
    }

    /// The derivative of the penalty by an element.
    #[must_use]
    pub fn slope(&self, x: f32, batch: usize) -> f32 {
        let sign = if x > 0.0 {
            self.l1
        } else if x < 0.0 {
            -self.l1
        } else {
            0.0
        };
        ((sign + 2.0 * self.l2 * f64::from(x)) / batch.max(1) as f64) as f32
    }
}

/// The options of a layer without those that every layer has.
pub(crate) fn own_options(options: &Value) -> Value {
    let mut options = options.clone();
    if let Some(fields) = options.as_object_mut() {
        fields.remove(OPTION);
    }
    options
}
