//! Constraints: what a weight is brought back to after each step.
//!
//! # Source
//! `keras/src/constraints/constraints.py` of Keras 3.15; norms are summed in f64.
use crate::{
    Context,
    pieces::{for_pieces, load_at, store_at},
    shared::Shared,
    simd::{Kernel, LANES, Lanes},
    squares,
};

/// `keras.config.epsilon()`, added to the norms.
const EPSILON: f32 = 1e-7;

/// What norms are brought to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum NormRule {
    /// At most this.
    Maximum(f64),
    /// 1.
    Unit,
    /// Between two norms, by a part of the way.
    Between {
        /// Smallest norm.
        minimum: f64,
        /// Largest norm.
        maximum: f64,
        /// Part of the way, 1: all.
        rate: f64,
    },
}

impl NormRule {
    /// The factor of weights of this norm. A weight within its bounds loses a ten-millionth, as in Keras.
    fn factor(self, norm: f64) -> f32 {
        let norm = norm as f32;
        // `max` and `min` of f32 would drop a NaN.
        let clipped = |low: f32, high: f32| if norm.is_nan() { norm } else { norm.max(low).min(high) };
        let desired = match self {
            Self::Maximum(maximum) => clipped(0.0, maximum as f32),
            Self::Unit => 1.0,
            Self::Between { minimum, maximum, rate } => {
                rate as f32 * clipped(minimum as f32, maximum as f32) + (1.0 - rate) as f32 * norm
            }
        };
        desired / (EPSILON + norm)
    }
}

struct NotNegative<'a>(&'a mut [f32]);

impl Kernel for NotNegative<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let mut at = 0;
        while at < self.0.len() {
            // SAFETY: `at` is inside the slice.
            unsafe {
                // In this order NaN stays NaN.
                let weight = L::splat(0.0).max(load_at(self.0, at));
                store_at(self.0, at, weight);
            }
            at += LANES;
        }
    }
}

/// Negative weights become 0; NaN stays.
pub fn not_negative(ctx: &Context, weights: &mut [f32]) {
    let length = weights.len();
    let weights = Shared::new(weights);
    for_pieces(ctx, length, |start, length| {
        // SAFETY: pieces do not overlap.
        let part = unsafe { weights.part(start, length) };
        ctx.simd.run(NotNegative(part));
    });
}

struct Multiply<'a> {
    weights: &'a mut [f32],
    factors: &'a [f32],
}

impl Kernel for Multiply<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        for row in self.weights.chunks_exact_mut(self.factors.len()) {
            for (weight, factor) in row.iter_mut().zip(self.factors) {
                *weight *= factor;
            }
        }
    }
}

/// Brings the norms of a weight of `shape` over `axes` (below its number of axes) to what the rule says.
///
/// # Panics
/// If the slice is not as long as the shape says, or an axis does not exist.
pub fn norms(ctx: &Context, rule: NormRule, shape: &[usize], axes: &[usize], weights: &mut [f32]) {
    assert_eq!(weights.len(), shape.iter().product::<usize>(), "constraint: length of the weight");
    assert!(axes.iter().all(|&axis| axis < shape.len()), "constraint: an axis does not exist");
    if weights.is_empty() {
        return;
    }
    // Axes side by side that are both summed over, or both not, are one.
    let mut parts: Vec<(usize, bool)> = Vec::new();
    for (axis, &size) in shape.iter().enumerate().filter(|&(_, &size)| size != 1) {
        let summed = axes.contains(&axis);
        match parts.last_mut() {
            Some((joined, same)) if *same == summed => *joined *= size,
            _ => parts.push((size, summed)),
        }
    }
    match parts.as_slice() {
        [] => norms_of_rows(ctx, rule, 1, weights),
        // A norm of each number alone.
        &[(_, false)] => norms_of_rows(ctx, rule, 1, weights),
        &[(size, true)] | &[(_, false), (size, true)] => norms_of_rows(ctx, rule, size, weights),
        &[(_, true), (columns, false)] => norms_of_columns(ctx, rule, columns, weights),
        &[(_, false), (rows, true), (columns, false)] => {
            weights.chunks_exact_mut(rows * columns).for_each(|part| norms_of_columns(ctx, rule, columns, part));
        }
        parts => norms_of_any(rule, parts, weights),
    }
}

/// Norms of the rows of `[rows, columns]`.
fn norms_of_rows(ctx: &Context, rule: NormRule, columns: usize, weights: &mut [f32]) {
    let sums = squares::of_rows(ctx, weights, columns);
    for (row, sum) in weights.chunks_exact_mut(columns).zip(sums) {
        let factor = rule.factor(sum.sqrt());
        row.iter_mut().for_each(|weight| *weight *= factor);
    }
}

/// Norms of the columns of `[rows, columns]`.
fn norms_of_columns(ctx: &Context, rule: NormRule, columns: usize, weights: &mut [f32]) {
    let sums = squares::of_columns(ctx, weights, columns);
    let factors: Vec<f32> = sums.into_iter().map(|sum| rule.factor(sum.sqrt())).collect();
    ctx.simd.run(Multiply { weights, factors: &factors });
}

