//! From a text to the one that is cut into pieces, and back to its places.
use super::{
    super::{
        error::{Fault, Result, TokenizerError},
        trie::Trie,
    },
    charsmap::Charsmap,
};

/// Stands for a space.
pub(super) const SPACE: char = '▁';

/// What happens to a text first.
pub(super) struct Normalizer {
    pub(super) charsmap: Option<Charsmap>,
    /// Strings that stay as they are.
    pub(super) symbols: Option<Trie>,
    pub(super) dummy_prefix: bool,
    pub(super) remove_extra_spaces: bool,
    pub(super) escape_spaces: bool,
    pub(super) suffix: bool,
}

/// A text after that.
#[derive(Default)]
pub(super) struct Normalized {
    pub(super) text: String,
    /// For each byte of it, and for its end, the byte of the original text at which what became it begins.
    pub(super) origins: Vec<u32>,
}

impl Normalized {
    fn push(&mut self, text: &str, origin: usize) {
        self.text.push_str(text);
        self.origins.resize(self.text.len(), origin as u32);
    }
}

impl Normalizer {
    /// Length in bytes of what a text begins with, and what that becomes.
    fn first<'a>(&'a self, text: &'a str) -> (usize, &'a str) {
        if let Some((length, _)) = self.symbols.as_ref().and_then(|symbols| symbols.longest_prefix(text.as_bytes())) {
            return (length, &text[..length]);
        }
        if let Some(rule) = self.charsmap.as_ref().and_then(|charsmap| charsmap.longest(text)) {
            return rule;
        }
        let length = text.chars().next().map_or(0, char::len_utf8);
        (length, &text[..length])
    }

    /// Normalises a text.
    pub(super) fn run(&self, text: &str, normalized: &mut Normalized) -> Result<()> {
        normalized.text.clear();
        normalized.origins.clear();
        // Rules may lengthen a text, but not without bound.
        let most = (4 << 20) + 32 * text.len();
        let mut space = [0; 4];
        let space = if self.escape_spaces { SPACE.encode_utf8(&mut space) } else { " " };
        let mut place = 0;
        while self.remove_extra_spaces && place < text.len() {
            let (length, first) = self.first(&text[place..]);
            if first != " " {
                break;
            }
            place += length;
        }
        if place == text.len() {
            normalized.origins.push(place as u32);
            return Ok(());
        }
        if self.dummy_prefix && !self.suffix {
            normalized.push(space, place);
        }
        let mut after_space = self.remove_extra_spaces;
        while place < text.len() {
            let (length, mut first) = self.first(&text[place..]);
            if after_space {
                first = first.trim_start_matches(' ');
            }
            for (index, part) in first.split(' ').enumerate() {
                normalized.push(if index > 0 { space } else { "" }, place);
                normalized.push(part, place);
            }
            if !first.is_empty() {
                after_space = self.remove_extra_spaces && first.ends_with(' ');
            }
            if normalized.text.len() > most {
                return Err(TokenizerError::new(Fault::Data, "normalising makes the text too long"));
            }
            place += length;
        }
        while self.remove_extra_spaces && normalized.text.ends_with(space) {
            let length = normalized.text.len() - space.len();
            place = normalized.origins[length] as usize;
            normalized.text.truncate(length);
            normalized.origins.truncate(length);
        }
        if self.dummy_prefix && self.suffix {
            normalized.push(space, place);
        }
        normalized.origins.push(place as u32);
        Ok(())
    }
}
