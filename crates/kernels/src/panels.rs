//! Token panels: 16 rows of a row-major matrix side by side, `[rows / 16][features][16]`, so that each lane is one row.
use crate::simd::LANES;

/// Floats in the panels of `rows` rows with `features` features.
pub(crate) fn panels_length(rows: usize, features: usize) -> usize {
    rows.div_ceil(LANES) * features * LANES
}

/// What becomes of the destination of [`unpack_panel`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Write {
    Set,
    Add,
}

/// Packs rows of `source` (rows `stride` floats apart) into one panel `[features][16]`; `rows(lane)` names the row of a
/// lane, lanes without one become 0.
///
/// # Shapes
/// `panel`: at least `features * 16`. `source`: holds `features` floats of each named row.
#[inline(always)]
pub(crate) fn pack_panel(
    panel: &mut [f32],
    source: &[f32],
    stride: usize,
    features: usize,
    rows: impl Fn(usize) -> Option<usize>,
) {
    let rows: [Option<usize>; LANES] = std::array::from_fn(rows);
    let (vectors, _) = panel[..features * LANES].as_chunks_mut::<LANES>();
    // Sixteen features at a time: the lines of the rows and of the panel then stay in L1.
    for (block, vectors) in vectors.chunks_mut(LANES).enumerate() {
        for (lane, row) in rows.iter().enumerate() {
            if let Some(row) = row {
                let from = &source[row * stride + block * LANES..][..vectors.len()];
                for (vector, &value) in vectors.iter_mut().zip(from) {
                    vector[lane] = value;
                }
            } else {
                for vector in vectors.iter_mut() {
                    vector[lane] = 0.0;
                }
            }
        }
    }
}

/// The reverse of [`pack_panel`]: writes the lanes that have a row to this row, or adds them.
#[inline(always)]
pub(crate) fn unpack_panel(
    panel: &[f32],
    destination: &mut [f32],
    stride: usize,
    features: usize,
    rows: impl Fn(usize) -> Option<usize>,
    write: Write,
) {
    let rows: [Option<usize>; LANES] = std::array::from_fn(rows);
    let (vectors, _) = panel[..features * LANES].as_chunks::<LANES>();
    for (block, vectors) in vectors.chunks(LANES).enumerate() {
        for (lane, row) in rows.iter().enumerate() {
            let Some(row) = row else { continue };
            let to = &mut destination[row * stride + block * LANES..][..vectors.len()];
            match write {
                Write::Set => to.iter_mut().zip(vectors).for_each(|(to, vector)| *to = vector[lane]),
                Write::Add => to.iter_mut().zip(vectors).for_each(|(to, vector)| *to += vector[lane]),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Write, pack_panel, panels_length, unpack_panel};
    use crate::{simd::LANES, testing::Random};

    #[test]
    fn panels_go_there_and_back() {
        let mut random = Random::new(5);
        for features in [0, 1, 15, 16, 17, 40] {
            let (rows, stride) = (7, features + 3);
            let source = random.floats(rows * stride);
            let chosen = [4, 0, 6];
            let row = |lane: usize| chosen.get(lane).copied();
            let mut panel = vec![f32::NAN; panels_length(chosen.len(), features)];
            pack_panel(&mut panel, &source, stride, features, row);
            for feature in 0..features {
                for lane in 0..LANES {
                    let expected = row(lane).map_or(0.0, |row| source[row * stride + feature]);
                    assert_eq!(panel[feature * LANES + lane].to_bits(), expected.to_bits());
                }
            }
            let mut back = vec![1.0; rows * stride];
            unpack_panel(&panel, &mut back, stride, features, row, Write::Set);
            unpack_panel(&panel, &mut back, stride, features, row, Write::Add);
            for (index, (&back, &source)) in back.iter().zip(&source).enumerate() {
                let inside = chosen.contains(&(index / stride)) && index % stride < features;
                let expected = if inside { 2.0 * source } else { 1.0 };
                assert_eq!(back.to_bits(), expected.to_bits());
            }
        }
    }
}
