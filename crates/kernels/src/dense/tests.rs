use super::{DenseShape, backward, forward};
use crate::{
    Destination,
    matmul::{MatmulOptions, MatmulShape, reference::matmul},
    simd::Simd,
    testing::{Random, assert_close, bits, contexts, widen},
};

#[test]
fn layers_equal_the_reference() {
    let mut random = Random::new(11);
    for (rows, input, units) in
        [(0, 3, 4), (1, 1, 1), (5, 0, 3), (7, 5, 0), (3, 17, 9), (33, 20, 50), (64, 130, 70), (1, 256, 530)]
    {
        let shape = DenseShape { rows, input, units };
        let (x, kernel, bias) = (random.floats(rows * input), random.floats(units * input), random.floats(units));
        let dy = random.floats(rows * units);
        let forward_shape = MatmulShape { rows, columns: units, inner: input };
        let options = MatmulOptions { transpose_a: false, transpose_b: true };
        let product = matmul(&widen(&x), &widen(&kernel), forward_shape, options);
        let y: Vec<f64> = product.iter().enumerate().map(|(i, y)| y + f64::from(bias[i % units])).collect();
        let backward_shape = MatmulShape { rows, columns: input, inner: units };
        let dx = matmul(&widen(&dy), &widen(&kernel), backward_shape, MatmulOptions::default());
        let options = MatmulOptions { transpose_a: true, transpose_b: false };
        let kernel_shape = MatmulShape { rows: units, columns: input, inner: rows };
        let dkernel = matmul(&widen(&dy), &widen(&x), kernel_shape, options);
        let dbias: Vec<f64> = (0..units).map(|u| (0..rows).map(|row| f64::from(dy[row * units + u])).sum()).collect();
        let mut all = Vec::new();
        for context in contexts() {
            let what = format!("{context:?} {shape:?}");
            let mut found = vec![f32::NAN; y.len()];
            forward(&context, shape, &x, &kernel, None, &mut found);
            assert_close(&found, &product, &what);
            forward(&context, shape, &x, &kernel, Some(&bias), &mut found);
            assert_close(&found, &y, &what);
            let mut gradients = [vec![f32::NAN; dx.len()], vec![1.0; dkernel.len()], vec![2.0; dbias.len()]];
            let [to_x, to_kernel, to_bias] = &mut gradients;
            backward(
                &context,
                shape,
                &x,
                None,
                &kernel,
                &dy,
                Some(Destination { data: to_x, accumulate: false }),
                Some(Destination { data: to_kernel, accumulate: true }),
                Some(Destination { data: to_bias, accumulate: true }),
            );
            assert_close(&gradients[0], &dx, &what);
            assert_close(&gradients[1], &dkernel.iter().map(|x| x + 1.0).collect::<Vec<_>>(), &what);
            assert_close(&gradients[2], &dbias.iter().map(|x| x + 2.0).collect::<Vec<_>>(), &what);
            all.push([bits(&found), bits(&gradients[0]), bits(&gradients[1]), bits(&gradients[2])]);
        }
        assert!(all.windows(2).all(|pair| pair[0] == pair[1]), "bits differ: {shape:?}");
    }
}

#[test]
fn the_gradient_is_that_of_the_reference() {
    // Central differences of `sum(dy * y)` in f64; y is linear in each argument, so only rounding is left.
    let mut random = Random::new(12);
    let (rows, input, units) = (3, 4, 5);
    let [x, kernel, dy] = [rows * input, units * input, rows * units].map(|length| widen(&random.floats(length)));
    let forward_shape = MatmulShape { rows, columns: units, inner: input };
    let options = MatmulOptions { transpose_a: false, transpose_b: true };
    let value = |x: &[f64], kernel: &[f64]| -> f64 {
        matmul(x, kernel, forward_shape, options).iter().zip(&dy).map(|(y, dy)| y * dy).sum()
    };
    let difference = |values: &[f64], value: &dyn Fn(&[f64]) -> f64| -> Vec<f32> {
        let shifted = |index: usize, by: f64| {
            let mut values = values.to_vec();
            values[index] += by;
            value(&values)
        };
        (0..values.len()).map(|index| ((shifted(index, 1e-3) - shifted(index, -1e-3)) / 2e-3) as f32).collect()
    };
    let dx = matmul(&dy, &kernel, MatmulShape { rows, columns: input, inner: units }, MatmulOptions::default());
    assert_close(&difference(&x, &|x| value(x, &kernel)), &dx, "dx");
    let kernel_shape = MatmulShape { rows: units, columns: input, inner: rows };
    let options = MatmulOptions { transpose_a: true, transpose_b: false };
    let dkernel = matmul(&dy, &x, kernel_shape, options);
    assert_close(&difference(&kernel, &|kernel| value(&x, kernel)), &dkernel, "dkernel");
}

#[test]
fn the_gradient_goes_through_a_relu_where_that_is_faster() {
    let mut random = Random::new(13);
    let (rows, input, units) = (130, 200, 170);
    let shape = DenseShape { rows, input, units };
    let thin: Vec<f32> = (0..rows * input).map(|_| (random.float() - 0.5).max(0.0)).collect();
    let full = random.floats(rows * input);
    let (kernel, dy) = (random.floats(units * input), random.floats(rows * units));
    let product = MatmulShape { rows, columns: input, inner: units };
    let dx = matmul(&widen(&dy), &widen(&kernel), product, MatmulOptions::default());
    for context in contexts() {
        for (x, accumulate) in [(&thin, false), (&thin, true), (&full, false)] {
            let mut found = vec![if accumulate { 1.0 } else { f32::NAN }; rows * input];
            let to = Destination { data: &mut found, accumulate };
            let through = backward(&context, shape, x, Some(2.0), &kernel, &dy, Some(to), None, None);
            assert_eq!(through, x == &thin && context.simd != Simd::Scalar);
            let slope = |index: usize| if !through { 1.0 } else { if x[index] > 0.0 { 2.0 } else { 0.0 } };
            let before = f64::from(u8::from(accumulate));
            let expected: Vec<f64> = dx.iter().enumerate().map(|(at, dx)| before + slope(at) * dx).collect();
            assert_close(&found, &expected, &format!("{context:?} {accumulate}"));
        }
    }
}
