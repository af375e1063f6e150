//! Masks of other shapes than those of their values.
use std::sync::Arc;

use crate::{
    error::Result,
    tensor::{Data, Mask, Tensor},
};

/// Which elements of a tensor of `shape` a mask keeps, whose last axes are 1 or those of the tensor: where it is above
/// one half.
pub(super) fn broadcast_mask(mask: &Tensor, shape: &[usize]) -> Result<Vec<bool>> {
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
    let count: usize = shape.iter().product();
    Ok((0..count)
        .map(|mut at| {
            let mut place = 0;
            for (size, step) in shape.iter().zip(&steps).rev() {
                place += at % size * step;
                at /= size;
            }
            kept[place]
        })
        .collect())
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

    use sconce_kernels::buffer::Buffer;

    use super::{broadcast_mask, step_mask};
    use crate::tensor::Tensor;

    #[test]
    fn masks_are_spread_over_the_axes_that_they_lack() {
        let mut values = Buffer::new(2);
        values.copy_from_slice(&[0.5, 0.6]);
        let mask = Tensor::float(vec![2, 1], values);
        let kept = broadcast_mask(&mask, &[2, 2, 3]).unwrap();
        assert_eq!(kept, [[false; 3], [true; 3], [false; 3], [true; 3]].concat());
        let ids = Tensor::ids(vec![3], vec![-1, 0, 7]);
        assert_eq!(broadcast_mask(&ids, &[2, 3]).unwrap(), [false, false, true, false, false, true]);
        assert!(broadcast_mask(&ids, &[0, 3]).unwrap().is_empty());
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
