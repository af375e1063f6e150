use super::{RandomKey, coins_below, fill_normal, fill_truncated_normal, fill_uniform, permutation, philox};
use crate::{Context, simd::Simd};

const KEY: RandomKey = RandomKey { seed: 0x0123_4567_89ab_cdef, step: 77, node: 3 };

/// The known answers of the authors' distribution (Random123, `kat_vectors`, philox4x32).
#[test]
fn philox_gives_the_known_answers() {
    let pi = ([0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344], [0xa409_3822, 0x299f_31d0]);
    let inputs = [([0; 4], [0; 2]), ([u32::MAX; 4], [u32::MAX; 2]), pi];
    assert_eq!(
        inputs.map(|(counter, key)| philox::block::<10>(counter, key)),
        [
            [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8],
            [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd],
            [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1],
        ]
    );
    assert_eq!(
        inputs.map(|(counter, key)| philox::block::<7>(counter, key)),
        [
            [0x5f6f_b709, 0x0d89_3f64, 0x4f12_1f81, 0x4f73_0a48],
            [0x5207_ddc2, 0x4516_5e59, 0x4d8e_e751, 0x8c52_f662],
            [0x4dfc_caba, 0x190a_87f0, 0xc473_62ba, 0xb6b5_242a],
        ]
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
fn coins_are_uniform_and_independent_of_their_neighbours() {
    const COUNT: usize = 1 << 18;
    let coins: Vec<u32> = (0..COUNT).map(|index| KEY.coin(index) as u32).collect();
    assert!(coins.iter().all(|&coin| coin < 1 << 16));
    // 256 cells, of the upper four bits of two coins that far apart: within a vector, halves of a word, words, groups.
    for distance in [1, 16, 32, 128] {
        let mut cells = [0.0; 256];
        for (one, other) in coins.iter().zip(&coins[distance..]) {
            cells[(one >> 12 << 4 | other >> 12) as usize] += 1.0;
        }
        let expected = (COUNT - distance) as f64 / 256.0;
        let distances: f64 = cells.iter().map(|count: &f64| (count - expected).powi(2) / expected).sum();
        // Chi-squared with 255 degrees of freedom: mean 255, deviation 22.6.
        assert!((140.0..370.0).contains(&distances), "{distances} at distance {distance}");
    }
    let share = |probability| coins.iter().filter(|&&coin| (coin as f32) < coins_below(probability)).count();
    assert_eq!([share(0.0), share(1e-6), share(1.0)], [0, 0, COUNT]);
    // Deviation 154.
    assert!(share(0.1).abs_diff(26_214) < 600);
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
