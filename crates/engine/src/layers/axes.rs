//! Axes as options name them: negative ones count from the end.
use crate::shape::{Dimension, describe};

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
