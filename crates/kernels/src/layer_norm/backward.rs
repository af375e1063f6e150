//! Gradients of layer normalisation: one pass over the rows for all of them.
use super::{LayerNormWeights, check_weights, count_rows, piece_rows};
use crate::{
    Context, Destination,
    buffer::Buffer,
    pieces::{load_at, store_at},
    reduce::sum_rows,
    shared::Shared,
    simd::{Kernel, LANES, Lanes},
    softmax::fold,
};

/// What the forward pass had and saved.
#[derive(Clone, Copy, Debug)]
pub struct LayerNormInputs<'a> {
    /// `[N, D]`.
    pub x: &'a [f32],
    /// `[D]`; `None`: ones.
    pub gamma: Option<&'a [f32]>,
    /// `m`, `[N]`.
    pub mean: &'a [f32],
    /// `r`, `[N]`.
    pub inverse: &'a [f32],
}

/// Where gradients go; `None` where one is not wanted.
#[derive(Debug, Default)]
pub struct LayerNormGradients<'a> {
    /// `[N, D]`.
    pub dx: Option<Destination<'a>>,
    /// `[D]`.
    pub dgamma: Option<Destination<'a>>,
    /// `[D]`.
    pub dbeta: Option<Destination<'a>>,
}

/// Gradients of [`super::forward`].
///
/// # Shapes
/// `dy`: `[N, D]` with `D` = `width`; the others as documented with them.
///
/// # Gradient
/// With `g = gamma dy`: `dx = r (g - mean(g) - n mean(g n))` row by row, `dgamma = sum of dy n`, `dbeta = sum of dy` over
/// the rows.
///
/// # Panics
/// If the lengths do not fit.
pub fn backward(
    context: &Context,
    width: usize,
    inputs: LayerNormInputs<'_>,
    dy: &[f32],
    gradients: LayerNormGradients<'_>,
) {
    let LayerNormInputs { x, gamma, mean, inverse } = inputs;
    differentiate(context, width, Inputs { x, gamma, mean: Some(mean), inverse }, dy, gradients);
}

/// What the forward pass had and saved; no means if they count as 0.
#[derive(Clone, Copy)]
pub(super) struct Inputs<'a> {
    pub x: &'a [f32],
    pub gamma: Option<&'a [f32]>,
    pub mean: Option<&'a [f32]>,
    pub inverse: &'a [f32],
}

/// As [`backward`], also of rows from which no mean was taken away.
pub(super) fn differentiate(
    context: &Context,
    width: usize,
    inputs: Inputs<'_>,
    dy: &[f32],
    gradients: LayerNormGradients<'_>,
) {
    let rows = count_rows(dy.len(), width);
    check_weights(LayerNormWeights { gamma: inputs.gamma, beta: None }, width);
    assert_eq!(inputs.x.len(), dy.len(), "layer_norm: length of x");
    assert!(inputs.mean.is_none_or(|mean| mean.len() == rows), "layer_norm: what was saved is not [N]");
    assert_eq!(inputs.inverse.len(), rows, "layer_norm: what was saved is not [N]");
    let LayerNormGradients { dx, dgamma, dbeta } = gradients;
    let accumulate = dx.as_ref().is_some_and(|dx| dx.accumulate);
    let dx = dx.map(|dx| {
        assert_eq!(dx.data.len(), dy.len(), "layer_norm: length of dx");
        Shared::new(dx.data)
    });
    let step = piece_rows(width);
    let pieces = rows.div_ceil(step);
    // One row of sums a piece, which are then summed in their order.
    let mut gamma_sums = Buffer::new(if dgamma.is_some() { pieces * width } else { 0 });
    let mut beta_sums = Buffer::new(if dbeta.is_some() { pieces * width } else { 0 });
    {
        let gamma_sums = dgamma.is_some().then(|| Shared::new(&mut gamma_sums));
        let beta_sums = dbeta.is_some().then(|| Shared::new(&mut beta_sums));
        context.pool.run(pieces, &|piece| {
            let (first, count) = (piece * step, step.min(rows - piece * step));
            let range = first * width..(first + count) * width;
            // SAFETY: pieces do not overlap.
            let (dx, gamma_sum, beta_sum) = unsafe {
                (
                    dx.as_ref().map(|dx| dx.part(range.start, range.len())),
                    gamma_sums.as_ref().map(|sums| sums.part(piece * width, width)),
                    beta_sums.as_ref().map(|sums| sums.part(piece * width, width)),
                )
            };
            let inputs = Inputs {
                x: &inputs.x[range.clone()],
                mean: inputs.mean.map(|mean| &mean[first..][..count]),
                inverse: &inputs.inverse[first..][..count],
                ..inputs
            };
            context.simd.run(Backward { width, inputs, dy: &dy[range], dx, accumulate, gamma_sum, beta_sum });
        });
    }
    for (sums, gradient) in [(gamma_sums, dgamma), (beta_sums, dbeta)] {
        if let Some(gradient) = gradient {
            assert_eq!(gradient.data.len(), width, "layer_norm: the gradient of a weight is not [D]");
            sum_rows(context, &sums, gradient);
        }
    }
}

