//! Decoding: the incremental decoder that follows from a graph, and greedy search with it.
mod attention;
mod attention_rnn;
mod generation;
mod incremental;
mod steps;
mod tensor;

pub use generation::{Feed, Generated, Generation, GenerationRequest};
pub use incremental::{Incremental, Treatment};

#[cfg(test)]
mod tests;
