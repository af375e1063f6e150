//! A random orthogonal matrix.
use crate::{Context, random::RandomKey, shared::Shared};

/// Columns that are made orthogonal to all earlier ones at once.
const PANEL: usize = 16;

/// Eight sums, so that the compiler may use SIMD; their order is fixed.
fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut sums = [0.0; 8];
    let (a, b) = (a.chunks_exact(8), b.chunks_exact(8));
    let rest: f64 = a.remainder().iter().zip(b.remainder()).map(|(x, y)| x * y).sum();
    for (a, b) in a.zip(b) {
        for lane in 0..8 {
            sums[lane] += a[lane] * b[lane];
        }
    }
    sums.iter().sum::<f64>() + rest
}

/// Takes from `column` what lies along `unit`.
fn remove(column: &mut [f64], unit: &[f64]) {
    let along = dot(column, unit);
    for (value, unit) in column.iter_mut().zip(unit) {
        *value -= along * unit;
    }
}

/// Replaces columns (each `length` long, one after the other, at most `length` of them) by the Q of their QR
/// decomposition with a positive diagonal of R, which is the Q that Keras gets by multiplying with the signs of that
/// diagonal. Gram and Schmidt's method, twice, is as orthogonal as Householder's.
pub(super) fn orthogonalize(ctx: &Context, columns: &mut [f64], length: usize) {
    let count = columns.len() / length.max(1);
    for start in (0..count).step_by(PANEL) {
        let (done, rest) = columns.split_at_mut(start * length);
        let width = PANEL.min(count - start);
        let panel = Shared::new(&mut rest[..width * length]);
        ctx.pool.run(width, &|index| {
            // SAFETY: each piece has its own column.
            let column = unsafe { panel.part(index * length, length) };
            for _ in 0..2 {
                done.chunks_exact(length).for_each(|unit| remove(column, unit));
            }
        });
        for index in 0..width {
            let (earlier, column) = rest.split_at_mut(index * length);
            let column = &mut column[..length];
            for _ in 0..2 {
                earlier.chunks_exact(length).for_each(|unit| remove(column, unit));
            }
            let norm = dot(column, column).sqrt();
            column.iter_mut().for_each(|value| *value /= norm);
        }
    }
}

/// Fills `out [rows, columns]` with `gain` times a matrix whose rows or columns, whichever are fewer, are orthonormal.
pub(super) fn fill(ctx: &Context, columns: usize, gain: f64, key: RandomKey, out: &mut [f32]) {
    if out.is_empty() {
        return;
    }
    let rows = out.len() / columns;
    let (length, count) = (rows.max(columns), rows.min(columns));
    let mut q: Vec<f64> = (0..length * count).map(|at| key.normal(at % length * count + at / length)).collect();
    orthogonalize(ctx, &mut q, length);
    for (at, value) in out.iter_mut().enumerate() {
        let (row, column) = (at / columns, at % columns);
        let (long, short) = if rows < columns { (column, row) } else { (row, column) };
        *value = (gain * q[short * length + long]) as f32;
    }
}
