//! Losses of elements, with the gradient of the output.
use sconce_kernels::{
    buffer::Buffer,
    row_loss::{RowLoss, RowLossInputs, RowLossOutputs, row_loss},
};

use super::{Run, backward::Slot};
use crate::{
    backend::{LossInput, RowWeights, metrics::RowResults, row_targets::element_targets},
    error::Result,
    plan::ValueId,
};

impl Run<'_> {
    /// The losses of all rows that count.
    pub(super) fn row_loss(
        &mut self,
        function: RowLoss,
        source: ValueId,
        input: &LossInput,
        weights: &RowWeights,
        scale: f32,
        gradients: bool,
    ) -> Result<RowResults> {
        let length = self.value(source)?.len();
        let mut loss = Buffer::new(weights.valid.len());
        let mut slot = if gradients { self.slot(source, length) } else { None };
        let x = self.value(source)?;
        let targets = element_targets(&input.target, function);
        row_loss(
            self.context,
            function,
            x.width(),
            &RowLossInputs { x: x.floats()?, y: &targets, row_weights: &weights.loss, gradient_scale: scale },
            RowLossOutputs { row_loss: &mut loss, dx: slot.as_mut().map(Slot::destination) },
        );
        self.put(source, slot);
        Ok(RowResults { loss: loss.iter().map(|&loss| f64::from(loss)).collect(), ..RowResults::default() })
    }
}
