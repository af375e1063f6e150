//! Positions of steps, added to sequences.
use sconce_kernels::{
    buffer::Buffer,
    positions::{self, sinusoidal},
};

use super::{
    Run, Saved,
    backward::{WeightGradients, weight_slot},
    recurrent::sequence,
};
use crate::{
    backend::{WeightGradient, checks::check_steps},
    error::{Code, Error, Result},
    plan::{Node, PositionPlan, PositionTable},
    tensor::Tensor,
};

impl Run<'_> {
    pub(super) fn positions_forward(&mut self, index: usize, node: &Node, plan: PositionPlan) -> Result<Tensor> {
        let x = self.value(node.inputs[0])?;
        let rows = self.rows(node.inputs[0]);
        let sizes = match rows {
            Some(rows) => [rows.batch, rows.steps, x.width()],
            None => sequence(x)?,
        };
        let (first, width) = (self.forward.position(), sizes[2]);
        check_steps(&self.plan.layers[node.layer].name, first, sizes[1], plan.longest)?;
        let mut y = Buffer::new(x.len());
        let made = plan.table != PositionTable::Learned;
        let mut waves = Buffer::zeros(if made { sizes[1] * width } else { 0 });
        let table = match plan.table {
            PositionTable::None => &*waves,
            PositionTable::Waves(order) => {
                sinusoidal(width, order, plan.wavelength, first, &mut waves);
                &*waves
            }
            PositionTable::Learned => &self.weight(node, 0)?[first * width..][..sizes[1] * width],
        };
        let positions = rows.map(|rows| &rows.positions[..]);
        positions::forward(self.context, width, plan.factor, table, positions, x.floats()?, &mut y);
        let y = Tensor::float(x.shape.clone(), y);
        self.saved[index] = self.schedule.backward[index].then_some(Saved::Sizes(sizes));
        Ok(y)
    }

    pub(super) fn positions_backward(
        &mut self,
        index: usize,
        node: &Node,
        plan: PositionPlan,
        dy: &[f32],
        gradients: &mut WeightGradients,
    ) -> Result<()> {
        let Some(Saved::Sizes([_, steps, width])) = self.saved[index] else {
            return Err(Error::new(Code::Internal, "positions lack the sizes of their sequence"));
        };
        let input = node.inputs[0];
        if let Some(mut slot) = self.slot(input, dy.len()) {
            positions::backward(self.context, plan.factor, dy, slot.destination());
            self.put(input, Some(slot));
        }
        let learned = self.plan.weight(node, 0).filter(|_| plan.table == PositionTable::Learned);
        if let Some(weight) = learned.filter(|&weight| self.schedule.trainable[weight]) {
            let mut slot = weight_slot(gradients, weight, self.weight(node, 0)?.len());
            let all = self.rows(input).map(|rows| rows.unpack(self.context, dy));
            let dy = all.as_deref().unwrap_or(dy);
            positions::table_backward(self.context, width, steps, dy, slot.destination());
            gradients[weight] = Some(WeightGradient::Dense(slot.buffer));
        }
        Ok(())
    }
}
