//! Work on many texts, cut by their sizes alone.
use std::sync::{Mutex, PoisonError};

use super::{Result, TokenizerError};
use crate::Run;

/// Bytes of text that one piece of work takes.
pub(super) const WORK: usize = 1 << 15;
fn cancelled_error(flag: bool) -> Result<()> {
    if flag { Err(TokenizerError::cancelled()) } else { Ok(()) }
}

/// Ids of a text.
pub(super) struct Row<'ids>(pub(super) &'ids [i32]);

/// What work weighs, in bytes.
pub(super) trait Weight {
    fn weight(&self) -> usize;
}

impl<T: AsRef<str>> Weight for T {
    fn weight(&self) -> usize {
        self.as_ref().len() + 16
    }
}

impl Weight for Row<'_> {
    fn weight(&self) -> usize {
        4 * self.0.len() + 16
    }
}

/// Works on items in runs of some size, cut by sizes alone, with the number of the first; the results in order.
pub(super) fn in_parallel<I: Weight + Sync, T: Send>(
    items: &[I],
    run: Run<'_>,
    cancelled: &(dyn Fn() -> bool + Sync),
    work: impl Fn(usize, &[I]) -> Result<T> + Sync,
) -> Result<Vec<T>> {
    let mut ranges = Vec::new();
    let (mut start, mut weight) = (0, 0);
    for (index, item) in items.iter().enumerate() {
        weight += item.weight();
        if weight >= WORK {
            ranges.push(start..index + 1);
            (start, weight) = (index + 1, 0);
        }
    }
    if start < items.len() {
        ranges.push(start..items.len());
    }
    let results: Vec<Mutex<Option<Result<T>>>> = ranges.iter().map(|_| Mutex::new(None)).collect();
    run(ranges.len(), &|piece| {
        let result = cancelled_error(cancelled()).and_then(|()| {
            let range = ranges[piece].clone();
            work(range.start, &items[range])
        });
        *results[piece].lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
    });
    let done = results.into_iter().map(|result| {
        let result = result.into_inner().unwrap_or_else(PoisonError::into_inner);
        result.unwrap_or_else(|| Err(TokenizerError::cancelled()))
    });
    done.collect()
}
