//! Exponential function of lanes.
use crate::simd::Lanes;

/// `e^x` for `x <= 0`, relative error below 2e-7; 0 where `x < -87.3`.
///
/// # Safety
/// The instruction set of `L` is available.
#[inline(always)]
#[allow(unsafe_op_in_unsafe_fn, reason = "every line is an operation of `Lanes`")]
pub(super) unsafe fn exp<L: Lanes>(x: L) -> L {
    let lowest = L::splat(-87.3);
    let inside = x.max(lowest).min(L::splat(88.0));
    let n = inside.mul(L::splat(std::f32::consts::LOG2_E)).round();
    // ln 2 in two parts, the first with few bits, so that n times it is exact.
    let r = n.fma(L::splat(-0.693_359_4), inside);
    let r = n.fma(L::splat(2.121_944_4e-4), r);
    let mut p = L::splat(1.0 / 720.0);
    for coefficient in [1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0] {
        p = p.fma(r, L::splat(coefficient));
    }
    let y = p.mul(n.exp2_integral());
    L::splat(0.0).select(x.less(lowest), y)
}
