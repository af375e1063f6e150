//! Between rows of memory and panels of 16 rows, transposing registers.
#![allow(unsafe_op_in_unsafe_fn, reason = "every line works on raw memory under the contract of its function")]
use crate::simd::{LANES, Lanes};

/// Addresses of the rows of 16 lanes; lanes without a row are 0 when read and left out when written.
pub(crate) type Sources = [Option<*const f32>; LANES];
/// As [`Sources`], to write to.
pub(crate) type Targets = [Option<*mut f32>; LANES];

/// What lanes without a row read.
static ZEROS: [f32; LANES] = [0.0; LANES];

/// 16 features of 16 rows from feature `at` on, as panel vectors; features behind `features` are 0.
#[inline(always)]
pub(crate) unsafe fn gather<L: Lanes>(rows: &Sources, at: usize, features: usize) -> [L; LANES] {
    let mut vectors = [L::splat(0.0); LANES];
    let count = features - at;
    // Each of the loops sets all vectors, or they would be written to memory as zeros first.
    if count >= LANES {
        for (vector, row) in vectors.iter_mut().zip(rows) {
            *vector = L::load(row.map_or(ZEROS.as_ptr(), |row| row.add(at)));
        }
        return L::transpose(vectors);
    }
    for (vector, row) in vectors.iter_mut().zip(rows) {
        *vector = L::load_first(row.map_or(ZEROS.as_ptr(), |row| row.add(at)), count);
    }
    L::transpose(vectors)
}

/// Sets a panel `[features][16]` to the rows, times a panel of factors if there is one.
///
/// # Safety
/// Rows have `features` floats, the panel (and the factors) 16 times as many; the path `L` is available.
#[inline(always)]
pub(crate) unsafe fn pack<L: Lanes>(panel: *mut f32, rows: &Sources, features: usize, factors: Option<*const f32>) {
    for at in (0..features).step_by(LANES) {
        let mut vectors = gather::<L>(rows, at, features);
        if let Some(factors) = factors {
            for (feature, vector) in vectors.iter_mut().enumerate().take(features - at) {
                *vector = vector.mul(L::load(factors.add((at + feature) * LANES)));
            }
        }
        for (feature, vector) in vectors.iter().enumerate().take(features - at) {
            vector.store(panel.add((at + feature) * LANES));
        }
    }
}

/// Adds the rows to a panel.
///
/// # Safety
/// As for [`pack`].
#[inline(always)]
pub(crate) unsafe fn add<L: Lanes>(panel: *mut f32, rows: &Sources, features: usize) {
    for at in (0..features).step_by(LANES) {
        let vectors = gather::<L>(rows, at, features);
        for (feature, vector) in vectors.iter().enumerate().take(features - at) {
            let to = panel.add((at + feature) * LANES);
            L::load(to).add(*vector).store(to);
        }
    }
}

/// 16 features of a panel from feature `at` on, as 16 rows; features behind `features` are 0.
#[inline(always)]
unsafe fn scatter<L: Lanes>(panel: *const f32, at: usize, features: usize) -> [L; LANES] {
    let from = panel.add(at * LANES);
    if features - at >= LANES {
        let mut vectors = [L::splat(0.0); LANES];
        for (feature, vector) in vectors.iter_mut().enumerate() {
            *vector = L::load(from.add(feature * LANES));
        }
        return L::transpose(vectors);
    }
    let mut vectors = [L::splat(0.0); LANES];
    for (feature, vector) in vectors.iter_mut().enumerate().take(features - at) {
        *vector = L::load(from.add(feature * LANES));
    }
    L::transpose(vectors)
}

/// Sets a panel `[features][16]` to tiles of 16 rows of 16 features; `tile(at)` has the features from `at` on.
///
/// # Safety
/// As for [`pack`]; a tile has 256 floats.
#[inline(always)]
pub(crate) unsafe fn from_tiles<L: Lanes>(panel: *mut f32, features: usize, tile: impl Fn(usize) -> *const f32) {
    for at in (0..features).step_by(LANES) {
        let tile = tile(at);
        let rows = std::array::from_fn(|row| Some(tile.wrapping_add(row * LANES)));
        for (feature, vector) in gather::<L>(&rows, 0, LANES).iter().enumerate().take(features - at) {
            vector.store(panel.add((at + feature) * LANES));
        }
    }
}

/// Sets the rows to a panel, or adds it to them; `tile(at)`, if it gives an address, gets all 16 rows of the features from
/// `at` on, one behind the other.
///
/// # Safety
/// As for [`pack`]; a tile has room for 256 floats.
#[inline(always)]
pub(crate) unsafe fn unpack<L: Lanes>(
    panel: *const f32,
    rows: &Targets,
    features: usize,
    accumulate: bool,
    tile: impl Fn(usize) -> Option<*mut f32>,
) {
    for at in (0..features).step_by(LANES) {
        let vectors = scatter::<L>(panel, at, features);
        if let Some(tile) = tile(at) {
            for (row, vector) in vectors.iter().enumerate() {
                vector.store(tile.add(row * LANES));
            }
        }
        let count = features - at;
        for (row, vector) in rows.iter().zip(&vectors) {
            let Some(row) = row else { continue };
            let to = row.add(at);
            match (accumulate, count >= LANES) {
                (false, true) => vector.store(to),
                (true, true) => vector.add(L::load(to)).store(to),
                (false, false) => vector.store_first(to, count),
                (true, false) => vector.add(L::load_first(to, count)).store_first(to, count),
            }
        }
    }
}
