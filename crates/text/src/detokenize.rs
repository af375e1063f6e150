//! Words and marks back to plain text, by the rules of the Moses scripts for the languages that have some.
use std::sync::LazyLock;

use regex_syntax::hir::{Class, HirKind};

use crate::metrics::{is_space, words};

/// A language, as far as it has rules of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// `'s`, `n't` and the like stand close to the word before.
    English,
    /// `l'` stands close to the word after; a space is before `?`, `!`, `:`, `;` and `%`.
    French,
    /// `l'` stands close to the word after (Italian, Irish).
    Eliding,
    /// Marks have no spaces at all (Chinese, Japanese).
    Unspaced,
    /// Words of Chinese characters and Hangul have spaces between them.
    Korean,
    /// The rules that hold for all.
    Other,
}

impl Language {
    /// The language of a code such as `en`, `pt-BR` or `zh_CN`.
    #[must_use]
    pub fn of(code: &str) -> Self {
        match code.split(['-', '_']).next().unwrap_or_default().to_ascii_lowercase().as_str() {
            "en" => Self::English,
            "fr" => Self::French,
            "it" | "ga" => Self::Eliding,
            "zh" | "yue" | "ja" => Self::Unspaced,
            "ko" => Self::Korean,
            _ => Self::Other,
        }
    }
}

/// Characters of Chinese, Japanese and Korean, and their marks but for the full-width ones.
fn is_cjk(character: char) -> bool {
    matches!(u32::from(character), 0x1100..=0x11ff | 0x2e80..=0xa4cf | 0xa840..=0xa87f | 0xac00..=0xd7af | 0xf900..=0xfaff
        | 0xfe30..=0xfe4f | 0xff65..=0xffdc | 0x17000..=0x18aff | 0x1b000..=0x1b0ff | 0x1b130..=0x1b16f | 0x20000..=0x2ffff)
}

/// Marks of Chinese and Japanese, which bring their own space.
fn is_wide_mark(character: char) -> bool {
    matches!(character, '\u{2014}' | '\u{2018}'..='\u{201d}' | '\u{2026}' | '\u{b7}' | '\u{3000}'..='\u{3020}' | '\u{30fb}'
        | '\u{ff01}'..='\u{ff0f}' | '\u{ff1a}'..='\u{ff20}' | '\u{ff3b}'..='\u{ff40}' | '\u{ff5b}'..='\u{ff65}' | '\u{ffe0}'..='\u{ffe6}')
}

/// Whether a character is a letter, but no ideograph and no syllable of Hangul.
fn is_letter(character: char) -> bool {
    character.is_alphabetic()
        && !matches!(character, '\u{3400}'..='\u{9fff}' | '\u{ac00}'..='\u{d7a3}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..)
}

fn is_currency(character: char) -> bool {
    static RANGES: LazyLock<Vec<(char, char)>> = LazyLock::new(|| {
        // The pattern is a constant that a test parses.
        let parsed = regex_syntax::parse(r"\p{Sc}").map(|parsed| parsed.into_kind());
        let Ok(HirKind::Class(Class::Unicode(class))) = parsed else { return Vec::new() };
        class.iter().map(|range| (range.start(), range.end())).collect()
    });
    RANGES.iter().any(|&(first, last)| (first..=last).contains(&character))
}

fn is_opening(character: char) -> bool {
    matches!(character, '(' | '[' | '{' | '¿' | '¡') || is_currency(character)
}

fn is_closing(character: char) -> bool {
    matches!(character, ',' | '.' | '?' | '!' | ':' | ';' | '\\' | '%' | '}' | ']' | ')')
}

fn is_quote(character: char) -> bool {
    matches!(character, '\'' | '"' | '„' | '“' | '`')
}

/// Whether what follows an apostrophe at the beginning is a letter, as in `'s`; and `n't`.
fn is_contraction(token: &str) -> bool {
    let mut characters = token.chars();
    let Some(first) = characters.next() else { return false };
    let rest = characters.as_str();
    if matches!(first, '\'' | '\u{2019}') {
        return rest.starts_with(is_letter);
    }
    matches!(first, 'n' | 'N') && matches!(rest, "'t" | "'T" | "\u{2019}t" | "\u{2019}T")
}

/// Whether a word ends in a letter and an apostrophe, as `l'`.
fn is_elided(token: &str) -> bool {
    token.strip_suffix('\'').is_some_and(|before| before.ends_with(is_letter))
}

const ENTITIES: [(&str, &str); 11] = [
    ("&bar;", "|"),
    ("&#124;", "|"),
    ("&lt;", "<"),
    ("&gt;", ">"),
    ("&bra;", "["),
    ("&ket;", "]"),
    ("&quot;", "\""),
    ("&apos;", "'"),
    ("&#91;", "["),
    ("&#93;", "]"),
    // The last, so that what it makes is no entity.
    ("&amp;", "&"),
];

/// How many of each kind of quotation marks there were.
#[derive(Default)]
struct Quotes<'token> {
    counts: Vec<(&'token str, u32)>,
}

impl<'token> Quotes<'token> {
    /// The count of a mark; the low and high double ones count as the plain one.
    fn count(&mut self, token: &'token str) -> &mut u32 {
        let name = if token.chars().all(|character| matches!(character, '„' | '“')) { "\"" } else { token };
        let place = self.counts.iter().position(|(known, _)| *known == name).unwrap_or(self.counts.len());
        if place == self.counts.len() {
            self.counts.push((name, 0));
        }
        &mut self.counts[place].1
    }
}

/// What stands around a token.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Gap {
    /// A space before, and one after.
    Usual,
    /// No space after.
    Opening,
    /// No space before.
    Closing,
    /// No space on both sides.
    None,
    /// A space before, whatever stands there.
    Spaced,
}

