//! Elementary functions on 16 lanes, with a relative error of at most 1e-6 and no tables.
//!
//! All of them keep NaN lanes NaN. Results below the smallest normal number may come out as 0.
#![allow(unsafe_op_in_unsafe_fn, reason = "every line is a `Lanes` method under its contract")]
use crate::simd::Lanes;

const LOG2_E: f32 = std::f32::consts::LOG2_E;
/// ln 2 in two parts; the first has few bits, so that its product with an exponent is exact.
const LN_2_HIGH: f32 = 0.693_359_4;
const LN_2_LOW: f32 = -2.121_944_4e-4;
/// Logarithm of the smallest normal number.
const EXP_LOWEST: f32 = -87.336_54;
/// From here on, `exp` is infinite.
const EXP_HIGHEST: f32 = 88.73;

/// `coefficients[0] + x (coefficients[1] + x (..))`.
#[inline(always)]
unsafe fn polynomial<L: Lanes, const N: usize>(x: L, coefficients: [f32; N]) -> L {
    let mut sum = L::splat(coefficients[N - 1]);
    for index in (0..N - 1).rev() {
        sum = sum.fma(x, L::splat(coefficients[index]));
    }
    sum
}

/// The integer nearest to `x / ln 2`.
#[inline(always)]
unsafe fn exponent<L: Lanes>(x: L) -> L {
    x.mul(L::splat(LOG2_E)).round()
}

/// `x - n ln 2`.
#[inline(always)]
unsafe fn remainder<L: Lanes>(x: L, n: L) -> L {
    n.fma(L::splat(-LN_2_LOW), n.fma(L::splat(-LN_2_HIGH), x))
}

/// `e^x`; 0 below -87.3366 and infinite above 88.7228.
#[inline(always)]
pub(crate) unsafe fn exp<L: Lanes>(x: L) -> L {
    let below = x.less(L::splat(EXP_LOWEST));
    let x = L::splat(EXP_HIGHEST).min(x);
    // 2^128 is no number: at the upper end the remainder is up to 0.7.
    let n = exponent(x).min(L::splat(127.0));
    let r = remainder(x, n);
    // Least largest relative error over -0.347..0.702 (4.5e-8), with value and slope exact at 0.
    let tail = polynomial(r, [0.500_002_15, 0.166_670_5, 0.041_621_458, 0.008_322_391, 0.001_628_021_5]);
    let one = L::splat(1.0);
    L::splat(0.0).select(below, r.fma(r.fma(tail, one), one).scale(n))
}

/// `2^x` for `x` up to 127; 0 below -126.5.
#[inline(always)]
pub(crate) unsafe fn exp2<L: Lanes>(x: L) -> L {
    // 2^-127 comes out as 0, without a comparison.
    let x = L::splat(-127.0).max(x);
    let n = x.round();
    let r = x.sub(n);
    // Least largest relative error over -0.5..0.5 (7.5e-8).
    let power = polynomial(r, [1.000_000_1, 0.693_146_94, 0.240_221_2, 0.055_507_13, 0.009_675_541, 0.001_327_647_2]);
    power.mul(n.exp2_integral())
}

/// `e^x - 1`, accurate near 0 too.
#[inline(always)]
pub(crate) unsafe fn exp_m1<L: Lanes>(x: L) -> L {
    let x = L::splat(-20.0).max(L::splat(EXP_HIGHEST).min(x));
    exp_m1_of(x, exponent(x).min(L::splat(127.0)))
}

/// `e^x - 1` for `x` of at least -20, with `n` not far from `x / ln 2`.
#[inline(always)]
unsafe fn exp_m1_of<L: Lanes>(x: L, n: L) -> L {
    let r = remainder(x, n);
    // As above, relative to e^r - 1 (5e-9).
    let tail =
        polynomial(r, [0.499_999_97, 0.166_666_94, 0.041_667_75, 0.008_327_362, 0.001_384_749_2, 0.000_231_140_12]);
    let power = n.exp2_integral();
    r.fma(r.mul(tail), r).fma(power, power.sub(L::splat(1.0)))
}

/// Hyperbolic tangent.
#[inline(always)]
pub(crate) unsafe fn tanh<L: Lanes>(x: L) -> L {
    let x = L::splat(-10.0).max(L::splat(10.0).min(x));
    let double = x.add(x);
    let e = exp_m1_of(double, exponent(double));
    e.div(e.add(L::splat(2.0)))
}

/// `1 / (1 + e^-x)`.
#[inline(always)]
pub(crate) unsafe fn sigmoid<L: Lanes>(x: L) -> L {
    let one = L::splat(1.0);
    one.div(one.add(exp(L::splat(0.0).sub(x))))
}

