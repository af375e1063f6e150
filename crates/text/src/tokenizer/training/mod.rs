//! Training: words are counted as texts come, then a vocabulary is made of the counts, in turns.
use std::{
    mem::take,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use ahash::AHashMap;
use serde::Deserialize;

mod pairs;
mod seeds;
mod unigram;

use super::{
    Run, SPECIALS, SpecialNames, Step, Tokenizer,
    cutter::{Cut, Cutter, Part},
    document::{self, Trained, TrainedModel},
    error::{Fault, Result, TokenizerError},
    ideographs::Ideographs,
    in_parallel, pieces, word_piece,
};
use pairs::{Alphabet, Pairs};
use unigram::UnigramLearning;

/// Kinds of tokenizers that can be trained.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum TrainedKind {
    /// Words and punctuation marks.
    Word,
    /// Code points.
    Character,
    /// Byte pairs.
    Bpe,
    /// Parts of words, found greedily.
    WordPiece,
    /// Pieces with probabilities.
    Unigram,
}

/// Unicode normalisation before cutting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Normalization {
    /// None.
    None,
    /// Canonical composition.
    Nfc,
    /// Canonical decomposition.
    Nfd,
    /// Compatibility composition.
    Nfkc,
    /// Compatibility decomposition.
    Nfkd,
}

/// What is trained.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TrainingOptions {
    /// Kind of tokenizer.
    #[serde(rename = "type")]
    pub kind: TrainedKind,
    /// Most tokens, the special ones included.
    pub vocabulary_size: Option<usize>,
    /// How often what gets an id must occur.
    pub minimum_count: u64,
    /// Tokens beside the usual special ones, found in raw text.
    pub special_tokens: Vec<String>,
    /// Whether text becomes lower case.
    pub lowercase: bool,
    /// Unicode normalisation.
    pub normalization: Normalization,
    /// For byte pairs: whether they begin with bytes instead of characters.
    pub byte_level: bool,
    /// Whether Chinese is cut into words by a dictionary first.
    pub chinese_words: bool,
}

/// What a worker counts.
#[derive(Default)]
struct Counter {
    counts: AHashMap<Box<str>, u64>,
    buffer: String,
}

/// Counts the words of texts.
pub struct Counting {
    options: TrainingOptions,
    cutter: Cutter,
    counters: Mutex<Vec<Counter>>,
}

impl std::fmt::Debug for Counting {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Counting").field("options", &self.options).finish()
    }
}

impl Counting {
    /// Begins training.
    ///
    /// # Errors
    /// `Option` if options do not fit together.
    pub fn new(options: TrainingOptions) -> Result<Self> {
        let wrong = |message: String| Err(TokenizerError::new(Fault::Option, format!("Tokenizer.train: {message}")));
        for (index, token) in options.special_tokens.iter().enumerate() {
            if token.is_empty() || SPECIALS.contains(&token.as_str()) || options.special_tokens[..index].contains(token)
            {
                return wrong(format!("specialTokens: {token:?} is empty or occurs twice"));
            }
        }
        if options.byte_level && options.kind != TrainedKind::Bpe {
            return wrong("byteLevel needs type bpe".to_owned());
        }
        if options.chinese_words && (options.byte_level || options.kind == TrainedKind::Character) {
            return wrong("chineseWords needs type word, wordPiece or unigram, or bpe without byteLevel".to_owned());
        }
        let alphabet = if options.byte_level { 256 } else { 1 };
        let least = SPECIALS.len() + options.special_tokens.len() + alphabet;
        if let Some(size) = options.vocabulary_size.filter(|&size| size < least) {
            return wrong(format!("vocabularySize must be at least {least}, got {size}"));
        }
        let composition = match options.normalization {
            Normalization::None => None,
            Normalization::Nfc => Some(Step::Nfc),
            Normalization::Nfd => Some(Step::Nfd),
            Normalization::Nfkc => Some(Step::Nfkc),
            Normalization::Nfkd => Some(Step::Nfkd),
        };
        let mut steps: Vec<Step> = composition.into_iter().collect();
        if options.lowercase {
            steps.push(Step::Lowercase);
            // Lower case can decompose: the capital I with a dot becomes two code points.
            steps.extend(composition);
        }
        let or_words = |usual| if options.chinese_words { Ideographs::Words } else { usual };
        let cut = match options.kind {
            TrainedKind::Word => Cut::Words(or_words(Ideographs::Single)),
            TrainedKind::Character => Cut::Characters,
            TrainedKind::Bpe if options.byte_level => Cut::Bytes,
            TrainedKind::Bpe => Cut::Marked(or_words(Ideographs::Single)),
            TrainedKind::WordPiece => Cut::WordParts(or_words(Ideographs::Single)),
            TrainedKind::Unigram => Cut::Marked(or_words(Ideographs::Runs)),
        };
        let cutter = Cutter::new(steps, cut, &options.special_tokens)?;
        Ok(Self { options, cutter, counters: Mutex::default() })
    }

