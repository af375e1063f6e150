//! Sums of squares over the rows and columns of a matrix, in f64 and in one order for any number of threads.
use crate::{
    Context,
    pieces::PIECE,
    shared::Shared,
    simd::{Kernel, Lanes},
};

/// Pieces that sums of columns are made of at most: each has a row of sums.
const PIECES: usize = 16;

/// Rows of a piece of a matrix.
pub(crate) fn rows_per_piece(rows: usize, columns: usize) -> usize {
    (PIECE / columns.max(1)).max(rows.div_ceil(PIECES)).max(1)
}

struct Columns<'a> {
    x: &'a [f32],
    sums: &'a mut [f64],
}

impl Kernel for Columns<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        for row in self.x.chunks_exact(self.sums.len()) {
            for (sum, &x) in self.sums.iter_mut().zip(row) {
                *sum += f64::from(x) * f64::from(x);
            }
        }
    }
}

/// Sum of squares of each row of `[rows, columns]`.
pub(crate) fn of_rows(ctx: &Context, x: &[f32], columns: usize) -> Vec<f64> {
    let rows = x.len().checked_div(columns).unwrap_or(0);
    let mut sums = vec![0.0; rows];
    let step = rows_per_piece(rows, columns);
    let shared = Shared::new(&mut sums);
    ctx.pool.run(rows.div_ceil(step), &|piece| {
        let first = piece * step;
        // SAFETY: a row belongs to one piece.
        let sums = unsafe { shared.part(first, step.min(rows - first)) };
        for (row, sum) in sums.iter_mut().enumerate() {
            *sum = ctx.simd.run(crate::clip::Squares(&x[(first + row) * columns..][..columns]));
        }
    });
    sums
}

/// Sum of squares of each column of `[rows, columns]`.
pub(crate) fn of_columns(ctx: &Context, x: &[f32], columns: usize) -> Vec<f64> {
    let mut sums = vec![0.0; columns];
    let rows = x.len().checked_div(columns).unwrap_or(0);
    let step = rows_per_piece(rows, columns);
    let pieces = rows.div_ceil(step);
    let mut partial = vec![0.0; pieces * columns];
    let shared = Shared::new(&mut partial);
    ctx.pool.run(pieces, &|piece| {
        let first = piece * step;
        // SAFETY: each piece has its own sums.
        let sums = unsafe { shared.part(piece * columns, columns) };
        ctx.simd.run(Columns { x: &x[first * columns..][..step.min(rows - first) * columns], sums });
    });
    for partial in partial.chunks_exact(columns.max(1)) {
        for (sum, partial) in sums.iter_mut().zip(partial) {
            *sum += partial;
        }
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::{of_columns, of_rows};
    use crate::testing::{Random, contexts};

    #[test]
    fn sums_are_those_of_f64_with_the_same_bits_everywhere() {
        for (rows, columns) in [(0, 3), (1, 1), (5, 7), (33, 1), (3, 40_000), (900, 65)] {
            let x = Random::new(7).floats(rows * columns);
            let square = |row: usize, column: usize| f64::from(x[row * columns + column]).powi(2);
            let by_rows: Vec<f64> = (0..rows).map(|row| (0..columns).map(|column| square(row, column)).sum()).collect();
            let by_columns: Vec<f64> =
                (0..columns).map(|column| (0..rows).map(|row| square(row, column)).sum()).collect();
            let mut first = None;
            for ctx in contexts() {
                let found = (of_rows(&ctx, &x, columns), of_columns(&ctx, &x, columns));
                for (found, expected) in [(&found.0, &by_rows), (&found.1, &by_columns)] {
                    assert_eq!(found.len(), expected.len());
                    for (found, expected) in found.iter().zip(expected) {
                        assert!((found - expected).abs() <= 1e-12 * expected, "{found}, expected {expected}");
                    }
                }
                assert_eq!(found, *first.get_or_insert_with(|| found.clone()));
            }
        }
    }
}
