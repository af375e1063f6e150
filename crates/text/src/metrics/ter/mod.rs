//! Statistics of the translation edit rate, as sacreBLEU counts them.
mod distance;
mod shift;
mod tokenize;

use serde::Deserialize;

use super::{Result, Room};
pub use tokenize::Normalization;

/// How edits are counted.
///
/// # Source
/// Snover et al., "A Study of Translation Edit Rate with Targeted Human Annotation" (2006); tercom; sacreBLEU 2.6.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(transparent)]
pub struct Ter {
    /// What is done to texts before they are compared.
    pub normalization: Normalization,
}

/// What a worker keeps between segments.
#[derive(Default)]
pub(super) struct TerRoom {
    hypotheses: Vec<Hypothesis>,
    reference: Vec<u32>,
}

#[derive(Default)]
struct Hypothesis {
    symbols: Vec<u32>,
    /// Edits to the reference that needs fewest.
    fewest: u32,
}

/// Edits of the hypothesis, and the mean length of its references.
pub(super) const WIDTH: usize = 2;

impl Ter {
    fn read(self, text: &str, lexicon: &mut super::lexicon::Lexicon, symbols: &mut Vec<u32>) {
        symbols.clear();
        self.normalization.each_word(text, &mut |word| symbols.push(lexicon.number(word)));
    }

    /// sacreBLEU prepares references twice, which is not the same as once: `dog's,` becomes `dog's ,` and then `dog 's ,`.
    fn read_reference(self, text: &str, lexicon: &mut super::lexicon::Lexicon, symbols: &mut Vec<u32>) {
        if !self.normalization.normalized {
            return self.read(text, lexicon, symbols);
        }
        let mut once = String::with_capacity(2 * text.len());
        self.normalization.each_word(text, &mut |word| once.extend([word, " "]));
        self.read(&once, lexicon, symbols);
    }

    pub(super) fn segment<T: AsRef<str>>(
        self,
        hypotheses: &[&str],
        references: &[T],
        room: &mut Room,
        cancelled: &dyn Fn() -> bool,
        outputs: &mut [Vec<f64>],
    ) -> Result<()> {
        let Room { lexicon, ter: TerRoom { hypotheses: all, reference: other }, .. } = room;
        lexicon.clear();
        all.resize_with(hypotheses.len(), Hypothesis::default);
        for (text, own) in hypotheses.iter().zip(&mut *all) {
            self.read(text, lexicon, &mut own.symbols);
            own.fewest = u32::MAX;
        }
        let mut lengths = 0;
        for reference in references {
            self.read_reference(reference.as_ref(), lexicon, other);
            for own in &mut *all {
                own.fewest = own.fewest.min(shift::edits(&own.symbols, other, cancelled)?);
            }
            lengths += other.len();
        }
        for (own, output) in all.iter().zip(outputs) {
            output.extend([f64::from(own.fewest), lengths as f64 / references.len() as f64]);
        }
        Ok(())
    }
}
