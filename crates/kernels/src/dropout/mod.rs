//! Dropout with inverted scaling: what is kept is divided by the probability of keeping it. The mask is a function of
//! the key and is made anew in backward. What comes before or after it in a network is done in the same pass: an
//! activation, the residual that is added.
//!
//! # Source
//! Srivastava et al., "Dropout: a simple way to prevent neural networks from overfitting" (JMLR 2014).
mod apply;
#[cfg(test)]
mod tests;

use crate::{
    Context, Destination,
    activation::Activation,
    pieces::{PIECE, for_pieces},
    random::RandomKey,
    shared::Shared,
};
use apply::{Addend, Apply, Function, Source};

/// What is dropped of a tensor.
#[derive(Clone, Copy, Debug)]
pub struct Dropout<'a> {
    /// Probability of an element to become 0, in `0..=1`, to the nearest multiple of 2^-16; the others are divided by `1 - rate`.
    pub rate: f32,
    /// Stream of the random numbers.
    pub key: RandomKey,
    /// If only some rows of the tensor are there: which.
    pub rows: Option<Rows<'a>>,
}

/// Rows of a tensor that are there; they are dropped as if the others were there too.
#[derive(Clone, Copy, Debug)]
pub struct Rows<'a> {
    /// Elements of a row.
    pub width: usize,
    /// For each row its number in the whole tensor.
    pub numbers: &'a [u32],
}

impl<'a> Dropout<'a> {
    /// Of a whole tensor.
    #[must_use]
    pub fn new(rate: f32, key: RandomKey) -> Self {
        Self { rate, key, rows: None }
    }

    /// Factor of the elements that are kept.
    ///
    /// # Panics
    /// If the rate lies outside 0 to 1.
    #[must_use]
    pub fn scale(&self) -> f32 {
        let rate = self.rate;
        assert!((0.0..=1.0).contains(&rate), "dropout: the rate {rate} lies outside 0..=1");
        if rate < 1.0 { (1.0 / (1.0 - f64::from(rate))) as f32 } else { 0.0 }
    }

    /// One pass over `y`. `of(start, length)` says what a piece is made of.
    fn apply<'s>(
        &self,
        context: &Context,
        y: &mut [f32],
        of: impl Fn(usize, usize) -> (Source<'s>, Function<'s>, Addend<'s>) + Sync,
    ) {
        let (rate, key, scale) = (self.rate, self.key, self.scale());
        let length = y.len();
        let y = Shared::new(y);
        let piece = |start: usize, length: usize, number: usize| {
            // SAFETY: pieces do not overlap.
            let y = unsafe { y.part(start, length) };
            let (source, function, addend) = of(start, length);
            context.simd.run(Apply { source, function, addend, y, start: number, key, rate, scale });
        };
        let Some(Rows { width, numbers }) = self.rows else {
            return for_pieces(context, length, |start, length| piece(start, length, start));
        };
        assert_eq!(length, numbers.len() * width, "dropout: not one number a row");
        let step = (PIECE / width.max(1)).max(1);
        context.pool.run(numbers.len().div_ceil(step), &|first| {
            let rows = first * step..numbers.len().min((first + 1) * step);
            for (row, &number) in rows.clone().zip(&numbers[rows]) {
                piece(row * width, width, number as usize * width);
            }
        });
    }

    /// `y = x * mask`, the mask being 0 with the probability `rate` and otherwise `1 / (1 - rate)`.
    ///
    /// # Shapes
    /// `x` and `y` are equally long.
    pub fn forward(&self, context: &Context, x: &[f32], y: &mut [f32]) {
        self.backward(context, x, Destination { data: y, accumulate: false });
    }

    /// # Gradient
    /// `dx = dy * mask` with the mask of [`Dropout::forward`].
    ///
    /// # Shapes
    /// `dy` and `dx` are equally long.
    pub fn backward(&self, context: &Context, dy: &[f32], dx: Destination<'_>) {
        assert_eq!(dy.len(), dx.data.len(), "dropout: input and output differ in length");
        let addend = if dx.accumulate { Addend::Own } else { Addend::Nothing };
        let of = |start: usize, length: usize| (Source::Slice(&dy[start..][..length]), Function::Identity, addend);
        self.apply(context, dx.data, of);
    }

    /// `y *= mask`: forward, or backward of a gradient that nobody else needs.
    pub fn in_place(&self, context: &Context, y: &mut [f32]) {
        self.apply(context, y, |_, _| (Source::Own, Function::Identity, Addend::Nothing));
    }

    /// `y = x + y * mask`: a branch that is dropped and added to its residual `x`. Backward is that of its parts.
    ///
    /// # Shapes
    /// `x` and `y` are equally long.
    pub fn add(&self, context: &Context, x: &[f32], y: &mut [f32]) {
        assert_eq!(x.len(), y.len(), "dropout: residual and branch differ in length");
        let of = |start: usize, length: usize| (Source::Own, Function::Identity, Addend::Slice(&x[start..][..length]));
        self.apply(context, y, of);
    }

    /// `y = activation(y) * mask`.
    pub fn activate(&self, context: &Context, activation: Activation, y: &mut [f32]) {
        self.apply(context, y, |_, _| (Source::Own, Function::Value(activation), Addend::Nothing));
    }

    /// `y = activation(x) * mask`.
    ///
    /// # Shapes
    /// `x` and `y` are equally long.
    pub fn activate_to(&self, context: &Context, activation: Activation, x: &[f32], y: &mut [f32]) {
        assert_eq!(x.len(), y.len(), "dropout: input and output differ in length");
        let of = |start: usize, length: usize| {
            (Source::Slice(&x[start..][..length]), Function::Value(activation), Addend::Nothing)
        };
        self.apply(context, y, of);
    }

    /// # Gradient
    /// Of [`Dropout::activate`] for an activation whose gradient takes its input `x`: `dy` becomes
    /// `dx = activation'(x) * dy * mask`.
    ///
    /// # Shapes
    /// `x` and `dy` are equally long.
    pub fn activate_backward(&self, context: &Context, activation: Activation, x: &[f32], dy: &mut [f32]) {
        assert_eq!(x.len(), dy.len(), "dropout: input and gradient differ in length");
        let of = |start: usize, length: usize| {
            let function = Function::Slope(activation, &x[start..][..length]);
            (Source::Own, function, Addend::Nothing)
        };
        self.apply(context, dy, of);
    }

    /// # Gradient
    /// Of [`Dropout::activate`] with [`Activation::Relu`] from its output `y` alone: `dy` becomes `dx`, which is
    /// `dy / (1 - rate)` where `y > 0`, and 0 where it was dropped or flat.
    ///
    /// # Shapes
    /// `y` and `dy` are equally long.
    pub fn relu_backward(&self, context: &Context, y: &[f32], dy: &mut [f32]) {
        assert_eq!(y.len(), dy.len(), "dropout: output and gradient differ in length");
        let scale = self.scale();
        let length = dy.len();
        let dy = Shared::new(dy);
        for_pieces(context, length, |start, length| {
            // SAFETY: pieces do not overlap.
            let dy = unsafe { dy.part(start, length) };
            context.simd.run(apply::Positive { y: &y[start..][..length], dy, scale });
        });
    }

    /// The mask itself, for where it is held over time.
    pub fn mask(&self, context: &Context, out: &mut [f32]) {
        self.apply(context, out, |_, _| (Source::Ones, Function::Identity, Addend::Nothing));
    }
}
