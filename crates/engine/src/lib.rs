//! The engine: graph documents, shapes, plans, differentiation, backends and training. It knows no JavaScript.
#![deny(missing_docs)]

pub mod backend;
pub mod error;
pub mod graph;
pub mod initializer;
pub mod interrupt;
pub mod layers;
pub mod plan;
pub mod shape;
pub mod tensor;
pub mod weights;

pub use error::{Code, Error, Result};
