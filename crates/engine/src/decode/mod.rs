//! Decoding: the incremental decoder that follows from a graph, greedy search with it, and what it looks at.
mod alignment;
mod attention;
mod attention_rnn;
mod generation;
mod incremental;
mod steps;
mod tensor;

pub use alignment::Alignment;
pub use generation::{Feed, Generated, Generation, GenerationRequest};
pub use incremental::{Incremental, Treatment};

#[cfg(test)]
mod tests;
