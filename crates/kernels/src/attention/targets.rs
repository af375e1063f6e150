//! Where gradients go, shared by the pieces of a job.
use super::{
    Packed, PackedDestination,
    block::{KeyBlock, QueryBlock},
    inputs::has_row,
    steps::Steps,
};
use crate::shared::Shared;

/// The destination of the gradient of queries, keys or values.
#[derive(Clone, Copy)]
pub(super) struct RowTarget<'a> {
    data: Shared<'a>,
    stride: usize,
    batch_stride: usize,
    /// `[B, steps]`, if only some steps have rows.
    rows: Option<&'a [u32]>,
    steps: usize,
    pub accumulate: bool,
}

impl<'a> RowTarget<'a> {
    /// For the gradient of `tensor`: `batch` sequences of `steps` rows of `row` floats.
    pub(super) fn new(
        destination: PackedDestination<'a>,
        name: &str,
        tensor: &Packed<'a>,
        [batch, steps, row]: [usize; 3],
    ) -> Self {
        let PackedDestination { data, stride, batch_stride, accumulate } = destination;
        let rows = tensor.rows;
        let needed = match rows {
            Some(rows) => super::extent_of_rows(rows, stride, row),
            None => super::extent(batch, batch_stride, steps, stride, row),
        };
        assert!(stride >= row || rows.is_none() && steps <= 1, "attention: rows of the gradient of {name} overlap");
        assert!(
            batch_stride >= steps * stride || batch <= 1 || rows.is_some(),
            "attention: sequences of the gradient of {name} overlap"
        );
        assert!(data.len() >= needed, "attention: length of the gradient of {name}");
        Self { data: Shared::new(data), stride, batch_stride, rows, steps, accumulate }
    }

    /// Whether a step has a row.
    pub(super) fn has(&self, sequence: usize, step: usize) -> bool {
        has_row(self.rows, self.steps, sequence, step)
    }

    /// `width` floats of a step that has a row, from `at` on.
    ///
    /// # Safety
    /// While the slice lives, nothing else may read or write these elements.
    pub(super) unsafe fn row(&self, sequence: usize, step: usize, at: usize, width: usize) -> &'a mut [f32] {
        let place = match self.rows {
            Some(rows) => rows[sequence * self.steps + step] as usize * self.stride,
            None => sequence * self.batch_stride + step * self.stride,
        };
        // SAFETY: the caller's contract; different steps have different rows.
        unsafe { self.data.part(place + at, width) }
    }

    /// Writes a row of zeros, or adds it.
    pub(super) fn write_nothing(&self, row: &mut [f32]) {
        if !self.accumulate {
            row.fill(0.0);
        }
    }
}

/// The destination of the gradient of a bias, which is added to.
#[derive(Clone, Copy)]
pub(super) struct BiasTarget<'a> {
    pub data: Shared<'a>,
    /// Where it begins.
    pub first: usize,
    pub batch_stride: usize,
    pub head_stride: usize,
    /// `S`.
    pub keys: usize,
}

impl BiasTarget<'_> {
    /// Adds the gradients `[keys][lanes]` of a block of scores.
    ///
    /// # Safety
    /// Nothing else may touch the rows of these queries meanwhile.
    pub(super) unsafe fn add(&self, queries: &QueryBlock<'_>, keys: &Steps, block: &KeyBlock, gradients: &[f32]) {
        let (sequence, head) = queries.place();
        for lane in 0..queries.count {
            let row =
                self.first + sequence * self.batch_stride + head * self.head_stride + queries.steps[lane] * self.keys;
            // SAFETY: a row of the caller's.
            let row = unsafe { self.data.part(row, self.keys) };
            for (number, column) in gradients.chunks_exact(queries.lanes).take(block.count).enumerate() {
                row[keys.at(block.first + number)] += column[lane];
            }
        }
    }
}
