//! All time steps of a piece of the batch.
#![allow(unsafe_op_in_unsafe_fn, reason = "panels are raw memory of sizes that `Piece::run` allocates")]
use std::ops::Range;

use super::{Layer, LstmShape, gates::ForwardGates};
use crate::{
    buffer::Buffer,
    recurrent::{
        PIECE_BLOCKS, Plan, Run,
        rows::{self, Targets},
    },
    shared::Shared,
    simd::{Kernel, LANES, Lanes},
    tile::{Ahead, Left, Out, Product, Right, Start},
};

/// Units whose gates are computed together: a common multiple of the tile heights, small enough for L1.
const CHUNK: usize = 48;

/// Arguments of the pieces.
pub(super) struct Task<'a> {
    pub layer: Layer<'a>,
    pub plan: &'a Plan,
    pub y: Option<Shared<'a>>,
    pub h: Option<Shared<'a>>,
    pub c: Option<Shared<'a>>,
    pub saved: Option<Parts<'a>>,
}

/// The buffers of `LstmSaved`.
pub(super) struct Parts<'a> {
    pub gates: Shared<'a>,
    pub cells: Shared<'a>,
    pub hidden: Shared<'a>,
}

/// One piece.
pub(super) struct Piece<'a> {
    pub task: &'a Task<'a>,
    pub piece: usize,
}

/// Memory of a piece; panels of a block are `[features][16]`.
struct Memory {
    /// `[2][block][units][16]`: output before and after the step, in turn.
    hidden: [*mut f32; 2],
    /// Cell state of each block; moves on with each slot if all are kept.
    cell: [*mut f32; PIECE_BLOCKS],
    /// `[variant][block][input][16]`.
    x: *mut f32,
    x_factors: Option<*mut f32>,
    /// `[variant][block][units][16]`: output before the step times the dropout factors.
    dropped: *mut f32,
    hidden_factors: Option<*mut f32>,
    /// `[block][4 CHUNK][16]`, if gates are not kept.
    gates: *mut f32,
}

impl Kernel for Piece<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let layer = &self.task.layer;
        let LstmShape { steps, input, units, .. } = layer.shape;
        let blocks = self.task.plan.piece(self.piece);
        let count = blocks.len();
        let (xs, hs) = (layer.input_variants() * count * input * LANES, count * units * LANES);
        let variants = if layer.options.recurrent_dropout.is_some() { layer.hidden_variants() } else { 0 };
        let sizes = [hs, hs, hs, xs, xs, variants * hs, variants * hs, count * 4 * CHUNK * LANES];
        let mut buffer = Buffer::new(sizes.iter().sum());
        let mut rest = buffer.as_mut_ptr();
        let [h0, h1, c, x, x_factors, dropped, hidden_factors, gates] = sizes.map(|size| {
            let part = rest;
            rest = rest.wrapping_add(size);
            part
        });
        // SAFETY: the parts have the sizes that are described in `Memory`, and no other piece has these blocks.
        unsafe {
            let mut memory = Memory {
                hidden: [h0, h1],
                cell: std::array::from_fn(|block| c.wrapping_add(block * units * LANES)),
                x,
                x_factors: layer.options.dropout.map(|factors| {
                    self.task.plan.pack_factors::<L>(x_factors, factors, blocks.clone(), input);
                    x_factors
                }),
                dropped,
                hidden_factors: layer.options.recurrent_dropout.map(|factors| {
                    self.task.plan.pack_factors::<L>(hidden_factors, factors, blocks.clone(), units);
                    hidden_factors
                }),
                gates,
            };
            self.start::<L>(&mut memory, blocks.clone());
            for step in 0..steps {
                self.step::<L>(&mut memory, blocks.clone(), step);
            }
            for (index, block) in blocks.enumerate() {
                let panel = index * units * LANES;
                for (to, from) in [(self.task.h, memory.hidden[0].add(panel)), (self.task.c, memory.cell[index])] {
                    if let Some(to) = to {
                        let to = self.task.plan.targets(to, block, units);
                        rows::unpack::<L>(from, &to, units, false, |_| None);
                    }
                }
            }
        }
    }
}

