//! Longest common subsequences, with a bit for each cell of the table.
//!
//! Row i of the table has the lengths for the first i words of one text. Along a row a length is that before or one more, and only
//! where it is more a bit is 0: 64 cells are computed at once.
//!
//! # Source
//! Hyyrö, "Bit-Parallel LCS-length Computation Revisited" (2004).
use std::collections::HashMap;

use ahash::RandomState;

use crate::metrics::{MetricError, Result};

/// Most bits of a table that is kept: 512 MiB.
const MOST_BITS: usize = 1 << 32;
/// Rows between two looks at the caller's wish to stop.
const ROWS_PER_CHECK: usize = 256;

/// Where each word is, a bit for each place.
struct Places {
    blocks: usize,
    bits: HashMap<u32, Vec<u64>, RandomState>,
}

impl Places {
    fn of(words: &[u32]) -> Self {
        let blocks = words.len().div_ceil(64);
        let mut bits: HashMap<u32, Vec<u64>, RandomState> = HashMap::default();
        for (index, &word) in words.iter().enumerate() {
            bits.entry(word).or_insert_with(|| vec![0; blocks])[index / 64] |= 1 << (index % 64);
        }
        Self { blocks, bits }
    }

    /// The row after `row` for one more word of the other text.
    fn advance(&self, word: u32, row: &mut [u64]) {
        let Some(places) = self.bits.get(&word) else { return };
        let mut carry = false;
        for (bits, &here) in row.iter_mut().zip(places) {
            let hits = *bits & here;
            let (sum, first) = bits.overflowing_add(hits);
            let (sum, second) = sum.overflowing_add(u64::from(carry));
            carry = first | second;
            *bits = sum | (*bits & !here);
        }
    }
}

/// How many of the first `length` bits are 0.
fn zeros(row: &[u64], length: usize) -> usize {
    let whole: usize = row[..length / 64].iter().map(|bits| bits.count_zeros() as usize).sum();
    let rest = length % 64;
    whole + if rest == 0 { 0 } else { rest - (row[length / 64] & ((1 << rest) - 1)).count_ones() as usize }
}

/// The length of a longest common subsequence.
pub(super) fn length(rows: &[u32], columns: &[u32], cancelled: &dyn Fn() -> bool) -> Result<usize> {
    let places = Places::of(columns);
    let mut row = vec![u64::MAX; places.blocks];
    for (index, &word) in rows.iter().enumerate() {
        if index % ROWS_PER_CHECK == 0 && cancelled() {
            return Err(MetricError::Cancelled);
        }
        places.advance(word, &mut row);
    }
    Ok(zeros(&row, columns.len()))
}

/// Marks the places in `rows` of one longest common subsequence: of several that which is found from the end, where a word of `rows`
/// is left out unless that makes it shorter.
fn mark(rows: &[u32], columns: &[u32], marks: &mut [bool], cancelled: &dyn Fn() -> bool) -> Result<()> {
    let places = Places::of(columns);
    let blocks = places.blocks;
    if rows.len().saturating_mul(64 * blocks) > MOST_BITS {
        return Err(MetricError::TooLong { first: rows.len(), second: columns.len() });
    }
    // All rows one after the other; that of no words is all ones.
    let mut table = vec![u64::MAX; (rows.len() + 1) * blocks];
    for (index, &word) in rows.iter().enumerate() {
        if index % ROWS_PER_CHECK == 0 && cancelled() {
            return Err(MetricError::Cancelled);
        }
        let (before, after) = table.split_at_mut((index + 1) * blocks);
        after[..blocks].copy_from_slice(&before[index * blocks..]);
        places.advance(word, &mut after[..blocks]);
    }
    let row = |i: usize| &table[i * blocks..][..blocks];
    let (mut i, mut j) = (rows.len(), columns.len());
    // Lengths at (i, j) and above it.
    let mut here = zeros(row(i), j);
    let mut above = i.checked_sub(1).map_or(0, |above| zeros(row(above), j));
    while i > 0 && j > 0 {
        let step = |i: usize| usize::from(row(i)[(j - 1) / 64] >> ((j - 1) % 64) & 1 == 0);
        if rows[i - 1] == columns[j - 1] {
            marks[i - 1] = true;
            here = above - step(i - 1);
            i -= 1;
            j -= 1;
            above = i.checked_sub(1).map_or(0, |above| zeros(row(above), j));
        } else if here - step(i) > above {
            here -= step(i);
            above -= step(i - 1);
            j -= 1;
        } else {
            here = above;
            i -= 1;
            above = i.checked_sub(1).map_or(0, |above| zeros(row(above), j));
        }
    }
    Ok(())
}

/// How many words of the sentences of the reference are in a longest common subsequence with a sentence of the hypothesis, each word at
/// most as often as in either text.
pub(super) fn union_of_sentences(
    reference: &[&[u32]],
    hypothesis: &[&[u32]],
    cancelled: &dyn Fn() -> bool,
) -> Result<usize> {
    let mut left: HashMap<u32, [usize; 2], RandomState> = HashMap::default();
    for (index, text) in [reference, hypothesis].into_iter().enumerate() {
        text.iter().copied().flatten().for_each(|&word| left.entry(word).or_default()[index] += 1);
    }
    let mut common = 0;
    let mut marks = Vec::new();
    for sentence in reference {
        marks.clear();
        marks.resize(sentence.len(), false);
        for other in hypothesis {
            mark(sentence, other, &mut marks, cancelled)?;
        }
        for (word, _) in sentence.iter().zip(&marks).filter(|(_, mark)| **mark) {
            if let Some([a, b]) = left.get_mut(word).filter(|left| !left.contains(&0)) {
                *a -= 1;
                *b -= 1;
                common += 1;
            }
        }
    }
    Ok(common)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{length, mark};

    /// The table and the way back through it, cell by cell.
    fn plain(rows: &[u32], columns: &[u32]) -> (usize, Vec<bool>) {
        let mut table = vec![vec![0; columns.len() + 1]; rows.len() + 1];
        for i in 1..=rows.len() {
            for j in 1..=columns.len() {
                table[i][j] = if rows[i - 1] == columns[j - 1] {
                    table[i - 1][j - 1] + 1
                } else {
                    table[i - 1][j].max(table[i][j - 1])
                };
            }
        }
        let (mut i, mut j) = (rows.len(), columns.len());
        let mut marks = vec![false; i];
        while i > 0 && j > 0 {
            if rows[i - 1] == columns[j - 1] {
                marks[i - 1] = true;
                (i, j) = (i - 1, j - 1);
            } else if table[i][j - 1] > table[i - 1][j] {
                j -= 1;
            } else {
                i -= 1;
            }
        }
        (table[rows.len()][columns.len()], marks)
    }

    proptest! {
        #[test]
        fn bits_give_what_the_table_gives(
            rows in prop::collection::vec(0_u32..5, 0..150),
            columns in prop::collection::vec(0_u32..5, 0..150),
        ) {
            let (expected, places) = plain(&rows, &columns);
            prop_assert_eq!(length(&rows, &columns, &|| false), Ok(expected));
            let mut marks = vec![false; rows.len()];
            prop_assert_eq!(mark(&rows, &columns, &mut marks, &|| false), Ok(()));
            prop_assert_eq!(marks, places);
        }
    }

    #[test]
    fn too_long_sentences_are_refused() {
        let words = vec![1; 1 << 17];
        let mut marks = vec![false; words.len()];
        assert!(mark(&words, &words, &mut marks, &|| false).is_err());
    }
}
