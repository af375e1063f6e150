//! Functions of elements, and elements along axes as one.
use ::candle_core::{DType, Device, Tensor as Array};

use crate::{backend::candle::Run, error::Result, ops::Reduction, plan::Node};

impl Run<'_> {
    /// `f` of the elements that arrays have at one place after they were broadcast.
    pub(super) fn mapped(&self, inputs: &[&Array], sizes: &[usize], f: impl Fn(&[f64]) -> f64) -> Result<Array> {
        let columns = inputs
            .iter()
            .map(|x| Self::download_double(&x.to_device(&Device::Cpu)?.to_dtype(DType::F64)?.broadcast_as(sizes)?))
            .collect::<Result<Vec<_>>>()?;
        let length = sizes.iter().product();
        let mut values = Vec::with_capacity(length);
        let mut place = vec![0.0; columns.len()];
        for at in 0..length {
            place.iter_mut().zip(&columns).for_each(|(value, column)| *value = column[at]);
            values.push(f(&place));
        }
        if inputs.iter().any(|x| x.dtype() == self.program.placement.precision) {
            return self.placed(values, sizes);
        }
        self.placed_double(values, sizes)
    }

    pub(super) fn reduced(&self, x: &Array, function: Reduction, axes: &[usize], sizes: &[usize]) -> Result<Array> {
        let mut y = x.clone();
        for &axis in axes {
            y = match function {
                Reduction::Sum => y.sum_keepdim(axis)?,
                Reduction::Mean => y.mean_keepdim(axis)?,
                Reduction::Max => y.max_keepdim(axis)?,
                Reduction::Min => y.min_keepdim(axis)?,
                Reduction::Prod => {
                    let parts = (0..y.dim(axis)?).map(|at| Ok(y.narrow(axis, at, 1)?)).collect::<Result<Vec<_>>>()?;
                    let one = y.sum_keepdim(axis)?.ones_like()?;
                    parts.iter().try_fold(one, |product, part| Ok::<_, crate::Error>((product * part)?))?
                }
            };
        }
        Ok(y.reshape(sizes)?)
    }

    pub(super) fn reduced_backward(
        &mut self,
        node: &Node,
        function: Reduction,
        axes: &[usize],
        dy: &Array,
    ) -> Result<()> {
        let x = self.floats(node.inputs[0])?;
        let shape = x.dims().to_vec();
        let small: Vec<usize> =
            shape.iter().enumerate().map(|(axis, &size)| if axes.contains(&axis) { 1 } else { size }).collect();
        let count: usize = axes.iter().map(|&axis| shape[axis]).product();
        let wide = dy.reshape(small.as_slice())?.broadcast_as(shape.as_slice())?.contiguous()?;
        let dx = match function {
            Reduction::Sum => wide,
            Reduction::Mean => (wide / count as f64)?,
            Reduction::Max | Reduction::Min => {
                let best = self.floats(node.outputs[0])?.reshape(small.as_slice())?;
                let same = x.broadcast_eq(&best)?.to_dtype(x.dtype())?;
                let mut ties = same.clone();
                for &axis in axes {
                    ties = ties.sum_keepdim(axis)?;
                }
                (wide * same.broadcast_div(&ties)?)?
            }
            Reduction::Prod => {
                // The product of all others, one element after the other.
                let values = Self::download_double(x)?;
                let numbers = |at: usize| {
                    let mut rest = at;
                    let mut place = vec![0; shape.len()];
                    for axis in (0..shape.len()).rev() {
                        place[axis] = rest % shape[axis];
                        rest /= shape[axis];
                    }
                    place
                };
                let together = |left: usize, right: usize| {
                    let (left, right) = (numbers(left), numbers(right));
                    (0..shape.len()).all(|axis| axes.contains(&axis) || left[axis] == right[axis])
                };
                let others = |at: usize| {
                    let same = (0..values.len()).filter(|&other| other != at && together(at, other));
                    same.map(|other| values[other]).product::<f64>()
                };
                (wide * self.placed((0..values.len()).map(others).collect(), &shape)?)?
            }
        };
        self.add_gradient(node.inputs[0], dx)
    }
}
