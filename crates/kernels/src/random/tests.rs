use super::{RandomKey, fill_normal, fill_truncated_normal, fill_uniform, permutation, philox};
use crate::{Context, simd::Simd};

const KEY: RandomKey = RandomKey { seed: 0x0123_4567_89ab_cdef, step: 77, node: 3 };

/// The known answers of the authors' distribution (Random123, `kat_vectors`, philox4x32 10).
#[test]
fn philox_gives_the_known_answers() {
    assert_eq!(philox::block([0; 4], [0; 2]), [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
    assert_eq!(philox::block([u32::MAX; 4], [u32::MAX; 2]), [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]);
    assert_eq!(
        philox::block([0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344], [0xa409_3822, 0x299f_31d0]),
        [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]
    );
}

#[test]
fn any_range_on_any_path_and_threads_gives_the_values_of_the_stream() {
    for simd in Simd::available() {
        for threads in 1..=3 {
            let ctx = Context::new(threads, simd);
            for (start, length) in [(0, 0), (0, 1), (63, 2), (5, 130), (1, 40_001), (16_383, 3)] {
                let mut out = vec![9.0; length];
                fill_uniform(&ctx, KEY, start, &mut out);
                assert!(out.iter().enumerate().all(|(index, &value)| value == KEY.uniform(start + index)));
                fill_normal(&ctx, KEY, start, 1.0, 2.0, &mut out);
                let expected = |index: usize| (1.0 + 2.0 * KEY.normal(start + index)) as f32;
                assert!(out.iter().enumerate().all(|(index, &value)| value == expected(index)));
            }
        }
    }
}

#[test]
fn keys_name_different_streams() {
    let values = |key: RandomKey| -> Vec<f32> { (0..32).map(|index| key.uniform(index)).collect() };
    let others = [
        RandomKey { seed: KEY.seed + 1, ..KEY },
        RandomKey { seed: KEY.seed ^ 1 << 40, ..KEY },
        RandomKey { step: 78, ..KEY },
        RandomKey { step: 77 | 1 << 40, ..KEY },
        RandomKey { node: 4, ..KEY },
        RandomKey::initial(KEY.seed, 3),
    ];
    for other in others {
        assert!(values(other).iter().zip(values(KEY)).filter(|(a, b)| *a == b).count() <= 1);
    }
}

fn moments(values: &[f32]) -> (f64, f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().map(|&x| f64::from(x)).sum::<f64>() / n;
    let central = |power| values.iter().map(|&x| (f64::from(x) - mean).powi(power)).sum::<f64>() / n;
    (mean, central(2), central(4) / central(2).powi(2))
}

#[test]
fn distributions_have_their_moments() {
    let ctx = Context::new(2, Simd::best());
    let mut out = vec![0.0; 400_000];
    fill_uniform(&ctx, KEY, 0, &mut out);
    assert!(out.iter().all(|x| (0.0..1.0).contains(x)));
    let (mean, variance, kurtosis) = moments(&out);
    assert!((mean - 0.5).abs() < 2e-3 && (variance - 1.0 / 12.0).abs() < 5e-4 && (kurtosis - 1.8).abs() < 0.01);
    fill_normal(&ctx, KEY, 0, 0.0, 1.0, &mut out);
    let (mean, variance, kurtosis) = moments(&out);
    assert!(mean.abs() < 6e-3 && (variance - 1.0).abs() < 0.01 && (kurtosis - 3.0).abs() < 0.05);
    fill_truncated_normal(&ctx, KEY, 0, 0.0, 1.0, &mut out);
    assert!(out.iter().all(|x| x.abs() <= 2.0));
    let (mean, variance, _) = moments(&out);
    // The deviation of a standard normal cut at 2, by which Keras divides.
    assert!(mean.abs() < 6e-3 && (variance.sqrt() - 0.879_625_661_034_239_8).abs() < 4e-3);
}

#[test]
fn a_permutation_is_one_and_depends_on_seed_and_epoch() {
    for n in [0, 1, 2, 3, 1000] {
        let mut sorted = permutation(5, 1, n);
        assert_eq!(sorted, permutation(5, 1, n));
        sorted.sort_unstable();
        assert!(sorted.iter().copied().eq(0..n as u32));
    }
    assert_ne!(permutation(5, 1, 1000), permutation(5, 2, 1000));
    assert_ne!(permutation(5, 1, 1000), permutation(6, 1, 1000));
}

#[test]
fn every_order_is_equally_likely() {
    let mut counts = std::collections::HashMap::new();
    for epoch in 0..24_000 {
        *counts.entry(permutation(9, epoch, 4)).or_insert(0) += 1;
    }
    assert_eq!(counts.len(), 24);
    // Expected 1,000 each, deviation 31.
    assert!(counts.values().all(|count| (860..1140).contains(count)), "{counts:?}");
}

proptest::proptest! {
    #[test]
    fn any_part_of_any_stream_is_that_part(
        seed in 0u64..u64::MAX,
        step in 0u64..u64::MAX,
        node in 0u32..u32::MAX,
        start in 0usize..1 << 33,
        length in 0usize..200,
    ) {
        let key = RandomKey { seed, step, node };
        let mut out = vec![9.0; length];
        fill_uniform(&Context::new(1, Simd::best()), key, start, &mut out);
        let expected: Vec<f32> = (start..start + length).map(|index| key.uniform(index)).collect();
        proptest::prop_assert_eq!(out, expected);
    }
}
