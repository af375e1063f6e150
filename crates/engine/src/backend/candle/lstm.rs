//! A step of an LSTM; gates in the order input, forget, cell, output.
use ::candle_core::Tensor as Array;

use super::{
    activation,
    recurrent::{Layer, StepGradients},
};
use crate::error::Result;

impl Layer {
    /// Keeps the sums and the cell state.
    pub(super) fn lstm(&self, x: &Array, before: &[Array]) -> Result<(Vec<Array>, Vec<Array>)> {
        let mut z = (self.x_sums(x)? + self.h_sums(&before[0], 4)?)?;
        if let Some(bias) = &self.bias {
            z = z.broadcast_add(bias)?;
        }
        let gate = |gate: usize| self.gate(&self.part(&z, 1, gate)?);
        let candidate = activation::value(self.function(), &self.part(&z, 1, 2)?)?;
        let c = ((gate(1)? * &before[1])? + (gate(0)? * candidate)?)?;
        let h = (gate(3)? * activation::value(self.function(), &c)?)?;
        Ok((vec![h, c.clone()], vec![z, c]))
    }

    pub(super) fn lstm_backward(
        &self,
        x: &Array,
        before: &[Array],
        kept: &[Array],
        after: &[Array],
    ) -> Result<StepGradients> {
        let ([z, c], [dh, dc]) = ([&kept[0], &kept[1]], [&after[0], &after[1]]);
        let sums = (0..4).map(|gate| self.part(z, 1, gate)).collect::<Result<Vec<_>>>()?;
        let activated = activation::value(self.function(), c)?;
        let slope = activation::slope(self.function(), c)?;
        let dcell = (dc + ((dh * self.gate(&sums[3])?)? * slope)?)?;
        let candidate = activation::value(self.function(), &sums[2])?;
        let dz = [
            ((&dcell * candidate)? * self.gate_slope(&sums[0])?)?,
            ((&dcell * &before[1])? * self.gate_slope(&sums[1])?)?,
            ((&dcell * self.gate(&sums[0])?)? * activation::slope(self.function(), &sums[2])?)?,
            ((dh * activated)? * self.gate_slope(&sums[3])?)?,
        ];
        let dz = Array::cat(&dz, 1)?;
        let (dx, kernel) = self.x_sums_backward(&dz, x)?;
        let (dh, recurrent) = self.h_sums_backward(&dz, &before[0], 4)?;
        let dc = (dcell * self.gate(&sums[1])?)?;
        Ok(StepGradients { x: dx, before: vec![dh, dc], kernel, recurrent, bias: dz.sum(0)? })
    }
}
