//! A function of each element, or softmax over the last axis.
use sconce_kernels::activation::Activation;
use serde::Deserialize;

/// Options of an activation.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ActivationOptions {
    /// Keras' name in camel case, or `softmax` or `logSoftmax`.
    pub activation: String,
}

impl ActivationOptions {
    pub(super) fn check(&self) -> Result<(), String> {
        check_name(&self.activation)
    }
}

pub(super) fn check_name(name: &str) -> Result<(), String> {
    if ["softmax", "logSoftmax"].contains(&name) || Activation::from_name(name).is_some() {
        return Ok(());
    }
    let known: Vec<_> = Activation::NAMES.iter().map(|(name, _)| *name).collect();
    Err(format!("unknown activation {name}; known are softmax, logSoftmax, {}", known.join(", ")))
}
