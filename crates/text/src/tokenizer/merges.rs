//! Merging byte pairs: the pair of the lowest rank first, of equal ones the leftmost.
//!
//! # Source
//! Sennrich, Haddow and Birch, "Neural Machine Translation of Rare Words with Subword Units" (2016).
use std::{cmp::Reverse, collections::BinaryHeap};

use ahash::AHashMap;

use super::random::Random;

/// Pieces of at most so many symbols are merged by looking at all pairs each time.
const SHORT: usize = 64;
/// No pair.
const NONE: u32 = u32::MAX;

/// Ranks of pairs and what they become.
#[derive(Debug, Default)]
pub(super) struct Merges {
    ranks: AHashMap<u64, (u32, u32)>,
}

fn key(left: u32, right: u32) -> u64 {
    u64::from(left) << 32 | u64::from(right)
}

impl Merges {
    /// Of pairs in the order of their ranks, each with the id that it becomes; the last rank of a repeated pair counts.
    pub(super) fn new(pairs: impl Iterator<Item = (u32, u32, u32)>) -> Self {
        let ranks = (0..NONE).zip(pairs).map(|(rank, (left, right, merged))| (key(left, right), (rank, merged)));
        Self { ranks: ranks.collect() }
    }

    fn rank(&self, left: u32, right: u32) -> u32 {
        self.ranks.get(&key(left, right)).map_or(NONE, |&(rank, _)| rank)
    }

    /// Merges the symbols of a piece in place.
    pub(super) fn apply(&self, symbols: &mut Vec<u32>) {
        if symbols.len() < 2 || self.ranks.is_empty() {
        } else if symbols.len() <= SHORT {
            self.apply_short(symbols);
        } else {
            self.apply_long(symbols, None);
        }
    }

    /// The same, but in each step each pair is left out with the probability `dropout`.
    ///
    /// # Source
    /// Provilkov, Emelianenko and Voita, "BPE-Dropout: Simple and Effective Subword Regularization" (2020).
    pub(super) fn apply_with_dropout(&self, symbols: &mut Vec<u32>, dropout: f64, random: &mut Random) {
        if symbols.len() >= 2 {
            self.apply_long(symbols, Some((dropout, random)));
        }
    }

    fn apply_short(&self, symbols: &mut Vec<u32>) {
        let mut buffer = [NONE; SHORT];
        let ranks = &mut buffer[..symbols.len() - 1];
        for (rank, pair) in ranks.iter_mut().zip(symbols.windows(2)) {
            *rank = self.rank(pair[0], pair[1]);
        }
        let mut pairs = ranks.len();
        while pairs > 0 {
            let (mut best, mut place) = (NONE, 0);
            for (index, &rank) in ranks[..pairs].iter().enumerate() {
                if rank < best {
                    (best, place) = (rank, index);
                }
            }
            if best == NONE {
                break;
            }
            let Some(&(_, merged)) = self.ranks.get(&key(symbols[place], symbols[place + 1])) else { break };
            symbols[place] = merged;
            symbols.remove(place + 1);
            ranks.copy_within(place + 1..pairs, place);
            pairs -= 1;
            if place > 0 {
                ranks[place - 1] = self.rank(symbols[place - 1], merged);
            }
            if place < pairs {
                ranks[place] = self.rank(merged, symbols[place + 1]);
            }
        }
    }

    fn apply_long(&self, symbols: &mut Vec<u32>, mut dropout: Option<(f64, &mut Random)>) {
        let count = symbols.len();
        let mut next: Vec<usize> = (1..=count).collect();
        let mut before: Vec<usize> = (0..count).map(|index| index.wrapping_sub(1)).collect();
        // The rank of the pair that begins at each place; what the queue holds beyond these is out of date.
        let mut ranks: Vec<u32> = symbols.windows(2).map(|pair| self.rank(pair[0], pair[1])).collect();
        ranks.push(NONE);
        let mut queue: BinaryHeap<_> = ranks
            .iter()
            .enumerate()
            .filter(|(_, rank)| **rank != NONE)
            .map(|(place, &rank)| Reverse((rank, place)))
            .collect();
        // Pairs that this step leaves out.
        let mut dropped = Vec::new();
        while let Some(Reverse((rank, place))) = queue.pop() {
            if ranks[place] != rank {
                continue;
            }
            if let Some((dropout, random)) = &mut dropout {
                if random.next() < *dropout {
                    dropped.push(Reverse((rank, place)));
                    continue;
                }
                queue.extend(dropped.drain(..));
            }
            let right = next[place];
            let Some(&(_, merged)) = self.ranks.get(&key(symbols[place], symbols[right])) else { continue };
            symbols[place] = merged;
            symbols[right] = NONE;
            ranks[right] = NONE;
            let after = next[right];
            next[place] = after;
            if after < count {
                before[after] = place;
            }
            ranks[place] = if after < count { self.rank(merged, symbols[after]) } else { NONE };
            if ranks[place] != NONE {
                queue.push(Reverse((ranks[place], place)));
            }
            let previous = before[place];
            if previous < count {
                ranks[previous] = self.rank(symbols[previous], merged);
                if ranks[previous] != NONE {
                    queue.push(Reverse((ranks[previous], previous)));
                }
            }
        }
        symbols.retain(|&symbol| symbol != NONE);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Merges, Random};

    #[test]
    fn pairs_are_left_out_as_often_as_asked() {
        // a b c: ab first, then bc; and abc.
        let merges = Merges::new([(0, 1, 3), (1, 2, 4), (3, 2, 5)].into_iter());
        type Way = (&'static [u32], fn(f64) -> f64);
        let ways: [Way; 4] = [
            (&[5], |p| (1.0 - p) * (1.0 - p)),
            (&[3, 2], |p| (1.0 - p) * p),
            (&[0, 4], |p| p * (1.0 - p)),
            (&[0, 1, 2], |p| p * p),
        ];
        for dropout in [0.0, 0.1, 0.5, 1.0] {
            let mut counts = [0; 4];
            for text in 0..6000 {
                let mut symbols = vec![0, 1, 2];
                merges.apply_with_dropout(&mut symbols, dropout, &mut Random::new(5, text));
                counts[ways.iter().position(|(way, _)| **way == *symbols).unwrap()] += 1;
            }
            for (count, (way, probability)) in counts.iter().zip(&ways) {
                let found = f64::from(*count) / 6000.0;
                assert!((found - probability(dropout)).abs() < 0.03, "{dropout} {way:?}: {found}");
            }
        }
    }

    proptest! {
        #[test]
        fn both_ways_of_merging_agree(
            pairs in prop::collection::vec((0u32..6, 0u32..6, 3u32..6), 0..12),
            symbols in prop::collection::vec(0u32..6, 2..64),
        ) {
            let merges = Merges::new(pairs.into_iter());
            let (mut short, mut long) = (symbols.clone(), symbols);
            merges.apply_short(&mut short);
            merges.apply_long(&mut long, None);
            prop_assert_eq!(short, long);
        }
    }
}
