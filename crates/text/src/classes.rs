//! What kind of character each code point is, by the tables of the `regex` crates.
use std::sync::LazyLock;

use ahash::AHashMap;
use regex_syntax::hir::{Class, HirKind};

/// Letters (`\p{L}`).
pub(crate) const LETTER: u8 = 1;
/// Combining marks (`\p{M}`).
pub(crate) const MARK: u8 = 2;
/// Digits and other numbers (`\p{N}`).
pub(crate) const NUMBER: u8 = 4;
/// Characters of Chinese and Japanese: scripts Han, Hiragana and Katakana.
pub(crate) const IDEOGRAPH: u8 = 8;
/// White space (`\s`).
pub(crate) const SPACE: u8 = 16;
/// Punctuation (`\p{P}`).
pub(crate) const PUNCTUATION: u8 = 32;
/// Symbols (`\p{S}`).
pub(crate) const SYMBOL: u8 = 64;
/// Chinese characters: script Han.
pub(crate) const HAN: u8 = 128;

/// The set of [`IDEOGRAPH`] as a regular expression.
pub(crate) const IDEOGRAPHS: &str = r"[\p{Han}\p{Hiragana}\p{Katakana}]";

const BLOCK: usize = 256;

/// Two levels: blocks of 256 code points, equal ones stored once.
struct Table {
    blocks: Vec<u16>,
    bits: Vec<[u8; BLOCK]>,
}

static TABLE: LazyLock<Table> = LazyLock::new(Table::new);

/// The class bits of a character.
#[inline]
pub(crate) fn class(character: char) -> u8 {
    let code = character as usize;
    let table = &*TABLE;
    table.bits[usize::from(table.blocks[code / BLOCK])][code % BLOCK]
}

impl Table {
    fn new() -> Self {
        let mut flat = vec![0u8; 0x110_000];
        for (pattern, bit) in [
            (r"\p{L}", LETTER),
            (r"\p{M}", MARK),
            (r"\p{N}", NUMBER),
            (IDEOGRAPHS, IDEOGRAPH),
            (r"\s", SPACE),
            (r"\p{P}", PUNCTUATION),
            (r"\p{S}", SYMBOL),
            (r"\p{Han}", HAN),
        ] {
            // The patterns are constants that a test parses.
            let Ok(parsed) = regex_syntax::parse(pattern) else { continue };
            let HirKind::Class(Class::Unicode(class)) = parsed.kind() else { continue };
            for range in class.ranges() {
                flat[range.start() as usize..=range.end() as usize].iter_mut().for_each(|bits| *bits |= bit);
            }
        }
        let mut seen: AHashMap<[u8; BLOCK], u16> = AHashMap::new();
        let mut bits = Vec::new();
        let blocks = flat
            .as_chunks::<BLOCK>()
            .0
            .iter()
            .map(|block| {
                *seen.entry(*block).or_insert_with(|| {
                    bits.push(*block);
                    (bits.len() - 1) as u16
                })
            })
            .collect();
        Self { blocks, bits }
    }
}

#[cfg(test)]
mod tests {
    use super::{HAN, IDEOGRAPH, LETTER, MARK, NUMBER, PUNCTUATION, SPACE, SYMBOL, class};

    #[test]
    fn characters_have_their_classes() {
        for (character, expected) in [
            ('a', LETTER),
            ('Ж', LETTER),
            ('\u{301}', MARK),
            ('7', NUMBER),
            ('½', NUMBER),
            ('我', LETTER | IDEOGRAPH | HAN),
            ('〇', NUMBER | IDEOGRAPH | HAN),
            ('す', LETTER | IDEOGRAPH),
            ('\u{a0}', SPACE),
            ('\n', SPACE),
            ('\u{feff}', 0),
            ('_', PUNCTUATION),
            ('。', PUNCTUATION),
            ('$', SYMBOL),
            ('▁', SYMBOL),
            ('👍', SYMBOL),
            ('\u{10ffff}', 0),
        ] {
            assert_eq!(class(character), expected, "{character:?}");
        }
    }
}
