//! What is wrong with the ids of a batch, said before any kernel sees them.
use sconce_kernels::embedding::first_outside;

use super::{LossInput, TargetData};
use crate::{
    error::{Code, Error, Result},
    plan::{LossFunction, LossPlan},
};

/// An id of an embedding that is no row of its table.
pub(super) fn check_ids(layer: &str, ids: &[i32], shape: &[usize], rows: usize) -> Result<()> {
    let Some(position) = first_outside(ids, rows) else { return Ok(()) };
    let width = shape.last().copied().unwrap_or(1).max(1);
    let place = if shape.len() > 1 {
        format!("row {}, column {}", position / width, position % width)
    } else {
        format!("row {position}")
    };
    Err(Error::new(
        Code::Data,
        format!("layer {layer}: id {} at {place} is outside 0..{rows} (inputDim)", ids[position]),
    ))
}

/// Ids as places of an axis: what is negative counts from the end.
pub(super) fn check_picks(layer: &str, ids: &[i32], length: usize) -> Result<Vec<usize>> {
    let place = |(position, &id): (usize, &i32)| {
        let counted = if id < 0 { i64::from(id) + length as i64 } else { i64::from(id) };
        usize::try_from(counted).ok().filter(|&place| place < length).ok_or_else(|| {
            Error::new(Code::Data, format!("layer {layer}: id {id} at {position} is outside an axis of size {length}"))
        })
    };
    ids.iter().enumerate().map(place).collect()
}

/// Steps `first..first + count` of sequences, if there are so many.
pub(super) fn check_steps(layer: &str, first: usize, count: usize, longest: Option<usize>) -> Result<()> {
    let (steps, longest) = (first + count, longest.unwrap_or(usize::MAX));
    if steps <= longest {
        return Ok(());
    }
    Err(Error::new(
        Code::Data,
        format!(
            "layer {layer}: expected sequences of at most {longest} steps (maxLength), got {steps}: shorten them, or make \
             the model with a larger maxLength"
        ),
    ))
}

/// An id of a row that counts which is no class of the output of `layer`, where a cross-entropy looks at it.
pub(super) fn check_targets(
    layer: &str,
    plan: &LossPlan,
    input: &LossInput,
    valid: &[bool],
    batch: usize,
    classes: usize,
) -> Result<()> {
    let TargetData::Ids(ids) = &input.target else { return Ok(()) };
    if !plan.passes().any(|pass| matches!(pass.function, LossFunction::CrossEntropy(_))) {
        return Ok(());
    }
    let outside = |row: &usize| valid[*row] && usize::try_from(ids[*row]).map_or(true, |id| id >= classes);
    let Some(row) = (0..valid.len()).find(outside) else { return Ok(()) };
    let inner = (valid.len() / batch.max(1)).max(1);
    Err(Error::new(
        Code::Data,
        format!(
            "target of output {layer}: id {} at row {}, column {} is outside 0..{classes}",
            ids[row],
            row / inner,
            row % inner
        ),
    ))
}
