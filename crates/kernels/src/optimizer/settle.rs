//! Averages of rows that had no gradient for some steps: they only decay, which is made up for when it matters.

/// A count of steps as it is kept for rows; saturates.
pub(super) fn step_number(iteration: u64) -> u32 {
    u32::try_from(iteration).unwrap_or(u32::MAX)
}

/// What averages keep over the steps from `last` to `now`.
pub(super) fn kept(rho: f64, last: u32, now: u32) -> f32 {
    rho.powi(i32::try_from(now.saturating_sub(last)).unwrap_or(i32::MAX)) as f32
}

/// Notes that rows are decayed up to step `now`.
pub(super) fn touch(last: &mut [u32], rows: &[u32], now: u32) {
    for &row in rows {
        last[row as usize] = now;
    }
}

/// Decays the averages `[V, width]` of every row up to step `iteration`.
pub(super) fn settle(rho: f64, width: usize, iteration: u64, averages: &mut [&mut [f32]], last: &mut [u32]) {
    let now = step_number(iteration);
    for average in averages {
        assert_eq!(average.len(), last.len() * width, "optimizer: one step number a row is needed");
        for (row, &last) in average.chunks_exact_mut(width.max(1)).zip(&*last) {
            let kept = kept(rho, last, now);
            row.iter_mut().for_each(|value| *value *= kept);
        }
    }
    last.fill(now);
}
