//! Sums over segments that are drawn with replacement, for bootstraps of scores that are made of sums.
//!
//! # Source
//! Efron, "Bootstrap methods: another look at the jackknife" (1979).
//!
//! # Legend
//! `N` segments with `W` numbers each; `K` samples of `N` segments.
#[cfg(test)]
mod tests;

use crate::{Context, random::RandomKey, rows::for_rows};

/// Marks these random numbers among others with the same seed.
const STREAM: u64 = 0x626f_6f74;

/// `sums[k, w]`: the sum of `rows[n, w]` over the segments `n` of sample `first + k`, added in the order in which they are drawn. What is
/// drawn follows from the seed and the number of the sample alone. On the pool of a context, or without one on this thread.
///
/// # Shapes
/// `rows`: `[N, W]`; `sums`: `[K, W]`.
///
/// # Panics
/// If lengths do not fit, there are no segments, or more than 2^32.
pub fn sample_sums(context: Option<&Context>, rows: &[f64], width: usize, seed: u64, first: u32, sums: &mut [f64]) {
    assert!(width > 0 && rows.len().is_multiple_of(width), "resampling: {} numbers, not whole rows", rows.len());
    assert!(sums.len().is_multiple_of(width), "resampling: length of the sums");
    let segments = rows.len() / width;
    assert!(segments > 0 && u32::try_from(segments).is_ok(), "resampling: {segments} segments");
    let work = |place: usize, sums: &mut [f64]| {
        for (sums, sample) in sums.chunks_exact_mut(width).zip(first + place as u32..) {
            one_sample(rows, segments, seed, sample, sums);
        }
    };
    match context {
        Some(context) => for_rows(context, sums, width, rows.len(), work),
        None => work(0, sums),
    }
}

fn one_sample(rows: &[f64], segments: usize, seed: u64, sample: u32, sums: &mut [f64]) {
    let key = RandomKey { seed, step: STREAM << 32, node: sample };
    sums.fill(0.0);
    let width = sums.len();
    // A block of four words has the number of the first draw that it serves.
    for first in (0..segments).step_by(4) {
        let words = key.block(first as u32);
        for word in &words[..4.min(segments - first)] {
            let segment = (f64::from(*word) / 4_294_967_296.0 * segments as f64) as usize;
            sums.iter_mut().zip(&rows[segment * width..][..width]).for_each(|(sum, &number)| *sum += number);
        }
    }
}
