//! The frame of back-propagation through the time steps of a piece of the batch. What a step computes is up to a cell.
#![allow(unsafe_op_in_unsafe_fn, reason = "panels are raw memory of sizes that `BackwardPiece::run` allocates")]
use std::ops::Range;

use super::{BackwardAround, GradientsTo, Operand, Plan, Run, Sequence, Shape, WeightGradients, rows};
use crate::{
    Context,
    buffer::Buffer,
    shared::Shared,
    simd::{Kernel, LANES, Lanes},
    tile::{Ahead, Left, Out, Product, Right, Start},
};

/// Gates whose sums lie side by side and have their operand in common.
#[derive(Clone, Copy, Debug)]
struct Part {
    /// The first one.
    gate: usize,
    gates: usize,
    /// Place of its sums in a slot.
    place: usize,
}

/// A backward pass.
pub(crate) struct Backward<'a> {
    pub sequence: Sequence<'a>,
    pub plan: &'a Plan,
    /// `[slot][panels][units][16]`: what the forward pass kept; the cell replaces it with the gradients of the sums.
    pub sums: Shared<'a>,
    pub panels: usize,
    /// Place of each gate in a slot: of the sums of the inputs, and of those of the outputs that go into the step.
    pub places: &'a [[usize; 2]],
    /// `[units / 16][slot][16 rows][16 units]`: the output before each slot.
    pub before: &'a [f32],
    /// What the last gate is multiplied with instead; the cell itself then does its part for the outputs before the step.
    pub last_before: Option<&'a [f32]>,
    pub dy: Option<&'a [f32]>,
    pub dh: Option<&'a [f32]>,
    pub to: GradientsTo<'a>,
    /// Whether what is around the cell needs the panels of the gradients of the inputs.
    pub passes_dx: bool,
}

/// Most gates of a cell.
const GATES: usize = 4;

/// Some parts.
#[derive(Clone, Copy, Debug)]
struct Parts {
    all: [Part; GATES],
    count: usize,
}

impl Parts {
    /// The gates as few parts: one for all whose sums are neighbours, or one each if they have `variants` of their operand.
    fn new(places: impl Iterator<Item = usize>, variants: usize) -> Self {
        let mut parts = Self { all: [Part { gate: 0, gates: 0, place: 0 }; GATES], count: 0 };
        for (gate, place) in places.enumerate() {
            match parts.all[..parts.count].last_mut() {
                Some(last) if variants == 1 && last.place + last.gates == place => last.gates += 1,
                _ => {
                    parts.all[parts.count] = Part { gate, gates: 1, place };
                    parts.count += 1;
                }
            }
        }
        parts
    }
}

impl Backward<'_> {
    /// Runs all pieces, then the gradients of the weights.
    pub(crate) fn run<C: BackwardCell + Sync, A: BackwardAround + Sync>(
        &self,
        context: &Context,
        cell: &C,
        around: &A,
    ) {
        let layer = BackwardLayer::new(self, cell, around);
        context.pool.run(self.plan.pieces(), &|piece| context.simd.run(BackwardPiece { layer, piece }));
        self.weights(context);
    }

    /// The gradients of the weights, once all pieces are done.
    pub(crate) fn weights(&self, context: &Context) {
        let Self { sequence, plan, places, to, .. } = self;
        // SAFETY: all pieces are done.
        let sums = unsafe { self.sums.whole() };
        let gradients = WeightGradients {
            plan,
            places,
            sums,
            panels: self.panels,
            x: sequence.x,
            x_operand: sequence.x_operand(),
            hidden: self.before,
            hidden_operand: sequence.hidden_operand(),
            last_hidden: self.last_before,
            rests: if sequence.h0.is_none() { plan.leading_slots() } else { 0 },
            dkernel: to.dkernel,
            drecurrent: to.drecurrent,
            dbias: to.dbias,
            drecurrent_bias: to.drecurrent_bias,
        };
        gradients.run(context);
    }
}

/// A backward pass with its cell and what is around that.
pub(crate) struct BackwardLayer<'a, C, A> {
    backward: &'a Backward<'a>,
    /// What the inputs are multiplied with.
    x_parts: Parts,
    /// What the outputs before the step are multiplied with.
    hidden_parts: Parts,
    cell: &'a C,
    around: &'a A,
}

