//! Products of matrices, with broadcasting.
use sconce_kernels::{
    Context, Destination,
    buffer::Buffer,
    matmul::{MatmulBatch, MatmulOptions, MatmulShape, matmul, matmul_batched},
};

use super::Shapes;
use crate::{
    backend::cpu::{Run, backward::Slot},
    error::Result,
    ops::MatmulGeometry,
    plan::Node,
    tensor::Tensor,
};

/// One of the two gradients of a product: `c += op(left) op(right)` for each matrix.
struct Gradient<'a> {
    left: &'a [f32],
    right: &'a [f32],
    shape: MatmulShape,
    options: MatmulOptions,
    /// Matrices of left, right and result of each product, and whether they move from one to the next.
    moves: [bool; 3],
}

impl Gradient<'_> {
    fn add(&self, context: &Context, to: &mut [f32], accumulate: bool, starts: &[[usize; 3]], run: usize) {
        let MatmulShape { rows, columns, inner } = self.shape;
        let sizes = [rows * inner, inner * columns, rows * columns];
        let (left, right, single) = (sizes[0], sizes[1], sizes[2]);
        let repeated = to.len() < starts.len() * run * single;
        if repeated && !accumulate {
            to.fill(0.0);
        }
        for start in starts {
            if repeated && !self.moves[2] {
                // Several products go to one matrix: in the order of the batch.
                for index in 0..run {
                    let at = |side: usize| (start[side] + if self.moves[side] { index } else { 0 }) * sizes[side];
                    let c = Destination { data: &mut to[at(2)..][..single], accumulate: true };
                    let (a, b) = (&self.left[at(0)..][..left], &self.right[at(1)..][..right]);
                    matmul(context, c, a, b, self.shape, self.options);
                }
                continue;
            }
            let step = |side: usize| if self.moves[side] { sizes[side] } else { 0 };
            let batch = MatmulBatch { count: run, a: step(0), b: step(1), c: single };
            let c = Destination { data: &mut to[start[2] * single..], accumulate: accumulate || repeated };
            let (a, b) = (&self.left[start[0] * left..], &self.right[start[1] * right..]);
            matmul_batched(context, c, a, b, self.shape, self.options, batch);
        }
    }
}

impl Run<'_> {
    pub(super) fn matmul_forward(
        &self,
        node: &Node,
        transpose_a: bool,
        transpose_b: bool,
        sizes: Vec<usize>,
    ) -> Result<Tensor> {
        let (a, b) = (self.value(node.inputs[0])?, self.value(node.inputs[1])?);
        let geometry = MatmulGeometry::new(&a.shape, &b.shape, transpose_a, transpose_b);
        let MatmulGeometry { rows, columns, inner, run, moves_a, moves_b, ref starts } = geometry;
        let mut y = Buffer::new(sizes.iter().product());
        for (number, start) in starts.iter().enumerate() {
            let step = |moves: bool, size: usize| if moves { size } else { 0 };
            let batch = MatmulBatch {
                count: run,
                a: step(moves_a, rows * inner),
                b: step(moves_b, inner * columns),
                c: rows * columns,
            };
            let c = Destination { data: &mut y[number * run * rows * columns..], accumulate: false };
            let (a, b) = (&a.floats()?[start[0] * rows * inner..], &b.floats()?[start[1] * inner * columns..]);
            let shape = MatmulShape { rows, columns, inner };
            matmul_batched(self.context, c, a, b, shape, MatmulOptions { transpose_a, transpose_b }, batch);
        }
        Ok(Tensor::float(sizes, y))
    }

    pub(super) fn matmul_backward(
        &mut self,
        node: &Node,
        transpose_a: bool,
        transpose_b: bool,
        shapes: &Shapes,
        dy: &[f32],
    ) -> Result<()> {
        let geometry = MatmulGeometry::new(&shapes.inputs[0], &shapes.inputs[1], transpose_a, transpose_b);
        let MatmulGeometry { rows, columns, inner, run, moves_a, moves_b, ref starts } = geometry;
        for side in 0..2 {
            let input = node.inputs[side];
            let length = shapes.inputs[side].iter().product();
            let Some(mut slot) = self.slot(input, length) else { continue };
            let (a, b) = (self.value(node.inputs[0])?.floats()?, self.value(node.inputs[1])?.floats()?);
            // Left: dy op(b)^T, or its transpose; right: op(a)^T dy, or its transpose.
            let (left, right, shape, options) = match (side, transpose_a, transpose_b) {
                (0, false, _) => (dy, b, [rows, inner, columns], [false, !transpose_b]),
                (0, true, _) => (b, dy, [inner, rows, columns], [transpose_b, true]),
                (_, _, false) => (a, dy, [inner, columns, rows], [!transpose_a, false]),
                (_, _, true) => (dy, a, [columns, inner, rows], [true, transpose_a]),
            };
            let numbers = starts.iter().enumerate().map(|(number, &[a, b])| {
                let whole = number * run;
                match (side, transpose_a, transpose_b) {
                    (0, false, _) => [whole, b, a],
                    (0, true, _) => [b, whole, a],
                    (_, _, false) => [a, whole, b],
                    (_, _, true) => [whole, a, b],
                }
            });
            let moves = match (side, transpose_a, transpose_b) {
                (0, false, _) => [true, moves_b, moves_a],
                (0, true, _) => [moves_b, true, moves_a],
                (_, _, false) => [moves_a, true, moves_b],
                (_, _, true) => [true, moves_a, moves_b],
            };
            let numbers: Vec<_> = numbers.collect();
            let gradient = Gradient {
                left,
                right,
                shape: MatmulShape { rows: shape[0], columns: shape[1], inner: shape[2] },
                options: MatmulOptions { transpose_a: options[0], transpose_b: options[1] },
                moves,
            };
            let Slot { buffer, accumulate } = &mut slot;
            if starts.is_empty() || run == 0 {
                if !*accumulate {
                    buffer.fill(0.0);
                }
            } else {
                gradient.add(self.context, buffer, *accumulate, &numbers, run);
            }
            self.put(input, Some(slot));
        }
        Ok(())
    }
}
