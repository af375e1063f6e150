//! Sums of exponentials in logarithms: the probabilities of several models together.
#[cfg(test)]
mod tests;

use crate::{
    Context, math,
    pieces::{load_at, store_at},
    simd::{Kernel, LANES, Lanes},
};

/// `sum = log(e^sum + e^(x + shift))`, element by element, on this thread. Two elements of minus infinity give minus infinity;
/// of no numbers nothing is said.
///
/// # Shapes
/// `sum` and `x`: of the same length.
///
/// # Panics
/// If the lengths differ.
pub fn add(context: &Context, sum: &mut [f32], x: &[f32], shift: f32) {
    assert_eq!(sum.len(), x.len(), "mixture: length of x");
    context.simd.run(Add { sum, x, shift });
}

struct Add<'a> {
    sum: &'a mut [f32],
    x: &'a [f32],
    shift: f32,
}

impl Kernel for Add<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        // SAFETY: the path is available, offsets are below the length of both.
        unsafe {
            let shift = L::splat(self.shift);
            for at in (0..self.x.len()).step_by(LANES) {
                let (a, b) = (load_at::<L>(self.sum, at), load_at::<L>(self.x, at).add(shift));
                let large = a.max(b);
                let together = large.add(math::log_1p(math::exp(a.min(b).sub(large))));
                // Their difference is no number if both are infinite.
                store_at(self.sum, at, large.select(large.less(L::splat(f32::MIN)), together));
            }
        }
    }
}
