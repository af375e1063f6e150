//! A step of a GRU; gates in the order update, reset, candidate.
use ::candle_core::Tensor as Array;

use super::{
    activation,
    recurrent::{Layer, StepGradients},
};
use crate::error::Result;

impl Layer {
    /// Keeps the sums of update, reset and candidate, and the recurrent sums of the candidate or what goes into them.
    pub(super) fn gru(&self, x: &Array, before: &[Array], reset_after: bool) -> Result<(Vec<Array>, Vec<Array>)> {
        let h = &before[0];
        let mut from_x = self.x_sums(x)?;
        let mut from_h = self.h_sums(h, if reset_after { 3 } else { 2 })?;
        match &self.bias {
            Some(bias) if reset_after => {
                from_x = from_x.broadcast_add(&bias.get(0)?)?;
                from_h = from_h.broadcast_add(&bias.get(1)?)?;
            }
            Some(bias) => from_x = from_x.broadcast_add(bias)?,
            None => {}
        }
        let sum = |gate: usize| -> Result<Array> { Ok((self.part(&from_x, 1, gate)? + self.part(&from_h, 1, gate)?)?) };
        let (update, reset) = (sum(0)?, sum(1)?);
        let r = self.gate(&reset)?;
        let (candidate, last) = if reset_after {
            let recurrent = self.part(&from_h, 1, 2)?;
            ((self.part(&from_x, 1, 2)? + (r * &recurrent)?)?, recurrent)
        } else {
            let operand = (r * self.dropped(h)?)?;
            let product = operand.matmul(&self.part(&self.recurrent, 0, 2)?.t()?)?;
            ((self.part(&from_x, 1, 2)? + product)?, operand)
        };
        let z = self.gate(&update)?;
        let g = activation::value(self.function(), &candidate)?;
        let output = ((&z * h)? + (z.affine(-1.0, 1.0)? * g)?)?;
        Ok((vec![output], vec![update, reset, candidate, last]))
    }

    /// The output before as it goes into the candidate.
    fn dropped(&self, h: &Array) -> Result<Array> {
        Ok(match self.state_factor(2) {
            Some(factor) => (h * factor)?,
            None => h.clone(),
        })
    }

    pub(super) fn gru_backward(
        &self,
        x: &Array,
        before: &[Array],
        kept: &[Array],
        after: &[Array],
        reset_after: bool,
    ) -> Result<StepGradients> {
        let (h, d) = (&before[0], &after[0]);
        let [update, reset, candidate, last] = [&kept[0], &kept[1], &kept[2], &kept[3]];
        let (z, r) = (self.gate(update)?, self.gate(reset)?);
        let g = activation::value(self.function(), candidate)?;
        let dupdate = ((d * (h - g)?)? * self.gate_slope(update)?)?;
        let dcandidate = ((d * z.affine(-1.0, 1.0)?)? * activation::slope(self.function(), candidate)?)?;
        let mut dbefore = (d * z)?;
        let (dreset, recurrent, bias, from_x);
        if reset_after {
            dreset = ((&dcandidate * last)? * self.gate_slope(reset)?)?;
            let from_h = Array::cat(&[dupdate.clone(), dreset.clone(), (&dcandidate * r)?], 1)?;
            let (dh, drecurrent) = self.h_sums_backward(&from_h, h, 3)?;
            dbefore = (dbefore + dh)?;
            recurrent = drecurrent;
            from_x = Array::cat(&[dupdate, dreset, dcandidate], 1)?;
            bias = Array::stack(&[from_x.sum(0)?, from_h.sum(0)?], 0)?;
        } else {
            let doperand = dcandidate.matmul(&self.part(&self.recurrent, 0, 2)?)?;
            dreset = ((&doperand * self.dropped(h)?)? * self.gate_slope(reset)?)?;
            dbefore = (dbefore + self.dropped(&(doperand * r)?)?)?;
            let gates = Array::cat(&[dupdate, dreset], 1)?;
            let (dh, drecurrent) = self.h_sums_backward(&gates, h, 2)?;
            dbefore = (dbefore + dh)?;
            recurrent = Array::cat(&[drecurrent, dcandidate.t()?.matmul(last)?], 0)?;
            from_x = Array::cat(&[gates, dcandidate], 1)?;
            bias = from_x.sum(0)?;
        }
        let (dx, kernel) = self.x_sums_backward(&from_x, x)?;
        Ok(StepGradients { x: dx, before: vec![dbefore], kernel, recurrent, bias })
    }
}
