//! Space of a thread.
use std::cell::Cell;

use crate::buffer::Buffer;

thread_local! {
    static SPACE: Cell<Option<Buffer>> = const { Cell::new(None) };
}

/// Calls `work` with `length` floats of unspecified content, on each thread the same ones time and again: they stay in the caches
/// of its core, and no other thread touches them meanwhile.
pub(crate) fn with_scratch<R>(length: usize, work: impl FnOnce(&mut [f32]) -> R) -> R {
    let mut space = SPACE.take().filter(|space| space.len() >= length).unwrap_or_else(|| Buffer::new(length));
    let result = work(&mut space[..length]);
    SPACE.set(Some(space));
    result
}
