//! What attention reads, and where its gradients go.
use crate::Destination;

/// In the rows of a [`Packed`] tensor: a step that has none.
pub const ABSENT: u32 = u32::MAX;

/// A tensor `[B, steps, heads, width]` whose heads lie side by side.
#[derive(Clone, Copy, Debug)]
pub struct Packed<'a> {
    /// From the first head of the first step on.
    pub data: &'a [f32],
    /// Floats from a step to the next one, at least `heads * width`: more if there is something else between.
    pub stride: usize,
    /// Floats from a sequence to the next one; of no effect with `rows`.
    pub batch_stride: usize,
    /// `[B, steps]`: which row of `data` each step is; [`ABSENT`] for a masked step that has none and counts as zeros. They ascend
    /// where outputs or gradients have the same rows; keys and values that are only read may share rows, in any order. `None`: every
    /// step has one.
    pub rows: Option<&'a [u32]>,
}

impl<'a> Packed<'a> {
    /// `[B, steps, stride]` without gaps between sequences.
    #[must_use]
    pub fn new(data: &'a [f32], steps: usize, stride: usize) -> Self {
        Self { data, stride, batch_stride: steps * stride, rows: None }
    }

    /// Rows of `stride` floats, of the steps that `rows` (`[B, steps]`) names.
    #[must_use]
    pub fn of_rows(data: &'a [f32], rows: &'a [u32], stride: usize) -> Self {
        Self { data, stride, batch_stride: 0, rows: Some(rows) }
    }

    /// Where the row of a step begins, of `steps` in each sequence; the step has one.
    pub(super) fn place(&self, steps: usize, sequence: usize, step: usize) -> usize {
        match self.rows {
            Some(rows) => rows[sequence * steps + step] as usize * self.stride,
            None => sequence * self.batch_stride + step * self.stride,
        }
    }
}

/// Whether a step of `steps` in each sequence has a row.
pub(super) fn has_row(rows: Option<&[u32]>, steps: usize, sequence: usize, step: usize) -> bool {
    rows.is_none_or(|rows| rows[sequence * steps + step] != ABSENT)
}

/// Which keys count for which queries: 1 for a pair that counts, `[B or 1, N or 1, T, S]`.
#[derive(Clone, Copy, Debug)]
pub struct ScoreMask<'a> {
    /// The elements.
    pub data: &'a [u8],
    /// Elements from a sequence to the next one; 0: the same for all.
    pub batch_stride: usize,
    /// Elements from a head to the next one; 0: the same for all.
    pub head_stride: usize,
}

/// What is added to the scaled scores, `[B or 1, N or 1, T, S]`.
#[derive(Clone, Copy, Debug)]
pub struct ScoreBias<'a> {
    /// The elements; minus infinity for a pair that does not count.
    pub data: &'a [f32],
    /// Elements from a sequence to the next one; 0: the same for all.
    pub batch_stride: usize,
    /// Elements from a head to the next one; 0: the same for all.
    pub head_stride: usize,
}

/// What attention reads. A pair counts if every mask that is there says so.
#[derive(Clone, Copy, Debug)]
pub struct AttentionInputs<'a> {
    /// `[B, T, N, K]`. If it has rows, the output and its gradient have the same ones.
    pub query: Packed<'a>,
    /// `[B, S, G, K]`.
    pub key: Packed<'a>,
    /// `[B, S, G, V]`.
    pub value: Packed<'a>,
    /// `[B, T]`, 0 for a masked query; `None`: all count.
    pub query_mask: Option<&'a [u8]>,
    /// `[B, S]`, 0 for a masked key; `None`: all count.
    pub key_mask: Option<&'a [u8]>,
    /// Masks of pairs.
    pub mask: Option<ScoreMask<'a>>,
    /// Added to the scaled scores.
    pub bias: Option<ScoreBias<'a>>,
}

/// Where a gradient of a [`Packed`] tensor goes, whose rows it has; what lies between its rows is left alone.
#[derive(Debug)]
pub struct PackedDestination<'a> {
    /// From the first head of the first step on.
    pub data: &'a mut [f32],
    /// Floats from a step to the next one.
    pub stride: usize,
    /// Floats from a sequence to the next one; of no effect where the tensor has rows.
    pub batch_stride: usize,
    /// `false`: set; `true`: add.
    pub accumulate: bool,
}

impl<'a> PackedDestination<'a> {
    /// `[B, steps, stride]` without gaps between sequences.
    #[must_use]
    pub fn new(data: &'a mut [f32], steps: usize, stride: usize, accumulate: bool) -> Self {
        Self { data, stride, batch_stride: steps * stride, accumulate }
    }
}

/// Where gradients go; `None` where one is not wanted.
#[derive(Debug, Default)]
pub struct AttentionGradients<'a> {
    /// `[B, T, N, K]`.
    pub query: Option<PackedDestination<'a>>,
    /// `[B, S, G, K]`.
    pub key: Option<PackedDestination<'a>>,
    /// `[B, S, G, V]`.
    pub value: Option<PackedDestination<'a>>,
    /// As long as the bias of the inputs, which must be there, and with its strides.
    pub bias: Option<Destination<'a>>,
}
