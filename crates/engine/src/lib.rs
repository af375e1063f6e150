//! The engine: graph documents, shapes, plans, differentiation, backends and training. It knows no JavaScript.
#![deny(missing_docs)]

pub mod backend;
pub mod checkpoint;
pub mod constraint;
pub mod decode;
pub mod error;
pub mod expression;
pub mod family;
pub mod graph;
pub mod initializer;
pub mod interrupt;
pub mod layers;
pub mod memory;
pub mod model;
pub mod ops;
pub mod plan;
pub mod regularizer;
pub mod scheduler;
pub mod shape;
mod states_file;
pub mod tensor;
pub mod training;
pub mod weights;

pub use error::{Code, Error, Result};
