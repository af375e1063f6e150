use super::{Dropout, Rows};
use crate::{
    Context, Destination,
    activation::{self, Activation},
    random::{RandomKey, coins_below},
    testing::{Random, bits, contexts},
};

const KEY: RandomKey = RandomKey { seed: 1, step: 2, node: 3 };

fn dropped(context: &Context, dropout: Dropout<'_>, x: &[f32]) -> Vec<f32> {
    let mut y = vec![9.0; x.len()];
    dropout.forward(context, x, &mut y);
    y
}

#[test]
fn forward_and_backward_multiply_by_the_mask_of_the_key() {
    for length in [0, 1, 15, 64, 65, 40_001] {
        let x = Random::new(5).floats(length);
        for rate in [0.0, 0.3, 0.5, 1.0] {
            let scale = if rate < 1.0 { 1.0 / (1.0 - rate) } else { 0.0 };
            let expected: Vec<f32> =
                (0..length).map(|at| if KEY.coin(at) < coins_below(rate) { 0.0 } else { scale }).collect();
            let dropout = Dropout::new(rate, KEY);
            let mut first = None;
            for context in contexts() {
                let mut found = vec![9.0; length];
                dropout.mask(&context, &mut found);
                assert_eq!(found, expected);
                let y = dropped(&context, dropout, &x);
                assert!(y.iter().zip(&x).zip(&found).all(|((y, x), mask)| *y == x * mask));
                let mut dx = vec![1.0; length];
                dropout.backward(&context, &x, Destination { data: &mut dx, accumulate: true });
                assert!(dx.iter().zip(&y).all(|(dx, y)| *dx == 1.0 + y));
                dropout.backward(&context, &x, Destination { data: &mut dx, accumulate: false });
                assert_eq!(bits(&dx), bits(&y));
                dx.copy_from_slice(&x);
                dropout.in_place(&context, &mut dx);
                assert_eq!(bits(&dx), bits(&y));
                assert_eq!(bits(&y), *first.get_or_insert_with(|| bits(&y)));
            }
        }
    }
}

#[test]
fn what_is_done_in_one_pass_equals_its_parts() {
    for length in [0, 7, 64, 100, 20_003] {
        let [x, branch, dy] = [1, 2, 3].map(|seed| Random::new(seed).floats(length));
        let dropout = Dropout::new(0.3, KEY);
        for context in contexts() {
            let mut sum = branch.clone();
            dropout.add(&context, &x, &mut sum);
            let parts = dropped(&context, dropout, &branch);
            assert!(sum.iter().zip(&x).zip(&parts).all(|((sum, x), part)| *sum == part + x));
            for function in
                [Activation::Relu, Activation::Gelu, Activation::GeluTanh, Activation::Silu, Activation::Tanh]
            {
                let mut active = vec![0.0; length];
                activation::forward(&context, function, &x, &mut active);
                let parts = dropped(&context, dropout, &active);
                let mut y = x.clone();
                dropout.activate(&context, function, &mut y);
                assert_eq!(bits(&y), bits(&parts), "{function:?}");
                dropout.activate_to(&context, function, &x, &mut y);
                assert_eq!(bits(&y), bits(&parts), "{function:?}");
                let mut dx = dropped(&context, dropout, &dy);
                let mut through = dx.clone();
                let takes_input = function.gradient_takes_input();
                let saved = if takes_input { &x } else { &active };
                let to = Destination { data: &mut dx, accumulate: false };
                activation::backward(&context, function, saved, &through, to);
                through.copy_from_slice(&dy);
                if takes_input {
                    dropout.activate_backward(&context, function, &x, &mut through);
                } else if function == Activation::Relu {
                    dropout.relu_backward(&context, &y, &mut through);
                } else {
                    continue;
                }
                let near = |(a, b): (&f32, &f32)| (a - b).abs() <= 1e-6 * (1.0 + b.abs());
                assert!(through.iter().zip(&dx).all(near), "{function:?}");
            }
        }
    }
}

#[test]
fn rows_are_dropped_as_in_the_whole_tensor() {
    for (count, width) in [(0, 4), (9, 1), (40, 7), (30, 32), (20, 64), (6, 100), (50, 256), (3, 20_000)] {
        let x = Random::new(6).floats(count * width);
        let numbers: Vec<u32> = (0..count as u32).filter(|row| row % 3 != 1).collect();
        let chosen = |of: &[f32]| -> Vec<f32> {
            numbers.iter().flat_map(|&row| of[row as usize * width..][..width].iter().copied()).collect()
        };
        let whole = Dropout::new(0.3, KEY);
        let rows = Dropout { rows: Some(Rows { width, numbers: &numbers }), ..whole };
        for context in contexts() {
            let expected = chosen(&dropped(&context, whole, &x));
            let y = dropped(&context, rows, &chosen(&x));
            assert_eq!(bits(&y), bits(&expected), "{count} rows of {width}");
            let mut sum = vec![1.0; y.len()];
            rows.backward(&context, &chosen(&x), Destination { data: &mut sum, accumulate: true });
            assert!(sum.iter().zip(&y).all(|(sum, y)| *sum == 1.0 + y));
        }
    }
}

#[test]
#[should_panic(expected = "not one number a row")]
fn other_numbers_than_rows_are_refused() {
    let rows = Some(Rows { width: 4, numbers: &[0, 1, 2] });
    Dropout { rows, ..Dropout::new(0.3, KEY) }.in_place(&contexts()[0], &mut [0.0; 8]);
}

#[test]
fn the_rate_is_the_share_of_zeros_and_the_mean_stays() {
    for context in contexts().into_iter().take(1) {
        let mut found = vec![0.0; 200_000];
        Dropout::new(0.2, KEY).mask(&context, &mut found);
        let zeros = found.iter().filter(|&&x| x == 0.0).count();
        assert!((39_200..40_800).contains(&zeros), "{zeros}");
        let mean = found.iter().map(|&x| f64::from(x)).sum::<f64>() / 200_000.0;
        assert!((mean - 1.0).abs() < 5e-3);
    }
}

#[test]
fn dropped_infinities_are_zero() {
    for context in contexts() {
        let y = dropped(&context, Dropout::new(0.5, KEY), &[f32::INFINITY; 100]);
        assert!(y.iter().all(|&y| y == 0.0 || y == f32::INFINITY));
    }
}
