//! Axes in another order, for operations along axes that are not the last ones.
use std::ops::Deref;

use sconce_kernels::{Context, Destination, buffer::Buffer, rows::for_rows};

/// A tensor as rows of the elements along some of its axes.
pub(super) struct Layout {
    /// Sizes of the tensor.
    shape: Vec<usize>,
    /// Its axes, those of the rows last.
    order: Vec<usize>,
    /// Elements of a row.
    pub width: usize,
}

/// Elements in the order of a layout.
pub(super) enum Rows<'a> {
    Same(&'a [f32]),
    Moved(Buffer),
}

impl Deref for Rows<'_> {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        match self {
            Self::Same(values) => values,
            Self::Moved(values) => values,
        }
    }
}

impl Layout {
    /// Rows along `axes`, which ascend.
    pub(super) fn new(shape: &[usize], axes: &[usize]) -> Self {
        let mut order: Vec<usize> = (0..shape.len()).filter(|axis| !axes.contains(axis)).collect();
        order.extend_from_slice(axes);
        Self { shape: shape.to_vec(), order, width: axes.iter().map(|&axis| shape[axis]).product() }
    }

    /// Whether the rows lie in the tensor as they are.
    pub(super) fn is_same(&self) -> bool {
        self.order.is_sorted()
    }

    /// The elements of a tensor as rows.
    pub(super) fn rows<'a>(&self, context: &Context, x: &'a [f32]) -> Rows<'a> {
        if self.is_same() {
            return Rows::Same(x);
        }
        let mut moved = Buffer::new(x.len());
        permute(context, x, &self.shape, &self.order, Destination { data: &mut moved, accumulate: false });
        Rows::Moved(moved)
    }

    /// Rows as the elements of the tensor.
    pub(super) fn back(&self, context: &Context, rows: &[f32], y: Destination<'_>) {
        let sizes: Vec<usize> = self.order.iter().map(|&axis| self.shape[axis]).collect();
        let mut inverse = vec![0; self.order.len()];
        self.order.iter().enumerate().for_each(|(place, &axis)| inverse[axis] = place);
        permute(context, rows, &sizes, &inverse, y);
    }
}

/// `y` is `x` with its axes in another order.
fn permute(context: &Context, x: &[f32], shape: &[usize], order: &[usize], y: Destination<'_>) {
    let mut strides = vec![1; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis] * shape[axis];
    }
    let Some((&last, outer)) = order.split_last() else { return };
    let (width, stride) = (shape[last], strides[last]);
    let accumulate = y.accumulate;
    for_rows(context, y.data, width, width, |first, y| {
        for (row, y) in y.chunks_exact_mut(width).enumerate() {
            let (mut rest, mut start) = (first + row, 0);
            for &axis in outer.iter().rev() {
                start += rest % shape[axis] * strides[axis];
                rest /= shape[axis];
            }
            for (at, y) in y.iter_mut().enumerate() {
                let value = x[start + at * stride];
                *y = if accumulate { *y + value } else { value };
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use sconce_kernels::{Context, Destination, simd::Simd};

    use super::Layout;

    #[test]
    fn rows_lie_along_the_axes_and_go_back() {
        let context = Context::new(2, Simd::Scalar);
        let shape = [3, 4, 5, 2];
        let x: Vec<f32> = (0..120).map(|at| at as f32).collect();
        for axes in [vec![3], vec![1], vec![1, 3], vec![2, 3], vec![1, 2]] {
            let layout = Layout::new(&shape, &axes);
            assert_eq!(layout.is_same(), axes == [3] || axes == [2, 3]);
            let rows = layout.rows(&context, &x);
            let expected = |at: usize| (at / 40, at / 10 % 4, at / 2 % 5, at % 2);
            for row in rows.chunks_exact(layout.width) {
                let places: Vec<_> = row.iter().map(|&x| expected(x as usize)).collect();
                let kept = |&(a, b, c, d): &(usize, usize, usize, usize)| {
                    let all = [a, b, c, d];
                    (0..4).filter(|axis| !axes.contains(axis)).map(|axis| all[axis]).collect::<Vec<_>>()
                };
                assert!(places.iter().all(|place| kept(place) == kept(&places[0])));
                assert!(places.is_sorted(), "the last axis runs fastest");
            }
            let mut back = vec![1.0; 120];
            layout.back(&context, &rows, Destination { data: &mut back, accumulate: true });
            assert!(back.iter().zip(&x).all(|(back, x)| *back == x + 1.0), "{axes:?}");
        }
        let empty = Layout::new(&[0, 3, 2], &[1]);
        assert!(empty.rows(&context, &[]).is_empty());
    }
}
