//! What can be wrong with texts that are compared.
use std::fmt;

/// Why texts could not be compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MetricError {
    /// An option is out of range.
    Option(String),
    /// Counts of texts do not fit.
    Counts {
        /// Count of hypotheses.
        hypotheses: usize,
        /// How many counts of references there are.
        segments: usize,
        /// Sum of the counts of references.
        expected: usize,
        /// Count of references.
        references: usize,
    },
    /// A hypothesis has nothing to be compared with.
    NoReference {
        /// Which one, from 0.
        segment: usize,
    },
    /// Two texts are too long to be compared.
    TooLong {
        /// Words of the one.
        first: usize,
        /// Words of the other.
        second: usize,
    },
    /// The caller asked to stop.
    Cancelled,
}

impl fmt::Display for MetricError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Option(message) => f.write_str(message),
            Self::Counts { hypotheses, segments, expected, references } => write!(
                f,
                "{hypotheses} hypotheses with {segments} counts of references, which add up to {expected} of {references}"
            ),
            Self::NoReference { segment } => write!(f, "hypothesis {segment} has no reference"),
            Self::TooLong { first, second } => {
                write!(f, "sentences of {first} and {second} words are too long to be compared by rougeLsum")
            }
            Self::Cancelled => f.write_str("the call was cancelled"),
        }
    }
}

impl std::error::Error for MetricError {}

/// What the functions of this module return.
pub type Result<T> = std::result::Result<T, MetricError>;
