//! Back-propagation through the time steps of a piece of the batch.
#![allow(unsafe_op_in_unsafe_fn, reason = "panels are raw memory of sizes that `Piece::run` allocates")]
use std::ops::Range;

use super::{
    GruOutputGradients, GruShape, Layer,
    gates::{BackwardGates, BackwardReset},
};
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
    /// As `GruSaved::gates`; afterwards the gradients of the sums.
    pub gates: Shared<'a>,
    /// As `GruSaved::hidden`.
    pub hidden: &'a [f32],
    pub output_gradients: GruOutputGradients<'a>,
    pub dx: Option<To<'a>>,
    pub dh0: Option<To<'a>>,
}

/// One piece.
pub(super) struct Piece<'a> {
    pub task: &'a Task<'a>,
    pub piece: usize,
}

/// Memory of a piece; panels of a block are `[features][16]`.
struct Memory {
    dhidden: *mut f32,
    /// Output before the step.
    before: *mut f32,
    dx: *mut f32,
    /// Part of a gradient before its dropout factors, or the gradient of what the reset gate lets through.
    scratch: *mut f32,
    x_factors: Option<*mut f32>,
    hidden_factors: Option<*mut f32>,
}

/// A product of transposed weights and the gradients of the sums.
struct Transposed<'a> {
    weights: &'a [f32],
    features: usize,
    /// First gate, number of gates, and place of the first one's sums in a slot.
    parts: &'a [(usize, usize, usize)],
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
        let GruShape { steps, input, units, .. } = layer.shape;
        let blocks = plan.piece(self.piece);
        let count = blocks.len();
        let (xs, hs) = (count * input * LANES, count * units * LANES);
        let x_variants = if layer.options.dropout.is_some() { layer.input_variants() } else { 0 };
        let h_variants = if layer.options.recurrent_dropout.is_some() { layer.hidden_variants() } else { 0 };
        let sizes = [hs, hs, xs, xs.max(hs), x_variants * xs, h_variants * hs];
        let mut buffer = Buffer::new(sizes.iter().sum());
        let mut rest = buffer.as_mut_ptr();
        let [dhidden, before, dx, scratch, x_factors, hidden_factors] = sizes.map(|size| {
            let part = rest;
            rest = rest.wrapping_add(size);
            part
        });
        // SAFETY: the parts have the sizes that are described in `Memory`, and no other piece has these blocks.
        unsafe {
            let memory = Memory {
                dhidden,
                before,
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
                let rows = output_gradients.dh.map_or([None; LANES], |dh| plan.sources(dh, block, units));
                rows::pack::<L>(dhidden.add(index * units * LANES), &rows, units, None);
            }
            for step in (0..steps).rev() {
                self.step::<L>(&memory, blocks.clone(), step);
            }
            for (index, block) in blocks.enumerate() {
                let Some(to) = self.task.dh0 else { continue };
                let targets = plan.targets(to.data, block, units);
                let from = dhidden.add(index * units * LANES);
                rows::unpack::<L>(from, &targets, units, to.accumulate, |_| None);
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
            let (count, offset) = (blocks.len(), run.first - blocks.start);
            self.gates::<L>(memory, offset, step, run);
            if !layer.options.reset_after {
                self.reset::<L>(memory, count, offset, step, run);
            }
            self.products::<L>(memory, count, offset, step, run);
        }
    }

    /// The gradients of the sums of a block.
    #[inline(always)]
    fn sums(&self, run: Run, index: usize, place: usize) -> *mut f32 {
        let layer = &self.task.layer;
        self.task.gates.at(((run.slot + index) * layer.panels() + place) * layer.shape.units * LANES)
    }

    #[inline(always)]
    unsafe fn gates<L: Lanes>(&self, memory: &Memory, offset: usize, step: usize, run: Run) {
        let Task { layer, plan, hidden, .. } = self.task;
        let units = layer.shape.units;
        for index in 0..run.blocks {
            let panel = (offset + index) * units * LANES;
            let before = memory.before.add(panel);
            rows::from_tiles::<L>(before, units, |unit| {
                hidden[plan.tile(unit, run.slot + index)..][..LANES * LANES].as_ptr()
            });
            let gates = BackwardGates {
                activations: layer.activations(),
                reset_after: layer.options.reset_after,
                gates: self.sums(run, index, 0),
                hidden_before: before,
                dhidden: memory.dhidden.add(panel),
                units,
                valid: plan.valid(step, run.first + index),
            };
            gates.run::<L>();
        }
    }

    /// Through the recurrent product of the candidate to the reset gate in front of it.
    #[inline(always)]
    unsafe fn reset<L: Lanes>(&self, memory: &Memory, count: usize, offset: usize, step: usize, run: Run) {
        let Task { layer, plan, .. } = self.task;
        let units = layer.shape.units;
        let product = Product {
            left: Left::columns(layer.weights.recurrent[2 * units * units..].as_ptr(), units),
            right: Right::panels(self.sums(run, 0, 2), layer.panels() * units * LANES),
            out: Out::panels(memory.scratch, units * LANES),
            rows: units,
            columns: run.blocks * LANES,
            inner: units,
            start: Start::Zero,
            ahead: Ahead::NOTHING,
        };
        product.run_on::<L>();
        let variant = 2 % layer.hidden_variants();
        for index in 0..run.blocks {
            let panel = (offset + index) * units * LANES;
            let factors = memory.hidden_factors.map(|factors| factors.add(variant * count * units * LANES + panel));
            let reset = BackwardReset {
                activations: layer.activations(),
                reset: self.sums(run, index, 1),
                hidden_before: memory.before.add(panel),
                factors: factors.map(<*mut f32>::cast_const),
                dproduct: memory.scratch.add(index * units * LANES),
                dhidden: memory.dhidden.add(panel),
                units,
                valid: plan.valid(step, run.first + index),
            };
            reset.run::<L>();
        }
    }

    /// Gradients of the output before the step and of its inputs.
    #[inline(always)]
    unsafe fn products<L: Lanes>(&self, memory: &Memory, count: usize, offset: usize, step: usize, run: Run) {
        let Task { layer, plan, dx, dh0, .. } = self.task;
        let GruShape { input, units, .. } = layer.shape;
        let is_first = (0..run.blocks).all(|index| plan.first_slot(run.first + index) == Some(run.slot + index));
        if dh0.is_some() || !is_first {
            let parts: &[_] =
                if layer.hidden_variants() == 1 { &[(0, 2, 0), (2, 1, 3)] } else { &[(0, 1, 0), (1, 1, 1), (2, 1, 3)] };
            // With the reset gate in front of it, the product of the candidate is done.
            let parts = if layer.options.reset_after { parts } else { &parts[..parts.len() - 1] };
            let part = Transposed {
                weights: layer.weights.recurrent,
                features: units,
                parts,
                variants: layer.hidden_variants(),
                factors: memory.hidden_factors,
                to: memory.dhidden,
                start: Start::Keep,
            };
            self.transposed::<L>(memory, count, offset, run, part);
        }
        if let Some(dx) = *dx {
            let part = Transposed {
                weights: layer.weights.kernel,
                features: input,
                parts: if layer.input_variants() == 1 { &[(0, 3, 0)] } else { &[(0, 1, 0), (1, 1, 1), (2, 1, 2)] },
                variants: layer.input_variants(),
                factors: memory.x_factors,
                to: memory.dx,
                start: Start::Zero,
            };
            self.transposed::<L>(memory, count, offset, run, part);
            for index in 0..run.blocks {
                let targets = plan.input_gradients(dx, step, run.first + index);
                let panel = memory.dx.add((offset + index) * input * LANES);
                rows::unpack::<L>(panel, &targets, input, dx.accumulate, |_| None);
            }
        }
    }

    #[inline(always)]
    unsafe fn transposed<L: Lanes>(
        &self,
        memory: &Memory,
        count: usize,
        offset: usize,
        run: Run,
        operands: Transposed<'_>,
    ) {
        let layer = &self.task.layer;
        let units = layer.shape.units;
        let Transposed { weights, features, parts, variants, factors, to, mut start } = operands;
        let panel = features * LANES;
        let to = to.add(offset * panel);
        if factors.is_some() && matches!(start, Start::Zero) {
            std::slice::from_raw_parts_mut(to, run.blocks * panel).fill(0.0);
        }
        for &(gate, gates, place) in parts {
            let (out, begin) = if factors.is_some() { (memory.scratch, Start::Zero) } else { (to, start) };
            let product = Product {
                left: Left::columns(weights[gate * units * features..].as_ptr(), features),
                right: Right::panels(self.sums(run, 0, place), layer.panels() * units * LANES),
                out: Out::panels(out, panel),
                rows: features,
                columns: run.blocks * LANES,
                inner: gates * units,
                start: begin,
                ahead: Ahead::NOTHING,
            };
            product.run_on::<L>();
            start = Start::Keep;
            let Some(factors) = factors else { continue };
            let factors = factors.add((gate % variants * count + offset) * panel);
            for at in (0..run.blocks * panel).step_by(LANES) {
                let sum = L::load(out.add(at)).fma(L::load(factors.add(at)), L::load(to.add(at)));
                sum.store(to.add(at));
            }
        }
    }
}
