//! Learning which pairs to merge: always the most frequent one, of equals that of the smallest ids.
//!
//! # Source
//! Sennrich, Haddow and Birch, "Neural Machine Translation of Rare Words with Subword Units" (2016). The result is that of
//! the trainer in the `tokenizers` crate.
use std::{cmp::Reverse, collections::BinaryHeap};

use ahash::AHashMap;

type Pair = (u32, u32);

/// What has no id: no pair contains it.
const GAP: u32 = u32::MAX;

/// How often a pair occurs, and in which words at least once, now or earlier.
#[derive(Default)]
struct Entry {
    count: i64,
    words: Vec<u32>,
}

/// Words as symbols, and what is known of their pairs.
pub(super) struct Pairs {
    symbols: Vec<u32>,
    /// Where each word begins, how long it is now, and how often it occurs.
    words: Vec<(usize, usize, i64)>,
    entries: AHashMap<Pair, Entry>,
    /// Pairs with the count that they had when they were queued.
    queue: BinaryHeap<(i64, Reverse<Pair>)>,
    ids: AHashMap<Box<str>, u32>,
    /// What symbols after the first of a word begin with.
    prefix: &'static str,
    /// Pairs in the order of merging.
    pub(super) merges: Vec<Pair>,
}

/// The ids of characters, as the first of a word and after it.
pub(super) struct Alphabet {
    pub(super) first: AHashMap<char, u32>,
    pub(super) rest: AHashMap<char, u32>,
    /// What the tokens of `rest` begin with.
    pub(super) prefix: &'static str,
}

impl Pairs {
    pub(super) fn new(words: &[(Box<str>, u64)], alphabet: &Alphabet) -> Self {
        let Alphabet { first, rest, prefix } = alphabet;
        let tokens = rest.iter().map(|(character, &id)| (format!("{prefix}{character}").into_boxed_str(), id));
        let own = first.iter().map(|(character, &id)| (character.to_string().into_boxed_str(), id));
        let mut pairs = Self {
            symbols: Vec::new(),
            words: Vec::with_capacity(words.len()),
            entries: AHashMap::new(),
            queue: BinaryHeap::new(),
            ids: tokens.chain(own).collect(),
            prefix,
            merges: Vec::new(),
        };
        for (word, count) in words {
            let start = pairs.symbols.len();
            pairs.symbols.extend(word.chars().enumerate().map(|(place, character)| {
                let alphabet = if place == 0 { first } else { rest };
                alphabet.get(&character).copied().unwrap_or(GAP)
            }));
            let count = i64::try_from(*count).unwrap_or(i64::MAX);
            let index = pairs.words.len() as u32;
            for pair in pairs.symbols[start..].windows(2) {
                add(&mut pairs.entries, (pair[0], pair[1]), count, index);
            }
            pairs.words.push((start, pairs.symbols.len() - start, count));
        }
        pairs.queue = pairs.entries.iter().map(|(&pair, entry)| (entry.count, Reverse(pair))).collect();
        pairs
    }

    /// Merges one pair, with a new token for it if there is none yet; `false` if no pair is frequent enough.
    pub(super) fn merge(&mut self, tokens: &mut Vec<String>, minimum: u64) -> bool {
        let (pair, entry) = loop {
            let Some((count, Reverse(pair))) = self.queue.pop() else { return false };
            let Some(entry) = self.entries.get_mut(&pair) else { continue };
            if entry.count != count {
                if entry.count > 0 {
                    self.queue.push((entry.count, Reverse(pair)));
                }
                continue;
            }
            if count < 1 || u64::try_from(count).is_ok_and(|count| count < minimum) {
                return false;
            }
            let Some(entry) = self.entries.remove(&pair) else { continue };
            break (pair, entry);
        };
        let right = &tokens[pair.1 as usize];
        let token = format!("{}{}", tokens[pair.0 as usize], right.strip_prefix(self.prefix).unwrap_or(right));
        let merged = *self.ids.entry(token.as_str().into()).or_insert_with(|| {
            tokens.push(token);
            (tokens.len() - 1) as u32
        });
        self.merges.push(pair);
        let mut found = Vec::new();
        let mut last = GAP;
        for index in entry.words {
            // A word is noted each time a pair comes up in it, mostly one time after the other.
            if index != last {
                self.replace(index, pair, merged, &mut found);
            }
            last = index;
        }
        found.sort_unstable();
        found.dedup();
        for pair in found {
            if let Some(entry) = self.entries.get(&pair) {
                self.queue.push((entry.count, Reverse(pair)));
            }
        }
        true
    }

    /// Replaces a pair in a word; `found` gets pairs that came up.
    fn replace(&mut self, index: u32, pair: Pair, merged: u32, found: &mut Vec<Pair>) {
        let Self { symbols, words, entries, .. } = self;
        let (start, length, count) = words[index as usize];
        let word = &mut symbols[start..start + length];
        let (mut read, mut write) = (0, 0);
        while read < word.len() {
            if read + 1 >= word.len() || (word[read], word[read + 1]) != pair {
                word[write] = word[read];
                read += 1;
                write += 1;
                continue;
            }
            if write > 0 {
                let left = word[write - 1];
                subtract(entries, (left, pair.0), count);
                if add(entries, (left, merged), count, index) {
                    found.push((left, merged));
                }
            }
            if let Some(&right) = word.get(read + 2) {
                subtract(entries, (pair.1, right), count);
                if add(entries, (merged, right), count, index) {
                    found.push((merged, right));
                }
            }
            word[write] = merged;
            read += 2;
            write += 1;
        }
        words[index as usize].1 = write;
    }
}

/// Counts a pair in a word; `false` if it contains a gap.
fn add(entries: &mut AHashMap<Pair, Entry>, pair: Pair, count: i64, word: u32) -> bool {
    if pair.0 == GAP || pair.1 == GAP {
        return false;
    }
    let entry = entries.entry(pair).or_default();
    entry.count = entry.count.saturating_add(count);
    if entry.words.last() != Some(&word) {
        entry.words.push(word);
    }
    true
}

fn subtract(entries: &mut AHashMap<Pair, Entry>, pair: Pair, count: i64) {
    if let Some(entry) = entries.get_mut(&pair) {
        entry.count = entry.count.saturating_sub(count);
    }
}
