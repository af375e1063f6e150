//! The attention of a step of neighbouring blocks, backward.
#![allow(unsafe_op_in_unsafe_fn, reason = "panels are raw memory under the contract of `BackwardAround`")]
use std::ops::{Deref, Range};

use super::{AttentiveShape, CellGradients, KeptParts, Layer, Order, Score, memory::Positions, panel};
use crate::{
    Context,
    recurrent::{
        Backward, BackwardAround, BackwardCell, BackwardLayer, BackwardRunning, BackwardStep, LayerGradients,
        LayerOutputGradients, Plan, PreparedBackward, To, rows,
    },
    shared::Shared,
    simd::{LANES, Lanes},
    tile::{Ahead, Left, Out, Product, Right, Start},
};

/// The layer with its own gradients: what all cells have in common.
pub(super) struct Around<'a> {
    pub layer: Layer<'a>,
    pub positions: &'a Positions,
    /// Of the outputs, of `Order::After`.
    pub dy: Option<&'a [f32]>,
    pub da: Option<&'a [f32]>,
    pub dkeys: Option<To<'a>>,
    pub dmemory: Option<To<'a>>,
    pub da0: Option<To<'a>>,
    pub kept: KeptParts<'a>,
    /// `[block][keys][16]`: gradients of the scale of additive scores, added to.
    pub dscale: Shared<'a>,
}

/// What is around the cell that attends.
struct Attend<'a, C> {
    around: Around<'a>,
    /// The cells under it, upwards.
    below: Vec<BackwardLayer<'a, C, Passed>>,
}

impl<'a, C> Deref for Attend<'a, C> {
    type Target = Around<'a>;

    fn deref(&self) -> &Around<'a> {
        &self.around
    }
}

/// Around a cell that hands gradients of its inputs on: features from `first` on.
struct Passed {
    first: usize,
    features: usize,
    /// All features of its inputs.
    input: usize,
}

impl Passed {
    /// Adds the panels of the gradients to others, `[block of the piece][features][16]`.
    ///
    /// # Safety
    /// Both hold the panels of the run; the path `L` is available.
    #[inline(always)]
    unsafe fn add<L: Lanes>(&self, to: *mut f32, at: BackwardStep<'_>, dx: *const f32) {
        for block in 0..at.run.blocks {
            let to = to.add((at.offset + block) * self.features * LANES);
            let dx = dx.add((block * self.input + self.first) * LANES);
            for place in (0..self.features * LANES).step_by(LANES) {
                L::load(to.add(place)).add(L::load(dx.add(place))).store(to.add(place));
            }
        }
    }
}

impl BackwardAround for Passed {
    /// What the gradients are added to, set before the first step.
    type Memory = *mut f32;

    fn floats(&self, _: usize) -> usize {
        0
    }

    #[inline(always)]
    unsafe fn begin<L: Lanes>(&self, _: &Plan, _: *mut f32, _: Range<usize>) -> *mut f32 {
        std::ptr::null_mut()
    }

    #[inline(always)]
    unsafe fn arrive<L: Lanes>(&self, _: &*mut f32, _: &Plan, _: usize, _: Range<usize>) {}

