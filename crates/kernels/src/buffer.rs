//! Pooled, 64-byte aligned buffers: page faults on large fresh buffers cost more than the arithmetic on them.
use std::{
    alloc::{Layout, alloc_zeroed, dealloc},
    ops::{Deref, DerefMut},
    ptr::NonNull,
    sync::{Mutex, MutexGuard, PoisonError},
};

use crate::place::Place;

const ALIGNMENT: usize = 64;
/// Free bytes that the pool keeps in any case.
const KEPT_BYTES: usize = 512 << 20;

struct Raw {
    data: NonNull<f32>,
    capacity: usize,
    /// Where it lies, if it was not allocated.
    place: Option<Place>,
}

// SAFETY: `Raw` owns its allocation; nothing else points at it.
unsafe impl Send for Raw {}
// SAFETY: shared references only read.
unsafe impl Sync for Raw {}

impl Drop for Raw {
    fn drop(&mut self) {
        if self.place.is_some() {
            return;
        }
        if let Ok(layout) = Layout::from_size_align(self.capacity * 4, ALIGNMENT) {
            // SAFETY: allocated in `allocate` with this very layout.
            unsafe { dealloc(self.data.as_ptr().cast(), layout) };
        }
    }
}

/// A pooled slice of `f32`, aligned to 64 bytes; goes back to the pool when dropped.
pub struct Buffer {
    raw: Option<Raw>,
    length: usize,
}

impl std::fmt::Debug for Buffer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Buffer").field("length", &self.length).finish()
    }
}

/// Buffers that nobody uses.
struct Free {
    /// By [`place`].
    classes: [Vec<Raw>; PLACES],
    bytes: usize,
    /// Bytes of the pool's buffers that are in use.
    used: usize,
    /// The most that were in use at a time, forgotten by [`settle`].
    most: usize,
    /// Free bytes that are kept in any case.
    least: usize,
}

impl Free {
    const fn new(least: usize) -> Self {
        Self { classes: [const { Vec::new() }; PLACES], bytes: 0, used: 0, most: 0, least }
    }

    /// Takes a buffer of a capacity or of one of the next two, if there is one; from now on it is in use, found or not.
    fn take(&mut self, capacity: usize) -> Option<Raw> {
        let first = place(capacity);
        let found = self.classes[first..PLACES.min(first + 3)].iter_mut().find_map(Vec::pop);
        let free = found.as_ref().map_or(0, |raw| raw.capacity * 4);
        self.bytes -= free;
        self.used += free.max(capacity * 4);
        self.most = self.most.max(self.used);
        found
    }

    /// Takes a buffer back, or drops it where there are enough: a step of training needs again what the step before did, and a
    /// quarter more for batches of other shapes.
    fn give(&mut self, raw: Raw) -> Option<Raw> {
        let bytes = raw.capacity * 4;
        self.used -= bytes;
        if self.bytes + bytes > self.least.max(self.most + self.most / 4) {
            return Some(raw);
        }
        self.bytes += bytes;
        self.classes[place(raw.capacity)].push(raw);
        None
    }

    fn settle(&mut self) {
        self.most = self.used;
        self.trim(self.least);
    }

    fn trim(&mut self, bytes: usize) {
        for class in self.classes.iter_mut().rev() {
            while self.bytes > bytes {
                let Some(raw) = class.pop() else { break };
                self.bytes -= raw.capacity * 4;
            }
        }
    }
}

/// Two classes for each power of two.
const PLACES: usize = 2 * usize::BITS as usize;

static FREE: Mutex<Free> = Mutex::new(Free::new(KEPT_BYTES));

fn free() -> MutexGuard<'static, Free> {
    FREE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Size class of a length: powers of two and their halves between, so that at most a third is wasted.
fn class(length: usize) -> usize {
    let power = length.max(16).next_power_of_two();
    if length <= power / 4 * 3 { power / 4 * 3 } else { power }
}

/// Number of a class, in the order of their capacities.
fn place(capacity: usize) -> usize {
    2 * capacity.ilog2() as usize + usize::from(!capacity.is_power_of_two())
}

fn allocate(capacity: usize) -> Raw {
    let layout = capacity.checked_mul(4).and_then(|bytes| Layout::from_size_align(bytes, ALIGNMENT).ok());
    let Some(layout) = layout else { std::alloc::handle_alloc_error(Layout::new::<f32>()) };
    // SAFETY: the layout is not empty (a class is at least 12 floats); zeroed bytes are valid floats.
    match NonNull::new(unsafe { alloc_zeroed(layout) }.cast()) {
        Some(data) => Raw { data, capacity, place: None },
        None => std::alloc::handle_alloc_error(layout),
    }
}

/// Bytes of the pool's buffers that nobody uses.
#[must_use]
pub fn free_bytes() -> usize {
    free().bytes
}

/// Gives free buffers back to the system, the largest first, until the pool keeps at most so many bytes.
pub fn trim(bytes: usize) {
    free().trim(bytes);
}

/// Forgets how much was in use before, and gives back what was kept for it: for the end of something that took much.
pub fn settle() {
    free().settle();
}

