//! The product in `f64`.
use super::{MatmulOptions, MatmulShape};

/// `op(a) op(b)`, row-major.
pub(crate) fn matmul(a: &[f64], b: &[f64], shape: MatmulShape, options: MatmulOptions) -> Vec<f64> {
    let MatmulShape { rows, columns, inner } = shape;
    let a = |i: usize, k: usize| if options.transpose_a { a[k * rows + i] } else { a[i * inner + k] };
    let b = |k: usize, j: usize| if options.transpose_b { b[j * inner + k] } else { b[k * columns + j] };
    let element = |i: usize, j: usize| (0..inner).map(|k| a(i, k) * b(k, j)).sum();
    (0..rows).flat_map(|i| (0..columns).map(move |j| (i, j))).map(|(i, j)| element(i, j)).collect()
}
