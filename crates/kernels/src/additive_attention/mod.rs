//! Scores of additive attention: sums of hyperbolic tangents, without a tensor of all of them.
//!
//! # Source
//! Bahdanau, Cho and Bengio, "Neural machine translation by jointly learning to align and translate" (2015);
//! `keras.layers.AdditiveAttention`.
//!
//! # Legend
//! `B` sequences, `T` queries and `S` keys each, all of width `D`: `scores[i, j] = sum over d of f[d] tanh(q[i, d] + k[j, d])`.
#[cfg(test)]
mod reference;
#[cfg(test)]
mod tests;

use crate::{
    Context, Destination, math,
    pieces::{load_at, store_at},
    shared::Shared,
    simd::{Kernel, LANES, Lanes},
    softmax::fold,
};

/// Sizes of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AdditiveSizes {
    /// `B`.
    pub batch: usize,
    /// `T`.
    pub queries: usize,
    /// `S`.
    pub keys: usize,
    /// `D`.
    pub width: usize,
}

/// What scores are made of.
#[derive(Clone, Copy, Debug)]
pub struct AdditiveInputs<'a> {
    /// `[B, T, D]`.
    pub query: &'a [f32],
    /// `[B, S, D]`.
    pub key: &'a [f32],
    /// `f`, `[D]`; `None`: ones.
    pub factors: Option<&'a [f32]>,
    /// `[B, S]`: keys whose scores are wanted, not 0; the others have 0. `None`: all.
    pub key_mask: Option<&'a [u8]>,
}

/// Where gradients go; `None` where one is not wanted.
#[derive(Debug, Default)]
pub struct AdditiveGradients<'a> {
    /// `[B, T, D]`.
    pub query: Option<Destination<'a>>,
    /// `[B, S, D]`.
    pub key: Option<Destination<'a>>,
    /// `[D]`.
    pub factors: Option<Destination<'a>>,
}

fn check(sizes: AdditiveSizes, inputs: &AdditiveInputs<'_>, scores: usize) {
    let AdditiveSizes { batch, queries, keys, width } = sizes;
    assert_eq!(inputs.query.len(), batch * queries * width, "additive_attention: query is not [B, T, D]");
    assert_eq!(inputs.key.len(), batch * keys * width, "additive_attention: key is not [B, S, D]");
    assert!(inputs.factors.is_none_or(|factors| factors.len() == width), "additive_attention: factors are not [D]");
    assert!(inputs.key_mask.is_none_or(|mask| mask.len() == batch * keys), "additive_attention: mask is not [B, S]");
    assert_eq!(scores, batch * queries * keys, "additive_attention: scores are not [B, T, S]");
}

/// `f` at a place, ones if there is none.
///
/// # Safety
/// As [`load_at`].
#[inline(always)]
unsafe fn factor_at<L: Lanes>(factors: Option<&[f32]>, at: usize) -> L {
    // SAFETY: the caller's contract.
    unsafe {
        match factors {
            Some(factors) => load_at(factors, at),
            None => L::splat(1.0),
        }
    }
}

/// The scores.
///
/// # Shapes
/// `scores`: `[B, T, S]`.
///
/// # Panics
/// If lengths do not fit.
pub fn forward(context: &Context, sizes: AdditiveSizes, inputs: &AdditiveInputs<'_>, scores: &mut [f32]) {
    check(sizes, inputs, scores.len());
    let AdditiveSizes { batch, queries, keys, .. } = sizes;
    let scores = Shared::new(scores);
    context.pool.run(batch * queries, &|row| {
        // SAFETY: pieces do not overlap.
        let scores = unsafe { scores.part(row * keys, keys) };
        context.simd.run(Forward { sizes, inputs, row, scores });
    });
}

/// The scores of one query.
struct Forward<'a> {
    sizes: AdditiveSizes,
    inputs: &'a AdditiveInputs<'a>,
    row: usize,
    scores: &'a mut [f32],
}

impl Kernel for Forward<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let AdditiveSizes { queries, keys, width, .. } = self.sizes;
        let batch = self.row / queries;
        let query = &self.inputs.query[self.row * width..][..width];
        for (key, score) in self.scores.iter_mut().enumerate() {
            let place = batch * keys + key;
            if self.inputs.key_mask.is_some_and(|mask| mask[place] == 0) {
                *score = 0.0;
                continue;
            }
            let key = &self.inputs.key[place * width..][..width];
            // SAFETY: the path is available, places are below the width; lanes behind the end are tanh(0) = 0.
            unsafe {
                let mut sum = L::splat(0.0);
                for at in (0..width).step_by(LANES) {
                    let tanh = math::tanh(load_at::<L>(query, at).add(load_at(key, at)));
                    sum = tanh.fma(factor_at(self.inputs.factors, at), sum);
                }
                *score = fold(sum, |a, b| a + b);
            }
        }
    }
}