/// Norms over any axes: which norm a number belongs to is counted along.
fn norms_of_any(rule: NormRule, parts: &[(usize, bool)], weights: &mut [f32]) {
    let count = parts.iter().filter(|(_, summed)| !summed).map(|&(size, _)| size).product::<usize>();
    let group = |mut at: usize| {
        let (mut group, mut stride) = (0, 1);
        for &(size, summed) in parts.iter().rev() {
            if !summed {
                group += at % size * stride;
                stride *= size;
            }
            at /= size;
        }
        group
    };
    let mut sums = vec![0.0f64; count];
    for (at, &weight) in weights.iter().enumerate() {
        sums[group(at)] += f64::from(weight) * f64::from(weight);
    }
    let factors: Vec<f32> = sums.into_iter().map(|sum| rule.factor(sum.sqrt())).collect();
    for (at, weight) in weights.iter_mut().enumerate() {
        *weight *= factors[group(at)];
    }
}

#[cfg(test)]
mod tests {
    use super::{NormRule, norms, not_negative};
    use crate::testing::{Random, assert_close, bits, contexts};

    const RULES: [NormRule; 4] = [
        NormRule::Maximum(0.9),
        NormRule::Unit,
        NormRule::Between { minimum: 0.8, maximum: 1.1, rate: 1.0 },
        NormRule::Between { minimum: 0.8, maximum: 1.1, rate: 0.3 },
    ];

    /// The place of element `at` along each axis.
    fn place(shape: &[usize], mut at: usize) -> Vec<usize> {
        let mut place: Vec<usize> = shape
            .iter()
            .rev()
            .map(|size| {
                let along = at % size;
                at /= size;
                along
            })
            .collect();
        place.reverse();
        place
    }

    fn reference(rule: NormRule, shape: &[usize], axes: &[usize], weights: &[f32]) -> Vec<f64> {
        let group = |at: usize| {
            let mut place = place(shape, at);
            axes.iter().for_each(|&axis| place[axis] = 0);
            place
        };
        let norm = |of: usize| {
            let same = (0..weights.len()).filter(|&at| group(at) == group(of));
            same.map(|at| f64::from(weights[at]).powi(2)).sum::<f64>().sqrt()
        };
        let desired = |norm: f64| match rule {
            NormRule::Maximum(maximum) => norm.min(maximum),
            NormRule::Unit => 1.0,
            NormRule::Between { minimum, maximum, rate } => rate * norm.clamp(minimum, maximum) + (1.0 - rate) * norm,
        };
        (0..weights.len()).map(|at| f64::from(weights[at]) * desired(norm(at)) / (1e-7 + norm(at))).collect()
    }

    #[test]
    fn norms_are_those_of_f64_with_the_same_bits_everywhere() {
        let shapes: [(&[usize], &[usize]); 14] = [
            (&[], &[]),
            (&[0, 4], &[0]),
            (&[1], &[0]),
            (&[7], &[0]),
            (&[7], &[]),
            (&[5, 3], &[0]),
            (&[5, 3], &[1]),
            (&[5, 3], &[0, 1]),
            (&[1, 9], &[0]),
            (&[2, 3, 4], &[0, 1]),
            (&[2, 3, 4], &[1]),
            (&[2, 3, 4], &[0, 2]),
            (&[2, 1, 3, 2], &[0, 3]),
            (&[40, 50], &[0]),
        ];
        for (shape, axes) in shapes {
            for rule in RULES {
                let start = Random::new(5).floats(shape.iter().product());
                let expected = reference(rule, shape, axes, &start);
                let mut first = None;
                for ctx in contexts() {
                    let mut found = start.clone();
                    norms(&ctx, rule, shape, axes, &mut found);
                    assert_close(&found, &expected, &format!("{rule:?} {shape:?} {axes:?}"));
                    assert_eq!(bits(&found), *first.get_or_insert_with(|| bits(&found)));
                }
            }
        }
    }

    #[test]
    fn weights_without_length_stay_0_and_nan_stays() {
        for ctx in contexts() {
            let mut weights = [0.0, f32::NAN, 0.0, 1.0];
            norms(&ctx, NormRule::Maximum(0.5), &[2, 2], &[0], &mut weights);
            assert_eq!([weights[0], weights[2]], [0.0, 0.0]);
            assert!(weights[1].is_nan() && weights[3].is_nan());
        }
    }

    #[test]
    fn negative_weights_become_0() {
        for ctx in contexts() {
            for length in [0, 1, 17, 20_000] {
                let mut found = Random::new(3).floats(length);
                let expected: Vec<f32> = found.iter().map(|x| x.max(0.0)).collect();
                not_negative(&ctx, &mut found);
                assert_eq!(found, expected);
            }
            let mut special = [f32::NAN];
            not_negative(&ctx, &mut special);
            assert!(special[0].is_nan());
        }
    }
}
