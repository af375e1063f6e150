//! How runs of Chinese and Japanese characters are cut, which have no spaces between words.
use crate::{
    chinese,
    classes::{IDEOGRAPH, IDEOGRAPHS, MARK, class},
};

/// How Chinese and Japanese characters are cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ideographs {
    /// One by one.
    Single,
    /// Those in a row stay together.
    Runs,
    /// Into words, by a dictionary of Chinese.
    Words,
}

impl Ideographs {
    /// A run as far as patterns tell it, as a regular expression: words are found in it later.
    pub(super) fn pattern(self) -> String {
        match self {
            Self::Single => format!(r"{IDEOGRAPHS}\p{{M}}*"),
            Self::Runs | Self::Words => format!(r"(?:{IDEOGRAPHS}\p{{M}}*)+"),
        }
    }

    /// Length in bytes of what [`Self::pattern`] matches at the beginning of a text that begins with such a character.
    pub(super) fn length(self, text: &str) -> usize {
        let first = text.chars().next().map_or(0, char::len_utf8);
        let more = if self == Self::Single { MARK } else { MARK | IDEOGRAPH };
        let rest = &text[first..];
        first + rest.find(|character| class(character) & more == 0).unwrap_or(rest.len())
    }
}

/// Calls `word` for each word of a piece that is a run of such characters, which `before` may stand before; other pieces are words as they are.
pub(super) fn each_word(piece: &str, before: Option<char>, word: &mut dyn FnMut(&str)) {
    let run = before.and_then(|before| piece.strip_prefix(before)).unwrap_or(piece);
    if run.chars().next().is_none_or(|first| class(first) & IDEOGRAPH == 0) {
        return word(piece);
    }
    // The first word takes along what stands before.
    let (mut start, mut end) = (0, piece.len() - run.len());
    chinese::each_word(run, &mut |part| {
        end += part.len();
        word(&piece[start..end]);
        start = end;
    });
}
