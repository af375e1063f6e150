//! Words as numbers, within one segment.
use std::collections::HashMap;

use ahash::RandomState;

/// Above all characters.
const FIRST: u32 = 0x11_0000;

/// Numbers of words: a word of one character is that character's, others are counted.
#[derive(Default)]
pub(super) struct Lexicon {
    longer: HashMap<Box<str>, u32, RandomState>,
}

impl Lexicon {
    /// Forgets all words.
    pub(super) fn clear(&mut self) {
        self.longer.clear();
    }

    /// The number of a word, the same for the same word until it is forgotten.
    pub(super) fn number(&mut self, word: &str) -> u32 {
        let mut characters = word.chars();
        if let (Some(only), None) = (characters.next(), characters.next()) {
            return only.into();
        }
        if let Some(&number) = self.longer.get(word) {
            return number;
        }
        // There are fewer words than bytes, and a text has fewer than 2^32 - FIRST of those.
        let number = FIRST.wrapping_add(self.longer.len() as u32);
        self.longer.insert(word.into(), number);
        number
    }
}
