//! Room for weights: many side by side in large pages of memory, where the system has them. Whoever decodes reads all weights for
//! each token, and with pages of 4 KiB finding these costs a sixth of the time.
use std::{
    ptr::NonNull,
    sync::{Arc, Mutex, PoisonError},
};

/// Bytes that places start at multiples of.
const ALIGNMENT: usize = 64;
/// Smaller values are not worth it: they would only keep their neighbours' memory.
const SMALLEST: usize = 64 << 10;
/// Bytes of a region, unless a single value is larger.
const REGION: usize = 32 << 20;

/// Memory from the system.
#[derive(Debug)]
struct Region {
    data: NonNull<u8>,
    bytes: usize,
}

// SAFETY: a region is only an address; what lies in its places belongs to them.
unsafe impl Send for Region {}
// SAFETY: as above.
unsafe impl Sync for Region {}

/// The region that the next places are in, and how much of it is used.
static OPEN: Mutex<Option<(Arc<Region>, usize)>> = Mutex::new(None);

/// Some zeroed bytes of a region, its own alone. Its memory goes back to the system with it.
#[derive(Debug)]
pub(crate) struct Place {
    data: NonNull<u8>,
    bytes: usize,
    region: Arc<Region>,
}

// SAFETY: a place owns its bytes.
unsafe impl Send for Place {}
// SAFETY: shared references only read.
unsafe impl Sync for Place {}

impl Place {
    /// `None` where there are no large pages or no memory, or for so few bytes that it is not worth it.
    pub(crate) fn new(bytes: usize) -> Option<Self> {
        if bytes < SMALLEST {
            return None;
        }
        let room = bytes.checked_next_multiple_of(ALIGNMENT)?;
        let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        let (region, used) = match open.take() {
            Some((region, used)) if region.bytes - used >= room => (region, used),
            _ => (Arc::new(Region::new(room.max(REGION))?), 0),
        };
        // SAFETY: at least `room` bytes of the region lie there.
        let data = unsafe { region.data.add(used) };
        *open = Some((Arc::clone(&region), used + room));
        Some(Self { data, bytes, region })
    }

    pub(crate) fn data(&self) -> NonNull<u8> {
        self.data
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        // With its last place a region goes, also one that is open.
        let of_open = open.as_ref().is_some_and(|(region, _)| Arc::ptr_eq(region, &self.region));
        if Arc::strong_count(&self.region) == 1 + usize::from(of_open) {
            if of_open {
                *open = None;
            }
            return;
        }
        drop(open);
        give_back(self.data, self.bytes);
    }
}

#[cfg(target_os = "linux")]
mod system {
    use std::ptr::{NonNull, null_mut};

    use super::Region;

    /// Bytes of a large page.
    const LARGE: usize = 2 << 20;
    /// Bytes of a page.
    const PAGE: usize = 4 << 10;

    impl Region {
        /// At least so many zeroed bytes; `None` if there are none.
        pub(super) fn new(bytes: usize) -> Option<Self> {
            let bytes = bytes.checked_next_multiple_of(LARGE)?;
            let mapped = bytes.checked_add(LARGE)?;
            let (protection, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
            // SAFETY: new memory, wherever the system likes.
            let start = unsafe { libc::mmap(null_mut(), mapped, protection, flags, -1, 0) };
            if start == libc::MAP_FAILED {
                return None;
            }
            let before = start.align_offset(LARGE);
            let data = start.wrapping_byte_add(before);
            // SAFETY: parts of the memory just mapped: what lies before and behind the region, then the region itself. That
            // large pages are refused is no harm.
            unsafe {
                if before > 0 {
                    libc::munmap(start, before);
                }
                libc::munmap(data.wrapping_byte_add(bytes), LARGE - before);
                libc::madvise(data, bytes, libc::MADV_HUGEPAGE);
            }
            NonNull::new(data.cast()).map(|data| Self { data, bytes })
        }
    }

    impl Drop for Region {
        fn drop(&mut self) {
            // SAFETY: mapped in `new`; the last place is gone.
            unsafe { libc::munmap(self.data.as_ptr().cast(), self.bytes) };
        }
    }

