//! Learning a unigram model: many pieces are made fewer in rounds of expectation, maximisation and pruning.
//!
//! # Source
//! Kudo, "Subword Regularization" (2018); constants as in SentencePiece and the `tokenizers` crate.
use std::mem::take;

use ahash::AHashMap;

use super::super::{
    lattice::{Lattice, Node},
    trie::Trie,
};
use super::seeds::Seeds;

/// Rounds of expectation and maximisation before each pruning.
const ROUNDS: usize = 2;
/// What is expected more rarely is left out.
const RAREST: f64 = 0.5;
/// Share of the pieces that a pruning leaves.
const SHRINKING: f64 = 0.75;
/// What an unknown character costs more than the least probable piece.
const UNKNOWN_PENALTY: f64 = 10.0;
/// Distance of the scores of characters that are kept though they are improbable.
const STEP: f64 = 1e-4;
/// The unknown character.
const UNKNOWN: u32 = u32::MAX;

/// The derivative of the logarithm of the gamma function.
fn digamma(mut x: f64) -> f64 {
    let mut result = 0.0;
    while x < 7.0 {
        result -= 1.0 / x;
        x += 1.0;
    }
    let inverse = 1.0 / x;
    let square = inverse * inverse;
    let series = square * (1.0 / 12.0 - square * (1.0 / 120.0 - square * (1.0 / 252.0 - square / 240.0)));
    result + x.ln() - 0.5 * inverse - series
}

/// Pieces, their scores, and a tree to find them.
struct Model {
    pieces: Vec<(Box<str>, f64)>,
    trie: Trie,
    unknown_score: f64,
}

impl Model {
    fn new(pieces: Vec<(Box<str>, f64)>) -> Self {
        let trie = Trie::new(pieces.iter().map(|(piece, _)| piece.as_bytes()).zip(0..).collect());
        let least = pieces.iter().map(|(_, score)| *score).fold(f64::INFINITY, f64::min);
        Self { pieces, trie, unknown_score: if least.is_finite() { least - UNKNOWN_PENALTY } else { -UNKNOWN_PENALTY } }
    }

    fn fill(&self, word: &str, lattice: &mut Lattice) {
        lattice.clear();
        for (start, character) in word.char_indices() {
            let width = character.len_utf8();
            let mut has_single = false;
            let mut push = |length: usize, id: u32, score: f64| {
                lattice.nodes.push(Node { start: start as u32, end: (start + length) as u32, id, score });
            };
            self.trie.each_prefix(&word.as_bytes()[start..], |length, id| {
                has_single |= length == width;
                push(length, id, self.pieces[id as usize].1);
            });
            if !has_single {
                push(width, UNKNOWN, self.unknown_score);
            }
        }
    }
}

/// What is being done, and how far.
#[derive(Default)]
enum Stage {
    Seeds(Seeds),
    Expect {
        round: usize,
        word: usize,
    },
    /// The best way without itself is searched for each piece.
    Replace {
        piece: usize,
    },
    /// Pieces of the best ways are counted.
    Count {
        word: usize,
    },
    #[default]
    Done,
}

/// A unigram model that is being learnt.
pub(super) struct UnigramLearning {
    words: Vec<(Box<str>, u64)>,
    /// Characters that are kept, with their counts.
    alphabet: Vec<(char, u64)>,
    /// Pieces at the end.
    size: usize,
    model: Model,
    numbers: Vec<f64>,
    /// For each piece what it would be replaced by, if it is worth more than that.
    replacements: Vec<Vec<u32>>,
    lattice: Lattice,
    way: Vec<Node>,
    stage: Stage,
}

impl UnigramLearning {
    /// From words with their counts to `size` pieces; `alphabet` are the characters that are kept, at most `size`.
    pub(super) fn new(words: Vec<(Box<str>, u64)>, alphabet: Vec<(char, u64)>, size: usize, minimum: u64) -> Self {
        let seeds = Seeds::new(&words, minimum);
        Self {
            words,
            alphabet,
            size,
            model: Model::new(Vec::new()),
            numbers: Vec::new(),
            replacements: Vec::new(),
            lattice: Lattice::default(),
            way: Vec::new(),
            stage: Stage::Seeds(seeds),
        }
    }

