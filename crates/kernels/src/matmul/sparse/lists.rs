//! What is not 0 in rows of a sparse operand.
use std::ops::Range;

use super::{STEPS, Turn};
use crate::simd::{Kernel, LANES, Lanes, prefetch_second};

/// A sparse operand: element `(i, k)` lies at `data + i * row + k * step`; one of the two is 1.
#[derive(Clone, Copy)]
pub(super) struct Sparse {
    pub data: *const f32,
    pub row: usize,
    pub step: usize,
}

/// What is not 0 in some steps of 16 rows, row by row.
pub(super) struct Lists {
    /// With room for 32 more than there can be.
    pub values: [f32; LANES * (STEPS + 2)],
    /// Where the other operand's row of each value begins.
    pub places: [u32; LANES * (STEPS + 2)],
    /// Where each row ends.
    pub ends: [usize; LANES],
    /// The rows, where memory has them as columns.
    turned: [[f32; STEPS]; LANES],
}

impl Lists {
    pub(super) fn new() -> Self {
        Self {
            values: [0.0; LANES * (STEPS + 2)],
            places: [0; LANES * (STEPS + 2)],
            ends: [0; LANES],
            turned: [[0.0; STEPS]; LANES],
        }
    }

    /// Lists what is not 0 in some steps of at most 16 rows; `places` has one for each of the steps, in the order of the list.
    /// With `PAIRED` neighbours change places, the second of them first, and an odd list gets a 0 at its end.
    ///
    /// # Safety
    /// The elements must be there, and the instruction set of `L` available.
    #[inline(always)]
    pub(super) unsafe fn fill<L: Lanes, const PAIRED: bool>(
        &mut self,
        left: Sparse,
        places: &[u32; STEPS],
        rows: Range<usize>,
        steps: Range<usize>,
    ) {
        let (height, length) = (rows.len(), steps.len());
        let Sparse { data, row: mut stride, step: left_step } = left;
        let mut left = data.wrapping_add(rows.start * stride + steps.start * left_step);
        let next = left.wrapping_add(length * left_step);
        // SAFETY: the caller's contract; 16 steps of a row take up to 16 places of the lists behind those before.
        unsafe {
            if left_step > 1 {
                // What the same rows have in the next steps lies too far apart for the hardware to see it coming.
                for step in 0..length {
                    prefetch_second(next.wrapping_add(step * left_step));
                }
                let to = self.turned.as_mut_ptr().cast();
                Turn { from: left, row: left_step, rows: length, columns: height, to, to_row: STEPS }.run::<L>();
                (left, stride) = (to.cast_const(), STEPS);
            }
            let mut end = 0;
            for (row, row_end) in self.ends.iter_mut().enumerate().take(height) {
                let first = end;
                for step in (0..length).step_by(LANES) {
                    let from = left.wrapping_add(row * stride + step);
                    let mut lanes =
                        if length - step >= LANES { L::load(from) } else { L::load_first(from, length - step) };
                    if PAIRED {
                        lanes = lanes.swap_neighbours();
                    }
                    let (values, chosen) = (self.values.as_mut_ptr().add(end), self.places.as_mut_ptr().add(end));
                    end += lanes.nonzeros(places.as_ptr().add(step), values, chosen);
                    if left_step == 1 {
                        prefetch_second(next.wrapping_add(row * stride + step));
                    }
                }
                if PAIRED && (end - first) % 2 == 1 {
                    *self.values.get_unchecked_mut(end) = 0.0;
                    *self.places.get_unchecked_mut(end) = *self.places.get_unchecked(end - 1);
                    end += 1;
                }
                *row_end = end;
            }
        }
    }
}
