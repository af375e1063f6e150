use super::{Bfloat16Matrix, Int8Matrix, QuantizedMatrix};
use crate::testing::{Random, assert_close, bits, contexts, rounded};

const SIZES: [[usize; 3]; 9] = [
    [1, 1, 1],
    [1, 64, 32],
    [2, 70, 33],
    [3, 16, 300],
    [5, 200, 64],
    [7, 129, 5],
    [13, 64, 515],
    [40, 320, 512],
    [1, 900, 700],
];

fn filled(mut matrix: QuantizedMatrix, kernel: &[f32]) -> QuantizedMatrix {
    let input = matrix.sizes()[1];
    // In two parts, as it is read from a file.
    let (first, second) = kernel.split_at(kernel.len() / input.max(1) / 2 * input);
    matrix.set_rows(&contexts()[0], 0, first);
    matrix.set_rows(&contexts()[0], first.len() / input.max(1), second);
    matrix
}

fn int8(kernel: &[f32], units: usize, input: usize) -> QuantizedMatrix {
    filled(QuantizedMatrix::Int8(Int8Matrix::zeros(units, input).unwrap()), kernel)
}

fn bfloat16(kernel: &[f32], units: usize, input: usize) -> QuantizedMatrix {
    filled(QuantizedMatrix::Bfloat16(Bfloat16Matrix::zeros(units, input)), kernel)
}

/// The nearest whole numbers by arithmetic, with their scale.
fn whole(row: &[f32]) -> (Vec<f64>, f64) {
    let largest = row.iter().fold(0.0f32, |largest, value| largest.max(value.abs()));
    let factor = if largest == 0.0 { 0.0 } else { 127.0 / largest };
    (row.iter().map(|value| f64::from((value * factor).round_ties_even())).collect(), f64::from(largest / 127.0))
}

#[test]
fn products_of_8_bits_are_those_of_whole_numbers() {
    let mut random = Random::new(41);
    for [rows, units, input] in SIZES {
        let (x, kernel, bias) = (random.floats(rows * input), random.floats(units * input), random.floats(units));
        let matrix = int8(&kernel, units, input);
        let of_units: Vec<_> = kernel.chunks(input).map(whole).collect();
        let mut expected = Vec::new();
        for row in x.chunks(input) {
            let (numbers, scale) = whole(row);
            for ((of_unit, unit_scale), &bias) in of_units.iter().zip(&bias) {
                let sum: f64 = numbers.iter().zip(of_unit).map(|(a, b)| a * b).sum();
                expected.push(sum * scale * unit_scale + f64::from(bias));
            }
        }
        let mut all = Vec::new();
        for context in contexts() {
            let mut y = vec![f32::NAN; rows * units];
            matrix.forward(&context, rows, &x, Some(&bias), &mut y);
            assert_close(&y, &expected, &format!("{context:?} {rows} {units} {input}"));
            all.push(bits(&y));
            let mut without = vec![f32::NAN; rows * units];
            matrix.forward(&context, rows, &x, None, &mut without);
            let expected: Vec<f64> =
                expected.iter().enumerate().map(|(at, y)| y - f64::from(bias[at % units])).collect();
            assert_close(&without, &expected, "without a bias");
        }
        assert!(all.windows(2).all(|pair| pair[0] == pair[1]), "bits differ: {rows} {units} {input}");
    }
}

#[test]
fn products_of_8_bits_are_near_those_of_floats() {
    let mut random = Random::new(42);
    let (rows, units, input) = (4, 96, 512);
    let (x, kernel) = (random.floats(rows * input), random.floats(units * input));
    let matrix = int8(&kernel, units, input);
    let mut y = vec![0.0; rows * units];
    matrix.forward(&contexts()[0], rows, &x, None, &mut y);
    let exact = |at: usize| -> f64 {
        let (x, w) = (&x[at / units * input..][..input], &kernel[at % units * input..][..input]);
        x.iter().zip(w).map(|(&x, &w)| f64::from(x) * f64::from(w)).sum()
    };
    let error = (0..y.len()).map(|at| (f64::from(y[at]) - exact(at)).powi(2)).sum::<f64>();
    let size = (0..y.len()).map(|at| exact(at).powi(2)).sum::<f64>();
    assert!((error / size).sqrt() < 0.01, "{}", (error / size).sqrt());
    assert!(error > 0.0);
}

