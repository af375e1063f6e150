//! Vectors of length 1 along an axis.
use sconce_kernels::buffer::Buffer;

use super::pieces::for_rows;
use crate::{backend::cpu::Run, error::Result, plan::Node, tensor::Tensor};

/// Factor of vectors that are too short, the inverse of Keras' epsilon.
const LARGEST: f64 = 1e7;

/// Vectors along an axis: their length, and how far apart their elements are.
fn vectors(shape: &[usize], axis: usize) -> (usize, usize) {
    (shape[axis], shape[axis + 1..].iter().product())
}

impl Run<'_> {
    pub(super) fn normalize_forward(&self, node: &Node, axis: usize) -> Result<Tensor> {
        let x = self.value(node.inputs[0])?;
        let floats = x.floats()?;
        let (length, step) = vectors(&x.shape, axis);
        let mut y = Buffer::new(floats.len());
        for_rows(self.context, &mut y, length * step, |first, y| {
            let x = &floats[first * length * step..][..y.len()];
            for (x, y) in x.chunks_exact(length * step).zip(y.chunks_exact_mut(length * step)) {
                for at in 0..step {
                    let squares: f64 = x[at..].iter().step_by(step).map(|&x| f64::from(x) * f64::from(x)).sum();
                    let factor = squares.sqrt().recip().min(LARGEST) as f32;
                    let pairs = y[at..].iter_mut().step_by(step).zip(x[at..].iter().step_by(step));
                    pairs.for_each(|(y, x)| *y = x * factor);
                }
            }
        });
        Ok(Tensor::float(x.shape.clone(), y))
    }

    pub(super) fn normalize_backward(&mut self, node: &Node, axis: usize, dy: &[f32]) -> Result<()> {
        let input = node.inputs[0];
        let x = self.value(input)?;
        let floats = x.floats()?;
        let (length, step) = vectors(&x.shape, axis);
        let mut dx = Buffer::new(floats.len());
        for_rows(self.context, &mut dx, length * step, |first, dx| {
            let range = first * length * step..first * length * step + dx.len();
            let vectors = floats[range.clone()].chunks_exact(length * step).zip(dy[range].chunks_exact(length * step));
            for ((x, dy), dx) in vectors.zip(dx.chunks_exact_mut(length * step)) {
                for at in 0..step {
                    let pairs = || x[at..].iter().step_by(step).zip(dy[at..].iter().step_by(step));
                    let (squares, along) = pairs().fold((0.0f64, 0.0f64), |(squares, along), (&x, &dy)| {
                        (squares + f64::from(x) * f64::from(x), along + f64::from(x) * f64::from(dy))
                    });
                    let factor = squares.sqrt().recip();
                    // Where the factor is the largest one it is constant.
                    let (factor, back) =
                        if factor < LARGEST { (factor, along * factor.powi(3)) } else { (LARGEST, 0.0) };
                    for (dx, (&x, &dy)) in dx[at..].iter_mut().step_by(step).zip(pairs()) {
                        *dx = (f64::from(dy) * factor - f64::from(x) * back) as f32;
                    }
                }
            }
        });
        self.give(input, dx);
        Ok(())
    }
}
