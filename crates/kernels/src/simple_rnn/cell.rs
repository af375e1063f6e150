//! A step of neighbouring blocks, forward and backward.
#![allow(unsafe_op_in_unsafe_fn, reason = "panels are raw memory under the contracts of the cells")]
use std::ops::Range;

use crate::{
    activation::Activation,
    math,
    recurrent::{self, BackwardCell, ForwardCell, Plan, Sequence, Shape, Step},
    shared::Shared,
    simd::{LANES, Lanes},
    tile::{Ahead, Left, Out, Product, Right, Start},
};

/// The layer with what it keeps besides the outputs.
pub(super) struct ForwardStep<'a> {
    pub sequence: Sequence<'a>,
    pub bias: Option<&'a [f32]>,
    pub activation: Activation,
    /// As `SimpleRnnSaved::values`.
    pub values: Option<Shared<'a>>,
}

impl ForwardCell for ForwardStep<'_> {
    /// `[block][units][16]`: the sums, if they are not kept.
    type Memory = *mut f32;

    fn floats(&self, blocks: usize) -> usize {
        blocks * self.sequence.shape.units * LANES
    }

    #[inline(always)]
    unsafe fn begin<L: Lanes>(&self, _: &Plan, memory: *mut f32, _: Range<usize>) -> *mut f32 {
        memory
    }

    #[inline(always)]
    unsafe fn step<L: Lanes>(&self, memory: &mut *mut f32, at: Step<'_>) {
        let Shape { input, units, .. } = self.sequence.shape;
        let sums = self.values.map_or(*memory, |values| values.at(at.run.slot * units * LANES));
        let start = self.bias.map_or(Start::Zero, |bias| Start::Rows(bias.as_ptr()));
        let operands = [
            (self.sequence.kernel, input, input, at.x(0), start),
            (self.sequence.recurrent, units, at.summed, at.recurrent(0), Start::Keep),
        ];
        for (matrix, width, inner, right, start) in operands {
            let product = Product {
                left: Left::rows(matrix.as_ptr(), width),
                right: Right::panels(right, width * LANES),
                out: Out::panels(sums, units * LANES),
                rows: units,
                columns: at.run.blocks * LANES,
                inner,
                start,
                ahead: Ahead::NOTHING,
            };
            product.run_on::<L>();
        }
        for block in 0..at.run.blocks {
            let valid = L::mask_from_bits(at.plan.valid(at.step, at.run.first + block));
            for unit in (block * units * LANES..(block + 1) * units * LANES).step_by(LANES) {
                let mut y = L::load(sums.add(unit));
                if self.activation == Activation::Tanh {
                    y = math::tanh(y);
                } else {
                    y = recurrent::value(self.activation, y);
                }
                if !self.activation.gradient_takes_input() {
                    y.store(sums.add(unit));
                }
                y.select(valid, L::load(at.hidden.add(unit))).store(at.after.add(unit));
            }
        }
    }
}

/// The layer.
pub(super) struct BackwardStep {
    pub units: usize,
    pub activation: Activation,
}

impl BackwardCell for BackwardStep {
    type Memory = ();

    fn floats(&self, _: usize) -> usize {
        0
    }

    #[inline(always)]
    unsafe fn begin<L: Lanes>(&self, _: &Plan, _: *mut f32, _: Range<usize>) {}

    #[inline(always)]
    unsafe fn step<L: Lanes>(&self, (): &(), at: recurrent::BackwardStep<'_>) {
        let zero = L::splat(0.0);
        for index in 0..at.run.blocks {
            let valid = L::mask_from_bits(at.backward.plan.valid(at.step, at.run.first + index));
            let sums = at.sums(index, 0);
            let dhidden = at.dhidden.add(index * self.units * LANES);
            for unit in (0..self.units * LANES).step_by(LANES) {
                let kept = L::load(sums.add(unit));
                let slope = if self.activation == Activation::Tanh {
                    L::splat(1.0).sub(kept.mul(kept))
                } else {
                    recurrent::slope(self.activation, kept)
                };
                let d = L::load(dhidden.add(unit));
                d.mul(slope).select(valid, zero).store(sums.add(unit));
                // Nothing but the product reaches the output before, except in masked lanes.
                zero.select(valid, d).store(dhidden.add(unit));
            }
        }
    }
}