    /// Pieces so far.
    pub(super) fn pieces(&self) -> usize {
        self.model.pieces.len()
    }

    /// A little more than the pieces at the end: the last step chooses among these.
    fn desired(&self) -> usize {
        self.size.saturating_add(self.size / 10)
    }

    /// Learns on until `pause` gives true; whether it has ended.
    pub(super) fn advance(&mut self, pause: &mut dyn FnMut() -> bool) -> bool {
        loop {
            if self.step() {
                return true;
            }
            if pause() {
                return false;
            }
        }
    }

    /// A little work; whether that was all.
    fn step(&mut self) -> bool {
        self.stage = match take(&mut self.stage) {
            Stage::Seeds(mut seeds) => match seeds.advance() {
                true => self.begin(seeds),
                false => Stage::Seeds(seeds),
            },
            Stage::Expect { round, word } => self.expect(round, word),
            Stage::Replace { piece } => self.replace(piece),
            Stage::Count { word } => self.count(word),
            Stage::Done => return true,
        };
        false
    }

    fn begin(&mut self, seeds: Seeds) -> Stage {
        let mut pieces: Vec<(Box<str>, f64)> =
            self.alphabet.iter().map(|&(character, count)| (character.to_string().into(), count as f64)).collect();
        pieces.extend(seeds.end());
        let all = pieces.iter().map(|(_, worth)| worth).sum::<f64>().ln();
        pieces.iter_mut().for_each(|(_, worth)| *worth = worth.ln() - all);
        self.model = Model::new(pieces);
        self.clear_numbers();
        Stage::Expect { round: 0, word: 0 }
    }

    fn clear_numbers(&mut self) {
        self.numbers.clear();
        self.numbers.resize(self.model.pieces.len(), 0.0);
    }

    /// Counts how often each piece is expected in some words, and gives pieces new scores after the last.
    fn expect(&mut self, round: usize, word: usize) -> Stage {
        let Self { words, model, numbers, lattice, .. } = self;
        let end = end_of_turn(words, word);
        for (word, count) in &words[word..end] {
            model.fill(word, lattice);
            lattice.expect(word.len(), |node, probability| {
                if let Some(number) = numbers.get_mut(node.id as usize) {
                    *number += *count as f64 * probability;
                }
            });
        }
        if end < words.len() {
            return Stage::Expect { round, word: end };
        }
        self.maximize();
        if round + 1 < ROUNDS {
            return Stage::Expect { round: round + 1, word: 0 };
        }
        if self.model.pieces.len() <= self.desired() {
            return Stage::Done;
        }
        self.replacements = vec![Vec::new(); self.model.pieces.len()];
        Stage::Replace { piece: 0 }
    }

    /// The scores that pieces should have after what was expected; a sparse prior makes rare ones rarer.
    fn maximize(&mut self) {
        let mut kept: Vec<(Box<str>, f64)> = take(&mut self.model.pieces)
            .into_iter()
            .zip(&self.numbers)
            .filter(|(_, number)| **number >= RAREST)
            .map(|((piece, _), &number)| (piece, number))
            .collect();
        let all = digamma(kept.iter().map(|(_, number)| number).sum());
        kept.iter_mut().for_each(|(_, number)| *number = digamma(*number) - all);
        self.model = Model::new(kept);
        self.clear_numbers();
    }

    fn replace(&mut self, piece: usize) -> Stage {
        let Self { model, replacements, lattice, way, .. } = self;
        let end = model.pieces.len().min(piece + 256);
        for (id, replacement) in replacements.iter_mut().enumerate().take(end).skip(piece) {
            let (text, score) = &model.pieces[id];
            model.fill(text, lattice);
            let sum = lattice.best(text.len(), |sum| sum, |node| node.id == id as u32, way);
            if sum.is_some_and(|sum| sum <= *score) {
                *replacement = way.iter().map(|node| node.id).collect();
            }
        }
        if end < model.pieces.len() { Stage::Replace { piece: end } } else { Stage::Count { word: 0 } }
    }

