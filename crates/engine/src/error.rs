//! The one error type of the engine: a code that callers can branch on, and a sentence.
use std::fmt;

/// What kind of mistake or failure an [`Error`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// A shape is not what a layer or a batch needs.
    Shape,
    /// An option has a value that is not allowed.
    Option,
    /// The graph document is malformed, or asks for what cannot be done.
    Graph,
    /// Values of a batch are wrong: an id out of range, a target that does not fit.
    Data,
    /// The file system refused.
    File,
    /// A file does not hold what it should.
    Format,
    /// A model is disposed of or not built.
    State,
    /// A size is beyond what the engine accepts.
    Limit,
    /// The caller cancelled.
    Cancelled,
    /// A bug in the engine, caught.
    Internal,
}

impl Code {
    /// The name that JavaScript sees.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Shape => "SHAPE",
            Self::Option => "OPTION",
            Self::Graph => "GRAPH",
            Self::Data => "DATA",
            Self::File => "FILE",
            Self::Format => "FORMAT",
            Self::State => "STATE",
            Self::Limit => "LIMIT",
            Self::Cancelled => "CANCELLED",
            Self::Internal => "INTERNAL",
        }
    }
}

/// A failure with its kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// Its kind.
    pub code: Code,
    /// What happened, where, what was expected and what came.
    pub message: String,
}

impl Error {
    /// A failure of kind `code`.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

/// What engine functions return.
pub type Result<T> = std::result::Result<T, Error>;
