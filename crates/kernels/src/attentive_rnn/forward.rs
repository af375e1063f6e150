//! The attention of a step of neighbouring blocks, forward.
#![allow(unsafe_op_in_unsafe_fn, reason = "panels are raw memory under the contract of `ForwardAround`")]
use std::ops::{Deref, Range};

use super::{AttentiveShape, KeptParts, Layer, Order, Score, memory::Positions, panel};
use crate::{
    Context, math,
    recurrent::{
        Forward, ForwardAround, ForwardCell, ForwardLayer, ForwardRunning, LayerOutputs, Plan, Prepared, Run, Step,
        rows::{self, Targets},
    },
    shared::Shared,
    simd::{LANES, Lanes},
    tile::{Ahead, Left, Out, Product, Right, Start},
};

/// The layer with its own outputs and what it keeps: what all cells have in common.
pub(super) struct Around<'a> {
    pub layer: Layer<'a>,
    pub positions: &'a Positions,
    /// Outputs, of `Order::After`.
    pub y: Option<Shared<'a>>,
    pub a: Option<Shared<'a>>,
    /// Weights of the positions, `[batch, steps, sources]`.
    pub shown: Option<Shared<'a>>,
    /// What is fed to the cell, `[batch, steps, fed]`.
    pub fed: Option<Shared<'a>>,
    pub kept: Option<KeptParts<'a>>,
}

/// A cell under the one that attends.
type Below<'a, C> = ForwardLayer<'a, C, Completed<'a>>;

/// What is around the cell that attends.
struct Attend<'a, C> {
    around: Around<'a>,
    /// The cells under it, upwards.
    below: Vec<Below<'a, C>>,
}

impl<'a, C> Deref for Attend<'a, C> {
    type Target = Around<'a>;

    fn deref(&self) -> &Around<'a> {
        &self.around
    }
}

/// Around a cell whose inputs are completed with panels, those of another cell or of the output before.
pub(super) struct Completed<'a> {
    layer: Layer<'a>,
    /// The first feature that is completed, and how many are.
    features: (usize, usize),
    /// As [`Around::fed`].
    fed: Option<Shared<'a>>,
}

impl ForwardAround for Completed<'_> {
    /// `[block of the piece][features][16]`, set before each step.
    type Memory = *const f32;

    fn floats(&self, _: usize) -> usize {
        0
    }

    #[inline(always)]
    unsafe fn begin<L: Lanes>(&self, _: &Plan, _: *mut f32, _: Range<usize>) -> *const f32 {
        std::ptr::null()
    }

    #[inline(always)]
    unsafe fn before<L: Lanes>(&self, memory: &mut *const f32, at: Step<'_>) {
        let (first, features) = self.features;
        for block in 0..at.run.blocks {
            let from = memory.add((at.offset + block) * features * LANES);
            at.complete::<L>(block, first, from, features);
            if let Some(fed) = self.fed {
                let targets = self.layer.targets(fed, features, at, block);
                rows::unpack::<L>(from, &targets, features, false, |_| None);
            }
        }
    }

    #[inline(always)]
    unsafe fn after<L: Lanes>(&self, _: &mut *const f32, _: Step<'_>) {}

    #[inline(always)]
    unsafe fn end<L: Lanes>(&self, _: &Plan, _: &*const f32, _: Range<usize>) {}
}

/// Runs the cells, the first one first, and gives what they keep.
pub(super) fn run<P: Prepared>(
    context: &Context,
    mut cells: Vec<P>,
    outputs: Vec<LayerOutputs<'_>>,
    around: Around<'_>,
) -> Vec<P::Saved> {
    let AttentiveShape { input, units, .. } = around.layer.shape;
    let mut passes: Vec<(Forward<'_>, P::Cell<'_>)> =
        cells.iter_mut().zip(outputs).map(|(cell, to)| cell.parts(to)).collect();
    let last = passes.pop();
    let completed: Vec<Completed<'_>> = (0..passes.len())
        .map(|number| Completed {
            layer: around.layer,
            features: if number == 0 { (input, units) } else { (0, units) },
            fed: around.fed.filter(|_| number == 0),
        })
        .collect();
    let below = passes.iter().zip(&completed);
    let below = below.map(|((forward, cell), around)| ForwardLayer { forward, cell, around }).collect();
    if let Some((forward, cell)) = &last {
        forward.run(context, cell, &Attend { around, below });
    }
    drop((passes, last));
    cells.into_iter().map(P::saved).collect()
}

