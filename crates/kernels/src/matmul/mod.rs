//! General matrix product of row-major matrices, also over a batch.
mod few;
mod masked;
mod sparse;
mod task;

#[cfg(test)]
pub(crate) mod reference;
#[cfg(test)]
mod tests;

use crate::{Context, Destination, Precision, shared::Shared};
pub(crate) use masked::{Mask, MaskedTask};
pub(crate) use task::{Grid, Share, Task};

/// Sides of a product `c[rows, columns] = a[rows, inner] b[inner, columns]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MatmulShape {
    /// Rows of `c`.
    pub rows: usize,
    /// Columns of `c`.
    pub columns: usize,
    /// Length of the sums.
    pub inner: usize,
}

/// How the operands of a product lie in memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MatmulOptions {
    /// `a` is stored `[inner, rows]`.
    pub transpose_a: bool,
    /// `b` is stored `[columns, inner]`.
    pub transpose_b: bool,
}

/// A batch of products: how many, and how many floats apart their operands and results are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MatmulBatch {
    /// Number of products.
    pub count: usize,
    /// Distance of the left operands; 0 uses the same one for all.
    pub a: usize,
    /// Distance of the right operands; 0 uses the same one for all.
    pub b: usize,
    /// Distance of the results, at least `rows * columns`.
    pub c: usize,
}

/// Products with fewer multiply-adds than this are not worth a second thread; a batch hands out groups of this size.
const SMALL: usize = 1 << 20;

/// A side below this length makes a product that is not worth rounding its operands.
const NARROW: usize = 32;

/// The precision of a product that a context asks for: `f32` if one of the sides `lengths` is short.
pub(crate) fn precision<const N: usize>(context: &Context, lengths: [usize; N]) -> Precision {
    if lengths.iter().all(|&length| length >= NARROW) { context.precision } else { Precision::Float32 }
}

/// `c = op(a) op(b)`, or `c += op(a) op(b)`; in the precision of the context if no side is shorter than 32.
///
/// Of a large product with many zeros these are left out: an infinity or NaN that meets one is lost.
///
/// # Shapes
/// `a`: `[rows, inner]` or, transposed, `[inner, rows]`; `b`: `[inner, columns]` or `[columns, inner]`;
/// `c`: `[rows, columns]`.
///
/// # Panics
/// If a slice has another length.
pub fn matmul(context: &Context, c: Destination<'_>, a: &[f32], b: &[f32], shape: MatmulShape, options: MatmulOptions) {
    let MatmulShape { rows, columns, inner } = shape;
    assert_eq!(a.len(), rows * inner, "matmul: length of a");
    assert_eq!(b.len(), inner * columns, "matmul: length of b");
    assert_eq!(c.data.len(), rows * columns, "matmul: length of c");
    let accumulate = c.accumulate;
    let precision = precision(context, [rows, columns, inner]);
    let task = Task { a, b, c: Shared::new(c.data), accumulate, bias: None, shape, options, precision };
    task.run(context);
}

/// A batch of products as in [`matmul`]: product `i` takes its operands from `i * batch.a` and `i * batch.b` on and writes
/// to `i * batch.c`.
///
/// # Panics
/// If a slice is too short, or results would overlap.
pub fn matmul_batched(
    context: &Context,
    c: Destination<'_>,
    a: &[f32],
    b: &[f32],
    shape: MatmulShape,
    options: MatmulOptions,
    batch: MatmulBatch,
) {
    let MatmulShape { rows, columns, inner } = shape;
    let Some(last) = batch.count.checked_sub(1) else { return };
    assert!(a.len() >= last * batch.a + rows * inner, "matmul: length of a");
    assert!(b.len() >= last * batch.b + inner * columns, "matmul: length of b");
    assert!(c.data.len() >= last * batch.c + rows * columns, "matmul: length of c");
    assert!(last == 0 || batch.c >= rows * columns, "matmul: results overlap");
    let accumulate = c.accumulate;
    let whole = Shared::new(c.data);
    let precision = precision(context, [rows, columns, inner]);
    let task = |index: usize| {
        // SAFETY: results do not overlap, and each is made by one task.
        let c = Shared::new(unsafe { whole.part(index * batch.c, rows * columns) });
        let (a, b) = (&a[index * batch.a..][..rows * inner], &b[index * batch.b..][..inner * columns]);
        Task { a, b, c, accumulate, bias: None, shape, options, precision }
    };
    let work = rows * columns * inner.max(1);
    if work >= 16 * SMALL {
        (0..batch.count).for_each(|index| task(index).run(context));
        return;
    }
    let group = (SMALL / work.max(1)).clamp(1, batch.count.div_ceil(16));
    context.pool.run(batch.count.div_ceil(group), &|piece| {
        for index in piece * group..batch.count.min((piece + 1) * group) {
            task(index).run_here(context.simd);
        }
    });
}