impl Buffer {
    /// A buffer of `length` floats with unspecified (but initialised) content.
    #[must_use]
    pub fn new(length: usize) -> Self {
        if length == 0 {
            return Self { raw: None, length };
        }
        let capacity = class(length);
        let found = free().take(capacity);
        Self { raw: Some(found.unwrap_or_else(|| allocate(capacity))), length }
    }

    /// A buffer of `length` floats with unspecified (but initialised) content that lives long and is often read from end to end,
    /// such as a weight.
    #[must_use]
    pub fn lasting(length: usize) -> Self {
        match length.checked_mul(4).and_then(Place::new) {
            Some(place) => {
                Self { raw: Some(Raw { data: place.data().cast(), capacity: length, place: Some(place) }), length }
            }
            None => Self::new(length),
        }
    }

    /// A buffer of `length` zeros.
    #[must_use]
    pub fn zeros(length: usize) -> Self {
        let mut buffer = Self::new(length);
        buffer.fill(0.0);
        buffer
    }
}

impl Deref for Buffer {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        match &self.raw {
            // SAFETY: the allocation holds at least `length` initialised floats.
            Some(raw) => unsafe { std::slice::from_raw_parts(raw.data.as_ptr(), self.length) },
            None => &[],
        }
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [f32] {
        match &self.raw {
            // SAFETY: as in `deref`; `&mut self` makes the access unique.
            Some(raw) => unsafe { std::slice::from_raw_parts_mut(raw.data.as_ptr(), self.length) },
            None => &mut [],
        }
    }
}

impl Clone for Buffer {
    fn clone(&self) -> Self {
        let mut copy = Self::new(self.length);
        copy.copy_from_slice(self);
        copy
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if let Some(raw) = self.raw.take_if(|raw| raw.place.is_none()) {
            // What is too much is dropped once the lock is free.
            let left = free().give(raw);
            drop(left);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{Buffer, Free, PLACES, allocate, class, free_bytes, place, trim};

    #[test]
    fn free_buffers_are_given_back() {
        // Larger than all that other tests free meanwhile.
        let length = 64 << 20;
        drop(Buffer::new(length));
        let before = free_bytes();
        assert!(before >= length * 4);
        trim(before - 1);
        assert!(free_bytes() < before - length);
        trim(usize::MAX);
        assert!(Buffer::zeros(length)[length - 1] == 0.0);
    }

    #[test]
    fn as_much_is_kept_as_was_in_use_and_a_quarter() {
        let mut free = Free::new(4 << 10);
        let take = |free: &mut Free, capacity| free.take(capacity).unwrap_or_else(|| allocate(capacity));
        // Each of 1 KiB: 12 of 10 in use and a quarter of them are kept.
        let small: Vec<_> = (0..10).map(|_| take(&mut free, 256)).collect();
        assert!(small.into_iter().all(|raw| free.give(raw).is_none()));
        assert_eq!((free.bytes, free.used, free.most), (10 << 10, 0, 10 << 10));
        let large: Vec<_> = (0..2).map(|_| take(&mut free, 512)).collect();
        assert_eq!(large.into_iter().map(|raw| free.give(raw).is_none()).collect::<Vec<_>>(), [true, false]);
        assert_eq!((free.bytes, free.used), (12 << 10, 0));
        assert!(free.take(256).is_some());
        assert_eq!((free.bytes, free.used), (11 << 10, 1 << 10));
        // From now on 4 KiB are, as in any case.
        free.settle();
        assert_eq!((free.bytes, free.most), (4 << 10, 1 << 10));
    }

    #[test]
    fn buffers_are_aligned_reused_and_sized() {
        for length in [1, 15, 16, 17, 1000, 1025, 70_001] {
            assert!(class(length) >= length);
            let mut buffer = Buffer::zeros(length);
            assert_eq!(buffer.len(), length);
            assert_eq!(buffer.as_ptr() as usize % 64, 0);
            buffer[length - 1] = 2.0;
            assert!((buffer.clone()[length - 1] - 2.0).abs() < f32::EPSILON);
        }
        assert!(Buffer::new(0).is_empty());
    }

    #[test]
    fn lasting_buffers_are_aligned_and_keep_their_values() {
        let mut buffers: Vec<_> = [0, 1, 1000, 70_001, 1 << 20].map(Buffer::lasting).into();
        for (buffer, value) in buffers.iter_mut().zip([1.0, 2.0, 3.0, 4.0, 5.0]) {
            buffer.fill(value);
        }
        for (buffer, value) in buffers.iter().zip([1.0, 2.0, 3.0, 4.0, 5.0f32]) {
            assert!(buffer.clone().iter().chain(&**buffer).all(|found| found.to_bits() == value.to_bits()));
            assert!(buffer.is_empty() || buffer.as_ptr().align_offset(64) == 0);
        }
    }

    #[test]
    fn classes_have_places_in_their_order() {
        let classes: BTreeSet<usize> = (1..100_000).map(class).chain([1 << 40, 3 << 40]).collect();
        let places: Vec<usize> = classes.into_iter().map(place).collect();
        assert!(places.is_sorted_by(|one, next| one < next) && places.iter().all(|&place| place < PLACES));
    }
}
