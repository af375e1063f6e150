//! The penalties of a compiled model: those of the weights that it trains.
use sconce_kernels::{Context, buffer::Buffer};

use crate::{backend::WeightGradient, error::Result, plan::Plan, weights::WeightView};

/// Which weights of a plan have a penalty.
#[derive(Clone, Debug)]
pub struct Penalties {
    weights: Vec<usize>,
}

impl Penalties {
    /// Those of the trainable weights (one flag a weight), as in Keras.
    #[must_use]
    pub fn new(plan: &Plan, trainable: &[bool]) -> Self {
        let penalised = |&index: &usize| trainable[index] && plan.weights[index].regularizer.is_some();
        Self { weights: (0..plan.weights.len()).filter(penalised).collect() }
    }

    /// Whether there is any.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.weights.is_empty()
    }

    /// Their sum; `scale` times its gradient is added to `gradients` (one a weight), if they are given.
    ///
    /// # Errors
    /// `Internal` if the plan lacks a weight.
    pub fn value(
        &self,
        context: &Context,
        plan: &Plan,
        values: &WeightView<'_>,
        mut gradients: Option<(f64, &mut [Option<WeightGradient>])>,
    ) -> Result<f64> {
        let mut sum = 0.0;
        for &index in &self.weights {
            let weight = &plan.weights[index];
            let values = values.need(weight.layer, weight.index)?;
            let Some(regularizer) = &weight.regularizer else { continue };
            let Some((scale, gradients)) = &mut gradients else {
                sum += regularizer.penalty(context, &weight.specification, values, None);
                continue;
            };
            // Every number has a penalty, so that the gradient of a table is no longer one of some rows.
            let mut dense = match gradients[index].take() {
                Some(gradient) => gradient.into_dense(context, values.len()),
                None => Buffer::zeros(values.len()),
            };
            sum += regularizer.penalty(context, &weight.specification, values, Some((*scale, &mut dense)));
            gradients[index] = Some(WeightGradient::Dense(dense));
        }
        Ok(sum)
    }
}