/// Natural logarithm; NaN below 0 and -infinity at 0.
#[inline(always)]
pub(crate) unsafe fn log<L: Lanes>(x: L) -> L {
    let zero = L::splat(0.0);
    let one = L::splat(1.0);
    let tiny = x.less(L::splat(f32::MIN_POSITIVE));
    let (exponent, mantissa) = x.mul(L::splat(8_388_608.0).select(tiny, one)).split();
    // Around 1 the exponent must be 0, or the two terms would cancel.
    let large = L::splat(std::f32::consts::SQRT_2).less(mantissa);
    let f = mantissa.mul(L::splat(0.5).select(large, one)).sub(one);
    let exponent = exponent.add(one.select(large, zero)).sub(L::splat(23.0).select(tiny, zero));
    let square = f.mul(f);
    // Least largest relative error of log(1 + f) for f in -0.293..0.415.
    let tail = polynomial(
        f,
        [
            0.333_333_3,
            -0.249_999_94,
            0.200_007_15,
            -0.166_680_58,
            0.142_493_23,
            -0.124_201_41,
            0.116_769_99,
            -0.115_146_1,
            0.070_376_836,
        ],
    );
    let small = exponent.fma(L::splat(LN_2_LOW), square.mul(f).mul(tail));
    let result = exponent.fma(L::splat(LN_2_HIGH), square.fma(L::splat(-0.5), small).add(f));
    // `x - x` is NaN for NaN and for infinity, and the second is put right below.
    let result = L::splat(f32::INFINITY).select(L::splat(f32::MAX).less(x), result.add(x.sub(x)));
    let result = L::splat(f32::NEG_INFINITY).select(x.less(L::splat(f32::from_bits(1))), result);
    L::splat(f32::NAN).select(x.less(zero), result)
}

/// `log(1 + x)` for `x >= 0`, accurate near 0 too.
#[inline(always)]
pub(crate) unsafe fn log_1p<L: Lanes>(x: L) -> L {
    let sum = L::splat(1.0).add(x);
    let taken = sum.sub(L::splat(1.0));
    // What rounding took from `x` in `1 + x` is made up for by a factor (W. Kahan).
    let scaled = log(sum).mul(x.div(taken));
    let result = x.select(taken.less(L::splat(f32::MIN_POSITIVE)), scaled);
    x.select(L::splat(f32::MAX).less(x), result)
}

