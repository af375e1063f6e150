//! Back-propagation through the time steps of a piece of the batch.
#![allow(unsafe_op_in_unsafe_fn, reason = "panels are raw memory of sizes that `Piece::run` allocates")]
use std::ops::Range;

use super::{Layer, LstmOutputGradients, LstmShape, gates::BackwardGates};
use crate::{
    buffer::Buffer,
    recurrent::{Plan, Run, To, rows},
    shared::Shared,
    simd::{Kernel, LANES, Lanes},
    tile::{Ahead, Left, Out, Product, Right, Start},
};

/// Arguments of the pieces.
pub(super) struct Task<'a> {
    pub layer: Layer<'a>,
    pub plan: &'a Plan,
    /// As `LstmSaved::gates`; afterwards the gradients of the sums.
    pub gates: Shared<'a>,
    pub cells: &'a [f32],
    pub output_gradients: LstmOutputGradients<'a>,
    pub dx: Option<To<'a>>,
    pub dh0: Option<To<'a>>,
    pub dc0: Option<To<'a>>,
}

/// One piece.
pub(super) struct Piece<'a> {
    pub task: &'a Task<'a>,
    pub piece: usize,
}

/// Memory of a piece; panels of a block are `[features][16]`.
struct Memory {
    dhidden: *mut f32,
    dcell: *mut f32,
    dx: *mut f32,
    /// Part of a gradient before its dropout factors.
    scratch: *mut f32,
    x_factors: Option<*mut f32>,
    hidden_factors: Option<*mut f32>,
}

/// A product of transposed weights and the gradients of the sums.
struct Transposed<'a> {
    weights: &'a [f32],
    features: usize,
    variants: usize,
    factors: Option<*mut f32>,
    to: *mut f32,
    start: Start,
}

impl Kernel for Piece<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let Task { layer, plan, output_gradients, .. } = self.task;
        let LstmShape { steps, input, units, .. } = layer.shape;
        let blocks = plan.piece(self.piece);
        let count = blocks.len();
        let (xs, hs) = (count * input * LANES, count * units * LANES);
        let x_variants = if layer.options.dropout.is_some() { layer.input_variants() } else { 0 };
        let h_variants = if layer.options.recurrent_dropout.is_some() { layer.hidden_variants() } else { 0 };
        let sizes =
            [hs, hs, xs, if x_variants + h_variants > 0 { xs.max(hs) } else { 0 }, x_variants * xs, h_variants * hs];
        let mut buffer = Buffer::new(sizes.iter().sum());
        let mut rest = buffer.as_mut_ptr();
        let [dhidden, dcell, dx, scratch, x_factors, hidden_factors] = sizes.map(|size| {
            let part = rest;
            rest = rest.wrapping_add(size);
            part
        });
        // SAFETY: the parts have the sizes that are described in `Memory`, and no other piece has these blocks.
        unsafe {
            let memory = Memory {
                dhidden,
                dcell,
                dx,
                scratch,
                x_factors: layer.options.dropout.map(|factors| {
                    plan.pack_factors::<L>(x_factors, factors, blocks.clone(), input);
                    x_factors
                }),
                hidden_factors: layer.options.recurrent_dropout.map(|factors| {
                    plan.pack_factors::<L>(hidden_factors, factors, blocks.clone(), units);
                    hidden_factors
                }),
            };
            for (index, block) in blocks.clone().enumerate() {
                let panel = index * units * LANES;
                for (to, from) in [(dhidden, output_gradients.dh), (dcell, output_gradients.dc)] {
                    let rows = from.map_or([None; LANES], |from| plan.sources(from, block, units));
                    rows::pack::<L>(to.add(panel), &rows, units, None);
                }
            }
            for step in (0..steps).rev() {
                self.step::<L>(&memory, blocks.clone(), step);
            }
            for (index, block) in blocks.enumerate() {
                let panel = index * units * LANES;
                for (to, from) in [(self.task.dh0, dhidden), (self.task.dc0, dcell)] {
                    if let Some(to) = to {
                        let targets = plan.targets(to.data, block, units);
                        rows::unpack::<L>(from.add(panel), &targets, units, to.accumulate, |_| None);
                    }
                }
            }
        }
    }
}

