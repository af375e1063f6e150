//! Reasons to stop work early: the caller cancelled, or disposed of the model.
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use crate::error::{Code, Error, Result};

/// A flag that can be raised once, from any thread.
#[derive(Clone, Debug, Default)]
pub struct Flag(Arc<AtomicBool>);

impl Flag {
    /// Raises the flag.
    pub fn raise(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Whether it is raised.
    #[must_use]
    pub fn is_raised(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// What running work looks at between operations.
#[derive(Clone, Debug, Default)]
pub struct Interrupt {
    /// The caller's wish to cancel this call.
    pub cancelled: Flag,
    /// The model's end.
    pub disposed: Flag,
}

impl Interrupt {
    /// # Errors
    /// `Cancelled` or `State` if a flag is raised.
    pub fn check(&self) -> Result<()> {
        if self.cancelled.is_raised() {
            return Err(Error::new(Code::Cancelled, "the call was cancelled"));
        }
        if self.disposed.is_raised() {
            return Err(Error::new(Code::State, "the model was disposed of"));
        }
        Ok(())
    }
}
