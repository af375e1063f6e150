//! Axes as options name them: negative ones count from the end.
use crate::shape::{Dimension, count, describe};

/// Axes of a tensor, ascending.
///
/// # Errors
/// What is wrong if one does not exist, is the batch, or comes twice.
pub(super) fn positions(axes: &[i64], shape: &[Dimension]) -> Result<Vec<usize>, String> {
    let rank = shape.len();
    let mut positions = Vec::with_capacity(axes.len());
    for &axis in axes {
        let position = if axis < 0 { axis.checked_add(rank as i64) } else { Some(axis) };
        match position.and_then(|position| usize::try_from(position).ok()) {
            Some(position) if (1..rank).contains(&position) => positions.push(position),
            _ => {
                return Err(format!(
                    "expected axes from 1 to {} or from -{0} to -1 for an input of shape {}, got axis {axis}",
                    rank.saturating_sub(1),
                    describe(shape)
                ));
            }
        }
    }
    positions.sort_unstable();
    if let Some(pair) = positions.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(format!("axis {} comes twice", pair[0]));
    }
    Ok(positions)
}

/// Whether axes of a document are a list that can be right for some tensor.
pub(super) fn check(axes: &[i64]) -> Result<(), String> {
    if axes.is_empty() {
        return Err("axis must name at least one axis".to_owned());
    }
    if axes.len() > 32 || axes.iter().any(|axis| axis.unsigned_abs() > 32) {
        return Err("axis must name at most 32 axes, each from -32 to 32".to_owned());
    }
    Ok(())
}

/// Whether the axes and the epsilon of a normalisation can be right for some tensor.
pub(super) fn check_normalization(axes: &[i64], epsilon: f32) -> Result<(), String> {
    check(axes)?;
    if epsilon >= 0.0 && epsilon.is_finite() {
        return Ok(());
    }
    Err(format!("epsilon must be a number of at least 0, got {epsilon}"))
}

/// The sizes of axes, ascending, which weights have that lie along them.
///
/// # Errors
/// As [`positions`], and if a size is not known.
pub(super) fn sizes(axes: &[i64], shape: &[Dimension]) -> Result<Vec<usize>, String> {
    let known = |axis: usize| match &shape[axis] {
        Dimension::Size(size) => Ok(*size),
        Dimension::Symbol(_) => Err(format!("expected the size of axis {axis} to be known, got {}", describe(shape))),
    };
    let sizes = positions(axes, shape)?.into_iter().map(known).collect::<Result<Vec<_>, _>>()?;
    count(&sizes).map_err(|error| error.message)?;
    Ok(sizes)
}
