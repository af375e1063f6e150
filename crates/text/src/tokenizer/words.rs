//! Words and punctuation marks, close to how the texts of GloVe were cut: `don't` becomes `do n't`, `1,000.5` and
//! `well-known` stay whole. Characters of Chinese and Japanese are one token each.
use super::ideographs::{Ideographs, each_word};
use crate::classes::{IDEOGRAPH, IDEOGRAPHS, LETTER, MARK, NUMBER, SPACE, class};

/// What [`split`] does, as a regular expression: in this order, what an earlier alternative takes, no later one sees.
pub(super) fn pattern(ideographs: Ideographs) -> String {
    let letter = format!(r"(?!{IDEOGRAPHS})[\p{{L}}\p{{M}}\p{{N}}_]");
    [
        ideographs.pattern(),
        format!(r"(?:(?!{IDEOGRAPHS})\p{{L}}\.){{2,}}"), // p.m.
        r"\p{N}+(?:[.,:]\p{N}+)+".to_owned(),            // 1,000.5 and 9:30
        format!("(?:{letter})+(?:[-'\u{2019}](?:{letter})+)*"),
        r"\.{2,}".to_owned(),
        r"\S".to_owned(),
    ]
    .join("|")
}

/// The end of an English contraction, which becomes a word of its own.
pub(super) const CONTRACTION: &str =
    "(?<=.)(?:[nN]['\u{2019}][tT]|['\u{2019}](?:[s\u{17f}SmMdD]|[rRvV][eE]|[lL][lL]))\\z";

fn is_letter(character: char) -> bool {
    let bits = class(character);
    bits & IDEOGRAPH == 0 && (bits & (LETTER | MARK | NUMBER) != 0 || character == '_')
}

/// Length in bytes of the characters at the beginning that are of a kind.
fn run(text: &str, of: impl Fn(char) -> bool) -> usize {
    text.find(|character| !of(character)).unwrap_or(text.len())
}

fn is_apostrophe(character: char) -> bool {
    character == '\'' || character == '\u{2019}'
}

/// Calls `word` for each word and mark of a text.
pub(super) fn split(text: &str, ideographs: Ideographs, word: &mut dyn FnMut(&str)) {
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let bits = class(first);
        if bits & SPACE != 0 {
            rest = &rest[first.len_utf8()..];
            continue;
        }
        let length = if bits & IDEOGRAPH != 0 {
            ideographs.length(rest)
        } else {
            abbreviation(rest)
                .or_else(|| number(rest))
                .or_else(|| letters(rest))
                .unwrap_or_else(|| run(rest, |character| character == '.').max(first.len_utf8()))
        };
        let (token, after) = rest.split_at(length);
        rest = after;
        if ideographs == Ideographs::Words && bits & IDEOGRAPH != 0 {
            each_word(token, None, word);
            continue;
        }
        let cut = contraction_start(token);
        if cut > 0 {
            word(&token[..cut]);
        }
        word(&token[cut..]);
    }
}

/// Two or more letters with a full stop each.
fn abbreviation(text: &str) -> Option<usize> {
    let mut length = 0;
    let mut count = 0;
    let mut characters = text.chars();
    while let (Some(letter), Some('.')) = (characters.next(), characters.next()) {
        if class(letter) & (LETTER | IDEOGRAPH) != LETTER {
            break;
        }
        length += letter.len_utf8() + 1;
        count += 1;
    }
    (count >= 2).then_some(length)
}

/// Digits in two or more groups.
fn number(text: &str) -> Option<usize> {
    let digits = |text: &str| run(text, |character| class(character) & NUMBER != 0);
    let mut length = digits(text);
    let mut groups = usize::from(length > 0);
    while groups > 0 && text[length..].starts_with(['.', ',', ':']) {
        let next = digits(&text[length + 1..]);
        if next == 0 {
            break;
        }
        length += 1 + next;
        groups += 1;
    }
    (groups >= 2).then_some(length)
}