    /// Counts the pieces of the best ways of some words, and takes the least useful pieces away after the last.
    fn count(&mut self, word: usize) -> Stage {
        let Self { words, model, numbers, lattice, way, .. } = self;
        let end = end_of_turn(words, word);
        for (word, count) in &words[word..end] {
            model.fill(word, lattice);
            lattice.best(word.len(), |sum| sum, |_| false, way);
            for node in way.iter() {
                if let Some(number) = numbers.get_mut(node.id as usize) {
                    *number += *count as f64;
                }
            }
        }
        if end < words.len() {
            return Stage::Count { word: end };
        }
        self.prune();
        Stage::Expect { round: 0, word: 0 }
    }

    /// Keeps the pieces whose replacement would make the words least probable, and those that nothing replaces.
    fn prune(&mut self) {
        let desired = self.desired().max((self.model.pieces.len() as f64 * SHRINKING) as usize);
        let numbers = &self.numbers;
        let all: f64 = numbers.iter().sum();
        let words: f64 = self.words.iter().map(|(_, count)| *count as f64).sum();
        let mut keeps = vec![false; numbers.len()];
        let mut losses = Vec::new();
        for (id, (replacement, &number)) in self.replacements.iter().zip(numbers).enumerate() {
            let is_single = self.model.pieces[id].0.chars().nth(1).is_none();
            if replacement.is_empty() {
                keeps[id] = number > 0.0 || is_single;
            } else if number > 0.0 {
                // Its occurrences would be those of what replaces it.
                let after = (all + number * (replacement.len() as f64 - 1.0)).ln();
                let count = |id: &u32| numbers.get(*id as usize).copied().unwrap_or(0.0);
                let sum: f64 = replacement.iter().map(|id| (count(id) + number).ln() - after).sum();
                losses.push((id, number / words * (number.ln() - all.ln() - sum)));
            }
        }
        losses.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        let room = desired.saturating_sub(keeps.iter().filter(|keep| **keep).count());
        losses.iter().take(room).for_each(|&(id, _)| keeps[id] = true);
        let mut keeps = keeps.into_iter();
        let mut pieces = take(&mut self.model.pieces);
        pieces.retain(|_| keeps.next().unwrap_or(false));
        self.model = Model::new(pieces);
        self.replacements = Vec::new();
        self.clear_numbers();
    }

    /// The pieces from probable to improbable, with their scores in steps of a millionth.
    pub(super) fn end(self) -> Vec<(Box<str>, f64)> {
        let Self { alphabet, size, model, .. } = self;
        let known: AHashMap<&str, f64> = model.pieces.iter().map(|(piece, score)| (&**piece, *score)).collect();
        let least = model.pieces.iter().map(|(_, score)| *score).fold(f64::INFINITY, f64::min);
        let least = if least.is_finite() { least } else { 0.0 };
        let mut missing = 0.0;
        let mut kept: Vec<(Box<str>, f64)> = Vec::new();
        for (character, _) in &alphabet {
            let piece: Box<str> = character.to_string().into();
            let score = known.get(&*piece).copied().unwrap_or_else(|| {
                missing += 1.0;
                least - STEP * missing
            });
            kept.push((piece, score));
        }
        let by_score = |a: &(Box<str>, f64), b: &(Box<str>, f64)| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0));
        let mut others: Vec<(Box<str>, f64)> =
            model.pieces.iter().filter(|(piece, _)| piece.chars().nth(1).is_some()).cloned().collect();
        others.sort_by(by_score);
        let room = size.saturating_sub(kept.len());
        kept.extend(others.into_iter().take(room));
        kept.iter_mut().for_each(|(_, score)| *score = (*score * 1e6).round() / 1e6);
        kept.sort_by(by_score);
        kept
    }
}

/// Words that are worked on without a look at the clock.
fn end_of_turn(words: &[(Box<str>, u64)], start: usize) -> usize {
    let mut bytes = 0;
    let count = words[start..].iter().take_while(|(word, _)| {
        let fits = bytes < 1 << 14;
        bytes += word.len();
        fits
    });
    start + count.count()
}

#[cfg(test)]
mod tests {
    use std::io::BufRead;

    use tokenizers::{AddedToken, Model as _, models::unigram};

    use super::*;

