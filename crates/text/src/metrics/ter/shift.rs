//! Edits with shifts: words of the hypothesis that the reference has elsewhere are moved there, each time at the cost of one edit,
//! as long as that saves edits. Limits and order of preference are tercom's.
use std::cmp::Reverse;

use super::distance::{Distances, Edit};
use crate::metrics::{MetricError, Result};

/// Most words that are moved together.
const LONGEST: usize = 10;
/// Farthest that words are moved.
const FARTHEST: usize = 50;
/// Shifts that are tried in all.
const MOST_TRIED: usize = 1000;

/// A shift of `length` words from `start` to before `target`.
#[derive(Clone, Copy)]
struct Shift {
    start: usize,
    length: usize,
    target: usize,
}

impl Shift {
    /// The words after it.
    fn apply(self, words: &[u32], shifted: &mut Vec<u32>) {
        let Self { start, length, target } = self;
        let moved = &words[start..start + length];
        shifted.clear();
        if target < start {
            let parts = [&words[..target], moved, &words[target..start], &words[start + length..]];
            parts.iter().for_each(|part| shifted.extend_from_slice(part));
            return;
        }
        // Within the moved words the place is counted after them.
        let end = if target > start + length { target } else { (length + target).min(words.len()) };
        let parts = [&words[..start], &words[start + length..end], moved, &words[end..]];
        parts.iter().for_each(|part| shifted.extend_from_slice(part));
    }
}

/// Which words match, and where.
struct Alignment {
    /// For each word of the reference the last word of the hypothesis that belongs to it or to a word before; -1 for none.
    places: Vec<isize>,
    /// For each word of the reference, whether it is edited.
    reference_edited: Vec<bool>,
    /// For each word of the hypothesis, whether it is edited.
    hypothesis_edited: Vec<bool>,
}

impl Alignment {
    fn of(edits: &[Edit]) -> Self {
        let (mut places, mut reference_edited, mut hypothesis_edited) = (Vec::new(), Vec::new(), Vec::new());
        for &edit in edits {
            let edited = edit != Edit::Keep;
            if edit != Edit::Insert {
                hypothesis_edited.push(edited);
            }
            if edit != Edit::Delete {
                places.push(hypothesis_edited.len() as isize - 1);
                reference_edited.push(edited);
            }
        }
        Self { places, reference_edited, hypothesis_edited }
    }

    /// Places that the words from `start` may be moved to, so that they stand where the reference has them from `wanted` on.
    fn targets(&self, start: usize, wanted: usize, length: usize) -> impl Iterator<Item = usize> {
        let edited = |flags: &[bool], at: usize| flags.get(at..at + length).is_some_and(|some| some.contains(&true));
        let place = self.places.get(wanted).copied().unwrap_or(-1);
        let within = place >= start as isize && place < (start + length) as isize;
        let useful = edited(&self.hypothesis_edited, start) && edited(&self.reference_edited, wanted) && !within;
        let mut last = None;
        // Before the first word, or after the place of the reference's word before, and of those that are moved.
        let offsets = if useful { wanted..wanted + length + 1 } else { 0..0 };
        let after = move |index: usize| match index.checked_sub(1) {
            None => Some(0),
            Some(before) => self.places.get(before).map(|place| (place + 1) as usize),
        };
        offsets.map_while(after).filter(move |&target| last.replace(target) != Some(target))
    }
}

