//! Memory of a decoder that others have no use for.
use sconce_kernels::buffer;

use crate::memory;

/// Sees to it that free buffers do not grow by those of a decoder: another one has other sizes. The last field of what has them, so
/// that they are free when it goes.
#[derive(Debug)]
pub(super) struct Room {
    /// Bytes of free buffers before.
    free: usize,
}

impl Room {
    pub(super) fn new() -> Self {
        Self { free: buffer::free_bytes() }
    }

    /// Gives back what is free, while buffers of `kept` floats are in use.
    pub(super) fn give_back(&self, kept: usize) {
        buffer::trim(self.free.saturating_sub(4 * kept));
        memory::give_back();
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.give_back(0);
    }
}
