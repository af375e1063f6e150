//! Errors as JavaScript sees them: a message and a `code`.
use sconce_engine::{Code, Error};

/// The `code` of a thrown error.
pub struct Status(Code);

impl AsRef<str> for Status {
    fn as_ref(&self) -> &str {
        self.0.name()
    }
}

/// What synchronous exports return.
pub type Result<T> = std::result::Result<T, napi::Error<Status>>;

/// An error of the engine as one that can be thrown.
pub fn thrown(error: Error) -> napi::Error<Status> {
    napi::Error::new(Status(error.code), error.message)
}
