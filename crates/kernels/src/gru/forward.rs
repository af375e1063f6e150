//! A step of neighbouring blocks, forward.
#![allow(unsafe_op_in_unsafe_fn, reason = "panels are raw memory under the contract of `ForwardCell`")]
use std::ops::Range;

use super::{
    GruShape, Layer,
    gates::{ForwardGates, ForwardReset},
};
use crate::{
    recurrent::{ForwardCell, Plan, Run, Step, rows},
    shared::Shared,
    simd::{LANES, Lanes},
    tile::{Ahead, Left, Out, Product, Right, Start},
};

/// Units whose gates are computed together: a common multiple of the tile heights, small enough for L1.
const CHUNK: usize = 48;

/// The layer with what it keeps besides the outputs.
pub(crate) struct Cell<'a> {
    pub(super) layer: Layer<'a>,
    /// What the sums start from, `[panels * units]`.
    pub(super) bias: Option<&'a [f32]>,
    pub(super) saved: Option<Parts<'a>>,
}

/// Buffers of `GruSaved`.
pub(super) struct Parts<'a> {
    pub gates: Shared<'a>,
    pub reset: Shared<'a>,
}

/// Memory of a piece.
pub(crate) struct Memory {
    /// `[block][units][16]`: output before the step times the reset gate, if it comes before the product.
    reset: *mut f32,
    /// `[block][panels][height][16]`, if gates are not kept.
    gates: *mut f32,
}

/// Where the sums of some units of a run lie.
#[derive(Clone, Copy)]
struct Sums {
    first: usize,
    height: usize,
    gates: *mut f32,
    /// From one gate to the next.
    stride: usize,
    block_stride: usize,
}

/// A product of the weights of a gate and a panel for each block of a run.
struct Operand<'a> {
    gate: usize,
    /// Panel of the sums that gets it.
    panel: usize,
    /// Whether the sums begin with it.
    begins: bool,
    matrix: &'a [f32],
    /// Columns of the matrix.
    width: usize,
    /// Those that are summed.
    inner: usize,
    right: *const f32,
}

impl ForwardCell for Cell<'_> {
    type Memory = Memory;

    fn floats(&self, blocks: usize) -> usize {
        blocks * (self.reset_units() + self.layer.panels() * self.height()) * LANES
    }

    #[inline(always)]
    unsafe fn begin<L: Lanes>(&self, _: &Plan, memory: *mut f32, blocks: Range<usize>) -> Memory {
        Memory { reset: memory, gates: memory.add(blocks.len() * self.reset_units() * LANES) }
    }

    #[inline(always)]
    unsafe fn step<L: Lanes>(&self, memory: &mut Memory, at: Step<'_>) {
        let layer = &self.layer;
        let GruShape { input, units, .. } = layer.shape;
        let run = at.run;
        let (matrix, width, inner) = (layer.weights.recurrent, units, at.summed);
        for first in (0..units).step_by(self.height()) {
            let sums = self.sums(memory, run, first);
            for gate in 0..3 {
                let (matrix, right) = (layer.weights.kernel, at.x(gate));
                let (panel, width, inner) = (gate, input, input);
                self.product::<L>(sums, run, &Operand { gate, panel, begins: true, matrix, width, inner, right });
            }
            for gate in 0..if layer.options.reset_after { 3 } else { 2 } {
                // The recurrent sums of the candidate stay apart: the reset gate is applied to them alone.
                let (panel, begins) = if gate == 2 { (3, true) } else { (gate, false) };
                let right = at.recurrent(gate);
                self.product::<L>(sums, run, &Operand { gate, panel, begins, matrix, width, inner, right });
            }
            if !layer.options.reset_after {
                let right = memory.reset.add(at.offset * units * LANES);
                self.reset::<L>(at, sums, right);
                let (gate, panel) = (2, 2);
                self.product::<L>(sums, run, &Operand { gate, panel, begins: false, matrix, width, inner, right });
            }
            for block in 0..run.blocks {
                let panel = (block * units + first) * LANES;
                let gates = ForwardGates {
                    activations: layer.activations(),
                    reset_after: layer.options.reset_after,
                    gates: sums.gates.add(block * sums.block_stride),
                    stride: sums.stride,
                    hidden_before: at.hidden.add(panel),
                    hidden: at.after.add(panel),
                    units: sums.height,
                    valid: at.plan.valid(at.step, run.first + block),
                };
                gates.run::<L>();
            }
        }
    }
}

impl Cell<'_> {
    /// Units that are computed together. With the reset gate before its product, all of the gates are needed first.
    fn height(&self) -> usize {
        if self.layer.options.reset_after { CHUNK } else { self.layer.shape.units.max(1) }
    }

    /// Units of a block whose product with the reset gate is needed.
    fn reset_units(&self) -> usize {
        if self.layer.options.reset_after { 0 } else { self.layer.shape.units }
    }

    /// The sums of the units from `first` on.
    #[inline(always)]
    fn sums(&self, memory: &Memory, run: Run, first: usize) -> Sums {
        let Self { layer, saved, .. } = self;
        let (units, panels) = (layer.shape.units, layer.panels());
        let height = self.height().min(units - first);
        match saved {
            Some(saved) => {
                let gates = saved.gates.at((run.slot * panels * units + first) * LANES);
                Sums { first, height, gates, stride: units * LANES, block_stride: panels * units * LANES }
            }
            None => {
                let stride = self.height() * LANES;
                Sums { first, height, gates: memory.gates, stride, block_stride: panels * stride }
            }
        }
    }

    /// Adds the product of the weights of a gate and `right` to a panel of the sums, or begins it.
    #[inline(always)]
    unsafe fn product<L: Lanes>(&self, sums: Sums, run: Run, operand: &Operand<'_>) {
        let Operand { gate, panel, matrix, width, inner, right, .. } = *operand;
        let units = self.layer.shape.units;
        let row = gate * units + sums.first;
        let start = match self.bias {
            _ if !operand.begins => Start::Keep,
            Some(bias) => Start::Rows(bias[panel * units + sums.first..].as_ptr()),
            None => Start::Zero,
        };
        let product = Product {
            left: Left::rows(matrix[row * width..].as_ptr(), width),
            right: Right::panels(right, width * LANES),
            out: Out::panels(sums.gates.add(panel * sums.stride), sums.block_stride),
            rows: sums.height,
            columns: run.blocks * LANES,
            inner,
            start,
            ahead: Ahead::NOTHING,
        };
        product.run_on::<L>();
    }

    /// The reset gate of all units, and its product with the output before the step.
    #[inline(always)]
    unsafe fn reset<L: Lanes>(&self, at: Step<'_>, sums: Sums, to: *mut f32) {
        let units = self.layer.shape.units;
        for block in 0..at.run.blocks {
            let product = to.add(block * units * LANES);
            let reset = ForwardReset {
                activations: self.layer.activations(),
                reset: sums.gates.add(block * sums.block_stride + sums.stride),
                hidden: at.recurrent(2).add(block * units * LANES),
                product,
                units,
            };
            reset.run::<L>();
            if let Some(saved) = &self.saved {
                rows::unpack::<L>(product, &[None; LANES], units, false, |unit| {
                    Some(saved.reset.at(at.plan.tile(unit, at.run.slot + block)))
                });
            }
        }
    }
}
