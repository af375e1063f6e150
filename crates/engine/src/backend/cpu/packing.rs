//! Values without the rows of masked positions.
use std::sync::{Arc, OnceLock};

use sconce_kernels::{Context, attention::ABSENT, buffer::Buffer, rows::for_rows};

use super::Run;
use crate::{
    error::Result,
    plan::{Node, Operation, ValueId},
    tensor::{Data, Tensor},
};

/// All rows are computed if no more than one of so many could be left out.
const WORTHWHILE: usize = 16;

/// The rows of a sequence `[batch, steps, features]` that are there: `[rows, features]`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Rows {
    pub batch: usize,
    pub steps: usize,
    /// `[batch, steps]`: which row a position is, or [`ABSENT`].
    pub places: Vec<u32>,
    /// `[rows]`: which position each row is.
    pub positions: Vec<u32>,
}

/// Of each mask, by the number of its value: the rows that count, if they are worth the while.
pub(super) type RowsOfMasks = Vec<OnceLock<Option<Arc<Rows>>>>;

impl Rows {
    /// The positions that a mask says count, and all of a sequence of which it says that none does: others may average
    /// them. `None` if almost all are there.
    fn new(mask: &[u8], batch: usize, steps: usize) -> Option<Self> {
        if mask.is_empty() || mask.len() != batch * steps || u32::try_from(mask.len()).is_err() {
            return None;
        }
        let mut places = vec![ABSENT; mask.len()];
        let mut positions = Vec::with_capacity(mask.len());
        for (sequence, mask) in mask.chunks_exact(steps).enumerate() {
            let all = mask.iter().all(|&counts| counts == 0);
            for (step, _) in mask.iter().enumerate().filter(|(_, counts)| all || **counts != 0) {
                let position = sequence * steps + step;
                places[position] = positions.len() as u32;
                positions.push(position as u32);
            }
        }
        let absent = mask.len() - positions.len();
        (absent * WORTHWHILE > mask.len()).then_some(Self { batch, steps, places, positions })
    }

    /// The rows that are there, of all.
    pub fn pack(&self, context: &Context, all: &[f32]) -> Buffer {
        let width = all.len() / self.places.len();
        let mut packed = Buffer::new(self.positions.len() * width);
        for_rows(context, &mut packed, width, width, |first, rows| {
            for (row, position) in rows.chunks_exact_mut(width).zip(&self.positions[first..]) {
                row.copy_from_slice(&all[*position as usize * width..][..width]);
            }
        });
        packed
    }

    /// All rows: zeros where there are none.
    pub fn unpack(&self, context: &Context, packed: &[f32]) -> Buffer {
        let width = packed.len() / self.positions.len();
        let mut all = Buffer::new(self.places.len() * width);
        for_rows(context, &mut all, width, width, |first, rows| {
            for (row, place) in rows.chunks_exact_mut(width).zip(&self.places[first..]) {
                match *place {
                    ABSENT => row.fill(0.0),
                    place => row.copy_from_slice(&packed[place as usize * width..][..width]),
                }
            }
        });
        all
    }

    /// What belongs to the rows that are there, of something for each position.
    pub fn choose<T: Copy>(&self, all: &[T]) -> Vec<T> {
        self.positions.iter().map(|&position| all[position as usize]).collect()
    }

    /// Something for each position, of what belongs to the rows that are there.
    pub fn spread<T: Copy + Default>(&self, chosen: &[T]) -> Vec<T> {
        let mut all = vec![T::default(); self.places.len()];
        self.positions.iter().zip(chosen).for_each(|(&position, &chosen)| all[position as usize] = chosen);
        all
    }
}

