use super::sample_sums;
use crate::{
    random::RandomKey,
    testing::{Random, contexts},
};

/// What is drawn: four words of each fourth block.
fn drawn(seed: u64, sample: u32, segments: usize) -> Vec<usize> {
    let key = RandomKey { seed, step: 0x626f_6f74 << 32, node: sample };
    (0..segments)
        .map(|index| {
            let word = key.block((index - index % 4) as u32)[index % 4];
            // The same in integers.
            ((u64::from(word) * segments as u64) >> 32) as usize
        })
        .collect()
}

#[test]
fn sums_are_those_of_the_drawn_segments_for_any_number_of_threads() {
    let mut random = Random::new(7);
    for (segments, width, samples) in [(1, 1, 3), (7, 3, 50), (2003, 11, 40), (4, 1, 0)] {
        let rows: Vec<f64> = random.floats(segments * width).into_iter().map(f64::from).collect();
        for (seed, first) in [(0, 0), (12345, 5), (u64::MAX, u32::MAX - 60)] {
            let mut expected = vec![0.0; samples * width];
            for (sample, sums) in expected.chunks_exact_mut(width).enumerate() {
                for segment in drawn(seed, first + sample as u32, segments) {
                    for (column, sum) in sums.iter_mut().enumerate() {
                        *sum += rows[segment * width + column];
                    }
                }
            }
            let mut here = vec![f64::NAN; samples * width];
            sample_sums(None, &rows, width, seed, first, &mut here);
            assert_eq!(here, expected);
            for context in contexts() {
                let mut found = vec![f64::NAN; samples * width];
                sample_sums(Some(&context), &rows, width, seed, first, &mut found);
                assert_eq!(found, expected);
            }
        }
    }
}

#[test]
fn every_segment_is_drawn_about_as_often() {
    let segments = 10;
    let rows: Vec<f64> = (0..segments * segments).map(|at| f64::from(u8::from(at % 11 == 0))).collect();
    let mut sums = vec![0.0; 1000 * segments];
    sample_sums(None, &rows, segments, 3, 0, &mut sums);
    let counts: Vec<f64> = (0..segments).map(|column| sums.iter().skip(column).step_by(segments).sum()).collect();
    assert_eq!(counts.iter().sum::<f64>(), 10_000.0);
    assert!(counts.iter().all(|count| (850.0..1150.0).contains(count)), "{counts:?}");
}

#[test]
#[should_panic(expected = "not whole rows")]
fn parts_of_rows_are_refused() {
    sample_sums(None, &[0.0; 5], 2, 0, 0, &mut [0.0; 2]);
}

#[test]
#[should_panic(expected = "0 segments")]
fn nothing_to_draw_from_is_refused() {
    sample_sums(None, &[], 2, 0, 0, &mut [0.0; 2]);
}
