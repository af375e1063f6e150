//! Text of sconce: tokenizers, metrics of generated text, and readers of files that work in bounded memory and name the line of every fault.
#![deny(missing_docs)]

pub mod chinese;
pub mod detokenize;
pub mod error;
pub mod glove;
pub mod metrics;
pub mod tokenizer;

mod classes;
mod lines;

pub use error::TextError;

/// Runs `work(piece)` once for each piece in `0..pieces`, on as many threads as it likes, and returns when all have ended.
pub type Run<'run> = &'run (dyn Fn(usize, &(dyn Fn(usize) + Sync)) + Sync);
