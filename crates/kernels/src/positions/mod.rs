//! Positions of steps, added to sequences of vectors.
//!
//! # Source
//! Vaswani et al., "Attention is all you need" (2017), 3.5; the order of sines and cosines of Marian (Junczys-Dowmunt et
//! al., "Marian: fast neural machine translation in C++", 2018).
//!
//! # Legend
//! `B` sequences of `T` steps of width `D`; a table has a row for each step.
pub mod rotary;

use crate::{Context, Destination, rows::for_rows};

/// Where sines and cosines lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Each sine before its cosine.
    Interleaved,
    /// All sines, then all cosines.
    Halves,
}

/// Rows `first..` of the table of sines and cosines: with `a = p / wavelength^(2 i / D)`, step `p` has `sin(a)` and
/// `cos(a)` for each `i`; of an odd width the last cosine is left out.
///
/// # Panics
/// If `table` holds no whole number of rows of `width`.
pub fn sinusoidal(width: usize, order: Order, wavelength: f64, first: usize, table: &mut [f32]) {
    assert!(width > 0 || table.is_empty(), "positions: rows of no elements");
    if table.is_empty() {
        return;
    }
    assert!(table.len().is_multiple_of(width), "positions: {} elements are no rows of {width}", table.len());
    let sines = width.div_ceil(2);
    let speeds: Vec<f64> = (0..sines).map(|pair| wavelength.powf(-((2 * pair) as f64) / width as f64)).collect();
    for (step, row) in table.chunks_exact_mut(width).enumerate() {
        for (pair, speed) in speeds.iter().enumerate() {
            let (sine, cosine) = ((first + step) as f64 * speed).sin_cos();
            let places = match order {
                Order::Interleaved => (2 * pair, 2 * pair + 1),
                Order::Halves => (pair, sines + pair),
            };
            row[places.0] = sine as f32;
            if let Some(place) = row.get_mut(places.1) {
                *place = cosine as f32;
            }
        }
    }
}

/// `y[b, t] = factor x[b, t] + table[t]`.
///
/// # Shapes
/// `x` and `y`: `[B, T, D]` with `D` = `width`, or with `positions` (`[rows]`) only these rows of them, `[rows, D]`;
/// `table`: `[T, D]`.
///
/// # Panics
/// If the lengths do not fit.
pub fn forward(
    context: &Context,
    width: usize,
    factor: f32,
    table: &[f32],
    positions: Option<&[u32]>,
    x: &[f32],
    y: &mut [f32],
) {
    assert_eq!(x.len(), y.len(), "positions: length of y");
    if x.is_empty() {
        return;
    }
    assert!(!table.is_empty(), "positions: x is not [B, T, D]");
    match positions {
        Some(positions) => assert_eq!(x.len(), positions.len() * width, "positions: not one position a row"),
        None => assert!(x.len().is_multiple_of(table.len()), "positions: x is not [B, T, D]"),
    }
    let steps = table.len() / width;
    for_rows(context, y, width, width, |first, y| {
        for (row, y) in y.chunks_exact_mut(width).enumerate() {
            let row = first + row;
            let step = positions.map_or(row, |positions| positions[row] as usize) % steps;
            let (x, position) = (&x[row * width..][..width], &table[step * width..][..width]);
            y.iter_mut().zip(x.iter().zip(position)).for_each(|(y, (x, position))| *y = factor * x + position);
        }
    });
}

/// The gradient of [`forward`] by `x`: `factor dy`.
///
/// # Panics
/// If the lengths do not fit.
pub fn backward(context: &Context, factor: f32, dy: &[f32], dx: Destination<'_>) {
    assert_eq!(dx.data.len(), dy.len(), "positions: length of dx");
    let accumulate = dx.accumulate;
    for_rows(context, dx.data, 1, 1, |first, dx| {
        let pairs = dx.iter_mut().zip(&dy[first..]);
        if accumulate {
            pairs.for_each(|(dx, dy)| *dx += factor * dy);
        } else {
            pairs.for_each(|(dx, dy)| *dx = factor * dy);
        }
    });
}

