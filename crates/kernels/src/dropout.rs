//! Dropout with inverted scaling: what is kept is divided by the probability of keeping it. The mask is a function of
//! the key and is made anew in backward.
//!
//! # Source
//! Srivastava et al., "Dropout: a simple way to prevent neural networks from overfitting" (JMLR 2014).
use crate::{
    Context, Destination,
    pieces::{for_pieces, load_at, store_at},
    random::{GROUP, RandomKey, group},
    rows::for_rows,
    shared::Shared,
    simd::{Kernel, LANES, Lanes},
};

/// Factor of the elements that are kept.
fn kept_scale(rate: f32) -> f32 {
    assert!((0.0..=1.0).contains(&rate), "dropout: the rate {rate} lies outside 0..=1");
    if rate < 1.0 { (1.0 / (1.0 - f64::from(rate))) as f32 } else { 0.0 }
}

struct Apply<'a> {
    /// `None`: ones.
    x: Option<&'a [f32]>,
    y: &'a mut [f32],
    accumulate: bool,
    /// Index of the first element in the stream, a multiple of [`GROUP`].
    start: usize,
    key: RandomKey,
    rate: f32,
    scale: f32,
}

impl Kernel for Apply<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let length = self.y.len();
        let mut at = 0;
        while at < length {
            let uniform = group(self.key, (self.start + at) / GROUP);
            let end = length.min(at + GROUP);
            let mut inside = 0;
            while at < end {
                // SAFETY: `at` is inside `y` and `x`, which are equally long; `inside` is a multiple of 16 below 64.
                unsafe {
                    let dropped = L::load(uniform.as_ptr().add(inside)).less(L::splat(self.rate));
                    let x = match self.x {
                        Some(x) => load_at::<L>(x, at).mul(L::splat(self.scale)),
                        None => L::splat(self.scale),
                    };
                    // A selection, because an infinity times 0 would be NaN.
                    let mut y = L::splat(0.0).select(dropped, x);
                    if self.accumulate {
                        y = y.add(load_at(self.y, at));
                    }
                    store_at(self.y, at, y);
                }
                at += LANES;
                inside += LANES;
            }
        }
    }
}

/// Rows of a tensor, of which only some are there: their numbers say which random numbers are theirs.
struct ApplyRows<'a> {
    x: &'a [f32],
    y: &'a mut [f32],
    accumulate: bool,
    width: usize,
    /// One a row.
    numbers: &'a [u32],
    key: RandomKey,
    rate: f32,
    scale: f32,
}

impl Kernel for ApplyRows<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let Self { accumulate, key, rate, scale, width, .. } = self;
        let rows = self.x.chunks_exact(width).zip(self.y.chunks_exact_mut(width));
        let mut uniform = [0.0; 2 * GROUP];
        for ((x, y), &number) in rows.zip(self.numbers) {
            let start = number as usize * width;
            if start.is_multiple_of(GROUP) {
                // SAFETY: the caller vouches for the path.
                unsafe { Apply { x: Some(x), y, accumulate, start, key, rate, scale }.run::<L>() };
                continue;
            }
            for (block, (x, y)) in x.chunks(GROUP).zip(y.chunks_mut(GROUP)).enumerate() {
                let first = start + block * GROUP;
                uniform[..GROUP].copy_from_slice(&group(key, first / GROUP));
                uniform[GROUP..].copy_from_slice(&group(key, first / GROUP + 1));
                let uniform = &uniform[first % GROUP..][..GROUP];
                for at in (0..x.len()).step_by(LANES) {
                    // SAFETY: `at` is inside `x` and `y`, and a multiple of 16 below 64; the caller vouches for the path.
                    unsafe {
                        let dropped = L::load(uniform.as_ptr().add(at)).less(L::splat(rate));
                        let mut kept = L::splat(0.0).select(dropped, load_at::<L>(x, at).mul(L::splat(scale)));
                        if accumulate {
                            kept = kept.add(load_at(y, at));
                        }
                        store_at(y, at, kept);
                    }
                }
            }
        }
    }
}

fn apply(ctx: &Context, x: Option<&[f32]>, y: Destination<'_>, rate: f32, key: RandomKey) {
    let scale = kept_scale(rate);
    let Destination { data, accumulate } = y;
    let length = data.len();
    assert!(x.is_none_or(|x| x.len() == length), "dropout: input and output differ in length");
    let y = Shared::new(data);
    for_pieces(ctx, length, |start, length| {
        // SAFETY: pieces do not overlap.
        let y = unsafe { y.part(start, length) };
        let x = x.map(|x| &x[start..][..length]);
        ctx.simd.run(Apply { x, y, accumulate, start, key, rate, scale });
    });
}

/// `y = x * mask`, the mask being 0 with probability `rate` (in `0..=1`) and otherwise `1 / (1 - rate)`.
///
/// # Shapes
/// `x` and `y` are equally long.
pub fn forward(ctx: &Context, x: &[f32], y: &mut [f32], rate: f32, key: RandomKey) {
    apply(ctx, Some(x), Destination { data: y, accumulate: false }, rate, key);
}

/// # Gradient
/// `dx = dy * mask` with the mask of [`forward`] under the same key and rate.
///
/// # Shapes
/// `dy` and `dx` are equally long.
pub fn backward(ctx: &Context, dy: &[f32], dx: Destination<'_>, rate: f32, key: RandomKey) {
    apply(ctx, Some(dy), dx, rate, key);
}

