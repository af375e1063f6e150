//! Positions of steps, added to sequences.
use ::candle_core::Tensor as Array;
use sconce_kernels::positions::sinusoidal;

use super::{Run, Value};
use crate::{
    backend::positions::Steps,
    error::Result,
    plan::{Node, PositionPlan},
    tensor::Tensor,
};

impl Run<'_> {
    pub(super) fn positions_forward(&mut self, node: &Node, plan: PositionPlan) -> Result<Array> {
        let x = self.floats(node.inputs[0])?;
        let (batch, count, width) = x.dims3()?;
        let counted = match node.inputs.get(1) {
            Some(&state) => {
                let state = self.floats(state)?;
                Some(Tensor::float(state.dims().to_vec(), Self::download(state)?))
            }
            None => None,
        };
        let steps = Steps::new(counted.as_ref(), batch, count)?;
        steps.check(&self.plan.layers[node.layer].name, plan)?;
        let table = match plan.order {
            Some(order) => {
                let mut table = vec![0.0; count * width];
                sinusoidal(width, order, plan.wavelength, steps.first, &mut table);
                self.upload(&table, &[count, width])?
            }
            None => self.need_weight(node, 0)?.narrow(0, steps.first, count)?,
        };
        let y = x.affine(f64::from(plan.factor), 0.0)?.broadcast_add(&table)?;
        if let Some(&state) = node.outputs.get(1) {
            let next = steps.next();
            self.values[state] = Some(Value::Floats(self.upload(next.floats()?, &next.shape)?));
        }
        Ok(y)
    }

    pub(super) fn positions_backward(&mut self, node: &Node, plan: PositionPlan, dy: &Array) -> Result<()> {
        self.add_gradient(node.inputs[0], dy.affine(f64::from(plan.factor), 0.0)?)?;
        if plan.order.is_some() {
            return Ok(());
        }
        let table = self.need_weight(node, 0)?;
        let (rows, _) = table.dims2()?;
        let sums = dy.sum(0)?;
        let rest = rows - sums.dim(0)?;
        let gradient = if rest > 0 { sums.pad_with_zeros(0, 0, rest)? } else { sums };
        self.add_weight_gradient(node, 0, gradient)
    }
}
