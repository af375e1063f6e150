use super::add;
use crate::testing::{Random, assert_close, contexts};

#[test]
fn sums_of_exponentials_equal_the_reference() {
    let mut random = Random::new(5);
    for context in contexts() {
        for length in [0usize, 1, 15, 16, 17, 100] {
            let mut sum: Vec<f32> = random.floats(length).iter().map(|x| 30.0 * x).collect();
            let x: Vec<f32> = random.floats(length).iter().map(|x| 30.0 * x).collect();
            let expected: Vec<f64> =
                sum.iter().zip(&x).map(|(&sum, &x)| (f64::from(sum).exp() + (f64::from(x) - 1.5).exp()).ln()).collect();
            add(&context, &mut sum, &x, -1.5);
            assert_close(&sum, &expected, &format!("{length}, {:?}", context.simd));
        }
    }
}

#[test]
fn what_is_impossible_for_one_is_half_as_probable_and_for_both_impossible() {
    const OUT: f32 = f32::NEG_INFINITY;
    for context in contexts() {
        let mut sum = [OUT, 2.0, OUT, -300.0, 1e4, 0.0];
        add(&context, &mut sum, &[OUT, OUT, 3.0, -300.0, -1e4, -1e-20], 0.0);
        let half = std::f32::consts::LN_2;
        assert_eq!(sum[..3], [OUT, 2.0, 3.0]);
        for (found, expected) in sum[3..].iter().zip([half - 300.0, 1e4, half]) {
            assert!((found - expected).abs() <= 1e-6 * expected.abs(), "{found} {expected}");
        }
    }
}
