//! How a line becomes words: names and rules of sacreBLEU 2.
use serde::Deserialize;

use crate::{
    classes::{NUMBER, PUNCTUATION, SYMBOL, class},
    metrics::{
        space::{is_space, words},
        western,
    },
};

/// How lines are cut into words.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
pub enum Tokenizer {
    /// As mteval-v13a, for western languages.
    #[serde(rename = "13a")]
    V13a,
    /// Each Chinese character a word, the rest as `V13a` but without its entities.
    #[serde(rename = "zh")]
    Chinese,
    /// By Unicode's punctuation and symbols, as mteval-v14.
    #[serde(rename = "intl")]
    International,
    /// Each character a word.
    #[serde(rename = "char")]
    Character,
    /// At white space.
    #[serde(rename = "none")]
    None,
}

/// Room for texts in the making.
#[derive(Default)]
pub(super) struct Buffers {
    first: Vec<u8>,
    second: Vec<u8>,
    line: String,
    spare: String,
}

/// What sacreBLEU takes for a Chinese character. The range from U+2001 is wider than it was meant: there `"\u20000"` was written for
/// U+20000, so that dashes and quotation marks stand alone, and characters beyond U+FFFF do not. Published scores depend on it.
fn is_chinese(character: char) -> bool {
    character >= '\u{2001}'
        && matches!(
            character,
            '\u{4e00}'..='\u{9fbb}'
                | '\u{2001}'..='\u{2a6d}'
                | '\u{2e80}'..='\u{2fdf}'
                | '\u{2ff0}'..='\u{303f}'
                | '\u{3100}'..='\u{312f}'
                | '\u{31a0}'..='\u{31bf}'
                | '\u{31c0}'..='\u{31ef}'
                | '\u{3200}'..='\u{4db5}'
                | '\u{f900}'..='\u{fa2d}'
                | '\u{fa30}'..='\u{fa6a}'
                | '\u{fa70}'..='\u{fad9}'
                | '\u{fe10}'..='\u{fe1f}'
                | '\u{fe30}'..='\u{fe4f}'
                | '\u{ff00}'..='\u{ffef}'
        )
}

impl Tokenizer {
    /// Calls `visit` with each word of a line.
    pub(super) fn each_word(self, line: &str, buffers: &mut Buffers, visit: &mut dyn FnMut(&str)) {
        let line = line.trim_end_matches(is_space);
        match self {
            Self::None => words(line).for_each(visit),
            Self::Character => {
                let mut room = [0; 4];
                line.chars().filter(|&each| !is_space(each)).for_each(|each| visit(each.encode_utf8(&mut room)));
            }
            Self::V13a => western_words(&without_markup(line), [true; 2], buffers, visit),
            Self::Chinese => chinese_words(line.trim_start_matches(is_space), buffers, visit),
            Self::International => {
                international(line, &mut buffers.line, &mut buffers.spare);
                words(&buffers.line).for_each(visit);
            }
        }
    }
}

/// A line without the marks of SGML, of which lines of evaluation campaigns were full.
fn without_markup(line: &str) -> std::borrow::Cow<'_, str> {
    if !line.contains(['<', '\n', '&']) {
        return line.into();
    }
    let line = line.replace("<skipped>", "").replace("-\n", "").replace('\n', " ");
    if line.contains('&') { western::without_entities(&line).into() } else { line.into() }
}

/// Chinese characters one by one, and words of what is between them, as if there were spaces around each character.
fn chinese_words(line: &str, buffers: &mut Buffers, visit: &mut dyn FnMut(&str)) {
    let (mut start, mut after_character) = (0, false);
    for (at, character) in line.char_indices().filter(|&(_, character)| is_chinese(character)) {
        western_words(&line[start..at], [after_character, true], buffers, visit);
        let end = at + character.len_utf8();
        if !is_space(character) {
            visit(&line[at..end]);
        }
        (start, after_character) = (end, true);
    }
    western_words(&line[start..], [after_character, false], buffers, visit);
}

/// Words by western punctuation, with a space before or after the line if `framed` says so.
fn western_words(line: &str, framed: [bool; 2], buffers: &mut Buffers, visit: &mut dyn FnMut(&str)) {
    // No rule is about letters and digits alone.
    if line.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        if !line.is_empty() {
            visit(line);
        }
        return;
    }
    let Buffers { first, second, .. } = buffers;
    western::punctuation(line.as_bytes(), second);
    first.clear();
    if framed[0] {
        first.push(b' ');
    }
    first.append(second);
    if framed[1] {
        first.push(b' ');
    }
    western::marks(first, second);
    // Spaces were put between characters, never into one.
    if let Ok(text) = std::str::from_utf8(first) {
        words(text).for_each(visit);
    }
}

/// Replaces pairs of neighbours from left to right; each character is in one pair at most.
fn pairs(input: &str, output: &mut String, rule: impl Fn(char, char) -> Option<[char; 4]>) {
    output.clear();
    let mut characters = input.chars();
    let mut first = characters.next();
    while let Some(current) = first {
        let second = characters.next();
        match second.and_then(|second| rule(current, second)) {
            Some(made) => {
                output.extend(made);
                first = characters.next();
            }
            None => {
                output.push(current);
                first = second;
            }
        }
    }
}

/// Punctuation of any script, but for that within numbers, and symbols stand alone.
fn international(line: &str, output: &mut String, spare: &mut String) {
    let free = |mark, neighbour| class(mark) & PUNCTUATION != 0 && class(neighbour) & NUMBER == 0;
    pairs(line, output, |before, mark| free(mark, before).then_some([before, ' ', mark, ' ']));
    pairs(output, spare, |mark, after| free(mark, after).then_some([' ', mark, ' ', after]));
    output.clear();
    for character in spare.chars() {
        if class(character) & SYMBOL != 0 {
            output.extend([' ', character, ' ']);
        } else {
            output.push(character);
        }
    }
}
