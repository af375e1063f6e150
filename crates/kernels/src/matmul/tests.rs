use super::{
    Mask, MaskedTask, MatmulBatch, MatmulOptions, MatmulShape, Task, matmul, matmul_batched, reference,
    sparse::SparseTask,
};
use crate::{
    Destination, Precision,
    shared::Shared,
    simd::Simd,
    testing::{Random, assert_close, bits, contexts, pair_paths, rounded, rounding, widen},
};

const OPTIONS: [MatmulOptions; 4] = [
    MatmulOptions { transpose_a: false, transpose_b: false },
    MatmulOptions { transpose_a: false, transpose_b: true },
    MatmulOptions { transpose_a: true, transpose_b: false },
    MatmulOptions { transpose_a: true, transpose_b: true },
];

fn check(random: &mut Random, shape: MatmulShape) {
    let MatmulShape { rows, columns, inner } = shape;
    let (a, b, before) = (random.floats(rows * inner), random.floats(inner * columns), random.floats(rows * columns));
    for options in OPTIONS {
        let product = reference::matmul(&widen(&a), &widen(&b), shape, options);
        for accumulate in [false, true] {
            let expected: Vec<f64> =
                product.iter().zip(&before).map(|(x, &y)| x + if accumulate { f64::from(y) } else { 0.0 }).collect();
            let mut all = Vec::new();
            for context in contexts() {
                let mut c = before.clone();
                matmul(&context, Destination { data: &mut c, accumulate }, &a, &b, shape, options);
                assert_close(&c, &expected, &format!("{context:?} {shape:?} {options:?}"));
                all.push(bits(&c));
            }
            assert!(all.windows(2).all(|pair| pair[0] == pair[1]), "bits differ: {shape:?} {options:?}");
        }
    }
}

#[test]
fn products_equal_the_reference() {
    let mut random = Random::new(7);
    let sizes = [0, 1, 2, 7, 16, 19, 33, 100];
    for _ in 0..60 {
        let [rows, columns, inner] = [(); 3].map(|()| sizes[random.below(sizes.len())]);
        check(&mut random, MatmulShape { rows, columns, inner });
    }
}

#[test]
fn large_products_equal_the_reference() {
    let mut random = Random::new(8);
    // The last ones: sums of several blocks; left operands that are copied, whole and in blocks.
    let long = [(70, 80, 2700), (512, 80, 1400), (1024, 70, 1300)];
    for (rows, columns, inner) in
        [(70, 512, 40), (300, 200, 70), (3, 900, 400), (600, 3, 600), (130, 600, 17)].into_iter().chain(long)
    {
        check(&mut random, MatmulShape { rows, columns, inner });
    }
}

#[test]
fn a_row_does_not_depend_on_the_others() {
    let mut random = Random::new(9);
    let (columns, inner) = (70, 300);
    let b = random.floats(inner * columns);
    let a = random.floats(200 * inner);
    for context in contexts() {
        for transpose_b in [false, true] {
            let options = MatmulOptions { transpose_a: false, transpose_b };
            let product = |rows: usize| {
                let mut c = vec![0.0; rows * columns];
                let shape = MatmulShape { rows, columns, inner };
                let destination = Destination { data: &mut c, accumulate: false };
                matmul(&context, destination, &a[..rows * inner], &b, shape, options);
                c
            };
            let all = product(200);
            for rows in [1, 5, 16, 64] {
                assert_eq!(bits(&product(rows)), bits(&all[..rows * columns]));
            }
        }
    }
}

