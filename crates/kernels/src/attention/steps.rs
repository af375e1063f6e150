//! Which steps of a sequence count.
use std::ops::Range;

/// Steps that count, in ascending order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Steps {
    /// Neighbours.
    Range(Range<usize>),
    /// With others between.
    Chosen(Vec<usize>),
}

impl Steps {
    /// Those of `range` that a mask of the whole sequence says count.
    pub(super) fn new(mask: Option<&[u8]>, range: Range<usize>) -> Self {
        let Some(mask) = mask else { return Self::Range(range) };
        let counts = |&step: &usize| mask[step] != 0;
        let Some(first) = range.clone().find(counts) else { return Self::Range(range.start..range.start) };
        let last = range.clone().rfind(counts).unwrap_or(first);
        if (first..=last).all(|step| counts(&step)) {
            return Self::Range(first..last + 1);
        }
        Self::Chosen((first..=last).filter(counts).collect())
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::Range(range) => range.len(),
            Self::Chosen(steps) => steps.len(),
        }
    }

    /// The step with the number `index` of those that count.
    #[inline(always)]
    pub(super) fn at(&self, index: usize) -> usize {
        match self {
            Self::Range(range) => range.start + index,
            Self::Chosen(steps) => steps[index],
        }
    }

    /// How many lie before `step`.
    pub(super) fn before(&self, step: usize) -> usize {
        match self {
            Self::Range(range) => step.clamp(range.start, range.end) - range.start,
            Self::Chosen(steps) => steps.partition_point(|&chosen| chosen < step),
        }
    }

    /// Of those with the numbers `numbers` only, as far as there are so many.
    pub(super) fn part(self, numbers: Range<usize>) -> Self {
        let end = numbers.end.min(self.len());
        let first = numbers.start.min(end);
        match self {
            Self::Range(range) => Self::Range(range.start + first..range.start + end),
            Self::Chosen(mut steps) => {
                steps.truncate(end);
                steps.drain(..first);
                Self::Chosen(steps)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Steps;

    #[test]
    fn masks_become_ranges_or_lists() {
        assert_eq!(Steps::new(None, 2..5), Steps::Range(2..5));
        let mask = [0, 1, 1, 0, 1, 0];
        assert_eq!(Steps::new(Some(&mask), 0..6), Steps::Chosen(vec![1, 2, 4]));
        assert_eq!(Steps::new(Some(&mask), 0..4), Steps::Range(1..3));
        assert_eq!(Steps::new(Some(&mask), 4..5), Steps::Range(4..5));
        assert_eq!(Steps::new(Some(&mask), 5..6).len(), 0);
        for steps in [Steps::new(Some(&mask), 0..6), Steps::new(Some(&mask), 0..4), Steps::new(None, 0..6)] {
            for step in 0..8 {
                let before = (0..steps.len()).filter(|&index| steps.at(index) < step).count();
                assert_eq!(steps.before(step), before, "{steps:?} before {step}");
            }
            let two = steps.clone().part(0..2);
            assert_eq!((two.len(), two.at(1)), (2, steps.at(1)));
            assert_eq!(steps.clone().part(0..9), steps);
            let second = steps.clone().part(1..2);
            assert_eq!((second.len(), second.at(0)), (1, steps.at(1)));
            assert_eq!(steps.clone().part(9..12).len(), 0);
        }
    }
}
