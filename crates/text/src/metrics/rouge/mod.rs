//! ROUGE, as the Python package rouge-score computes it.
mod lcs;
mod porter;
mod tokenize;

use serde::Deserialize;

use super::{
    LONGEST_ORDER, MetricError, Result, Room,
    ngrams::{Root, count},
};
pub use tokenize::Tokenizer;

/// What the texts have in common.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(try_from = "String")]
pub enum Kind {
    /// N-grams of that many words, from 1 to 9.
    Ngrams(usize),
    /// The longest common subsequence of the texts.
    Longest,
    /// For each sentence of the reference, its words in longest common subsequences with the sentences of the hypothesis; each line
    /// is a sentence.
    LongestBySentence,
}

impl TryFrom<String> for Kind {
    type Error = String;

    fn try_from(name: String) -> std::result::Result<Self, String> {
        match name.strip_prefix("rouge") {
            Some("L") => Ok(Self::Longest),
            Some("Lsum") => Ok(Self::LongestBySentence),
            Some(n) if n.len() == 1 && n != "0" => n.parse().map(Self::Ngrams).map_err(|error| error.to_string()),
            _ => Err(format!("unknown type {name}")),
        }
    }
}

/// How texts are compared.
///
/// # Source
/// Lin, "ROUGE: A Package for Automatic Evaluation of Summaries" (2004); rouge-score 0.1.2.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Rouge {
    /// What is compared.
    pub types: Vec<Kind>,
    /// Whether Porter's rules cut suffixes off words of more than three letters.
    pub use_stemmer: bool,
    /// How texts are cut into words.
    pub tokenizer: Tokenizer,
}

/// What a worker keeps between segments.
#[derive(Default)]
pub(super) struct RougeRoom {
    hypotheses: Vec<Text>,
    reference: Text,
}

/// A text as words, whole and line by line.
#[derive(Default)]
struct Text {
    words: Vec<u32>,
    /// Where each line ends in `lines`.
    ends: Vec<usize>,
    lines: Vec<u32>,
}

impl Text {
    fn sentences(&self) -> impl Iterator<Item = &[u32]> {
        let mut start = 0;
        self.ends.iter().map(move |&end| &self.lines[std::mem::replace(&mut start, end)..end])
    }
}

/// Precision, recall and F1.
fn values(common: usize, hypothesis: usize, reference: usize) -> [f64; 3] {
    let precision = common as f64 / hypothesis.max(1) as f64;
    let recall = common as f64 / reference.max(1) as f64;
    let sum = precision + recall;
    [precision, recall, if sum > 0.0 { 2.0 * precision * recall / sum } else { 0.0 }]
}

impl Rouge {
    pub(super) fn check(&self) -> Result<()> {
        if self.types.is_empty() || self.types.len() > LONGEST_ORDER {
            return Err(MetricError::Option(format!("rouge: types must have from 1 to {LONGEST_ORDER} names")));
        }
        Ok(())
    }

    /// For each type precision, recall and F1 of the reference with the largest F1.
    pub(super) fn width(&self) -> usize {
        3 * self.types.len()
    }

    fn read(&self, text: &str, lexicon: &mut super::lexicon::Lexicon, read: &mut Text) {
        let Text { words, ends, lines } = read;
        words.clear();
        ends.clear();
        lines.clear();
        let mut each = |text: &str, words: &mut Vec<u32>| {
            self.tokenizer.each_word(text, &mut |word| {
                words.push(if self.use_stemmer && word.len() > 3 && word.is_ascii() {
                    lexicon.number(&porter::stem(word))
                } else {
                    lexicon.number(word)
                });
            });
        };
        each(text, words);
        if self.types.contains(&Kind::LongestBySentence) {
            for line in text.split('\n').filter(|line| !line.is_empty()) {
                each(line, lines);
                ends.push(lines.len());
            }
        }
    }

    pub(super) fn segment<T: AsRef<str>>(
        &self,
        hypotheses: &[&str],
        references: &[T],
        room: &mut Room,
        cancelled: &dyn Fn() -> bool,
        outputs: &mut [Vec<f64>],
    ) -> Result<()> {
        let Room { lexicon, ngrams, rouge: RougeRoom { hypotheses: all, reference: other }, .. } = room;
        lexicon.clear();
        all.resize_with(hypotheses.len(), Text::default);
        hypotheses.iter().zip(&mut *all).for_each(|(text, own)| self.read(text, lexicon, own));
        // What came before has as many numbers for each system.
        let before = outputs.first().map_or(0, Vec::len);
        outputs.iter_mut().for_each(|output| output.resize(before + self.width(), -1.0));
        for reference in references {
            self.read(reference.as_ref(), lexicon, other);
            for (place, kind) in self.types.iter().enumerate() {
                let theirs = other.words.len();
                if let Kind::Ngrams(n) = *kind {
                    ngrams.clear(n * theirs);
                    ngrams.add(Root::First, &other.words, n);
                }
                for (own, output) in all.iter().zip(&mut *outputs) {
                    let mine = own.words.len();
                    let found = match *kind {
                        Kind::Ngrams(n) => {
                            let mut matches = [0.0; LONGEST_ORDER];
                            ngrams.matches(Root::First, &own.words, &mut matches[..n]);
                            values(matches[n - 1] as usize, count(mine, n), count(theirs, n))
                        }
                        Kind::Longest => values(lcs::length(&other.words, &own.words, cancelled)?, mine, theirs),
                        Kind::LongestBySentence => {
                            let common = lcs::union_of_sentences(
                                &other.sentences().collect::<Vec<_>>(),
                                &own.sentences().collect::<Vec<_>>(),
                                cancelled,
                            )?;
                            values(common, own.lines.len(), other.lines.len())
                        }
                    };
                    let best = &mut output[before + 3 * place..][..3];
                    if found[2] > best[2] {
                        best.copy_from_slice(&found);
                    }
                }
            }
        }
        Ok(())
    }
}
