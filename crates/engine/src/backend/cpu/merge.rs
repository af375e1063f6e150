//! Tensors of one shape, element by element.
//!
//! Products and extremes leave out what is masked, as in Keras: an element counts unless its own input masks its
//! position. Where none counts, a product is 0 and an extreme is the element of the first input. Sums, differences and
//! means take every element.
use sconce_kernels::{Context, buffer::Buffer, reduce, rows::for_rows};

use super::Run;
use crate::{
    error::Result,
    layers::Merge,
    plan::{Node, ValueId},
    tensor::{Mask, Tensor},
};

/// Elements whose gradients are computed at once.
const BLOCK: usize = 256;

/// Elements that have one mask flag in common.
struct Row<'a> {
    /// The first of them.
    start: usize,
    /// The inputs that count here, by number, and their elements.
    counting: Vec<(usize, &'a [f32])>,
}

/// Inputs with their masks.
struct Inputs<'a> {
    floats: Vec<&'a [f32]>,
    masks: Vec<Option<&'a Mask>>,
    /// Elements of a position.
    width: usize,
}

impl<'a> Inputs<'a> {
    /// `length` elements from `start` on, which have one mask flag in common.
    fn row(&self, start: usize, length: usize) -> Row<'a> {
        let position = start.checked_div(self.width).unwrap_or(0);
        let counts = |mask: &Option<&Mask>| mask.is_none_or(|mask| mask[position] != 0);
        let inputs = self.floats.iter().zip(&self.masks).enumerate().filter(|(_, (_, mask))| counts(mask));
        Row { start, counting: inputs.map(|(number, (x, _))| (number, &x[start..][..length])).collect() }
    }

    /// Calls `work` for the rows of `data`, on the pool; without masks any piece is one row.
    fn each(&self, context: &Context, data: &mut [f32], work: impl Fn(&Row<'a>, &mut [f32]) + Sync) {
        let masked = self.masks.iter().any(Option::is_some);
        let width = if masked { self.width } else { 1 };
        for_rows(context, data, width, width * self.floats.len(), |first, part| {
            let start = first * width;
            let length = if masked { width } else { part.len() };
            for (number, part) in part.chunks_exact_mut(length).enumerate() {
                work(&self.row(start + number * length, length), part);
            }
        });
    }
}

/// Whether `x` takes the place of the `best` so far. What is not a number stays.
fn exceeds(merge: Merge, x: f32, best: f32) -> bool {
    (if merge == Merge::Maximum { x > best } else { x < best }) || (x.is_nan() && !best.is_nan())
}

/// `x *= y`.
fn multiply(x: &mut [f32], y: &[f32]) {
    x.iter_mut().zip(y).for_each(|(x, &y)| *x *= y);
}

/// Adds the gradient of input `number` of a product: `dy` times the other inputs that count.
fn product_backward(row: &Row<'_>, number: usize, dy: &[f32], dx: &mut [f32]) {
    if row.counting.iter().all(|&(counting, _)| counting != number) {
        return;
    }
    let mut block = [0.0; BLOCK];
    for (piece, (dy, dx)) in dy.chunks(BLOCK).zip(dx.chunks_mut(BLOCK)).enumerate() {
        let product = &mut block[..dy.len()];
        product.copy_from_slice(dy);
        for (_, x) in row.counting.iter().filter(|&&(other, _)| other != number) {
            multiply(product, &x[piece * BLOCK..][..dy.len()]);
        }
        dx.iter_mut().zip(product).for_each(|(dx, product)| *dx += *product);
    }
}

/// Adds the gradient of input `number` of an extreme. Inputs are compared in their order, each with the best before it;
/// two that are equal share the gradient in halves.
fn extreme_backward(merge: Merge, row: &Row<'_>, number: usize, dy: &[f32], dx: &mut [f32]) {
    let Some(((first, best_before), others)) = row.counting.split_first() else {
        if number == 0 {
            dx.iter_mut().zip(dy).for_each(|(dx, dy)| *dx += dy);
        }
        return;
    };
    let (mut best, mut share) = ([0.0; BLOCK], [0.0; BLOCK]);
    for (piece, (dy, dx)) in dy.chunks(BLOCK).zip(dx.chunks_mut(BLOCK)).enumerate() {
        let (best, share) = (&mut best[..dy.len()], &mut share[..dy.len()]);
        best.copy_from_slice(&best_before[piece * BLOCK..][..dy.len()]);
        share.fill(f32::from(u8::from(*first == number)));
        for (other, x) in others {
            let x = &x[piece * BLOCK..][..dy.len()];
            for ((best, share), &x) in best.iter_mut().zip(share.iter_mut()).zip(x) {
                let exceeds = exceeds(merge, x, *best);
                let kept = match (exceeds, x == *best) {
                    (true, _) => 0.0,
                    (false, true) => 0.5,
                    (false, false) => 1.0,
                };
                *share = if *other == number { 1.0 - kept } else { *share * kept };
                *best = if exceeds { x } else { *best };
            }
        }
        for ((dx, &dy), &share) in dx.iter_mut().zip(dy).zip(share.iter()) {
            *dx += if share == 0.0 { 0.0 } else { dy * share };
        }
    }
}

