//! Text of sconce: tokenizers, and readers of files that work in bounded memory and name the line of every fault.
#![deny(missing_docs)]

pub mod error;
pub mod glove;
pub mod tokenizer;

mod lines;

pub use error::TextError;