    #[inline(always)]
    unsafe fn before<L: Lanes>(&self, _: &*mut f32, _: BackwardStep<'_>) {}

    #[inline(always)]
    unsafe fn after<L: Lanes>(&self, memory: &*mut f32, at: BackwardStep<'_>, dx: *const f32) {
        self.add::<L>(*memory, at, dx);
    }

    #[inline(always)]
    unsafe fn end<L: Lanes>(&self, _: &Plan, _: &*mut f32, _: Range<usize>) {}
}

/// The gradients of a cell of this number.
pub(super) fn of_cell((number, to): (usize, CellGradients<'_>)) -> LayerGradients<'_> {
    let CellGradients { dh0, dc0, dkernel, drecurrent, dbias, drecurrent_bias } = to;
    LayerGradients { dx: None, dh0, dc0, dkernel, drecurrent, dbias, drecurrent_bias, passes_dx: number > 0 }
}

/// Runs the cells backward, the first one first in the lists, then the gradients of their weights.
pub(super) fn run<P: PreparedBackward>(
    context: &Context,
    mut cells: Vec<P>,
    d: Vec<LayerOutputGradients<'_>>,
    to: Vec<LayerGradients<'_>>,
    around: Around<'_>,
) {
    let AttentiveShape { input, units, .. } = around.layer.shape;
    let operands = cells.iter_mut().zip(d.into_iter().zip(to));
    let mut passes: Vec<(Backward<'_>, P::Cell<'_>)> = operands.map(|(cell, (d, to))| cell.parts(d, to)).collect();
    let last = passes.pop();
    let passed: Vec<Passed> = (0..passes.len())
        .map(|number| match number {
            0 => Passed { first: input, features: units, input: input + units },
            _ => Passed { first: 0, features: units, input: units },
        })
        .collect();
    let below = passes.iter().zip(&passed);
    let below = below.map(|((backward, cell), around)| BackwardLayer::new(backward, cell, around)).collect();
    if let Some((backward, cell)) = &last {
        backward.run(context, cell, &Attend { around, below });
    }
    passes.iter().for_each(|(backward, _)| backward.weights(context));
}

/// Memory of a piece.
struct Memory<'a, C: BackwardCell> {
    /// The cells under the one that attends.
    below: Vec<BackwardRunning<'a, C, Passed>>,
    /// `[block][sources][keys][16]`; the panels of the memory if both are the same.
    keys: *mut f32,
    /// `[block][sources][memory][16]`.
    memory: *mut f32,
    dkeys: Option<*mut f32>,
    dmemory: Option<*mut f32>,
    /// `[sources][16]`.
    dscores: *mut f32,
    /// `[units][16]`: a query that was not kept apart.
    hidden: *mut f32,
    /// `[block][memory][16]`.
    dcontext: *mut f32,
    /// `[block][units][16]`: gradient of the output after a step.
    doutput: *mut f32,
    /// First block of the piece.
    first: usize,
}

impl Around<'_> {
    /// Floats of the parts of [`Memory`], in its order.
    fn sizes(&self, blocks: usize) -> [usize; 8] {
        let AttentiveShape { sources, units, memory, keys, .. } = self.layer.shape;
        let (key_panels, memory_panels) = (blocks * sources * keys, blocks * sources * memory);
        let own_keys = if self.layer.keys_are_memory() { 0 } else { key_panels };
        let dkeys = if self.dkeys.is_some() { key_panels } else { 0 };
        let dmemory = if self.dmemory.is_some() { memory_panels } else { 0 };
        let doutput = if matches!(self.layer.weights.order, Order::After { .. }) { blocks * units } else { 0 };
        [own_keys, memory_panels, dkeys, dmemory, sources, units, blocks * memory, doutput].map(|size| size * LANES)
    }
}

impl<'a, C: BackwardCell> BackwardAround for Attend<'a, C> {
    type Memory = Memory<'a, C>;

    fn floats(&self, blocks: usize) -> usize {
        let below: usize = self.below.iter().map(|layer| layer.floats(blocks)).sum();
        self.sizes(blocks).iter().sum::<usize>() + below
    }

