//! What `compile` says of the optimiser.
use serde::Deserialize;
use serde_json::{Map, Value};

use super::rule::Rule;
use crate::{
    error::{Code, Error, Result},
    plan::{Plan, PlanWeight},
};

/// An optimiser with all options resolved; the learning rate comes with each step.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "Map<String, Value>")]
pub struct OptimizerDocument {
    pub(super) rule: Rule,
    pub(super) common: Common,
}

/// Options that all optimisers have.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub(super) struct Common {
    #[serde(rename = "learningRate")]
    _learning_rate: f64,
    pub(super) weight_decay: f64,
    pub(super) exclude_from_weight_decay: Exclusions,
    pub(super) clipnorm: Option<f64>,
    pub(super) clipvalue: Option<f64>,
    pub(super) global_clipnorm: Option<f64>,
    pub(super) use_ema: bool,
    pub(super) ema_momentum: Option<f64>,
    pub(super) ema_overwrite_frequency: Option<u64>,
    pub(super) gradient_accumulation_steps: Option<u64>,
    pub(super) sparse: bool,
}

/// Weights that do not decay.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub(super) struct Exclusions {
    /// Whole names, `layer/weight`.
    var_list: Vec<String>,
    /// Parts of the names of weights within their layers.
    var_names: Vec<String>,
}

/// Keys of [`Common`].
const COMMON: [&str; 11] = [
    "learningRate",
    "weightDecay",
    "excludeFromWeightDecay",
    "clipnorm",
    "clipvalue",
    "globalClipnorm",
    "useEma",
    "emaMomentum",
    "emaOverwriteFrequency",
    "gradientAccumulationSteps",
    "sparse",
];

impl TryFrom<Map<String, Value>> for OptimizerDocument {
    type Error = serde_json::Error;

    fn try_from(fields: Map<String, Value>) -> std::result::Result<Self, serde_json::Error> {
        let (common, own): (Map<_, _>, Map<_, _>) =
            fields.into_iter().partition(|(name, _)| COMMON.contains(&name.as_str()));
        Ok(Self {
            rule: serde_json::from_value(Value::Object(own))?,
            common: serde_json::from_value(Value::Object(common))?,
        })
    }
}

impl OptimizerDocument {
    /// # Errors
    /// `Option` if a number is out of its range or more than one clipping is set.
    pub fn check(&self) -> Result<()> {
        let bad = |what: String| Err(Error::new(Code::Option, format!("optimizer: {what}")));
        let common = &self.common;
        for (name, value) in self.rule.numbers().into_iter().chain([("weightDecay", common.weight_decay)]) {
            if !value.is_finite() || value < 0.0 {
                return bad(format!("{name} must be a finite number of at least 0, got {value}"));
            }
        }
        for (name, value) in self.rule.powers() {
            if !value.is_finite() || value > 0.0 {
                return bad(format!("{name} must be a finite number of at most 0, got {value}"));
            }
        }
        let clips = [common.clipnorm, common.clipvalue, common.global_clipnorm];
        if clips.iter().flatten().count() > 1 {
            return bad("only one of clipnorm, clipvalue and globalClipnorm may be set".to_owned());
        }
        if clips.iter().flatten().any(|&limit| limit.is_nan() || limit <= 0.0) {
            return bad("a clipping limit must be above 0".to_owned());
        }
        if !(0.0..=1.0).contains(&self.ema_momentum()) {
            return bad(format!("emaMomentum must be from 0 to 1, got {}", self.ema_momentum()));
        }
        if common.ema_overwrite_frequency == Some(0) {
            return bad("emaOverwriteFrequency must be at least 1, got 0".to_owned());
        }
        match common.gradient_accumulation_steps {
            Some(steps) if steps < 2 => bad(format!("gradientAccumulationSteps must be at least 2, got {steps}")),
            _ => Ok(()),
        }
    }

    /// What averages of weights keep.
    pub(super) fn ema_momentum(&self) -> f64 {
        self.common.ema_momentum.unwrap_or(0.99)
    }

    /// Steps from one update to the next.
    pub(super) fn steps(&self) -> u64 {
        self.common.gradient_accumulation_steps.unwrap_or(1).max(1)
    }

    /// What a weight loses of itself in a step, times the learning rate.
    pub(super) fn weight_decay(&self, plan: &Plan, weight: &PlanWeight) -> f64 {
        let Exclusions { var_list, var_names } = &self.common.exclude_from_weight_decay;
        let name = &weight.specification.name;
        let whole = || format!("{}/{name}", plan.layers[weight.layer].name);
        let excluded = var_names.iter().any(|part| name.contains(part.as_str()))
            || (!var_list.is_empty() && var_list.contains(&whole()));
        if excluded { 0.0 } else { self.common.weight_decay }
    }

    /// Whether weights are averaged over the steps.
    pub(in crate::training) fn uses_ema(&self) -> bool {
        self.common.use_ema
    }

    /// Whether an update takes several steps.
    pub(in crate::training) fn accumulates(&self) -> bool {
        self.steps() > 1
    }

    /// Copies of the weights that the state takes, at most.
    pub(in crate::training) fn copies(&self) -> usize {
        let common = &self.common;
        self.rule.most_slots() + usize::from(common.use_ema) + usize::from(self.steps() > 1)
    }
}
