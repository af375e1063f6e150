//! The attention of one step of a block on panels: each lane is a row with its own query, keys and memory.
//!
//! `queries` are `[features][16]`, keys and memory `[position][features][16]`, scores and weights `[position][16]`.
#![allow(unsafe_op_in_unsafe_fn, reason = "every line works on panels under the contract of its function")]
use super::memory::Position;
use crate::{
    math,
    simd::{LANES, Lanes},
};

/// Positions or features whose sums are computed together.
const TOGETHER: usize = 4;
/// Features of a chunk that stays in L1 while the positions pass.
const CHUNK: usize = 16;

/// `scores[s] = sum_k query[k] keys[s][k]`.
///
/// # Safety
/// Addresses have panels of these sizes, and the path `L` is available; so for all functions here.
#[inline(always)]
pub(super) unsafe fn dot<L: Lanes>(
    query: *const f32,
    keys: *const f32,
    features: usize,
    positions: usize,
    scores: *mut f32,
) {
    let mut first = 0;
    while first + TOGETHER <= positions {
        let mut sums = [L::splat(0.0); TOGETHER];
        for feature in 0..features {
            let q = L::load(query.add(feature * LANES));
            for (index, sum) in sums.iter_mut().enumerate() {
                *sum = q.fma(L::load(keys.add(((first + index) * features + feature) * LANES)), *sum);
            }
        }
        for (index, sum) in sums.into_iter().enumerate() {
            sum.store(scores.add((first + index) * LANES));
        }
        first += TOGETHER;
    }
    for position in first..positions {
        let mut sum = L::splat(0.0);
        for feature in 0..features {
            let key = L::load(keys.add((position * features + feature) * LANES));
            sum = L::load(query.add(feature * LANES)).fma(key, sum);
        }
        sum.store(scores.add(position * LANES));
    }
}

/// `scores[s] = sum_k scale[k] tanh(query[k] + keys[s][k])`.
#[inline(always)]
pub(super) unsafe fn additive<L: Lanes>(
    query: *const f32,
    keys: *const f32,
    scale: &[f32],
    positions: usize,
    scores: *mut f32,
) {
    let features = scale.len();
    for position in 0..positions {
        let mut sum = L::splat(0.0);
        for (feature, &scale) in scale.iter().enumerate() {
            let key = L::load(keys.add((position * features + feature) * LANES));
            sum = L::splat(scale).fma(math::tanh(L::load(query.add(feature * LANES)).add(key)), sum);
        }
        sum.store(scores.add(position * LANES));
    }
}

/// Softmax of the scores over the positions that count in each lane, in place; 0 where none does.
#[inline(always)]
pub(super) unsafe fn softmax<L: Lanes>(scores: *mut f32, positions: &[Position]) {
    let mut largest = L::splat(f32::MIN);
    for (index, &(_, bits)) in positions.iter().enumerate() {
        let score = L::load(scores.add(index * LANES));
        largest = score.max(largest).select(L::mask_from_bits(bits), largest);
    }
    let mut sum = L::splat(0.0);
    for (index, &(_, bits)) in positions.iter().enumerate() {
        let score = L::load(scores.add(index * LANES));
        let exp = math::exp(score.sub(largest)).select(L::mask_from_bits(bits), L::splat(0.0));
        exp.store(scores.add(index * LANES));
        sum = sum.add(exp);
    }
    // Only a lane without any position has the sum 0: the largest score adds 1.
    let divisor = L::splat(1.0).select(sum.less(L::splat(0.5)), sum);
    for index in 0..positions.len() {
        let at = scores.add(index * LANES);
        L::load(at).div(divisor).store(at);
    }
}

/// Gradients of the scores from those of the weights, in place: `w (dw - sum_s w dw)`; 0 in lanes that do not count.
#[inline(always)]
pub(super) unsafe fn softmax_backward<L: Lanes>(weights: *const f32, dweights: *mut f32, positions: usize, valid: u16) {
    let mut mean = L::splat(0.0);
    for index in 0..positions {
        mean = L::load(weights.add(index * LANES)).fma(L::load(dweights.add(index * LANES)), mean);
    }
    let valid = L::mask_from_bits(valid);
    for index in 0..positions {
        let at = dweights.add(index * LANES);
        let dscore = L::load(weights.add(index * LANES)).mul(L::load(at).sub(mean));
        dscore.select(valid, L::splat(0.0)).store(at);
    }
}

