//! All time steps of a piece of the batch.
#![allow(unsafe_op_in_unsafe_fn, reason = "panels are raw memory of sizes that `Piece::run` allocates")]
use std::ops::Range;

use super::{
    GruShape, Layer,
    gates::{ForwardGates, ForwardReset},
};
use crate::{
    buffer::Buffer,
    recurrent::{
        Plan, Run,
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
    /// What the sums start from, `[panels * units]`.
    pub bias: Option<&'a [f32]>,
    pub y: Option<Shared<'a>>,
    pub h: Option<Shared<'a>>,
    pub saved: Option<Parts<'a>>,
}

/// The buffers of `GruSaved`.
pub(super) struct Parts<'a> {
    pub gates: Shared<'a>,
    pub hidden: Shared<'a>,
    pub reset: Shared<'a>,
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
    /// `[variant][block][input][16]`.
    x: *mut f32,
    x_factors: Option<*mut f32>,
    /// `[variant][block][units][16]`: output before the step times the dropout factors.
    dropped: *mut f32,
    hidden_factors: Option<*mut f32>,
    /// `[block][units][16]`: that times the reset gate, if it comes before the product.
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
    inner: usize,
    right: *const f32,
}

impl Kernel for Piece<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let Task { layer, plan, .. } = self.task;
        let GruShape { steps, input, units, .. } = layer.shape;
        let blocks = plan.piece(self.piece);
        let count = blocks.len();
        let (xs, hs) = (layer.input_variants() * count * input * LANES, count * units * LANES);
        let variants = if layer.options.recurrent_dropout.is_some() { layer.hidden_variants() } else { 0 };
        let reset = if layer.options.reset_after { 0 } else { hs };
        let gates = count * layer.panels() * self.height() * LANES;
        let sizes = [hs, hs, xs, xs, variants * hs, variants * hs, reset, gates];
        let mut buffer = Buffer::new(sizes.iter().sum());
        let mut rest = buffer.as_mut_ptr();
        let [h0, h1, x, x_factors, dropped, hidden_factors, reset, gates] = sizes.map(|size| {
            let part = rest;
            rest = rest.wrapping_add(size);
            part
        });
        // SAFETY: the parts have the sizes that are described in `Memory`, and no other piece has these blocks.
        unsafe {
            let mut memory = Memory {
                hidden: [h0, h1],
                x,
                x_factors: layer.options.dropout.map(|factors| {
                    plan.pack_factors::<L>(x_factors, factors, blocks.clone(), input);
                    x_factors
                }),
                dropped,
                hidden_factors: layer.options.recurrent_dropout.map(|factors| {
                    plan.pack_factors::<L>(hidden_factors, factors, blocks.clone(), units);
                    hidden_factors
                }),
                reset,
                gates,
            };
            for (index, block) in blocks.clone().enumerate() {
                let hidden = memory.hidden[0].add(index * units * LANES);
                let h0 = layer.inputs.h0.map_or([None; LANES], |h0| plan.sources(h0, block, units));
                rows::pack::<L>(hidden, &h0, units, None);
                self.keep::<L>(hidden, &[None; LANES], plan.first_slot(block));
            }
            for step in 0..steps {
                self.step::<L>(&mut memory, blocks.clone(), step);
            }
            for (index, block) in blocks.enumerate() {
                let Some(h) = self.task.h else { continue };
                let to = plan.targets(h, block, units);
                rows::unpack::<L>(memory.hidden[0].add(index * units * LANES), &to, units, false, |_| None);
            }
        }
    }
}

