//! How texts are prepared: the rules of tercom as sacreBLEU has them.
use serde::Deserialize;

use crate::metrics::{space, western};

/// What is done to texts before they are compared.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Normalization {
    /// Whether punctuation is cut off words, and entities of XML are replaced.
    pub normalized: bool,
    /// Whether punctuation is removed.
    pub no_punct: bool,
    /// Whether these two also hold for Chinese and Japanese, of which each character is a word.
    pub asian_support: bool,
    /// Whether case counts.
    pub case_sensitive: bool,
}

/// Chinese characters, their parts, and what else stands alone in Chinese and Japanese.
///
/// tercom also has rules for runs of kana, which never hold: they are anchored at the start of the line, where there is a space. Its last
/// range was meant to end at U+32FF.
fn is_asian(character: char) -> bool {
    matches!(
        character,
        '\u{2e80}'..='\u{2eff}'
            | '\u{31c0}'..='\u{31ef}'
            | '\u{3200}'..='\u{4dbf}'
            | '\u{4e00}'..='\u{9fff}'
            | '\u{f900}'..='\u{faff}'
            | '\u{fe30}'..='\u{fe4f}'
    )
}

fn is_asian_mark(character: char) -> bool {
    matches!(
        character,
        '\u{3001}' | '\u{3002}' | '\u{3008}'..='\u{3011}' | '\u{3014}'..='\u{301f}' | '\u{30fb}'
            | '\u{ff61}'..='\u{ff65}'
            | '．' | '，' | '？' | '：' | '；' | '！' | '＂' | '（' | '）'
    )
}

impl Normalization {
    /// Calls `visit` with each word of a line.
    pub(super) fn each_word(self, line: &str, visit: &mut dyn FnMut(&str)) {
        let mut text = line.trim_end_matches(space::is_space).to_owned();
        if !self.case_sensitive {
            text = text.to_lowercase();
        }
        if self.normalized {
            text = normalized(&text);
            if self.asian_support {
                text = spaced(&text);
            }
        }
        if self.no_punct {
            let asian = self.asian_support;
            text.retain(|each| {
                !(matches!(each, '.' | ',' | '?' | ':' | ';' | '!' | '"' | '(' | ')') || asian && is_asian_mark(each))
            });
        }
        space::words(&text).for_each(visit);
    }
}

fn normalized(text: &str) -> String {
    // A line without words stays one.
    if text.is_empty() {
        return String::new();
    }
    let joined = text.replace("\n-", "").replace('\n', " ");
    let framed = format!(" {} ", western::without_entities(&joined));
    let (mut first, mut second) = (Vec::new(), Vec::new());
    western::punctuation(framed.as_bytes(), &mut first);
    // Spaces were put between characters, never into one.
    let Ok(possessives) = String::from_utf8(first) else { return framed };
    first = possessives.replace("'s ", " 's ").into_bytes();
    western::marks(&mut first, &mut second);
    String::from_utf8(first).unwrap_or(framed)
}

fn spaced(text: &str) -> String {
    let mut output = String::with_capacity(2 * text.len());
    for character in text.chars() {
        if is_asian(character) || is_asian_mark(character) {
            output.extend([' ', character, ' ']);
        } else {
            output.push(character);
        }
    }
    output
}
