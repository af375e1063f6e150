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
pub(crate) use space::{is_space, words};

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

    /// The statistics of a segment: of the hypothesis of each system, which share its references.
    fn segment<T: AsRef<str>>(
        &self,
        hypotheses: &[&str],
        references: &[T],
        room: &mut Room,
        cancelled: &dyn Fn() -> bool,
        outputs: &mut [Vec<f64>],
    ) -> Result<()> {
        match self {
            Self::Bleu(bleu) => bleu.segment(hypotheses, references, room, outputs),
            Self::Chrf(chrf) => chrf.segment(hypotheses, references, room, outputs),
            Self::Ter(ter) => ter.segment(hypotheses, references, room, cancelled, outputs)?,
            Self::Rouge(rouge) => rouge.segment(hypotheses, references, room, cancelled, outputs)?,
        }
        Ok(())
    }
}

/// For each metric the statistics of each system's segments, row by row.
pub type Tables = Vec<Vec<Vec<f64>>>;

/// Statistics of each segment, for each metric and system. What references have is counted once for all systems.
///
/// Hypothesis i of each system has the next `counts[i]` of the references.
///
/// # Shapes
/// For each metric and system `[hypotheses, metric.width()]`, row by row.
///
/// # Errors
/// `Option` if an option is out of range; `Counts` and `NoReference` if texts do not fit; `TooLong` if two sentences are too long for
/// `rougeLsum`; `Cancelled` soon after `cancelled` gives true.
pub fn statistics<T: AsRef<str> + Sync>(
    metrics: &[Metric],
    systems: &[&[T]],
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
    let wrong = systems.iter().find(|hypotheses| hypotheses.len() != counts.len());
    if wrong.is_some() || references.len() != expected {
        return Err(MetricError::Counts {
            hypotheses: wrong.map_or(counts.len(), |hypotheses| hypotheses.len()),
            segments: counts.len(),
            expected,
            references: references.len(),
        });
    }
    let pieces = pieces(systems, counts.len());
    let results: Vec<Mutex<Option<Result<Tables>>>> = pieces.iter().map(|_| Mutex::new(None)).collect();
    // Tables that were made for a piece are used for the next.
    let rooms: Mutex<Vec<Room>> = Mutex::default();
    run(pieces.len(), &|piece| {
        let spare = rooms.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut room = spare.unwrap_or_default();
        let mut work = || -> Result<Tables> {
            let mut made = vec![vec![Vec::new(); systems.len()]; metrics.len()];
            let mut hypotheses = Vec::with_capacity(systems.len());
            for index in pieces[piece].clone() {
                if cancelled() {
                    return Err(MetricError::Cancelled);
                }
                let start = index.checked_sub(1).map_or(0, |before| ends[before]);
                let own = &references[start..ends[index]];
                hypotheses.clear();
                hypotheses.extend(systems.iter().map(|system| system[index].as_ref()));
                for (metric, outputs) in metrics.iter().zip(&mut made) {
                    metric.segment(&hypotheses, own, &mut room, cancelled, outputs)?;
                }
            }
            Ok(made)
        };
        let result = work();
        *results[piece].lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
        rooms.lock().unwrap_or_else(PoisonError::into_inner).push(room);
    });
    let room = |metric: &Metric| Vec::with_capacity(metric.width() * counts.len());
    let mut all: Tables = metrics.iter().map(|metric| systems.iter().map(|_| room(metric)).collect()).collect();
    for result in results {
        let made = result.into_inner().unwrap_or_else(PoisonError::into_inner);
        for (all, made) in all.iter_mut().zip(made.unwrap_or(Err(MetricError::Cancelled))?) {
            all.iter_mut().zip(made).for_each(|(all, made)| all.extend(made));
        }
    }
    Ok(all)
}

/// Segments that are worked on together, cut by their sizes alone.
fn pieces<T: AsRef<str>>(systems: &[&[T]], count: usize) -> Vec<std::ops::Range<usize>> {
    let mut pieces = Vec::new();
    let (mut start, mut weight) = (0, 0);
    for index in 0..count {
        weight += systems.iter().map(|system| system[index].as_ref().len() + 16).sum::<usize>();
        if weight >= WORK {
            pieces.push(start..index + 1);
            (start, weight) = (index + 1, 0);
        }
    }
    if start < count {
        pieces.push(start..count);
    }
    pieces
}

#[cfg(test)]
mod tests;
