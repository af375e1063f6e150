//! Normalisation of the rows of a matrix by their root mean square.
//!
//! # Source
//! Zhang and Sennrich, "Root mean square layer normalization" (2019); `keras.layers.RMSNormalization`.
//!
//! # Legend
//! `N` rows of width `D`. Of a row, `r = 1 / sqrt(mean(x x) + epsilon)` and `n = x r`.
use super::{
    Form, LayerNormGradients, LayerNormWeights,
    backward::{Inputs, differentiate},
    normalize,
};
use crate::{Context, Destination};

/// `y = scale n`, row by row.
///
/// # Shapes
/// `x` and `y`: `[N, D]` with `D` = `width`; `scale`: `[D]`; `inverse`, if [`backward`] will need it: `[N]`, gets `r`.
///
/// # Panics
/// If the lengths do not fit.
pub fn forward(
    context: &Context,
    width: usize,
    epsilon: f32,
    x: &[f32],
    scale: Option<&[f32]>,
    y: &mut [f32],
    inverse: Option<&mut [f32]>,
) {
    let weights = LayerNormWeights { gamma: scale, beta: None };
    normalize(context, Form { width, epsilon, centred: false }, x, weights, y, inverse.map(|inverse| (None, inverse)));
}

/// What the forward pass had and saved.
#[derive(Clone, Copy, Debug)]
pub struct RmsNormInputs<'a> {
    /// `[N, D]`.
    pub x: &'a [f32],
    /// `[D]`; `None`: ones.
    pub scale: Option<&'a [f32]>,
    /// `r`, `[N]`.
    pub inverse: &'a [f32],
}

/// Gradients of [`forward`].
///
/// # Shapes
/// `dy` and `dx`: `[N, D]` with `D` = `width`; `dscale`: `[D]`.
///
/// # Gradient
/// With `g = scale dy`: `dx = r (g - n mean(g n))` row by row, `dscale = sum of dy n` over the rows.
///
/// # Panics
/// If the lengths do not fit.
pub fn backward(
    context: &Context,
    width: usize,
    inputs: RmsNormInputs<'_>,
    dy: &[f32],
    dx: Option<Destination<'_>>,
    dscale: Option<Destination<'_>>,
) {
    let RmsNormInputs { x, scale, inverse } = inputs;
    let inputs = Inputs { x, gamma: scale, mean: None, inverse };
    differentiate(context, width, inputs, dy, LayerNormGradients { dx, dgamma: dscale, dbeta: None });
}

#[cfg(test)]
mod tests {
    use super::{RmsNormInputs, backward, forward};
    use crate::{
        Destination,
        testing::{Random, assert_close, bits, contexts, widen},
    };

    const EPSILON: f32 = 1e-3;

    /// Outputs, then the gradients of `sum(y dy)` by the chain rule through the mean of squares.
    fn reference(x: &[f64], scale: &[f64], dy: &[f64], epsilon: f64) -> [Vec<f64>; 3] {
        let width = scale.len();
        let size = width as f64;
        let (mut y, mut dx, mut dscale) = (Vec::new(), Vec::new(), vec![0.0; width]);
        for (x, dy) in x.chunks_exact(width.max(1)).zip(dy.chunks_exact(width.max(1))) {
            let square = x.iter().map(|x| x * x).sum::<f64>() / size + epsilon;
            let dsquare: f64 = (0..width).map(|at| -0.5 * dy[at] * scale[at] * x[at] * square.powf(-1.5)).sum();
            for (at, x) in x.iter().enumerate() {
                y.push(scale[at] * x / square.sqrt());
                dx.push(dy[at] * scale[at] / square.sqrt() + dsquare * 2.0 * x / size);
                dscale[at] += dy[at] * x / square.sqrt();
            }
        }
        [y, dx, dscale]
    }

    #[test]
    fn rows_and_all_gradients_equal_the_reference() {
        let mut random = Random::new(5);
        let mut shapes = vec![(0, 5), (1, 1), (1, 17), (3, 16), (700, 3), (5, 1000), (2, 20_000)];
        shapes.extend((0..6).map(|_| (1 + random.below(300), 1 + random.below(70))));
        for (rows, width) in shapes {
            let x: Vec<f32> = random.floats(rows * width).iter().map(|x| 3.0 * x + 1.0).collect();
            let (dy, scale) = (random.floats(rows * width), random.floats(width));
            for scaled in [true, false] {
                let scale = if scaled { scale.clone() } else { vec![1.0; width] };
                let [y, dx, dscale] = reference(&widen(&x), &widen(&scale), &widen(&dy), f64::from(EPSILON));
                let mut last: Option<(crate::simd::Simd, Vec<Vec<u32>>)> = None;
                for context in contexts() {
                    let what = format!("[{rows}, {width}], scale {scaled}, {:?}", context.simd);
                    let given = scaled.then_some(scale.as_slice());
                    let (mut found, mut inverse) = (vec![f32::NAN; x.len()], vec![f32::NAN; rows]);
                    forward(&context, width, EPSILON, &x, given, &mut found, Some(&mut inverse));
                    assert_close(&found, &y, &what);
                    let mut alone = vec![f32::NAN; x.len()];
                    forward(&context, width, EPSILON, &x, given, &mut alone, None);
                    assert_eq!(bits(&alone), bits(&found), "{what}: nothing saved");
                    let inputs = RmsNormInputs { x: &x, scale: given, inverse: &inverse };
                    let (mut found_dx, mut found_dscale) = (vec![0.5; x.len()], vec![f32::NAN; width]);
                    let to = Some(Destination { data: &mut found_dx, accumulate: true });
                    let to_scale = Some(Destination { data: &mut found_dscale, accumulate: false });
                    backward(&context, width, inputs, &dy, to, to_scale);
                    let added: Vec<f64> = dx.iter().map(|dx| dx + 0.5).collect();
                    assert_close(&found_dx, &added, &format!("{what}: dx"));
                    assert_close(&found_dscale, &dscale, &format!("{what}: dscale"));
                    let found = vec![bits(&found), bits(&found_dx), bits(&found_dscale)];
                    if let Some((simd, last)) = &last
                        && *simd == context.simd
                    {
                        assert_eq!(*last, found, "{what}: bits depend on the threads");
                    }
                    last = Some((context.simd, found));
                }
            }
        }
    }
}
