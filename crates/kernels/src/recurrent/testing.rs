//! Random inputs for the tests of recurrent layers.
use crate::testing::Random;

/// A mask of `[batch, steps]`. 0: none, 1: left, 2: right, 3: with holes, 4: right, some rows wholly masked, the last steps
/// for all rows.
pub(crate) fn mask(random: &mut Random, kind: usize, batch: usize, steps: usize) -> Option<Vec<u8>> {
    let mut mask = vec![1; batch * steps];
    for row in mask.chunks_exact_mut(steps.max(1)) {
        let length = random.below(steps + 1);
        match kind {
            1 => row[..length].fill(0),
            2 => row[length..].fill(0),
            3 => row.iter_mut().for_each(|valid| *valid = u8::from(random.below(3) > 0)),
            _ => row[length.saturating_sub(2)..].fill(0),
        }
    }
    (kind > 0).then_some(mask)
}

/// Dropout factors, none if there are no variants.
pub(crate) fn factors(random: &mut Random, variants: usize, length: usize) -> Option<Vec<f32>> {
    let mut kept = || if random.below(4) > 0 { 4.0 / 3.0 } else { 0.0 };
    (variants > 0).then(|| (0..variants * length).map(|_| kept()).collect())
}

/// Floats of `-scale..scale`.
pub(crate) fn scaled(random: &mut Random, length: usize, scale: f32) -> Vec<f32> {
    random.floats(length).iter().map(|x| x * scale).collect()
}

/// What is masked must not matter: NaN there.
pub(crate) fn spoil(x: &mut [f32], mask: Option<&[u8]>, input: usize) {
    for (index, x) in x.iter_mut().enumerate() {
        if mask.is_some_and(|mask| mask[index / input] == 0) {
            *x = f32::NAN;
        }
    }
}

/// Rows of a matrix `[batch, row]`.
pub(crate) fn rows(matrix: &[f32], row: usize, chosen: &[usize]) -> Vec<f32> {
    chosen.iter().flat_map(|&index| &matrix[index * row..][..row]).copied().collect()
}