impl Piece<'_> {
    /// Units that are computed together. With the reset gate before its product, all of the gates are needed first.
    fn height(&self) -> usize {
        if self.task.layer.options.reset_after { CHUNK } else { self.task.layer.shape.units }
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
            self.run_of_blocks::<L>(memory, blocks.clone(), step, run);
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

    /// The sums of the units from `first` on.
    #[inline(always)]
    fn sums(&self, memory: &Memory, run: Run, first: usize) -> Sums {
        let Task { layer, saved, .. } = self.task;
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

    /// One step of neighbouring blocks: sums, gates, states.
    #[inline(always)]
    unsafe fn run_of_blocks<L: Lanes>(&self, memory: &Memory, blocks: Range<usize>, step: usize, run: Run) {
        let layer = &self.task.layer;
        let units = layer.shape.units;
        let (count, offset) = (blocks.len(), run.first - blocks.start);
        self.inputs::<L>(memory, count, offset, step, run);
        let hidden = memory.hidden[0].add(offset * units * LANES);
        let recurrent = |gate: usize| match memory.hidden_factors {
            Some(_) => memory.dropped.add((gate % layer.hidden_variants() * count + offset) * units * LANES),
            None => hidden,
        };
        let x =
            |gate: usize| memory.x.add((gate % layer.input_variants() * count + offset) * layer.shape.input * LANES);
        let (matrix, inner) = (layer.weights.recurrent, units);
        for first in (0..units).step_by(self.height().max(1)) {
            let sums = self.sums(memory, run, first);
            for gate in 0..3 {
                let (matrix, inner, right) = (layer.weights.kernel, layer.shape.input, x(gate));
                self.product::<L>(sums, run, &Operand { gate, panel: gate, begins: true, matrix, inner, right });
            }
            for gate in 0..if layer.options.reset_after { 3 } else { 2 } {
                // The recurrent sums of the candidate stay apart: the reset gate is applied to them alone.
                let (panel, begins) = if gate == 2 { (3, true) } else { (gate, false) };
                let right = recurrent(gate);
                self.product::<L>(sums, run, &Operand { gate, panel, begins, matrix, inner, right });
            }
            if !layer.options.reset_after {
                self.reset::<L>(memory, offset, sums, run, recurrent(2));
                let right = memory.reset.add(offset * units * LANES);
                self.product::<L>(sums, run, &Operand { gate: 2, panel: 2, begins: false, matrix, inner, right });
            }
            for block in 0..run.blocks {
                let gates = ForwardGates {
                    activations: layer.activations(),
                    reset_after: layer.options.reset_after,
                    gates: sums.gates.add(block * sums.block_stride),
                    stride: sums.stride,
                    hidden_before: hidden.add((block * units + first) * LANES),
                    hidden: memory.hidden[1].add(((offset + block) * units + first) * LANES),
                    units: sums.height,
                    valid: self.task.plan.valid(step, run.first + block),
                };
                gates.run::<L>();
            }
        }
    }

    /// Packs the rows of `x`, and multiplies them and the output before the step with their dropout factors.
    #[inline(always)]
    unsafe fn inputs<L: Lanes>(&self, memory: &Memory, count: usize, offset: usize, step: usize, run: Run) {
        let Task { layer, plan, .. } = self.task;
        let GruShape { input, units, .. } = layer.shape;
        for block in 0..run.blocks {
            let rows = plan.inputs(layer.inputs.x, step, run.first + block);
            for variant in 0..layer.input_variants() {
                let panel = (variant * count + offset + block) * input * LANES;
                let factors = memory.x_factors.map(|factors| factors.add(panel).cast_const());
                rows::pack::<L>(memory.x.add(panel), &rows, input, factors);
            }
        }
        let Some(factors) = memory.hidden_factors else { return };
        for variant in 0..layer.hidden_variants() {
            for at in (offset * units * LANES..(offset + run.blocks) * units * LANES).step_by(LANES) {
                let to = variant * count * units * LANES + at;
                let hidden = L::load(memory.hidden[0].add(at));
                hidden.mul(L::load(factors.add(to))).store(memory.dropped.add(to));
            }
        }
    }

    /// Adds the product of the weights of a gate and `right` to a panel of the sums, or begins it.
    #[inline(always)]
    unsafe fn product<L: Lanes>(&self, sums: Sums, run: Run, operand: &Operand<'_>) {
        let Operand { gate, panel, matrix, inner, right, .. } = *operand;
        let Task { layer, bias, .. } = self.task;
        let units = layer.shape.units;
        let row = gate * units + sums.first;
        let start = match bias {
            _ if !operand.begins => Start::Keep,
            Some(bias) => Start::Rows(bias[panel * units + sums.first..].as_ptr()),
            None => Start::Zero,
        };
        let product = Product {
            left: Left::rows(matrix[row * inner..].as_ptr(), inner),
            right: Right::panels(right, inner * LANES),
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
    unsafe fn reset<L: Lanes>(&self, memory: &Memory, offset: usize, sums: Sums, run: Run, hidden: *const f32) {
        let Task { layer, plan, saved, .. } = self.task;
        let units = layer.shape.units;
        for block in 0..run.blocks {
            let product = memory.reset.add((offset + block) * units * LANES);
            let reset = ForwardReset {
                activations: layer.activations(),
                reset: sums.gates.add(block * sums.block_stride + sums.stride),
                hidden: hidden.add(block * units * LANES),
                product,
                units,
            };
            reset.run::<L>();
            if let Some(saved) = saved {
                rows::unpack::<L>(product, &[None; LANES], units, false, |unit| {
                    Some(saved.reset.at(plan.tile(unit, run.slot + block)))
                });
            }
        }
    }
}
