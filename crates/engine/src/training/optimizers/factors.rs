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
    weights::{from_keras, is_transposed, to_keras},
};

/// The last two axes of a weight, of a matrix as it lies in the engine, of a weight of more axes as in Keras.
fn matrix(weight: &WeightSpecification) -> Option<(usize, usize)> {
    let [.., rows, columns] = *weight.shape.as_slice() else { return None };
    Some(if is_transposed(weight) { (columns, rows) } else { (rows, columns) })
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
    update.weights.copy_from_slice(&from_keras(weight, &weights));
}
