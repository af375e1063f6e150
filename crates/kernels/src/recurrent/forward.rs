//! The frame of a forward pass: all time steps of a piece of the batch. What a step computes is up to a cell.
#![allow(unsafe_op_in_unsafe_fn, reason = "panels are raw memory of sizes that `ForwardPiece::run` allocates")]
use std::ops::Range;

use super::{
    ForwardAround, Plan, Run, Sequence, Shape,
    rows::{self, Targets},
};
use crate::{
    Context,
    buffer::Buffer,
    shared::Shared,
    simd::{Kernel, LANES, Lanes},
};

/// A forward pass.
pub(crate) struct Forward<'a> {
    pub sequence: Sequence<'a>,
    pub plan: &'a Plan,
    pub y: Option<Shared<'a>>,
    pub h: Option<Shared<'a>>,
    /// `[units / 16][slot][16 rows][16 units]`: set to the output before each slot, if the backward pass wants it.
    pub before: Option<Shared<'a>>,
}

impl Forward<'_> {
    /// Runs all pieces.
    pub(crate) fn run<C: ForwardCell + Sync, A: ForwardAround + Sync>(&self, context: &Context, cell: &C, around: &A) {
        let layer = ForwardLayer { forward: self, cell, around };
        context.pool.run(self.plan.pieces(), &|piece| context.simd.run(ForwardPiece { layer, piece }));
    }
}

/// A forward pass with its cell and what is around that.
pub(crate) struct ForwardLayer<'a, C, A> {
    pub forward: &'a Forward<'a>,
    pub cell: &'a C,
    pub around: &'a A,
}

impl<C, A> Clone for ForwardLayer<'_, C, A> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<C, A> Copy for ForwardLayer<'_, C, A> {}

/// Neighbouring blocks in a step. Panels of a block are `[features][16]`; those of neighbours lie side by side.
#[derive(Clone, Copy)]
pub(crate) struct Step<'a> {
    pub plan: &'a Plan,
    pub step: usize,
    pub run: Run,
    /// First block of the run, counted within the piece.
    pub offset: usize,
    /// Panels of the output before the step.
    pub hidden: *const f32,
    /// Panels that get the output after it.
    pub after: *mut f32,
    x: *const f32,
    x_variants: usize,
    /// From one variant to the next.
    x_stride: usize,
    /// Dropout factors of the inputs, in the same places.
    x_factors: Option<*const f32>,
    input: usize,
    recurrent: *const f32,
    hidden_variants: usize,
    hidden_stride: usize,
    /// Units of the outputs before the step that products have to sum: none of them while all are 0.
    pub summed: usize,
}

impl Step<'_> {
    /// Completes the inputs of a block of the run, from feature `first` on, with the panels of so many features, times their
    /// dropout factors.
    ///
    /// # Safety
    /// `from` holds the panels; the path `L` is available.
    #[inline(always)]
    pub(crate) unsafe fn complete<L: Lanes>(&self, block: usize, first: usize, from: *const f32, features: usize) {
        for variant in 0..self.x_variants {
            let place = variant * self.x_stride + (block * self.input + first) * LANES;
            let to = self.x.cast_mut().add(place);
            match self.x_factors {
                Some(factors) => {
                    for at in (0..features * LANES).step_by(LANES) {
                        L::load(from.add(at)).mul(L::load(factors.add(place + at))).store(to.add(at));
                    }
                }
                None => std::ptr::copy_nonoverlapping(from, to, features * LANES),
            }
        }
    }

    /// Panels of the inputs of a gate, times their dropout factors.
    #[inline(always)]
    pub(crate) fn x(&self, gate: usize) -> *const f32 {
        self.x.wrapping_add(gate % self.x_variants * self.x_stride)
    }

    /// Panels of the outputs that go into a gate, times their dropout factors.
    #[inline(always)]
    pub(crate) fn recurrent(&self, gate: usize) -> *const f32 {
        self.recurrent.wrapping_add(gate % self.hidden_variants * self.hidden_stride)
    }
}

/// What a kind of layer does in a step.
pub(crate) trait ForwardCell {
    /// Its own memory in a piece.
    type Memory;

    /// Floats of memory that a piece of so many blocks needs.
    fn floats(&self, blocks: usize) -> usize;

    /// Takes that memory before the first step.
    ///
    /// # Safety
    /// It has [`ForwardCell::floats`]; no other piece has the blocks; the path `L` is available.
    unsafe fn begin<L: Lanes>(&self, plan: &Plan, memory: *mut f32, blocks: Range<usize>) -> Self::Memory;