    /// Gives the whole pages of a place back, whose values nobody needs any more.
    pub(super) fn give_back(data: NonNull<u8>, bytes: usize) {
        let start = data.as_ptr();
        let before = start.align_offset(PAGE).min(bytes);
        let length = (bytes - before) / PAGE * PAGE;
        if length > 0 {
            // SAFETY: pages of a place that is dropped.
            unsafe { libc::madvise(start.wrapping_add(before).cast(), length, libc::MADV_DONTNEED) };
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    use std::ptr::NonNull;

    use super::Region;

    impl Region {
        pub(super) fn new(_bytes: usize) -> Option<Self> {
            None
        }
    }

    pub(super) fn give_back(_data: NonNull<u8>, _bytes: usize) {}
}

use system::give_back;

/// Plain values that live as long as a model.
#[derive(Debug)]
pub(crate) struct Stored<T> {
    values: NonNull<T>,
    length: usize,
    /// Where they lie, if not on the heap.
    place: Option<Place>,
}

// SAFETY: it owns its values.
unsafe impl<T: Send> Send for Stored<T> {}
// SAFETY: shared references only read.
unsafe impl<T: Sync> Sync for Stored<T> {}

impl<T: Copy> Stored<T> {
    /// So many times the value. An alignment of `T` beyond 64 bytes is not kept.
    pub(crate) fn filled(value: T, length: usize) -> Self {
        const { assert!(align_of::<T>() <= ALIGNMENT) };
        let place = length.checked_mul(size_of::<T>()).and_then(Place::new);
        let Some(place) = place else {
            let values = Box::leak(vec![value; length].into_boxed_slice());
            return Self { values: NonNull::from(values).cast(), length, place: None };
        };
        let values = place.data().cast::<T>();
        for index in 0..length {
            // SAFETY: the place has room for `length` values, aligned to 64 bytes.
            unsafe { values.add(index).write(value) };
        }
        Self { values, length, place: Some(place) }
    }
}

impl<T> std::ops::Deref for Stored<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        // SAFETY: `length` values were written in `filled`.
        unsafe { std::slice::from_raw_parts(self.values.as_ptr(), self.length) }
    }
}

impl<T> std::ops::DerefMut for Stored<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: as above; `&mut self` makes the access unique.
        unsafe { std::slice::from_raw_parts_mut(self.values.as_ptr(), self.length) }
    }
}

impl<T> Drop for Stored<T> {
    fn drop(&mut self) {
        if self.place.is_none() {
            let values = std::ptr::slice_from_raw_parts_mut(self.values.as_ptr(), self.length);
            // SAFETY: the box that was leaked in `filled`.
            drop(unsafe { Box::from_raw(values) });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{ALIGNMENT, Place, REGION, SMALLEST, Stored};

    #[test]
    fn values_are_kept_and_apart() {
        let lengths = [0, 1, 1000, SMALLEST, SMALLEST + 1, REGION / 4 + 3];
        let mut all: Vec<Stored<u32>> =
            lengths.iter().zip(1..).map(|(&length, value)| Stored::filled(value, length)).collect();
        for (stored, value) in all.iter_mut().zip(1..) {
            assert!(stored.iter().all(|&found| found == value));
            stored.iter_mut().for_each(|number| *number += 10);
        }
        all.remove(3);
        for (stored, value) in all.iter().zip([11, 12, 13, 15, 16]) {
            assert!(stored.iter().all(|&found| found == value));
        }
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn places_are_zeroed_aligned_and_apart() {
        assert!(Place::new(SMALLEST - 1).is_none());
        let mut places = Vec::new();
        for round in 0..40u8 {
            let bytes = SMALLEST + 999 * usize::from(round) + if round == 7 { REGION } else { 0 };
            let Some(place) = Place::new(bytes) else { panic!("no place for {bytes} bytes") };
            assert_eq!(place.data().as_ptr().align_offset(ALIGNMENT), 0);
            // SAFETY: the bytes of the place.
            let all = unsafe { std::slice::from_raw_parts_mut(place.data().as_ptr(), bytes) };
            assert!(all.iter().all(|&byte| byte == 0));
            all.fill(round + 1);
            places.push((place, bytes, round + 1));
            if round % 3 == 2 {
                places.remove(usize::from(round) / 3);
            }
        }
        for (place, bytes, value) in &places {
            // SAFETY: the bytes of the place.
            let all = unsafe { std::slice::from_raw_parts(place.data().as_ptr(), *bytes) };
            assert!(all.iter().all(|byte| byte == value));
        }
    }
}
