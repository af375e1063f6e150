//! Tensors of one shape, element by element. What a mask leaves out is told in `backend/cpu/merge.rs`.
use ::candle_core::Tensor as Array;

use super::Run;
use crate::{
    error::{Code, Error, Result},
    layers::Merge,
    plan::{Node, ValueId},
};

/// `x` where flags are set, `y` elsewhere.
fn choose(flags: &Array, x: &Array, y: &Array) -> Result<Array> {
    Ok(flags.where_cond(x, y)?)
}

/// Where `x` takes the place of the `best` so far. What is not a number stays.
fn exceeds(merge: Merge, x: &Array, best: &Array) -> Result<Array> {
    let beyond = if merge == Merge::Maximum { x.gt(best)? } else { x.lt(best)? };
    Ok(beyond.maximum(&x.ne(x)?.gt(&best.ne(best)?)?)?)
}

impl Run<'_> {
    /// Flags of an input's elements: 0 where its own mask leaves them out.
    fn counting(&self, input: ValueId) -> Result<Array> {
        let x = self.floats(input)?;
        let device = &self.program.placement.device;
        let Some(mask) = self.mask(input) else { return Ok(x.eq(x)?.ones_like()?) };
        let width = x.elem_count().checked_div(mask.len()).unwrap_or(0);
        let flags: Vec<u8> =
            mask.iter().flat_map(|&counts| std::iter::repeat_n(u8::from(counts != 0), width)).collect();
        Ok(Array::from_vec(flags, x.dims(), device)?)
    }

    /// Where no input of a node counts.
    fn silent(&self, node: &Node) -> Result<Array> {
        let mut any = self.counting(node.inputs[0])?;
        for &input in &node.inputs[1..] {
            any = any.maximum(&self.counting(input)?)?;
        }
        Ok(any.eq(&any.zeros_like()?)?)
    }

    /// The product of the inputs that count, without one of them.
    fn product(&self, node: &Node, without: Option<usize>) -> Result<Array> {
        let mut product = self.floats(node.inputs[0])?.ones_like()?;
        for (_, &input) in node.inputs.iter().enumerate().filter(|(number, _)| Some(*number) != without) {
            let factor = choose(&self.counting(input)?, self.floats(input)?, &product.ones_like()?)?;
            product = (product * factor)?;
        }
        Ok(product)
    }

    /// The largest or smallest element, and each input's share of its gradient.
    fn extreme(&self, node: &Node, merge: Merge) -> Result<(Array, Vec<Array>)> {
        let mut best = self.floats(node.inputs[0])?.clone();
        let mut found = self.counting(node.inputs[0])?;
        let (one, zero) = (best.ones_like()?, best.zeros_like()?);
        let half = (&one * 0.5)?;
        let mut shares = vec![one.clone()];
        for &input in &node.inputs[1..] {
            let x = self.floats(input)?;
            let counts = self.counting(input)?;
            // The first element that counts always takes the place.
            let first = counts.gt(&found)?;
            let exceeds = exceeds(merge, x, &best)?.maximum(&first)?.minimum(&counts)?;
            let ties = x.eq(&best)?.minimum(&counts)?;
            let kept = choose(&exceeds, &zero, &choose(&ties, &half, &one)?)?;
            shares = shares.iter().map(|share| Ok((share * &kept)?)).collect::<Result<_>>()?;
            shares.push((&one - &kept)?);
            best = choose(&exceeds, x, &best)?;
            found = found.maximum(&counts)?;
        }
        Ok((best, shares))
    }

    pub(super) fn merge_forward(&self, node: &Node, merge: Merge) -> Result<Array> {
        match merge {
            Merge::Add | Merge::Average => {
                let mut sum = self.floats(node.inputs[0])?.clone();
                for &input in &node.inputs[1..] {
                    sum = (sum + self.floats(input)?)?;
                }
                Ok(if merge == Merge::Average { (sum / node.inputs.len() as f64)? } else { sum })
            }
            Merge::Subtract => Ok((self.floats(node.inputs[0])? - self.floats(node.inputs[1])?)?),
            Merge::Multiply => {
                let product = self.product(node, None)?;
                choose(&self.silent(node)?, &product.zeros_like()?, &product)
            }
            Merge::Maximum | Merge::Minimum => Ok(self.extreme(node, merge)?.0),
        }
    }

    pub(super) fn merge_backward(&mut self, node: &Node, merge: Merge, dy: &Array) -> Result<()> {
        let shares = match merge {
            Merge::Maximum | Merge::Minimum => self.extreme(node, merge)?.1,
            _ => Vec::new(),
        };
        for (number, &input) in node.inputs.iter().enumerate() {
            let dx = match merge {
                Merge::Add => dy.clone(),
                Merge::Average => (dy / node.inputs.len() as f64)?,
                Merge::Subtract if number == 1 => dy.neg()?,
                Merge::Subtract => dy.clone(),
                Merge::Multiply => {
                    let dx = (dy * self.product(node, Some(number))?)?;
                    choose(&self.counting(input)?, &dx, &dx.zeros_like()?)?
                }
                Merge::Maximum | Merge::Minimum => {
                    let share = shares.get(number).ok_or_else(|| {
                        Error::new(Code::Internal, "an input of an extreme has no share of its gradient")
                    })?;
                    (dy * share)?
                }
            };
            self.add_gradient(input, dx)?;
        }
        Ok(())
    }
}
