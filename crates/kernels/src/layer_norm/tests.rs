use super::{
    LayerNormGradients, LayerNormInputs, LayerNormSaved, LayerNormWeights, backward, forward,
    reference::{self, reference},
};
use crate::{
    Destination,
    testing::{Random, assert_close, bits, contexts, widen},
};

const EPSILON: f32 = 1e-3;

#[test]
fn rows_and_all_gradients_equal_the_reference() {
    let mut random = Random::new(21);
    let mut shapes = vec![(0, 5), (1, 1), (1, 17), (3, 16), (700, 3), (5, 1000), (2, 20_000)];
    shapes.extend((0..6).map(|_| (1 + random.below(300), 1 + random.below(70))));
    for (rows, width) in shapes {
        let x: Vec<f32> = random.floats(rows * width).iter().map(|x| 3.0 * x + 1.0).collect();
        let (dy, gamma, beta) = (random.floats(rows * width), random.floats(width), random.floats(width));
        for (scaled, centred) in [(true, true), (true, false), (false, true), (false, false)] {
            let weights = LayerNormWeights { gamma: scaled.then_some(&gamma), beta: centred.then_some(&beta) };
            let ones = vec![1.0; width];
            let zeros = vec![0.0; width];
            let exact = reference(
                &widen(&x),
                &widen(weights.gamma.unwrap_or(&ones)),
                &widen(weights.beta.unwrap_or(&zeros)),
                &widen(&dy),
                f64::from(EPSILON),
            );
            let mut last: Option<(crate::simd::Simd, Vec<Vec<u32>>)> = None;
            for context in contexts() {
                let what = format!("[{rows}, {width}], gamma {scaled}, beta {centred}, {:?}", context.simd);
                let mut y = vec![f32::NAN; x.len()];
                let (mut mean, mut inverse) = (vec![f32::NAN; rows], vec![f32::NAN; rows]);
                let saved = LayerNormSaved { mean: &mut mean, inverse: &mut inverse };
                forward(&context, width, EPSILON, &x, weights, &mut y, Some(saved));
                assert_close(&y, &exact.y, &what);
                let mut alone = vec![f32::NAN; x.len()];
                forward(&context, width, EPSILON, &x, weights, &mut alone, None);
                assert_eq!(bits(&alone), bits(&y), "{what}: nothing saved");
                let inputs = LayerNormInputs { x: &x, gamma: weights.gamma, mean: &mean, inverse: &inverse };
                let mut dx = vec![f32::NAN; x.len()];
                let (mut dgamma, mut dbeta) = (vec![f32::NAN; width], vec![f32::NAN; width]);
                let gradients = LayerNormGradients {
                    dx: Some(Destination { data: &mut dx, accumulate: false }),
                    dgamma: Some(Destination { data: &mut dgamma, accumulate: false }),
                    dbeta: Some(Destination { data: &mut dbeta, accumulate: false }),
                };
                backward(&context, width, inputs, &dy, gradients);
                // A row of one element does not change with it, and what is left of dx is rounding alone.
                if width > 1 {
                    assert_close(&dx, &exact.dx, &format!("{what}: dx"));
                    assert_close(&dgamma, &exact.dgamma, &format!("{what}: dgamma"));
                }
                assert_close(&dbeta, &exact.dbeta, &format!("{what}: dbeta"));
                let found = vec![bits(&y), bits(&dx), bits(&dgamma), bits(&dbeta)];
                if let Some((simd, last)) = &last
                    && *simd == context.simd
                {
                    assert_eq!(*last, found, "{what}: bits depend on the threads");
                }
                last = Some((context.simd, found));
            }
        }
    }
}

#[test]
fn gradients_are_added_where_asked_and_each_alone() {
    let mut random = Random::new(22);
    let (rows, width) = (37, 19);
    let (x, dy, gamma) = (random.floats(rows * width), random.floats(rows * width), random.floats(width));
    for context in contexts() {
        let mut y = vec![0.0; x.len()];
        let (mut mean, mut inverse) = (vec![0.0; rows], vec![0.0; rows]);
        let weights = LayerNormWeights { gamma: Some(&gamma), beta: None };
        let saved = LayerNormSaved { mean: &mut mean, inverse: &mut inverse };
        forward(&context, width, EPSILON, &x, weights, &mut y, Some(saved));
        let inputs = LayerNormInputs { x: &x, gamma: Some(&gamma), mean: &mean, inverse: &inverse };
        let run = |which: usize, data: &mut [f32], accumulate| {
            let mut gradients = LayerNormGradients::default();
            let place =
                [&mut gradients.dx, &mut gradients.dgamma, &mut gradients.dbeta].into_iter().nth(which).unwrap();
            *place = Some(Destination { data, accumulate });
            backward(&context, width, inputs, &dy, gradients);
        };
        for (which, length) in [x.len(), width, width].into_iter().enumerate() {
            let mut once = vec![f32::NAN; length];
            run(which, &mut once, false);
            let mut added = vec![1.0; length];
            run(which, &mut added, true);
            assert!(once.iter().zip(&added).all(|(once, added)| (once + 1.0 - added).abs() < 1e-5));
        }
    }
}

#[test]
fn the_reference_has_the_slopes_of_its_forward_pass() {
    let mut random = Random::new(23);
    let width = 5;
    let numbers = |random: &mut Random, length| widen(&random.floats(length));
    let x = numbers(&mut random, 2 * width);
    let (gamma, beta) = (numbers(&mut random, width), numbers(&mut random, width));
    let dy = numbers(&mut random, 2 * width);
    let exact = reference(&x, &gamma, &beta, &dy, 1e-3);
    let value = |x: &[f64], gamma: &[f64], beta: &[f64]| {
        reference::forward(x, gamma, beta, 1e-3).iter().zip(&dy).map(|(y, dy)| y * dy).sum::<f64>()
    };
    let slope = |values: &[f64], at: usize, value: &dyn Fn(&[f64]) -> f64| {
        let mut moved = values.to_vec();
        moved[at] += 1e-5;
        let above = value(&moved);
        moved[at] -= 2e-5;
        (above - value(&moved)) / 2e-5
    };
    for at in 0..x.len() {
        assert!((slope(&x, at, &|x| value(x, &gamma, &beta)) - exact.dx[at]).abs() < 1e-7);
    }
    for at in 0..width {
        assert!((slope(&gamma, at, &|gamma| value(&x, gamma, &beta)) - exact.dgamma[at]).abs() < 1e-7);
        assert!((slope(&beta, at, &|beta| value(&x, &gamma, beta)) - exact.dbeta[at]).abs() < 1e-7);
    }
}

#[test]
fn constant_rows_and_large_offsets_stay_finite() {
    for context in contexts() {
        let x = [[1e4f32; 20], [-7.0; 20]].concat();
        let mut y = vec![f32::NAN; 40];
        forward(&context, 20, EPSILON, &x, LayerNormWeights::default(), &mut y, None);
        assert!(y.iter().all(|y| y.abs() < 1e-1), "{y:?}");
        forward(&context, 2, EPSILON, &[0.0, f32::NAN], LayerNormWeights::default(), &mut y[..2], None);
        assert!(y[..2].iter().all(|y| y.is_nan()), "{y:?}");
    }
}