    /// Sums, gates and states of neighbouring blocks.
    ///
    /// # Safety
    /// As for [`ForwardCell::begin`].
    unsafe fn step<L: Lanes>(&self, memory: &mut Self::Memory, at: Step<'_>);

    /// After the last step.
    ///
    /// # Safety
    /// As for [`ForwardCell::begin`].
    unsafe fn end<L: Lanes>(&self, _plan: &Plan, _memory: &Self::Memory, _blocks: Range<usize>) {}
}

/// One piece.
struct ForwardPiece<'a, C, A> {
    layer: ForwardLayer<'a, C, A>,
    piece: usize,
}

/// Memory of a piece.
struct Memory {
    /// `[2][block][units][16]`: output before and after the step, in turn.
    hidden: [*mut f32; 2],
    /// `[variant][block][input][16]`.
    x: *mut f32,
    x_factors: Option<*mut f32>,
    /// `[variant][block][units][16]`: output before the step times the dropout factors.
    dropped: *mut f32,
    hidden_factors: Option<*mut f32>,
}

impl<C: ForwardCell, A: ForwardAround> Kernel for ForwardPiece<'_, C, A> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let blocks = self.layer.forward.plan.piece(self.piece);
        let mut buffer = Buffer::new(self.layer.floats(blocks.len()));
        // SAFETY: the memory has the size that is asked for, and no other piece has these blocks.
        unsafe {
            let mut running = self.layer.begin::<L>(buffer.as_mut_ptr(), blocks);
            for step in 0..self.layer.forward.sequence.shape.steps {
                running.step::<L>(step);
            }
            running.end::<L>();
        }
    }
}

/// A layer under way in a piece.
pub(crate) struct ForwardRunning<'a, C: ForwardCell, A: ForwardAround> {
    layer: ForwardLayer<'a, C, A>,
    blocks: Range<usize>,
    memory: Memory,
    own: C::Memory,
    /// Of what is around the cell.
    pub outer: A::Memory,
}

impl<'a, C: ForwardCell, A: ForwardAround> ForwardLayer<'a, C, A> {
    /// Floats of the parts of the memory of a piece of so many blocks, then of cell and surroundings.
    fn sizes(&self, blocks: usize) -> [usize; 8] {
        let Forward { sequence, .. } = self.forward;
        let Shape { input, units, .. } = sequence.shape;
        let hs = blocks * units * LANES;
        let xs = sequence.x_operand().variants * blocks * input * LANES;
        let x_factors = if sequence.dropout.is_some() { xs } else { 0 };
        let dropped = if sequence.recurrent_dropout.is_some() { sequence.hidden_operand().variants * hs } else { 0 };
        [hs, hs, xs, x_factors, dropped, dropped, self.cell.floats(blocks), self.around.floats(blocks)]
    }

    /// Floats of memory that a piece of so many blocks needs.
    pub(crate) fn floats(&self, blocks: usize) -> usize {
        self.sizes(blocks).iter().sum()
    }

    /// Before the first step.
    ///
    /// # Safety
    /// The memory has [`ForwardLayer::floats`]; no other piece has the blocks; the path `L` is available.
    #[inline(always)]
    pub(crate) unsafe fn begin<L: Lanes>(self, memory: *mut f32, blocks: Range<usize>) -> ForwardRunning<'a, C, A> {
        let Forward { sequence, plan, .. } = self.forward;
        let Shape { input, units, .. } = sequence.shape;
        let mut rest = memory;
        let [h0, h1, x, x_factors, dropped, hidden_factors, own, outer] = self.sizes(blocks.len()).map(|size| {
            let part = rest;
            rest = rest.wrapping_add(size);
            part
        });
        let memory = Memory {
            hidden: [h0, h1],
            x,
            x_factors: sequence.dropout.map(|factors| {
                plan.pack_factors::<L>(x_factors, factors, blocks.clone(), input);
                x_factors
            }),
            dropped,
            hidden_factors: sequence.recurrent_dropout.map(|factors| {
                plan.pack_factors::<L>(hidden_factors, factors, blocks.clone(), units);
                hidden_factors
            }),
        };
        let own = self.cell.begin::<L>(plan, own, blocks.clone());
        let outer = self.around.begin::<L>(plan, outer, blocks.clone());
        let running = ForwardRunning { layer: self, blocks, memory, own, outer };
        for (index, block) in running.blocks.clone().enumerate() {
            let hidden = h0.add(index * units * LANES);
            let rows = sequence.h0.map_or([None; LANES], |h0| plan.sources(h0, block, units));
            rows::pack::<L>(hidden, &rows, units, None);
            running.keep::<L>(hidden, &[None; LANES], plan.first_slot(block));
        }
        running
    }
}

impl<'a, C: ForwardCell, A: ForwardAround> ForwardRunning<'a, C, A> {
    /// Panels of the outputs after the steps so far, `[block of the piece][units][16]`.
    pub(crate) fn hidden(&self) -> *const f32 {
        self.memory.hidden[0]
    }