#[test]
fn batches_equal_single_products() {
    let mut random = Random::new(10);
    for (count, rows, columns, inner) in
        [(0, 2, 2, 2), (1, 5, 4, 3), (40, 7, 20, 9), (3, 40, 30, 20), (2, 400, 300, 200)]
    {
        let shape = MatmulShape { rows, columns, inner };
        let batch = MatmulBatch { count, a: rows * inner, b: 0, c: rows * columns + 2 };
        let (a, b) = (random.floats(count * rows * inner), random.floats(inner * columns));
        for context in contexts() {
            let mut c = vec![1.0; count * batch.c];
            let destination = Destination { data: &mut c, accumulate: true };
            matmul_batched(&context, destination, &a, &b, shape, MatmulOptions::default(), batch);
            for (index, found) in c.chunks_exact(batch.c).enumerate() {
                let a = &a[index * batch.a..][..batch.a];
                let expected = reference::matmul(&widen(a), &widen(&b), shape, MatmulOptions::default());
                let expected: Vec<f64> = expected.into_iter().map(|x| x + 1.0).chain([1.0, 1.0]).collect();
                assert_close(found, &expected, &format!("{context:?} {shape:?}"));
            }
        }
    }
}

/// So many floats, of which about `kept` per cent are not 0.
fn thinned(random: &mut Random, length: usize, kept: usize) -> Vec<f32> {
    (0..length).map(|_| if random.below(100) < kept { random.float() } else { 0.0 }).collect()
}

#[test]
fn leaving_out_zeros_changes_no_bit() {
    let mut random = Random::new(11);
    let shapes = [(64, 64, 64), (70, 300, 130), (130, 256, 1), (3, 5, 7), (64, 513, 40), (200, 128, 200)];
    for (rows, columns, inner) in shapes {
        let shape = MatmulShape { rows, columns, inner };
        for (kept, options) in [0, 10, 50, 100].into_iter().flat_map(|kept| OPTIONS.map(|options| (kept, options))) {
            let dense = random.floats(inner * rows.max(columns));
            let (before, bias) = (random.floats(rows * columns), random.floats(columns));
            for (of_left, accumulate, biased) in [
                (true, false, false),
                (true, true, false),
                (true, false, true),
                (false, false, false),
                (false, true, false),
            ] {
                let thin = thinned(&mut random, inner * if of_left { rows } else { columns }, kept);
                let dense = &dense[..inner * if of_left { columns } else { rows }];
                let (a, b) = if of_left { (thin.as_slice(), dense) } else { (dense, thin.as_slice()) };
                let product = |precision: Precision, sparse: bool, simd: Simd| {
                    let mut c = before.clone();
                    let task = Task {
                        a,
                        b,
                        c: Shared::new(&mut c),
                        accumulate,
                        bias: biased.then_some(bias.as_slice()),
                        shape,
                        options,
                        precision,
                    };
                    let share = |pieces: usize, work: &(dyn Fn(usize) + Sync)| (0..pieces).for_each(work);
                    match (sparse, of_left) {
                        (false, _) => task.run_dense(simd, 1, &share),
                        (true, true) => SparseTask::of_left(&task).run(simd, &share),
                        (true, false) => SparseTask::of_right(&task).run(simd, &share),
                    }
                    c
                };
                let of_floats = Simd::available().into_iter().map(|simd| (Precision::Float32, Simd::best(), simd));
                // Instructions may treat what is no normal number in another way than portable code.
                let of_pairs = pair_paths().into_iter().map(|simd| (Precision::Bfloat16, simd, simd));
                for (precision, dense, simd) in of_floats.chain(of_pairs) {
                    let expected = product(precision, false, dense);
                    let found = product(precision, true, simd);
                    let what = format!(
                        "{simd:?} {precision:?} {shape:?} {options:?} {kept} % {of_left} {accumulate} {biased}"
                    );
                    assert_close(&found, &widen(&expected), &what);
                    // Tiles of a transposed result are added at the end.
                    if !accumulate || precision == Precision::Bfloat16 {
                        assert_eq!(bits(&found), bits(&expected), "{what}");
                    }
                }
            }
        }
    }
}

