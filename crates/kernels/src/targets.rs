//! Targets of the cross-entropies.

/// What class probabilities are compared with.
#[derive(Clone, Copy, Debug)]
pub enum Targets<'a> {
    /// The class of each row: `[rows]`. Ids of rows with weight 0 are ignored.
    Ids(&'a [i32]),
    /// A weight for each class of each row: `[rows, classes]`.
    Probabilities(&'a [f32]),
}

/// The target of one row.
#[derive(Clone, Copy, Debug)]
pub(crate) enum RowTarget<'a> {
    /// Its class.
    Id(usize),
    /// A weight for each class.
    Probabilities(&'a [f32]),
}

impl<'a> Targets<'a> {
    /// Panics unless there is a target for each of `rows` rows of `classes` classes.
    pub(crate) fn check(&self, rows: usize, classes: usize) {
        match self {
            Self::Ids(ids) => assert_eq!(ids.len(), rows, "cross-entropy: length of the targets"),
            Self::Probabilities(y) => assert_eq!(y.len(), rows * classes, "cross-entropy: length of the targets"),
        }
    }

    /// The target of a row; panics if its id is no class.
    pub(crate) fn row(&self, row: usize, classes: usize) -> RowTarget<'a> {
        match self {
            Self::Ids(ids) => {
                let id = usize::try_from(ids[row]).unwrap_or(usize::MAX);
                assert!(id < classes, "cross-entropy: target {} of row {row} is no class", ids[row]);
                RowTarget::Id(id)
            }
            Self::Probabilities(y) => RowTarget::Probabilities(&y[row * classes..][..classes]),
        }
    }
}
