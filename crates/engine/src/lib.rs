//! The engine: graph documents, shapes, plans, differentiation, backends and training. It knows no JavaScript.
#![deny(missing_docs)]

pub mod error;
pub mod graph;
pub mod initializer;
pub mod layers;
pub mod shape;

pub use error::{Code, Error, Result};
