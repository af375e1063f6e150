//! Token panels: 16 rows of a row-major matrix side by side, `[rows / 16][features][16]`, so that each lane is one row.
pub(crate) mod rows;

use crate::simd::{Kernel, LANES, Lanes};

/// Floats in the panels of `rows` rows with `features` features.
pub(crate) fn panels_length(rows: usize, features: usize) -> usize {
    rows.div_ceil(LANES) * features * LANES
}

/// Packs rows into one panel `[features][16]`; lanes without a row become 0.
pub(crate) struct Pack<'a> {
    /// `features * 16`.
    panel: &'a mut [f32],
    /// Each at least `features` long.
    rows: [Option<&'a [f32]>; LANES],
}

impl<'a> Pack<'a> {
    /// `row(lane)` is the row of a lane.
    #[inline(always)]
    pub(crate) fn new(panel: &'a mut [f32], row: impl Fn(usize) -> Option<&'a [f32]>) -> Self {
        let rows: [Option<&[f32]>; LANES] = std::array::from_fn(row);
        let features = panel.len() / LANES;
        assert!(rows.iter().flatten().all(|row| row.len() >= features), "a row is shorter than its panel");
        Self { panel, rows }
    }
}

impl Kernel for Pack<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let sources = self.rows.map(|row| row.map(<[f32]>::as_ptr));
        // SAFETY: rows reach as far as the panel; the caller vouches for the path.
        unsafe { rows::pack::<L>(self.panel.as_mut_ptr(), &sources, self.panel.len() / LANES, None) };
    }
}

/// The reverse of [`Pack`]: sets the rows to their lanes, or adds the lanes to them.
pub(crate) struct Unpack<'a> {
    /// `features * 16`.
    panel: &'a [f32],
    /// Each at least `features` long.
    rows: [Option<&'a mut [f32]>; LANES],
    accumulate: bool,
}

impl<'a> Unpack<'a> {
    /// `row(lane)` is the row of a lane.
    #[inline(always)]
    pub(crate) fn new(panel: &'a [f32], row: impl Fn(usize) -> Option<&'a mut [f32]>, accumulate: bool) -> Self {
        let rows: [Option<&mut [f32]>; LANES] = std::array::from_fn(row);
        let features = panel.len() / LANES;
        assert!(rows.iter().flatten().all(|row| row.len() >= features), "a row is shorter than its panel");
        Self { panel, rows, accumulate }
    }
}

impl Kernel for Unpack<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let targets = self.rows.map(|row| row.map(<[f32]>::as_mut_ptr));
        let features = self.panel.len() / LANES;
        // SAFETY: rows reach as far as the panel; the caller vouches for the path.
        unsafe { rows::unpack::<L>(self.panel.as_ptr(), &targets, features, self.accumulate, |_| None) };
    }
}

#[cfg(test)]
mod tests {
    use super::{Pack, Unpack, panels_length};
    use crate::{
        shared::Shared,
        simd::{LANES, Simd},
        testing::Random,
    };

    #[test]
    fn panels_go_there_and_back() {
        let mut random = Random::new(5);
        for (features, simd) in [0, 1, 15, 16, 17, 40]
            .into_iter()
            .flat_map(|features| Simd::available().into_iter().map(move |simd| (features, simd)))
        {
            let (rows, stride) = (7, features + 3);
            let source = random.floats(rows * stride);
            let chosen = [4, 0, 6];
            let row = |lane: usize| chosen.get(lane).copied();
            let mut panel = vec![f32::NAN; panels_length(chosen.len(), features)];
            simd.run(Pack::new(&mut panel, |lane| row(lane).map(|row| &source[row * stride..])));
            for feature in 0..features {
                for lane in 0..LANES {
                    let expected = row(lane).map_or(0.0, |row| source[row * stride + feature]);
                    assert_eq!(panel[feature * LANES + lane].to_bits(), expected.to_bits());
                }
            }
            let mut back = vec![1.0; rows * stride];
            for accumulate in [false, true] {
                let back = Shared::new(&mut back);
                // SAFETY: the chosen rows differ.
                let row = |lane: usize| row(lane).map(|row| unsafe { back.part(row * stride, features) });
                simd.run(Unpack::new(&panel, row, accumulate));
            }
            for (index, (&back, &source)) in back.iter().zip(&source).enumerate() {
                let inside = chosen.contains(&(index / stride)) && index % stride < features;
                let expected = if inside { 2.0 * source } else { 1.0 };
                assert_eq!(back.to_bits(), expected.to_bits());
            }
        }
    }
}
