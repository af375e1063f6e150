//! An average of weights over the steps.
use super::{
    Update,
    drive::{self, Rule},
};
use crate::{Context, simd::Lanes};

#[derive(Clone, Copy)]
struct Average {
    kept: f32,
    added: f32,
}

impl Rule<0> for Average {
    #[inline(always)]
    unsafe fn update<L: Lanes>(self, average: L, weight: L, state: [L; 0]) -> (L, [L; 0]) {
        // SAFETY: as the caller.
        unsafe { (L::splat(self.kept).mul(average).add(L::splat(self.added).mul(weight)), state) }
    }
}

/// `average <- momentum average + (1 - momentum) weights`; Keras begins with a momentum of 0.
pub fn update(ctx: &Context, average: &mut [f32], weights: &[f32], momentum: f64) {
    let kept = momentum as f32;
    let update =
        Update { weights: average, gradients: weights, learning_rate: 0.0, iteration: 0, gradient_factor: 1.0 };
    drive::dense(ctx, update, 0.0, [], Average { kept, added: 1.0 - kept });
}

#[cfg(test)]
mod tests {
    use super::update;
    use crate::testing::{Random, assert_close, contexts, widen};

    #[test]
    fn an_average_begins_with_the_weights_and_follows_them() {
        for ctx in contexts() {
            for length in [0, 1, 17, 20_000] {
                let mut random = Random::new(8);
                let (first, second) = (random.floats(length), random.floats(length));
                let mut average = vec![f32::MAX; length];
                update(&ctx, &mut average, &first, 0.0);
                assert_eq!(average, first);
                update(&ctx, &mut average, &second, 0.75);
                let expected: Vec<f64> =
                    widen(&first).iter().zip(widen(&second)).map(|(a, b)| 0.75 * a + 0.25 * b).collect();
                assert_close(&average, &expected, "average");
            }
        }
    }
}
