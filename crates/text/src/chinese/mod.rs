//! Chinese words, as jieba finds them: by the most probable way to cut a text into words of a dictionary, and what is not in it by a hidden
//! Markov model.
//!
//! # Source
//! jieba (fxsjy/jieba 0.42, MIT) by the crate `jieba-rs`; the dictionary is packed by `dictionary.py`, since the crate would bring a library in C.
use std::{
    io::{BufReader, Read},
    sync::LazyLock,
};

use flate2::read::GzDecoder;
use jieba_rs::Jieba;

use crate::classes::{MARK, class};

const DICTIONARY: &[u8] = include_bytes!("dictionary.gz");

/// Read when it is first needed, which takes a moment and some memory.
static JIEBA: LazyLock<Jieba> = LazyLock::new(|| {
    // The dictionary is part of the program, and a test reads it.
    let lines = unpacked(DICTIONARY).unwrap_or_default();
    Jieba::with_dict(&mut BufReader::new(lines.as_bytes())).unwrap_or_else(|_| Jieba::empty())
});

/// The dictionary as lines of words and their counts.
fn unpacked(packed: &[u8]) -> std::io::Result<String> {
    let mut text = String::new();
    GzDecoder::new(packed).read_to_string(&mut text)?;
    let (words, counts) = text.split_once("\n\n").unwrap_or_default();
    let mut lines = String::with_capacity(2 * text.len());
    let mut word = String::new();
    for (line, count) in words.lines().zip(counts.lines()) {
        let shared = line.bytes().next().map_or(0, |first| usize::from(first.saturating_sub(b'0')));
        let kept = word.char_indices().nth(shared).map_or(word.len(), |(at, _)| at);
        word.truncate(kept);
        word.push_str(line.get(1..).unwrap_or_default());
        lines.extend([&word, " ", count, "\n"]);
    }
    Ok(lines)
}

/// The words of a text, which together are the text: those of Chinese, and whatever else there is as jieba cuts it. With `new_words`, what is
/// not in the dictionary may be a word too.
#[must_use]
pub fn segment(text: &str, new_words: bool) -> Vec<&str> {
    JIEBA.cut(text, new_words).into_iter().map(|token| token.word).collect()
}

/// Calls `word` for each word of a run of Chinese characters; marks stay with the characters that they are on.
pub(crate) fn each_word(run: &str, word: &mut dyn FnMut(&str)) {
    let (mut start, mut end) = (0, 0);
    for part in segment(run, true) {
        let is_mark = part.chars().next().is_some_and(|first| class(first) & MARK != 0);
        if end > start && !is_mark {
            word(&run[start..end]);
            start = end;
        }
        end += part.len();
    }
    if start < run.len() {
        word(&run[start..]);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{DICTIONARY, each_word, segment, unpacked};

    #[test]
    fn the_dictionary_is_whole() {
        let lines = unpacked(DICTIONARY).unwrap();
        assert_eq!(lines.lines().count(), 349_045);
        for line in ["我们 ", "1号店 3", "北京大学 2053", "龟 "] {
            assert!(lines.lines().any(|own| own.starts_with(line)), "{line}");
        }
        assert!(lines.lines().all(|line| line.split(' ').nth(1).is_some_and(|count| count.parse::<u32>().is_ok())));
    }

    #[test]
    fn words_are_those_of_jieba() {
        let cases: [(&str, &[&str]); 4] = [
            ("我来到北京清华大学", &["我", "来到", "北京", "清华大学"]),
            ("他来到了网易杭研大厦", &["他", "来到", "了", "网易", "杭研", "大厦"]),
            ("Python 3真好用。", &["Python", " ", "3", "真好", "用", "。"]),
            ("", &[]),
        ];
        for (text, words) in cases {
            assert_eq!(segment(text, true), words);
        }
        assert!(segment("他来到了网易杭研大厦", false).contains(&"杭"));
    }

    proptest! {
        #[test]
        fn words_are_the_text(text in any::<String>(), run in "[我们在北京大学すガ龥\u{3099}\u{20000}]{0,20}") {
            prop_assert_eq!(segment(&text, true).concat(), text.clone());
            prop_assert_eq!(segment(&text, false).concat(), text);
            let mut words = Vec::new();
            each_word(&run, &mut |word| words.push(word.to_owned()));
            let is_torn = words.iter().skip(1).any(|word| word.starts_with('\u{3099}'));
            prop_assert!(!is_torn);
            prop_assert!(words.iter().all(|word| !word.is_empty()));
            prop_assert_eq!(words.concat(), run);
        }
    }
}
