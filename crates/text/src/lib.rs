//! Text files of sconce: readers that work in bounded memory and name the line of every fault.
#![deny(missing_docs)]

pub mod error;
pub mod glove;

mod lines;

pub use error::TextError;