    #[inline(always)]
    unsafe fn begin<L: Lanes>(&self, plan: &Plan, memory: *mut f32, blocks: Range<usize>) -> Memory<'a, C> {
        let AttentiveShape { sources, units, memory: width, keys: key_width, .. } = self.layer.shape;
        let mut rest = memory;
        let sizes = self.sizes(blocks.len());
        let [keys, memory, dkeys, dmemory, dscores, hidden, dcontext, doutput] = sizes.map(|size| {
            let part = rest;
            rest = rest.wrapping_add(size);
            part
        });
        std::slice::from_raw_parts_mut(dkeys, sizes[2]).fill(0.0);
        std::slice::from_raw_parts_mut(dmemory, sizes[3]).fill(0.0);
        let same = self.layer.keys_are_memory();
        for (index, block) in blocks.clone().enumerate() {
            let to = memory.add(index * sources * width * LANES);
            self.positions.pack::<L>(plan, block, self.layer.inputs.memory, width, to);
            if !same {
                let to = keys.add(index * sources * key_width * LANES);
                self.positions.pack::<L>(plan, block, self.layer.inputs.keys, key_width, to);
            }
            if sizes[7] > 0 {
                let rows = self.da.map_or([None; LANES], |da| plan.sources(da, block, units));
                rows::pack::<L>(doutput.add(index * units * LANES), &rows, units, None);
            }
        }
        let mut below: Vec<BackwardRunning<'a, C, Passed>> = Vec::with_capacity(self.below.len());
        for layer in &self.below {
            let mut running = layer.begin::<L>(rest, blocks.clone());
            // What goes into the first cell besides its inputs is the output of the step before.
            running.outer = below.last().map_or(doutput, BackwardRunning::dhidden);
            below.push(running);
            rest = rest.wrapping_add(layer.floats(blocks.len()));
        }
        Memory {
            below,
            keys: if same { memory } else { keys },
            memory,
            dkeys: self.dkeys.map(|_| dkeys),
            dmemory: self.dmemory.map(|_| dmemory),
            dscores,
            hidden,
            dcontext,
            doutput,
            first: blocks.start,
        }
    }

    #[inline(always)]
    unsafe fn arrive<L: Lanes>(&self, memory: &Memory<'a, C>, plan: &Plan, step: usize, blocks: Range<usize>) {
        let units = self.layer.shape.units;
        for (index, block) in blocks.enumerate() {
            if let Some(rows) = plan.output_gradients(self.dy, false, step, block) {
                rows::add::<L>(memory.doutput.add(index * units * LANES), &rows, units);
            }
        }
    }

    #[inline(always)]
    unsafe fn before<L: Lanes>(&self, memory: &Memory<'a, C>, at: BackwardStep<'_>) {
        let Order::After { combine, .. } = self.layer.weights.order else {
            return;
        };
        let AttentiveShape { units, memory: width, .. } = self.layer.shape;
        let plan = at.backward.plan;
        let dsums = self.kept.outputs.at(at.run.slot * units * LANES);
        for block in 0..at.run.blocks {
            let doutput = memory.doutput.add((at.offset + block) * units * LANES);
            let valid = L::mask_from_bits(plan.valid(at.step, at.run.first + block));
            let zero = L::splat(0.0);
            for place in (0..units * LANES).step_by(LANES) {
                let kept = dsums.add(block * units * LANES + place);
                let (a, d) = (L::load(kept), L::load(doutput.add(place)));
                // The slope of tanh is 1 - a^2.
                d.sub(d.mul(a).mul(a)).select(valid, zero).store(kept);
                zero.select(valid, d).store(doutput.add(place));
            }
        }
        let dcontext = memory.dcontext.add(at.offset * width * LANES);
        for (first, rows, out, start) in [(0, width, dcontext, Start::Zero), (width, units, at.dhidden, Start::Keep)] {
            let product = Product {
                left: Left::columns(combine[first..].as_ptr(), width + units),
                right: Right::panels(dsums, units * LANES),
                out: Out::panels(out, rows * LANES),
                rows,
                columns: at.run.blocks * LANES,
                inner: units,
                start,
                ahead: Ahead::NOTHING,
            };
            product.run_on::<L>();
        }
        self.attend::<L>(memory, at, dcontext, width * LANES);
    }

    #[inline(always)]
    unsafe fn after<L: Lanes>(&self, memory: &Memory<'a, C>, at: BackwardStep<'_>, dx: *const f32) {
        let AttentiveShape { input, units, .. } = self.layer.shape;
        if let Some(below) = memory.below.last() {
            Passed { first: 0, features: units, input: units }.add::<L>(below.dhidden(), at, dx);
            return;
        }
        let fed = self.layer.fed();
        let dfed = dx.wrapping_add(input * LANES);
        let stride = (input + fed) * LANES;
        match self.layer.weights.order {
            Order::Before => self.attend::<L>(memory, at, dfed, stride),
            Order::After { feed: true, .. } => {
                Passed { first: input, features: units, input: input + fed }.add::<L>(memory.doutput, at, dx);
            }
            Order::After { feed: false, .. } => {}
        }
    }

