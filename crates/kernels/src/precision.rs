//! Which numbers the factors of large products are.
use crate::simd::Simd;

/// What the factors of large products are rounded to. Sums, and all values in memory, are `f32` with either.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
    /// Nothing is rounded.
    #[default]
    Float32,
    /// To the nearest bfloat16 (8 bits of mantissa, the exponents of `f32`), ties to even. Numbers below `2^-126` become 0.
    Bfloat16,
}

impl Precision {
    /// Whether this machine has instructions for it on a path; without them a product takes far longer than in `f32`.
    #[must_use]
    pub fn is_available(self, simd: Simd) -> bool {
        match self {
            Self::Float32 => true,
            Self::Bfloat16 => simd.multiplies_pairs(),
        }
    }
}
