use super::{backward, forward, log_backward, log_forward};
use crate::{
    Destination,
    testing::{Random, assert_close, bits, contexts, widen},
};

fn reference(x: &[f64], width: usize, logarithm: bool) -> Vec<f64> {
    let row = |row: &[f64]| {
        let largest = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = row.iter().map(|x| (x - largest).exp()).sum();
        let value = |x: &f64| if logarithm { x - largest - sum.ln() } else { (x - largest).exp() / sum };
        row.iter().map(value).collect::<Vec<_>>()
    };
    x.chunks_exact(width).flat_map(row).collect()
}

/// `dy` times the differences of the reference.
fn differences(x: &[f64], dy: &[f64], width: usize, logarithm: bool) -> Vec<f64> {
    let step = 1e-5;
    let value =
        |row: &[f64], dy: &[f64]| reference(row, width, logarithm).iter().zip(dy).map(|(y, dy)| y * dy).sum::<f64>();
    let mut gradient = Vec::new();
    for (row, dy) in x.chunks_exact(width).zip(dy.chunks_exact(width)) {
        for index in 0..width {
            let mut moved = row.to_vec();
            moved[index] += step;
            let above = value(&moved, dy);
            moved[index] -= 2.0 * step;
            gradient.push((above - value(&moved, dy)) / (2.0 * step));
        }
    }
    gradient
}

#[test]
fn rows_and_their_gradients_equal_the_reference() {
    let mut random = Random::new(11);
    for (rows, width) in [(0, 3), (1, 1), (3, 2), (5, 16), (4, 33), (2, 100), (700, 47)] {
        let x: Vec<f32> = random.floats(rows * width).iter().map(|x| x * 5.0).collect();
        let dy = random.floats(rows * width);
        for logarithm in [false, true] {
            let exact = reference(&widen(&x), width, logarithm);
            let exact_dx = differences(&widen(&x), &widen(&dy), width, logarithm);
            let mut last: Option<(crate::simd::Simd, Vec<u32>)> = None;
            for context in contexts() {
                let what = format!("[{rows}, {width}], logarithm {logarithm}, {:?}", context.simd);
                let mut y = vec![f32::NAN; x.len()];
                let mut dx = vec![f32::NAN; x.len()];
                let mut sum = dy.clone();
                let gradient = if logarithm { log_backward } else { backward };
                if logarithm {
                    log_forward(&context, width, &x, &mut y);
                } else {
                    forward(&context, width, &x, &mut y);
                }
                assert_close(&y, &exact, &what);
                gradient(&context, width, &y, &dy, Destination { data: &mut dx, accumulate: false });
                assert_close(&dx, &exact_dx, &what);
                gradient(&context, width, &y, &dy, Destination { data: &mut sum, accumulate: true });
                let both: Vec<f64> = exact_dx.iter().zip(widen(&dy)).map(|(dx, dy)| dx + dy).collect();
                assert_close(&sum, &both, &what);
                let found = (context.simd, bits(&dx));
                if let Some(last) = &last
                    && last.0 == found.0
                {
                    assert_eq!(last.1, found.1, "{what}: bits depend on the threads");
                }
                last = Some(found);
            }
        }
    }
}

#[test]
fn large_logits_do_not_overflow() {
    for context in contexts() {
        let mut y = [0.0; 3];
        forward(&context, 3, &[1e4, -1e4, 1e4], &mut y);
        assert_eq!(y, [0.5, 0.0, 0.5]);
        log_forward(&context, 3, &[1e4, -1e4, 1e4], &mut y);
        assert!(y.iter().all(|y| y.is_finite()), "{y:?}");
        forward(&context, 3, &[0.0, f32::NAN, 0.0], &mut y);
        assert!(y.iter().all(|y| y.is_nan()), "{y:?}");
    }
}

#[test]
fn the_logarithm_of_a_sum_equals_the_reference() {
    let mut random = Random::new(33);
    for context in contexts() {
        for width in [1, 15, 16, 17, 1024, 1030, 5000] {
            let x: Vec<f32> = random.floats(width).iter().map(|x| 5.0 * x).collect();
            let largest = x.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let expected = x.iter().map(|&x| f64::from(x).exp()).sum::<f64>().ln();
            assert!((super::log_sum_exp(&context, &x, largest) - expected).abs() < 1e-6, "{width}");
        }
        assert!(super::log_sum_exp(&context, &[1.0, f32::NAN], 1.0).is_nan());
    }
}
