//! Elements along axes as one.
use sconce_kernels::{Context, buffer::Buffer};

use super::{
    Shapes,
    broadcast::{Broadcast, apply2, apply3, piece},
    pieces::for_pieces,
};
use crate::{
    backend::cpu::Run,
    error::Result,
    ops::Reduction,
    plan::{Node, ValueId},
    tensor::Tensor,
};

/// Sums side by side, so that none waits for the one before.
const LANES: usize = 8;

/// Axes of one kind: sizes and distances.
type Axes = Vec<(usize, usize)>;

fn offset(axes: &Axes, mut index: usize) -> usize {
    let mut offset = 0;
    for (size, stride) in axes.iter().rev() {
        offset += index % size * stride;
        index /= size;
    }
    offset
}

/// Axes that stay and axes that go; neighbours of one kind are one.
struct Groups {
    kept: Axes,
    gone: Axes,
    /// Whether the last axis goes.
    last_goes: bool,
}

impl Groups {
    fn new(sizes: &[usize], goes: &[bool]) -> Self {
        let mut axes: Vec<(usize, bool)> = Vec::new();
        for (&size, &goes) in sizes.iter().zip(goes).filter(|(size, _)| **size != 1) {
            match axes.last_mut() {
                Some((before, same)) if *same == goes => *before *= size,
                _ => axes.push((size, goes)),
            }
        }
        let mut groups = Self { kept: Vec::new(), gone: Vec::new(), last_goes: axes.last().is_some_and(|last| last.1) };
        let mut stride = 1;
        for (size, goes) in axes.into_iter().rev() {
            if goes { &mut groups.gone } else { &mut groups.kept }.push((size, stride));
            stride *= size;
        }
        groups.kept.reverse();
        groups.gone.reverse();
        groups
    }
}

/// `y` is `x` with the elements along some axes joined; each joined value goes through `finish`.
pub(super) fn fold(
    context: &Context,
    (sizes, goes): (&[usize], &[bool]),
    x: &[f32],
    y: &mut [f32],
    start: f64,
    join: impl Fn(f64, f64) -> f64 + Sync,
    finish: impl Fn(f64) -> f32 + Sync,
) {
    let Groups { mut kept, mut gone, last_goes } = Groups::new(sizes, goes);
    let (inner, _) = if last_goes { gone.pop() } else { kept.pop() }.unwrap_or((1, 1));
    let count: usize = gone.iter().map(|(size, _)| size).product();
    if last_goes {
        // For each element, runs that lie together.
        for_pieces(context, y, piece(count * inner), |first, piece| {
            for (index, y) in piece.iter_mut().enumerate() {
                let base = offset(&kept, first + index);
                let mut sums = [start; LANES];
                for run in 0..count {
                    let x = &x[base + offset(&gone, run)..][..inner];
                    let (chunks, rest) = x.as_chunks::<LANES>();
                    for chunk in chunks {
                        sums.iter_mut().zip(chunk).for_each(|(sum, &x)| *sum = join(*sum, f64::from(x)));
                    }
                    sums.iter_mut().zip(rest).for_each(|(sum, &x)| *sum = join(*sum, f64::from(x)));
                }
                *y = finish(sums.into_iter().fold(start, &join));
            }
        });
        return;
    }
    // Rows side by side, added one to the other.
    for_pieces(context, y, piece(count), |first, piece| {
        let mut done = 0;
        let mut sums = Vec::new();
        while done < piece.len() {
            let (row, column) = ((first + done) / inner, (first + done) % inner);
            let length = (inner - column).min(piece.len() - done);
            let base = offset(&kept, row) + column;
            sums.clear();
            sums.resize(length, start);
            for run in 0..count {
                let x = &x[base + offset(&gone, run)..][..length];
                sums.iter_mut().zip(x).for_each(|(sum, &x)| *sum = join(*sum, f64::from(x)));
            }
            piece[done..done + length].iter_mut().zip(&sums).for_each(|(y, &sum)| *y = finish(sum));
            done += length;
        }
    });
}

/// Which axes of `from` the shape `to` was broadcast along.
fn spread(from: &[usize], to: &[usize]) -> Vec<bool> {
    let missing = from.len() - to.len();
    (0..from.len()).map(|axis| axis < missing || (to[axis - missing] == 1 && from[axis] != 1)).collect()
}

/// The gradient of a value that was broadcast from `to` to `from`: summed.
pub(super) fn summed(context: &Context, gradient: Buffer, from: &[usize], to: &[usize]) -> Buffer {
    let goes = spread(from, to);
    if !goes.contains(&true) || from == to {
        return gradient;
    }
    let mut sum = Buffer::new(to.iter().product());
    fold(context, (from, &goes), &gradient, &mut sum, 0.0, |a, b| a + b, |sum| sum as f32);
    sum
}

