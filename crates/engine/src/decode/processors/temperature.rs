//! Flatter or steeper distributions.
use super::{History, Processor};

/// Divides scores.
#[derive(Debug)]
pub(super) struct Temperature(pub f32);

impl Processor for Temperature {
    fn process(&self, _: &History<'_>, scores: &mut [f32]) {
        scores.iter_mut().for_each(|score| *score /= self.0);
    }
}
