//! Cutting a flat slice into pieces of one fixed size, and reading and writing its last, shorter lanes.
use crate::{
    Context,
    simd::{LANES, Lanes},
};

/// Elements of a piece of an elementwise kernel: 64 KiB, large against the cost of handing it out.
pub(crate) const PIECE: usize = 16 * 1024;

/// Calls `work(start, length)` for each piece of `0..length`, on the pool.
pub(crate) fn for_pieces(ctx: &Context, length: usize, work: impl Fn(usize, usize) + Sync) {
    ctx.pool.run(length.div_ceil(PIECE), &|piece| {
        let start = piece * PIECE;
        work(start, PIECE.min(length - start));
    });
}

/// Lanes `at..at + 16` of a slice, zeros behind its end.
///
/// # Safety
/// The instruction set of `L` is available, and `at <= from.len()`.
#[inline(always)]
pub(crate) unsafe fn load_at<L: Lanes>(from: &[f32], at: usize) -> L {
    let left = from.len() - at;
    // SAFETY: inside the slice: all 16 floats, or the `left` that remain.
    unsafe {
        let from = from.as_ptr().add(at);
        if left >= LANES { L::load(from) } else { L::load_first(from, left) }
    }
}

/// Writes lanes to `at..at + 16` of a slice, leaving out those behind its end.
///
/// # Safety
/// The instruction set of `L` is available, and `at <= to.len()`.
#[inline(always)]
pub(crate) unsafe fn store_at<L: Lanes>(to: &mut [f32], at: usize, value: L) {
    let left = to.len() - at;
    // SAFETY: inside the slice: all 16 floats, or the `left` that remain.
    unsafe {
        let to = to.as_mut_ptr().add(at);
        if left >= LANES { value.store(to) } else { value.store_first(to, left) }
    }
}
