use super::{SumPenalty, Vectors, orthogonal};
use crate::testing::{Random, assert_close, bits, contexts, widen};

const FACTORS: [SumPenalty; 4] = [
    SumPenalty { l1: 0.3, l2: 0.0 },
    SumPenalty { l1: 0.0, l2: 0.2 },
    SumPenalty { l1: 0.03, l2: 0.5 },
    SumPenalty { l1: 0.0, l2: 0.0 },
];

#[test]
fn sums_and_gradients_are_those_of_f64_with_the_same_bits_everywhere() {
    for length in [0, 1, 15, 16, 33, 40_001] {
        for penalty in FACTORS {
            let mut random = Random::new(length as u64);
            let mut weights = random.floats(length);
            weights.iter_mut().step_by(5).for_each(|weight| *weight = 0.0);
            let before = random.floats(length);
            let sum = |f: fn(f64) -> f64| widen(&weights).into_iter().map(f).sum::<f64>();
            let expected = penalty.l1 * sum(f64::abs) + penalty.l2 * sum(|w| w * w);
            let sign = |w: f64| if w == 0.0 { 0.0 } else { w.signum() };
            let gradient = |w: f64| penalty.l1 * sign(w) + 2.0 * penalty.l2 * w;
            let gradients: Vec<f64> =
                widen(&before).into_iter().zip(widen(&weights)).map(|(g, w)| g + 0.5 * gradient(w)).collect();
            let mut first = None;
            for ctx in contexts() {
                let found = penalty.value(&ctx, &weights);
                assert!((found - expected).abs() <= 1e-12 * expected.abs(), "{found}, expected {expected}");
                let mut found_gradients = before.clone();
                penalty.add_gradient(&ctx, &weights, 0.5, &mut found_gradients);
                assert_close(&found_gradients, &gradients, &format!("{penalty:?} {length}"));
                let all = (found.to_bits(), bits(&found_gradients));
                assert_eq!(all, *first.get_or_insert_with(|| all.clone()));
            }
        }
    }
}

#[test]
fn what_is_not_a_number_shows_in_the_penalty() {
    for ctx in contexts() {
        assert!(SumPenalty { l1: 0.1, l2: 0.0 }.value(&ctx, &[1.0, f32::NAN]).is_nan());
        assert_eq!(SumPenalty { l1: 0.0, l2: 0.0 }.value(&ctx, &[f32::INFINITY]), 0.0);
    }
}

fn orthogonal_reference(factor: f64, vectors: &[Vec<f64>]) -> f64 {
    let normal: Vec<Vec<f64>> = vectors
        .iter()
        .map(|vector| {
            let norm = vector.iter().map(|x| x * x).sum::<f64>().sqrt().max(1e-7);
            vector.iter().map(|x| x / norm).collect()
        })
        .collect();
    let product = |i: usize, j: usize| normal[i].iter().zip(&normal[j]).map(|(a, b)| a * b).sum::<f64>();
    let count = normal.len();
    let pairs: f64 = (0..count).flat_map(|i| (0..i).map(move |j| (i, j))).map(|(i, j)| product(i, j).abs()).sum();
    if count < 2 { 0.0 } else { factor * pairs / (count * (count - 1) / 2) as f64 }
}

#[test]
fn the_orthogonal_penalty_and_its_gradient_are_those_of_f64() {
    for (rows, columns) in [(0, 3), (1, 4), (4, 1), (2, 2), (5, 3), (3, 17)] {
        for vectors in [Vectors::Rows, Vectors::Columns] {
            let weights = Random::new(11).floats(rows * columns);
            let split = |weights: &[f64]| -> Vec<Vec<f64>> {
                let at = |i: usize, j: usize| weights[i * columns + j];
                match vectors {
                    Vectors::Rows => (0..rows).map(|i| (0..columns).map(|j| at(i, j)).collect()).collect(),
                    Vectors::Columns => (0..columns).map(|j| (0..rows).map(|i| at(i, j)).collect()).collect(),
                }
            };
            let exact = widen(&weights);
            let expected = orthogonal_reference(0.3, &split(&exact));
            let gradients: Vec<f64> = (0..exact.len())
                .map(|at| {
                    let moved = |by: f64| {
                        let mut weights = exact.clone();
                        weights[at] += by;
                        orthogonal_reference(0.3, &split(&weights))
                    };
                    1.0 + 0.5 * (moved(1e-6) - moved(-1e-6)) / 2e-6
                })
                .collect();
            let mut first = None;
            for ctx in contexts() {
                let mut found = vec![1.0; weights.len()];
                let value = orthogonal(&ctx, (0.3, vectors), (rows, columns), &weights, Some((0.5, &mut found)));
                assert!((value - expected).abs() <= 1e-6 * expected.max(1e-6), "{value}, expected {expected}");
                assert_close(&found, &gradients, &format!("{vectors:?} {rows} {columns}"));
                assert_eq!(value, orthogonal(&ctx, (0.3, vectors), (rows, columns), &weights, None));
                // Products round differently on another path.
                let of_path = first.get_or_insert((ctx.simd, value));
                if of_path.0 == ctx.simd {
                    assert_eq!(of_path.1, value);
                } else {
                    first = Some((ctx.simd, value));
                }
            }
        }
    }
}

#[test]
fn a_vector_without_length_is_only_scaled() {
    for ctx in contexts() {
        let mut gradients = [0.0; 4];
        let weights = [0.0, 0.0, 1.0, 2.0];
        let value = orthogonal(&ctx, (1.0, Vectors::Rows), (2, 2), &weights, Some((1.0, &mut gradients)));
        assert_eq!((value, gradients), (0.0, [0.0; 4]));
    }
}