/// Memory of a piece.
struct Memory<'a, C: ForwardCell> {
    /// The cells under the one that attends.
    below: Vec<ForwardRunning<'a, C, Completed<'a>>>,
    first: usize,
    /// `[block][sources][keys][16]`; the panels of the memory if both are the same.
    keys: *mut f32,
    /// `[block][sources][memory][16]`.
    memory: *mut f32,
    /// `[sources][16]`.
    scores: *mut f32,
    /// `[block][keys][16]`, of additive scores.
    queries: *mut f32,
    /// `[block][memory][16]`.
    context: *mut f32,
    /// `[block][units][16]`: the output, carried over masked steps.
    output: *mut f32,
    /// `[block][units][16]`: the output as if no row were masked.
    combined: *mut f32,
}

impl Layer<'_> {
    /// Whether keys and memory are one and the same.
    pub(super) fn keys_are_memory(&self) -> bool {
        let (keys, memory) = (self.inputs.keys, self.inputs.memory);
        std::ptr::eq(keys, memory) && self.shape.keys == self.shape.memory
    }

    /// Floats of the parts of [`Memory`], in its order.
    fn sizes(&self, blocks: usize) -> [usize; 7] {
        let AttentiveShape { sources, units, memory, keys, .. } = self.shape;
        let key_panels = if self.keys_are_memory() { 0 } else { blocks * sources * keys };
        let queries = if matches!(self.weights.score, Score::Additive { .. }) { blocks * keys } else { 0 };
        let after = if matches!(self.weights.order, Order::After { .. }) { blocks * units } else { 0 };
        [key_panels, blocks * sources * memory, sources, queries, blocks * memory, after, after]
            .map(|size| size * LANES)
    }

    /// The rows of a step in a matrix `[batch, steps, features]`.
    #[inline(always)]
    fn targets(&self, matrix: Shared<'_>, features: usize, at: Step<'_>, block: usize) -> Targets {
        let steps = self.shape.steps;
        std::array::from_fn(|lane| {
            let row = at.plan.valid_row(at.step, at.run.first + block, lane)?;
            Some(matrix.at((row * steps + at.step) * features))
        })
    }
}

impl<'a, C: ForwardCell> ForwardAround for Attend<'a, C> {
    type Memory = Memory<'a, C>;

    fn floats(&self, blocks: usize) -> usize {
        let below: usize = self.below.iter().map(|layer| layer.floats(blocks)).sum();
        self.layer.sizes(blocks).iter().sum::<usize>() + below
    }

