use super::{Activation, backward, forward, forward_in_place};
use crate::{
    Destination,
    testing::{Random, bits, contexts, widen},
};

pub(crate) fn reference(activation: Activation, x: f64) -> f64 {
    let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
    let softplus = |x: f64| x.max(0.0) + (-x.abs()).exp().ln_1p();
    match activation {
        Activation::Linear => x,
        Activation::Relu => x.max(0.0),
        Activation::LeakyRelu => x.max(0.2 * x),
        Activation::Relu6 => x.clamp(0.0, 6.0),
        Activation::Elu | Activation::Celu => {
            if x > 0.0 {
                x
            } else {
                x.exp_m1()
            }
        }
        Activation::Selu => 1.050_700_987_355_480_5 * if x > 0.0 { x } else { 1.673_263_242_354_377_2 * x.exp_m1() },
        Activation::Softplus => softplus(x),
        Activation::Softsign => x / (1.0 + x.abs()),
        Activation::Squareplus => (x + (x * x + 4.0).sqrt()) / 2.0,
        Activation::SoftShrink => x - x.clamp(-0.5, 0.5),
        Activation::HardShrink => {
            if x.abs() > 0.5 {
                x
            } else {
                0.0
            }
        }
        Activation::TanhShrink => x - x.tanh(),
        Activation::SparsePlus => {
            if x >= 1.0 {
                x
            } else {
                ((x + 1.0).max(0.0)).powi(2) / 4.0
            }
        }
        Activation::SparseSigmoid => ((x + 1.0) / 2.0).clamp(0.0, 1.0),
        Activation::Silu => x * sigmoid(x),
        Activation::HardSilu => x * (x + 3.0).clamp(0.0, 6.0) / 6.0,
        Activation::Gelu => x * (1.0 + crate::math::tests::erf_f64(x / 2.0f64.sqrt())) / 2.0,
        Activation::GeluTanh => {
            x * (1.0 + ((2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x.powi(3))).tanh()) / 2.0
        }
        Activation::Mish => x * softplus(x).tanh(),
        Activation::Tanh => x.tanh(),
        Activation::HardTanh => x.clamp(-1.0, 1.0),
        Activation::Sigmoid => sigmoid(x),
        Activation::HardSigmoid => (x / 6.0 + 0.5).clamp(0.0, 1.0),
        Activation::LogSigmoid => -softplus(-x),
        Activation::Exponential => x.exp(),
    }
}

/// Inputs that keep away from all kinks, so that differences work.
fn inputs(length: usize) -> Vec<f32> {
    let mut random = Random::new(7);
    let kinks = [-3.0, -1.0, -0.5, 0.0, 0.5, 1.0, 3.0, 6.0];
    let mut values = Vec::new();
    while values.len() < length {
        let x = random.float() * 8.0;
        if kinks.iter().all(|kink| (x - kink).abs() > 1e-3) {
            values.push(x);
        }
    }
    values
}

/// Errors relative to `scale` (`x` or `dy`): what is computed from a saturated value has few digits of its own.
fn assert_near(found: &[f32], expected: &[f64], scale: &[f32], what: &str) {
    for ((&found, &expected), &scale) in found.iter().zip(expected).zip(scale) {
        let error = (f64::from(found) - expected).abs();
        assert!(
            error <= 2e-6 * f64::from(scale.abs().max(1e-3)).max(expected.abs()),
            "{what}: {found}, expected {expected}"
        );
    }
}

#[test]
fn values_and_gradients_equal_the_reference() {
    let step = 1e-5;
    for (name, activation) in Activation::NAMES {
        assert_eq!(Activation::from_name(name), Some(activation));
        for length in [0, 1, 15, 16, 33, 40_000] {
            let x = inputs(length);
            let dy: Vec<f32> = x.iter().rev().copied().collect();
            let exact: Vec<f64> = x.iter().map(|&x| reference(activation, f64::from(x))).collect();
            let slope = |x: f64| (reference(activation, x + step) - reference(activation, x - step)) / (2.0 * step);
            let exact_dx: Vec<f64> = x.iter().zip(&dy).map(|(&x, &dy)| slope(f64::from(x)) * f64::from(dy)).collect();
            let mut first: Option<(crate::simd::Simd, Vec<u32>)> = None;
            for context in contexts() {
                let what = format!("{name}, {length}, {:?}", context.simd);
                let mut y = vec![f32::NAN; length];
                forward(&context, activation, &x, &mut y);
                assert_near(&y, &exact, &x, &what);
                let mut in_place = x.clone();
                forward_in_place(&context, activation, &mut in_place);
                assert_eq!(bits(&y), bits(&in_place));
                let saved = if activation.gradient_takes_input() { &x } else { &y };
                let mut dx = vec![f32::NAN; length];
                backward(&context, activation, saved, &dy, Destination { data: &mut dx, accumulate: false });
                assert_near(&dx, &exact_dx, &dy, &format!("{what}, gradient"));
                let mut sum = dy.clone();
                backward(&context, activation, saved, &dy, Destination { data: &mut sum, accumulate: true });
                let both: Vec<f64> = exact_dx.iter().zip(widen(&dy)).map(|(dx, dy)| dx + dy).collect();
                assert_near(&sum, &both, &dy, &format!("{what}, added gradient"));
                let found = (context.simd, bits(&dx));
                if let Some(first) = &first
                    && first.0 == found.0
                {
                    assert_eq!(first.1, found.1, "{what}: bits depend on the threads");
                }
                first = Some(found);
            }
        }
    }
    assert_eq!(Activation::from_name("softmax"), None);
}

#[test]
fn extremes_stay_finite_and_nan_stays_nan() {
    let x = [f32::NAN, 1e4, -1e4, 0.0, -0.0, 80.0, -80.0];
    for (name, activation) in Activation::NAMES {
        for context in contexts() {
            let mut y = x;
            forward_in_place(&context, activation, &mut y);
            assert!(y[0].is_nan(), "{name} of NaN is {}", y[0]);
            if activation != Activation::Exponential {
                assert!(y[1..].iter().all(|y| y.is_finite()), "{name}: {y:?}");
            }
            let saved = if activation.gradient_takes_input() { x } else { y };
            let mut dx = [f32::NAN; 7];
            backward(&context, activation, &saved, &[1.0; 7], Destination { data: &mut dx, accumulate: false });
            let end = if activation == Activation::Exponential { 3..7 } else { 1..7 };
            assert!(dx[end].iter().all(|dx| dx.is_finite()), "{name}: slopes {dx:?}");
        }
    }
}
