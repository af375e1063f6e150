use super::{MatmulBatch, MatmulOptions, MatmulShape, matmul, matmul_batched, reference};
use crate::{
    Destination,
    testing::{Random, assert_close, bits, contexts, widen},
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
