//! Zeros at random while training.
use serde::Deserialize;

/// Options of dropout.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DropoutOptions {
    /// Share of the elements that become 0; the others are divided by the rest.
    pub rate: f32,
}

impl DropoutOptions {
    pub(super) fn check(&self) -> Result<(), String> {
        if (0.0..=1.0).contains(&self.rate) {
            return Ok(());
        }
        Err(format!("rate must be between 0 and 1, got {}", self.rate))
    }
}
