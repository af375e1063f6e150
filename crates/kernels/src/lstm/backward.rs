//! A step of neighbouring blocks, backward.
#![allow(unsafe_op_in_unsafe_fn, reason = "panels are raw memory under the contract of `BackwardCell`")]
use std::ops::Range;

use super::{Layer, gates::BackwardGates};
use crate::{
    recurrent::{BackwardCell, BackwardStep, Plan, To, rows},
    simd::{LANES, Lanes},
};

/// The layer with the gradients of its cell states.
pub(crate) struct Cell<'a> {
    pub(super) layer: Layer<'a>,
    /// As `LstmSaved::cells`.
    pub(super) cells: &'a [f32],
    pub(super) dc: Option<&'a [f32]>,
    pub(super) dc0: Option<To<'a>>,
}

impl BackwardCell for Cell<'_> {
    /// `[block][units][16]`: gradient of the cell state.
    type Memory = *mut f32;

    fn floats(&self, blocks: usize) -> usize {
        blocks * self.layer.shape.units * LANES
    }

    #[inline(always)]
    unsafe fn begin<L: Lanes>(&self, plan: &Plan, memory: *mut f32, blocks: Range<usize>) -> *mut f32 {
        let units = self.layer.shape.units;
        for (index, block) in blocks.enumerate() {
            let rows = self.dc.map_or([None; LANES], |dc| plan.sources(dc, block, units));
            rows::pack::<L>(memory.add(index * units * LANES), &rows, units, None);
        }
        memory
    }

    #[inline(always)]
    unsafe fn step<L: Lanes>(&self, memory: &*mut f32, at: BackwardStep<'_>) {
        let plan = at.backward.plan;
        let units = self.layer.shape.units;
        let panel = units * LANES;
        for index in 0..at.run.blocks {
            let (block, slot) = (at.run.first + index, at.run.slot + index);
            let before = plan.slot_before(slot).map_or(block, |slot| plan.blocks() + slot);
            let gates = BackwardGates {
                activations: self.layer.activations(),
                gates: at.sums(index, 0),
                cell_before: self.cells[before * panel..][..panel].as_ptr(),
                cell: self.cells[(plan.blocks() + slot) * panel..][..panel].as_ptr(),
                dhidden: at.dhidden.add(index * panel),
                dcell: memory.add((at.offset + index) * panel),
                units,
                valid: plan.valid(at.step, block),
            };
            gates.run::<L>();
        }
    }

    #[inline(always)]
    unsafe fn end<L: Lanes>(&self, plan: &Plan, memory: &*mut f32, blocks: Range<usize>) {
        let units = self.layer.shape.units;
        for (index, block) in blocks.enumerate() {
            let Some(to) = self.dc0 else { continue };
            let targets = plan.targets(to.data, block, units);
            rows::unpack::<L>(memory.add(index * units * LANES), &targets, units, to.accumulate, |_| None);
        }
    }
}