/// Gradients of [`forward`]; pairs whose gradient is exactly 0 cost nothing.
///
/// # Shapes
/// `dscores`: `[B, T, S]`, 0 for keys that are masked.
///
/// # Gradient
/// With `t = tanh(q + k)` and `z = ds f (1 - t^2)`: `dq` is the sum of `z` over the keys, `dk` over the queries, and
/// `df` the sum of `ds t` over all pairs.
///
/// # Panics
/// If lengths do not fit.
pub fn backward(
    context: &Context,
    sizes: AdditiveSizes,
    inputs: &AdditiveInputs<'_>,
    dscores: &[f32],
    gradients: AdditiveGradients<'_>,
) {
    check(sizes, inputs, dscores.len());
    let AdditiveSizes { batch, queries, keys, width } = sizes;
    let [mut dquery, mut dkey] = [vec![0.0; inputs.query.len()], vec![0.0; inputs.key.len()]];
    let mut dfactors = vec![0.0; batch * width];
    {
        let [of_query, of_key, of_factors] =
            [Shared::new(&mut dquery), Shared::new(&mut dkey), Shared::new(&mut dfactors)];
        context.pool.run(batch, &|piece| {
            // SAFETY: pieces do not overlap.
            let (dquery, dkey, dfactors) = unsafe {
                (
                    of_query.part(piece * queries * width, queries * width),
                    of_key.part(piece * keys * width, keys * width),
                    of_factors.part(piece * width, width),
                )
            };
            let dscores = &dscores[piece * queries * keys..][..queries * keys];
            context.simd.run(Backward { sizes, inputs, piece, dscores, dquery, dkey, dfactors });
        });
    }
    let mut sums = vec![0.0f64; width];
    for row in dfactors.chunks_exact(width.max(1)) {
        sums.iter_mut().zip(row).for_each(|(sum, &part)| *sum += f64::from(part));
    }
    let dfactors: Vec<f32> = sums.into_iter().map(|sum| sum as f32).collect();
    for (to, from) in [(gradients.query, dquery), (gradients.key, dkey), (gradients.factors, dfactors)] {
        let Some(Destination { data, accumulate }) = to else { continue };
        assert_eq!(data.len(), from.len(), "additive_attention: length of a gradient");
        match accumulate {
            true => data.iter_mut().zip(from).for_each(|(to, from)| *to += from),
            false => data.copy_from_slice(&from),
        }
    }
}

/// The gradients of one sequence.
struct Backward<'a> {
    sizes: AdditiveSizes,
    inputs: &'a AdditiveInputs<'a>,
    piece: usize,
    dscores: &'a [f32],
    dquery: &'a mut [f32],
    dkey: &'a mut [f32],
    dfactors: &'a mut [f32],
}

impl Kernel for Backward<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let AdditiveSizes { queries, keys, width, .. } = self.sizes;
        let query = &self.inputs.query[self.piece * queries * width..][..queries * width];
        let key = &self.inputs.key[self.piece * keys * width..][..keys * width];
        for (pair, &slope) in self.dscores.iter().enumerate().filter(|(_, slope)| **slope != 0.0) {
            let (i, j) = (pair / keys, pair % keys);
            let (query, key) = (&query[i * width..][..width], &key[j * width..][..width]);
            let dquery = &mut self.dquery[i * width..][..width];
            let dkey = &mut self.dkey[j * width..][..width];
            for at in (0..width).step_by(LANES) {
                // SAFETY: the path is available, places are below the width.
                unsafe {
                    let slope = L::splat(slope);
                    let tanh = math::tanh(load_at::<L>(query, at).add(load_at(key, at)));
                    store_at(self.dfactors, at, slope.fma(tanh, load_at(self.dfactors, at)));
                    let flat = L::splat(1.0).sub(tanh.mul(tanh));
                    let z = slope.mul(factor_at(self.inputs.factors, at)).mul(flat);
                    store_at(dquery, at, load_at::<L>(dquery, at).add(z));
                    store_at(dkey, at, load_at::<L>(dkey, at).add(z));
                }
            }
        }
    }
}
