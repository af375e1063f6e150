//! N-grams of the references of one segment, as a tree in a hash table: an n-gram is the node of its first n - 1 symbols and its
//! last one, so that they are told apart exactly.

/// Where n-grams of one kind begin; two kinds in one table have different roots.
#[derive(Clone, Copy)]
pub(super) enum Root {
    /// Of characters, or the only kind.
    First,
    /// Of words beside characters.
    Second,
}

#[derive(Clone, Copy, Default)]
struct Slot {
    /// The node before, and the symbol.
    key: u64,
    /// A slot of another generation is empty.
    generation: u32,
    node: u32,
    /// How often the n-gram is in the reference that has it most often.
    most: u32,
    /// How often it was seen in the text with the number `text`.
    seen: u32,
    text: u32,
}

/// Counts of n-grams.
#[derive(Default)]
pub(super) struct Ngrams {
    slots: Vec<Slot>,
    generation: u32,
    nodes: u32,
    text: u32,
}

const ROOTS: u32 = 2;

impl Ngrams {
    /// Forgets all, and makes room for that many n-grams.
    pub(super) fn clear(&mut self, most: usize) {
        let wanted = (2 * most).next_power_of_two().max(64);
        if self.slots.len() < wanted || self.generation == u32::MAX {
            self.slots.clear();
            self.slots.resize(wanted, Slot::default());
            self.generation = 0;
        }
        self.generation += 1;
        self.nodes = ROOTS;
        self.text = 0;
    }

    fn place(&self, key: u64) -> usize {
        let shift = 64 - self.slots.len().trailing_zeros();
        let mut at = (key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> shift) as usize;
        // There are always empty slots: at most half are full.
        while self.slots[at].generation == self.generation && self.slots[at].key != key {
            at = (at + 1) & (self.slots.len() - 1);
        }
        at
    }

    /// Adds the n-grams of a reference, up to `order` symbols long. Of several references the larger count holds.
    pub(super) fn add(&mut self, root: Root, symbols: &[u32], order: usize) {
        self.text += 1;
        for start in 0..symbols.len() {
            let mut node = root as u32;
            for &symbol in symbols[start..].iter().take(order) {
                let key = u64::from(node) << 32 | u64::from(symbol);
                let at = self.place(key);
                let slot = &mut self.slots[at];
                if slot.generation != self.generation {
                    *slot = Slot { key, generation: self.generation, node: self.nodes, ..Slot::default() };
                    self.nodes += 1;
                }
                if slot.text != self.text {
                    (slot.text, slot.seen) = (self.text, 0);
                }
                slot.seen += 1;
                slot.most = slot.most.max(slot.seen);
                node = slot.node;
            }
        }
    }

    /// Adds to `matches[n - 1]` how many n-grams of a text the references have too, each as often as one of them at most.
    pub(super) fn matches(&mut self, root: Root, symbols: &[u32], matches: &mut [f64]) {
        self.text += 1;
        for start in 0..symbols.len() {
            let mut node = root as u32;
            for (&symbol, count) in symbols[start..].iter().zip(&mut *matches) {
                let at = self.place(u64::from(node) << 32 | u64::from(symbol));
                let slot = &mut self.slots[at];
                // What no reference has, none has with more symbols either.
                if slot.generation != self.generation {
                    break;
                }
                if slot.text != self.text {
                    (slot.text, slot.seen) = (self.text, 0);
                }
                if slot.seen < slot.most {
                    slot.seen += 1;
                    *count += 1.0;
                }
                node = slot.node;
            }
        }
    }
}

/// How many n-grams `length` symbols have.
pub(super) fn count(length: usize, n: usize) -> usize {
    (length + 1).saturating_sub(n)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::{Ngrams, Root};

    fn counted(symbols: &[u32], n: usize) -> HashMap<&[u32], u32> {
        let mut counts = HashMap::new();
        symbols.windows(n).for_each(|ngram| *counts.entry(ngram).or_default() += 1);
        counts
    }

    proptest! {
        #[test]
        fn matches_are_those_of_maps(
            references in prop::collection::vec(prop::collection::vec(0_u32..4, 0..30), 1..4),
            text in prop::collection::vec(0_u32..4, 0..30),
        ) {
            let order = 5;
            let mut table = Ngrams::default();
            // Twice, so that a table that was used before is used again.
            for _ in 0..2 {
                table.clear(order * references.iter().map(Vec::len).sum::<usize>());
                references.iter().for_each(|reference| table.add(Root::First, reference, order));
                let mut found = vec![0.0; order];
                table.matches(Root::First, &text, &mut found);
                for n in 1..=order {
                    let known: Vec<_> = references.iter().map(|reference| counted(reference, n)).collect();
                    let expected: u32 = counted(&text, n)
                        .iter()
                        .map(|(ngram, &times)| {
                            let most = known.iter().filter_map(|counts| counts.get(ngram)).max();
                            times.min(most.copied().unwrap_or(0))
                        })
                        .sum();
                    prop_assert_eq!(found[n - 1], f64::from(expected));
                }
            }
        }
    }

    #[test]
    fn roots_are_apart() {
        let mut table = Ngrams::default();
        table.clear(8);
        table.add(Root::First, &[1, 2], 2);
        let mut found = [0.0; 2];
        table.matches(Root::Second, &[1, 2], &mut found);
        assert_eq!(found, [0.0, 0.0]);
    }
}
