//! The allocator of the addon.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

unsafe extern "C" {
    fn mi_collect(force: bool);
}

/// Gives memory that this thread has freed back to the system: after work that needed far more than what follows.
pub fn give_back() {
    // SAFETY: a function of the allocator above, which may be called at any time on any thread.
    unsafe { mi_collect(true) };
}