    fn counters(&self) -> std::sync::MutexGuard<'_, Vec<Counter>> {
        self.counters.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts the words of more texts.
    ///
    /// # Errors
    /// `Cancelled` if `cancelled` gives true.
    pub fn add<T: AsRef<str> + Sync>(
        &self,
        texts: &[T],
        run: Run<'_>,
        cancelled: &(dyn Fn() -> bool + Sync),
    ) -> Result<()> {
        in_parallel(texts, run, cancelled, |_, texts| {
            let mut counter = self.counters().pop().unwrap_or_default();
            let Counter { counts, buffer } = &mut counter;
            for text in texts {
                self.cutter.each(text.as_ref(), buffer, &mut |part| {
                    let Part::Piece(piece) = part else { return };
                    match counts.get_mut(piece) {
                        Some(count) => *count += 1,
                        None => {
                            counts.insert(piece.into(), 1);
                        }
                    }
                });
            }
            self.counters().push(counter);
            Ok(())
        })?;
        Ok(())
    }

    /// Ends counting.
    ///
    /// # Errors
    /// `Data` if there is nothing to learn from.
    pub fn end(self) -> Result<Learning> {
        let Self { options, cutter, counters } = self;
        let mut counters = counters.into_inner().unwrap_or_else(PoisonError::into_inner).into_iter();
        let mut counts = counters.next().unwrap_or_default().counts;
        for counter in counters {
            for (word, count) in counter.counts {
                *counts.entry(word).or_insert(0) += count;
            }
        }
        if counts.is_empty() {
            return Err(TokenizerError::new(Fault::Data, "Tokenizer.train: there is no token in the texts"));
        }
        let specials = SPECIALS.iter().map(ToString::to_string).chain(options.special_tokens.iter().cloned()).collect();
        let mut learning = Learning { options, cutter, tokens: specials, learner: Learner::Words, specials: 0 };
        learning.specials = learning.tokens.len();
        match learning.options.kind {
            TrainedKind::Bpe | TrainedKind::WordPiece => learning.begin_pairs(counts),
            TrainedKind::Unigram => learning.begin_unigram(counts),
            TrainedKind::Word | TrainedKind::Character => learning.take_words(counts),
        }
        Ok(learning)
    }
}

/// Numbers that other threads may read while a tokenizer learns.
#[derive(Debug, Default)]
pub struct Progress {
    /// Tokens so far.
    pub tokens: AtomicU64,
    /// Tokens at most.
    pub total: AtomicU64,
}

/// What is learnt beside tokens.
enum Learner {
    Words,
    Pairs(Box<Pairs>),
    Unigram(Box<UnigramLearning>),
}

/// Makes a vocabulary of counts, turn by turn.
pub struct Learning {
    options: TrainingOptions,
    cutter: Cutter,
    tokens: Vec<String>,
    specials: usize,
    learner: Learner,
}

impl std::fmt::Debug for Learning {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Learning").field("tokens", &self.tokens.len()).finish()
    }
}

/// From frequent to rare, equally frequent ones by code point.
fn by_count<K: Ord + Copy>(counts: &mut [(K, u64)]) {
    counts.sort_unstable_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
}

impl Learning {
    /// A word or character tokenizer of all its tokens by id, the usual special ones first.
    ///
    /// # Errors
    /// As [`Counting::new`], and `Format` if the tokens are wrong.
    pub fn of_tokens(options: TrainingOptions, tokens: Vec<String>) -> Result<Tokenizer> {
        let Counting { options, cutter, .. } = Counting::new(options)?;
        let specials = SPECIALS.len();
        Self { options, cutter, tokens, specials, learner: Learner::Words }.end()
    }

    /// How many tokens there may be beside those so far.
    fn room(&self) -> usize {
        let size = self.options.vocabulary_size.unwrap_or(usize::MAX);
        size.saturating_sub(self.tokens.len())
    }

    fn take_words(&mut self, counts: AHashMap<Box<str>, u64>) {
        let minimum = self.options.minimum_count;
        let specials = &self.tokens;
        let mut kept: Vec<(&str, u64)> = counts
            .iter()
            .filter(|(word, count)| **count >= minimum && !specials.iter().any(|special| **special == ***word))
            .map(|(word, &count)| (&**word, count))
            .collect();
        by_count(&mut kept);
        let room = self.room();
        let words: Vec<String> = kept.into_iter().take(room).map(|(word, _)| word.to_owned()).collect();
        self.tokens.extend(words);
    }

