//! Which row is in which lane, and which steps of which block are computed.
use std::{cmp::Reverse, ops::Range};

use super::Shape;
use crate::simd::LANES;

const NONE: usize = usize::MAX;

/// Blocks that a piece has at most.
pub(crate) const PIECE_BLOCKS: usize = 2;

/// Order of the rows and the slots: pairs of step and block in which some row is not masked.
#[derive(Debug)]
pub(crate) struct Plan {
    shape: Shape,
    /// Goes from the last step to the first.
    reverse: bool,
    /// Row of each lane, `NONE` behind the last.
    rows: Vec<usize>,
    /// First step of each lane that is not masked, `steps` if there is none.
    first: Vec<usize>,
    /// `[steps][blocks]`: rows of the block that are not masked, a bit each.
    valid: Vec<u16>,
    /// `[steps][blocks]`: number of the slot, counted in this order.
    slot: Vec<usize>,
    /// For each slot and block: the slot of its block that follows it (for a block: its first slot).
    next: Vec<usize>,
    /// For each slot: the slot of its block before it.
    before: Vec<usize>,
    slots: usize,
    blocks: usize,
    piece_blocks: usize,
}

/// Blocks of sorted rows in an order that puts the longest beside the shortest, so that pieces of two blocks take about
/// equally long. A last block that is not full stays the last.
fn pair_blocks(rows: &[usize]) -> Vec<usize> {
    let (blocks, rest) = rows.as_chunks::<LANES>();
    let order = (0..blocks.len()).map(|place| if place % 2 == 0 { place / 2 } else { blocks.len() - 1 - place / 2 });
    order.flat_map(|block| blocks[block]).chain(rest.iter().copied()).collect()
}

impl Plan {
    /// The plan of a layer with a mask of `[batch, steps]`. `threads` has an influence on speed alone: lanes do not depend
    /// on each other.
    pub(crate) fn new(shape: Shape, reverse: bool, mask: Option<&[u8]>, threads: usize) -> Self {
        let Shape { batch, steps, .. } = shape;
        let blocks = batch.div_ceil(LANES);
        let time = |step: usize| if reverse { steps - 1 - step } else { step };
        let counts = |row: usize, step: usize| mask.is_none_or(|mask| mask[row * steps + time(step)] != 0);
        let first = |row: usize| (0..steps).find(|&step| counts(row, step)).unwrap_or(steps);
        let last = |row: usize| (0..steps).rfind(|&step| counts(row, step)).map_or(0, |step| step + 1);
        let mut rows: Vec<usize> = (0..batch).collect();
        if mask.is_some() {
            rows.sort_by_cached_key(|&row| (Reverse(last(row)), first(row)));
            rows = pair_blocks(&rows);
        }
        let first = rows.iter().map(|&row| first(row)).collect();
        let mut plan = Self {
            shape,
            reverse,
            rows,
            first,
            valid: vec![0; steps * blocks],
            slot: vec![NONE; steps * blocks],
            next: vec![NONE; blocks],
            before: Vec::new(),
            slots: 0,
            blocks,
            piece_blocks: if blocks >= PIECE_BLOCKS * threads { PIECE_BLOCKS } else { 1 },
        };
        let mut newest: Vec<usize> = (0..blocks).collect();
        for step in 0..steps {
            for (block, newest) in newest.iter_mut().enumerate() {
                let bits = (0..plan.lanes(block))
                    .fold(0, |bits, lane| bits | u16::from(counts(plan.rows[block * LANES + lane], step)) << lane);
                plan.valid[step * blocks + block] = bits;
                if bits != 0 {
                    plan.slot[step * blocks + block] = plan.slots;
                    plan.next[*newest] = plan.slots;
                    plan.before.push(newest.checked_sub(blocks).unwrap_or(NONE));
                    *newest = blocks + plan.slots;
                    plan.next.push(NONE);
                    plan.slots += 1;
                }
            }
        }
        plan
    }

    pub(crate) fn shape(&self) -> Shape {
        self.shape
    }

