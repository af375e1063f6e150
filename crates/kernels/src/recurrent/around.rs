//! What surrounds the cell of a layer in each step: an attention that feeds it or reads it.
use std::ops::Range;

use super::{BackwardStep, Plan, Step};
use crate::simd::Lanes;

/// What happens around the cell in a forward pass. `()` does nothing.
pub(crate) trait ForwardAround {
    /// Its own memory in a piece.
    type Memory;

    /// Floats of memory that a piece of so many blocks needs.
    fn floats(&self, blocks: usize) -> usize;

    /// Takes that memory before the first step.
    ///
    /// # Safety
    /// It has [`ForwardAround::floats`]; no other piece has the blocks; the path `L` is available.
    unsafe fn begin<L: Lanes>(&self, plan: &Plan, memory: *mut f32, blocks: Range<usize>) -> Self::Memory;

    /// At the beginning of a step, for all blocks of the piece.
    ///
    /// # Safety
    /// As for [`ForwardAround::begin`].
    #[inline(always)]
    unsafe fn arrive<L: Lanes>(&self, _memory: &mut Self::Memory, _step: usize) {}

    /// Before the cell's step of neighbouring blocks; it may complete their inputs ([`Step::inputs`]).
    ///
    /// # Safety
    /// As for [`ForwardAround::begin`].
    unsafe fn before<L: Lanes>(&self, memory: &mut Self::Memory, at: Step<'_>);

    /// After it.
    ///
    /// # Safety
    /// As for [`ForwardAround::begin`].
    unsafe fn after<L: Lanes>(&self, memory: &mut Self::Memory, at: Step<'_>);

    /// After the last step.
    ///
    /// # Safety
    /// As for [`ForwardAround::begin`].
    unsafe fn end<L: Lanes>(&self, plan: &Plan, memory: &Self::Memory, blocks: Range<usize>);
}

/// The same in a backward pass.
pub(crate) trait BackwardAround {
    /// Its own memory in a piece.
    type Memory;

    /// Floats of memory that a piece of so many blocks needs.
    fn floats(&self, blocks: usize) -> usize;

    /// Takes that memory before the last step.
    ///
    /// # Safety
    /// It has [`BackwardAround::floats`]; no other piece has the blocks; the path `L` is available.
    unsafe fn begin<L: Lanes>(&self, plan: &Plan, memory: *mut f32, blocks: Range<usize>) -> Self::Memory;

    /// At the beginning of a step, for all blocks of the piece, also those in which all rows are masked.
    ///
    /// # Safety
    /// As for [`BackwardAround::begin`].
    unsafe fn arrive<L: Lanes>(&self, memory: &Self::Memory, plan: &Plan, step: usize, blocks: Range<usize>);

    /// Before the cell's step of neighbouring blocks: `at.dhidden` is the gradient of the output after the step.
    ///
    /// # Safety
    /// As for [`BackwardAround::begin`].
    unsafe fn before<L: Lanes>(&self, memory: &Self::Memory, at: BackwardStep<'_>);

    /// After it and its products: `at.dhidden` is the gradient of the output before the step; `dx` has the panels of that
    /// of the inputs, 0 in masked rows, if it is computed at all.
    ///
    /// # Safety
    /// As for [`BackwardAround::begin`].
    unsafe fn after<L: Lanes>(&self, memory: &Self::Memory, at: BackwardStep<'_>, dx: *const f32);

    /// At the end of a step, for all blocks of the piece.
    ///
    /// # Safety
    /// As for [`BackwardAround::begin`].
    #[inline(always)]
    unsafe fn leave<L: Lanes>(&self, _memory: &Self::Memory, _step: usize) {}

    /// After the first step.
    ///
    /// # Safety
    /// As for [`BackwardAround::begin`].
    unsafe fn end<L: Lanes>(&self, plan: &Plan, memory: &Self::Memory, blocks: Range<usize>);
}

impl ForwardAround for () {
    type Memory = ();

    fn floats(&self, _: usize) -> usize {
        0
    }

    #[inline(always)]
    unsafe fn begin<L: Lanes>(&self, _: &Plan, _: *mut f32, _: Range<usize>) {}

    #[inline(always)]
    unsafe fn before<L: Lanes>(&self, (): &mut (), _: Step<'_>) {}

    #[inline(always)]
    unsafe fn after<L: Lanes>(&self, (): &mut (), _: Step<'_>) {}

    #[inline(always)]
    unsafe fn end<L: Lanes>(&self, _: &Plan, (): &(), _: Range<usize>) {}
}

impl BackwardAround for () {
    type Memory = ();

    fn floats(&self, _: usize) -> usize {
        0
    }

    #[inline(always)]
    unsafe fn begin<L: Lanes>(&self, _: &Plan, _: *mut f32, _: Range<usize>) {}

    #[inline(always)]
    unsafe fn arrive<L: Lanes>(&self, (): &(), _: &Plan, _: usize, _: Range<usize>) {}

    #[inline(always)]
    unsafe fn before<L: Lanes>(&self, (): &(), _: BackwardStep<'_>) {}

    #[inline(always)]
    unsafe fn after<L: Lanes>(&self, (): &(), _: BackwardStep<'_>, _: *const f32) {}

    #[inline(always)]
    unsafe fn end<L: Lanes>(&self, _: &Plan, (): &(), _: Range<usize>) {}
}