/// A word, with hyphens and apostrophes between letters.
fn letters(text: &str) -> Option<usize> {
    let mut length = run(text, is_letter);
    while length > 0 {
        let Some(mark) = text[length..].chars().next().filter(|&mark| mark == '-' || is_apostrophe(mark)) else {
            break;
        };
        let start = length + mark.len_utf8();
        let next = run(&text[start..], is_letter);
        if next == 0 {
            break;
        }
        length = start + next;
    }
    (length > 0).then_some(length)
}

/// Where the contraction at the end of a word begins, 0 if there is none or nothing before it.
fn contraction_start(word: &str) -> usize {
    if !word.contains(is_apostrophe) {
        return 0;
    }
    let Some(apostrophe) = word.rfind(is_apostrophe) else { return 0 };
    let before = &word[..apostrophe];
    if !is_contraction_end(&word[apostrophe..]) {
        let is_t = matches!(ending(&word[apostrophe..]), Some(('t' | 'T', None)));
        return if is_t && before.ends_with(['n', 'N']) { apostrophe - 1 } else { 0 };
    }
    apostrophe
}

/// The one or two characters after an apostrophe.
fn ending(text: &str) -> Option<(char, Option<char>)> {
    let mut characters = text.chars().skip(1);
    let ending = (characters.next()?, characters.next());
    characters.next().is_none().then_some(ending)
}

/// Whether an apostrophe and what follows are `'s`, `'m`, `'d`, `'re`, `'ve` or `'ll`.
fn is_contraction_end(text: &str) -> bool {
    matches!(
        ending(text),
        Some(
            ('s' | 'S' | '\u{17f}' | 'm' | 'M' | 'd' | 'D', None)
                | ('r' | 'R' | 'v' | 'V', Some('e' | 'E'))
                | ('l' | 'L', Some('l' | 'L'))
        )
    )
}

/// Whether a word is the end of a contraction.
fn is_contraction(word: &str) -> bool {
    let rest = word.strip_prefix(['n', 'N']).filter(|rest| matches!(ending(rest), Some(('t' | 'T', None))));
    rest.unwrap_or(word).starts_with(is_apostrophe) && (rest.is_some() || is_contraction_end(word))
}

/// Full-width forms and the marks of Chinese and Japanese stand without spaces.
fn is_unspaced(word: &str) -> bool {
    word.chars().next().is_some_and(|first| {
        class(first) & IDEOGRAPH != 0
            || matches!(first, '\u{2014}' | '\u{2026}' | '\u{3000}'..='\u{303f}' | '\u{30a0}'..='\u{30ff}'
                | '\u{ff00}'..='\u{ff65}' | '\u{ffe0}'..='\u{ffee}')
    })
}

fn only(word: &str, of: &str) -> bool {
    let mut characters = word.chars();
    characters.next().is_some_and(|first| of.contains(first)) && characters.next().is_none()
}

/// Marks that stand close to the word before them.
fn is_closing(word: &str) -> bool {
    only(word, ".,!?;:%)]}\u{bb}\u{201d}\u{2019}\u{203a}\u{b0}")
        || (word.len() >= 2 && word.bytes().all(|byte| byte == b'.'))
}

fn is_opening(word: &str) -> bool {
    only(word, "([{\u{ab}\u{201c}\u{2018}\u{2039}\u{bf}\u{a1}$\u{a3}\u{20ac}#")
}

/// A text of words and marks, with spaces where English and Chinese have them.
pub(super) fn join<'word>(words: impl Iterator<Item = &'word str>) -> String {
    let mut text = String::new();
    let mut quoted = false;
    let mut glue = true;
    for word in words {
        let quote = word == "\"";
        let attached = (quote && quoted) || is_closing(word) || is_contraction(word) || is_unspaced(word);
        if !glue && !attached {
            text.push(' ');
        }
        text.push_str(word);
        if quote {
            quoted = !quoted;
        }
        glue = is_opening(word) || is_unspaced(word) || (quote && quoted);
    }
    text
}
