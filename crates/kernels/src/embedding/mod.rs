//! Rows of a table by id, and the row-sparse gradient of the table.
//!
//! N positions, D width, V rows of the table.
use crate::{
    Context, Destination,
    buffer::Buffer,
    pieces::{PIECE, load_at, store_at},
    shared::Shared,
    simd::{Kernel, LANES, Lanes},
};

/// The first position whose id is not a row of a table with `rows` rows.
#[must_use]
pub fn first_outside(ids: &[i32], rows: usize) -> Option<usize> {
    ids.iter().position(|&id| usize::try_from(id).map_or(true, |id| id >= rows))
}

fn check_ids(ids: &[i32], rows: usize) {
    if let Some(position) = first_outside(ids, rows) {
        panic!("id {} at position {position} is not a row of a table of {rows}", ids[position]);
    }
}

/// Positions or rows of a piece: about [`PIECE`] elements.
fn rows_per_piece(width: usize) -> usize {
    (PIECE / width.max(1)).max(1)
}

/// `y[n] = table[ids[n]]`.
///
/// # Shapes
/// `table [V, D]`, `ids [N]`, `y [N, D]`; every id is a row of the table ([`first_outside`] finds those that are not).
pub fn forward(ctx: &Context, table: &[f32], width: usize, ids: &[i32], y: &mut [f32]) {
    assert_eq!(y.len(), ids.len() * width, "embedding: y is not [N, D]");
    if width == 0 {
        return;
    }
    assert_eq!(table.len() % width, 0, "embedding: the table is not [V, D]");
    check_ids(ids, table.len() / width);
    let step = rows_per_piece(width);
    let y = Shared::new(y);
    ctx.pool.run(ids.len().div_ceil(step), &|piece| {
        let start = piece * step;
        let ids = &ids[start..ids.len().min(start + step)];
        // SAFETY: pieces do not overlap.
        let y = unsafe { y.part(start * width, ids.len() * width) };
        for (&id, y) in ids.iter().zip(y.chunks_exact_mut(width)) {
            y.copy_from_slice(&table[id as usize * width..][..width]);
        }
    });
}

/// One use of a table: the ids that it gathered and the gradient of what it gave.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// `[N]`
    pub ids: &'a [i32],
    /// `[N, D]`
    pub dy: &'a [f32],
    /// `[N]`: positions that add nothing (their rows need not appear in the result); `None`: all count.
    pub skip: Option<&'a [bool]>,
}

/// The gradient of a table of which most rows are zero.
#[derive(Clone, Debug)]
pub struct RowGradients {
    /// Rows that have a gradient, ascending, each once.
    pub rows: Vec<u32>,
    /// `[rows.len(), D]`
    pub values: Buffer,
}

struct SumRows<'a> {
    sources: &'a [Source<'a>],
    /// Positions that share a row: number of the source, position in it.
    positions: &'a [Position],
    sum: &'a mut [f32],
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Position {
    row: u32,
    source: u32,
    at: usize,
}

impl Kernel for SumRows<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let width = self.sum.len();
        let mut column = 0;
        while column < width {
            // SAFETY: `column` is inside a row, and all rows have the length of `sum`.
            unsafe {
                let mut sum = L::splat(0.0);
                for position in self.positions {
                    let dy = &self.sources[position.source as usize].dy[position.at * width..][..width];
                    sum = sum.add(load_at(dy, column));
                }
                store_at(self.sum, column, sum);
            }
            column += LANES;
        }
    }
}

/// The gradient of a table from all its uses. Rows that occur several times are summed in the order of the sources and
/// of the positions in them.
///
/// # Shapes
/// A source has `ids [N]` and `dy [N, D]`; ids are below `rows`.
///
/// # Gradient
/// `d table[v] = sum of dy[n] over all n with ids[n] = v`; a masked id is no exception (its `dy` usually is zero).
#[must_use]
pub fn backward(ctx: &Context, sources: &[Source<'_>], rows: usize, width: usize) -> RowGradients {
    let mut positions = Vec::with_capacity(sources.iter().map(|source| source.ids.len()).sum());
    for (number, source) in sources.iter().enumerate() {
        assert_eq!(source.dy.len(), source.ids.len() * width, "embedding: dy is not [N, D]");
        assert!(source.skip.is_none_or(|skip| skip.len() == source.ids.len()), "embedding: skip is not [N]");
        check_ids(source.ids, rows);
        let kept = |at: &usize| source.skip.is_none_or(|skip| !skip[*at]);
        let position = |at: usize| Position { row: source.ids[at] as u32, source: number as u32, at };
        positions.extend((0..source.ids.len()).filter(kept).map(position));
    }
    // The order is total, so that an unstable sort gives one result.
    positions.sort_unstable();
    let mut starts: Vec<usize> =
        (0..positions.len()).filter(|&at| at == 0 || positions[at - 1].row != positions[at].row).collect();
    let rows: Vec<u32> = starts.iter().map(|&start| positions[start].row).collect();
    starts.push(positions.len());
    let mut values = Buffer::new(rows.len() * width);
    let step = rows_per_piece(width);
    let shared = Shared::new(&mut values);
    ctx.pool.run(rows.len().div_ceil(step), &|piece| {
        for row in piece * step..rows.len().min((piece + 1) * step) {
            // SAFETY: a row belongs to one piece.
            let sum = unsafe { shared.part(row * width, width) };
            ctx.simd.run(SumRows { sources, positions: &positions[starts[row]..starts[row + 1]], sum });
        }
    });
    RowGradients { rows, values }
}

impl RowGradients {
    /// Width D of a row; 0 if there are none.
    #[must_use]
    pub fn width(&self) -> usize {
        self.values.len().checked_div(self.rows.len()).unwrap_or(0)
    }

    /// Panics unless rows ascend, lie below `rows`, and have a value each.
    pub(crate) fn check(&self, rows: usize, width: usize) {
        assert_eq!(self.values.len(), self.rows.len() * width, "row gradients: values are not [rows, D]");
        assert!(self.rows.is_sorted_by(|a, b| a < b), "row gradients: rows do not ascend");
        assert!(self.rows.last().is_none_or(|&row| (row as usize) < rows), "row gradients: row outside the table");
    }

    /// The gradient as a whole table `[V, D]`.
    pub fn to_dense(&self, ctx: &Context, dtable: Destination<'_>, width: usize) {
        assert!(width > 0 && dtable.data.len().is_multiple_of(width), "row gradients: the destination is not [V, D]");
        self.check(dtable.data.len() / width, width);
        if !dtable.accumulate {
            dtable.data.fill(0.0);
        }
        let step = rows_per_piece(width);
        let data = Shared::new(dtable.data);
        ctx.pool.run(self.rows.len().div_ceil(step), &|piece| {
            for index in piece * step..self.rows.len().min((piece + 1) * step) {
                // SAFETY: rows are unique, and a row belongs to one piece.
                let row = unsafe { data.part(self.rows[index] as usize * width, width) };
                for (sum, value) in row.iter_mut().zip(&self.values[index * width..][..width]) {
                    *sum += value;
                }
            }
        });
    }
}

#[cfg(test)]
mod tests;
