//! A penalty on vectors that are not orthogonal to each other.
use crate::{
    Context, Destination,
    buffer::Buffer,
    clip::Squares,
    matmul::{MatmulOptions, MatmulShape, matmul},
};

/// Norms count as at least this, `keras.config.epsilon()`.
const EPSILON: f64 = 1e-7;

/// Which vectors of a matrix are to be orthogonal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Vectors {
    /// The rows.
    Rows,
    /// The columns.
    Columns,
}

/// `factor` times the mean of `|n_i n_j|` over all pairs of normalised vectors of the matrix `[rows, columns]`; its gradient
/// times `scale` is added to `gradients`, if they are given. A single vector has no penalty (in Keras it is not a number).
///
/// # Panics
/// If a slice has another length than the matrix.
pub fn orthogonal(
    ctx: &Context,
    (factor, vectors): (f64, Vectors),
    (rows, columns): (usize, usize),
    weights: &[f32],
    gradients: Option<(f64, &mut [f32])>,
) -> f64 {
    assert_eq!(weights.len(), rows * columns, "orthogonal: length of the matrix");
    let (count, width) = if vectors == Vectors::Rows { (rows, columns) } else { (columns, rows) };
    if count < 2 || width == 0 {
        return 0.0;
    }
    let place = |vector: usize, element: usize| match vectors {
        Vectors::Rows => vector * columns + element,
        Vectors::Columns => element * columns + vector,
    };
    let mut normal = Buffer::new(weights.len());
    let mut inverse = Vec::with_capacity(count);
    for (vector, normal) in normal.chunks_exact_mut(width).enumerate() {
        for (element, value) in normal.iter_mut().enumerate() {
            *value = weights[place(vector, element)];
        }
        let factor = (1.0 / ctx.simd.run(Squares(normal)).sqrt()).min(1.0 / EPSILON) as f32;
        normal.iter_mut().for_each(|value| *value *= factor);
        inverse.push(factor);
    }
    let mut products = Buffer::zeros(count * count);
    let shape = MatmulShape { rows: count, columns: count, inner: width };
    let options = MatmulOptions { transpose_b: true, ..MatmulOptions::default() };
    matmul(ctx, Destination { data: &mut products, accumulate: false }, &normal, &normal, shape, options);
    let mut sum = 0.0f64;
    for (i, row) in products.chunks_exact_mut(count).enumerate() {
        row[i] = 0.0;
        sum += row.iter().map(|&product| f64::from(product.abs())).sum::<f64>();
        // From here on their signs.
        for product in row {
            *product = if *product == 0.0 { 0.0 } else { product.signum() };
        }
    }
    let pairs = count as f64 * (count as f64 - 1.0) / 2.0;
    if let Some((scale, gradients)) = gradients {
        assert_eq!(gradients.len(), weights.len(), "orthogonal: one gradient a weight is needed");
        let mut direction = Buffer::zeros(weights.len());
        let shape = MatmulShape { rows: count, columns: width, inner: count };
        let destination = Destination { data: &mut direction, accumulate: false };
        matmul(ctx, destination, &products, &normal, shape, MatmulOptions::default());
        let scale = scale * factor / pairs;
        for (vector, (direction, normal)) in direction.chunks_exact(width).zip(normal.chunks_exact(width)).enumerate() {
            // A vector shorter than epsilon is only scaled.
            let along: f64 = if f64::from(inverse[vector]) < 1.0 / EPSILON {
                direction.iter().zip(normal).map(|(&d, &n)| f64::from(d) * f64::from(n)).sum()
            } else {
                0.0
            };
            for (element, (&d, &n)) in direction.iter().zip(normal).enumerate() {
                let across = (f64::from(d) - f64::from(n) * along) * f64::from(inverse[vector]);
                gradients[place(vector, element)] += (scale * across) as f32;
            }
        }
    }
    factor * 0.5 * sum / pairs
}
