//! Token panels: 16 rows of a row-major matrix side by side, `[rows / 16][features][16]`, so that each lane is one row.
use crate::simd::{Kernel, LANES, Lanes};

/// Floats in the panels of `rows` rows with `features` features.
pub(crate) fn panels_length(rows: usize, features: usize) -> usize {
    rows.div_ceil(LANES) * features * LANES
}

/// What [`Unpack`] does with its destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Write {
    Set,
    Add,
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
        // Lanes without a row read the same zeros again and again.
        let zeros = [0.0; LANES];
        let mut rows = [(zeros.as_ptr(), 0); LANES];
        for (to, row) in rows.iter_mut().zip(&self.rows) {
            if let Some(row) = row {
                *to = (row.as_ptr(), LANES);
            }
        }
        // Sixteen features at a time: the lines of the rows and of the panel then stay in the first cache.
        let vectors = self.panel.as_chunks_mut::<LANES>().0;
        let (blocks, rest) = vectors.as_chunks_mut::<LANES>();
        // SAFETY: rows reach as far as the panel; the caller vouches for the path.
        unsafe {
            for (block, vectors) in blocks.iter_mut().enumerate() {
                // Loops in place of closures, which would be calls without the instruction set.
                let mut lanes = [L::splat(0.0); LANES];
                for (lanes, (row, step)) in lanes.iter_mut().zip(rows) {
                    *lanes = L::load(row.add(block * step));
                }
                for (lanes, vector) in L::transpose(lanes).into_iter().zip(vectors) {
                    lanes.store(vector.as_mut_ptr());
                }
            }
            if rest.is_empty() {
                return;
            }
            let mut lanes = [L::splat(0.0); LANES];
            for (lanes, (row, step)) in lanes.iter_mut().zip(rows) {
                *lanes = L::load_first(row.add(blocks.len() * step), rest.len());
            }
            for (lanes, vector) in L::transpose(lanes).into_iter().zip(rest) {
                lanes.store(vector.as_mut_ptr());
            }
        }
    }
}

/// The reverse of [`Pack`]: sets the rows to their lanes, or adds the lanes to them.
pub(crate) struct Unpack<'a> {
    /// `features * 16`.
    panel: &'a [f32],
    /// Each at least `features` long.
    rows: [Option<&'a mut [f32]>; LANES],
    write: Write,
}

impl<'a> Unpack<'a> {
    /// `row(lane)` is the row of a lane.
    #[inline(always)]
    pub(crate) fn new(panel: &'a [f32], row: impl Fn(usize) -> Option<&'a mut [f32]>, write: Write) -> Self {
        let rows: [Option<&mut [f32]>; LANES] = std::array::from_fn(row);
        let features = panel.len() / LANES;
        assert!(rows.iter().flatten().all(|row| row.len() >= features), "a row is shorter than its panel");
        Self { panel, rows, write }
    }
}

impl Kernel for Unpack<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<L: Lanes>(mut self) {
        let (blocks, rest) = self.panel.as_chunks::<LANES>().0.as_chunks::<LANES>();
        // SAFETY: rows reach as far as the panel; the caller vouches for the path.
        unsafe {
            for (block, vectors) in blocks.iter().enumerate() {
                // Loops in place of closures, which would be calls without the instruction set.
                let mut lanes = [L::splat(0.0); LANES];
                for (lanes, vector) in lanes.iter_mut().zip(vectors) {
                    *lanes = L::load(vector.as_ptr());
                }
                for (lanes, row) in L::transpose(lanes).into_iter().zip(&mut self.rows) {
                    let Some(row) = row else { continue };
                    let to = row.as_mut_ptr().add(block * LANES);
                    match self.write {
                        Write::Set => lanes.store(to),
                        Write::Add => L::load(to).add(lanes).store(to),
                    }
                }
            }
            if rest.is_empty() {
                return;
            }
            let mut lanes = [L::splat(0.0); LANES];
            for (lanes, vector) in lanes.iter_mut().zip(rest) {
                *lanes = L::load(vector.as_ptr());
            }
            for (lanes, row) in L::transpose(lanes).into_iter().zip(&mut self.rows) {
                let Some(row) = row else { continue };
                let to = row.as_mut_ptr().add(blocks.len() * LANES);
                match self.write {
                    Write::Set => lanes.store_first(to, rest.len()),
                    Write::Add => L::load_first(to, rest.len()).add(lanes).store_first(to, rest.len()),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Pack, Unpack, Write, panels_length};
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
            for write in [Write::Set, Write::Add] {
                let back = Shared::new(&mut back);
                // SAFETY: the chosen rows differ.
                let row = |lane: usize| row(lane).map(|row| unsafe { back.part(row * stride, features) });
                simd.run(Unpack::new(&panel, row, write));
            }
            for (index, (&back, &source)) in back.iter().zip(&source).enumerate() {
                let inside = chosen.contains(&(index / stride)) && index % stride < features;
                let expected = if inside { 2.0 * source } else { 1.0 };
                assert_eq!(back.to_bits(), expected.to_bits());
            }
        }
    }
}
