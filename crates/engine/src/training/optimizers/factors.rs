//! The state of Adafactor: a row and a column of averages for each matrix of a weight.
use sconce_kernels::{
    Context,
    buffer::Buffer,
    optimizer::{
        Update,
        adafactor::{self, AdafactorOptions, AdafactorState},
    },
};

use super::rule::Slot;
use crate::{
    layers::WeightSpecification,
    weights::{copy_from_keras, is_transposed, to_keras},
};

/// The last two axes of a weight, of a matrix as it lies in the engine, of a weight of more axes as in Keras.
fn matrix(weight: &WeightSpecification) -> Option<(usize, usize)> {
    let [.., rows, columns] = *weight.shape.as_slice() else { return None };
    Some(if weight.shape.len() == 2 && is_transposed(weight) { (columns, rows) } else { (rows, columns) })
}

/// The slices of state of a weight.
pub(super) fn slots(weight: &WeightSpecification) -> Vec<Slot> {
    let length: usize = weight.shape.iter().product();
    let slot = |name, length| Slot { name, length, initial: 0.0 };
    match matrix(weight) {
        None => vec![slot("velocity", length)],
        Some((rows, columns)) => {
            let each = |size: usize| length.checked_div(size).unwrap_or(0);
            vec![slot("rowAverage", each(columns)), slot("columnAverage", each(rows))]
        }
    }
}

/// A step of a whole weight.
pub(super) fn step(
    context: &Context,
    weight: &WeightSpecification,
    options: &AdafactorOptions,
    update: Update<'_>,
    slots: &mut [Buffer],
) {
    let state = match (matrix(weight), slots) {
        (None, [average]) => AdafactorState::Whole(average),
        (Some((rows, columns)), [of_rows, of_columns]) => {
            AdafactorState::Factored { rows, columns, of_rows, of_columns }
        }
        // All slices are made before a step.
        _ => return,
    };
    if weight.shape.len() <= 2 {
        return adafactor::step(context, options, update, state);
    }
    let mut weights = to_keras(weight, update.weights);
    let gradients = to_keras(weight, update.gradients);
    let in_keras = Update { weights: &mut weights, gradients: &gradients, ..update };
    adafactor::step(context, options, in_keras, state);
    copy_from_keras(weight, &weights, update.weights);
}

#[cfg(test)]
mod tests {
    use sconce_kernels::{
        Context,
        buffer::Buffer,
        optimizer::{Update, adafactor::AdafactorOptions},
        simd::Simd,
    };
    use serde_json::Value;

    use super::{slots, step};
    use crate::layers::WeightSpecification;

    /// A weight of three axes moves as the matrices that it is made of do together.
    #[test]
    fn weights_of_three_axes_have_factors_for_each_matrix() {
        let context = Context::new(1, Simd::best());
        let options = AdafactorOptions { clip_threshold: 1e9, epsilon_2: 10.0, ..AdafactorOptions::default() };
        let numbers = |length: usize, shift: usize| -> Vec<f32> {
            (0..length).map(|index| ((7 * (index + shift)) % 11) as f32 / 8.0 - 0.6).collect()
        };
        let run = |shape: &[usize], first: usize| {
            let weight = WeightSpecification::new("table", shape.to_vec(), &Value::Null);
            let mut state: Vec<Buffer> = slots(&weight).iter().map(super::Slot::buffer).collect();
            let length = shape.iter().product();
            let mut weights = vec![0.0; length];
            for iteration in 0..3 {
                let gradients = numbers(24, iteration as usize)[first..first + length].to_vec();
                let (weights, gradients) = (&mut *weights, &*gradients);
                let update = Update { weights, gradients, learning_rate: 0.1, iteration, gradient_factor: 1.0 };
                step(&context, &weight, &options, update, &mut state);
            }
            (state.iter().map(|slot| slot.len()).collect::<Vec<_>>(), weights)
        };
        let (lengths, whole) = run(&[2, 3, 4], 0);
        assert_eq!(lengths, [6, 8]);
        let (lengths, first) = run(&[3, 4], 0);
        assert_eq!(lengths, [3, 4]);
        let second = run(&[3, 4], 12).1;
        assert_eq!(whole, [first, second].concat());
        assert_eq!(run(&[5], 0).0, [5]);
    }
}
