//! Rows of floats as whole numbers of 8 bits, times a scale.
use crate::{
    pieces::load_at,
    simd::{Kernel, LANES, Lanes, Simd},
    softmax::fold,
};

/// Largest number.
const LARGEST: f32 = 127.0;
/// What rows below it become zeros: larger factors are none.
const TINY: f32 = 1e-30;

/// What a row became.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rounded {
    /// What its numbers are multiplied by; no number if the row holds infinities or what is no number.
    pub scale: f32,
    /// Sum of its numbers.
    pub sum: i32,
}

/// The nearest numbers to a row; the largest one is 127 or -127. Ties go to the even number; a row below 1e-30 becomes zeros.
pub(super) fn round(simd: Simd, row: &[f32], numbers: &mut [i8]) -> Rounded {
    assert_eq!(row.len(), numbers.len(), "int8: length of a row");
    simd.run(Round { row, numbers })
}

struct Round<'a> {
    row: &'a [f32],
    numbers: &'a mut [i8],
}

impl Kernel for Round<'_> {
    type Output = Rounded;

    #[inline(always)]
    unsafe fn run<L: Lanes>(self) -> Rounded {
        let Self { row, numbers } = self;
        // SAFETY: 16 floats each; the caller vouches for the path.
        unsafe {
            let zero = L::splat(0.0);
            let (mut largest, mut check) = (zero, zero);
            for first in (0..row.len()).step_by(LANES) {
                let values = load_at::<L>(row, first);
                largest = largest.max(values.abs());
                // Stays no number once it is none.
                check = values.fma(zero, check);
            }
            let largest = fold(largest, |a, b| if a > b { a } else { b });
            if !fold(check, |a, b| a + b).is_finite() {
                numbers.fill(0);
                return Rounded { scale: f32::NAN, sum: 0 };
            }
            if largest < TINY {
                numbers.fill(0);
                return Rounded { scale: 0.0, sum: 0 };
            }
            let factor = L::splat(LARGEST / largest);
            let (least, most) = (L::splat(-LARGEST), L::splat(LARGEST));
            let mut sum = 0;
            for (block, numbers) in numbers.chunks_mut(LANES).enumerate() {
                let mut values = [0.0f32; LANES];
                let whole = load_at::<L>(row, block * LANES).mul(factor).round();
                whole.max(least).min(most).store(values.as_mut_ptr());
                for (number, value) in numbers.iter_mut().zip(values) {
                    // SAFETY: from -127 to 127.
                    let whole = value.to_int_unchecked::<i32>();
                    *number = whole as i8;
                    sum += whole;
                }
            }
            Rounded { scale: largest / LARGEST, sum }
        }
    }
}
