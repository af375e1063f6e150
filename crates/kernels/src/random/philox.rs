//! The Philox4x32 bijection, for one block and for sixteen at once.
use super::RandomKey;
use crate::simd::LANES;

const MULTIPLIERS: [u32; 2] = [0xd251_1f53, 0xcd9e_8d57];
const WEYL: [u32; 2] = [0x9e37_79b9, 0xbb67_ae85];
/// With the margin that its authors recommend.
pub(super) const ROUNDS: usize = 10;
/// Without that margin; the bits still pass the tests of BigCrush.
pub(super) const COIN_ROUNDS: usize = 7;

/// Uniform values that sixteen blocks give.
pub(super) const GROUP: usize = 4 * LANES;
/// Coins that sixteen blocks give: 16 bits each are enough to say what is dropped.
pub(crate) const COINS: usize = 2 * GROUP;

/// One round. A word is the low half of its number; what lies above it is of no account, since the multiplication takes the low
/// half alone: so vectors of them need not be packed and unpacked from round to round.
#[inline(always)]
fn round(counter: [u64; 4], key: [u32; 2]) -> [u64; 4] {
    let product = |multiplier: u32, word: u64| u64::from(multiplier) * u64::from(word as u32);
    let [first, second] = [product(MULTIPLIERS[0], counter[0]), product(MULTIPLIERS[1], counter[2])];
    let key = key.map(u64::from);
    [(second >> 32) ^ counter[1] ^ key[0], second, (first >> 32) ^ counter[3] ^ key[1], first]
}

#[inline(always)]
fn next_key(key: [u32; 2]) -> [u32; 2] {
    [key[0].wrapping_add(WEYL[0]), key[1].wrapping_add(WEYL[1])]
}

/// The random words of one counter.
pub(super) fn block<const ROUNDS: usize>(counter: [u32; 4], mut key: [u32; 2]) -> [u32; 4] {
    let mut counter = counter.map(u64::from);
    for _ in 0..ROUNDS {
        counter = round(counter, key);
        key = next_key(key);
    }
    counter.map(|word| word as u32)
}

/// A word as a float in `[0, 1)`.
#[inline(always)]
pub(super) fn unit(word: u32) -> f32 {
    // The 24 bits fit an `i32`, from which every instruction set converts.
    (word >> 8) as i32 as f32 * (1.0 / 16_777_216.0)
}

/// Half a word, a coin.
#[inline(always)]
pub(super) fn half(word: u32, upper: bool) -> f32 {
    (if upper { word >> 16 } else { word & 0xffff }) as i32 as f32
}

/// The uniform values of group `number`: words 0 of its sixteen blocks, words 1, words 2, words 3.
#[inline(always)]
pub(super) fn group(key: RandomKey, number: usize) -> [f32; GROUP] {
    let [a, b, c, d] = words::<ROUNDS>(key, numbers(number), [0; LANES]);
    let mut values = [0.0; GROUP];
    for lane in 0..LANES {
        values[lane] = unit(a[lane] as u32);
        values[lane + LANES] = unit(b[lane] as u32);
        values[lane + 2 * LANES] = unit(c[lane] as u32);
        values[lane + 3 * LANES] = unit(d[lane] as u32);
    }
    values
}

/// The coins of group `number`: the lower halves of words 0 of its sixteen blocks, the upper ones, those of words 1, and
/// so on.
#[inline(always)]
pub(crate) fn coins(key: RandomKey, number: usize) -> [f32; COINS] {
    halves(words::<COIN_ROUNDS>(key, numbers(number), [0; LANES]))
}

/// Numbers of the blocks of a group.
#[inline(always)]
fn numbers(group: usize) -> [u32; LANES] {
    let first = super::first_block(group);
    std::array::from_fn(|lane| first + lane as u32)
}

/// The coins of block `number` in sixteen streams of [`RandomKey::stream`]: the lower halves of words 0 of the streams, the
/// upper ones, those of words 1, and so on.
#[inline(always)]
pub(crate) fn streams(key: RandomKey, streams: [u32; LANES], number: u32) -> [f32; COINS] {
    halves(words::<COIN_ROUNDS>(key, [number; LANES], streams))
}

/// Places are spelled out: from nested loops the compiler makes scattered stores, with which dropout takes three times as long.
#[inline(always)]
fn halves([a, b, c, d]: [[u64; LANES]; 4]) -> [f32; COINS] {
    let mut values = [0.0; COINS];
    for lane in 0..LANES {
        values[lane] = half(a[lane] as u32, false);
        values[lane + LANES] = half(a[lane] as u32, true);
        values[lane + 2 * LANES] = half(b[lane] as u32, false);
        values[lane + 3 * LANES] = half(b[lane] as u32, true);
        values[lane + 4 * LANES] = half(c[lane] as u32, false);
        values[lane + 5 * LANES] = half(c[lane] as u32, true);
        values[lane + 6 * LANES] = half(d[lane] as u32, false);
        values[lane + 7 * LANES] = half(d[lane] as u32, true);
    }
    values
}

/// Sixteen blocks with their numbers and streams. Plain loops over sixteen lanes, which the compiler turns into the
/// instructions of the kernel that this is inlined into.
#[inline(always)]
fn words<const ROUNDS: usize>(key: RandomKey, numbers: [u32; LANES], streams: [u32; LANES]) -> [[u64; LANES]; 4] {
    let mut a = numbers.map(u64::from);
    let mut b = [u64::from(key.node); LANES];
    let mut c = [u64::from(key.step as u32); LANES];
    let mut d = streams.map(|stream| u64::from((key.step >> 32) as u32 ^ stream));
    let mut words = key.words();
    for _ in 0..ROUNDS {
        for lane in 0..LANES {
            [a[lane], b[lane], c[lane], d[lane]] = round([a[lane], b[lane], c[lane], d[lane]], words);
        }
        words = next_key(words);
    }
    [a, b, c, d]
}
