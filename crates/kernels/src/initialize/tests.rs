use super::{Distribution, Draw, Fan, InitializeError, Initializer, fans, golden, orthogonal::orthogonalize};
use crate::{
    Context,
    random::RandomKey,
    simd::Simd,
    testing::{assert_close, bits, contexts, widen},
};

const KEY: RandomKey = RandomKey { seed: 11, step: 0, node: 2 };

fn filled(ctx: &Context, initializer: Initializer, shape: &[usize]) -> Vec<f32> {
    let mut out = vec![9.0; shape.iter().product()];
    assert_eq!(initializer.fill(ctx, shape, KEY, &mut out), Ok(()));
    out
}

fn scaling(scale: f64) -> Initializer {
    Initializer::VarianceScaling { scale, mode: Fan::Out, distribution: Distribution::UntruncatedNormal }
}

#[test]
fn limits_and_deviations_are_those_of_keras() {
    let shapes: [&[usize]; 4] = [&[50, 1024], &[7], &[3, 4, 5], &[]];
    let cases = [
        (Initializer::GlorotUniform, golden::GLOROT_UNIFORM),
        (Initializer::GlorotNormal, golden::GLOROT_NORMAL),
        (Initializer::HeUniform, golden::HE_UNIFORM),
        (Initializer::HeNormal, golden::HE_NORMAL),
        (Initializer::LecunUniform, golden::LECUN_UNIFORM),
        (Initializer::LecunNormal, golden::LECUN_NORMAL),
        (scaling(0.3), golden::SCALING_FAN_OUT),
    ];
    for (initializer, expected) in cases {
        for (shape, expected) in shapes.iter().zip(expected) {
            let found = match initializer.draw(shape) {
                Some(Draw::Uniform { low, high }) if low == -high => high,
                Some(Draw::Normal { mean: 0.0, deviation } | Draw::Truncated { mean: 0.0, deviation }) => deviation,
                other => panic!("{initializer:?} draws {other:?}"),
            };
            assert!((found - expected).abs() <= 1e-12 * expected, "{initializer:?} {shape:?}: {found} {expected}");
        }
    }
    assert_eq!(fans(&[2, 3, 4, 5]), (24, 30));
}

#[test]
fn values_have_the_variance_and_stay_within_the_limits() {
    let ctx = Context::new(2, Simd::best());
    let variance = 2.0 / (300.0 + 500.0);
    for (initializer, largest) in [
        (Initializer::GlorotUniform, (3.0f64 * variance).sqrt()),
        (Initializer::GlorotNormal, 2.0 * variance.sqrt() / 0.879_625_661_034_239_8),
        (Initializer::RandomNormal { mean: 0.0, stddev: variance.sqrt() }, f64::INFINITY),
    ] {
        let values = filled(&ctx, initializer, &[300, 500]);
        let mean = values.iter().map(|&x| f64::from(x)).sum::<f64>() / 150_000.0;
        let found = values.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>() / 150_000.0;
        assert!(mean.abs() < 5e-4 && (found / variance - 1.0).abs() < 0.02, "{initializer:?}: {mean} {found}");
        assert!(values.iter().all(|&x| f64::from(x.abs()) <= largest * (1.0 + 1e-6)), "{initializer:?}");
    }
    let values = filled(&ctx, Initializer::RandomUniform { minval: 2.0, maxval: 5.0 }, &[1000]);
    assert!(values.iter().all(|x| (2.0..=5.0).contains(x)) && values.iter().any(|&x| x > 4.9));
    let values = filled(&ctx, Initializer::TruncatedNormal { mean: 3.0, stddev: 0.5 }, &[1000]);
    assert!(values.iter().all(|x| (2.0..=4.0).contains(x)) && values.iter().any(|&x| x > 3.8));
}

