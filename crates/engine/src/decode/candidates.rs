//! The best tokens of a row of scores.
use std::cmp::Ordering;

use sconce_kernels::{Context, simd::LANES, softmax};

/// A token with its score.
pub(super) type Scored = (f32, u32);

/// The order of scores from large to small; what is no number comes last.
pub(super) fn descending(a: f32, b: f32) -> Ordering {
    // Zeros of both signs are equal.
    let key = |score: f32| if score.is_nan() { f32::NEG_INFINITY } else { score + 0.0 };
    key(b).total_cmp(&key(a))
}

/// The largest score.
pub(super) fn largest(scores: &[f32]) -> f32 {
    let (groups, rest) = scores.as_chunks::<LANES>();
    let mut most = [f32::NEG_INFINITY; LANES];
    for group in groups {
        for (most, &score) in most.iter_mut().zip(group) {
            *most = if score > *most { score } else { *most };
        }
    }
    most.iter().chain(rest).fold(f32::NEG_INFINITY, |most, &score| if score > most { score } else { most })
}

/// Logarithm of the sum of the exponentials.
pub(super) fn log_sum_exp(scores: &[f32]) -> f64 {
    softmax::log_sum_exp(Context::global(), scores, largest(scores))
}

/// The `count` tokens with the largest scores, the best first, the lowest id of equals; `excluded` and those of minus infinity
/// are none.
pub(super) fn top(scores: &[f32], count: usize, excluded: Option<u32>) -> Vec<Scored> {
    let count = count.min(scores.len());
    let mut found: Vec<Scored> = Vec::with_capacity(count + 1);
    let mut least = f32::NEG_INFINITY;
    let mut offer = |id: usize, score: f32| {
        if Some(id as u32) == excluded || score <= least || score.is_nan() {
            return least;
        }
        let place = found.partition_point(|&(other, _)| other >= score);
        found.insert(place, (score, id as u32));
        found.truncate(count);
        if found.len() == count {
            least = found[count - 1].0;
        }
        least
    };
    let (groups, rest) = scores.as_chunks::<LANES>();
    let mut limit = f32::NEG_INFINITY;
    for (number, group) in groups.iter().enumerate() {
        // Most groups have nothing that is good enough.
        if group.iter().fold(false, |any, &score| any | (score > limit)) {
            for (lane, &score) in group.iter().enumerate() {
                limit = offer(number * LANES + lane, score);
            }
        }
    }
    for (place, &score) in rest.iter().enumerate() {
        offer(groups.len() * LANES + place, score);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::{descending, log_sum_exp, top};

    #[test]
    fn scores_are_ordered_whatever_they_are() {
        let mut scores = [f32::NAN, -0.0, 3.0, f32::NEG_INFINITY, 0.0, f32::INFINITY, -f32::NAN];
        scores.sort_by(|&a, &b| descending(a, b));
        assert_eq!(scores[..4], [f32::INFINITY, 3.0, -0.0, 0.0]);
        assert!(scores[2].is_sign_negative() && scores[4..].iter().all(|score| score.is_nan() || *score < 0.0));
    }

    #[test]
    fn the_best_tokens_are_those_of_a_sorted_row() {
        for length in [1usize, 5, 16, 37, 400] {
            let mut scores: Vec<f32> = (0..length).map(|at| ((at * 7919 + 13) % 101) as f32 * 0.25 - 9.0).collect();
            scores[length / 2] = f32::NEG_INFINITY;
            if length > 4 {
                scores[2] = f32::NAN;
            }
            let mut sorted: Vec<(f32, u32)> = scores.iter().copied().zip(0..).collect();
            sorted.retain(|&(score, id)| score > f32::NEG_INFINITY && id != 3);
            sorted.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
            for count in [1, 2, 8, 50, usize::MAX] {
                assert_eq!(top(&scores, count, Some(3)), sorted[..count.min(sorted.len())], "{length} {count}");
            }
        }
        assert_eq!(top(&[f32::NAN, f32::NEG_INFINITY], 1, None), []);
    }

    #[test]
    fn sums_of_exponentials_do_not_overflow() {
        let scores: Vec<f32> = (0..100).map(|at| 1000.0 + at as f32 * 0.01).collect();
        let exact = scores.iter().map(|&score| (f64::from(score) - 1000.0).exp()).sum::<f64>().ln() + 1000.0;
        assert!((log_sum_exp(&scores) - exact).abs() < 1e-4);
    }
}
