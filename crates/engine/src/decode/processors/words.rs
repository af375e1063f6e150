//! Tokens and sequences of them that are excluded.
use super::{History, Processor, exclude};

/// Sequences that are not generated.
#[derive(Debug)]
pub(super) struct BadWords(Vec<Vec<i32>>);

impl BadWords {
    /// End tokens alone are no bad words.
    pub fn new(words: &[Vec<i32>], ends: &[i32]) -> Self {
        let is_end = |word: &[i32]| matches!(word, [id] if ends.contains(id));
        Self(words.iter().filter(|word| !is_end(word)).cloned().collect())
    }
}

impl Processor for BadWords {
    fn process(&self, history: &History<'_>, scores: &mut [f32]) {
        for word in &self.0 {
            if let Some((&last, before)) = word.split_last()
                && history.tokens.ends_with(before)
            {
                exclude(scores, last);
            }
        }
    }
}

/// No row ends before it has so many new tokens.
#[derive(Debug)]
pub(super) struct MinNewTokens {
    /// So many.
    pub count: usize,
    /// What ends a row.
    pub ends: Vec<i32>,
}

impl Processor for MinNewTokens {
    fn process(&self, history: &History<'_>, scores: &mut [f32]) {
        if history.tokens.len() - history.given < self.count {
            self.ends.iter().for_each(|&id| exclude(scores, id));
        }
    }
}

/// Tokens that are never generated.
#[derive(Debug)]
pub(super) struct Suppress(pub Vec<i32>);

impl Processor for Suppress {
    fn process(&self, _: &History<'_>, scores: &mut [f32]) {
        self.0.iter().for_each(|&id| exclude(scores, id));
    }
}