/// The gradient of [`forward`] by the table: the sum of `dy` over all sequences. Rows behind the last step get nothing.
///
/// # Shapes
/// `dy`: `[B, T, D]` with `T` = `steps`, `D` = `width`; `dtable`: at least `[T, D]`.
///
/// # Panics
/// If the lengths do not fit.
pub fn table_backward(context: &Context, width: usize, steps: usize, dy: &[f32], dtable: Destination<'_>) {
    let Destination { data, accumulate } = dtable;
    if !accumulate {
        data.fill(0.0);
    }
    if dy.is_empty() {
        return;
    }
    let size = steps * width;
    assert!(size > 0 && dy.len().is_multiple_of(size), "positions: dy is not [B, T, D]");
    let sequences = dy.len() / size;
    for_rows(context, &mut data[..size], width, width * sequences, |first, sums| {
        for sequence in dy.chunks_exact(size) {
            sums.iter_mut().zip(&sequence[first * width..]).for_each(|(sum, dy)| *sum += dy);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::{Order, backward, forward, sinusoidal, table_backward};
    use crate::{
        Destination,
        testing::{Random, assert_close, bits, contexts, widen},
    };

    #[test]
    fn sines_and_cosines_of_both_orders() {
        for (width, sines) in [(6usize, 3usize), (5, 3), (1, 1)] {
            for order in [Order::Interleaved, Order::Halves] {
                let mut table = vec![f32::NAN; 4 * width];
                sinusoidal(width, order, 100.0, 7, &mut table);
                for (at, &found) in table.iter().enumerate() {
                    let (step, place) = (at / width, at % width);
                    let (pair, is_sine) = match order {
                        Order::Interleaved => (place / 2, place % 2 == 0),
                        Order::Halves => (place % sines, place < sines),
                    };
                    let angle = (7 + step) as f64 / 100f64.powf(2.0 * pair as f64 / width as f64);
                    let expected = if is_sine { angle.sin() } else { angle.cos() };
                    assert!((f64::from(found) - expected).abs() < 1e-6, "{width} {order:?} [{step}, {place}]");
                }
            }
        }
        sinusoidal(4, Order::Halves, 1e4, 0, &mut []);
    }

    #[test]
    fn sums_and_all_gradients_equal_the_reference() {
        let mut random = Random::new(9);
        let mut shapes = vec![(0, 3, 4), (2, 0, 4), (1, 1, 1), (3, 5, 17), (40, 60, 32)];
        shapes.extend((0..6).map(|_| (1 + random.below(20), 1 + random.below(30), 1 + random.below(40))));
        for (batch, steps, width) in shapes {
            let size = steps * width;
            let (x, dy) = (random.floats(batch * size), random.floats(batch * size));
            let (table, before) = (random.floats(size), random.floats(size + 2 * width));
            let (wide_x, wide_dy, wide_table) = (widen(&x), widen(&dy), widen(&table));
            let y: Vec<f64> = wide_x.iter().enumerate().map(|(at, x)| 1.5 * x + wide_table[at % size]).collect();
            let dx: Vec<f64> = wide_dy.iter().map(|dy| 1.5 * dy).collect();
            let mut dtable = widen(&before);
            wide_dy.iter().enumerate().for_each(|(at, dy)| dtable[at % size] += dy);
            let mut last: Option<(crate::simd::Simd, Vec<Vec<u32>>)> = None;
            for context in contexts() {
                let what = format!("[{batch}, {steps}, {width}], {:?}", context.simd);
                let mut found = vec![f32::NAN; x.len()];
                forward(&context, width, 1.5, &table, None, &x, &mut found);
                assert_close(&found, &y, &what);
                let positions: Vec<u32> = (0..(batch * steps) as u32).filter(|at| at % 3 != 1).collect();
                let chosen = |of: &[f32]| -> Vec<f32> {
                    positions.iter().flat_map(|&at| of[at as usize * width..][..width].iter().copied()).collect()
                };
                let mut some = vec![f32::NAN; positions.len() * width];
                forward(&context, width, 1.5, &table, Some(&positions), &chosen(&x), &mut some);
                assert_eq!(bits(&some), bits(&chosen(&found)), "{what}: some rows");
                let (mut set, mut added) = (vec![f32::NAN; x.len()], dy.clone());
                backward(&context, 1.5, &dy, Destination { data: &mut set, accumulate: false });
                assert_close(&set, &dx, &format!("{what}: dx"));
                backward(&context, 1.5, &dy, Destination { data: &mut added, accumulate: true });
                let sum: Vec<f64> = wide_dy.iter().map(|dy| 2.5 * dy).collect();
                assert_close(&added, &sum, &format!("{what}: dx added"));
                let mut sums = before.clone();
                table_backward(&context, width, steps, &dy, Destination { data: &mut sums, accumulate: true });
                assert_close(&sums, &dtable, &format!("{what}: dtable"));
                let mut fresh = vec![f32::NAN; before.len()];
                table_backward(&context, width, steps, &dy, Destination { data: &mut fresh, accumulate: false });
                assert!(fresh[size..].iter().all(|&sum| sum == 0.0), "{what}: rows behind the last step");
                let all = vec![bits(&found), bits(&set), bits(&sums), bits(&fresh)];
                if let Some((simd, last)) = &last
                    && *simd == context.simd
                {
                    assert_eq!(*last, all, "{what}: bits depend on the threads");
                }
                last = Some((context.simd, all));
            }
        }
    }
}
