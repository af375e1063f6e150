//! A step of neighbouring blocks, forward.
#![allow(unsafe_op_in_unsafe_fn, reason = "panels are raw memory under the contract of `ForwardCell`")]
use std::ops::Range;

use super::{Layer, LstmShape, gates::ForwardGates};
use crate::{
    recurrent::{ForwardCell, PIECE_BLOCKS, Plan, Step, rows},
    shared::Shared,
    simd::{LANES, Lanes},
    tile::{Ahead, Left, Out, Product, Right, Start},
};

/// Units whose gates are computed together: a common multiple of the tile heights, small enough for L1.
const CHUNK: usize = 48;

/// The layer with what it keeps besides the outputs.
pub(crate) struct Cell<'a> {
    pub(super) layer: Layer<'a>,
    pub(super) c: Option<Shared<'a>>,
    pub(super) saved: Option<Parts<'a>>,
}

/// Buffers of `LstmSaved`.
pub(super) struct Parts<'a> {
    pub gates: Shared<'a>,
    pub cells: Shared<'a>,
}

/// Memory of a piece.
pub(crate) struct Memory {
    /// Cell state of each block; moves on with each slot if all are kept.
    cell: [*mut f32; PIECE_BLOCKS],
    /// `[block][4 CHUNK][16]`, if gates are not kept.
    gates: *mut f32,
}

impl ForwardCell for Cell<'_> {
    type Memory = Memory;

    fn floats(&self, blocks: usize) -> usize {
        blocks * (self.layer.shape.units + 4 * CHUNK) * LANES
    }

    #[inline(always)]
    unsafe fn begin<L: Lanes>(&self, plan: &Plan, memory: *mut f32, blocks: Range<usize>) -> Memory {
        let units = self.layer.shape.units;
        let mut cell = std::array::from_fn(|block| memory.wrapping_add(block * units * LANES));
        let gates = memory.add(blocks.len() * units * LANES);
        for (cell, block) in cell.iter_mut().zip(blocks) {
            if let Some(saved) = &self.saved {
                *cell = saved.cells.at(block * units * LANES);
            }
            let rows = self.layer.inputs.c0.map_or([None; LANES], |c0| plan.sources(c0, block, units));
            rows::pack::<L>(*cell, &rows, units, None);
        }
        Memory { cell, gates }
    }

    #[inline(always)]
    unsafe fn step<L: Lanes>(&self, memory: &mut Memory, at: Step<'_>) {
        let Self { layer, saved, .. } = self;
        let LstmShape { input, units, .. } = layer.shape;
        let Step { plan, run, offset, .. } = at;
        let before = memory.cell;
        if let Some(saved) = saved {
            for block in 0..run.blocks {
                memory.cell[offset + block] = saved.cells.at((plan.blocks() + run.slot + block) * units * LANES);
            }
        }
        for first in (0..units).step_by(CHUNK) {
            let height = CHUNK.min(units - first);
            let (gates, stride, block_stride) = match saved {
                Some(saved) => {
                    (saved.gates.at((run.slot * 4 * units + first) * LANES), units * LANES, 4 * units * LANES)
                }
                None => (memory.gates, CHUNK * LANES, 4 * CHUNK * LANES),
            };
            for part in 0..8 {
                let (gate, recurrent) = (part / 2, part % 2 == 1);
                let row = gate * units + first;
                let (matrix, width, inner, right, start) = if recurrent {
                    (layer.weights.recurrent, units, at.summed, at.recurrent(gate), Start::Keep)
                } else {
                    let start = layer.weights.bias.map_or(Start::Zero, |bias| Start::Rows(bias[row..].as_ptr()));
                    (layer.weights.kernel, input, input, at.x(gate), start)
                };
                let product = Product {
                    left: Left::rows(matrix[row * width..].as_ptr(), width),
                    right: Right::panels(right, width * LANES),
                    out: Out::panels(gates.add(gate * stride), block_stride),
                    rows: height,
                    columns: run.blocks * LANES,
                    inner,
                    start,
                    ahead: Ahead::NOTHING,
                };
                product.run_on::<L>();
            }
            for block in 0..run.blocks {
                let panel = (block * units + first) * LANES;
                let gates = ForwardGates {
                    activations: layer.activations(),
                    gates: gates.add(block * block_stride),
                    stride,
                    cell_before: before[offset + block].add(first * LANES),
                    cell: memory.cell[offset + block].add(first * LANES),
                    hidden_before: at.hidden.add(panel),
                    hidden: at.after.add(panel),
                    units: height,
                    valid: plan.valid(at.step, run.first + block),
                };
                gates.run::<L>();
            }
        }
    }

    #[inline(always)]
    unsafe fn end<L: Lanes>(&self, plan: &Plan, memory: &Memory, blocks: Range<usize>) {
        let units = self.layer.shape.units;
        for (cell, block) in memory.cell.iter().zip(blocks) {
            let Some(c) = self.c else { continue };
            rows::unpack::<L>(*cell, &plan.targets(c, block, units), units, false, |_| None);
        }
    }
}
