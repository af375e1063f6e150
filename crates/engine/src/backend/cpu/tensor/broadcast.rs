//! Elements of tensors that are broadcast together, run by run.
use sconce_kernels::Context;

use super::pieces::{PIECE, for_rows};

/// What an operand has along a run of elements: one each, or one for all.
#[derive(Clone, Copy)]
pub(super) enum Row<'a, T> {
    Each(&'a [T]),
    All(T),
}

/// How `N` operands lie beside an output.
pub(super) struct Broadcast<const N: usize> {
    /// Axes before the run: sizes, and distances in each operand.
    outer: Vec<(usize, [usize; N])>,
    /// Elements of a run.
    inner: usize,
    /// Whether an operand moves along the run.
    moves: [bool; N],
}

impl<const N: usize> Broadcast<N> {
    /// Operands whose sizes were checked against those of the output.
    pub(super) fn new(sizes: &[usize], operands: [&[usize]; N]) -> Self {
        let rank = sizes.len();
        let at = |shape: &[usize], axis: usize| (axis + shape.len()).checked_sub(rank).map_or(1, |axis| shape[axis]);
        let mut axes: Vec<(usize, [bool; N])> = Vec::new();
        for axis in (0..rank).filter(|&axis| sizes[axis] != 1) {
            let moves = operands.map(|shape| at(shape, axis) != 1);
            match axes.last_mut() {
                Some((size, before)) if *before == moves => *size *= sizes[axis],
                _ => axes.push((sizes[axis], moves)),
            }
        }
        let (inner, moves) = axes.pop().unwrap_or((1, [true; N]));
        let mut steps = moves.map(|moves| if moves { inner } else { 1 });
        let mut outer: Vec<_> = Vec::with_capacity(axes.len());
        for (size, moves) in axes.into_iter().rev() {
            outer.push((size, std::array::from_fn(|operand| if moves[operand] { steps[operand] } else { 0 })));
            steps = std::array::from_fn(|operand| steps[operand] * if moves[operand] { size } else { 1 });
        }
        Self { outer, inner, moves }
    }

    fn offsets(&self, mut row: usize) -> [usize; N] {
        let mut offsets = [0; N];
        for (size, steps) in &self.outer {
            let index = row % size;
            row /= size;
            offsets.iter_mut().zip(steps).for_each(|(offset, step)| *offset += index * step);
        }
        offsets
    }

    /// Calls `work` with the rows of the operands beside a run of the output, until the output is full.
    pub(super) fn map<T: Copy + Sync, U: Send>(
        &self,
        context: &Context,
        operands: [&[T]; N],
        y: &mut [U],
        work: impl Fn([Row<'_, T>; N], &mut [U]) + Sync,
    ) {
        for_rows(context, y, 1, |start, piece| {
            let mut done = 0;
            while done < piece.len() {
                let (row, column) = ((start + done) / self.inner, (start + done) % self.inner);
                let length = (self.inner - column).min(piece.len() - done);
                let offsets = self.offsets(row);
                let rows = std::array::from_fn(|operand| {
                    if self.moves[operand] {
                        Row::Each(&operands[operand][offsets[operand] + column..][..length])
                    } else {
                        Row::All(operands[operand][offsets[operand]])
                    }
                });
                work(rows, &mut piece[done..done + length]);
                done += length;
            }
        });
    }
}

/// `y = f(a)`.
pub(super) fn apply1<T: Copy, U>([a]: [Row<'_, T>; 1], y: &mut [U], f: impl Fn(T) -> U) {
    match a {
        Row::Each(a) => y.iter_mut().zip(a).for_each(|(y, &a)| *y = f(a)),
        Row::All(a) => y.iter_mut().for_each(|y| *y = f(a)),
    }
}

/// `y = f(a, b)`.
pub(super) fn apply2<T: Copy, U>([a, b]: [Row<'_, T>; 2], y: &mut [U], f: impl Fn(T, T) -> U) {
    match (a, b) {
        (Row::Each(a), Row::Each(b)) => y.iter_mut().zip(a.iter().zip(b)).for_each(|(y, (&a, &b))| *y = f(a, b)),
        (a, Row::All(b)) => apply1([a], y, |a| f(a, b)),
        (Row::All(a), b) => apply1([b], y, |b| f(a, b)),
    }
}

/// `y = f(a, b, c)`.
pub(super) fn apply3<T: Copy, U>([a, b, c]: [Row<'_, T>; 3], y: &mut [U], f: impl Fn(T, T, T) -> U) {
    match (a, b, c) {
        (Row::Each(a), Row::Each(b), Row::Each(c)) => {
            y.iter_mut().zip(a.iter().zip(b).zip(c)).for_each(|(y, ((&a, &b), &c))| *y = f(a, b, c));
        }
        (a, b, Row::All(c)) => apply2([a, b], y, |a, b| f(a, b, c)),
        (a, Row::All(b), c) => apply2([a, c], y, |a, c| f(a, b, c)),
        (Row::All(a), b, c) => apply2([b, c], y, |b, c| f(a, b, c)),
    }
}

/// Elements of a piece of work that reads `read` elements for each that it makes.
pub(super) fn piece(read: usize) -> usize {
    (PIECE / read.max(1)).clamp(64, PIECE)
}
