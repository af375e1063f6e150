//! What a call of an attention layer says besides its inputs.
use serde::Deserialize;
use serde_json::Value;

/// What an input of a call is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Role {
    /// What attends, `[batch, T, features]`.
    Query,
    /// What is averaged, `[batch, S, features]`.
    Value,
    /// What queries are compared with, `[batch, S, features]`; without it the value.
    Key,
    /// Which keys count for which queries, `[batch, T, S]` or `[batch, heads, T, S]`.
    AttentionMask,
    /// What is added to the scores, `[batch, heads, T, S]`.
    AttentionBias,
}

impl Role {
    /// As messages call it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Query => "the query",
            Self::Value => "the value",
            Self::Key => "the key",
            Self::AttentionMask => "attentionMask",
            Self::AttentionBias => "attentionBias",
        }
    }
}

/// Options of a call.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AttentionCall {
    /// What the inputs are, in the order of [`Role`].
    pub inputs: Vec<Role>,
    /// Whether a query sees no key behind its own place.
    pub use_causal_mask: bool,
    /// Whether the scores are an output too.
    pub return_attention_scores: bool,
}

impl Default for AttentionCall {
    fn default() -> Self {
        Self { inputs: vec![Role::Query, Role::Value], use_causal_mask: false, return_attention_scores: false }
    }
}

impl AttentionCall {
    /// Reads the options of a call; `null` stands for the defaults.
    pub(super) fn parse(call: &Value) -> Result<Self, String> {
        if call.is_null() {
            return Ok(Self::default());
        }
        let call: Self = serde_json::from_value(call.clone()).map_err(|error| format!("call: {error}"))?;
        if !call.inputs.starts_with(&[Role::Query, Role::Value]) || !call.inputs.is_sorted_by(|a, b| a < b) {
            return Err("call: inputs must be query, value, then any of key, attentionMask, attentionBias".to_owned());
        }
        Ok(call)
    }

    /// The place of an input among those of the call.
    pub(crate) fn place(&self, role: Role) -> Option<usize> {
        self.inputs.iter().position(|&input| input == role)
    }
}