struct Backward<'a> {
    width: usize,
    inputs: Inputs<'a>,
    dy: &'a [f32],
    dx: Option<&'a mut [f32]>,
    accumulate: bool,
    gamma_sum: Option<&'a mut [f32]>,
    beta_sum: Option<&'a mut [f32]>,
}

impl Kernel for Backward<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<L: Lanes>(mut self) {
        let Self { width, inputs, .. } = self;
        for sum in [&mut self.gamma_sum, &mut self.beta_sum].into_iter().flatten() {
            sum.fill(0.0);
        }
        let rows = inputs.x.chunks_exact(width).zip(self.dy.chunks_exact(width));
        for (row, (x, dy)) in rows.enumerate() {
            // SAFETY: the path is available, offsets are below the width. Lanes behind the end of a row have a dy of 0.
            unsafe {
                let mean = L::splat(inputs.mean.map_or(0.0, |mean| mean[row]));
                let inverse = L::splat(inputs.inverse[row]);
                let (mut sum, mut product) = (L::splat(0.0), L::splat(0.0));
                for at in (0..width).step_by(LANES) {
                    let dy: L = load_at(dy, at);
                    let normal = load_at::<L>(x, at).sub(mean).mul(inverse);
                    let scaled = match inputs.gamma {
                        Some(gamma) => dy.mul(load_at(gamma, at)),
                        None => dy,
                    };
                    sum = sum.add(scaled);
                    product = scaled.fma(normal, product);
                    if let Some(sum) = &mut self.gamma_sum {
                        let total = dy.fma(normal, load_at(sum, at));
                        store_at(sum, at, total);
                    }
                    if let Some(sum) = &mut self.beta_sum {
                        let total = dy.add(load_at(sum, at));
                        store_at(sum, at, total);
                    }
                }
                let Some(dx) = &mut self.dx else { continue };
                let dx = &mut dx[row * width..][..width];
                // Without a mean nothing goes back through it.
                let sum = if inputs.mean.is_some() { fold(sum, |a, b| a + b) / width as f32 } else { 0.0 };
                let sum = L::splat(sum);
                let product = L::splat(fold(product, |a, b| a + b) / width as f32);
                for at in (0..width).step_by(LANES) {
                    let dy: L = load_at(dy, at);
                    let normal = load_at::<L>(x, at).sub(mean).mul(inverse);
                    let scaled = match inputs.gamma {
                        Some(gamma) => dy.mul(load_at(gamma, at)),
                        None => dy,
                    };
                    let mut value = scaled.sub(sum).sub(normal.mul(product)).mul(inverse);
                    if self.accumulate {
                        value = value.add(load_at(dx, at));
                    }
                    store_at(dx, at, value);
                }
            }
        }
    }
}
