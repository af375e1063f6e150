//! What queries give for which no key counts.
use super::{Empty, call::Call};

/// The mean of all values of a head, or zeros; made when it is first needed.
pub(super) struct Mean<'a> {
    call: Call<'a>,
    sequence: usize,
    /// A head of keys.
    group: usize,
    mean: Option<Vec<f32>>,
}

impl<'a> Mean<'a> {
    pub(super) fn new(call: Call<'a>, sequence: usize, group: usize) -> Self {
        Self { call, sequence, group, mean: None }
    }

    /// Weight of each key.
    pub(super) fn weight(&self) -> f32 {
        let keys = self.call.sizes.keys;
        if self.call.options.empty == Empty::Uniform && keys > 0 { 1.0 / keys as f32 } else { 0.0 }
    }

    fn make(&self) -> Vec<f32> {
        let weight = self.weight();
        let mut mean = vec![0.0; self.call.options.value_width];
        if weight > 0.0 {
            for step in (0..self.call.sizes.keys).filter(|&step| self.call.has_value(self.sequence, step)) {
                let value = self.call.value(self.sequence, self.group, step);
                mean.iter_mut().zip(value).for_each(|(sum, value)| *sum += value);
            }
            mean.iter_mut().for_each(|sum| *sum *= weight);
        }
        mean
    }

    pub(super) fn write(&mut self, output: &mut [f32]) {
        if self.mean.is_none() {
            self.mean = Some(self.make());
        }
        output.copy_from_slice(self.mean.as_deref().unwrap_or_default());
    }
}