/// The shift that saves most edits, of those the longest, then the first, then that to the first place, with what it saves.
fn best_shift(
    words: &[u32],
    reference: &[u32],
    before: u32,
    distances: &mut Distances<'_>,
    tried: &mut usize,
    cancelled: &dyn Fn() -> bool,
) -> Result<Option<(i64, Shift)>> {
    let (n, m) = (words.len(), reference.len());
    let alignment = Alignment::of(&distances.edits());
    let mut best: Option<(i64, Shift)> = None;
    let mut shifted = Vec::with_capacity(n);
    let rank =
        |&(saved, Shift { start, length, target }): &(i64, Shift)| (saved, length, Reverse(start), Reverse(target));
    for start in 0..n {
        for wanted in start.saturating_sub(FARTHEST)..m.min(start + FARTHEST + 1) {
            for length in 1..=LONGEST.min(n - start).min(m - wanted) {
                if words[start + length - 1] != reference[wanted + length - 1] {
                    break;
                }
                let mut any = false;
                for target in alignment.targets(start, wanted, length) {
                    let shift = Shift { start, length, target };
                    shift.apply(words, &mut shifted);
                    let same = words.iter().zip(&shifted).take_while(|(a, b)| a == b).count();
                    let candidate = (i64::from(before) - i64::from(distances.of(&shifted, same)), shift);
                    *tried += 1;
                    any = true;
                    if best.as_ref().is_none_or(|best| rank(&candidate) > rank(best)) {
                        best = Some(candidate);
                    }
                }
                if any && *tried >= MOST_TRIED {
                    return Ok(best);
                }
            }
        }
        if cancelled() {
            return Err(MetricError::Cancelled);
        }
    }
    Ok(best)
}

/// Least edits, shifts included, that turn the hypothesis into the reference.
pub(super) fn edits(hypothesis: &[u32], reference: &[u32], cancelled: &dyn Fn() -> bool) -> Result<u32> {
    if reference.is_empty() {
        return Ok(hypothesis.len() as u32);
    }
    let mut distances = Distances::new(hypothesis.len(), reference);
    let mut words = hypothesis.to_vec();
    let mut distance = distances.start(&words);
    let (mut shifts, mut tried) = (0, 0);
    // Without edits nothing can be saved.
    while distance > 0 {
        let best = best_shift(&words, reference, distance, &mut distances, &mut tried, cancelled)?;
        let Some((saved, shift)) = best.filter(|&(saved, _)| saved > 0 && tried < MOST_TRIED) else { break };
        let mut shifted = Vec::with_capacity(words.len());
        shift.apply(&words, &mut shifted);
        words = shifted;
        shifts += 1;
        distance = distances.start(&words);
        debug_assert!(saved > 0);
    }
    Ok(shifts + distance)
}

#[cfg(test)]
mod tests {
    use super::{Shift, edits};

    fn apply(start: usize, length: usize, target: usize) -> Vec<u32> {
        let mut shifted = Vec::new();
        Shift { start, length, target }.apply(&[0, 1, 2, 3, 4, 5], &mut shifted);
        shifted
    }

    #[test]
    fn words_are_moved() {
        assert_eq!(apply(3, 2, 1), [0, 3, 4, 1, 2, 5]);
        assert_eq!(apply(1, 2, 5), [0, 3, 4, 1, 2, 5]);
        assert_eq!(apply(1, 2, 2), [0, 3, 1, 2, 4, 5]);
        assert_eq!(apply(4, 2, 5), [0, 1, 2, 3, 4, 5]);
        assert_eq!(apply(0, 1, 6), [1, 2, 3, 4, 5, 0]);
    }

    #[test]
    fn a_shift_costs_one_edit() {
        assert_eq!(edits(&[3, 4, 5, 1, 2], &[1, 2, 3, 4, 5], &|| false), Ok(1));
        assert_eq!(edits(&[1, 2, 3], &[1, 2, 3], &|| false), Ok(0));
        assert_eq!(edits(&[], &[1, 2, 3], &|| false), Ok(3));
        assert_eq!(edits(&[1, 2], &[], &|| false), Ok(2));
    }

    #[test]
    fn long_texts_end() {
        let words: Vec<u32> = (0..3000).map(|index| index % 7).collect();
        let reference: Vec<u32> = (0..3000).map(|index| (index * index) % 7).collect();
        assert!(edits(&words, &reference, &|| false).is_ok_and(|count| count > 0));
        assert!(edits(&words, &reference, &|| true).is_err());
    }
}
