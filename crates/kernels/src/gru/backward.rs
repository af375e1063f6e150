//! A step of neighbouring blocks, backward.
#![allow(unsafe_op_in_unsafe_fn, reason = "panels are raw memory under the contract of `BackwardCell`")]
use std::ops::Range;

use super::{
    Layer,
    gates::{BackwardGates, BackwardReset},
};
use crate::{
    recurrent::{BackwardCell, BackwardStep, Plan, rows},
    simd::{LANES, Lanes},
    tile::{Ahead, Left, Out, Product, Right, Start},
};

/// The layer.
pub(crate) struct Cell<'a> {
    pub(super) layer: Layer<'a>,
}

/// Memory of a piece, `[block][units][16]`.
pub(crate) struct Memory {
    /// Output before the step.
    before: *mut f32,
    /// Gradient of what the reset gate lets through.
    passed: *mut f32,
}

impl BackwardCell for Cell<'_> {
    type Memory = Memory;

    fn floats(&self, blocks: usize) -> usize {
        2 * blocks * self.layer.shape.units * LANES
    }

    #[inline(always)]
    unsafe fn begin<L: Lanes>(&self, _: &Plan, memory: *mut f32, blocks: Range<usize>) -> Memory {
        Memory { before: memory, passed: memory.add(blocks.len() * self.layer.shape.units * LANES) }
    }

    #[inline(always)]
    unsafe fn step<L: Lanes>(&self, memory: &Memory, at: BackwardStep<'_>) {
        let Self { layer } = self;
        let plan = at.backward.plan;
        let units = layer.shape.units;
        for index in 0..at.run.blocks {
            let before = memory.before.add(index * units * LANES);
            rows::from_tiles::<L>(before, units, |unit| {
                at.backward.before[plan.tile(unit, at.run.slot + index)..][..LANES * LANES].as_ptr()
            });
            let gates = BackwardGates {
                activations: layer.activations(),
                reset_after: layer.options.reset_after,
                gates: at.sums(index, 0),
                hidden_before: before,
                dhidden: at.dhidden.add(index * units * LANES),
                units,
                valid: plan.valid(at.step, at.run.first + index),
            };
            gates.run::<L>();
        }
        if !layer.options.reset_after {
            self.reset::<L>(memory, at);
        }
    }
}

impl Cell<'_> {
    /// Through the recurrent product of the candidate to the reset gate in front of it.
    #[inline(always)]
    unsafe fn reset<L: Lanes>(&self, memory: &Memory, at: BackwardStep<'_>) {
        let Self { layer } = self;
        let units = layer.shape.units;
        let product = Product {
            left: Left::columns(layer.weights.recurrent[2 * units * units..].as_ptr(), units),
            right: Right::panels(at.sums(0, 2), layer.panels() * units * LANES),
            out: Out::panels(memory.passed, units * LANES),
            rows: units,
            columns: at.run.blocks * LANES,
            inner: units,
            start: Start::Zero,
            ahead: Ahead::NOTHING,
        };
        product.run_on::<L>();
        for index in 0..at.run.blocks {
            let panel = index * units * LANES;
            let reset = BackwardReset {
                activations: layer.activations(),
                reset: at.sums(index, 1),
                hidden_before: memory.before.add(panel),
                factors: at.hidden_factors(2).map(|factors| factors.add(panel)),
                dproduct: memory.passed.add(panel),
                dhidden: at.dhidden.add(panel),
                units,
                valid: at.backward.plan.valid(at.step, at.run.first + index),
            };
            reset.run::<L>();
        }
    }
}