impl Run<'_> {
    /// The rows of a value that are there; `None` if all are.
    pub(super) fn rows(&self, value: ValueId) -> Option<&Arc<Rows>> {
        self.rows_of_masks[self.schedule.packed[value]?].get()?.as_ref()
    }

    /// The rows that a value of `batch` sequences of `steps` will have, where its mask is known.
    pub(super) fn rows_for(&self, value: ValueId, batch: usize, steps: usize) -> Option<&Arc<Rows>> {
        let masked = self.schedule.packed[value]?;
        let mask = self.mask(masked)?;
        self.rows_of_masks[masked].get_or_init(|| Rows::new(&mask, batch, steps).map(Arc::new)).as_ref()
    }

    /// Whether what a node gives has the rows already that it is to have.
    fn gives_rows(&self, node: &Node) -> bool {
        matches!(node.operation, Operation::Embedding { .. }) || self.schedule.is_packed(self.plan, node)
    }

    /// Takes rows away from what a node gave that knows nothing of them.
    pub(super) fn pack_outputs(&mut self, node: &Node) -> Result<()> {
        if self.gives_rows(node) {
            return Ok(());
        }
        for &output in &node.outputs {
            let Some(Tensor { shape, data: Data::Float(all) }) = &self.values[output] else { continue };
            let &[batch, steps, width] = shape.as_slice() else { continue };
            let Some(rows) = self.rows_for(output, batch, steps) else { continue };
            let packed = rows.pack(self.context, all);
            self.values[output] = Some(Tensor::float(vec![rows.positions.len(), width], packed));
        }
        Ok(())
    }

    /// Gives a node that knows nothing of rows the gradients of all of them: zeros where there are none.
    pub(super) fn unpack_gradients(&mut self, node: &Node) {
        if self.gives_rows(node) {
            return;
        }
        for &output in &node.outputs {
            let Some(rows) = self.rows(output) else { continue };
            let Some(packed) = &self.gradients[output] else { continue };
            self.gradients[output] = Some(rows.unpack(self.context, packed));
        }
    }
}

#[cfg(test)]
mod tests {
    use sconce_kernels::{Context, attention::ABSENT, simd::Simd};

    use super::Rows;

    #[test]
    fn rows_that_count_are_taken_and_put_back() {
        let context = Context::new(2, Simd::Scalar);
        // Padding at either end, a hole, nothing.
        let mask = [0, 1, 1, 1, 0, 0, 1, 0, 1, 0, 0, 0];
        let rows = Rows::new(&mask, 4, 3).unwrap();
        assert_eq!(rows.positions, [1, 2, 3, 6, 8, 9, 10, 11]);
        assert_eq!(rows.places, [ABSENT, 0, 1, 2, ABSENT, ABSENT, 3, ABSENT, 4, 5, 6, 7]);
        let all: Vec<f32> = (0..24).map(|at| at as f32).collect();
        let packed = rows.pack(&context, &all);
        assert_eq!(packed[..6], [2.0, 3.0, 4.0, 5.0, 6.0, 7.0]);
        let back = rows.unpack(&context, &packed);
        for (at, (back, all)) in back.iter().zip(&all).enumerate() {
            assert_eq!(*back, if rows.places[at / 2] == ABSENT { 0.0 } else { *all });
        }
        let chosen = rows.choose(&mask);
        assert_eq!(chosen, [1, 1, 1, 1, 1, 0, 0, 0]);
        assert_eq!(rows.spread(&chosen), mask);
        assert!(rows.pack(&context, &[]).is_empty() && rows.unpack(&context, &[]).is_empty());
    }

    #[test]
    fn few_rows_are_not_worth_the_while() {
        let mut mask = [1; 64];
        assert!(Rows::new(&mask, 2, 32).is_none());
        mask[..4].fill(0);
        assert!(Rows::new(&mask, 2, 32).is_none());
        mask[4] = 0;
        assert_eq!(Rows::new(&mask, 2, 32).unwrap().positions.len(), 59);
        assert!(Rows::new(&[], 0, 3).is_none() && Rows::new(&[], 3, 0).is_none());
        assert!(Rows::new(&mask, 2, 31).is_none(), "a mask of other positions");
    }
}
