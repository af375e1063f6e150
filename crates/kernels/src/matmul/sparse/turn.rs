//! Matrices that are turned.
use crate::simd::{Kernel, LANES, Lanes};

/// `to[j, i] = from[i, j]`.
///
/// # Safety
/// To run it, both matrices must be there, `to` for this thread alone.
pub(in crate::matmul) struct Turn {
    pub from: *const f32,
    /// Distance of its rows.
    pub row: usize,
    pub rows: usize,
    pub columns: usize,
    pub to: *mut f32,
    pub to_row: usize,
}

impl Kernel for Turn {
    type Output = ();

    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let Self { from, row, rows, columns, to, to_row } = self;
        for i in (0..rows).step_by(LANES) {
            for j in (0..columns).step_by(LANES) {
                let (from, to) = (from.wrapping_add(i * row + j), to.wrapping_add(j * to_row + i));
                let (height, width) = (LANES.min(rows - i), LANES.min(columns - j));
                // SAFETY: rows and columns of the matrices; the caller vouches for them and the path.
                unsafe {
                    let mut lanes = [L::splat(0.0); LANES];
                    if height == LANES && width == LANES {
                        for (r, lanes) in lanes.iter_mut().enumerate() {
                            *lanes = L::load(from.wrapping_add(r * row));
                        }
                        for (r, lanes) in L::transpose(lanes).iter().enumerate() {
                            lanes.store(to.wrapping_add(r * to_row));
                        }
                        continue;
                    }
                    for (r, lanes) in lanes.iter_mut().enumerate().take(height) {
                        *lanes = L::load_first(from.wrapping_add(r * row), width);
                    }
                    for (r, lanes) in L::transpose(lanes).iter().enumerate().take(width) {
                        lanes.store_first(to.wrapping_add(r * to_row), height);
                    }
                }
            }
        }
    }
}
