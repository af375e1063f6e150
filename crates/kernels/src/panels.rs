//! Token panels: 16 rows of a row-major matrix side by side, `[rows / 16][features][16]`, so that each lane is one row.
use crate::simd::LANES;

/// Floats in the panels of `rows` rows with `features` features.
pub(crate) fn panels_length(rows: usize, features: usize) -> usize {
    rows.div_ceil(LANES) * features * LANES
}

/// What [`unpack_panel`] does with its destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Write {
    Set,
    Add,
}

/// Packs rows into one panel `[features][16]`; `row(lane)` is the row of a lane, lanes without one become 0.
///
/// # Shapes
/// `panel`: `features * 16`; each row: at least `features`.
#[inline(always)]
pub(crate) fn pack_panel<'a>(panel: &mut [f32], row: impl Fn(usize) -> Option<&'a [f32]>) {
    let rows: [Option<&[f32]>; LANES] = std::array::from_fn(row);
    let (vectors, _) = panel.as_chunks_mut::<LANES>();
    // Sixteen features at a time: the lines of the rows and of the panel then stay in L1.
    for (block, vectors) in vectors.chunks_mut(LANES).enumerate() {
        for (lane, row) in rows.iter().enumerate() {
            match row {
                Some(row) => {
                    let from = &row[block * LANES..][..vectors.len()];
                    vectors.iter_mut().zip(from).for_each(|(vector, &value)| vector[lane] = value);
                }
                None => vectors.iter_mut().for_each(|vector| vector[lane] = 0.0),
            }
        }
    }
}

/// The reverse of [`pack_panel`]: sets the rows to their lanes, or adds the lanes to them.
#[inline(always)]
pub(crate) fn unpack_panel<'a>(panel: &[f32], row: impl Fn(usize) -> Option<&'a mut [f32]>, write: Write) {
    let mut rows: [Option<&mut [f32]>; LANES] = std::array::from_fn(row);
    let (vectors, _) = panel.as_chunks::<LANES>();
    for (block, vectors) in vectors.chunks(LANES).enumerate() {
        for (lane, row) in rows.iter_mut().enumerate() {
            let Some(row) = row else { continue };
            let to = row[block * LANES..][..vectors.len()].iter_mut().zip(vectors);
            match write {
                Write::Set => to.for_each(|(to, vector)| *to = vector[lane]),
                Write::Add => to.for_each(|(to, vector)| *to += vector[lane]),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Write, pack_panel, panels_length, unpack_panel};
    use crate::{shared::Shared, simd::LANES, testing::Random};

    #[test]
    fn panels_go_there_and_back() {
        let mut random = Random::new(5);
        for features in [0, 1, 15, 16, 17, 40] {
            let (rows, stride) = (7, features + 3);
            let source = random.floats(rows * stride);
            let chosen = [4, 0, 6];
            let row = |lane: usize| chosen.get(lane).copied();
            let mut panel = vec![f32::NAN; panels_length(chosen.len(), features)];
            pack_panel(&mut panel, |lane| row(lane).map(|row| &source[row * stride..]));
            for feature in 0..features {
                for lane in 0..LANES {
                    let expected = row(lane).map_or(0.0, |row| source[row * stride + feature]);
                    assert_eq!(panel[feature * LANES + lane].to_bits(), expected.to_bits());
                }
            }
            let mut back = vec![1.0; rows * stride];
            for write in [Write::Set, Write::Add] {
                let back = Shared::new(&mut back);
                // SAFETY: the chosen rows differ.
                let row = |lane: usize| row(lane).map(|row| unsafe { back.part(row * stride, features) });
                unpack_panel(&panel, row, write);
            }
            for (index, (&back, &source)) in back.iter().zip(&source).enumerate() {
                let inside = chosen.contains(&(index / stride)) && index % stride < features;
                let expected = if inside { 2.0 * source } else { 1.0 };
                assert_eq!(back.to_bits(), expected.to_bits());
            }
        }
    }
}