#[test]
fn products_of_bfloat16_are_those_of_the_rounded_kernel() {
    let mut random = Random::new(43);
    for [rows, units, input] in SIZES {
        let (x, kernel, bias) = (random.floats(rows * input), random.floats(units * input), random.floats(units));
        let matrix = bfloat16(&kernel, units, input);
        let near: Vec<f32> = kernel.iter().map(|&value| rounded(value)).collect();
        let mut all = Vec::new();
        for context in contexts() {
            let mut y = vec![f32::NAN; rows * units];
            matrix.forward(&context, rows, &x, Some(&bias), &mut y);
            let mut expected = vec![0.0; rows * units];
            let shape = crate::dense::DenseShape { rows, input, units };
            crate::dense::forward(&context, shape, &x, &near, Some(&bias), &mut expected);
            assert_eq!(bits(&y), bits(&expected), "{context:?} {rows} {units} {input}");
            all.push(bits(&y));
        }
        assert!(all.windows(2).all(|pair| pair[0] == pair[1]), "bits differ: {rows} {units} {input}");
    }
}

#[test]
fn rows_of_matrices_are_near_those_of_the_kernel() {
    let mut random = Random::new(44);
    for [_, units, input] in SIZES {
        let kernel = random.floats(units * input);
        let near = bfloat16(&kernel, units, input);
        let coarse = int8(&kernel, units, input);
        for (unit, row) in kernel.chunks(input).enumerate() {
            let mut found = vec![f32::NAN; input];
            near.row(unit, &mut found);
            assert_eq!(bits(&found), bits(&row.iter().map(|&value| rounded(value)).collect::<Vec<_>>()));
            coarse.row(unit, &mut found);
            let (numbers, scale) = whole(row);
            assert_close(&found, &numbers.iter().map(|number| number * scale).collect::<Vec<_>>(), "int8");
        }
    }
}

#[test]
fn a_row_of_a_product_does_not_depend_on_the_others() {
    let mut random = Random::new(45);
    let (units, input) = (130, 260);
    let (x, kernel) = (random.floats(64 * input), random.floats(units * input));
    for matrix in [int8(&kernel, units, input), bfloat16(&kernel, units, input)] {
        for context in contexts() {
            let product = |rows: usize| {
                let mut y = vec![0.0; rows * units];
                matrix.forward(&context, rows, &x[..rows * input], None, &mut y);
                y
            };
            let all = product(64);
            for rows in [1, 2, 3, 5, 16, 33] {
                assert_eq!(bits(&product(rows)), bits(&all[..rows * units]));
            }
        }
    }
}

#[test]
fn what_is_no_number_stays_none() {
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        for context in contexts() {
            let (mut x, mut kernel) = (vec![0.5; 2 * 40], vec![0.25; 3 * 40]);
            x[7] = bad;
            let mut y = vec![0.0; 6];
            int8(&kernel, 3, 40).forward(&context, 2, &x, None, &mut y);
            assert!(y[..3].iter().all(|y| y.is_nan()) && y[3..].iter().all(|y| y.is_finite()), "{y:?}");
            kernel[40 + 39] = bad;
            x[7] = 0.5;
            int8(&kernel, 3, 40).forward(&context, 2, &x, None, &mut y);
            for (at, y) in y.iter().enumerate() {
                assert_eq!(y.is_nan(), at % 3 == 1, "{y}");
            }
        }
    }
}

#[test]
fn rows_of_zeros_and_empty_ones_give_the_bias() {
    for context in contexts() {
        let mut y = vec![f32::NAN; 4];
        int8(&[0.0; 10], 2, 5).forward(&context, 2, &[0.0; 10], Some(&[1.0, 2.0]), &mut y);
        assert_eq!(y, [1.0, 2.0, 1.0, 2.0]);
        let empty = bfloat16(&[], 2, 0);
        empty.forward(&context, 2, &[], Some(&[1.0, 2.0]), &mut y);
        assert_eq!(y, [1.0, 2.0, 1.0, 2.0]);
        int8(&[], 2, 0).forward(&context, 2, &[], Some(&[1.0, 2.0]), &mut y);
        assert_eq!(y, [1.0, 2.0, 1.0, 2.0]);
        int8(&[], 0, 5).forward(&context, 0, &[], None, &mut []);
    }
}

#[test]
fn sums_of_the_longest_rows_do_not_overflow() {
    let input = i32::MAX as usize / (255 * 127);
    let kernel = vec![1.0; input];
    let matrix = int8(&kernel, 1, input);
    for context in contexts().into_iter().step_by(3) {
        let mut y = [0.0];
        matrix.forward(&context, 1, &kernel, None, &mut y);
        assert!((y[0] - input as f32).abs() < 1.0, "{y:?}");
    }
    assert!(Int8Matrix::zeros(1, input + 1).is_none());
}
