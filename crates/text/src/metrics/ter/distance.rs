//! Levenshtein distance of words near the diagonal, with the edits that it is made of.
//!
//! n is the length of the hypothesis, m that of the reference. Row i has the distances of the first i words of the hypothesis from the
//! first words of the reference.

/// Cells on either side of the diagonal.
const BEAM: f64 = 25.0;
/// What a cell outside has; more would overflow when a cost is added.
const FAR: u32 = u32::MAX / 2;

/// How a cell was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Edit {
    /// Both texts have the word.
    Keep,
    /// The texts have different words.
    Substitute,
    /// A word of the reference has none in the hypothesis.
    Insert,
    /// A word of the hypothesis has none in the reference.
    Delete,
}

#[derive(Clone, Copy)]
struct Cell {
    cost: u32,
    edit: Edit,
}

const OUTSIDE: Cell = Cell { cost: FAR, edit: Edit::Keep };

/// The cells of a row that are near the diagonal.
#[derive(Clone, Default)]
struct Row {
    /// Where they begin.
    start: usize,
    cells: Vec<Cell>,
}

impl Row {
    fn at(&self, index: usize) -> Cell {
        index.checked_sub(self.start).and_then(|index| self.cells.get(index)).copied().unwrap_or(OUTSIDE)
    }
}

/// Distances of texts of n words from one reference.
pub(super) struct Distances<'a> {
    reference: &'a [u32],
    /// n.
    length: usize,
    ratio: f64,
    beam: f64,
    /// Rows of the text that shifts start from.
    rows: Vec<Row>,
    spare: [Row; 2],
}

impl<'a> Distances<'a> {
    /// For texts of `length` words.
    pub(super) fn new(length: usize, reference: &'a [u32]) -> Self {
        let ratio = if length == 0 { 1.0 } else { reference.len() as f64 / length as f64 };
        // Of much longer references each row must still touch the next.
        let beam = if BEAM < ratio / 2.0 { (ratio / 2.0 + BEAM).ceil() } else { BEAM };
        let first = (0..=reference.len() as u32).map(|cost| Cell { cost, edit: Edit::Insert }).collect();
        Self { reference, length, ratio, beam, rows: vec![Row { start: 0, cells: first }], spare: Default::default() }
    }

    /// Computes row `i` from the row before.
    fn fill(&self, i: usize, word: u32, before: &Row, row: &mut Row) {
        let m = self.reference.len();
        let diagonal = (i as f64 * self.ratio).floor();
        row.start = (diagonal - self.beam).max(0.0) as usize;
        let end = if i == self.length { m + 1 } else { ((diagonal + self.beam) as usize).min(m + 1) };
        row.cells.clear();
        // To the left of the cell, and above the one to the left.
        let mut left = OUTSIDE;
        let mut corner = row.start.checked_sub(1).map_or(OUTSIDE, |index| before.at(index));
        for j in row.start..end {
            let above = before.at(j);
            let cell = if j == 0 {
                Cell { cost: above.cost + 1, edit: Edit::Delete }
            } else {
                // Of equal costs a word that is kept or replaced is preferred, then one that is left out.
                let same = word == self.reference[j - 1];
                let mut best = OUTSIDE;
                let edit = if same { Edit::Keep } else { Edit::Substitute };
                for (cost, edit) in [
                    (corner.cost + u32::from(!same), edit),
                    (above.cost + 1, Edit::Delete),
                    (left.cost + 1, Edit::Insert),
                ] {
                    if cost < best.cost {
                        best = Cell { cost, edit };
                    }
                }
                best
            };
            row.cells.push(cell);
            (left, corner) = (cell, above);
        }
    }

    /// Takes `words` as the text that shifts start from; gives its distance.
    pub(super) fn start(&mut self, words: &[u32]) -> u32 {
        self.rows.truncate(1);
        for (index, &word) in words.iter().enumerate() {
            let mut row = Row::default();
            self.fill(index + 1, word, &self.rows[index], &mut row);
            self.rows.push(row);
        }
        self.rows[words.len()].at(self.reference.len()).cost
    }

    /// The distance of a text whose first `same` words are those of the text that shifts start from.
    pub(super) fn of(&mut self, words: &[u32], same: usize) -> u32 {
        let [mut last, mut next] = std::mem::take(&mut self.spare);
        for (index, &word) in words.iter().enumerate().skip(same) {
            let before = if index == same { &self.rows[index] } else { &last };
            self.fill(index + 1, word, before, &mut next);
            std::mem::swap(&mut last, &mut next);
        }
        let row = if same == words.len() { &self.rows[same] } else { &last };
        let cost = row.at(self.reference.len()).cost;
        self.spare = [last, next];
        cost
    }

    /// What turns the text that shifts start from into the reference, from the first words on.
    pub(super) fn edits(&self) -> Vec<Edit> {
        let (mut i, mut j) = (self.rows.len() - 1, self.reference.len());
        let mut edits = Vec::with_capacity(i + j);
        while i > 0 || j > 0 {
            let edit = self.rows[i].at(j).edit;
            edits.push(edit);
            let (up, left) = match edit {
                Edit::Keep | Edit::Substitute => (1, 1),
                Edit::Insert => (0, 1),
                Edit::Delete => (1, 0),
            };
            let (Some(above), Some(before)) = (i.checked_sub(up), j.checked_sub(left)) else { break };
            (i, j) = (above, before);
        }
        edits.reverse();
        edits
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Distances, Edit};

    fn levenshtein(a: &[u32], b: &[u32]) -> u32 {
        let mut row: Vec<u32> = (0..=b.len() as u32).collect();
        for (i, x) in a.iter().enumerate() {
            let mut corner = std::mem::replace(&mut row[0], i as u32 + 1);
            for (j, y) in b.iter().enumerate() {
                let above = row[j + 1];
                row[j + 1] = (corner + u32::from(x != y)).min(above + 1).min(row[j] + 1);
                corner = above;
            }
        }
        row[b.len()]
    }

    proptest! {
        #[test]
        fn short_texts_have_the_full_distance(
            words in prop::collection::vec(0_u32..4, 0..20),
            reference in prop::collection::vec(0_u32..4, 0..20),
            same in 0_usize..20,
        ) {
            let mut distances = Distances::new(words.len(), &reference);
            let distance = distances.start(&words);
            prop_assert_eq!(distance, levenshtein(&words, &reference));
            let edits = distances.edits();
            let cost = edits.iter().filter(|&&edit| edit != Edit::Keep).count();
            prop_assert_eq!(cost, distance as usize);
            let used = edits.iter().filter(|&&edit| edit != Edit::Insert).count();
            prop_assert_eq!(used, words.len());
            let same = same.min(words.len());
            let mut other = words.clone();
            other[same..].reverse();
            prop_assert_eq!(distances.of(&other, same), levenshtein(&other, &reference));
        }
    }

    #[test]
    fn lengths_that_differ_much_have_a_distance() {
        for (n, m) in [(1, 2000), (2000, 1), (3, 400), (400, 3), (0, 5), (5, 0)] {
            let (words, reference) = (vec![1; n], vec![2; m]);
            let mut distances = Distances::new(n, &reference);
            assert_eq!(distances.start(&words), n.max(m) as u32, "{n} {m}");
            assert!(distances.edits().len() >= n.max(m));
        }
    }
}
