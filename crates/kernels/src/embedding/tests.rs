use super::{RowGradients, Source, backward, first_outside, forward};
use crate::{
    Context, Destination,
    simd::Simd,
    testing::{Random, assert_close},
};

/// The definition, in f64.
fn reference(sources: &[Source<'_>], rows: usize, width: usize) -> Vec<f64> {
    let mut table = vec![0.0; rows * width];
    for source in sources {
        for (at, &id) in source.ids.iter().enumerate() {
            if source.skip.is_none_or(|skip| !skip[at]) {
                for column in 0..width {
                    table[id as usize * width + column] += f64::from(source.dy[at * width + column]);
                }
            }
        }
    }
    table
}

fn bits(gradients: &RowGradients) -> (Vec<u32>, Vec<u32>) {
    (gradients.rows.clone(), gradients.values.iter().map(|value| value.to_bits()).collect())
}

#[test]
fn forward_gathers_rows() {
    let mut random = Random::new(1);
    for (rows, width, n) in [(1, 1, 1), (3, 17, 5), (7, 50, 1000), (4, 16, 0), (2, 20_000, 3)] {
        let table = random.floats(rows * width);
        let ids: Vec<i32> = (0..n).map(|_| random.below(rows) as i32).collect();
        for threads in 1..=3 {
            let mut y = vec![9.0; n * width];
            forward(&Context::new(threads, Simd::best()), &table, width, &ids, &mut y);
            for (row, &id) in y.chunks_exact(width).zip(&ids) {
                assert_eq!(row, &table[id as usize * width..][..width]);
            }
        }
    }
}

#[test]
fn backward_is_the_dense_gradient_on_every_path_and_number_of_threads() {
    let mut random = Random::new(2);
    for (rows, width, counts) in
        [(1, 1, [1, 0]), (5, 3, [7, 9]), (300, 50, [500, 700]), (9, 64, [0, 0]), (40, 1000, [90, 10])]
    {
        let ids = counts.map(|n| (0..n).map(|_| random.below(rows) as i32).collect::<Vec<_>>());
        let dys = counts.map(|n| random.floats(n * width));
        let skip: Vec<bool> = (0..counts[1]).map(|_| random.below(3) == 0).collect();
        let sources =
            [Source { ids: &ids[0], dy: &dys[0], skip: None }, Source { ids: &ids[1], dy: &dys[1], skip: Some(&skip) }];
        let expected = reference(&sources, rows, width);
        let mut first = None;
        for simd in Simd::available() {
            for threads in 1..=3 {
                let ctx = Context::new(threads, simd);
                let found = backward(&ctx, &sources, rows, width);
                let mut dense = vec![9.0; rows * width];
                found.to_dense(&ctx, Destination { data: &mut dense, accumulate: false }, width);
                assert_close(&dense, &expected, "set");
                found.to_dense(&ctx, Destination { data: &mut dense, accumulate: true }, width);
                let twice: Vec<f64> = expected.iter().map(|x| 2.0 * x).collect();
                assert_close(&dense, &twice, "add");
                // Additions in one order give the same bits on all paths, too.
                assert_eq!(bits(&found), *first.get_or_insert_with(|| bits(&found)));
            }
        }
    }
}

#[test]
fn rows_occur_once_in_ascending_order() {
    let ctx = Context::new(1, Simd::best());
    let dy: Vec<f32> = (1u8..=6).map(f32::from).collect();
    let sources = [
        Source { ids: &[4, 0, 4], dy: &dy[..3], skip: None },
        Source { ids: &[2, 9, 4], dy: &dy[3..], skip: Some(&[false, true, false]) },
    ];
    let found = backward(&ctx, &sources, 10, 1);
    assert_eq!(found.rows, [0, 2, 4]);
    assert_eq!(&found.values[..], [2.0, 4.0, 10.0]);
    assert_eq!(found.width(), 1);
}

#[test]
fn ids_outside_the_table_are_found() {
    assert_eq!(first_outside(&[0, 4, 5], 5), Some(2));
    assert_eq!(first_outside(&[0, -1, 5], 5), Some(1));
    assert_eq!(first_outside(&[0, 4], 5), None);
    let caught = std::panic::catch_unwind(|| {
        forward(&Context::new(1, Simd::best()), &[0.0; 10], 2, &[5], &mut [0.0; 2]);
    });
    assert!(caught.is_err());
}

proptest::proptest! {
    #[test]
    fn any_ids_give_the_dense_gradient(
        ids in proptest::collection::vec(0i32..12, 0..40),
        skip in proptest::collection::vec(proptest::bool::ANY, 40),
        width in 1usize..40,
        split in 0usize..40,
        seed in 0u64..1000,
    ) {
        let ctx = Context::new(2, Simd::best());
        let dy = Random::new(seed).floats(ids.len() * width);
        let split = split.min(ids.len());
        let sources = [
            Source { ids: &ids[..split], dy: &dy[..split * width], skip: None },
            Source { ids: &ids[split..], dy: &dy[split * width..], skip: Some(&skip[split..ids.len()]) },
        ];
        let found = backward(&ctx, &sources, 12, width);
        let mut dense = vec![0.0; 12 * width];
        found.to_dense(&ctx, Destination { data: &mut dense, accumulate: false }, width);
        assert_close(&dense, &reference(&sources, 12, width), "dense");
        let touched = |row: &u32| sources.iter().any(|source| {
            source.ids.iter().enumerate().any(|(at, &id)| id as u32 == *row && source.skip.is_none_or(|skip| !skip[at]))
        });
        proptest::prop_assert_eq!(found.rows, (0..12).filter(touched).collect::<Vec<_>>());
    }
}
