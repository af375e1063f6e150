//! Targets of the rows of a chunk.
use super::Targets;
use crate::smoothing::Smoothing;

/// Targets of a chunk: the classes of its rows, or which rows of the probabilities belong to it.
pub(super) struct ChunkTargets<'a> {
    pub kind: Kind<'a>,
    pub classes: usize,
    pub smoothing: Smoothing,
}

pub(super) enum Kind<'a> {
    /// Class of each row of the chunk.
    Ids(Vec<usize>),
    Probabilities {
        y: &'a [f32],
        rows: &'a [usize],
    },
}

impl<'a> ChunkTargets<'a> {
    pub(super) fn new(targets: Targets<'a>, rows: &'a [usize], classes: usize, smoothing: Smoothing) -> Self {
        let kind = match targets {
            Targets::Ids(ids) => Kind::Ids(
                rows.iter()
                    .map(|&row| {
                        let id = usize::try_from(ids[row]).unwrap_or(usize::MAX);
                        assert!(id < classes, "cross-entropy: target {} of row {row} is no class", ids[row]);
                        id
                    })
                    .collect(),
            ),
            Targets::Probabilities(y) => Kind::Probabilities { y, rows },
        };
        Self { kind, classes, smoothing }
    }

    /// Whether every class has a target, so that it has to be subtracted from all probabilities.
    pub(super) fn explicit(&self) -> bool {
        self.smoothing.spread != 0.0 || matches!(self.kind, Kind::Probabilities { .. })
    }

    pub(super) fn id(&self, token: usize) -> Option<usize> {
        match &self.kind {
            Kind::Ids(ids) => ids.get(token).copied(),
            Kind::Probabilities { .. } => None,
        }
    }

    /// Unsmoothed probabilities of classes `first..first + count` of a token of the chunk.
    pub(super) fn probabilities(&self, token: usize, first: usize, count: usize) -> Option<&'a [f32]> {
        match self.kind {
            Kind::Ids(_) => None,
            Kind::Probabilities { y, rows } => rows.get(token).map(|row| &y[row * self.classes + first..][..count]),
        }
    }
}
