//! Masks of other shapes than those of their values.
use std::sync::Arc;

use sconce_kernels::{Context, rows::for_rows};

use crate::tensor::{Data, Mask, Tensor};

/// Which elements of a tensor of `shape` a mask keeps, whose last axes are 1 or those of the tensor: where it is above
/// one half.
pub(super) fn broadcast_mask(context: &Context, mask: &Tensor, shape: &[usize]) -> Vec<bool> {
    let kept: Vec<bool> = match &mask.data {
        Data::Float(values) => values.iter().map(|&value| value > 0.5).collect(),
        Data::Ids(ids) => ids.iter().map(|&id| id > 0).collect(),
    };
    let missing = shape.len() - mask.shape.len();
    // Steps within the mask along each axis of the tensor: none where it has one element for all.
    let mut steps = vec![0; shape.len()];
    let mut step = 1;
    for axis in (0..mask.shape.len()).rev() {
        if mask.shape[axis] > 1 {
            steps[axis + missing] = step;
        }
        step *= mask.shape[axis];
    }
    let mut spread = vec![false; shape.iter().product()];
    let (Some((&width, outer)), Some((&last, steps))) = (shape.split_last(), steps.split_last()) else { return spread };
    for_rows(context, &mut spread, width, width, |first, spread| {
        for (row, spread) in spread.chunks_exact_mut(width).enumerate() {
            let (mut rest, mut place) = (first + row, 0);
            for (size, step) in outer.iter().zip(steps).rev() {
                place += rest % size * step;
                rest /= size;
            }
            spread.iter_mut().enumerate().for_each(|(at, spread)| *spread = kept[place + at * last]);
        }
    });
    spread
}

/// The mask of `positions` within a number of steps, of one over other positions within the same steps: as it is if
/// there are as many, otherwise a step counts if any of its positions does.
pub(super) fn step_mask(mask: &Mask, steps: usize, positions: usize) -> Mask {
    if mask.len() == positions || steps == 0 {
        return Arc::clone(mask);
    }
    let (inner, wanted) = (mask.len() / steps, positions / steps);
    let any = |step: usize| u8::from(mask[step * inner..][..inner].iter().any(|&counts| counts != 0));
    Arc::new((0..steps).flat_map(|step| std::iter::repeat_n(any(step), wanted)).collect())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use sconce_kernels::{Context, buffer::Buffer, simd::Simd};

    use super::{broadcast_mask, step_mask};
    use crate::tensor::Tensor;

    #[test]
    fn masks_are_spread_over_the_axes_that_they_lack() {
        let context = Context::new(2, Simd::Scalar);
        let mut values = Buffer::new(2);
        values.copy_from_slice(&[0.5, 0.6]);
        let mask = Tensor::float(vec![2, 1], values);
        let kept = broadcast_mask(&context, &mask, &[2, 2, 3]);
        assert_eq!(kept, [[false; 3], [true; 3], [false; 3], [true; 3]].concat());
        let ids = Tensor::ids(vec![3], vec![-1, 0, 7]);
        assert_eq!(broadcast_mask(&context, &ids, &[2, 3]), [false, false, true, false, false, true]);
        assert!(broadcast_mask(&context, &ids, &[0, 3]).is_empty());
    }

    #[test]
    fn a_step_counts_if_any_of_its_positions_does() {
        let mask = Arc::new(vec![0, 0, 0, 3, 1, 1]);
        assert_eq!(*step_mask(&mask, 3, 6), *mask);
        assert_eq!(*step_mask(&mask, 3, 3), [0, 1, 1]);
        assert_eq!(*step_mask(&mask, 3, 9), [0, 0, 0, 1, 1, 1, 1, 1, 1]);
        assert!(step_mask(&Arc::new(Vec::new()), 0, 0).is_empty());
    }
}