    fn begin_pairs(&mut self, counts: AHashMap<Box<str>, u64>) {
        // The order of words has no influence on the result, but this makes it plain.
        let mut words: Vec<(Box<str>, u64)> = counts.into_iter().collect();
        words.sort_unstable();
        if self.options.byte_level {
            let mut buffer = String::new();
            for (word, _) in &mut words {
                pieces::write_bytes(word, &mut buffer);
                *word = buffer.as_str().into();
            }
        }
        let first_id = self.tokens.len() as u32;
        let prefix = if self.options.kind == TrainedKind::WordPiece { word_piece::PREFIX } else { "" };
        let mut kept: Vec<char> =
            if self.options.byte_level { pieces::BYTES.to_vec() } else { self.alphabet(&words, |_| true) };
        kept.sort_unstable();
        let first: AHashMap<char, u32> = kept.iter().copied().zip(first_id..).collect();
        self.tokens.extend(kept.iter().map(ToString::to_string));
        let rest = if prefix.is_empty() {
            first.clone()
        } else {
            let mut rest = self.alphabet(&words, |place| place > 0);
            rest.sort_unstable();
            let ids = rest.iter().copied().zip(self.tokens.len() as u32..).collect();
            self.tokens.extend(rest.iter().map(|character| format!("{prefix}{character}")));
            ids
        };
        self.learner = Learner::Pairs(Box::new(Pairs::new(&words, &Alphabet { first, rest, prefix })));
    }

    /// The most frequent characters for which there is room, of those at places in words that `counts` accepts.
    fn alphabet(&self, words: &[(Box<str>, u64)], counts: impl Fn(usize) -> bool) -> Vec<char> {
        self.counted_alphabet(words, counts).into_iter().map(|(character, _)| character).collect()
    }

    fn counted_alphabet(&self, words: &[(Box<str>, u64)], counts: impl Fn(usize) -> bool) -> Vec<(char, u64)> {
        let mut alphabet: AHashMap<char, u64> = AHashMap::new();
        for (word, count) in words {
            let counted = word.chars().enumerate().filter(|(place, _)| counts(*place));
            counted.for_each(|(_, character)| *alphabet.entry(character).or_insert(0) += count);
        }
        let minimum = self.options.minimum_count;
        let mut characters: Vec<_> = alphabet.into_iter().filter(|&(_, count)| count >= minimum).collect();
        by_count(&mut characters);
        characters.truncate(self.room());
        characters
    }

    fn begin_unigram(&mut self, counts: AHashMap<Box<str>, u64>) {
        let mut words: Vec<(Box<str>, u64)> = counts.into_iter().collect();
        words.sort_unstable();
        let alphabet = self.counted_alphabet(&words, |_| true);
        let size = self.room();
        self.learner =
            Learner::Unigram(Box::new(UnigramLearning::new(words, alphabet, size, self.options.minimum_count)));
    }

    /// Learns on until `pause` gives true; whether it has ended.
    pub fn advance(&mut self, progress: &Progress, pause: &mut dyn FnMut() -> bool) -> bool {
        let size = self.options.vocabulary_size.unwrap_or(usize::MAX);
        let minimum = self.options.minimum_count;
        progress.total.store(size as u64, Ordering::Relaxed);
        let pairs = match &mut self.learner {
            Learner::Words => return true,
            Learner::Pairs(pairs) => pairs,
            Learner::Unigram(learning) => {
                let ended = learning.advance(pause);
                progress.tokens.store((self.specials + learning.pieces()) as u64, Ordering::Relaxed);
                return ended;
            }
        };
        loop {
            progress.tokens.store(self.tokens.len() as u64, Ordering::Relaxed);
            if self.tokens.len() >= size || !pairs.merge(&mut self.tokens, minimum) {
                return true;
            }
            if pause() {
                return false;
            }
        }
    }

    /// The tokenizer.
    ///
    /// # Errors
    /// `Data` if no token is frequent enough.
    pub fn end(mut self) -> Result<Tokenizer> {
        let mut scores = Vec::new();
        let merges;
        let model = match self.learner {
            Learner::Words => TrainedModel::Words,
            Learner::Pairs(_) if self.options.kind == TrainedKind::WordPiece => TrainedModel::WordPiece,
            Learner::Pairs(mut pairs) => {
                merges = take(&mut pairs.merges);
                TrainedModel::Pairs(&merges)
            }
            Learner::Unigram(learning) => {
                // Special tokens cost nothing; no piece of a text is one.
                scores.resize(self.specials, 0.0);
                for (piece, score) in learning.end() {
                    self.tokens.push(piece.into());
                    scores.push(score);
                }
                TrainedModel::Unigram(&scores)
            }
        };
        if self.tokens.len() <= self.specials && !self.options.byte_level {
            let message = "Tokenizer.train: no token is frequent enough; lower minimumCount";
            return Err(TokenizerError::new(Fault::Data, message));
        }
        let text = document::write(&Trained {
            cut: self.cutter.cut,
            steps: &self.cutter.steps,
            tokens: &self.tokens,
            specials: self.specials,
            model,
        })?;
        Tokenizer::parse(text, &SpecialNames::default())
    }
}
