//! How a text becomes words.
use serde::Deserialize;

use crate::classes::{HAN, class};

/// How texts are cut into words.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
pub enum Tokenizer {
    /// Runs of `a` to `z` and digits, in lower case; nothing else remains.
    #[serde(rename = "default")]
    Latin,
    /// The same, and each Chinese character is a word.
    #[serde(rename = "zh")]
    Chinese,
}

impl Tokenizer {
    /// Calls `visit` with each word of a text.
    pub(super) fn each_word(self, text: &str, visit: &mut dyn FnMut(&str)) {
        let text = text.to_lowercase();
        let mut start = None;
        for (at, character) in text.char_indices() {
            let plain = matches!(character, 'a'..='z' | '0'..='9');
            if plain {
                start = start.or(Some(at));
                continue;
            }
            if let Some(start) = start.take() {
                visit(&text[start..at]);
            }
            if self == Self::Chinese && class(character) & HAN != 0 {
                visit(&text[at..at + character.len_utf8()]);
            }
        }
        if let Some(start) = start {
            visit(&text[start..]);
        }
    }
}