/// Rows of a tensor of which only some are there, forward or, of gradients, backward: `numbers` (`[rows]`) says which
/// rows of the whole tensor they are, and they are dropped as [`forward`] of that would drop them.
///
/// # Shapes
/// `x` and `y`: `[rows, width]`.
///
/// # Panics
/// If the lengths do not fit.
pub fn rows(ctx: &Context, x: &[f32], y: Destination<'_>, width: usize, numbers: &[u32], rate: f32, key: RandomKey) {
    let scale = kept_scale(rate);
    let Destination { data, accumulate } = y;
    assert_eq!(x.len(), data.len(), "dropout: input and output differ in length");
    assert_eq!(x.len(), numbers.len() * width, "dropout: not one number a row");
    for_rows(ctx, data, width, width, |first, y| {
        let count = y.len() / width;
        let (x, numbers) = (&x[first * width..][..y.len()], &numbers[first..][..count]);
        ctx.simd.run(ApplyRows { x, y, accumulate, width, numbers, key, rate, scale });
    });
}

/// The mask itself, for where it is held over time.
pub fn mask(ctx: &Context, key: RandomKey, rate: f32, out: &mut [f32]) {
    apply(ctx, None, Destination { data: out, accumulate: false }, rate, key);
}

#[cfg(test)]
mod tests {
    use super::{backward, forward, mask, rows};
    use crate::{
        Destination,
        random::RandomKey,
        testing::{Random, bits, contexts},
    };

    const KEY: RandomKey = RandomKey { seed: 1, step: 2, node: 3 };

    #[test]
    fn forward_and_backward_multiply_by_the_mask_of_the_key() {
        for length in [0, 1, 15, 64, 65, 40_001] {
            let x = Random::new(5).floats(length);
            for rate in [0.0, 0.3, 0.5, 1.0] {
                let scale = if rate < 1.0 { 1.0 / (1.0 - rate) } else { 0.0 };
                let expected: Vec<f32> =
                    (0..length).map(|at| if KEY.uniform(at) < rate { 0.0 } else { scale }).collect();
                let mut first = None;
                for ctx in contexts() {
                    let mut found = vec![9.0; length];
                    mask(&ctx, KEY, rate, &mut found);
                    assert_eq!(found, expected);
                    let mut y = vec![9.0; length];
                    forward(&ctx, &x, &mut y, rate, KEY);
                    assert!(y.iter().zip(&x).zip(&found).all(|((y, x), mask)| *y == x * mask));
                    let mut dx = vec![1.0; length];
                    backward(&ctx, &x, Destination { data: &mut dx, accumulate: true }, rate, KEY);
                    assert!(dx.iter().zip(&y).all(|(dx, y)| *dx == 1.0 + y));
                    backward(&ctx, &x, Destination { data: &mut dx, accumulate: false }, rate, KEY);
                    assert_eq!(bits(&dx), bits(&y));
                    assert_eq!(bits(&y), *first.get_or_insert_with(|| bits(&y)));
                }
            }
        }
    }

    #[test]
    fn rows_are_dropped_as_in_the_whole_tensor() {
        for (count, width) in [(0, 4), (9, 1), (40, 7), (30, 32), (20, 64), (6, 100), (50, 256), (3, 20_000)] {
            let x = Random::new(6).floats(count * width);
            let numbers: Vec<u32> = (0..count as u32).filter(|row| row % 3 != 1).collect();
            let chosen = |of: &[f32]| -> Vec<f32> {
                numbers.iter().flat_map(|&row| of[row as usize * width..][..width].iter().copied()).collect()
            };
            for ctx in contexts() {
                let mut whole = vec![9.0; x.len()];
                forward(&ctx, &x, &mut whole, 0.3, KEY);
                let mut y = vec![9.0; numbers.len() * width];
                let to = Destination { data: &mut y, accumulate: false };
                rows(&ctx, &chosen(&x), to, width, &numbers, 0.3, KEY);
                assert_eq!(bits(&y), bits(&chosen(&whole)), "{count} rows of {width}");
                let mut sum = vec![1.0; y.len()];
                let to = Destination { data: &mut sum, accumulate: true };
                rows(&ctx, &chosen(&x), to, width, &numbers, 0.3, KEY);
                assert!(sum.iter().zip(&y).all(|(sum, y)| *sum == 1.0 + y));
            }
        }
    }

    #[test]
    fn the_rate_is_the_share_of_zeros_and_the_mean_stays() {
        for ctx in contexts().into_iter().take(1) {
            let mut found = vec![0.0; 200_000];
            mask(&ctx, KEY, 0.2, &mut found);
            let zeros = found.iter().filter(|&&x| x == 0.0).count();
            assert!((39_200..40_800).contains(&zeros), "{zeros}");
            let mean = found.iter().map(|&x| f64::from(x)).sum::<f64>() / 200_000.0;
            assert!((mean - 1.0).abs() < 5e-3);
        }
    }

    #[test]
    fn dropped_infinities_are_zero() {
        for ctx in contexts() {
            let mut y = vec![0.0; 100];
            forward(&ctx, &[f32::INFINITY; 100], &mut y, 0.5, KEY);
            assert!(y.iter().all(|&y| y == 0.0 || y == f32::INFINITY));
        }
    }
}
