//! Training: what `compile` was given, optimiser state, steps.
mod document;
mod extended;
mod optimizers;
mod penalties;
mod state_file;
mod trainer;

pub use document::CompileDocument;
pub use optimizers::{OptimizerDocument, OptimizerState};
pub use penalties::Penalties;
pub use trainer::{StepData, StepResult, TrainedOutputResult, Trainer};