impl Piece<'_> {
    #[inline(always)]
    unsafe fn step<L: Lanes>(&self, memory: &Memory, blocks: Range<usize>, step: usize) {
        let Task { layer, plan, output_gradients, dx, .. } = self.task;
        let units = layer.shape.units;
        let zero = layer.options.zero_output_for_mask;
        for (index, block) in blocks.clone().enumerate() {
            if let Some(rows) = plan.output_gradients(output_gradients.dy, zero, step, block) {
                rows::add::<L>(memory.dhidden.add(index * units * LANES), &rows, units);
            }
            plan.zero_input_gradients(*dx, step, block);
        }
        for run in plan.runs(step, blocks.clone()) {
            self.gates::<L>(memory, blocks.start, step, run);
            self.products::<L>(memory, blocks.clone(), step, run);
        }
    }

    #[inline(always)]
    unsafe fn gates<L: Lanes>(&self, memory: &Memory, first: usize, step: usize, run: Run) {
        let Task { layer, plan, cells, .. } = self.task;
        let units = layer.shape.units;
        let panel = units * LANES;
        for index in 0..run.blocks {
            let (block, slot) = (run.first + index, run.slot + index);
            let before = plan.slot_before(slot).map_or(block, |slot| plan.blocks() + slot);
            let own = block - first;
            let gates = BackwardGates {
                activations: layer.activations(),
                gates: self.task.gates.at(slot * 4 * panel),
                cell_before: cells[before * panel..][..panel].as_ptr(),
                cell: cells[(plan.blocks() + slot) * panel..][..panel].as_ptr(),
                dhidden: memory.dhidden.add(own * panel),
                dcell: memory.dcell.add(own * panel),
                units,
                valid: plan.valid(step, block),
            };
            gates.run::<L>();
        }
    }

    /// Gradients of the output before the step and of its inputs.
    #[inline(always)]
    unsafe fn products<L: Lanes>(&self, memory: &Memory, blocks: Range<usize>, step: usize, run: Run) {
        let Task { layer, plan, .. } = self.task;
        let LstmShape { input, units, .. } = layer.shape;
        let (count, offset) = (blocks.len(), run.first - blocks.start);
        let is_first = (0..run.blocks).all(|index| plan.first_slot(run.first + index) == Some(run.slot + index));
        let hidden = Transposed {
            weights: layer.weights.recurrent,
            features: units,
            variants: layer.hidden_variants(),
            factors: memory.hidden_factors,
            to: memory.dhidden,
            start: Start::Keep,
        };
        let x = Transposed {
            weights: layer.weights.kernel,
            features: input,
            variants: layer.input_variants(),
            factors: memory.x_factors,
            to: memory.dx,
            start: Start::Zero,
        };
        for (part, wanted) in [(&hidden, self.task.dh0.is_some() || !is_first), (&x, self.task.dx.is_some())] {
            if !wanted {
                continue;
            }
            let panel = part.features * LANES;
            let to = part.to.add(offset * panel);
            let inner = 4 * units / part.variants;
            if part.factors.is_some() && matches!(part.start, Start::Zero) {
                std::slice::from_raw_parts_mut(to, run.blocks * panel).fill(0.0);
            }
            for variant in 0..part.variants {
                let gates = self.task.gates.at((run.slot * 4 * units + variant * inner) * LANES);
                let weights = part.weights[variant * inner * part.features..].as_ptr();
                let (out, start) =
                    if part.factors.is_some() { (memory.scratch, Start::Zero) } else { (to, part.start) };
                let product = Product {
                    left: Left::columns(weights, part.features),
                    right: Right::panels(gates, 4 * units * LANES),
                    out: Out::panels(out, panel),
                    rows: part.features,
                    columns: run.blocks * LANES,
                    inner,
                    start,
                    ahead: Ahead::NOTHING,
                };
                product.run_on::<L>();
                if let Some(factors) = part.factors {
                    let factors = factors.add((variant * count + offset) * panel);
                    for at in (0..run.blocks * panel).step_by(LANES) {
                        let sum = L::load(out.add(at)).fma(L::load(factors.add(at)), L::load(to.add(at)));
                        sum.store(to.add(at));
                    }
                }
            }
        }
        if let Some(dx) = self.task.dx {
            for index in 0..run.blocks {
                let targets = plan.input_gradients(dx, step, run.first + index);
                let panel = memory.dx.add((offset + index) * input * LANES);
                rows::unpack::<L>(panel, &targets, input, dx.accumulate, |_| None);
            }
        }
    }
}
