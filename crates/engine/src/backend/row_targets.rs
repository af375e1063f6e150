//! Targets as the functions of elements take them.
use std::borrow::Cow;

use sconce_kernels::row_loss::RowLoss;

use super::TargetData;

/// A target for each element; ids, of outputs of width 1, become floats. Hinges take 0 and 1 for -1 and 1 if there is
/// nothing else in the batch, as in Keras.
pub(super) fn element_targets(target: &TargetData, function: RowLoss) -> Cow<'_, [f32]> {
    let floats = match target {
        TargetData::Ids(ids) => Cow::Owned(ids.iter().map(|&id| id as f32).collect()),
        TargetData::Probabilities(values) => Cow::Borrowed(&values[..]),
    };
    let hinge = matches!(function, RowLoss::Hinge | RowLoss::SquaredHinge);
    if hinge && floats.iter().all(|&y| y == 0.0 || y == 1.0) {
        return Cow::Owned(floats.iter().map(|y| 2.0 * y - 1.0).collect());
    }
    floats
}
