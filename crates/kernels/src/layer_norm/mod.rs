//! Layer normalisation of the rows of a matrix, and the form without a mean ([`rms`]).
//!
//! # Source
//! Ba, Kiros and Hinton, "Layer normalization" (2016); `keras.layers.LayerNormalization`.
//!
//! # Legend
//! `N` rows of width `D`. Of a row, `m` is the mean, `r = 1 / sqrt(variance + epsilon)`, and `n = (x - m) r`.
mod backward;
#[cfg(test)]
mod reference;
pub mod rms;
#[cfg(test)]
mod tests;

pub use backward::{LayerNormGradients, LayerNormInputs, backward};

use crate::{
    Context,
    pieces::{PIECE, load_at, store_at},
    shared::Shared,
    simd::{Kernel, LANES, Lanes},
    softmax::{fold, keep},
};

/// Rows of a piece at most: their gradients of the weights are summed in 32 bits before they meet those of others.
const ROWS: usize = 128;

/// What the rows are multiplied by, and what is added to them.
#[derive(Clone, Copy, Debug, Default)]
pub struct LayerNormWeights<'a> {
    /// `[D]`; `None`: ones.
    pub gamma: Option<&'a [f32]>,
    /// `[D]`; `None`: zeros.
    pub beta: Option<&'a [f32]>,
}

/// What [`backward`] needs of the rows.
#[derive(Debug)]
pub struct LayerNormSaved<'a> {
    /// `m`, `[N]`.
    pub mean: &'a mut [f32],
    /// `r`, `[N]`.
    pub inverse: &'a mut [f32],
}

/// Rows of a piece, by the width alone.
fn piece_rows(width: usize) -> usize {
    (PIECE / width.max(1)).clamp(1, ROWS)
}

/// Number of rows of `width` in `length` elements.
fn count_rows(length: usize, width: usize) -> usize {
    assert!(width > 0 || length == 0, "layer_norm: rows of no elements");
    assert!(width == 0 || length.is_multiple_of(width), "layer_norm: {length} elements are no rows of {width}");
    length.checked_div(width).unwrap_or(0)
}

fn check_weights(weights: LayerNormWeights<'_>, width: usize) {
    assert!(weights.gamma.is_none_or(|gamma| gamma.len() == width), "layer_norm: gamma is not [D]");
    assert!(weights.beta.is_none_or(|beta| beta.len() == width), "layer_norm: beta is not [D]");
}

/// `y = gamma n + beta`, row by row.
///
/// # Shapes
/// `x` and `y`: `[N, D]` with `D` = `width`; `saved`, if its content is wanted for [`backward`], `[N]` each.
///
/// # Panics
/// If the lengths do not fit.
pub fn forward(
    context: &Context,
    width: usize,
    epsilon: f32,
    x: &[f32],
    weights: LayerNormWeights<'_>,
    y: &mut [f32],
    saved: Option<LayerNormSaved<'_>>,
) {
    let saved = saved.map(|LayerNormSaved { mean, inverse }| (Some(mean), inverse));
    let form = Form { width, epsilon, centred: true };
    normalize(context, form, x, weights, y, saved);
}

/// How rows are normalised.
#[derive(Clone, Copy)]
struct Form {
    width: usize,
    epsilon: f32,
    /// Whether the mean is taken away; otherwise it counts as 0.
    centred: bool,
}

/// Means and factors of rows.
type Saved<'a> = (Option<&'a mut [f32]>, &'a mut [f32]);

fn normalize(
    context: &Context,
    form: Form,
    x: &[f32],
    weights: LayerNormWeights<'_>,
    y: &mut [f32],
    saved: Option<Saved<'_>>,
) {
    let width = form.width;
    let rows = count_rows(x.len(), width);
    check_weights(weights, width);
    assert_eq!(x.len(), y.len(), "layer_norm: length of y");
    let y = Shared::new(y);
    let saved = saved.map(|(mean, inverse)| {
        assert!(mean.as_ref().is_none_or(|mean| mean.len() == rows), "layer_norm: what is saved is not [N]");
        assert_eq!(inverse.len(), rows, "layer_norm: what is saved is not [N]");
        (mean.map(Shared::new), Shared::new(inverse))
    });
    let step = piece_rows(width);
    context.pool.run(rows.div_ceil(step), &|piece| {
        let (first, count) = (piece * step, step.min(rows - piece * step));
        let range = first * width..(first + count) * width;
        // SAFETY: pieces do not overlap.
        let y = unsafe { y.part(range.start, range.len()) };
        let saved = saved.as_ref().map(|(mean, inverse)| {
            // SAFETY: as above.
            unsafe { (mean.as_ref().map(|mean| mean.part(first, count)), inverse.part(first, count)) }
        });
        context.simd.run(Forward { form, x: &x[range], weights, y, saved });
    });
}

struct Forward<'a> {
    form: Form,
    x: &'a [f32],
    weights: LayerNormWeights<'a>,
    y: &'a mut [f32],
    saved: Option<Saved<'a>>,
}

impl Kernel for Forward<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<L: Lanes>(mut self) {
        let Form { width, epsilon, centred } = self.form;
        let length = width as f32;
        let rows = self.x.chunks_exact(width).zip(self.y.chunks_exact_mut(width));
        for (row, (x, y)) in rows.enumerate() {
            // SAFETY: the path is available, offsets are below the width.
            unsafe {
                let mut mean = 0.0;
                if centred {
                    let mut sum = L::splat(0.0);
                    for at in (0..x.len()).step_by(LANES) {
                        sum = sum.add(load_at(x, at));
                    }
                    mean = fold(sum, |a, b| a + b) / length;
                }
                let middle = L::splat(mean);
                let mut squares = L::splat(0.0);
                for at in (0..x.len()).step_by(LANES) {
                    // Lanes behind the end count as the mean.
                    let distance = keep(load_at::<L>(x, at).sub(middle), x.len() - at, L::splat(0.0));
                    squares = distance.fma(distance, squares);
                }
                let inverse = 1.0 / (fold(squares, |a, b| a + b) / length + epsilon).sqrt();
                let factor = L::splat(inverse);
                for at in (0..x.len()).step_by(LANES) {
                    let mut value = load_at::<L>(x, at).sub(middle).mul(factor);
                    if let Some(gamma) = self.weights.gamma {
                        value = value.mul(load_at(gamma, at));
                    }
                    if let Some(beta) = self.weights.beta {
                        value = value.add(load_at(beta, at));
                    }
                    store_at(y, at, value);
                }
                if let Some((means, inverses)) = &mut self.saved {
                    if let Some(means) = means {
                        means[row] = mean;
                    }
                    inverses[row] = inverse;
                }
            }
        }
    }
}
