//! Cutting work over the pool: by sizes alone, so that results do not depend on the number of threads.
use std::sync::{Mutex, PoisonError};

use sconce_kernels::Context;

/// Elements of a piece: large against the cost of handing it out.
pub(super) const PIECE: usize = 16 * 1024;

/// Calls `work` with the number of the first element of a piece and its elements.
pub(super) fn for_pieces<T: Send>(
    context: &Context,
    data: &mut [T],
    length: usize,
    work: impl Fn(usize, &mut [T]) + Sync,
) {
    if data.is_empty() {
        return;
    }
    let length = length.max(1);
    if data.len() <= length {
        work(0, data);
        return;
    }
    let pieces: Vec<_> = data.chunks_mut(length).map(Mutex::new).collect();
    context.pool.run(pieces.len(), &|piece| {
        // Each piece is taken once: nobody waits.
        let mut part = pieces[piece].lock().unwrap_or_else(PoisonError::into_inner);
        work(piece * length, &mut part);
    });
}

/// Calls `work` with the number of the first row and some rows of `width` elements, until all rows had their turn.
pub(super) fn for_rows<T: Send>(
    context: &Context,
    data: &mut [T],
    width: usize,
    work: impl Fn(usize, &mut [T]) + Sync,
) {
    let Some(rows) = PIECE.checked_div(width) else { return };
    for_pieces(context, data, rows.max(1) * width, |start, part| work(start / width, part));
}
