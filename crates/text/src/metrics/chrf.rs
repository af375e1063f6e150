//! Statistics of chrF and chrF++, as sacreBLEU counts them.
use serde::Deserialize;

use super::{
    LONGEST_ORDER, MetricError, Result, Room,
    ngrams::{Root, count},
    space::{is_space, words},
};

/// How n-grams of characters and words are counted.
///
/// # Source
/// Popović, "chrF: character n-gram F-score for automatic MT evaluation" (2015), "chrF++: words helping character n-grams" (2017);
/// sacreBLEU 2.6.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Chrf {
    /// Characters in the longest n-grams, from 1.
    pub char_order: usize,
    /// Words in the longest n-grams, 0 for none.
    pub word_order: usize,
    /// How much more recall counts than precision.
    pub beta: f64,
    /// Whether case is ignored.
    pub lowercase: bool,
    /// Whether white space is among the characters.
    pub whitespace: bool,
    /// Whether all orders count, with a tiny number for what is 0, instead of those that both sides have.
    pub eps_smoothing: bool,
}

/// What a worker keeps between segments.
#[derive(Default)]
pub(super) struct ChrfRoom {
    hypotheses: Vec<Hypothesis>,
    reference: Symbols,
    current: Vec<f64>,
}

#[derive(Default)]
struct Hypothesis {
    symbols: Symbols,
    /// Statistics of the reference with the best score so far, and this.
    best: Vec<f64>,
    score: f64,
}

#[derive(Default)]
struct Symbols {
    characters: Vec<u32>,
    words: Vec<u32>,
}

const ASCII_PUNCTUATION: &str = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~";

/// Cuts one mark off a word, at its end or else at its beginning.
fn parts(word: &str) -> [Option<&str>; 2] {
    let mut characters = word.chars();
    let (Some(first), Some(last)) = (characters.next(), characters.next_back()) else {
        return [Some(word), None];
    };
    let (start, end) = if ASCII_PUNCTUATION.contains(last) {
        word.split_at(word.len() - last.len_utf8())
    } else if ASCII_PUNCTUATION.contains(first) {
        word.split_at(first.len_utf8())
    } else {
        return [Some(word), None];
    };
    [Some(start), Some(end)]
}

impl Chrf {
    pub(super) fn check(&self) -> Result<()> {
        let fault = if !(1..=LONGEST_ORDER).contains(&self.char_order) {
            format!("charOrder must be from 1 to {LONGEST_ORDER}, got {}", self.char_order)
        } else if self.word_order > LONGEST_ORDER {
            format!("wordOrder must be from 0 to {LONGEST_ORDER}, got {}", self.word_order)
        } else if !(self.beta.is_finite() && self.beta >= 0.0) {
            format!("beta must be a number of at least 0, got {}", self.beta)
        } else {
            return Ok(());
        };
        Err(MetricError::Option(format!("chrf: {fault}")))
    }

    /// For each order, of characters and then of words, n-grams of the hypothesis, of the reference, and of both.
    pub(super) fn width(&self) -> usize {
        3 * (self.char_order + self.word_order)
    }

    fn read(&self, text: &str, lexicon: &mut super::lexicon::Lexicon, symbols: &mut Symbols) {
        let lower;
        let text = if self.lowercase {
            lower = text.to_lowercase();
            &lower
        } else {
            text
        };
        let Symbols { characters, words: own } = symbols;
        characters.clear();
        characters.extend(text.chars().filter(|&each| self.whitespace || !is_space(each)).map(u32::from));
        own.clear();
        if self.word_order > 0 {
            own.extend(words(text).flat_map(parts).flatten().map(|word| lexicon.number(word)));
        }
    }

    /// The statistics of the reference with the best score.
    pub(super) fn segment<T: AsRef<str>>(
        &self,
        hypotheses: &[&str],
        references: &[T],
        room: &mut Room,
        outputs: &mut [Vec<f64>],
    ) {
        let Room { lexicon, ngrams, chrf: ChrfRoom { hypotheses: all, reference: other, current }, .. } = room;
        lexicon.clear();
        all.resize_with(hypotheses.len(), Hypothesis::default);
        for (text, own) in hypotheses.iter().zip(&mut *all) {
            self.read(text, lexicon, &mut own.symbols);
            own.score = f64::NEG_INFINITY;
        }
        for reference in references {
            self.read(reference.as_ref(), lexicon, other);
            ngrams.clear(self.char_order * other.characters.len() + self.word_order * other.words.len());
            ngrams.add(Root::First, &other.characters, self.char_order);
            ngrams.add(Root::Second, &other.words, self.word_order);
            for own in &mut *all {
                current.clear();
                for (root, order, mine, theirs) in [
                    (Root::First, self.char_order, &own.symbols.characters, &other.characters),
                    (Root::Second, self.word_order, &own.symbols.words, &other.words),
                ] {
                    let mut matches = [0.0; LONGEST_ORDER];
                    ngrams.matches(root, mine, &mut matches[..order]);
                    for (n, both) in (1..=order).zip(matches) {
                        let (mine, theirs) = (count(mine.len(), n), count(theirs.len(), n));
                        current.extend([if theirs > 0 { mine as f64 } else { 0.0 }, theirs as f64, both]);
                    }
                }
                let score = self.score(current);
                if score > own.score {
                    own.score = score;
                    std::mem::swap(&mut own.best, current);
                }
            }
        }
        all.iter_mut().zip(outputs).for_each(|(own, output)| output.append(&mut own.best));
    }

    /// chrF from 0 to 100 of statistics, or of their sums over segments.
    ///
    /// # Shapes
    /// `statistics` is `[3 (charOrder + wordOrder)]`.
    #[must_use]
    pub fn score(&self, statistics: &[f64]) -> f64 {
        const EPSILON: f64 = 1e-16;
        let factor = self.beta * self.beta;
        let f_score = |precision: f64, recall: f64| {
            let denominator = factor * precision + recall;
            (denominator > 0.0).then(|| (1.0 + factor) * precision * recall / denominator)
        };
        let (mut precisions, mut recalls, mut orders, mut smoothed) = (0.0, 0.0, 0.0, 0.0);
        for order in statistics.chunks_exact(3) {
            let (mine, theirs, both) = (order[0], order[1], order[2]);
            let precision = if mine > 0.0 { both / mine } else { EPSILON };
            let recall = if theirs > 0.0 { both / theirs } else { EPSILON };
            smoothed += f_score(precision, recall).unwrap_or(EPSILON);
            if mine > 0.0 && theirs > 0.0 {
                precisions += precision;
                recalls += recall;
                orders += 1.0;
            }
        }
        if self.eps_smoothing {
            return 100.0 * smoothed / (self.char_order + self.word_order) as f64;
        }
        if orders == 0.0 {
            return 0.0;
        }
        100.0 * f_score(precisions / orders, recalls / orders).unwrap_or(0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::parts;

    #[test]
    fn a_mark_is_cut_off_one_end() {
        assert_eq!(parts("word"), [Some("word"), None]);
        assert_eq!(parts("."), [Some("."), None]);
        assert_eq!(parts("(word)"), [Some("(word"), Some(")")]);
        assert_eq!(parts("(word"), [Some("("), Some("word")]);
        assert_eq!(parts("é."), [Some("é"), Some(".")]);
        assert_eq!(parts(".é"), [Some("."), Some("é")]);
    }
}
