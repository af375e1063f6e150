//! Dropout of weights: which ones is a function of sequence, head, query and key, wherever they are in a block.
use super::{AttentionDropout, steps::Steps};
use crate::{
    random::{COINS, RandomKey, coins_below, streams},
    simd::{LANES, Lanes},
};

/// Keys that one block of random numbers serves.
const SERVED: usize = COINS / LANES;

/// Dropout in a panel of queries.
pub(super) struct Dropping {
    key: RandomKey,
    /// Coins below it drop.
    limit: f32,
    scale: f32,
    /// Row of `[B, N, T]`, lane by lane.
    rows: [u32; LANES],
    /// The last block, and its coins.
    block: usize,
    coins: [f32; COINS],
}

impl AttentionDropout {
    /// What is kept is multiplied by this.
    fn scale(self) -> f32 {
        if self.rate < 1.0 { (1.0 / (1.0 - f64::from(self.rate))) as f32 } else { 0.0 }
    }

    /// The factor of key `key` in row `row` of `[B, N, T]`.
    pub(super) fn factor(self, row: usize, key: usize) -> f32 {
        let stream = self.key.stream(row as u32);
        if stream.coin_of((key / SERVED) as u32, key % SERVED) < coins_below(self.rate) { 0.0 } else { self.scale() }
    }
}

impl Dropping {
    pub(super) fn new(dropout: AttentionDropout, rows: [u32; LANES]) -> Self {
        Self {
            key: dropout.key,
            limit: coins_below(dropout.rate),
            scale: dropout.scale(),
            rows,
            block: usize::MAX,
            coins: [0.0; COINS],
        }
    }

    /// Factors of a key.
    ///
    /// # Safety
    /// The instruction set of `L` is available.
    #[inline(always)]
    pub(super) unsafe fn factor<L: Lanes>(&mut self, key: usize) -> L {
        if key / SERVED != self.block {
            self.block = key / SERVED;
            self.coins = streams(self.key, self.rows, self.block as u32);
        }
        let coin = self.coins[key % SERVED * LANES..][..LANES].as_ptr();
        // SAFETY: 16 of 128 floats; the caller vouches for the path.
        unsafe { L::splat(0.0).select(L::load(coin).less(L::splat(self.limit)), L::splat(self.scale)) }
    }

    /// Multiplies a column of weights, `stride` floats apart, by their factors.
    ///
    /// # Safety
    /// The instruction set of `L` is available; the column has `count` vectors.
    #[inline(always)]
    pub(super) unsafe fn drop<L: Lanes>(
        &mut self,
        keys: &Steps,
        first: usize,
        count: usize,
        column: *mut f32,
        stride: usize,
    ) {
        // SAFETY: the caller's contract.
        unsafe {
            for number in 0..count {
                let at = column.add(number * stride);
                L::load(at).mul(self.factor(keys.at(first + number))).store(at);
            }
        }
    }
}