    #[inline(always)]
    unsafe fn leave<L: Lanes>(&self, memory: &Memory<'a, C>, step: usize) {
        for below in memory.below.iter().rev() {
            below.step::<L>(step);
        }
    }

    #[inline(always)]
    unsafe fn end<L: Lanes>(&self, plan: &Plan, memory: &Memory<'a, C>, blocks: Range<usize>) {
        for below in &memory.below {
            below.end::<L>();
        }
        let AttentiveShape { sources, units, memory: width, keys: key_width, .. } = self.layer.shape;
        for (index, block) in blocks.enumerate() {
            let parts = [(memory.dkeys, self.dkeys, key_width), (memory.dmemory, self.dmemory, width)];
            for (panels, to, features) in parts {
                if let Some((panels, to)) = panels.zip(to) {
                    let panels = panels.add(index * sources * features * LANES);
                    self.positions.unpack::<L>(plan, block, panels, features, to);
                }
            }
            if let Some(to) = self.da0 {
                let targets = plan.targets(to.data, block, units);
                let doutput = memory.doutput.add(index * units * LANES);
                rows::unpack::<L>(doutput, &targets, units, to.accumulate, |_| None);
            }
        }
    }
}

impl<'a, C: BackwardCell> Attend<'a, C> {
    /// From the gradients of the contexts of neighbouring blocks, `stride` floats apart, to those of memory, keys and query;
    /// the latter is added to `at.dhidden`.
    #[inline(always)]
    unsafe fn attend<L: Lanes>(
        &self,
        memory: &Memory<'a, C>,
        at: BackwardStep<'_>,
        dcontext: *const f32,
        stride: usize,
    ) {
        let Around { layer, positions, kept, .. } = &self.around;
        let AttentiveShape { sources, units, memory: width, keys: key_width, .. } = layer.shape;
        let plan = at.backward.plan;
        for block in 0..at.run.blocks {
            let (number, slot) = (at.run.first + block, at.run.slot + block);
            let place = number - memory.first;
            let count = positions.of(number).len();
            let weights = kept.weights.at(slot * sources * LANES);
            let dcontext = dcontext.add(block * stride);
            let values = memory.memory.add(place * sources * width * LANES);
            panel::dot::<L>(dcontext, values, width, count, memory.dscores);
            panel::softmax_backward::<L>(weights, memory.dscores, count, plan.valid(at.step, number));
            if let Some(dmemory) = memory.dmemory {
                let to = dmemory.add(place * sources * width * LANES);
                panel::spread::<L>(weights, dcontext, width, count, to);
            }
            let key_place = place * sources * key_width * LANES;
            let keys = memory.keys.add(key_place);
            let dkeys = memory.dkeys.map(|dkeys| dkeys.add(key_place));
            match layer.weights.score {
                Score::Dot => {
                    if let Some(dkeys) = dkeys {
                        rows::from_tiles::<L>(memory.hidden, units, |unit| {
                            kept.hidden.at(plan.tile(unit, slot)).cast_const()
                        });
                        panel::spread::<L>(memory.dscores, memory.hidden, units, count, dkeys);
                    }
                    let dhidden = at.dhidden.add(block * units * LANES);
                    panel::mix::<L>(memory.dscores, keys, units, count, dhidden, true);
                }
                Score::Additive { scale, .. } => {
                    let operands = panel::AdditiveBackward {
                        query: kept.queries.at(slot * key_width * LANES),
                        keys,
                        scale,
                        dscores: memory.dscores,
                        positions: count,
                        dkeys,
                        dscale: self.dscale.at(number * key_width * LANES),
                    };
                    operands.run::<L>();
                }
            }
        }
        if let Score::Additive { query, .. } = layer.weights.score {
            let product = Product {
                left: Left::columns(query.as_ptr(), units),
                right: Right::panels(kept.queries.at(at.run.slot * key_width * LANES), key_width * LANES),
                out: Out::panels(at.dhidden, units * LANES),
                rows: units,
                columns: at.run.blocks * LANES,
                inner: key_width,
                start: Start::Keep,
                ahead: Ahead::NOTHING,
            };
            product.run_on::<L>();
        }
    }
}
