//! Positions of steps, added to sequences.
use ::candle_core::Tensor as Array;
use sconce_kernels::positions::sinusoidal;

use super::Run;
use crate::{
    backend::checks::check_steps,
    error::Result,
    plan::{Node, PositionPlan, PositionTable},
};

impl Run<'_> {
    pub(super) fn positions_forward(&self, node: &Node, plan: PositionPlan) -> Result<Array> {
        let x = self.floats(node.inputs[0])?;
        let (_, count, width) = x.dims3()?;
        let first = self.forward.position();
        check_steps(&self.plan.layers[node.layer].name, first, count, plan.longest)?;
        let table = match plan.table {
            PositionTable::None => self.zeros(&[count, width])?,
            PositionTable::Waves(order) => {
                let mut table = vec![0.0; count * width];
                sinusoidal(width, order, plan.wavelength, first, &mut table);
                self.upload(&table, &[count, width])?
            }
            PositionTable::Learned => self.need_weight(node, 0)?.narrow(0, first, count)?,
        };
        Ok(x.affine(f64::from(plan.factor), 0.0)?.broadcast_add(&table)?)
    }

    pub(super) fn positions_backward(&mut self, node: &Node, plan: PositionPlan, dy: &Array) -> Result<()> {
        self.add_gradient(node.inputs[0], dy.affine(f64::from(plan.factor), 0.0)?)?;
        if plan.table != PositionTable::Learned {
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
