//! Dropout of weights: which ones is a function of sequence, head, query and key, wherever they are in a block.
use super::{AttentionDropout, steps::Steps};
use crate::{
    random::{GROUP, RandomKey, streams},
    simd::{LANES, Lanes},
};

/// Keys that one block of random numbers serves.
const SERVED: usize = GROUP / LANES;

/// Dropout in a panel of queries.
pub(super) struct Dropping {
    key: RandomKey,
    rate: f32,
    scale: f32,
    /// Row of `[B, N, T]`, lane by lane.
    rows: [u32; LANES],
    /// The numbers of the last block.
    block: usize,
    uniform: [f32; GROUP],
}

impl AttentionDropout {
    /// What is kept is multiplied by this.
    fn scale(self) -> f32 {
        if self.rate < 1.0 { (1.0 / (1.0 - f64::from(self.rate))) as f32 } else { 0.0 }
    }

    /// The factor of key `key` in row `row` of `[B, N, T]`.
    pub(super) fn factor(self, row: usize, key: usize) -> f32 {
        let stream = self.key.stream(row as u32);
        if stream.uniform_of((key / SERVED) as u32, key % SERVED) < self.rate { 0.0 } else { self.scale() }
    }
}

impl Dropping {
    pub(super) fn new(dropout: AttentionDropout, rows: [u32; LANES]) -> Self {
        Self {
            key: dropout.key,
            rate: dropout.rate,
            scale: dropout.scale(),
            rows,
            block: usize::MAX,
            uniform: [0.0; GROUP],
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
            self.uniform = streams(self.key, self.rows, self.block as u32);
        }
        let uniform = self.uniform[key % SERVED * LANES..][..LANES].as_ptr();
        // SAFETY: 16 of 64 floats; the caller vouches for the path.
        unsafe { L::splat(0.0).select(L::load(uniform).less(L::splat(self.rate)), L::splat(self.scale)) }
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
