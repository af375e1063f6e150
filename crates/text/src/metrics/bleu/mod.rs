//! Statistics of BLEU, as sacreBLEU counts them.
mod tokenize;

use serde::Deserialize;

use super::{
    LONGEST_ORDER, MetricError, Result, Room,
    ngrams::{Root, count},
};
use tokenize::Buffers;
pub use tokenize::Tokenizer;

/// How n-grams of words are counted.
///
/// # Source
/// Papineni et al., "BLEU: a Method for Automatic Evaluation of Machine Translation" (2002); sacreBLEU 2.6.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Bleu {
    /// How texts are cut into words.
    pub tokenize: Tokenizer,
    /// Whether case is ignored.
    pub lowercase: bool,
    /// Words in the longest n-grams, from 1.
    pub max_ngram_order: usize,
}

/// What a worker keeps between segments.
#[derive(Default)]
pub(super) struct BleuRoom {
    buffers: Buffers,
    symbols: Vec<u32>,
    lengths: Vec<usize>,
}

impl Bleu {
    pub(super) fn check(&self) -> Result<()> {
        if !(1..=LONGEST_ORDER).contains(&self.max_ngram_order) {
            let message =
                format!("bleu: maxNgramOrder must be from 1 to {LONGEST_ORDER}, got {}", self.max_ngram_order);
            return Err(MetricError::Option(message));
        }
        Ok(())
    }

    /// Words of the hypothesis, words of the reference of the nearest length, then for each order the n-grams that a reference has
    /// too, then for each order all n-grams.
    pub(super) fn width(&self) -> usize {
        2 + 2 * self.max_ngram_order
    }

    fn each_word(&self, text: &str, buffers: &mut Buffers, visit: &mut dyn FnMut(&str)) {
        if self.lowercase {
            self.tokenize.each_word(&text.to_lowercase(), buffers, visit);
        } else {
            self.tokenize.each_word(text, buffers, visit);
        }
    }

    pub(super) fn segment<T: AsRef<str>>(
        &self,
        hypotheses: &[&str],
        references: &[T],
        room: &mut Room,
        outputs: &mut [Vec<f64>],
    ) {
        let order = self.max_ngram_order;
        let Room { lexicon, ngrams, bleu: BleuRoom { buffers, symbols, lengths }, .. } = room;
        lexicon.clear();
        symbols.clear();
        lengths.clear();
        for reference in references {
            let before = symbols.len();
            self.each_word(reference.as_ref(), buffers, &mut |word| symbols.push(lexicon.number(word)));
            lengths.push(symbols.len() - before);
        }
        ngrams.clear(order * symbols.len());
        let mut start = 0;
        for length in &*lengths {
            ngrams.add(Root::First, &symbols[start..start + length], order);
            start += length;
        }
        for (hypothesis, output) in hypotheses.iter().zip(outputs) {
            symbols.clear();
            self.each_word(hypothesis, buffers, &mut |word| symbols.push(lexicon.number(word)));
            let own = symbols.len();
            let nearest = lengths.iter().copied().min_by_key(|&length| (length.abs_diff(own), length)).unwrap_or(0);
            output.extend([own as f64, nearest as f64]);
            let at = output.len();
            output.resize(at + order, 0.0);
            ngrams.matches(Root::First, symbols, &mut output[at..]);
            output.extend((1..=order).map(|n| count(own, n) as f64));
        }
    }
}
