//! What can be wrong with a tokenizer or its work.
use std::fmt;

/// Whose fault an error is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// An option of training.
    Option,
    /// Texts or ids.
    Data,
    /// The content of `tokenizer.json`.
    Format,
    /// The file system.
    File,
    /// A size beyond what is accepted.
    Limit,
    /// The caller asked to stop.
    Cancelled,
}

/// Why a tokenizer could not be made, or a text not be encoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenizerError {
    /// Whose fault it is.
    pub fault: Fault,
    /// What was expected and what came.
    pub message: String,
}

impl TokenizerError {
    pub(super) fn new(fault: Fault, message: impl Into<String>) -> Self {
        Self { fault, message: message.into() }
    }

    pub(super) fn format(message: impl fmt::Display) -> Self {
        Self::new(Fault::Format, format!("tokenizer.json: {message}"))
    }

    pub(super) fn cancelled() -> Self {
        Self::new(Fault::Cancelled, "the call was cancelled")
    }
}

impl fmt::Display for TokenizerError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl std::error::Error for TokenizerError {}

/// What the functions of this module return.
pub type Result<T> = std::result::Result<T, TokenizerError>;
