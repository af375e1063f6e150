//! The memory as panels: which positions of which rows count.
#![allow(unsafe_op_in_unsafe_fn, reason = "panels are raw memory under the contract of each function")]
use crate::{
    recurrent::{
        Plan, To,
        rows::{self, Sources, Targets},
    },
    simd::{LANES, Lanes},
};

/// A position that counts in some row of a block, with a bit for each such row.
pub(super) type Position = (usize, u16);

/// Positions of the memory that count, for each block.
#[derive(Debug)]
pub(super) struct Positions {
    sources: usize,
    blocks: Vec<Vec<Position>>,
}

impl Positions {
    pub(super) fn new(plan: &Plan, sources: usize, mask: Option<&[u8]>) -> Self {
        let bits = |block: usize, source: usize| {
            (0..plan.lanes(block)).fold(0, |bits, lane| {
                let counts =
                    plan.row(block, lane).is_some_and(|row| mask.is_none_or(|mask| mask[row * sources + source] != 0));
                bits | u16::from(counts) << lane
            })
        };
        let of_block = |block: usize| {
            (0..sources).map(|source| (source, bits(block, source))).filter(|&(_, bits)| bits != 0).collect()
        };
        Self { sources, blocks: (0..plan.blocks()).map(of_block).collect() }
    }

    pub(super) fn of(&self, block: usize) -> &[Position] {
        &self.blocks[block]
    }

    pub(super) fn blocks(&self) -> usize {
        self.blocks.len()
    }

    fn places(&self, plan: &Plan, block: usize, (source, bits): Position) -> [Option<usize>; LANES] {
        std::array::from_fn(|lane| {
            plan.row(block, lane).filter(|_| bits >> lane & 1 == 1).map(|row| row * self.sources + source)
        })
    }

    /// Packs `[batch, sources, features]` into `[position][features][16]`; what is masked becomes 0, whatever it holds.
    ///
    /// # Safety
    /// There is room for it; the path is available.
    #[inline(always)]
    pub(super) unsafe fn pack<L: Lanes>(&self, plan: &Plan, block: usize, from: &[f32], features: usize, to: *mut f32) {
        for (index, &position) in self.of(block).iter().enumerate() {
            let rows: Sources = self
                .places(plan, block, position)
                .map(|place| place.map(|place| from[place * features..][..features].as_ptr()));
            rows::pack::<L>(to.add(index * features * LANES), &rows, features, None);
        }
    }

    /// The reverse of [`Positions::pack`], of gradients: those of masked positions are 0.
    ///
    /// # Safety
    /// No other piece has the block; the panels are there; the path is available.
    #[inline(always)]
    pub(super) unsafe fn unpack<L: Lanes>(
        &self,
        plan: &Plan,
        block: usize,
        panels: *const f32,
        features: usize,
        to: To<'_>,
    ) {
        if !to.accumulate {
            for row in (0..plan.lanes(block)).filter_map(|lane| plan.row(block, lane)) {
                to.data.part(row * self.sources * features, self.sources * features).fill(0.0);
            }
        }
        for (index, &position) in self.of(block).iter().enumerate() {
            let rows: Targets =
                self.places(plan, block, position).map(|place| place.map(|place| to.data.at(place * features)));
            rows::unpack::<L>(panels.add(index * features * LANES), &rows, features, to.accumulate, |_| None);
        }
    }
}