impl Run<'_> {
    fn merged_inputs(&self, node: &Node) -> Result<Inputs<'_>> {
        let floats = node.inputs.iter().map(|&input| self.value(input)?.floats()).collect::<Result<Vec<_>>>()?;
        let masks: Vec<_> = node.inputs.iter().map(|&input| self.masks[input].as_ref()).collect();
        let length = floats.first().map_or(0, |x| x.len());
        let positions = masks.iter().flatten().next().map_or(1, |mask| mask.len());
        Ok(Inputs { floats, masks, width: length.checked_div(positions).unwrap_or(0) })
    }

    pub(super) fn merge_forward(&self, node: &Node, merge: Merge) -> Result<Tensor> {
        let first = self.value(node.inputs[0])?;
        let x = first.floats()?;
        let mut y = Buffer::new(x.len());
        match merge {
            Merge::Add | Merge::Average => {
                y.copy_from_slice(x);
                for &input in &node.inputs[1..] {
                    reduce::add_into(self.context, self.value(input)?.floats()?, &mut y);
                }
                if merge == Merge::Average {
                    reduce::scale(self.context, &mut y, 1.0 / node.inputs.len() as f32);
                }
            }
            Merge::Subtract => {
                y.copy_from_slice(self.value(node.inputs[1])?.floats()?);
                reduce::scale(self.context, &mut y, -1.0);
                reduce::add_into(self.context, x, &mut y);
            }
            Merge::Multiply | Merge::Maximum | Merge::Minimum => {
                let inputs = self.merged_inputs(node)?;
                inputs.each(self.context, &mut y, |Row { start, counting }, y| match counting.split_first() {
                    None if merge == Merge::Multiply => y.fill(0.0),
                    None => y.copy_from_slice(&x[*start..][..y.len()]),
                    Some(((_, first), others)) => {
                        y.copy_from_slice(first);
                        for (_, x) in others {
                            if merge == Merge::Multiply {
                                multiply(y, x);
                            } else {
                                let pairs = y.iter_mut().zip(x.iter());
                                pairs.for_each(|(y, &x)| *y = if exceeds(merge, x, *y) { x } else { *y });
                            }
                        }
                    }
                });
            }
        }
        Ok(Tensor::float(first.shape.clone(), y))
    }

    pub(super) fn merge_backward(&mut self, node: &Node, merge: Merge, dy: &[f32]) -> Result<()> {
        match merge {
            Merge::Add => node.inputs.iter().for_each(|&input| self.add_gradient(input, dy)),
            Merge::Average => {
                let mut share = Buffer::new(dy.len());
                share.copy_from_slice(dy);
                reduce::scale(self.context, &mut share, 1.0 / node.inputs.len() as f32);
                node.inputs.iter().for_each(|&input| self.add_gradient(input, &share));
            }
            Merge::Subtract => {
                self.add_gradient(node.inputs[0], dy);
                if self.schedule.gradient[node.inputs[1]] {
                    let mut negative = Buffer::new(dy.len());
                    negative.copy_from_slice(dy);
                    reduce::scale(self.context, &mut negative, -1.0);
                    self.add_gradient(node.inputs[1], &negative);
                }
            }
            Merge::Multiply | Merge::Maximum | Merge::Minimum => {
                // One value may be several inputs: each share is added by itself.
                for (number, &input) in node.inputs.iter().enumerate() {
                    let Some(mut slot) = self.slot(input, dy.len()) else { continue };
                    let inputs = self.merged_inputs(node)?;
                    let accumulate = slot.accumulate;
                    inputs.each(self.context, &mut slot.buffer, |row, dx| {
                        if !accumulate {
                            dx.fill(0.0);
                        }
                        let dy = &dy[row.start..][..dx.len()];
                        if merge == Merge::Multiply {
                            product_backward(row, number, dy, dx);
                        } else {
                            extreme_backward(merge, row, number, dy, dx);
                        }
                    });
                    self.put(input, Some(slot));
                }
            }
        }
        Ok(())
    }

    pub(super) fn add_gradient(&mut self, input: ValueId, dx: &[f32]) {
        let Some(mut slot) = self.slot(input, dx.len()) else { return };
        if slot.accumulate {
            reduce::add_into(self.context, dx, &mut slot.buffer);
        } else {
            slot.buffer.copy_from_slice(dx);
        }
        self.put(input, Some(slot));
    }
}
