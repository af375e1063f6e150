//! Which pieces of a backward pass add to the same gradients of a bias.
use std::ops::Range;

use super::{AttentionOptions, AttentionSizes};

/// Sequences and heads of keys, cut so that two pieces never add to the same gradients at a time: those that share a bias
/// have one owner, and are cut into parts with sums of their own where owners are few.
#[derive(Clone, Copy, Debug)]
pub(super) struct Owners {
    batch: usize,
    groups: usize,
    /// Whether one bias is for all sequences.
    all_sequences: bool,
    /// Whether one bias is for all heads of keys.
    all_groups: bool,
    /// Parts of what an owner has.
    pub parts: usize,
}

impl Owners {
    /// With strides of the bias, if its gradient is wanted; not cut yet.
    pub(super) fn new(sizes: AttentionSizes, options: &AttentionOptions, strides: Option<[usize; 2]>) -> Self {
        let [all_sequences, all_groups] = strides.map_or([false; 2], |strides| strides.map(|stride| stride == 0));
        Self { batch: sizes.batch, groups: options.key_value_heads, all_sequences, all_groups, parts: 1 }
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        let sequences = if self.all_sequences { 1 } else { self.batch };
        let groups = if self.all_groups { 1 } else { self.groups };
        sequences * groups
    }

    /// How many heads of keys each has.
    fn share(&self) -> usize {
        let sequences = if self.all_sequences { self.batch } else { 1 };
        let groups = if self.all_groups { self.groups } else { 1 };
        sequences * groups
    }

    /// Cut into as many parts as make `pieces` pieces of `ranges` ranges of queries each, and no more: the sums of parts take
    /// memory, little beside the queries of so few ranges.
    pub(super) fn cut(self, pieces: usize, ranges: usize) -> Self {
        let wanted = pieces / (self.count() * ranges).max(1);
        Self { parts: wanted.clamp(1, self.share().max(1)), ..self }
    }

    /// Sequences and heads of keys of a part of an owner, in order.
    pub(super) fn heads(&self, owner: usize, part: usize) -> impl Iterator<Item = (usize, usize)> + use<> {
        let Self { groups, all_sequences, all_groups, .. } = *self;
        let (share, parts) = (self.share(), self.parts);
        let numbers: Range<usize> = part * share / parts..(part + 1) * share / parts;
        numbers.map(move |number| match (all_sequences, all_groups) {
            (true, true) => (number / groups, number % groups),
            (true, false) => (number, owner),
            (false, true) => (owner, number),
            (false, false) => (owner / groups, owner % groups),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Owners;
    use crate::attention::{AttentionSizes, tests::case::options};

    #[test]
    fn every_head_has_one_owner_and_one_part() {
        for batch in [0, 1, 3, 40] {
            let sizes = AttentionSizes { batch, queries: 5, keys: 6 };
            for groups in [1, 2, 8] {
                for strides in [None, Some([0, 7]), Some([7, 0]), Some([0, 0]), Some([7, 7])] {
                    let owners = Owners::new(sizes, &options(groups, groups, 2, 2), strides).cut(16, 1);
                    let mut found = Vec::new();
                    for owner in 0..owners.count() {
                        for part in 0..owners.parts {
                            found.extend(owners.heads(owner, part));
                        }
                    }
                    found.sort_unstable();
                    let expected: Vec<_> = (0..batch).flat_map(|b| (0..groups).map(move |g| (b, g))).collect();
                    assert_eq!(found, expected, "{batch} sequences, {groups} heads, {strides:?}");
                    let pieces = owners.count() * owners.parts;
                    assert!(pieces >= 16.min(batch * groups).div_ceil(2), "{pieces} pieces");
                }
            }
        }
    }
}
