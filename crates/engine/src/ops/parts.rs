//! Parts of tensors, tensors joined, and elements picked.
use super::{Extent, check_axis, exactly, reshape::dimension};
use crate::{
    expression::Expression,
    layers::{Inference, Signature, unify},
    shape::{Dimension, ElementType, Shape, describe},
};

pub(super) fn concatenate(axis: usize, inputs: &[Signature]) -> Result<Inference, String> {
    let [first, rest @ ..] = inputs else { return Err("expected inputs, got 0".to_owned()) };
    check_axis(axis, first)?;
    let mut equal = Vec::new();
    let mut total = Expression::of(&first.shape[axis])?;
    for x in rest {
        let fits = x.shape.len() == first.shape.len()
            && x.dtype == first.dtype
            && x.shape
                .iter()
                .zip(&first.shape)
                .enumerate()
                .all(|(index, (left, right))| index == axis || unify(right, left, &mut equal));
        if !fits {
            return Err(format!(
                "expected inputs of one type that differ along axis {axis} only, got {} {} and {} {}",
                first.dtype.name(),
                describe(&first.shape),
                x.dtype.name(),
                describe(&x.shape)
            ));
        }
        total = total.plus(&Expression::of(&x.shape[axis])?)?;
    }
    let mut shape = first.shape.clone();
    shape[axis] = total.dimension()?;
    let mut inference = Inference::single(shape, first.dtype, false);
    inference.equal = equal;
    Ok(inference)
}

/// Elements `start..end` of an axis, every `step`-th; what is negative counts from the end, without an end all are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Range {
    pub start: i64,
    pub end: Option<i64>,
    pub step: usize,
}

impl Range {
    fn bound(at: i64, size: &Expression) -> Result<Expression, String> {
        if at < 0 { size.plus(&Expression::whole(at)) } else { Ok(Expression::whole(at)) }
    }

    fn size(self, size: &Dimension) -> Result<Dimension, String> {
        if let Dimension::Size(size) = size {
            let (start, end) = self.within(*size);
            return Ok(Dimension::Size(end.saturating_sub(start).div_ceil(self.step)));
        }
        let whole = Expression::of(size)?;
        let end = self.end.map_or_else(|| Ok(whole.clone()), |end| Self::bound(end, &whole))?;
        let length = end.plus(&Self::bound(self.start, &whole)?.times(&Expression::whole(-1))?)?;
        let step = Expression::whole(i64::try_from(self.step).map_err(|_| "step is too large")?);
        let raised = length.plus(&step)?.plus(&Expression::whole(-1))?;
        raised.over(&step, false).ok_or("step must be at least 1, got 0")?.dimension()
    }

    /// First element and the one behind the last, of an axis of a known size: as in Python, cut to the axis.
    pub(crate) fn within(self, size: usize) -> (usize, usize) {
        let bound = |at: i64| {
            let size = i64::try_from(size).unwrap_or(i64::MAX);
            usize::try_from(if at < 0 { at.saturating_add(size) } else { at }.clamp(0, size)).unwrap_or(0)
        };
        let start = bound(self.start);
        (start, self.end.map_or(size, bound).max(start))
    }
}

pub(super) fn slice(axis: usize, range: Range, inputs: &[Signature]) -> Result<Inference, String> {
    let [x] = exactly(inputs)?;
    check_axis(axis, x)?;
    let mut shape = x.shape.clone();
    shape[axis] = range.size(&x.shape[axis])?;
    Ok(Inference::single(shape, x.dtype, false))
}

pub(super) fn flip(axes: &[usize], inputs: &[Signature]) -> Result<Inference, String> {
    let [x] = exactly(inputs)?;
    axes.iter().try_for_each(|&axis| check_axis(axis, x))?;
    Ok(Inference::single(x.shape.clone(), x.dtype, false))
}

pub(super) fn broadcast_to(shape: &[Extent], inputs: &[Signature]) -> Result<Inference, String> {
    let [x, ..] = inputs else { return Err("expected an input, got 0".to_owned()) };
    let sizes = shape.iter().map(|&extent| dimension(extent, inputs)?.ok_or_else(|| "-1 is no size".to_owned()));
    let sizes: Shape = sizes.collect::<Result<_, _>>()?;
    let mut equal = Vec::new();
    let one = Dimension::Size(1);
    let fits = x.shape.len() <= sizes.len()
        && x.shape
            .iter()
            .rev()
            .zip(sizes.iter().rev())
            .all(|(own, wanted)| *own == one || unify(wanted, own, &mut equal));
    if !fits {
        return Err(format!("an input of shape {} cannot be broadcast to {}", describe(&x.shape), describe(&sizes)));
    }
    let mut inference = Inference::single(sizes, x.dtype, false);
    inference.equal = equal;
    Ok(inference)
}

pub(super) fn take(axis: usize, inputs: &[Signature]) -> Result<Inference, String> {
    let [x, ids] = exactly(inputs)?;
    check_axis(axis, x)?;
    integers(ids)?;
    let shape = [&x.shape[..axis], &ids.shape, &x.shape[axis + 1..]].concat();
    Ok(Inference::single(shape, x.dtype, false))
}

fn integers(ids: &Signature) -> Result<(), String> {
    if ids.dtype == ElementType::Int32 {
        return Ok(());
    }
    Err(format!("expected ids of int32, got {} of shape {}", ids.dtype.name(), describe(&ids.shape)))
}

pub(super) fn one_hot(classes: usize, inputs: &[Signature]) -> Result<Inference, String> {
    let [ids] = exactly(inputs)?;
    integers(ids)?;
    let mut shape = ids.shape.clone();
    shape.push(Dimension::Size(classes));
    Ok(Inference::single(shape, ElementType::Float32, false))
}

pub(super) fn cast(dtype: ElementType, inputs: &[Signature]) -> Result<Inference, String> {
    let [x] = exactly(inputs)?;
    Ok(Inference::single(x.shape.clone(), dtype, false))
}

pub(super) fn arange(axis: usize, inputs: &[Signature]) -> Result<Inference, String> {
    let [x] = exactly(inputs)?;
    check_axis(axis, x)?;
    Ok(Inference::single(vec![x.shape[axis].clone()], ElementType::Int32, false))
}

pub(super) fn mask(inputs: &[Signature]) -> Result<Inference, String> {
    let [x] = exactly(inputs)?;
    let [shape @ .., _] = x.shape.as_slice() else {
        return Err("expected a tensor with features, whose positions a mask can mark".to_owned());
    };
    Ok(Inference::single(shape.to_vec(), ElementType::Float32, false))
}

pub(super) fn set_mask(inputs: &[Signature]) -> Result<Inference, String> {
    let [x, mask] = exactly(inputs)?;
    let mut equal = Vec::new();
    let fits = x.shape.len() == mask.shape.len() + 1
        && x.shape.iter().zip(&mask.shape).all(|(left, right)| unify(left, right, &mut equal));
    if !fits {
        return Err(format!(
            "expected a mask for each position of {}, without its last axis, got {}",
            describe(&x.shape),
            describe(&mask.shape)
        ));
    }
    let mut inference = Inference::single(x.shape.clone(), x.dtype, true);
    inference.equal = equal;
    Ok(inference)
}
