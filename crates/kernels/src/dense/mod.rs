//! A linear layer `y = x W^T + b`, without activation.
#[cfg(test)]
mod tests;

use crate::{
    Context, Destination,
    matmul::{Mask, MaskedTask, MatmulOptions, MatmulShape, Task, precision},
    shared::Shared,
    simd::{Kernel, LANES, Lanes},
};

/// Sizes of a linear layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DenseShape {
    /// Rows of `x` and `y`, all leading dimensions together.
    pub rows: usize,
    /// Features of `x`.
    pub input: usize,
    /// Features of `y`.
    pub units: usize,
}

/// `y = x W^T + b`. The result of a row does not depend on the other rows.
///
/// In the precision of the context, if neither features nor units are fewer than 32.
///
/// # Shapes
/// `x`: `[rows, input]`, `kernel`: `[units, input]`, `bias`: `[units]`, `y`: `[rows, units]`.
///
/// # Panics
/// If a slice has another length.
pub fn forward(context: &Context, shape: DenseShape, x: &[f32], kernel: &[f32], bias: Option<&[f32]>, y: &mut [f32]) {
    let DenseShape { rows, input, units } = shape;
    assert_eq!(x.len(), rows * input, "dense: length of x");
    assert_eq!(kernel.len(), units * input, "dense: length of kernel");
    assert!(bias.is_none_or(|bias| bias.len() == units), "dense: length of bias");
    assert_eq!(y.len(), rows * units, "dense: length of y");
    let task = Task {
        a: x,
        b: kernel,
        c: Shared::new(y),
        accumulate: false,
        bias,
        shape: MatmulShape { rows, columns: units, inner: input },
        options: MatmulOptions { transpose_a: false, transpose_b: true },
        // Whatever the number of rows: that of the others changes nothing.
        precision: precision(context, [input, units]),
    };
    task.run(context);
}

/// The gradients that are asked for.
///
/// With `rectified` `x` is what a ReLU made, in part dropped, times this factor. `dx` then counts for nothing where `x` is 0.
/// If it is faster to leave that out, `dx` becomes the gradient of the input of the ReLU instead, and the answer is true.
///
/// # Shapes
/// `dy`: `[rows, units]`; `dx`, `dkernel`, `dbias` as `x`, `kernel`, `bias` of [`forward`].
///
/// # Gradient
/// `dx = dy W`, `dW = dy^T x`, `db = sum of the rows of dy`.
///
/// # Panics
/// If a slice has another length.
#[allow(clippy::too_many_arguments, reason = "operands and destinations of one formula")]
pub fn backward(
    context: &Context,
    shape: DenseShape,
    x: &[f32],
    rectified: Option<f32>,
    kernel: &[f32],
    dy: &[f32],
    dx: Option<Destination<'_>>,
    dkernel: Option<Destination<'_>>,
    dbias: Option<Destination<'_>>,
) -> bool {
    let DenseShape { rows, input, units } = shape;
    let product = |c: Destination<'_>, b: &[f32], shape: MatmulShape, transpose_a, mask: Option<Mask<'_>>| {
        assert_eq!(dy.len(), rows * units, "dense: length of dy");
        assert_eq!(b.len(), shape.inner * shape.columns, "dense: length of x or kernel");
        assert_eq!(c.data.len(), shape.rows * shape.columns, "dense: length of a gradient");
        let task = Task {
            a: dy,
            b,
            accumulate: c.accumulate,
            c: Shared::new(c.data),
            bias: None,
            shape,
            options: MatmulOptions { transpose_a, transpose_b: false },
            precision: precision(context, [input, units]),
        };
        let masked = mask.and_then(|mask| MaskedTask::find(&task, mask, context.simd));
        match masked {
            Some(masked) => masked.run(context),
            None => task.run(context),
        }
        masked.is_some()
    };
    let mut through = false;
    if let Some(dx) = dx {
        let mask = rectified.map(|factor| Mask { values: x, factor });
        through = product(dx, kernel, MatmulShape { rows, columns: input, inner: units }, false, mask);
    }
    if let Some(dkernel) = dkernel {
        product(dkernel, x, MatmulShape { rows: units, columns: input, inner: rows }, true, None);
    }
    if let Some(dbias) = dbias {
        add_rows(context, dbias, dy, rows);
    }
    through
}

/// Sums the `rows` rows of `values` into `sum`.
fn add_rows(context: &Context, sum: Destination<'_>, values: &[f32], rows: usize) {
    /// Columns of a piece: whole lines, enough of them for the prefetcher.
    const WIDTH: usize = 512;
    let columns = sum.data.len();
    assert_eq!(values.len(), rows * columns, "dense: length of dy");
    let accumulate = sum.accumulate;
    let whole = Shared::new(sum.data);
    context.pool.run(columns.div_ceil(WIDTH), &|piece| {
        let first = piece * WIDTH;
        // SAFETY: each column belongs to one piece.
        let sum = unsafe { whole.part(first, WIDTH.min(columns - first)) };
        if !accumulate {
            sum.fill(0.0);
        }
        if rows > 0 {
            context.simd.run(AddRows { sum, values: &values[first..], stride: columns, rows });
        }
    });
}

struct AddRows<'a> {
    sum: &'a mut [f32],
    values: &'a [f32],
    stride: usize,
    rows: usize,
}

impl Kernel for AddRows<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        for (block, sum) in self.sum.chunks_mut(LANES).enumerate() {
            let mut from = self.values[block * LANES..].as_ptr();
            // SAFETY: `rows` rows with at least as many columns as the sum.
            unsafe {
                let mut total = L::load_first(sum.as_ptr(), sum.len());
                for _ in 0..self.rows {
                    total = total.add(L::load_first(from, sum.len()));
                    from = from.wrapping_add(self.stride);
                }
                total.store_first(sum.as_mut_ptr(), sum.len());
            }
        }
    }
}
