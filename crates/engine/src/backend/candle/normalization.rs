//! Layer normalisation, and softmax over any axes.
use ::candle_core::{D, Tensor as Array};

use super::{Run, Value, forward::softmax};
use crate::{
    backend::masks::broadcast_mask,
    error::Result,
    plan::{Node, Normalization},
    tensor::Tensor,
};

/// A tensor as `[rows, width]` along some of its axes, which ascend, and the way back.
struct Rows {
    /// The axes, those of the rows last.
    order: Vec<usize>,
    /// Sizes in that order.
    sizes: Vec<usize>,
    width: usize,
}

impl Rows {
    fn new(shape: &[usize], axes: &[usize]) -> Self {
        let mut order: Vec<usize> = (0..shape.len()).filter(|axis| !axes.contains(axis)).collect();
        order.extend_from_slice(axes);
        let sizes: Vec<usize> = order.iter().map(|&axis| shape[axis]).collect();
        Self { order, sizes, width: axes.iter().map(|&axis| shape[axis]).product() }
    }

    fn take(&self, x: &Array) -> Result<Array> {
        let rows = x.elem_count().checked_div(self.width).unwrap_or(0);
        Ok(x.permute(self.order.as_slice())?.contiguous()?.reshape((rows, self.width))?)
    }

    fn back(&self, rows: &Array) -> Result<Array> {
        let mut inverse = vec![0; self.order.len()];
        self.order.iter().enumerate().for_each(|(place, &axis)| inverse[axis] = place);
        Ok(rows.reshape(self.sizes.as_slice())?.permute(inverse.as_slice())?.contiguous()?)
    }
}

impl Run<'_> {
    /// Rows less their mean, if that is wanted, by their deviation, and 1 by the deviation.
    fn normal(&self, rows: &Array, plan: &Normalization) -> Result<(Array, Array)> {
        let epsilon = plan.epsilon;
        let middle = if plan.centred { rows.broadcast_sub(&rows.mean_keepdim(D::Minus1)?)? } else { rows.clone() };
        let variance = middle.sqr()?.mean_keepdim(D::Minus1)?;
        let inverse = variance.affine(1.0, f64::from(epsilon))?.sqrt()?.recip()?;
        Ok((middle.broadcast_mul(&inverse)?, inverse))
    }

    fn gamma(&self, node: &Node, plan: &Normalization) -> Result<Option<Array>> {
        if plan.scale { Ok(Some(self.need_weight(node, 0)?.flatten_all()?)) } else { Ok(None) }
    }

    pub(super) fn normalize_forward(&self, node: &Node, plan: &Normalization) -> Result<Array> {
        let x = self.floats(node.inputs[0])?;
        let rows = Rows::new(x.dims(), &plan.axes);
        let (mut y, _) = self.normal(&rows.take(x)?, plan)?;
        if let Some(gamma) = self.gamma(node, plan)? {
            y = y.broadcast_mul(&gamma)?;
        }
        if plan.center {
            y = y.broadcast_add(&self.need_weight(node, usize::from(plan.scale))?.flatten_all()?)?;
        }
        rows.back(&y)
    }

    pub(super) fn normalize_backward(&mut self, node: &Node, plan: &Normalization, dy: &Array) -> Result<()> {
        let input = node.inputs[0];
        let x = self.floats(input)?;
        let rows = Rows::new(x.dims(), &plan.axes);
        let sizes: Vec<usize> = plan.axes.iter().map(|&axis| x.dims()[axis]).collect();
        let dy = rows.take(dy)?;
        let (normal, inverse) = self.normal(&rows.take(x)?, plan)?;
        let scaled = match self.gamma(node, plan)? {
            Some(gamma) => dy.broadcast_mul(&gamma)?,
            None => dy.clone(),
        };
        let mean = scaled.mean_keepdim(D::Minus1)?;
        let middle = if plan.centred { scaled.broadcast_sub(&mean)? } else { scaled.clone() };
        let along = normal.broadcast_mul(&(&scaled * &normal)?.mean_keepdim(D::Minus1)?)?;
        let dx = rows.back(&(middle - along)?.broadcast_mul(&inverse)?)?;
        self.add_gradient(input, dx)?;
        if plan.scale {
            self.add_weight_gradient(node, 0, (&dy * &normal)?.sum(0)?.reshape(sizes.as_slice())?)?;
        }
        if plan.center {
            self.add_weight_gradient(node, usize::from(plan.scale), dy.sum(0)?.reshape(sizes.as_slice())?)?;
        }
        Ok(())
    }

    pub(super) fn softmax_over_forward(&self, node: &Node, axes: &[usize]) -> Result<Array> {
        let x = self.floats(node.inputs[0])?;
        let rows = Rows::new(x.dims(), axes);
        let Some(&mask) = node.inputs.get(1) else { return rows.back(&softmax(&rows.take(x)?)?) };
        let mask = match &self.values[mask] {
            Some(Value::Ids(ids)) => ids.clone(),
            _ => {
                let mask = self.floats(mask)?;
                Tensor::float(mask.dims().to_vec(), Self::download(mask)?)
            }
        };
        let kept: Vec<u8> = broadcast_mask(&self.program.context, &mask, x.dims()).into_iter().map(u8::from).collect();
        let kept = Array::from_vec(kept, x.dims(), &self.program.placement.device)?;
        let logits = kept.where_cond(x, &x.zeros_like()?.affine(1.0, -1e9)?)?;
        let y = rows.back(&softmax(&rows.take(&logits)?)?)?;
        Ok(kept.where_cond(&y, &y.zeros_like()?)?)
    }

    pub(super) fn softmax_over_backward(&mut self, node: &Node, axes: &[usize], dy: &Array) -> Result<()> {
        let y = self.floats(node.outputs[0])?;
        let rows = Rows::new(y.dims(), axes);
        let (y, dy) = (rows.take(y)?, rows.take(dy)?);
        let mean = (&y * &dy)?.sum_keepdim(D::Minus1)?;
        let dx = rows.back(&(&y * dy.broadcast_sub(&mean)?)?)?;
        self.add_gradient(node.inputs[0], dx)
    }
}
