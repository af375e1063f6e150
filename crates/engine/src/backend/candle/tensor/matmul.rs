//! Products of matrices, with broadcasting.
use ::candle_core::{D, Tensor as Array};

use super::reduce_to;
use crate::{backend::candle::Run, error::Result, plan::Node};

/// The matrices of a tensor, transposed if `flag` says so.
fn turned(x: &Array, flag: bool) -> Result<Array> {
    Ok(if flag { x.transpose(D::Minus1, D::Minus2)?.contiguous()? } else { x.clone() })
}

/// Products, with the axes before the last two broadcast.
fn multiply(a: &Array, b: &Array) -> Result<Array> {
    let batch = |x: &Array| x.dims()[..x.rank() - 2].iter().rev().copied().collect::<Vec<_>>();
    let (batch_a, batch_b) = (batch(a), batch(b));
    let size = |batch: &[usize], axis: usize| batch.get(axis).copied().unwrap_or(1);
    let sizes: Vec<usize> = (0..batch_a.len().max(batch_b.len()))
        .rev()
        .map(|axis| if size(&batch_a, axis) == 1 { size(&batch_b, axis) } else { size(&batch_a, axis) })
        .collect();
    // Candle multiplies matrices with one axis before them.
    let spread = |x: &Array| -> Result<Array> {
        let matrix = &x.dims()[x.rank() - 2..];
        let flat = [sizes.iter().product(), matrix[0], matrix[1]];
        Ok(x.broadcast_as([&sizes[..], matrix].concat())?.contiguous()?.reshape(&flat[..])?)
    };
    let product = spread(a)?.matmul(&spread(b)?)?;
    Ok(product.reshape([&sizes[..], &product.dims()[1..]].concat())?)
}

impl Run<'_> {
    pub(super) fn matrix_product(&self, node: &Node, transpose_a: bool, transpose_b: bool) -> Result<Array> {
        let a = turned(self.floats(node.inputs[0])?, transpose_a)?;
        let b = turned(self.floats(node.inputs[1])?, transpose_b)?;
        multiply(&a, &b)
    }

    pub(super) fn matrix_product_backward(
        &mut self,
        node: &Node,
        transpose_a: bool,
        transpose_b: bool,
        dy: &Array,
    ) -> Result<()> {
        let a = self.floats(node.inputs[0])?.clone();
        let b = self.floats(node.inputs[1])?.clone();
        let (turned_a, turned_b) = (turned(&a, transpose_a)?, turned(&b, transpose_b)?);
        let da = multiply(dy, &turned(&turned_b, true)?)?;
        let db = multiply(&turned(&turned_a, true)?, dy)?;
        self.add_gradient(node.inputs[0], turned(&reduce_to(&da, turned_a.dims())?, transpose_a)?)?;
        self.add_gradient(node.inputs[1], turned(&reduce_to(&db, turned_b.dims())?, transpose_b)?)
    }
}
