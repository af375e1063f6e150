//! Words in the longest parts that are in the vocabulary, from the left, as BERT cuts them.
//!
//! # Source
//! The greedy search of BERT's `tokenization.py`; limits as in the `tokenizers` crate.
use super::trie::Trie;

/// What the second and further parts of a word begin with.
pub(super) const PREFIX: &str = "##";
/// Words of more characters are unknown.
pub(super) const LONGEST_WORD: usize = 100;

/// Parts of words.
pub(super) struct WordPiece {
    whole: Trie,
    continuing: Trie,
    unknown: u32,
    longest: usize,
}

impl WordPiece {
    /// Of tokens by id; words of more than `longest` characters, and those that have no parts, become `unknown`.
    pub(super) fn new(tokens: &[Box<str>], prefix: &str, unknown: u32, longest: usize) -> Self {
        let keys = || tokens.iter().zip(0..).filter(|(token, _)| !token.is_empty());
        let whole = Trie::new(keys().map(|(token, id)| (token.as_bytes(), id)).collect());
        let continuing = keys().filter_map(|(token, id)| Some((token.strip_prefix(prefix)?.as_bytes(), id)));
        let continuing = Trie::new(continuing.filter(|(rest, _)| !rest.is_empty()).collect());
        Self { whole, continuing, unknown, longest }
    }

    /// The ids of a word.
    pub(super) fn encode(&self, word: &str, ids: &mut Vec<u32>) {
        ids.clear();
        let mut rest = word.as_bytes();
        let mut trie = &self.whole;
        let is_short = word.chars().nth(self.longest).is_none();
        while is_short && !rest.is_empty() {
            let Some((length, id)) = trie.longest_prefix(rest) else { break };
            ids.push(id);
            rest = &rest[length..];
            trie = &self.continuing;
        }
        if !rest.is_empty() {
            ids.clear();
            ids.push(self.unknown);
        }
    }
}