    #[inline(always)]
    unsafe fn begin<L: Lanes>(&self, plan: &Plan, memory: *mut f32, blocks: Range<usize>) -> Memory<'a, C> {
        let AttentiveShape { steps, sources, units, memory: width, keys: key_width, .. } = self.layer.shape;
        let mut rest = memory;
        let [keys, memory, scores, queries, context, output, combined] = self.layer.sizes(blocks.len()).map(|size| {
            let part = rest;
            rest = rest.wrapping_add(size);
            part
        });
        let same = self.layer.keys_are_memory();
        for (index, block) in blocks.clone().enumerate() {
            let to = memory.add(index * sources * width * LANES);
            self.positions.pack::<L>(plan, block, self.layer.inputs.memory, width, to);
            if !same {
                let to = keys.add(index * sources * key_width * LANES);
                self.positions.pack::<L>(plan, block, self.layer.inputs.keys, key_width, to);
            }
            if matches!(self.layer.weights.order, Order::After { .. }) {
                let rows = self.layer.inputs.a0.map_or([None; LANES], |a0| plan.sources(a0, block, units));
                rows::pack::<L>(output.add(index * units * LANES), &rows, units, None);
            }
            if let Some(shown) = self.shown {
                for row in (0..plan.lanes(block)).filter_map(|lane| plan.row(block, lane)) {
                    shown.part(row * steps * sources, steps * sources).fill(0.0);
                }
            }
        }
        let mut below = Vec::with_capacity(self.below.len());
        for layer in &self.below {
            below.push(layer.begin::<L>(rest, blocks.clone()));
            rest = rest.wrapping_add(layer.floats(blocks.len()));
        }
        let keys = if same { memory } else { keys };
        Memory { below, first: blocks.start, keys, memory, scores, queries, context, output, combined }
    }

    #[inline(always)]
    unsafe fn arrive<L: Lanes>(&self, memory: &mut Memory<'a, C>, step: usize) {
        let mut from = memory.output.cast_const();
        for below in &mut memory.below {
            below.outer = from;
            below.step::<L>(step);
            from = below.hidden();
        }
    }

    #[inline(always)]
    unsafe fn before<L: Lanes>(&self, memory: &mut Memory<'a, C>, at: Step<'_>) {
        let AttentiveShape { input, units, memory: width, .. } = self.layer.shape;
        if let Some(below) = memory.below.last() {
            for block in 0..at.run.blocks {
                at.complete::<L>(block, 0, below.hidden().add((at.offset + block) * units * LANES), units);
            }
            return;
        }
        let fed = self.layer.fed();
        if fed == 0 {
            return;
        }
        if matches!(self.layer.weights.order, Order::Before) {
            self.attend::<L>(memory, at, at.hidden);
        }
        for block in 0..at.run.blocks {
            let place = at.offset + block;
            let from = match self.layer.weights.order {
                Order::Before => memory.context.add(place * width * LANES),
                Order::After { .. } => memory.output.add(place * units * LANES),
            };
            at.complete::<L>(block, input, from, fed);
            if let Some(kept) = self.fed {
                let targets = self.layer.targets(kept, fed, at, block);
                rows::unpack::<L>(from, &targets, fed, false, |_| None);
            }
        }
    }

    #[inline(always)]
    unsafe fn after<L: Lanes>(&self, memory: &mut Memory<'a, C>, at: Step<'_>) {
        let Order::After { combine, .. } = self.layer.weights.order else {
            return;
        };
        let AttentiveShape { units, memory: width, .. } = self.layer.shape;
        self.attend::<L>(memory, at, at.after);
        let combined = memory.combined.add(at.offset * units * LANES);
        let operands =
            [(memory.context.add(at.offset * width * LANES).cast_const(), 0, width), (at.after, width, units)];
        for (right, first, inner) in operands {
            let product = Product {
                left: Left::rows(combine[first..].as_ptr(), width + units),
                right: Right::panels(right, inner * LANES),
                out: Out::panels(combined, units * LANES),
                rows: units,
                columns: at.run.blocks * LANES,
                inner,
                start: if first == 0 { Start::Zero } else { Start::Keep },
                ahead: Ahead::NOTHING,
            };
            product.run_on::<L>();
        }
        for block in 0..at.run.blocks {
            let output = memory.output.add((at.offset + block) * units * LANES);
            let combined = combined.add(block * units * LANES);
            let valid = L::mask_from_bits(at.plan.valid(at.step, at.run.first + block));
            for place in (0..units * LANES).step_by(LANES) {
                let new = math::tanh(L::load(combined.add(place)));
                new.store(combined.add(place));
                new.select(valid, L::load(output.add(place))).store(output.add(place));
            }
            if let Some(kept) = &self.kept {
                let to = kept.outputs.at((at.run.slot + block) * units * LANES);
                std::ptr::copy_nonoverlapping(combined, to, units * LANES);
                let context = memory.context.add((at.offset + block) * width * LANES);
                rows::unpack::<L>(context, &[None; LANES], width, false, |feature| {
                    Some(kept.context.at(at.plan.tile(feature, at.run.slot + block)))
                });
            }
            let targets = at.plan.outputs(self.y, at.step, at.run.first + block);
            if self.y.is_some() {
                rows::unpack::<L>(output, &targets, units, false, |_| None);
            }
        }
    }

    #[inline(always)]
    unsafe fn end<L: Lanes>(&self, plan: &Plan, memory: &Memory<'a, C>, blocks: Range<usize>) {
        let AttentiveShape { steps, units, .. } = self.layer.shape;
        for below in &memory.below {
            below.end::<L>();
        }
        for (index, block) in blocks.enumerate() {
            for step in 0..steps {
                plan.repeat_outputs(self.y, false, step, block);
            }
            if let Some(a) = self.a {
                let output = memory.output.add(index * units * LANES);
                rows::unpack::<L>(output, &plan.targets(a, block, units), units, false, |_| None);
            }
        }
    }
}

