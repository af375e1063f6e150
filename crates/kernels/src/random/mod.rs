//! Counter-based random numbers: a value is a function of seed, step, node and index, so that it can be recomputed
//! anywhere, in any order and on any thread.
//!
//! # Source
//! Philox4x32-10, and for coins Philox4x32-7, of Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3"
//! (SC 2011).
mod philox;

use crate::{
    Context,
    pieces::for_pieces,
    shared::Shared,
    simd::{Kernel, LANES, Lanes},
};

use philox::{COIN_ROUNDS, GROUP, ROUNDS, group};
pub(crate) use philox::{COINS, coins, streams};

/// Names a stream of random numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RandomKey {
    /// The seed of a run.
    pub seed: u64,
    /// The training step (or epoch).
    pub step: u64,
    /// What the numbers are for: a node of the graph, a weight.
    pub node: u32,
}

impl RandomKey {
    /// The stream of the initial values of a weight. No training step has its number.
    #[must_use]
    pub fn initial(seed: u64, weight: u32) -> Self {
        Self { seed, step: u64::MAX, node: weight }
    }

    /// The 128 random bits of block `block`.
    #[must_use]
    pub fn block(self, block: u32) -> [u32; 4] {
        self.block_of::<ROUNDS>(block)
    }

    fn block_of<const ROUNDS: usize>(self, block: u32) -> [u32; 4] {
        philox::block::<ROUNDS>([block, self.node, self.step as u32, (self.step >> 32) as u32], self.words())
    }

    /// One of 2^32 streams under this key, whose numbers are taken by block and word.
    pub(crate) fn stream(self, stream: u32) -> Self {
        Self { step: self.step ^ u64::from(stream) << 32, ..self }
    }

    /// Coin `half` of the eight of block `block`: a whole number, uniform in `0..65536`.
    pub(crate) fn coin_of(self, block: u32, half: usize) -> f32 {
        philox::half(self.block_of::<COIN_ROUNDS>(block)[half / 2], half % 2 == 1)
    }

    /// Coin `index` of the stream: a whole number, uniform in `0..65536`. Sixteen consecutive ones are the same half word of
    /// sixteen consecutive blocks, as values are.
    #[cfg(test)]
    pub(crate) fn coin(self, index: usize) -> f32 {
        self.coin_of(first_block(index / COINS) + (index % LANES) as u32, index % COINS / LANES)
    }

    fn words(self) -> [u32; 2] {
        [self.seed as u32, (self.seed >> 32) as u32]
    }

    /// The word of value `index`, and of the other value of its Box-Muller pair. Sixteen consecutive values are the same
    /// word of sixteen consecutive blocks, so that a SIMD path stores them as it computes them.
    fn pair(self, index: usize) -> (u32, u32, bool) {
        let lane = index % LANES;
        let word = index / LANES % 4;
        let words = self.block(first_block(index / GROUP) + lane as u32);
        (words[word & 2], words[word | 1], word & 1 == 1)
    }

    /// Value `index` of the stream, uniform in `[0, 1)`, a multiple of 2^-24.
    #[must_use]
    pub fn uniform(self, index: usize) -> f32 {
        let (first, second, odd) = self.pair(index);
        philox::unit(if odd { second } else { first })
    }

    /// Value `index` of the stream, standard normal.
    #[must_use]
    pub fn normal(self, index: usize) -> f64 {
        let (first, second, odd) = self.pair(index);
        let (cosine, sine) = box_muller(first, second);
        if odd { sine } else { cosine }
    }

    /// Value `index` of the stream, standard normal but within -2..=2 (by rejection).
    #[must_use]
    pub fn truncated_normal(self, index: usize) -> f64 {
        let index = u32::try_from(index).unwrap_or_else(|_| panic!("index {index} exceeds the random stream"));
        // The top byte of the step counts the attempts: one in 200,000 values needs a second one.
        for attempt in 0..=u8::MAX {
            let words = Self { step: self.step ^ u64::from(attempt) << 56, ..self }.block(index);
            for pair in words.chunks_exact(2) {
                let (cosine, sine) = box_muller(pair[0], pair[1]);
                if cosine.abs() <= 2.0 {
                    return cosine;
                }
                if sine.abs() <= 2.0 {
                    return sine;
                }
            }
        }
        0.0
    }
}

