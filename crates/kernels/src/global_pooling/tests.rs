use super::{PoolingShape, maximum, maximum_backward, mean, mean_backward};
use crate::{
    Destination,
    testing::{Random, assert_close, bits, contexts, widen},
};

fn shapes(random: &mut Random) -> Vec<PoolingShape> {
    let mut shapes = vec![(0, 3, 2), (2, 0, 3), (1, 1, 1), (3, 7, 17), (200, 5, 1), (3, 300, 70)];
    shapes.extend((0..5).map(|_| (1 + random.below(9), 1 + random.below(40), 1 + random.below(50))));
    shapes.into_iter().map(|(sequences, steps, width)| PoolingShape { sequences, steps, width }).collect()
}

/// Elements of one sequence and column: places in x.
fn column(shape: PoolingShape, sequence: usize, at: usize) -> Vec<usize> {
    (0..shape.steps).map(|step| (sequence * shape.steps + step) * shape.width + at).collect()
}

/// Checks that set and added gradients are the expected ones, with the same bits for all numbers of threads.
fn check(shape: PoolingShape, expected: &[f64], run: impl Fn(&crate::Context, Destination<'_>)) {
    let mut last: Option<(crate::simd::Simd, Vec<u32>)> = None;
    for context in contexts() {
        let what = format!("{shape:?}, {:?}", context.simd);
        let mut found = vec![f32::NAN; expected.len()];
        run(&context, Destination { data: &mut found, accumulate: false });
        assert_close(&found, expected, &what);
        let mut added = vec![1.0; expected.len()];
        run(&context, Destination { data: &mut added, accumulate: true });
        assert!(added.iter().zip(expected).all(|(&added, expected)| (f64::from(added) - 1.0 - expected).abs() < 1e-5));
        if let Some((simd, last)) = &last
            && *simd == context.simd
        {
            assert_eq!(*last, bits(&found), "{what}: bits depend on the threads");
        }
        last = Some((context.simd, bits(&found)));
    }
}

#[test]
fn means_and_their_gradients_equal_the_reference() {
    let mut random = Random::new(31);
    for shape in shapes(&mut random) {
        let PoolingShape { sequences, steps, width } = shape;
        let x = random.floats(sequences * steps * width);
        let dy = random.floats(sequences * width);
        for masked in [false, true] {
            let mask: Vec<u8> = (0..sequences * steps).map(|_| random.below(3) as u8).collect();
            let mask = masked.then_some(mask.as_slice());
            let (mut y, mut dx) = (vec![0.0; dy.len()], vec![0.0; x.len()]);
            for sequence in 0..sequences {
                for at in 0..width {
                    let places: Vec<usize> = column(shape, sequence, at)
                        .into_iter()
                        .filter(|&place| mask.is_none_or(|mask| mask[place / width] != 0))
                        .collect();
                    let count = places.len().max(1) as f64;
                    y[sequence * width + at] = places.iter().map(|&place| f64::from(x[place])).sum::<f64>() / count;
                    places.iter().for_each(|&place| dx[place] = f64::from(dy[sequence * width + at]) / count);
                }
            }
            for context in contexts() {
                let mut found = vec![f32::NAN; y.len()];
                mean(&context, shape, &x, mask, &mut found);
                assert_close(&found, &y, &format!("{shape:?}, masked {masked}"));
            }
            check(shape, &dx, |context, dx| mean_backward(context, shape, mask, &dy, dx));
        }
    }
}

#[test]
fn maxima_and_their_gradients_equal_the_reference() {
    let mut random = Random::new(32);
    for shape in shapes(&mut random) {
        let PoolingShape { sequences, steps, width } = shape;
        // Few values, so that many are equal.
        let x: Vec<f32> = (0..sequences * steps * width).map(|_| random.below(4) as f32 - 2.0).collect();
        let dy = random.floats(sequences * width);
        let (mut y, mut dx) = (vec![0.0f32; dy.len()], vec![0.0; x.len()]);
        for sequence in 0..sequences {
            for at in (0..width).filter(|_| steps > 0) {
                let places = column(shape, sequence, at);
                let largest = places.iter().map(|&place| x[place]).fold(f32::NEG_INFINITY, f32::max);
                let equal: Vec<usize> = places.into_iter().filter(|&place| x[place] == largest).collect();
                y[sequence * width + at] = largest;
                let share = f64::from(dy[sequence * width + at]) / equal.len() as f64;
                equal.into_iter().for_each(|place| dx[place] = share);
            }
        }
        for context in contexts() {
            let mut found = vec![f32::NAN; y.len()];
            maximum(&context, shape, &x, &mut found);
            assert_close(&found, &widen(&y), &format!("{shape:?}"));
        }
        check(shape, &dx, |context, dx| maximum_backward(context, shape, &x, &y, &dy, dx));
    }
}

#[test]
fn what_is_not_a_number_stays() {
    for context in contexts() {
        let shape = PoolingShape { sequences: 1, steps: 3, width: 2 };
        let mut y = [0.0; 2];
        maximum(&context, shape, &[1.0, 2.0, f32::NAN, 5.0, 4.0, 3.0], &mut y);
        assert!(y[0].is_nan() && y[1] == 5.0, "{y:?}");
        // A masked step counts for nothing.
        mean(&context, shape, &[1.0, 2.0, f32::NAN, 5.0, 4.0, 3.0], Some(&[1, 0, 1]), &mut y);
        assert_eq!(y, [2.5, 2.5]);
    }
}