/// The text of words and marks.
///
/// `@-@` joins what is around it, entities of XML become characters if `unescape` says so, brackets, marks and quotation marks (by turns opening
/// and closing) stand where they do in plain text, and words of Chinese and Japanese characters have no spaces between them. What else depends on
/// the language is said at [`Language`].
///
/// # Source
/// `detokenizer.perl` of Moses (Koehn et al., 2007), as sacremoses 0.2 has it, which gives the same but for `n't`, the apostrophe `’` and full-width
/// marks.
#[must_use]
pub fn detokenize<'token>(tokens: impl Iterator<Item = &'token str>, language: Language, unescape: bool) -> String {
    let mut raw = String::from(" ");
    tokens.for_each(|token| raw.extend([token, " "]));
    if raw.contains(" @-@ ") {
        raw = raw.replace(" @-@ ", "-");
    }
    if unescape && raw.contains('&') {
        raw = ENTITIES.iter().fold(raw, |raw, (entity, character)| raw.replace(entity, character));
    }
    let tokens: Vec<&str> = words(&raw).collect();
    let mut quotes = Quotes::default();
    let mut text = String::with_capacity(raw.len());
    let mut glued = true;
    for (index, &token) in tokens.iter().enumerate() {
        let before = index.checked_sub(1).map_or("", |before| tokens[before]);
        let after = tokens.get(index + 1).copied().unwrap_or_default();
        let gap = gap(language, before, token, after, &mut quotes);
        let close = match gap {
            Gap::Closing | Gap::None => true,
            Gap::Spaced => text.is_empty(),
            Gap::Usual | Gap::Opening => glued,
        };
        if !close {
            text.push(' ');
        }
        text.push_str(token);
        glued = matches!(gap, Gap::Opening | Gap::None);
    }
    text.trim_matches(is_space).to_owned()
}

fn gap<'token>(language: Language, before: &str, token: &'token str, after: &str, quotes: &mut Quotes<'token>) -> Gap {
    let all = |of: fn(char) -> bool| token.chars().all(of);
    if language == Language::Unspaced && all(is_wide_mark) {
        return Gap::None;
    }
    if token.starts_with(is_cjk) && language != Language::Korean {
        return if before.ends_with(is_cjk) { Gap::Closing } else { Gap::Usual };
    }
    if all(is_opening) {
        return Gap::Opening;
    }
    if all(is_closing) {
        let spaced = language == Language::French && matches!(token, "?" | "!" | ":" | ";" | "\\" | "%");
        return if spaced { Gap::Spaced } else { Gap::Closing };
    }
    if language == Language::English && !before.is_empty() && is_contraction(token) {
        return Gap::Closing;
    }
    if matches!(language, Language::French | Language::Eliding) && is_elided(token) && after.starts_with(is_letter) {
        return Gap::Opening;
    }
    if all(is_quote) {
        let count = quotes.count(token);
        let opens = count.is_multiple_of(2);
        // The apostrophe of "The Jones' house" is no quotation mark.
        if opens && language == Language::English && token == "'" && before.ends_with('s') {
            return Gap::Closing;
        }
        *count += 1;
        return if opens { Gap::Opening } else { Gap::Closing };
    }
    Gap::Usual
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Language, detokenize, is_currency};

    fn joined(text: &str, code: &str) -> String {
        detokenize(text.split(' '), Language::of(code), true)
    }

    #[test]
    fn words_and_marks_become_text() {
        let cases = [
            ("en", "He said , \" I do n't know ! \" ( 5 % of $ 3 )", "He said, \"I don't know!\" (5% of $3)"),
            ("en", "Tom ’s well @-@ known boys ' house", "Tom’s well-known boys' house"),
            ("en", "&quot; a &amp;lt; b &quot; &#91; 1 &#93;", "\"a &lt; b\" [1]"),
            ("de", "Er sagte : „ Hallo , Welt ! “ und ging .", "Er sagte: „Hallo, Welt!“ und ging."),
            ("fr", "Qu' est-ce que c' est ? L' été : 5 % .", "Qu'est-ce que c'est ? L'été : 5 %."),
            ("fr-CA", "« Bonjour »", "« Bonjour »"),
            ("it", "l' uomo dell' anno ?", "l'uomo dell'anno?"),
            ("zh", "我 用 Python 3 写 ， “ 你好 ” 。", "我用 Python 3 写，“你好”。"),
            ("zh_TW", "（ Python ） ……", "（Python）……"),
            ("ja", "「 こんにちは 」 と 言っ た 。", "「こんにちは」と言った。"),
            ("ko", "안녕 하세요 .", "안녕 하세요."),
            ("de", "我 们 . und", "我们. und"),
            ("en", "", ""),
        ];
        for (code, tokens, text) in cases {
            assert_eq!(joined(tokens, code), text);
        }
        assert_eq!(detokenize(["&lt;"].into_iter(), Language::English, false), "&lt;");
        assert!(is_currency('€') && is_currency('₿') && !is_currency('+'));
    }

    proptest! {
        #[test]
        fn nothing_but_spaces_changes(tokens in prop::collection::vec("[a-z我，。„“\"'(),!$ ]{0,3}", 0..12)) {
            let bare = |text: &str| text.chars().filter(|character| *character != ' ').collect::<String>();
            for code in ["en", "fr", "zh", "ko", "xx"] {
                let text = detokenize(tokens.iter().map(String::as_str), Language::of(code), true);
                prop_assert_eq!(bare(&text), bare(&tokens.concat()));
            }
        }
    }
}