impl Run<'_> {
    /// Adds the gradient of a value that was broadcast.
    pub(super) fn give_summed(&mut self, value: ValueId, gradient: Buffer, from: &[usize], to: &[usize]) {
        if self.schedule.gradient[value] {
            let gradient = summed(self.context, gradient, from, to);
            self.give(value, gradient);
        }
    }

    pub(super) fn reduce_forward(
        &self,
        node: &Node,
        reduction: Reduction,
        axes: &[usize],
        sizes: Vec<usize>,
    ) -> Result<Tensor> {
        let x = self.value(node.inputs[0])?;
        let goes: Vec<bool> = (0..x.shape.len()).map(|axis| axes.contains(&axis)).collect();
        let count: usize = axes.iter().map(|&axis| x.shape[axis]).product();
        let mut y = Buffer::new(sizes.iter().product());
        let (context, floats, start) = (self.context, x.floats()?, reduction.start());
        let cast = |joined: f64| joined as f32;
        match reduction {
            Reduction::Sum => fold(context, (&x.shape, &goes), floats, &mut y, start, |a, b| a + b, cast),
            Reduction::Mean => {
                let finish = |sum: f64| (sum / count as f64) as f32;
                fold(context, (&x.shape, &goes), floats, &mut y, start, |a, b| a + b, finish);
            }
            _ => fold(context, (&x.shape, &goes), floats, &mut y, start, |a, b| reduction.join(a, b), cast),
        }
        Ok(Tensor::float(sizes, y))
    }

    pub(super) fn reduce_backward(
        &mut self,
        node: &Node,
        reduction: Reduction,
        axes: &[usize],
        shapes: &Shapes,
        dy: &[f32],
    ) -> Result<()> {
        let input = node.inputs[0];
        let sizes = &shapes.inputs[0];
        let goes: Vec<bool> = (0..sizes.len()).map(|axis| axes.contains(&axis)).collect();
        // As with `keepdims`, so that it can be broadcast.
        let small: Vec<usize> = sizes.iter().zip(&goes).map(|(&size, &goes)| if goes { 1 } else { size }).collect();
        let count: usize = axes.iter().map(|&axis| sizes[axis]).product();
        let length = sizes.iter().product();
        let mut dx = Buffer::new(length);
        let context = self.context;
        match reduction {
            Reduction::Sum | Reduction::Mean => {
                let factor = if reduction == Reduction::Mean { 1.0 / count as f32 } else { 1.0 };
                let layout = Broadcast::new(sizes, [&small]);
                layout.map(context, [dy], &mut dx, |rows, dx| super::broadcast::apply1(rows, dx, |dy| dy * factor));
            }
            Reduction::Max | Reduction::Min => {
                let (x, y) = (self.value(input)?.floats()?, self.value(node.outputs[0])?.floats()?);
                let layout = Broadcast::new(sizes, [sizes, &small]);
                let same = |x: f32, y: f32| f32::from(u8::from(x == y));
                layout.map(context, [x, y], &mut dx, |rows, dx| apply2(rows, dx, same));
                // Equal ones share the gradient.
                let mut ties = Buffer::new(dy.len());
                fold(context, (sizes, &goes), &dx, &mut ties, 0.0, |a, b| a + b, |sum| sum as f32);
                let mut share = Buffer::new(dy.len());
                share.iter_mut().zip(dy.iter().zip(ties.iter())).for_each(|(share, (dy, ties))| *share = dy / ties);
                let layout = Broadcast::new(sizes, [sizes, &small]);
                let chosen = dx.clone();
                let pick = |same: f32, share: f32| if same == 0.0 { 0.0 } else { share };
                layout.map(context, [&chosen, &share], &mut dx, |rows, dx| apply2(rows, dx, pick));
            }
            Reduction::Prod => {
                let x = self.value(input)?.floats()?;
                let mut zeros = Buffer::new(dy.len());
                let mut product = Buffer::new(dy.len());
                let is_zero: Vec<f32> = x.iter().map(|&x| f32::from(u8::from(x == 0.0))).collect();
                fold(context, (sizes, &goes), &is_zero, &mut zeros, 0.0, |a, b| a + b, |sum| sum as f32);
                // The product of those that are not 0.
                let join = |a: f64, b: f64| if b == 0.0 { a } else { a * b };
                fold(context, (sizes, &goes), x, &mut product, 1.0, join, |product| product as f32);
                product.iter_mut().zip(dy).for_each(|(product, dy)| *product *= dy);
                let layout = Broadcast::new(sizes, [sizes, &small, &small]);
                let slope = |x: f32, zeros: f32, product: f32| match (zeros == 0.0, x == 0.0) {
                    (true, _) => product / x,
                    (false, true) if zeros == 1.0 => product,
                    _ => 0.0,
                };
                layout.map(context, [x, &zeros, &product], &mut dx, |rows, dx| apply3(rows, dx, slope));
            }
        }
        self.give(input, dx);
        Ok(())
    }

    /// The number of the first largest or smallest element along an axis.
    pub(super) fn place_forward(&self, node: &Node, axis: usize, largest: bool, sizes: Vec<usize>) -> Result<Tensor> {
        let x = self.value(node.inputs[0])?;
        let floats = x.floats()?;
        let (length, step) = (x.shape[axis], x.shape[axis + 1..].iter().product::<usize>());
        let beyond = |a: f32, b: f32| (if largest { a > b } else { a < b }) || (a.is_nan() && !b.is_nan());
        let mut places = vec![0; sizes.iter().product()];
        for (index, place) in places.iter_mut().enumerate() {
            let Some((row, column)) = index.checked_div(step).zip(index.checked_rem(step)) else { continue };
            let along = || floats[row * length * step + column..].iter().step_by(step).take(length).copied();
            let best = along().enumerate().reduce(|best, next| if beyond(next.1, best.1) { next } else { best });
            *place = best.map_or(0, |(place, _)| place as i32);
        }
        Ok(Tensor::ids(sizes, places))
    }
}
