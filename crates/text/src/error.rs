//! What can be wrong with a text file.
use std::{fmt, io, path::PathBuf};

/// Why a text file could not be read. Lines are counted from 1.
#[derive(Debug)]
pub enum TextError {
    /// The file is missing or may not be opened.
    Open {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Reading or unpacking failed part way.
    Read {
        /// The file.
        path: PathBuf,
        /// The line that could not be completed.
        line: usize,
        /// What the system or the decompressor said.
        source: io::Error,
    },
    /// A line is not valid UTF-8.
    NotUtf8 {
        /// The file.
        path: PathBuf,
        /// The line.
        line: usize,
    },
    /// A line is longer than any line of such a file can be.
    LineTooLong {
        /// The file.
        path: PathBuf,
        /// The line.
        line: usize,
        /// The longest line accepted, in bytes.
        limit: usize,
    },
    /// The file holds no line.
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// A line has no number after its word: this is not a vector file.
    NoNumbers {
        /// The file.
        path: PathBuf,
        /// The line.
        line: usize,
    },
    /// A field that must be a finite number is none.
    BadNumber {
        /// The file.
        path: PathBuf,
        /// The line.
        line: usize,
        /// The text of the field.
        field: String,
    },
    /// A line has another count of numbers than asked for or than the lines before.
    WrongDimension {
        /// The file.
        path: PathBuf,
        /// The line.
        line: usize,
        /// How many numbers there should be.
        expected: usize,
        /// How many there are.
        found: usize,
    },
    /// The matrix of all words does not fit into memory.
    TooLarge {
        /// Count of words.
        words: usize,
        /// Numbers for each.
        dimension: usize,
    },
    /// The caller asked to stop.
    Cancelled,
}

impl fmt::Display for TextError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open { path, source } => write!(f, "cannot open {}: {source}", path.display()),
            Self::Read { path, line, source } => {
                write!(f, "cannot read {} at line {line}: {source}", path.display())
            }
            Self::NotUtf8 { path, line } => {
                write!(f, "{} line {line} is not valid UTF-8", path.display())
            }
            Self::LineTooLong { path, line, limit } => {
                write!(f, "{} line {line} is longer than {limit} bytes", path.display())
            }
            Self::Empty { path } => write!(f, "{} is empty", path.display()),
            Self::NoNumbers { path, line } => write!(
                f,
                "{} line {line} has no numbers after the word: expected a word and its vector",
                path.display()
            ),
            Self::BadNumber { path, line, field } => {
                write!(f, "{} line {line}: {field:?} is not a finite number", path.display())
            }
            Self::WrongDimension { path, line, expected, found } => {
                write!(f, "{} line {line} has {found} numbers, expected {expected}", path.display())
            }
            Self::TooLarge { words, dimension } => {
                write!(f, "a matrix of {words} words with {dimension} numbers each does not fit into memory")
            }
            Self::Cancelled => f.write_str("reading was cancelled"),
        }
    }
}

impl std::error::Error for TextError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Open { source, .. } | Self::Read { source, .. } => Some(source),
            _ => None,
        }
    }
}
