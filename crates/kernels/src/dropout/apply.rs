//! One pass over a run of elements.
use crate::{
    activation::{Activation, function},
    pieces::{load_at, store_at},
    random::{COINS, RandomKey, coins, coins_below},
    simd::{Kernel, LANES, Lanes},
};

/// What is dropped.
#[derive(Clone, Copy)]
pub(super) enum Source<'a> {
    /// Ones.
    Ones,
    /// What the result holds.
    Own,
    /// These, as long as the result.
    Slice(&'a [f32]),
}

/// What is done to it before.
#[derive(Clone, Copy)]
pub(super) enum Function<'a> {
    /// Nothing.
    Identity,
    /// The value of an activation.
    Value(Activation),
    /// It is multiplied by the slope of an activation at these inputs.
    Slope(Activation, &'a [f32]),
}

/// What is added behind it.
#[derive(Clone, Copy)]
pub(super) enum Addend<'a> {
    /// Nothing.
    Nothing,
    /// What the result holds.
    Own,
    /// These, as long as the result.
    Slice(&'a [f32]),
}

/// `y = addend + function(source) * mask`.
pub(super) struct Apply<'a> {
    pub source: Source<'a>,
    pub function: Function<'a>,
    pub addend: Addend<'a>,
    pub y: &'a mut [f32],
    /// Number of the first element in the stream.
    pub start: usize,
    pub key: RandomKey,
    pub rate: f32,
    pub scale: f32,
}

impl Apply<'_> {
    /// Lanes from `at` on, given their coins.
    ///
    /// # Safety
    /// The instruction set of `L` is available, and `at <= y.len()`.
    #[inline(always)]
    unsafe fn lanes<L: Lanes>(&mut self, at: usize, coins: L, limit: L) {
        // SAFETY: all slices are as long as `y`; the caller vouches for the path.
        unsafe {
            let mut x = match self.source {
                Source::Ones => L::splat(1.0),
                Source::Own => load_at(self.y, at),
                Source::Slice(x) => load_at(x, at),
            };
            x = match self.function {
                Function::Identity => x,
                Function::Value(activation) => function::value(activation, x),
                Function::Slope(activation, inputs) => function::slope::<L>(activation, load_at(inputs, at)).mul(x),
            };
            // A selection, because an infinity times 0 would be NaN.
            let kept = L::splat(0.0).select(coins.less(limit), x.mul(L::splat(self.scale)));
            let y = match self.addend {
                Addend::Nothing => kept,
                Addend::Own => kept.add(load_at(self.y, at)),
                Addend::Slice(addend) => kept.add(load_at(addend, at)),
            };
            store_at(self.y, at, y);
        }
    }
}

impl Kernel for Apply<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<L: Lanes>(mut self) {
        let length = self.y.len();
        let shift = self.start % COINS;
        let mut number = self.start / COINS;
        let limit = coins_below(self.rate);
        let key = self.key;
        let mut next = || {
            number += 1;
            coins(key, number - 1)
        };
        let mut two = [0.0; 2 * COINS];
        if shift > 0 {
            two[COINS..].copy_from_slice(&next());
        }
        for block in (0..length).step_by(COINS) {
            // The coins of a block begin at `shift`.
            if shift > 0 {
                two.copy_within(COINS.., 0);
            }
            two[if shift > 0 { COINS } else { 0 }..][..COINS].copy_from_slice(&next());
            let end = length.min(block + COINS);
            for at in (block..end).step_by(LANES) {
                // SAFETY: `at - block` is a multiple of 16 below 128, so that the coins end inside the array; the caller
                // vouches for the path.
                unsafe {
                    let coins = L::load(two.as_ptr().add(shift + at - block));
                    self.lanes::<L>(at, coins, L::splat(limit));
                }
            }
        }
    }
}

/// `dy = y > 0 ? dy * scale : 0`.
pub(super) struct Positive<'a> {
    pub y: &'a [f32],
    pub dy: &'a mut [f32],
    pub scale: f32,
}

impl Kernel for Positive<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        for at in (0..self.dy.len()).step_by(LANES) {
            // SAFETY: both are equally long; the caller vouches for the path.
            unsafe {
                let zero = L::splat(0.0);
                let dy: L = load_at(self.dy, at);
                let kept = dy.mul(L::splat(self.scale)).select(zero.less(load_at(self.y, at)), zero);
                store_at(self.dy, at, kept);
            }
        }
    }
}
