//! Operations along time: poolings, masks from values, dropout of features, and layers at each step.
use std::sync::Arc;

use ::candle_core::Tensor as Array;

use super::{Run, Value};
use crate::{
    backend::masks::step_mask,
    error::{Code, Error, Result},
    plan::{Node, Pooling, ValueId},
    tensor::{Mask, Tensor},
};

impl Run<'_> {
    /// 1 where a position counts and 0 elsewhere, `[.., 1]` for a value of shape `[.., width]`.
    fn flags(&self, mask: &Mask, shape: &[usize]) -> Result<Array> {
        let flags: Vec<f32> = mask.iter().map(|&counts| f32::from(u8::from(counts != 0))).collect();
        let mut shape = shape.to_vec();
        if let Some(last) = shape.last_mut() {
            *last = 1;
        }
        self.upload(&flags, &shape)
    }

    /// What each step has of the mean: 1 by the number of those that count, 0 for the others and where none does.
    fn shares(&self, input: ValueId, pooling: Pooling) -> Result<Array> {
        let x = self.floats(input)?;
        let flags = match self.mask(input) {
            Some(mask) => self.flags(&mask, x.dims())?,
            None => self.zeros(&[1, 1, 1])?.affine(1.0, 1.0)?,
        };
        let flags = flags.broadcast_as(x.shape())?;
        Ok(flags.broadcast_div(&flags.sum_keepdim(pooling.axis)?.maximum(1.0)?)?)
    }

    /// 1 by the number of the largest elements for each of them, 0 elsewhere, and the largest.
    fn largest(&self, input: ValueId, pooling: Pooling) -> Result<(Array, Array)> {
        let x = self.floats(input)?;
        let largest = x.max_keepdim(pooling.axis)?;
        let ties = x.broadcast_eq(&largest)?.to_dtype(x.dtype())?;
        Ok((ties.broadcast_div(&ties.sum_keepdim(pooling.axis)?)?, largest))
    }

    pub(super) fn pool_forward(&self, node: &Node, pooling: Pooling) -> Result<Array> {
        let input = node.inputs[0];
        let x = self.floats(input)?;
        let shape = pooling.shape(x.dims());
        let y = match (pooling.maximum, x.elem_count()) {
            (_, 0) => self.zeros(&shape)?,
            (true, _) => self.largest(input, pooling)?.1,
            (false, _) => {
                // What is masked may be no number.
                let shares = self.shares(input, pooling)?;
                shares.gt(0.0)?.where_cond(&(x * &shares)?, &x.zeros_like()?)?.sum_keepdim(pooling.axis)?
            }
        };
        Ok(y.reshape(shape.as_slice())?)
    }

    pub(super) fn pool_backward(&mut self, node: &Node, pooling: Pooling, dy: &Array) -> Result<()> {
        let input = node.inputs[0];
        let x = self.floats(input)?;
        let mut shape = x.dims().to_vec();
        if x.elem_count() == 0 {
            let dx = x.zeros_like()?;
            return self.add_gradient(input, dx);
        }
        shape[pooling.axis] = 1;
        let shares = if pooling.maximum { self.largest(input, pooling)?.0 } else { self.shares(input, pooling)? };
        let dx = shares.broadcast_mul(&dy.reshape(shape.as_slice())?)?;
        self.add_gradient(input, dx)
    }

    pub(super) fn mask_forward(&mut self, node: &Node, masked: f32) -> Result<Array> {
        let x = self.floats(node.inputs[0])?;
        let (shape, values) = (x.dims().to_vec(), Self::download(x)?);
        let width = shape.last().copied().unwrap_or(1);
        let rows: usize = shape.iter().rev().skip(1).product();
        let mask: Mask = Arc::new(
            (0..rows).map(|row| u8::from(values[row * width..][..width].iter().any(|&x| x != masked))).collect(),
        );
        let flags = self.flags(&mask, &shape)?.broadcast_as(shape.as_slice())?;
        let y = flags.gt(0.0)?.where_cond(x, &x.zeros_like()?)?;
        self.masks[node.outputs[0]] = Some(mask);
        Ok(y)
    }

    pub(super) fn mask_backward(&mut self, node: &Node, dy: &Array) -> Result<()> {
        let mask = self.masks[node.outputs[0]].clone();
        let mask = mask.ok_or_else(|| Error::new(Code::Internal, "a masking lacks its mask"))?;
        let dx = dy.broadcast_mul(&self.flags(&mask, dy.dims())?)?;
        self.add_gradient(node.inputs[0], dx)
    }

    /// Factors of dropout of whole features of `[batch, time, features]`.
    pub(super) fn feature_factors(&self, index: usize, rate: f32, shape: &[usize]) -> Result<Option<Array>> {
        let (Some(random), &[batch, _, width]) = (self.random.filter(|_| rate > 0.0), shape) else { return Ok(None) };
        Ok(Some(self.factors(random.key(index, 0), rate, &[batch, 1, width])?))
    }

    pub(super) fn spatial_dropout(&self, index: usize, rate: f32, x: &Array) -> Result<Array> {
        Ok(match self.feature_factors(index, rate, x.dims())? {
            Some(factors) => x.broadcast_mul(&factors)?,
            None => x.clone(),
        })
    }

    pub(super) fn fold(&mut self, node: &Node) -> Result<()> {
        let folded = |shape: &[usize]| {
            let mut shape = shape.to_vec();
            let time = shape.remove(1);
            shape[0] *= time;
            shape
        };
        let input = node.inputs[0];
        let value = match &self.values[input] {
            Some(Value::Ids(ids)) => Value::Ids(Tensor { shape: folded(&ids.shape), data: ids.data.clone() }),
            _ => {
                let x = self.floats(input)?;
                Value::Floats(x.reshape(folded(x.dims()).as_slice())?)
            }
        };
        self.values[node.outputs[0]] = Some(value);
        Ok(())
    }

    pub(super) fn fold_backward(&mut self, node: &Node, dy: &Array) -> Result<()> {
        let dx = dy.reshape(self.floats(node.inputs[0])?.dims())?;
        self.add_gradient(node.inputs[0], dx)
    }

    /// Sizes of batch and time of the second input.
    fn steps(&self, node: &Node) -> Result<[usize; 2]> {
        let shape = match &self.values[node.inputs[1]] {
            Some(Value::Ids(ids)) => ids.shape.as_slice(),
            _ => self.floats(node.inputs[1])?.dims(),
        };
        match shape {
            &[batch, time, ..] => Ok([batch, time]),
            _ => Err(Error::new(Code::Internal, format!("expected a sequence, got shape {shape:?}"))),
        }
    }

    pub(super) fn unfold_forward(&mut self, node: &Node) -> Result<Array> {
        let [batch, time] = self.steps(node)?;
        let x = self.floats(node.inputs[0])?;
        let mut shape = vec![batch, time];
        shape.extend_from_slice(&x.dims()[1..]);
        let y = x.reshape(shape.as_slice())?;
        let positions = shape.iter().rev().skip(1).product();
        self.masks[node.outputs[0]] = self.mask(node.inputs[1]).map(|mask| step_mask(&mask, batch * time, positions));
        Ok(y)
    }
}
