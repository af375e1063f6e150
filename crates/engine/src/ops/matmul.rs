//! Products of matrices, with broadcasting of the axes before the last two.
use super::exactly;
use crate::{
    layers::{Inference, Signature, float, unify},
    shape::{Dimension, ElementType, Equality, Shape, describe},
};

/// The common shape of two shapes: axes of size 1 take the other's size, missing axes in front are of size 1. A size that
/// is not known must be that of the other.
pub(crate) fn broadcast(left: &[Dimension], right: &[Dimension], equal: &mut Vec<Equality>) -> Option<Shape> {
    let rank = left.len().max(right.len());
    let one = Dimension::Size(1);
    let at = |shape: &[Dimension], axis: usize| {
        (axis + shape.len()).checked_sub(rank).map_or_else(|| one.clone(), |axis| shape[axis].clone())
    };
    (0..rank)
        .map(|axis| {
            let (left, right) = (at(left, axis), at(right, axis));
            match (left == one, right == one) {
                (true, _) => Some(right),
                (_, true) => Some(left),
                // Of a known and an unknown size the known one says more.
                _ if !unify(&left, &right, equal) => None,
                _ => Some(if matches!(left, Dimension::Size(_)) { left } else { right }),
            }
        })
        .collect()
}

pub(super) fn infer(transpose_a: bool, transpose_b: bool, inputs: &[Signature]) -> Result<Inference, String> {
    let [a, b] = exactly(inputs)?;
    float(a, "its inputs")?;
    float(b, "its inputs")?;
    let mismatch =
        || format!("expected matrices that can be multiplied, got {} and {}", describe(&a.shape), describe(&b.shape));
    let sides = |x: &Signature, transposed: bool| match x.shape.as_slice() {
        [batch @ .., rows, columns] if transposed => Ok((batch.to_vec(), columns.clone(), rows.clone())),
        [batch @ .., rows, columns] => Ok((batch.to_vec(), rows.clone(), columns.clone())),
        _ => Err(mismatch()),
    };
    let (batch_a, rows, inner) = sides(a, transpose_a)?;
    let (batch_b, inner_b, columns) = sides(b, transpose_b)?;
    let mut equal = Vec::new();
    if !unify(&inner, &inner_b, &mut equal) {
        return Err(mismatch());
    }
    let mut shape = broadcast(&batch_a, &batch_b, &mut equal).ok_or_else(mismatch)?;
    shape.extend([rows, columns]);
    let mut inference = Inference::single(shape, ElementType::Float32, false);
    inference.equal = equal;
    Ok(inference)
}

/// A product for known sizes: runs of matrices that lie evenly apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MatmulGeometry {
    /// Rows of a product.
    pub rows: usize,
    /// Columns of a product.
    pub columns: usize,
    /// Length of the sums.
    pub inner: usize,
    /// Products of a run.
    pub run: usize,
    /// Whether the left matrix is another one for each product of a run.
    pub moves_a: bool,
    /// Whether the right matrix is another one for each product of a run.
    pub moves_b: bool,
    /// Number of the first matrix of each run: left, right.
    pub starts: Vec<[usize; 2]>,
}

impl MatmulGeometry {
    /// The geometry of a product whose sizes were checked.
    #[must_use]
    pub fn new(a: &[usize], b: &[usize], transpose_a: bool, transpose_b: bool) -> Self {
        let sides = |shape: &[usize], transposed: bool| match shape {
            [.., rows, columns] if transposed => (*columns, *rows),
            [.., rows, columns] => (*rows, *columns),
            _ => (0, 0),
        };
        let (rows, inner) = sides(a, transpose_a);
        let (_, columns) = sides(b, transpose_b);
        let (batch_a, batch_b) = (&a[..a.len().saturating_sub(2)], &b[..b.len().saturating_sub(2)]);
        // A single right matrix takes all rows at once.
        if !transpose_a && batch_b.iter().all(|&size| size == 1) {
            let rows = batch_a.iter().product::<usize>() * rows;
            return Self { rows, columns, inner, run: 1, moves_a: true, moves_b: true, starts: vec![[0, 0]] };
        }
        let rank = batch_a.len().max(batch_b.len());
        let size = |batch: &[usize], axis: usize| (axis + batch.len()).checked_sub(rank).map_or(1, |axis| batch[axis]);
        let sizes: Vec<[usize; 2]> = (0..rank).map(|axis| [size(batch_a, axis), size(batch_b, axis)]).collect();
        let moves = |[a, b]: [usize; 2]| [a != 1 || b == 1, b != 1 || a == 1];
        // The longest run of last axes along which each operand moves or stays.
        let mut run = 1;
        let mut pattern: Option<[bool; 2]> = None;
        let mut first = rank;
        while let Some(axis) = first.checked_sub(1) {
            let own = sizes[axis];
            if own != [1, 1] {
                if pattern.is_some_and(|pattern| pattern != moves(own)) {
                    break;
                }
                pattern = Some(moves(own));
                run *= own[0].max(own[1]);
            }
            first = axis;
        }
        if sizes.iter().any(|size| size.contains(&0)) {
            return Self { rows, columns, inner, run: 0, moves_a: true, moves_b: true, starts: Vec::new() };
        }
        let [moves_a, moves_b] = pattern.unwrap_or([true, true]);
        let mut starts = vec![[0, 0]];
        let mut steps = [if moves_a { run } else { 1 }, if moves_b { run } else { 1 }];
        for axis in (0..first).rev() {
            let [in_a, in_b] = sizes[axis];
            let own = [if in_a == 1 { 0 } else { steps[0] }, if in_b == 1 { 0 } else { steps[1] }];
            let count = in_a.max(in_b);
            starts = (0..count)
                .flat_map(|index| {
                    starts.iter().map(move |start| [start[0] + index * own[0], start[1] + index * own[1]])
                })
                .collect();
            steps = [steps[0] * in_a, steps[1] * in_b];
        }
        Self { rows, columns, inner, run, moves_a, moves_b, starts }
    }
}
