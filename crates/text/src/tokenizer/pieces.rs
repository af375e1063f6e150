//! How text is cut before byte pairs are merged: no merge crosses the border of a piece.
use std::sync::LazyLock;

use super::ideographs::{Ideographs, each_word};
use crate::classes::{IDEOGRAPH, IDEOGRAPHS, LETTER, MARK, NUMBER, SPACE, class};

/// Stands for a space, at the beginning of a word.
pub(super) const WORD_START: char = '▁';

/// What [`split`] does after spaces became [`WORD_START`], as a regular expression. Runs of Chinese and Japanese characters take the space
/// before them along.
pub(super) fn pattern(ideographs: Ideographs) -> String {
    let not = format!("(?!{IDEOGRAPHS})");
    [
        match ideographs {
            Ideographs::Single => ideographs.pattern(),
            Ideographs::Runs | Ideographs::Words => format!("{WORD_START}?{}", ideographs.pattern()),
        },
        format!(r"{WORD_START}?(?:{not}[\p{{L}}\p{{M}}])+"),
        format!(r"{WORD_START}?(?:{not}\p{{N}})+"),
        format!(r"{WORD_START}?(?:{not}[^\s{WORD_START}\p{{L}}\p{{M}}\p{{N}}])+"),
        r"\s+".to_owned(),
        format!("{WORD_START}+(?={WORD_START})"),
        WORD_START.to_string(),
    ]
    .join("|")
}

/// Kinds of characters that stay together.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Start,
    Ideograph,
    Word,
    Number,
    Space,
    Sign,
}

fn kind(character: char) -> Kind {
    if character == WORD_START {
        return Kind::Start;
    }
    match class(character) {
        bits if bits & IDEOGRAPH != 0 => Kind::Ideograph,
        bits if bits & (LETTER | MARK) != 0 => Kind::Word,
        bits if bits & NUMBER != 0 => Kind::Number,
        bits if bits & SPACE != 0 => Kind::Space,
        _ => Kind::Sign,
    }
}

/// Length in bytes of the characters at the beginning that are of a kind.
fn run(text: &str, of: Kind) -> usize {
    text.find(|character| kind(character) != of).unwrap_or(text.len())
}

/// Writes a text with its spaces as [`WORD_START`], and one before its first word if it begins a text.
pub(super) fn mark_words(text: &str, first: bool, marked: &mut String) {
    marked.clear();
    if first && !text.is_empty() && !text.starts_with([' ', WORD_START]) {
        marked.push(WORD_START);
    }
    for (index, part) in text.split(' ').enumerate() {
        if index > 0 {
            marked.push(WORD_START);
        }
        marked.push_str(part);
    }
}

/// Calls `piece` for each piece of a text in which spaces are [`WORD_START`].
pub(super) fn split(text: &str, ideographs: Ideographs, piece: &mut dyn FnMut(&str)) {
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let width = first.len_utf8();
        let length = match kind(first) {
            Kind::Ideograph => ideographs.length(rest),
            Kind::Start => {
                let starts = run(rest, Kind::Start);
                if starts > width {
                    starts - width
                } else {
                    let after = &rest[width..];
                    match after.chars().next().map(kind) {
                        Some(next @ (Kind::Word | Kind::Number | Kind::Sign)) => width + run(after, next),
                        Some(Kind::Ideograph) if ideographs != Ideographs::Single => width + ideographs.length(after),
                        _ => width,
                    }
                }
            }
            own => run(rest, own),
        };
        let (head, after) = rest.split_at(length);
        match ideographs {
            Ideographs::Words => each_word(head, Some(WORD_START), piece),
            Ideographs::Single | Ideographs::Runs => piece(head),
        }
        rest = after;
    }
}

/// Calls `piece` for each piece as GPT-2 cuts text:
/// `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`.
pub(super) fn split_bytes(text: &str, piece: &mut dyn FnMut(&str)) {
    let group = |character: char| match class(character) {
        bits if bits & LETTER != 0 => Kind::Word,
        bits if bits & NUMBER != 0 => Kind::Number,
        bits if bits & SPACE != 0 => Kind::Space,
        _ => Kind::Sign,
    };
    let run = |text: &str, of: Kind| text.find(|character| group(character) != of).unwrap_or(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let contraction = ["'s", "'t", "'re", "'ve", "'m", "'ll", "'d"].iter().find(|end| rest.starts_with(**end));
        let length = match (contraction, group(first)) {
            (Some(contraction), _) => contraction.len(),
            (None, Kind::Space) => {
                let after = &rest[first.len_utf8()..];
                match after.chars().next().map(group) {
                    Some(next) if first == ' ' && next != Kind::Space => 1 + run(after, next),
                    _ => {
                        let spaces = run(rest, Kind::Space);
                        let last = rest[..spaces].chars().next_back().map_or(0, char::len_utf8);
                        // The last space goes with what follows, unless it is alone.
                        if spaces < rest.len() && spaces > last { spaces - last } else { spaces }
                    }
                }
            }
            (None, own) => run(rest, own),
        };
        let (head, after) = rest.split_at(length);
        piece(head);
        rest = after;
    }
}

/// The character that stands for each byte in byte-level vocabularies, as in GPT-2.
pub(super) static BYTES: LazyLock<[char; 256]> = LazyLock::new(|| {
    let mut table = ['\0'; 256];
    let mut next = 256;
    for byte in 0..=255u8 {
        table[usize::from(byte)] = if matches!(byte, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff) {
            char::from(byte)
        } else {
            next += 1;
            char::from_u32(next - 1).unwrap_or('\0')
        };
    }
    table
});

/// The byte that a character stands for, if it does.
pub(super) fn byte_of(character: char) -> Option<u8> {
    static LIST: LazyLock<Vec<Option<u8>>> = LazyLock::new(|| {
        let mut list = vec![None; 512];
        for (byte, character) in (0..=255u8).zip(BYTES.iter()) {
            list[*character as usize] = Some(byte);
        }
        list
    });
    LIST.get(character as usize).copied().flatten()
}

/// A text as the characters of its bytes.
pub(super) fn write_bytes(text: &str, out: &mut String) {
    out.clear();
    out.extend(text.bytes().map(|byte| BYTES[usize::from(byte)]));
}
