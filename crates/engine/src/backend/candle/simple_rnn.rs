//! A step of a simple RNN.
use ::candle_core::Tensor as Array;

use super::{
    activation,
    recurrent::{Layer, StepGradients},
};
use crate::error::Result;

impl Layer {
    /// Keeps the sums.
    pub(super) fn simple_rnn(&self, x: &Array, before: &[Array]) -> Result<(Vec<Array>, Vec<Array>)> {
        let mut z = (self.x_sums(x)? + self.h_sums(&before[0], 1)?)?;
        if let Some(bias) = &self.bias {
            z = z.broadcast_add(bias)?;
        }
        Ok((vec![activation::value(self.function(), &z)?], vec![z]))
    }

    pub(super) fn simple_rnn_backward(
        &self,
        x: &Array,
        before: &[Array],
        kept: &[Array],
        after: &[Array],
    ) -> Result<StepGradients> {
        let dz = (&after[0] * activation::slope(self.function(), &kept[0])?)?;
        let (dx, kernel) = self.x_sums_backward(&dz, x)?;
        let (dh, recurrent) = self.h_sums_backward(&dz, &before[0], 1)?;
        Ok(StepGradients { x: dx, before: vec![dh], kernel, recurrent, bias: dz.sum(0)? })
    }
}