/// `to[k] (+)= sum_s weights[s] values[s][k]`.
#[inline(always)]
pub(super) unsafe fn mix<L: Lanes>(
    weights: *const f32,
    values: *const f32,
    features: usize,
    positions: usize,
    to: *mut f32,
    accumulate: bool,
) {
    let mut first = 0;
    while first < features {
        let count = TOGETHER.min(features - first);
        let mut sums = [L::splat(0.0); TOGETHER];
        if accumulate {
            for (index, sum) in sums.iter_mut().enumerate().take(count) {
                *sum = L::load(to.add((first + index) * LANES));
            }
        }
        if count == TOGETHER {
            for position in 0..positions {
                let weight = L::load(weights.add(position * LANES));
                for (index, sum) in sums.iter_mut().enumerate() {
                    let value = L::load(values.add((position * features + first + index) * LANES));
                    *sum = weight.fma(value, *sum);
                }
            }
        } else {
            for position in 0..positions {
                let weight = L::load(weights.add(position * LANES));
                for (index, sum) in sums.iter_mut().enumerate().take(count) {
                    let value = L::load(values.add((position * features + first + index) * LANES));
                    *sum = weight.fma(value, *sum);
                }
            }
        }
        for (index, sum) in sums.into_iter().enumerate().take(count) {
            sum.store(to.add((first + index) * LANES));
        }
        first += TOGETHER;
    }
}

/// `to[s][k] += weights[s] x[k]`.
#[inline(always)]
pub(super) unsafe fn spread<L: Lanes>(
    weights: *const f32,
    x: *const f32,
    features: usize,
    positions: usize,
    to: *mut f32,
) {
    for position in 0..positions {
        let weight = L::load(weights.add(position * LANES));
        for feature in 0..features {
            let at = to.add((position * features + feature) * LANES);
            weight.fma(L::load(x.add(feature * LANES)), L::load(at)).store(at);
        }
    }
}

/// Operands of the backward pass of additive scores.
#[derive(Clone, Copy)]
pub(super) struct AdditiveBackward<'a> {
    /// Replaced by its gradient.
    pub query: *mut f32,
    pub keys: *const f32,
    pub scale: &'a [f32],
    pub dscores: *const f32,
    pub positions: usize,
    /// Added to, if it is asked for.
    pub dkeys: Option<*mut f32>,
    /// Of the scale, `[features][16]`; added to.
    pub dscale: *mut f32,
}

impl AdditiveBackward<'_> {
    /// With `t = tanh(query + key)` and `d` the gradient of a score: `d scale (1 - t^2)` goes to query and key, `d t` to the
    /// scale.
    #[inline(always)]
    pub(super) unsafe fn run<L: Lanes>(self) {
        let features = self.scale.len();
        for first in (0..features).step_by(CHUNK) {
            let count = CHUNK.min(features - first);
            let mut sums = [L::splat(0.0); CHUNK];
            for position in 0..self.positions {
                let d = L::load(self.dscores.add(position * LANES));
                for (index, sum) in sums.iter_mut().enumerate().take(count) {
                    let feature = first + index;
                    let at = (position * features + feature) * LANES;
                    let t = math::tanh(L::load(self.query.add(feature * LANES)).add(L::load(self.keys.add(at))));
                    let dscale = self.dscale.add(feature * LANES);
                    d.fma(t, L::load(dscale)).store(dscale);
                    let through = d.mul(L::splat(self.scale[feature]));
                    let dsum = through.sub(through.mul(t).mul(t));
                    *sum = sum.add(dsum);
                    if let Some(dkeys) = self.dkeys {
                        L::load(dkeys.add(at)).add(dsum).store(dkeys.add(at));
                    }
                }
            }
            for (index, sum) in sums.into_iter().enumerate().take(count) {
                sum.store(self.query.add((first + index) * LANES));
            }
        }
    }
}