impl<'a, C: ForwardCell> Attend<'a, C> {
    /// Weights and contexts of neighbouring blocks for queries from the panels of a state.
    #[inline(always)]
    unsafe fn attend<L: Lanes>(&self, memory: &Memory<'a, C>, at: Step<'_>, hidden: *const f32) {
        let Around { layer, positions, kept, .. } = &self.around;
        let AttentiveShape { sources, units, memory: width, keys: key_width, .. } = layer.shape;
        let mut queries = hidden;
        if let Score::Additive { query, .. } = layer.weights.score {
            let to = match kept {
                Some(kept) => kept.queries.at(at.run.slot * key_width * LANES),
                None => memory.queries.add(at.offset * key_width * LANES),
            };
            self.queries::<L>(query, hidden, at.run, to);
            queries = to;
        }
        for block in 0..at.run.blocks {
            let place = at.run.first + block - memory.first;
            let counted = positions.of(at.run.first + block);
            let count = counted.len();
            let keys = memory.keys.add(place * sources * key_width * LANES);
            let query = queries.add(block * key_width * LANES);
            let scores = match kept {
                Some(kept) => kept.weights.at((at.run.slot + block) * sources * LANES),
                None => memory.scores,
            };
            match layer.weights.score {
                Score::Dot => panel::dot::<L>(query, keys, key_width, count, scores),
                Score::Additive { scale, .. } => panel::additive::<L>(query, keys, scale, count, scores),
            }
            panel::softmax::<L>(scores, counted);
            let values = memory.memory.add(place * sources * width * LANES);
            let context = memory.context.add((at.offset + block) * width * LANES);
            panel::mix::<L>(scores, values, width, count, context, false);
            if let Some(kept) = kept {
                rows::unpack::<L>(hidden.add(block * units * LANES), &[None; LANES], units, false, |unit| {
                    Some(kept.hidden.at(at.plan.tile(unit, at.run.slot + block)))
                });
            }
            self.show(at, block, scores);
        }
    }

    /// `W_q h` of neighbouring blocks.
    #[inline(always)]
    unsafe fn queries<L: Lanes>(&self, query: &[f32], hidden: *const f32, run: Run, to: *mut f32) {
        let AttentiveShape { units, keys, .. } = self.layer.shape;
        let product = Product {
            left: Left::rows(query.as_ptr(), units),
            right: Right::panels(hidden, units * LANES),
            out: Out::panels(to, keys * LANES),
            rows: keys,
            columns: run.blocks * LANES,
            inner: units,
            start: Start::Zero,
            ahead: Ahead::NOTHING,
        };
        product.run_on::<L>();
    }

    /// Writes the weights of a step to the rows that are not masked.
    #[inline(always)]
    unsafe fn show(&self, at: Step<'_>, block: usize, weights: *const f32) {
        let AttentiveShape { steps, sources, .. } = self.layer.shape;
        let Some(shown) = self.shown else { return };
        for lane in 0..LANES {
            let Some(row) = at.plan.valid_row(at.step, at.run.first + block, lane) else {
                continue;
            };
            let to = shown.part((row * steps + at.step) * sources, sources);
            for (index, &(source, _)) in self.positions.of(at.run.first + block).iter().enumerate() {
                to[source] = *weights.add(index * LANES + lane);
            }
        }
    }
}