/// Below this lie coins with this probability, in `0..=1`, to the nearest multiple of 2^-16.
#[inline(always)]
pub(crate) fn coins_below(probability: f32) -> f32 {
    (probability * 65_536.0).round()
}

/// The first block of a group.
fn first_block(group: usize) -> u32 {
    u32::try_from(group * LANES).unwrap_or_else(|_| panic!("group {group} exceeds the random stream"))
}

/// Two independent standard normal values.
fn box_muller(first: u32, second: u32) -> (f64, f64) {
    const UNIT: f64 = 1.0 / 4_294_967_296.0;
    let radius = (-2.0 * ((f64::from(first) + 1.0) * UNIT).ln()).sqrt();
    let (sine, cosine) = (std::f64::consts::TAU * f64::from(second) * UNIT).sin_cos();
    (radius * cosine, radius * sine)
}

struct Uniform<'a> {
    key: RandomKey,
    start: usize,
    out: &'a mut [f32],
}

impl Kernel for Uniform<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let end = self.start + self.out.len();
        let mut at = self.start;
        while at < end {
            let inside = at % GROUP;
            let count = (GROUP - inside).min(end - at);
            let values = group(self.key, at / GROUP);
            self.out[at - self.start..][..count].copy_from_slice(&values[inside..inside + count]);
            at += count;
        }
    }
}

/// Fills `out` with the values `start..start + out.len()` of the stream, uniform in `[0, 1)`.
pub fn fill_uniform(ctx: &Context, key: RandomKey, start: usize, out: &mut [f32]) {
    let length = out.len();
    let out = Shared::new(out);
    for_pieces(ctx, length, |offset, length| {
        // SAFETY: pieces do not overlap.
        let out = unsafe { out.part(offset, length) };
        ctx.simd.run(Uniform { key, start: start + offset, out });
    });
}

/// Fills `out` with the values `start..start + out.len()` of the stream, normal with this mean and standard deviation.
pub fn fill_normal(ctx: &Context, key: RandomKey, start: usize, mean: f64, deviation: f64, out: &mut [f32]) {
    let length = out.len();
    let out = Shared::new(out);
    for_pieces(ctx, length, |offset, length| {
        // SAFETY: pieces do not overlap.
        let out = unsafe { out.part(offset, length) };
        for (index, value) in out.iter_mut().enumerate() {
            *value = (mean + deviation * key.normal(start + offset + index)) as f32;
        }
    });
}

/// Fills `out` with the values `start..start + out.len()` of the stream, normal with this mean and standard deviation
/// but never more than two deviations from the mean.
pub fn fill_truncated_normal(ctx: &Context, key: RandomKey, start: usize, mean: f64, deviation: f64, out: &mut [f32]) {
    let length = out.len();
    let out = Shared::new(out);
    for_pieces(ctx, length, |offset, length| {
        // SAFETY: pieces do not overlap.
        let out = unsafe { out.part(offset, length) };
        for (index, value) in out.iter_mut().enumerate() {
            *value = (mean + deviation * key.truncated_normal(start + offset + index)) as f32;
        }
    });
}

/// The numbers `0..n` in an order that depends on `seed` and `epoch` only; every order is equally likely.
///
/// # Source
/// Fisher and Yates' shuffle with Lemire's unbiased bounded numbers (ACM TOMACS 29, 2019).
#[must_use]
pub fn permutation(seed: u64, epoch: u64, n: usize) -> Vec<u32> {
    let n = u32::try_from(n).unwrap_or_else(|_| panic!("{n} elements are too many to shuffle"));
    let mut numbers: Vec<u32> = (0..n).collect();
    // No node of a graph has this number.
    let key = RandomKey { seed, step: epoch, node: u32::MAX };
    // A block gives two draws of 64 bits. With these the rejection rate is below 2^-32.
    let mut draws = (0..=u32::MAX).flat_map(|block| {
        let [a, b, c, d] = key.block(block);
        [u64::from(a) << 32 | u64::from(b), u64::from(c) << 32 | u64::from(d)]
    });
    for last in (1..numbers.len()).rev() {
        let bound = last as u64 + 1;
        let rejected = bound.wrapping_neg() % bound;
        let chosen = draws.by_ref().find_map(|draw| {
            let product = u128::from(draw) * u128::from(bound);
            (product as u64 >= rejected).then_some((product >> 64) as usize)
        });
        numbers.swap(last, chosen.unwrap_or(last));
    }
    numbers
}

#[cfg(test)]
mod tests;