/// Error function; the error is relative to 1 for large `x`.
#[inline(always)]
pub(crate) unsafe fn erf<L: Lanes>(x: L) -> L {
    let one = L::splat(1.0);
    let t = L::splat(4.0).min(x.abs());
    let square = t.mul(t);
    // erf(t) = t + t P(t^2) up to 1 (error 4e-8).
    let near = polynomial(
        square,
        [0.128_379_12, -0.376_123_25, 0.112_801_805, -0.026_711_317, 0.004_917_557, -0.000_563_144_16],
    );
    let near = t.fma(near, t);
    // log(1 - erf(t)) = t Q(t) from 1 on.
    let far =
        polynomial(t, [-1.128_486_3, -0.635_811_75, -0.105_140_544, 0.022_813_2, -0.003_191_293, 0.000_211_144_04]);
    let far = one.sub(exp(t.mul(far)));
    let result = near.select(t.less(one), far);
    L::splat(0.0).sub(result).select(x.less(L::splat(0.0)), result)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::{
        simd::{Kernel, LANES, Simd},
        testing::Random,
    };

    #[derive(Clone, Copy, Debug)]
    enum Function {
        Exp,
        Exp2,
        ExpM1,
        Tanh,
        Sigmoid,
        Log,
        Log1p,
        Erf,
    }

    use Function::*;

    struct Apply<'a> {
        function: Function,
        values: &'a mut [f32],
    }

    impl Kernel for Apply<'_> {
        type Output = ();

        #[inline(always)]
        unsafe fn run<L: Lanes>(self) {
            for values in self.values.as_chunks_mut::<LANES>().0 {
                let x = L::load(values.as_ptr());
                let y = match self.function {
                    Exp => exp(x),
                    Exp2 => exp2(x),
                    ExpM1 => exp_m1(x),
                    Tanh => tanh(x),
                    Sigmoid => sigmoid(x),
                    Log => log(x),
                    Log1p => log_1p(x),
                    Erf => erf(x),
                };
                y.store(values.as_mut_ptr());
            }
        }
    }

    fn apply(simd: Simd, function: Function, values: &[f32]) -> Vec<f32> {
        let mut padded = values.to_vec();
        padded.resize(values.len().next_multiple_of(LANES), 0.0);
        simd.run(Apply { function, values: &mut padded });
        padded.truncate(values.len());
        padded
    }

    /// The error function, by its series near 0 and by the continued fraction of `1 - erf` further out.
    pub(crate) fn erf_f64(x: f64) -> f64 {
        if x.abs() > 2.5 {
            let fraction = (1..300).rev().fold(x.abs(), |tail, n| x.abs() + f64::from(n) / 2.0 / tail);
            let rest = (-x * x).exp() / (fraction * std::f64::consts::PI.sqrt());
            return (1.0 - rest).copysign(x);
        }
        let (mut term, mut sum) = (x, x);
        for n in 1..100 {
            term *= -x * x / f64::from(n);
            sum += term / f64::from(2 * n + 1);
        }
        sum * std::f64::consts::FRAC_2_SQRT_PI
    }

    fn expected(function: Function, x: f64) -> f64 {
        match function {
            Exp => x.exp(),
            Exp2 => x.exp2(),
            ExpM1 => x.exp_m1(),
            Tanh => x.tanh(),
            Sigmoid => 1.0 / (1.0 + (-x).exp()),
            Log => x.ln(),
            Log1p => x.ln_1p(),
            Erf => erf_f64(x),
        }
    }

    /// Floats of all magnitudes, every 4099th of all bit patterns, and a dense set of usual sizes.
    fn samples() -> Vec<f32> {
        let mut random = Random::new(1);
        let all = (0..u32::MAX / 4099).map(|index| f32::from_bits(index * 4099)).filter(|x| !x.is_nan());
        let mut values: Vec<f32> = all.collect();
        values.extend((0..400_000).map(|index| (index - 200_000) as f32 * 5e-4));
        values.extend((0..200_000).map(|_| random.float() * 4.0));
        values
    }

    #[test]
    fn errors_are_below_a_millionth_on_every_path() {
        let samples = samples();
        for simd in Simd::available() {
            for function in [Exp, Exp2, ExpM1, Tanh, Sigmoid, Log, Log1p, Erf] {
                let lowest = if matches!(function, Log | Log1p) { 0.0 } else { f32::NEG_INFINITY };
                let highest = if matches!(function, Exp2) { 127.0 } else { f32::INFINITY };
                let inputs: Vec<f32> = samples.iter().copied().filter(|&x| x >= lowest && x <= highest).collect();
                let mut worst = (0.0, 0.0);
                for (&x, &found) in inputs.iter().zip(&apply(simd, function, &inputs)) {
                    let expected = expected(function, f64::from(x));
                    let found = f64::from(found);
                    let small = f64::from(f32::MIN_POSITIVE);
                    if found == expected || (expected.abs() < 1.01 * small && found.abs() < 1.01 * small) {
                        continue;
                    }
                    if expected > f64::from(f32::MAX) {
                        assert!(found == f64::INFINITY, "{simd:?} {function:?}({x}) is {found}, expected {expected}");
                        continue;
                    }
                    let error = ((found - expected) / expected).abs();
                    if error > worst.0 || error.is_nan() {
                        worst = (error, x);
                    }
                }
                println!("{simd:?} {function:?}: largest error {:e} at {}", worst.0, worst.1);
                assert!(worst.0 <= 1e-6, "{simd:?} {function:?}({}) has the error {:e}", worst.1, worst.0);
            }
        }
    }

    #[test]
    fn limits_and_nan() {
        let (inf, nan) = (f32::INFINITY, f32::NAN);
        let inputs = [inf, -inf, nan, 1e30, -1e30, 0.0];
        let cases = [
            (Exp, [inf, 0.0, nan, inf, 0.0, 1.0]),
            (ExpM1, [inf, -1.0, nan, inf, -1.0, 0.0]),
            (Tanh, [1.0, -1.0, nan, 1.0, -1.0, 0.0]),
            (Sigmoid, [1.0, 0.0, nan, 1.0, 0.0, 0.5]),
            (Log, [inf, nan, nan, 69.077_55, nan, -inf]),
            (Erf, [1.0, -1.0, nan, 1.0, -1.0, 0.0]),
        ];
        for simd in Simd::available() {
            for (function, expected) in cases {
                for ((x, found), expected) in inputs.iter().zip(apply(simd, function, &inputs)).zip(expected) {
                    let same = found.is_nan() && expected.is_nan() || found == expected;
                    assert!(same, "{simd:?} {function:?}({x}) is {found}, expected {expected}");
                }
            }
            assert!(apply(simd, Log1p, &[inf])[0] == inf && apply(simd, Log1p, &[nan])[0].is_nan());
            assert!(apply(simd, Exp2, &[-inf, nan])[0] == 0.0 && apply(simd, Exp2, &[-inf, nan])[1].is_nan());
        }
    }
}
