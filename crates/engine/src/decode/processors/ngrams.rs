//! Sequences of tokens that do not come again.
use std::collections::HashMap;

use super::{History, Processor, exclude};

/// No sequence of so many tokens comes twice in a row.
#[derive(Debug)]
pub(super) struct NoRepeat(pub usize);

impl Processor for NoRepeat {
    fn process(&self, history: &History<'_>, scores: &mut [f32]) {
        let Some(begin) = (history.tokens.len() + 1).checked_sub(self.0) else { return };
        let last = &history.tokens[begin..];
        for window in history.tokens.windows(self.0) {
            let (before, next) = window.split_at(self.0 - 1);
            if before == last {
                exclude(scores, next[0]);
            }
        }
    }
}

/// No sequence of so many tokens of the source comes.
#[derive(Debug)]
pub(super) struct EncoderNoRepeat {
    size: usize,
    /// For each sentence what comes behind all but the last token of its sequences.
    next: Vec<HashMap<Vec<i32>, Vec<i32>>>,
}

impl EncoderNoRepeat {
    /// For sequences of `size` tokens.
    pub fn new(size: usize, sources: &[Vec<i32>]) -> Self {
        let next = sources.iter().map(|source| {
            let mut next: HashMap<Vec<i32>, Vec<i32>> = HashMap::new();
            for window in source.windows(size) {
                let (before, last) = window.split_at(size - 1);
                next.entry(before.to_vec()).or_default().extend(last);
            }
            next
        });
        Self { size, next: next.collect() }
    }
}

impl Processor for EncoderNoRepeat {
    fn process(&self, history: &History<'_>, scores: &mut [f32]) {
        let Some(begin) = (history.tokens.len() + 1).checked_sub(self.size) else { return };
        let found = self.next.get(history.sentence).and_then(|next| next.get(&history.tokens[begin..]));
        found.into_iter().flatten().for_each(|&id| exclude(scores, id));
    }
}