impl<C, A> Clone for BackwardLayer<'_, C, A> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<C, A> Copy for BackwardLayer<'_, C, A> {}

impl<'a, C, A> BackwardLayer<'a, C, A> {
    pub(crate) fn new(backward: &'a Backward<'a>, cell: &'a C, around: &'a A) -> Self {
        let Backward { sequence, places, .. } = backward;
        let hidden_gates = places.len() - usize::from(backward.last_before.is_some());
        let x_parts = Parts::new(places.iter().map(|place| place[0]), sequence.x_operand().variants);
        let hidden_parts =
            Parts::new(places[..hidden_gates].iter().map(|place| place[1]), sequence.hidden_operand().variants);
        Self { backward, x_parts, hidden_parts, cell, around }
    }
}

/// Neighbouring blocks in a step. Panels of a block are `[features][16]`; those of neighbours lie side by side.
#[derive(Clone, Copy)]
pub(crate) struct BackwardStep<'a> {
    pub backward: &'a Backward<'a>,
    pub step: usize,
    pub run: Run,
    /// First block of the run, counted within the piece.
    pub offset: usize,
    /// Panels of the gradient of the output after the step; afterwards of the part of the gradient of the output before
    /// it that goes through no product.
    pub dhidden: *mut f32,
    hidden_factors: Option<*mut f32>,
    hidden_stride: usize,
}

impl BackwardStep<'_> {
    /// The sums of a block of the run at a place of its slot.
    #[inline(always)]
    pub(crate) fn sums(&self, index: usize, place: usize) -> *mut f32 {
        let Backward { sequence, sums, panels, .. } = self.backward;
        sums.at(((self.run.slot + index) * panels + place) * sequence.shape.units * LANES)
    }

    /// The dropout factors of the outputs that go into a gate, as panels of the run.
    #[inline(always)]
    pub(crate) fn hidden_factors(&self, gate: usize) -> Option<*const f32> {
        let variant = gate % self.backward.sequence.hidden_operand().variants;
        self.hidden_factors.map(|factors| factors.wrapping_add(variant * self.hidden_stride).cast_const())
    }
}

/// What a kind of layer does in a step.
pub(crate) trait BackwardCell {
    /// Its own memory in a piece.
    type Memory;

    /// Floats of memory that a piece of so many blocks needs.
    fn floats(&self, blocks: usize) -> usize;

    /// Takes that memory before the last step.
    ///
    /// # Safety
    /// It has [`BackwardCell::floats`]; no other piece has the blocks; the path `L` is available.
    unsafe fn begin<L: Lanes>(&self, plan: &Plan, memory: *mut f32, blocks: Range<usize>) -> Self::Memory;

    /// The gradients of the sums.
    ///
    /// # Safety
    /// As for [`BackwardCell::begin`].
    unsafe fn step<L: Lanes>(&self, memory: &Self::Memory, at: BackwardStep<'_>);

    /// After the first step.
    ///
    /// # Safety
    /// As for [`BackwardCell::begin`].
    unsafe fn end<L: Lanes>(&self, _plan: &Plan, _memory: &Self::Memory, _blocks: Range<usize>) {}
}

/// One piece.
struct BackwardPiece<'a, C, A> {
    layer: BackwardLayer<'a, C, A>,
    piece: usize,
}

/// Memory of a piece.
struct Memory {
    dhidden: *mut f32,
    dx: *mut f32,
    /// Part of a gradient before its dropout factors.
    scratch: *mut f32,
    x_factors: Option<*mut f32>,
    hidden_factors: Option<*mut f32>,
}

/// A product of transposed weights and the gradients of the sums.
struct Transposed<'a> {
    weights: &'a [f32],
    operand: Operand<'a>,
    parts: Parts,
    factors: Option<*mut f32>,
    to: *mut f32,
    start: Start,
}