    /// Time step of the input that is processed in step `step`.
    pub(crate) fn time(&self, step: usize) -> usize {
        if self.reverse { self.shape.steps - 1 - step } else { step }
    }

    pub(crate) fn slots(&self) -> usize {
        self.slots
    }

    pub(crate) fn blocks(&self) -> usize {
        self.blocks
    }

    pub(crate) fn pieces(&self) -> usize {
        self.blocks.div_ceil(self.piece_blocks)
    }

    /// Blocks of a piece.
    pub(crate) fn piece(&self, piece: usize) -> Range<usize> {
        let first = piece * self.piece_blocks;
        first..self.blocks.min(first + self.piece_blocks)
    }

    /// Lanes of a block that have a row.
    pub(crate) fn lanes(&self, block: usize) -> usize {
        LANES.min(self.shape.batch - block * LANES)
    }

    /// Row of a lane.
    pub(crate) fn row(&self, block: usize, lane: usize) -> Option<usize> {
        self.rows.get(block * LANES + lane).copied()
    }

    /// Lanes of a block that are not masked in a step.
    pub(crate) fn valid(&self, step: usize, block: usize) -> u16 {
        self.valid[step * self.blocks + block]
    }

    /// Row of a lane, if it is not masked in a step.
    pub(crate) fn valid_row(&self, step: usize, block: usize, lane: usize) -> Option<usize> {
        self.row(block, lane).filter(|_| self.valid(step, block) >> lane & 1 == 1)
    }

    /// Whether a lane was not masked in this step or one before.
    pub(crate) fn seen(&self, step: usize, block: usize, lane: usize) -> bool {
        self.first.get(block * LANES + lane).is_some_and(|&first| first <= step)
    }

    /// Slot of a step of a block.
    pub(crate) fn slot(&self, step: usize, block: usize) -> Option<usize> {
        Some(self.slot[step * self.blocks + block]).filter(|&slot| slot != NONE)
    }

    /// Start of a tile in `[units / 16][slot][16 rows][16 units]`: of the units from `unit` on, a multiple of 16.
    pub(crate) fn tile(&self, unit: usize, slot: usize) -> usize {
        (unit / LANES * self.slots + slot) * LANES * LANES
    }

    /// First slot of a block.
    pub(crate) fn first_slot(&self, block: usize) -> Option<usize> {
        Some(self.next[block]).filter(|&slot| slot != NONE)
    }

    /// Slots before the first one that is not its block's first.
    pub(crate) fn leading_slots(&self) -> usize {
        self.before.iter().take_while(|&&before| before == NONE).count()
    }

    /// Whether all slots of a run are the first ones of their blocks.
    pub(crate) fn begins(&self, run: Run) -> bool {
        (0..run.blocks).all(|index| self.first_slot(run.first + index) == Some(run.slot + index))
    }

    /// The slot of the same block after this one.
    pub(crate) fn next_slot(&self, slot: usize) -> Option<usize> {
        Some(self.next[self.blocks + slot]).filter(|&slot| slot != NONE)
    }

    /// The slot of the same block before this one.
    pub(crate) fn slot_before(&self, slot: usize) -> Option<usize> {
        Some(self.before[slot]).filter(|&slot| slot != NONE)
    }

    /// The blocks of a piece that have a slot in a step, as runs of neighbours, which have neighbouring slots too.
    pub(crate) fn runs(&self, step: usize, piece: Range<usize>) -> impl Iterator<Item = Run> {
        let end = piece.end;
        let mut block = piece.start;
        std::iter::from_fn(move || {
            while block < end && self.slot(step, block).is_none() {
                block += 1;
            }
            let slot = (block < end).then(|| self.slot(step, block)).flatten()?;
            let first = block;
            while block < end && self.slot(step, block).is_some() {
                block += 1;
            }
            Some(Run { first, blocks: block - first, slot })
        })
    }
}

/// Neighbouring blocks that are computed together.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run {
    pub first: usize,
    pub blocks: usize,
    /// Slot of the first block.
    pub slot: usize,
}
