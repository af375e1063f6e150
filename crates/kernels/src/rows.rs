//! Work on whole rows of a matrix, cut into pieces for the pool: for what needs no kernel of its own.
use crate::{Context, pieces::PIECE, shared::Shared};

/// Calls `work(first, rows)` for pieces of whole rows of `width` elements, on the pool; `first` is the number of the first
/// row. A piece has about as many rows as touch 16 Ki elements, `cost` a row, so that how work is cut depends on the
/// shape alone.
///
/// # Panics
/// If `data` holds no whole number of rows.
pub fn for_rows<T: Send>(
    context: &Context,
    data: &mut [T],
    width: usize,
    cost: usize,
    work: impl Fn(usize, &mut [T]) + Sync,
) {
    if data.is_empty() {
        return;
    }
    assert!(width > 0 && data.len().is_multiple_of(width), "for_rows: {} elements are no rows of {width}", data.len());
    let rows = data.len() / width;
    let step = (PIECE / cost.max(width)).max(1);
    let data = Shared::new(data);
    context.pool.run(rows.div_ceil(step), &|piece| {
        let first = piece * step;
        // SAFETY: pieces do not overlap.
        work(first, unsafe { data.part(first * width, step.min(rows - first) * width) });
    });
}

#[cfg(test)]
mod tests {
    use super::for_rows;
    use crate::testing::contexts;

    #[test]
    fn every_row_is_worked_on_once() {
        for context in contexts() {
            for (rows, width, cost) in [(0, 3, 3), (0, 0, 0), (1, 1, 1), (7, 3, 20_000), (3000, 17, 17), (5, 40_000, 0)]
            {
                let mut data = vec![0u32; rows * width];
                for_rows(&context, &mut data, width, cost, |first, part| {
                    for (row, values) in part.chunks_exact_mut(width).enumerate() {
                        values.iter_mut().for_each(|value| *value += (first + row) as u32 + 1);
                    }
                });
                assert!(data.iter().enumerate().all(|(at, &value)| value as usize == at / width + 1));
            }
        }
    }

    #[test]
    #[should_panic(expected = "no rows of 4")]
    fn parts_of_rows_are_refused() {
        for_rows(&contexts()[0], &mut [0.0; 6], 4, 4, |_, _| {});
    }
}