impl Piece<'_> {
    /// Initial states.
    #[inline(always)]
    unsafe fn start<L: Lanes>(&self, memory: &mut Memory, blocks: Range<usize>) {
        let Task { layer, plan, saved, .. } = self.task;
        let units = layer.shape.units;
        let rows =
            |matrix: Option<&[f32]>, block| matrix.map_or([None; LANES], |matrix| plan.sources(matrix, block, units));
        for (index, block) in blocks.enumerate() {
            if let Some(saved) = saved {
                memory.cell[index] = saved.cells.at(block * units * LANES);
            }
            let hidden = memory.hidden[0].add(index * units * LANES);
            rows::pack::<L>(memory.cell[index], &rows(layer.inputs.c0, block), units, None);
            rows::pack::<L>(hidden, &rows(layer.inputs.h0, block), units, None);
            self.keep::<L>(hidden, &[None; LANES], plan.first_slot(block));
        }
    }

    /// Writes an output panel to rows of `y`, and to where the backward pass wants it as the output before `next`.
    #[inline(always)]
    unsafe fn keep<L: Lanes>(&self, hidden: *const f32, targets: &Targets, next: Option<usize>) {
        let Task { layer, plan, saved, .. } = self.task;
        let parts = saved.as_ref().zip(next);
        if parts.is_none() && self.task.y.is_none() {
            return;
        }
        rows::unpack::<L>(hidden, targets, layer.shape.units, false, |unit| {
            parts.map(|(saved, slot)| saved.hidden.at(plan.tile(unit, slot)))
        });
    }

    #[inline(always)]
    unsafe fn step<L: Lanes>(&self, memory: &mut Memory, blocks: Range<usize>, step: usize) {
        let plan = self.task.plan;
        let (y, zero) = (self.task.y, self.task.layer.options.zero_output_for_mask);
        let panel = self.task.layer.shape.units * LANES;
        let mut done = 0;
        for run in plan.runs(step, blocks.clone()) {
            self.products::<L>(memory, blocks.clone(), step, run);
            done += run.blocks;
        }
        let [before, after] = memory.hidden;
        for (index, block) in blocks.clone().enumerate() {
            let hidden = after.add(index * panel);
            match plan.slot(step, block) {
                Some(slot) => self.keep::<L>(hidden, &plan.outputs(y, step, block), plan.next_slot(slot)),
                None if done > 0 => std::ptr::copy_nonoverlapping(before.add(index * panel), hidden, panel),
                None => {}
            }
            plan.repeat_outputs(y, zero, step, block);
        }
        if done > 0 {
            memory.hidden.swap(0, 1);
        }
    }

    /// One step of neighbouring blocks: sums, gates, states.
    #[inline(always)]
    unsafe fn products<L: Lanes>(&self, memory: &mut Memory, blocks: Range<usize>, step: usize, run: Run) {
        let Task { layer, plan, saved, .. } = self.task;
        let LstmShape { input, units, .. } = layer.shape;
        let (count, offset) = (blocks.len(), run.first - blocks.start);
        let hidden = memory.hidden[0].add(offset * units * LANES);
        let (x, dropped) = (memory.x, memory.dropped);
        for block in 0..run.blocks {
            let rows = plan.inputs(layer.inputs.x, step, run.first + block);
            for variant in 0..layer.input_variants() {
                let panel = (variant * count + offset + block) * input * LANES;
                let factors = memory.x_factors.map(|factors| factors.add(panel).cast_const());
                rows::pack::<L>(x.add(panel), &rows, input, factors);
            }
        }
        if let Some(factors) = memory.hidden_factors {
            for variant in 0..layer.hidden_variants() {
                for at in (0..run.blocks * units * LANES).step_by(LANES) {
                    let to = (variant * count + offset) * units * LANES + at;
                    L::load(hidden.add(at)).mul(L::load(factors.add(to))).store(dropped.add(to));
                }
            }
        }
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
                let (matrix, inner, right, start) = if recurrent {
                    let right = match memory.hidden_factors {
                        Some(_) => dropped.add((gate % layer.hidden_variants() * count + offset) * units * LANES),
                        None => hidden,
                    };
                    (layer.weights.recurrent, units, right, Start::Keep)
                } else {
                    let right = x.add((gate % layer.input_variants() * count + offset) * input * LANES);
                    let start = layer.weights.bias.map_or(Start::Zero, |bias| Start::Rows(bias[row..].as_ptr()));
                    (layer.weights.kernel, input, right, start)
                };
                let product = Product {
                    left: Left::rows(matrix[row * inner..].as_ptr(), inner),
                    right: Right::panels(right, inner * LANES),
                    out: Out::panels(gates.add(gate * stride), block_stride),
                    rows: height,
                    columns: run.blocks * LANES,
                    inner,
                    start,
                    ahead: Ahead::NOTHING,
                };
                product.run_on::<L>();
            }
            let after = memory.hidden[1].add((offset * units + first) * LANES);
            for block in 0..run.blocks {
                let gates = ForwardGates {
                    activations: layer.activations(),
                    gates: gates.add(block * block_stride),
                    stride,
                    cell_before: before[offset + block].add(first * LANES),
                    cell: memory.cell[offset + block].add(first * LANES),
                    hidden_before: hidden.add((block * units + first) * LANES),
                    hidden: after.add(block * units * LANES),
                    units: height,
                    valid: plan.valid(step, run.first + block),
                };
                gates.run::<L>();
            }
        }
    }
}
