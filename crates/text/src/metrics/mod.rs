//! What generated texts have in common with references: counts of each segment, which add up over a corpus.
//!
//! Scores are made of sums elsewhere, so that a corpus can be scored again and again with other segments drawn from it.
mod bleu;
mod chrf;
mod error;
mod lexicon;
mod ngrams;
mod rouge;
mod space;
mod ter;
mod western;

use std::sync::{Mutex, PoisonError};

use serde::Deserialize;

pub use bleu::{Bleu, Tokenizer as BleuTokenizer};
pub use chrf::Chrf;
pub use error::{MetricError, Result};
pub use rouge::{Kind as RougeKind, Rouge, Tokenizer as RougeTokenizer};
pub use ter::{Normalization, Ter};

use crate::Run;

/// Symbols in the longest n-grams that are counted.
pub const LONGEST_ORDER: usize = 64;

/// Bytes of hypotheses that one piece of work takes.
const WORK: usize = 1 << 13;

/// What is counted.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(rename_all = "camelCase")]
pub enum Metric {
    /// N-grams of words that a reference has too.
    Bleu(Bleu),
    /// N-grams of characters, and of words.
    Chrf(Chrf),
    /// Edits that make a hypothesis a reference.
    Ter(Ter),
    /// Precision, recall and F1 of n-grams and common subsequences.
    Rouge(Rouge),
}

/// What a worker keeps between segments.
#[derive(Default)]
struct Room {
    lexicon: lexicon::Lexicon,
    ngrams: ngrams::Ngrams,
    bleu: bleu::BleuRoom,
    chrf: chrf::ChrfRoom,
    ter: ter::TerRoom,
    rouge: rouge::RougeRoom,
}

impl Metric {
    /// Checks options.
    ///
    /// # Errors
    /// `Option` if one is out of range.
    pub fn check(&self) -> Result<()> {
        match self {
            Self::Bleu(bleu) => bleu.check(),
            Self::Chrf(chrf) => chrf.check(),
            Self::Ter(_) => Ok(()),
            Self::Rouge(rouge) => rouge.check(),
        }
    }

    /// How many numbers a segment has.
    #[must_use]
    pub fn width(&self) -> usize {
        match self {
            Self::Bleu(bleu) => bleu.width(),
            Self::Chrf(chrf) => chrf.width(),
            Self::Ter(_) => ter::WIDTH,
            Self::Rouge(rouge) => rouge.width(),
        }
    }

    fn segment<T: AsRef<str>>(
        &self,
        hypothesis: &str,
        references: &[T],
        room: &mut Room,
        cancelled: &dyn Fn() -> bool,
        output: &mut Vec<f64>,
    ) -> Result<()> {
        match self {
            Self::Bleu(bleu) => bleu.segment(hypothesis, references, room, output),
            Self::Chrf(chrf) => chrf.segment(hypothesis, references, room, output),
            Self::Ter(ter) => ter.segment(hypothesis, references, room, cancelled, output)?,
            Self::Rouge(rouge) => rouge.segment(hypothesis, references, room, cancelled, output)?,
        }
        Ok(())
    }
}

/// For each metric the statistics of all segments, row by row.
pub type Tables = Vec<Vec<f64>>;

/// Statistics of each segment, for each metric.
///
/// Hypothesis i has the next `counts[i]` of the references.
///
/// # Shapes
/// For each metric `[hypotheses, metric.width()]`, row by row.
///
/// # Errors
/// `Option` if an option is out of range; `Counts` and `NoReference` if texts do not fit; `TooLong` if two sentences are too long for
/// `rougeLsum`; `Cancelled` soon after `cancelled` gives true.
pub fn statistics<T: AsRef<str> + Sync>(
    metrics: &[Metric],
    hypotheses: &[T],
    references: &[T],
    counts: &[u32],
    run: Run<'_>,
    cancelled: &(dyn Fn() -> bool + Sync),
) -> Result<Tables> {
    metrics.iter().try_for_each(Metric::check)?;
    if let Some(segment) = counts.iter().position(|&count| count == 0) {
        return Err(MetricError::NoReference { segment });
    }
    let ends: Vec<usize> = counts
        .iter()
        .scan(0_usize, |end, &count| {
            *end += count as usize;
            Some(*end)
        })
        .collect();
    let expected = ends.last().copied().unwrap_or(0);
    if hypotheses.len() != counts.len() || references.len() != expected {
        return Err(MetricError::Counts {
            hypotheses: hypotheses.len(),
            segments: counts.len(),
            expected,
            references: references.len(),
        });
    }
    let pieces = pieces(hypotheses);
    let results: Vec<Mutex<Option<Result<Tables>>>> = pieces.iter().map(|_| Mutex::new(None)).collect();
    // Tables that were made for a piece are used for the next.
    let rooms: Mutex<Vec<Room>> = Mutex::default();
    run(pieces.len(), &|piece| {
        let spare = rooms.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut room = spare.unwrap_or_default();
        let mut work = || -> Result<Tables> {
            let mut made = vec![Vec::new(); metrics.len()];
            for index in pieces[piece].clone() {
                if cancelled() {
                    return Err(MetricError::Cancelled);
                }
                let start = index.checked_sub(1).map_or(0, |before| ends[before]);
                let own = &references[start..ends[index]];
                for (metric, output) in metrics.iter().zip(&mut made) {
                    metric.segment(hypotheses[index].as_ref(), own, &mut room, cancelled, output)?;
                }
            }
            Ok(made)
        };
        let result = work();
        *results[piece].lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
        rooms.lock().unwrap_or_else(PoisonError::into_inner).push(room);
    });
    let mut all: Tables = metrics.iter().map(|it| Vec::with_capacity(it.width() * hypotheses.len())).collect();
    for result in results {
        let made = result.into_inner().unwrap_or_else(PoisonError::into_inner);
        for (all, made) in all.iter_mut().zip(made.unwrap_or(Err(MetricError::Cancelled))?) {
            all.extend(made);
        }
    }
    Ok(all)
}

/// Segments that are worked on together, cut by their sizes alone.
fn pieces<T: AsRef<str>>(hypotheses: &[T]) -> Vec<std::ops::Range<usize>> {
    let mut pieces = Vec::new();
    let (mut start, mut weight) = (0, 0);
    for (index, hypothesis) in hypotheses.iter().enumerate() {
        weight += hypothesis.as_ref().len() + 16;
        if weight >= WORK {
            pieces.push(start..index + 1);
            (start, weight) = (index + 1, 0);
        }
    }
    if start < hypotheses.len() {
        pieces.push(start..hypotheses.len());
    }
    pieces
}

#[cfg(test)]
mod tests;