#[test]
fn large_products_with_zeros_equal_the_reference() {
    let mut random = Random::new(12);
    let shape = MatmulShape { rows: 200, columns: 130, inner: 170 };
    let thin = thinned(&mut random, 200 * 170, 30);
    for options in OPTIONS {
        let (a, b) = (&thin, random.floats(170 * 130));
        let c = Shared::new(&mut []);
        let (accumulate, precision) = (false, Precision::Float32);
        let task = Task { a, b: &b, c, accumulate, bias: None, shape, options, precision };
        assert!(
            Simd::available().into_iter().all(|simd| SparseTask::find(&task, simd).is_some() == (simd != Simd::Scalar))
        );
        let of_pairs = Task { precision: Precision::Bfloat16, ..task };
        let multiplies = |simd: &Simd| simd.multiplies_pairs();
        assert!(pair_paths().iter().all(|simd| SparseTask::find(&of_pairs, *simd).is_some() == multiplies(simd)));
        assert!(SparseTask::find(&Task { a: &random.floats(200 * 170), ..task }, Simd::best()).is_none());
        let other = MatmulOptions { transpose_a: options.transpose_b, transpose_b: options.transpose_a };
        let turned = MatmulShape { rows: 130, columns: 200, inner: 170 };
        for (a, b, shape, options) in [(a, &b, shape, options), (&b, a, turned, other)] {
            let round = |values: &[f32]| values.iter().map(|&value| rounded(value)).collect::<Vec<_>>();
            let expected = reference::matmul(&widen(a), &widen(b), shape, options);
            let of_rounded = reference::matmul(&widen(&round(a)), &widen(&round(b)), shape, options);
            for context in rounding() {
                let mut c = vec![f32::NAN; shape.rows * shape.columns];
                matmul(&context, Destination { data: &mut c, accumulate: false }, a, b, shape, options);
                assert_close(&c, &of_rounded, &format!("{context:?} {shape:?} {options:?}"));
            }
            let mut all = Vec::new();
            for context in contexts() {
                let mut c = vec![f32::NAN; shape.rows * shape.columns];
                matmul(&context, Destination { data: &mut c, accumulate: false }, a, b, shape, options);
                assert_close(&c, &expected, &format!("{context:?} {shape:?} {options:?}"));
                all.push(bits(&c));
            }
            assert!(all.windows(2).all(|pair| pair[0] == pair[1]), "bits differ: {shape:?} {options:?}");
        }
    }
}

#[test]
fn what_a_mask_does_not_want_is_left_out() {
    let mut random = Random::new(14);
    let options = MatmulOptions::default();
    for (rows, columns, inner) in [(1, 1, 1), (70, 100, 16), (5, 33, 130), (66, 20, 300), (3, 65, 530), (64, 130, 256)]
    {
        let shape = MatmulShape { rows, columns, inner };
        let (a, b, before) =
            (random.floats(rows * inner), random.floats(inner * columns), random.floats(rows * columns));
        let product = reference::matmul(&widen(&a), &widen(&b), shape, options);
        for (kept, accumulate) in [0, 10, 50, 100].into_iter().flat_map(|kept| [(kept, false), (kept, true)]) {
            let mask = thinned(&mut random, rows * columns, kept);
            let expected: Vec<f64> = (0..rows * columns)
                .map(|at| {
                    let before = if accumulate { f64::from(before[at]) } else { 0.0 };
                    before + if mask[at] == 0.0 { 0.0 } else { 0.5 * product[at] }
                })
                .collect();
            let mut all = Vec::new();
            for context in contexts() {
                let mut c = before.clone();
                let precision = Precision::Float32;
                let task =
                    Task { a: &a, b: &b, c: Shared::new(&mut c), accumulate, bias: None, shape, options, precision };
                MaskedTask::new(&task, Mask { values: &mask, factor: 0.5 }).run(&context);
                assert_close(&c, &expected, &format!("{context:?} {shape:?} {kept} % {accumulate}"));
                all.push(bits(&c));
            }
            assert!(all.windows(2).all(|pair| pair[0] == pair[1]), "bits differ: {shape:?} {kept} %");
        }
    }
}
