//! Initialisers as documents name them.
use sconce_kernels::initialize::{Distribution, Fan, Initializer};
use serde::Deserialize;
use serde_json::Value;

use crate::error::{Code, Error, Result};

/// How the values of a weight begin.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Start {
    /// Drawn by a rule, from an own seed if there is one.
    Rule(Initializer, Option<u64>),
    /// As the rule says, but 1 in the second quarter: the forget gate of an LSTM.
    ForgetBias(Initializer, Option<u64>),
    /// Handed over when the weights are built.
    Provided,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "camelCase")]
enum Document {
    Zeros,
    Ones,
    Constant { value: f32 },
    RandomUniform { minval: f64, maxval: f64 },
    RandomNormal { mean: f64, stddev: f64 },
    TruncatedNormal { mean: f64, stddev: f64 },
    GlorotUniform,
    GlorotNormal,
    HeUniform,
    HeNormal,
    LecunUniform,
    LecunNormal,
    VarianceScaling { scale: f64, mode: Mode, distribution: Kind },
    Orthogonal { gain: f64 },
    Identity { gain: f64 },
    Provided,
}

#[derive(Deserialize)]
enum Mode {
    #[serde(rename = "fanIn")]
    In,
    #[serde(rename = "fanOut")]
    Out,
    #[serde(rename = "fanAvg")]
    Average,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
enum Kind {
    TruncatedNormal,
    UntruncatedNormal,
    Uniform,
}

impl Start {
    /// Reads an initialiser and checks that it fits a weight of `shape`.
    ///
    /// # Errors
    /// `Option` naming `what`.
    pub fn parse(what: &str, document: &Value, shape: &[usize]) -> Result<Self> {
        let bad = |reason: String| Error::new(Code::Option, format!("{what}: {reason}"));
        if document.get("type").and_then(Value::as_str) == Some("forgetBias") {
            let of = document.get("of").unwrap_or(&Value::Null);
            return match Self::parse(what, of, shape)? {
                Self::Rule(rule, seed) => Ok(Self::ForgetBias(rule, seed)),
                other => Ok(other),
            };
        }
        let parsed: Document =
            serde_json::from_value(document.clone()).map_err(|error| bad(format!("initializer: {error}")))?;
        let rule = match parsed {
            Document::Provided => return Ok(Self::Provided),
            Document::Zeros => Initializer::Zeros,
            Document::Ones => Initializer::Ones,
            Document::Constant { value } => Initializer::Constant(value),
            Document::RandomUniform { minval, maxval } => Initializer::RandomUniform { minval, maxval },
            Document::RandomNormal { mean, stddev } => Initializer::RandomNormal { mean, stddev },
            Document::TruncatedNormal { mean, stddev } => Initializer::TruncatedNormal { mean, stddev },
            Document::GlorotUniform => Initializer::GlorotUniform,
            Document::GlorotNormal => Initializer::GlorotNormal,
            Document::HeUniform => Initializer::HeUniform,
            Document::HeNormal => Initializer::HeNormal,
            Document::LecunUniform => Initializer::LecunUniform,
            Document::LecunNormal => Initializer::LecunNormal,
            Document::VarianceScaling { scale, mode, distribution } => Initializer::VarianceScaling {
                scale,
                mode: match mode {
                    Mode::In => Fan::In,
                    Mode::Out => Fan::Out,
                    Mode::Average => Fan::Average,
                },
                distribution: match distribution {
                    Kind::TruncatedNormal => Distribution::TruncatedNormal,
                    Kind::UntruncatedNormal => Distribution::UntruncatedNormal,
                    Kind::Uniform => Distribution::Uniform,
                },
            },
            Document::Orthogonal { gain } => Initializer::Orthogonal { gain },
            Document::Identity { gain } => Initializer::Identity { gain },
        };
        rule.check(shape).map_err(|error| bad(format!("initializer: {error}")))?;
        let seed = document.get("seed").and_then(Value::as_u64);
        Ok(Self::Rule(rule, seed))
    }
}
