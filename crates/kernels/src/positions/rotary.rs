//! Positions as angles by which pairs of features of each head are turned.
//!
//! # Source
//! Su et al., "RoFormer: enhanced transformer with rotary position embedding" (2021).
use super::Order;
use crate::{Context, Destination, rows::for_rows};

/// How heads are turned.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rotation {
    /// Heads side by side in a row.
    pub heads: usize,
    /// Features of a head, an even number.
    pub width: usize,
    /// Whether pairs are neighbours, or a feature of the first half and one of the second.
    pub order: Order,
    /// Pair `i` of `width / 2` is turned by `p / wavelength^(2 i / width)` at step `p`.
    pub wavelength: f64,
}

/// Turns every head of every step by the angles of its position; with `back` by their opposites, which is the gradient.
///
/// # Shapes
/// `x` and `y`: `[B, T, N * K]` of steps `first..first + T`, with `T` = `steps`; with `positions` (`[rows]`) only these
/// rows of them, `[rows, N * K]`.
///
/// # Panics
/// If the lengths do not fit, or the width of a head is odd.
#[allow(clippy::too_many_arguments, reason = "sizes and operands of one formula")]
pub fn rotate(
    context: &Context,
    rotation: Rotation,
    steps: usize,
    first: usize,
    positions: Option<&[u32]>,
    back: bool,
    x: &[f32],
    y: Destination<'_>,
) {
    let Rotation { heads, width, order, wavelength } = rotation;
    assert_eq!(x.len(), y.data.len(), "rotary: length of y");
    assert!(width.is_multiple_of(2), "rotary: heads of {width} features have no pairs");
    if x.is_empty() {
        return;
    }
    let (row, pairs) = (heads * width, width / 2);
    match positions {
        Some(positions) => assert_eq!(x.len(), positions.len() * row, "rotary: not one position a row"),
        None => assert!(row > 0 && x.len().is_multiple_of(steps * row), "rotary: x is not [B, T, N * K]"),
    }
    let mut turns = Vec::with_capacity(steps * pairs);
    for step in first..first + steps {
        for pair in 0..pairs {
            let angle = step as f64 * wavelength.powf(-((2 * pair) as f64) / width as f64);
            let (sine, cosine) = angle.sin_cos();
            turns.push((cosine as f32, if back { -sine as f32 } else { sine as f32 }));
        }
    }
    let accumulate = y.accumulate;
    for_rows(context, y.data, row, row, |first, y| {
        for (number, y) in y.chunks_exact_mut(row).enumerate() {
            let number = first + number;
            let position = positions.map_or(number, |positions| positions[number] as usize);
            let turns = &turns[position % steps * pairs..][..pairs];
            let x = &x[number * row..][..row];
            for (x, y) in x.chunks_exact(width).zip(y.chunks_exact_mut(width)) {
                for (pair, (cosine, sine)) in turns.iter().enumerate() {
                    let (one, other) = match order {
                        Order::Interleaved => (2 * pair, 2 * pair + 1),
                        Order::Halves => (pair, pair + pairs),
                    };
                    let turned = [x[one] * cosine - x[other] * sine, x[other] * cosine + x[one] * sine];
                    if accumulate {
                        y[one] += turned[0];
                        y[other] += turned[1];
                    } else {
                        y[one] = turned[0];
                        y[other] = turned[1];
                    }
                }
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::{Order, Rotation, rotate};
    use crate::{
        Destination,
        testing::{Random, assert_close, bits, contexts},
    };

    #[test]
    fn heads_are_turned_and_turned_back() {
        let mut random = Random::new(4);
        let mut shapes = vec![(0, 3, 1, 2), (1, 1, 1, 2), (2, 5, 3, 8), (3, 70, 2, 16)];
        shapes.extend(
            (0..4).map(|_| (1 + random.below(5), 1 + random.below(9), 1 + random.below(4), 2 + 2 * random.below(5))),
        );
        for (batch, steps, heads, width) in shapes {
            for order in [Order::Interleaved, Order::Halves] {
                let rotation = Rotation { heads, width, order, wavelength: 100.0 };
                let x = random.floats(batch * steps * heads * width);
                let mut exact = vec![0.0f64; x.len()];
                for (number, x) in x.chunks_exact(width).enumerate() {
                    let step = 3 + number / heads % steps;
                    for pair in 0..width / 2 {
                        let (one, other) = match order {
                            Order::Interleaved => (2 * pair, 2 * pair + 1),
                            Order::Halves => (pair, width / 2 + pair),
                        };
                        let angle = step as f64 / 100f64.powf(2.0 * pair as f64 / width as f64);
                        let (a, b) = (f64::from(x[one]), f64::from(x[other]));
                        exact[number * width + one] = a * angle.cos() - b * angle.sin();
                        exact[number * width + other] = b * angle.cos() + a * angle.sin();
                    }
                }
                let mut last: Option<Vec<u32>> = None;
                for context in contexts() {
                    let what = format!("[{batch}, {steps}, {heads} x {width}] {order:?}");
                    let mut y = vec![f32::NAN; x.len()];
                    let to = Destination { data: &mut y, accumulate: false };
                    rotate(&context, rotation, steps, 3, None, false, &x, to);
                    assert_close(&y, &exact, &what);
                    let mut again: Vec<f32> = x.clone();
                    let to = Destination { data: &mut again, accumulate: true };
                    rotate(&context, rotation, steps, 3, None, true, &y, to);
                    // Some of the rows.
                    let row = heads * width;
                    let positions: Vec<u32> = (0..(batch * steps) as u32).filter(|at| at % 3 != 1).collect();
                    let chosen = |of: &[f32]| -> Vec<f32> {
                        positions.iter().flat_map(|&at| of[at as usize * row..][..row].iter().copied()).collect()
                    };
                    let mut some = vec![f32::NAN; positions.len() * row];
                    let to = Destination { data: &mut some, accumulate: false };
                    rotate(&context, rotation, steps, 3, Some(&positions), false, &chosen(&x), to);
                    assert_eq!(bits(&some), bits(&chosen(&y)), "{what}: some rows");
                    let twice: Vec<f64> = x.iter().map(|&x| 2.0 * f64::from(x)).collect();
                    assert_close(&again, &twice, &format!("{what}: turned back and added"));
                    if let Some(last) = &last {
                        assert_eq!(*last, bits(&y), "{what}: bits depend on threads or path");
                    }
                    last = Some(bits(&y));
                }
            }
        }
    }
}