impl<C: BackwardCell, A: BackwardAround> Kernel for BackwardPiece<'_, C, A> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let Backward { sequence, plan, .. } = self.layer.backward;
        let blocks = plan.piece(self.piece);
        let mut buffer = Buffer::new(self.layer.floats(blocks.len()));
        // SAFETY: the memory has the size that is asked for, and no other piece has these blocks.
        unsafe {
            let running = self.layer.begin::<L>(buffer.as_mut_ptr(), blocks);
            for step in (0..sequence.shape.steps).rev() {
                running.step::<L>(step);
            }
            running.end::<L>();
        }
    }
}

/// A layer under way in a piece.
pub(crate) struct BackwardRunning<'a, C: BackwardCell, A: BackwardAround> {
    layer: BackwardLayer<'a, C, A>,
    blocks: Range<usize>,
    memory: Memory,
    own: C::Memory,
    /// Of what is around the cell.
    pub outer: A::Memory,
}

impl<'a, C: BackwardCell, A: BackwardAround> BackwardLayer<'a, C, A> {
    /// Floats of the parts of the memory of a piece of so many blocks, then of cell and surroundings.
    fn sizes(&self, blocks: usize) -> [usize; 7] {
        let Backward { sequence, .. } = self.backward;
        let Shape { input, units, .. } = sequence.shape;
        let (xs, hs) = (blocks * input * LANES, blocks * units * LANES);
        let x_variants = sequence.dropout.map_or(0, |_| sequence.x_operand().variants);
        let h_variants = sequence.recurrent_dropout.map_or(0, |_| sequence.hidden_operand().variants);
        let scratch = if x_variants + h_variants > 0 { xs.max(hs) } else { 0 };
        let (own, outer) = (self.cell.floats(blocks), self.around.floats(blocks));
        [hs, xs, scratch, x_variants * xs, h_variants * hs, own, outer]
    }

    /// Floats of memory that a piece of so many blocks needs.
    pub(crate) fn floats(&self, blocks: usize) -> usize {
        self.sizes(blocks).iter().sum()
    }

    /// Before the last step.
    ///
    /// # Safety
    /// The memory has [`BackwardLayer::floats`]; no other piece has the blocks; the path `L` is available.
    #[inline(always)]
    pub(crate) unsafe fn begin<L: Lanes>(self, memory: *mut f32, blocks: Range<usize>) -> BackwardRunning<'a, C, A> {
        let Backward { sequence, plan, dh, .. } = self.backward;
        let Shape { input, units, .. } = sequence.shape;
        let mut rest = memory;
        let [dhidden, dx, scratch, x_factors, hidden_factors, own, outer] = self.sizes(blocks.len()).map(|size| {
            let part = rest;
            rest = rest.wrapping_add(size);
            part
        });
        let memory = Memory {
            dhidden,
            dx,
            scratch,
            x_factors: sequence.dropout.map(|factors| {
                plan.pack_factors::<L>(x_factors, factors, blocks.clone(), input);
                x_factors
            }),
            hidden_factors: sequence.recurrent_dropout.map(|factors| {
                plan.pack_factors::<L>(hidden_factors, factors, blocks.clone(), units);
                hidden_factors
            }),
        };
        let own = self.cell.begin::<L>(plan, own, blocks.clone());
        let outer = self.around.begin::<L>(plan, outer, blocks.clone());
        for (index, block) in blocks.clone().enumerate() {
            let rows = dh.map_or([None; LANES], |dh| plan.sources(dh, block, units));
            rows::pack::<L>(dhidden.add(index * units * LANES), &rows, units, None);
        }
        BackwardRunning { layer: self, blocks, memory, own, outer }
    }
}

