//! Training: what `compile` was given, optimiser state, steps.
mod document;
mod extended;
mod optimizer;
mod state_file;
mod trainer;

pub use document::CompileDocument;
pub use optimizer::{OptimizerDocument, OptimizerState};
pub use trainer::{StepData, StepResult, TrainedOutputResult, Trainer};
