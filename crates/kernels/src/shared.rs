//! A mutable slice whose parts are written by different pieces of one job.
use std::marker::PhantomData;

/// Pointer and length of a `&mut [f32]` that pieces of a job share; each piece takes the parts that are its own.
#[derive(Clone, Copy)]
pub(crate) struct Shared<'a, T = f32> {
    data: *mut T,
    length: usize,
    owner: PhantomData<&'a mut [T]>,
}

// SAFETY: all access goes through unsafe functions whose callers vouch that pieces touch different elements.
unsafe impl<T: Send> Send for Shared<'_, T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Shared<'_, T> {}

impl<'a, T> Shared<'a, T> {
    pub(crate) fn new(slice: &'a mut [T]) -> Self {
        Self { data: slice.as_mut_ptr(), length: slice.len(), owner: PhantomData }
    }

    /// The address of element `start`; `start` may be the length.
    pub(crate) fn at(&self, start: usize) -> *mut T {
        assert!(start <= self.length, "start {start} lies behind a shared slice of {}", self.length);
        self.data.wrapping_add(start)
    }

    /// Elements `start..start + length`.
    ///
    /// # Safety
    /// While the slice lives, nothing else may read or write these elements.
    #[allow(clippy::mut_from_ref, reason = "handing out parts is what the type is for; the contract is above")]
    pub(crate) unsafe fn part(&self, start: usize, length: usize) -> &'a mut [T] {
        assert!(
            start.checked_add(length).is_some_and(|end| end <= self.length),
            "{length} elements at {start} exceed a shared slice of {}",
            self.length
        );
        // SAFETY: inside the slice; the caller vouches that the access is unique.
        unsafe { std::slice::from_raw_parts_mut(self.data.add(start), length) }
    }

    /// All elements.
    ///
    /// # Safety
    /// As for [`Shared::part`].
    #[allow(clippy::mut_from_ref, reason = "as above")]
    pub(crate) unsafe fn whole(&self) -> &'a mut [T] {
        // SAFETY: the caller's contract.
        unsafe { self.part(0, self.length) }
    }
}