impl<C: BackwardCell, A: BackwardAround> BackwardRunning<'_, C, A> {
    /// Panels of the gradients of the outputs after the steps to come, `[block of the piece][units][16]`.
    pub(crate) fn dhidden(&self) -> *mut f32 {
        self.memory.dhidden
    }

    /// After the first step.
    ///
    /// # Safety
    /// As for [`BackwardLayer::begin`].
    #[inline(always)]
    pub(crate) unsafe fn end<L: Lanes>(&self) {
        let Backward { sequence, plan, to: GradientsTo { dh0, .. }, .. } = self.layer.backward;
        let units = sequence.shape.units;
        self.layer.cell.end::<L>(plan, &self.own, self.blocks.clone());
        self.layer.around.end::<L>(plan, &self.outer, self.blocks.clone());
        for (index, block) in self.blocks.clone().enumerate() {
            let Some(to) = *dh0 else { continue };
            let targets = plan.targets(to.data, block, units);
            rows::unpack::<L>(self.dhidden().add(index * units * LANES), &targets, units, to.accumulate, |_| None);
        }
    }

    /// All runs of a step.
    ///
    /// # Safety
    /// As for [`BackwardLayer::begin`].
    #[inline(always)]
    pub(crate) unsafe fn step<L: Lanes>(&self, step: usize) {
        let Self { layer, memory, own, outer, .. } = self;
        let Backward { sequence, plan, dy, to: GradientsTo { dx, .. }, .. } = layer.backward;
        let units = sequence.shape.units;
        let blocks = self.blocks.clone();
        for (index, block) in blocks.clone().enumerate() {
            if let Some(rows) = plan.output_gradients(*dy, sequence.zero_output_for_mask, step, block) {
                rows::add::<L>(memory.dhidden.add(index * units * LANES), &rows, units);
            }
            plan.zero_input_gradients(*dx, step, block);
        }
        layer.around.arrive::<L>(outer, plan, step, blocks.clone());
        for run in plan.runs(step, blocks.clone()) {
            let (count, offset) = (blocks.len(), run.first - blocks.start);
            let first = offset * units * LANES;
            let at = BackwardStep {
                backward: layer.backward,
                step,
                run,
                offset,
                dhidden: memory.dhidden.add(first),
                hidden_factors: memory.hidden_factors.map(|factors| factors.add(first)),
                hidden_stride: count * units * LANES,
            };
            layer.around.before::<L>(outer, at);
            layer.cell.step::<L>(own, at);
            self.products::<L>(memory, count, offset, step, run);
            layer.around.after::<L>(outer, at, memory.dx.add(offset * sequence.shape.input * LANES));
        }
        layer.around.leave::<L>(outer, step);
    }

    /// Gradients of the output before the step and of its inputs.
    #[inline(always)]
    unsafe fn products<L: Lanes>(&self, memory: &Memory, count: usize, offset: usize, step: usize, run: Run) {
        let Backward { sequence, plan, to: GradientsTo { dx, dh0, .. }, passes_dx, .. } = self.layer.backward;
        let input = sequence.shape.input;
        if dh0.is_some() || !plan.begins(run) {
            let operands = Transposed {
                weights: sequence.recurrent,
                operand: sequence.hidden_operand(),
                parts: self.layer.hidden_parts,
                factors: memory.hidden_factors,
                to: memory.dhidden,
                start: Start::Keep,
            };
            self.transposed::<L>(memory, count, offset, run, operands);
        }
        if dx.is_some() || *passes_dx {
            let operands = Transposed {
                weights: sequence.kernel,
                operand: sequence.x_operand(),
                parts: self.layer.x_parts,
                factors: memory.x_factors,
                to: memory.dx,
                start: Start::Zero,
            };
            self.transposed::<L>(memory, count, offset, run, operands);
        }
        if let Some(dx) = *dx {
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
        let Backward { sequence, sums, panels, .. } = self.layer.backward;
        let units = sequence.shape.units;
        let Transposed { weights, operand: Operand { features, variants, .. }, parts, factors, to, mut start } =
            operands;
        let panel = features * LANES;
        let to = to.add(offset * panel);
        if factors.is_some() && matches!(start, Start::Zero) {
            std::slice::from_raw_parts_mut(to, run.blocks * panel).fill(0.0);
        }
        for Part { gate, gates, place } in parts.all.into_iter().take(parts.count) {
            let (out, begin) = if factors.is_some() { (memory.scratch, Start::Zero) } else { (to, start) };
            let product = Product {
                left: Left::columns(weights[gate * units * features..].as_ptr(), features),
                right: Right::panels(sums.at((run.slot * panels + place) * units * LANES), panels * units * LANES),
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