#[test]
fn constants_and_the_identity() {
    let ctx = Context::new(1, Simd::best());
    assert_eq!(filled(&ctx, Initializer::Zeros, &[3]), [0.0; 3]);
    assert_eq!(filled(&ctx, Initializer::Ones, &[3]), [1.0; 3]);
    assert_eq!(filled(&ctx, Initializer::Constant(0.5), &[1, 3]), [0.5; 3]);
    let identity = Initializer::Identity { gain: 2.0 };
    assert_eq!(filled(&ctx, identity, &[2, 3]), [2.0, 0.0, 0.0, 0.0, 2.0, 0.0]);
    assert_eq!(filled(&ctx, identity, &[3, 2]), [2.0, 0.0, 0.0, 2.0, 0.0, 0.0]);
    assert_eq!(filled(&ctx, identity, &[4, 1]), [2.0, 0.0, 0.0, 0.0]);
    assert_eq!(filled(&ctx, identity, &[0, 2]), [0.0; 0]);
    assert_eq!(filled(&ctx, identity, &[2, 0]), [0.0; 0]);
}

#[test]
fn orthogonal_is_that_of_keras_on_the_same_matrix() {
    let ctx = Context::new(2, Simd::best());
    let entry = |i: usize, j: usize| (((5 * i + 3 * j * i + 2 * j * j) % 7) as f64 - 3.0) / 2.0;
    let q = |length: usize, count: usize| {
        let mut q: Vec<f64> = (0..length * count).map(|at| entry(at % length, at / length)).collect();
        orthogonalize(&ctx, &mut q, length);
        q.iter().map(|x| 1.5 * x).collect::<Vec<_>>()
    };
    let transposed = |q: &[f64], length: usize| -> Vec<f64> {
        let count = q.len() / length;
        (0..q.len()).map(|at| q[at % count * length + at / count]).collect()
    };
    assert_close(&golden::ORTHOGONAL_4_3, &transposed(&q(4, 3), 4), "4, 3");
    assert_close(&golden::ORTHOGONAL_2_5, &q(5, 2), "2, 5");
    assert_close(&golden::ORTHOGONAL_3_3, &transposed(&q(3, 3), 3), "3, 3");
}

#[test]
fn orthogonal_rows_or_columns_are_orthonormal() {
    let ctx = Context::new(2, Simd::best());
    for shape in [&[40, 17][..], &[17, 40], &[64, 256], &[33, 33], &[1, 5], &[5, 1], &[2, 3, 4], &[0, 3], &[3, 0]] {
        let columns = shape[shape.len() - 1];
        let values = widen(&filled(&ctx, Initializer::Orthogonal { gain: 2.0 }, shape));
        let rows = values.len() / columns.max(1);
        let (count, step, stride) = if rows < columns { (rows, columns, 1) } else { (columns, 1, columns) };
        let vector = |index: usize| values[index * step..].iter().step_by(stride).take(rows.max(columns));
        for a in 0..count {
            for b in 0..=a {
                let dot: f64 = vector(a).zip(vector(b)).map(|(x, y)| x * y).sum();
                assert!((dot - if a == b { 4.0 } else { 0.0 }).abs() < 2e-6, "{shape:?}: {a} {b} {dot}");
            }
        }
    }
}

#[test]
fn values_do_not_depend_on_threads_or_path() {
    for initializer in [Initializer::GlorotUniform, Initializer::HeNormal, Initializer::Orthogonal { gain: 1.0 }] {
        let mut first = None;
        for ctx in contexts() {
            let found = bits(&filled(&ctx, initializer, &[70, 90]));
            assert_eq!(found, *first.get_or_insert_with(|| found.clone()));
        }
    }
}

#[test]
fn misfits_are_refused() {
    let ctx = Context::new(1, Simd::best());
    let fill = |initializer: Initializer, shape: &[usize]| {
        let mut out = vec![0.0; shape.iter().product()];
        initializer.fill(&ctx, shape, KEY, &mut out)
    };
    assert_eq!(fill(Initializer::Orthogonal { gain: 1.0 }, &[3]), Err(InitializeError::OrthogonalRank(1)));
    assert_eq!(fill(Initializer::Identity { gain: 1.0 }, &[1, 2, 3]), Err(InitializeError::IdentityRank(3)));
    assert_eq!(fill(scaling(0.0), &[3]), Err(InitializeError::Scale(0.0)));
    assert!(matches!(fill(scaling(f64::NAN), &[3]), Err(InitializeError::Scale(_))));
}
