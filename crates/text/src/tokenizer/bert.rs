//! How BERT changes and cuts text before words are looked up in parts, as the `tokenizers` crate does it.
//!
//! # Source
//! `tokenization.py` of BERT (Devlin et al., 2018); `BertNormalizer` and `BertPreTokenizer` of the crate.
use std::borrow::Cow;

use serde_json::Value;
use unicode_categories::UnicodeCategories;

use super::normalize::Step;

/// The steps of a `BertNormalizer`, or `None` if it is none.
pub(super) fn steps(normalizer: &Value) -> Option<Vec<Step>> {
    let flag = |name: &str| normalizer.get(name).and_then(Value::as_bool);
    let lowercase = flag("lowercase")?;
    let strips = match normalizer.get("strip_accents")? {
        Value::Null => lowercase,
        Value::Bool(strips) => *strips,
        _ => return None,
    };
    let all = [
        (flag("clean_text")?, Step::Clean),
        (flag("handle_chinese_chars")?, Step::SpaceIdeographs),
        (strips, Step::Nfd),
        (strips, Step::StripMarks),
        (lowercase, Step::Lowercase),
    ];
    Some(all.into_iter().filter(|(taken, _)| *taken).map(|(_, step)| step).collect())
}

fn is_line_space(character: char) -> bool {
    matches!(character, '\t' | '\n' | '\r')
}

/// Whether a character is dropped: control characters, those that show nothing, and those that are none.
fn is_dropped(character: char) -> bool {
    match character {
        ' '..='~' => false,
        '\0' | '\u{fffd}' => true,
        _ => !is_line_space(character) && character.is_other(),
    }
}

/// Without control characters, and with plain spaces.
pub(super) fn clean(text: Cow<'_, str>) -> Cow<'_, str> {
    if text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return text;
    }
    let kept = text.chars().filter(|&character| !is_dropped(character));
    kept.map(|character| if character.is_whitespace() { ' ' } else { character }).collect()
}

/// The characters that stand for themselves: not those of Japanese and Korean alone.
fn is_ideograph(character: char) -> bool {
    matches!(u32::from(character), 0x3400..=0x4dbf | 0x4e00..=0x9fff | 0xf900..=0xfaff | 0x20000..=0x2a6df | 0x2a700..=0x2b81f
        | 0x2b920..=0x2ceaf | 0x2f800..=0x2fa1f)
}

/// With spaces around Chinese characters.
pub(super) fn space_ideographs(text: Cow<'_, str>) -> Cow<'_, str> {
    if text.is_ascii() || !text.contains(is_ideograph) {
        return text;
    }
    let mut spaced = String::with_capacity(2 * text.len());
    for character in text.chars() {
        if is_ideograph(character) {
            spaced.extend([' ', character, ' ']);
        } else {
            spaced.push(character);
        }
    }
    Cow::Owned(spaced)
}

fn is_mark(character: char) -> bool {
    !character.is_ascii() && character.is_mark_nonspacing()
}

/// Without marks that take no room of their own.
pub(super) fn strip_marks(text: Cow<'_, str>) -> Cow<'_, str> {
    if text.is_ascii() || !text.contains(is_mark) {
        return text;
    }
    Cow::Owned(text.replace(is_mark, ""))
}

fn is_punctuation(character: char) -> bool {
    if character.is_ascii() { character.is_ascii_punctuation() } else { character.is_punctuation() }
}

/// Calls `word` for each word and each punctuation mark of a text.
pub(super) fn split(text: &str, word: &mut dyn FnMut(&str)) {
    for part in text.split(char::is_whitespace) {
        let mut start = 0;
        for (at, mark) in part.match_indices(is_punctuation) {
            if start < at {
                word(&part[start..at]);
            }
            word(mark);
            start = at + mark.len();
        }
        if start < part.len() {
            word(&part[start..]);
        }
    }
}
