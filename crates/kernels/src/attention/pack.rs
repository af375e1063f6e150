//! Rows of a head, packed next to each other or as columns, and written back.
use super::call::row_stride;
use crate::{
    pieces::{load_at, store_at},
    simd::{LANES, Lanes, prefetch},
};

/// Asks for a row that is needed soon: rows lie too far apart for the hardware to see them coming.
#[inline(always)]
pub(super) fn ask(row: &[f32]) {
    row.chunks(LANES).for_each(|line| prefetch(line.as_ptr()));
}

/// Packs rows one after the other, with zeros up to whole vectors.
///
/// # Safety
/// The instruction set of `L` is available; `to` holds `count` rows of `row_stride(width)`.
#[inline(always)]
pub(super) unsafe fn pack_rows<'a, L: Lanes>(
    to: &mut [f32],
    width: usize,
    count: usize,
    factor: f32,
    row: impl Fn(usize) -> &'a [f32],
) {
    let stride = row_stride(width);
    for (index, to) in to.chunks_exact_mut(stride).take(count).enumerate() {
        let row = row(index);
        for at in (0..width).step_by(LANES) {
            // SAFETY: inside the row, and inside its place, which holds whole vectors.
            unsafe { load_at::<L>(row, at).mul(L::splat(factor)).store(to.as_mut_ptr().add(at)) };
        }
    }
}

/// Packs rows as the columns of `[width][lanes]`, with zeros in the lanes behind the `count` rows.
///
/// # Safety
/// The instruction set of `L` is available; `to` holds `width * lanes`, `lanes` are whole vectors and at least `count`.
#[inline(always)]
pub(super) unsafe fn pack_columns<'a, L: Lanes>(
    to: &mut [f32],
    width: usize,
    lanes: usize,
    count: usize,
    factor: f32,
    row: impl Fn(usize) -> &'a [f32],
) {
    for first in (0..lanes).step_by(LANES) {
        let rows: [&[f32]; LANES] =
            std::array::from_fn(|lane| if first + lane < count { row(first + lane) } else { &[] });
        for at in (0..width).step_by(LANES) {
            // SAFETY: inside the rows, and inside the columns.
            unsafe {
                let mut vectors = [L::splat(0.0); LANES];
                for (vector, row) in vectors.iter_mut().zip(rows) {
                    if !row.is_empty() {
                        *vector = load_at(row, at);
                    }
                }
                let columns = L::transpose(vectors);
                for (index, column) in columns.iter().enumerate().take(width - at) {
                    column.mul(L::splat(factor)).store(to.as_mut_ptr().add((at + index) * lanes + first));
                }
            }
        }
    }
}

/// Writes a packed row times `factor`, or adds it.
///
/// # Safety
/// The instruction set of `L` is available; `from` holds whole vectors for all of `to`.
#[inline(always)]
pub(super) unsafe fn write_row<L: Lanes>(to: &mut [f32], from: &[f32], factor: f32, accumulate: bool) {
    for at in (0..to.len()).step_by(LANES) {
        // SAFETY: inside both.
        unsafe {
            let mut value = L::load(from[at..][..LANES].as_ptr()).mul(L::splat(factor));
            if accumulate {
                value = value.add(load_at(to, at));
            }
            store_at(to, at, value);
        }
    }
}