    /// After the last step.
    ///
    /// # Safety
    /// As for [`ForwardLayer::begin`].
    #[inline(always)]
    pub(crate) unsafe fn end<L: Lanes>(&self) {
        let Forward { sequence, plan, h, .. } = self.layer.forward;
        let units = sequence.shape.units;
        self.layer.cell.end::<L>(plan, &self.own, self.blocks.clone());
        self.layer.around.end::<L>(plan, &self.outer, self.blocks.clone());
        for (index, block) in self.blocks.clone().enumerate() {
            let Some(h) = *h else { continue };
            let to = plan.targets(h, block, units);
            rows::unpack::<L>(self.hidden().add(index * units * LANES), &to, units, false, |_| None);
        }
    }

    /// Writes an output panel to rows of `y`, and to where the backward pass wants it as the output before `next`.
    #[inline(always)]
    unsafe fn keep<L: Lanes>(&self, hidden: *const f32, targets: &Targets, next: Option<usize>) {
        let Forward { sequence, plan, y, before, .. } = self.layer.forward;
        let before = before.zip(next);
        if before.is_none() && y.is_none() {
            return;
        }
        rows::unpack::<L>(hidden, targets, sequence.shape.units, false, |unit| {
            before.map(|(before, slot)| before.at(plan.tile(unit, slot)))
        });
    }

    /// All runs of a step.
    ///
    /// # Safety
    /// As for [`ForwardLayer::begin`].
    #[inline(always)]
    pub(crate) unsafe fn step<L: Lanes>(&mut self, step: usize) {
        let Forward { sequence, plan, y, .. } = self.layer.forward;
        let blocks = self.blocks.clone();
        let panel = sequence.shape.units * LANES;
        self.layer.around.arrive::<L>(&mut self.outer, step);
        let mut done = 0;
        for run in plan.runs(step, blocks.clone()) {
            let at = self.operands::<L>(step, run);
            self.layer.around.before::<L>(&mut self.outer, at);
            self.layer.cell.step::<L>(&mut self.own, at);
            self.layer.around.after::<L>(&mut self.outer, at);
            done += run.blocks;
        }
        let [before, after] = self.memory.hidden;
        for (index, block) in blocks.enumerate() {
            let hidden = after.add(index * panel);
            match plan.slot(step, block) {
                Some(slot) => self.keep::<L>(hidden, &plan.outputs(*y, step, block), plan.next_slot(slot)),
                None if done > 0 => std::ptr::copy_nonoverlapping(before.add(index * panel), hidden, panel),
                None => {}
            }
            plan.repeat_outputs(*y, sequence.zero_output_for_mask, step, block);
        }
        if done > 0 {
            self.memory.hidden.swap(0, 1);
        }
    }

    /// Packs the rows of `x`, and multiplies them and the output before the step with their dropout factors.
    #[inline(always)]
    unsafe fn operands<L: Lanes>(&self, step: usize, run: Run) -> Step<'a> {
        let memory = &self.memory;
        let Forward { sequence, plan, .. } = self.layer.forward;
        let Shape { input, units, .. } = sequence.shape;
        let (count, offset) = (self.blocks.len(), run.first - self.blocks.start);
        let [x_variants, hidden_variants] = [sequence.x_operand(), sequence.hidden_operand()].map(|x| x.variants);
        for block in 0..if sequence.inner { 0 } else { run.blocks } {
            let rows = plan.inputs(sequence.x, step, run.first + block);
            for variant in 0..x_variants {
                let panel = (variant * count + offset + block) * input * LANES;
                let factors = memory.x_factors.map(|factors| factors.add(panel).cast_const());
                rows::pack::<L>(memory.x.add(panel), &rows, input, factors);
            }
        }
        let first = offset * units * LANES;
        let hidden = memory.hidden[0].add(first);
        let mut recurrent = hidden;
        if let Some(factors) = memory.hidden_factors {
            recurrent = memory.dropped.add(first);
            for variant in 0..hidden_variants {
                for at in (0..run.blocks * units * LANES).step_by(LANES) {
                    let to = variant * count * units * LANES + at;
                    L::load(hidden.add(at)).mul(L::load(factors.add(first + to))).store(recurrent.add(to));
                }
            }
        }
        Step {
            plan,
            step,
            run,
            offset,
            hidden,
            after: memory.hidden[1].add(first),
            x: memory.x.add(offset * input * LANES),
            x_variants,
            x_stride: count * input * LANES,
            x_factors: memory.x_factors.map(|factors| factors.add(offset * input * LANES).cast_const()),
            input,
            recurrent,
            hidden_variants,
            hidden_stride: count * units * LANES,
            summed: if sequence.h0.is_none() && plan.begins(run) { 0 } else { units },
        }
    }
}