    #[test]
    fn digamma_is_the_slope_of_log_gamma() {
        // Values to 12 digits from a table: -gamma, 1 - gamma, and at a half.
        for (x, expected) in [(1.0, -0.577_215_664_902), (2.0, 0.422_784_335_098), (0.5, -1.963_510_026_021)] {
            assert!((digamma(x) - expected).abs() < 1e-9, "{x}: {}", digamma(x));
        }
        assert!((digamma(1e6) - (1e6f64.ln() - 5e-7)).abs() < 1e-12);
    }

    /// The words of some real sentences.
    fn words() -> Vec<(Box<str>, u64)> {
        let path = "../../data/tatoeba-en-fr.train-10000.tsv.gz";
        let file = flate2::read::MultiGzDecoder::new(std::fs::File::open(path).unwrap());
        let mut counts: AHashMap<Box<str>, u64> = AHashMap::new();
        for line in std::io::BufReader::new(file).lines().take(1000) {
            for word in line.unwrap().split([' ', '\t']) {
                *counts.entry(format!("▁{word}").into()).or_insert(0) += 1;
            }
        }
        let mut words: Vec<_> = counts.into_iter().collect();
        words.sort_unstable();
        words
    }

    fn alphabet(words: &[(Box<str>, u64)]) -> Vec<(char, u64)> {
        let mut counts: AHashMap<char, u64> = AHashMap::new();
        for (word, count) in words {
            word.chars().for_each(|character| *counts.entry(character).or_insert(0) += count);
        }
        let mut alphabet: Vec<_> = counts.into_iter().collect();
        alphabet.sort_unstable();
        alphabet
    }

    /// What the best ways cost in bits a word, for probabilities that sum to one.
    fn cost(pieces: &[(Box<str>, f64)], words: &[(Box<str>, u64)]) -> f64 {
        let all = pieces.iter().map(|(_, score)| score.exp()).sum::<f64>().ln();
        let model = Model::new(pieces.iter().map(|(piece, score)| (piece.clone(), score - all)).collect());
        let (mut lattice, mut way) = (Lattice::default(), Vec::new());
        let mut sum = 0.0;
        for (word, count) in words {
            model.fill(word, &mut lattice);
            sum -= *count as f64 * lattice.best(word.len(), |sum| sum, |_| false, &mut way).unwrap();
        }
        sum / words.iter().map(|(_, count)| *count as f64).sum::<f64>()
    }

    #[test]
    fn words_cost_no_more_than_with_the_pieces_of_the_crate() {
        let words = words();
        let alphabet = alphabet(&words);
        for size in [alphabet.len() + 100, alphabet.len() + 500] {
            let mut learning = UnigramLearning::new(words.clone(), alphabet.clone(), size, 1);
            while !learning.advance(&mut || true) {}
            let own = learning.end();
            assert!(own.len() == size, "{} of {size}", own.len());
            assert!(
                alphabet.iter().all(|(character, _)| own.iter().any(|(piece, _)| **piece == *character.to_string()))
            );
            assert!(own.is_sorted_by(|a, b| a.1 >= b.1));
            let trainer = unigram::UnigramTrainer::builder()
                .show_progress(false)
                .vocab_size(size as u32 + 1)
                .special_tokens(vec![AddedToken::from("<unk>", true)])
                .unk_token(Some("<unk>".to_owned()))
                .build()
                .unwrap();
            let mut model = unigram::Unigram::default();
            let counts = words.iter().map(|(word, count)| (word.to_string(), *count as u32)).collect();
            trainer.do_train(counts, &mut model).unwrap();
            let theirs: Vec<(Box<str>, f64)> =
                model.iter().skip(1).map(|(piece, score)| (piece.as_str().into(), *score)).collect();
            assert!(theirs.len() + 1 == model.get_vocab_size());
            let (own, theirs) = (cost(&own, &words), cost(&theirs, &words));
            assert!(own < theirs * 1.002, "{size}: {own} {theirs}");
        }
    }

    #[test]
    fn turns_make_no_difference() {
        let words = words();
        let alphabet = alphabet(&words);
        let train = |mut pause: Box<dyn FnMut() -> bool>| {
            let mut learning = UnigramLearning::new(words.clone(), alphabet.clone(), alphabet.len() + 100, 1);
            while !learning.advance(&mut pause) {}
            learning.end()
        };
        assert_eq!(train(Box::new(|| true)), train(Box::new(|| false)));
    }
}
