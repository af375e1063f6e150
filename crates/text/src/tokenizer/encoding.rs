//! How texts are encoded, and what comes of many.

/// Ids of several texts, one after the other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Encoded {
    /// All ids.
    pub ids: Vec<i32>,
    /// Where each text begins, and the end of the last.
    pub offsets: Vec<i32>,
}

/// How texts are cut anew each time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampling {
    /// For byte pairs the probability with which a pair is left out, for unigram models the exponent of probabilities.
    pub amount: f64,
    /// Seed of the random numbers.
    pub seed: u64,
    /// The number of the first text: what a text becomes follows from seed and number alone.
    pub first: u64,
}

/// How texts are encoded.
#[derive(Clone, Copy, Debug, Default)]
pub struct Encoding {
    /// The id before each text.
    pub begin: Option<i32>,
    /// The id after each text.
    pub end: Option<i32>,
    /// Most ids of a text, begin and end included.
    pub longest: Option<usize>,
    /// Whether what is too many is taken from the beginning.
    pub keep_end: bool,
    /// Whether texts are cut at random.
    pub sampling: Option<Sampling>,
}

impl Encoding {
    /// Most ids of a text itself.
    pub(super) fn room(&self) -> usize {
        let frame = usize::from(self.begin.is_some()) + usize::from(self.end.is_some());
        self.longest.map_or(usize::MAX, |longest| longest.saturating_sub(frame))
    }

    /// Takes away what is too many of the items from `start` on, of which `each` belong to an id.
    pub(super) fn truncate<T>(&self, items: &mut Vec<T>, start: usize, each: usize) {
        let most = self.room().saturating_mul(each);
        let count = items.len() - start;
        if count > most {
            if self.keep_end {
                items.drain(start..start + count - most);
            } else {
                items.truncate(start + most);
            }
        }
    }
}
