//! Decoding: the incremental decoder that follows from a graph, and greedy search, beam search and sampling with it, and
//! what it looks at.
mod alignment;
mod attention;
mod attention_rnn;
mod beams;
mod candidates;
mod choice;
mod draw;
mod ensemble;
mod generation;
mod given_targets;
mod incremental;
mod processors;
mod request;
mod room;
mod sentence;
mod stepper;
mod steps;
mod tensor;

pub use alignment::Alignment;
pub use generation::{Generated, Generation};
pub use given_targets::{TargetScores, target_scores};
pub use incremental::{Incremental, Treatment};
pub use request::{
    EarlyStopping, EnsembleOptions, Feed, GenerationRequest, Mean, ProcessorOptions, Reading, Sampling, SearchOptions,
};

#[cfg(test)]
mod searching;
#[cfg(test)]
mod tests;
