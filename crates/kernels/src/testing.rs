//! Helpers of the tests.

/// A small generator (PCG-like), so that tests need no crate and always see the same numbers.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) + 1)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }

    /// An integer in `0..end`.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.next() as usize % end
    }

    /// A float in -1..1.
    pub(crate) fn float(&mut self) -> f32 {
        self.next() as f32 / (1u64 << 30) as f32 - 1.0
    }

    pub(crate) fn floats(&mut self, length: usize) -> Vec<f32> {
        (0..length).map(|_| self.float()).collect()
    }
}

/// Asserts that each element is within 1e-5 of the largest expected one.
pub(crate) fn assert_close(found: &[f32], expected: &[f64], what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}: length");
    let largest = expected.iter().fold(0.0f64, |largest, x| largest.max(x.abs())).max(1e-30);
    for (index, (&found, &expected)) in found.iter().zip(expected).enumerate() {
        let error = (f64::from(found) - expected).abs() / largest;
        assert!(error <= 1e-5, "{what}: element {index} is {found}, expected {expected} (error {error})");
    }
}

pub(crate) fn widen(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&x| f64::from(x)).collect()
}

pub(crate) fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|x| x.to_bits()).collect()
}

/// Every SIMD path of this machine with 1, 2 and 3 threads, one path after the other.
pub(crate) fn contexts() -> Vec<crate::Context> {
    let simd = crate::simd::Simd::available();
    simd.into_iter().flat_map(|simd| (1..=3).map(move |threads| crate::Context::new(threads, simd))).collect()
}

/// The nearest bfloat16 by arithmetic: ties to even, what is too small for a normal number becomes 0.
pub(crate) fn rounded(value: f32) -> f32 {
    if value.abs() < f32::MIN_POSITIVE {
        return 0.0 * value;
    }
    let unit = 2f64.powi(f64::from(value.abs()).log2().floor() as i32 - 7);
    ((f64::from(value) / unit).round_ties_even() * unit) as f32
}

/// The portable path, and the one with instructions for pairs if this machine has it.
pub(crate) fn pair_paths() -> Vec<crate::simd::Simd> {
    let mut paths = vec![crate::simd::Simd::Scalar];
    paths.extend(crate::simd::Simd::available().into_iter().filter(|simd| simd.multiplies_pairs()));
    if paths.len() == 1 {
        println!("not tested: instructions for pairs of bfloat16, which this machine has not");
    }
    paths
}

/// Every path with 1 to 3 threads, with factors of bfloat16.
pub(crate) fn rounding() -> Vec<crate::Context> {
    let paths = pair_paths();
    let contexts = contexts().into_iter().filter(|context| paths.contains(&context.simd));
    contexts.map(|context| context.with_precision(crate::Precision::Bfloat16)).collect()
}
