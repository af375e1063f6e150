//! The rows of a step of a block in matrices of a sequence.
use std::ops::Range;

use super::{
    Plan, Shape, To,
    rows::{self, Sources, Targets},
};
use crate::{
    shared::Shared,
    simd::{LANES, Lanes},
};

impl Plan {
    /// The rows of a block in a matrix `[batch, features]`.
    pub(crate) fn sources(&self, matrix: &[f32], block: usize, features: usize) -> Sources {
        std::array::from_fn(|lane| self.row(block, lane).map(|row| matrix[row * features..][..features].as_ptr()))
    }

    /// As [`Plan::sources`], to write to.
    pub(crate) fn targets(&self, matrix: Shared<'_>, block: usize, features: usize) -> Targets {
        std::array::from_fn(|lane| self.row(block, lane).map(|row| matrix.at(row * features)))
    }

    /// Packs dropout factors, `[variant][batch][features]`, into `[variant][block of the piece][features][16]`.
    ///
    /// # Safety
    /// `to` has room for that; the path is available.
    #[inline(always)]
    pub(crate) unsafe fn pack_factors<L: Lanes>(
        &self,
        to: *mut f32,
        factors: &[f32],
        piece: Range<usize>,
        features: usize,
    ) {
        let mut to = to;
        for factors in factors.chunks_exact((self.shape().batch * features).max(1)) {
            for block in piece.clone() {
                // SAFETY: the rows have `features` floats; the caller vouches for the rest.
                unsafe { rows::pack::<L>(to, &self.sources(factors, block, features), features, None) };
                to = to.wrapping_add(features * LANES);
            }
        }
    }

    /// Rows of `x`, `[batch, steps, input]`, for a step; masked ones count as 0, whatever they hold.
    #[inline(always)]
    pub(crate) fn inputs(&self, x: &[f32], step: usize, block: usize) -> Sources {
        let Shape { steps, input, .. } = self.shape();
        let time = self.time(step);
        let at = |row: usize| x[(row * steps + time) * input..][..input].as_ptr();
        std::array::from_fn(|lane| self.valid_row(step, block, lane).map(at))
    }

    /// Rows of `y`, `[batch, steps, units]`, that a step computes.
    #[inline(always)]
    pub(crate) fn outputs(&self, y: Option<Shared<'_>>, step: usize, block: usize) -> Targets {
        let Shape { steps, units, .. } = self.shape();
        let Some(y) = y else { return [None; LANES] };
        let at = |row: usize| y.at((row * steps + step) * units);
        std::array::from_fn(|lane| self.valid_row(step, block, lane).map(at))
    }

    /// Writes the rows of `y` that are masked in a step: zeros, or the output before it.
    ///
    /// # Safety
    /// No other piece has the block, and `y` has the outputs of the steps before.
    #[inline(always)]
    pub(crate) unsafe fn repeat_outputs(&self, y: Option<Shared<'_>>, zero: bool, step: usize, block: usize) {
        let Shape { steps, units, .. } = self.shape();
        let Some(y) = y else { return };
        for lane in (0..self.lanes(block)).filter(|lane| self.valid(step, block) >> lane & 1 == 0) {
            let Some(row) = self.row(block, lane) else { continue };
            let at = (row * steps + step) * units;
            // SAFETY: rows of this block, at two steps.
            unsafe {
                let to = y.part(at, units);
                if step == 0 || zero {
                    to.fill(0.0);
                } else {
                    to.copy_from_slice(y.part(at - units, units));
                }
            }
        }
    }

    /// Rows of `dy` that reach the output state of a step; `zero` if masked outputs are 0.
    #[inline(always)]
    pub(crate) fn output_gradients(
        &self,
        dy: Option<&[f32]>,
        zero: bool,
        step: usize,
        block: usize,
    ) -> Option<Sources> {
        let Shape { steps, units, .. } = self.shape();
        let dy = dy?;
        // A masked output repeats the state, unless no step came before: then it is 0, whatever the initial state.
        let reaches = |lane: usize| self.valid(step, block) >> lane & 1 == 1 || !zero && self.seen(step, block, lane);
        Some(std::array::from_fn(|lane| {
            let row = self.row(block, lane).filter(|_| reaches(lane))?;
            Some(dy[(row * steps + step) * units..][..units].as_ptr())
        }))
    }

    /// Rows of `dx`, `[batch, steps, input]`, that a step has gradients for.
    #[inline(always)]
    pub(crate) fn input_gradients(&self, dx: To<'_>, step: usize, block: usize) -> Targets {
        let Shape { steps, input, .. } = self.shape();
        let time = self.time(step);
        let at = |row: usize| dx.data.at((row * steps + time) * input);
        std::array::from_fn(|lane| self.valid_row(step, block, lane).map(at))
    }

    /// Masked inputs have no gradient.
    ///
    /// # Safety
    /// No other piece has the block.
    #[inline(always)]
    pub(crate) unsafe fn zero_input_gradients(&self, dx: Option<To<'_>>, step: usize, block: usize) {
        let Shape { steps, input, .. } = self.shape();
        let Some(dx) = dx.filter(|dx| !dx.accumulate) else { return };
        for lane in (0..self.lanes(block)).filter(|lane| self.valid(step, block) >> lane & 1 == 0) {
            if let Some(row) = self.row(block, lane) {
                // SAFETY: a row of this block.
                unsafe { dx.data.part((row * steps + self.time(step)) * input, input).fill(0.0) };
            }
        }
    }
}
