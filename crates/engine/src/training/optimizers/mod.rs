//! Optimisers: state of each weight, and one update of all weights in Keras' order: accumulation, clipping, decay and
//! rule, average, constraint.
mod document;
mod factors;
mod rule;

use std::sync::Arc;

use sconce_kernels::{
    Context, Destination,
    buffer::Buffer,
    clip,
    embedding::RowGradients,
    optimizer::{RowUpdate, Update, average},
    reduce,
};

pub use document::OptimizerDocument;

use crate::{
    backend::WeightGradient,
    error::{Code, Error, Result},
    plan::{Plan, PlanWeight},
    weights::{LayerWeights, Values, quantized_only},
};

/// State of one weight.
#[derive(Debug, Default)]
pub struct WeightState {
    /// In the order of [`OptimizerState::slots`]; empty before the first update.
    pub(super) slots: Vec<Buffer>,
    /// Of rules whose averages decay by rows: up to which step those of a row are decayed.
    pub(super) last: Option<Vec<u32>>,
    /// Average of the weight over the steps.
    pub(super) average: Option<Buffer>,
    /// Sum of the gradients since the last update, if an update takes several steps.
    pub(super) accumulated: Option<Buffer>,
}

/// State of all weights of a compiled model.
#[derive(Debug)]
pub struct OptimizerState {
    pub(super) document: OptimizerDocument,
    pub(super) weights: Vec<WeightState>,
    /// Steps so far: Keras' `iterations`, but where an update takes several steps.
    pub iterations: u64,
}

impl OptimizerState {
    /// State before the first update of `count` weights.
    #[must_use]
    pub fn new(document: OptimizerDocument, count: usize) -> Self {
        Self { document, weights: (0..count).map(|_| WeightState::default()).collect(), iterations: 0 }
    }

    /// Names and lengths of the slices of state of a weight.
    pub(super) fn slots(document: &OptimizerDocument, weight: &PlanWeight) -> Vec<(&'static str, usize)> {
        document.rule.slots(&weight.specification).iter().map(|slot| (slot.name, slot.length)).collect()
    }

    /// One step of all weights that have a gradient.
    ///
    /// # Errors
    /// `State` if a weight has no values.
    pub fn update(
        &mut self,
        context: &Context,
        plan: &Plan,
        layers: &[Arc<LayerWeights>],
        gradients: &mut [Option<WeightGradient>],
        learning_rate: f32,
    ) -> Result<()> {
        let known: Vec<bool> = gradients.iter().map(Option::is_some).collect();
        self.accumulate(context, plan, gradients);
        let factors = self.clip(context, gradients);
        for (index, (gradient, factor)) in gradients.iter_mut().zip(factors).enumerate() {
            if !known[index] {
                continue;
            }
            let weight = &plan.weights[index];
            let mut guard = layers[weight.layer].write();
            let values = floats(&mut guard, weight, &layers[weight.layer])?;
            if let Some(gradient) = gradient.take() {
                let weight_decay = self.document.weight_decay(plan, weight);
                let step = Step { weight, weight_decay, learning_rate, factor };
                self.update_weight(context, index, values, gradient, step);
            }
            self.average_weight(context, index, values);
            if let Some(constraint) = &weight.constraint {
                constraint.apply(context, &weight.specification, values);
            }
        }
        self.iterations += 1;
        Ok(())
    }

    /// Updates so far, of each several steps at most.
    fn updates(&self) -> u64 {
        self.iterations / self.document.steps()
    }

    /// Adds gradients to those since the last update; before an update they become the mean, otherwise they are gone.
    fn accumulate(&mut self, context: &Context, plan: &Plan, gradients: &mut [Option<WeightGradient>]) {
        let steps = self.document.steps();
        if steps == 1 {
            return;
        }
        let updates = (self.iterations + 1).is_multiple_of(steps);
        for ((gradient, state), weight) in gradients.iter_mut().zip(&mut self.weights).zip(&plan.weights) {
            let Some(new) = gradient.take() else { continue };
            let mut new = new.into_dense(context, weight.specification.shape.iter().product());
            if let Some(before) = state.accumulated.take() {
                reduce::add_into(context, &before, &mut new);
            }
            if updates {
                reduce::scale(context, &mut new, 1.0 / steps as f32);
                *gradient = Some(WeightGradient::Dense(new));
            } else {
                state.accumulated = Some(new);
            }
        }
    }

    /// Clips by value; gives the factor of each gradient for clipping by norm.
    fn clip(&self, context: &Context, gradients: &mut [Option<WeightGradient>]) -> Vec<f32> {
        let common = &self.document.common;
        if let Some(limit) = common.clipvalue {
            for gradient in gradients.iter_mut().flatten() {
                clip::value(context, gradient.values_mut(), limit as f32);
            }
        }
        if common.clipnorm.is_none() && common.global_clipnorm.is_none() {
            return vec![1.0; gradients.len()];
        }
        let squares: Vec<f64> = gradients
            .iter()
            .map(|gradient| gradient.as_ref().map_or(0.0, |g| clip::sum_of_squares(context, g.values())))
            .collect();
        if let Some(limit) = common.clipnorm {
            return squares.iter().map(|square| clip::norm_factor(square.sqrt(), limit)).collect();
        }
        let norm = squares.iter().sum::<f64>().sqrt();
        let factor = common.global_clipnorm.map_or(1.0, |limit| clip::global_norm_factor(norm, limit));
        vec![factor; gradients.len()]
    }

    fn update_weight(
        &mut self,
        context: &Context,
        index: usize,
        values: &mut Buffer,
        gradient: WeightGradient,
        step: Step<'_>,
    ) {
        let Step { weight, weight_decay, learning_rate, factor: gradient_factor } = step;
        let iteration = self.updates();
        let rule = self.document.rule;
        let by_rows = rule.by_rows(weight_decay, self.document.common.sparse);
        let state = &mut self.weights[index];
        if state.slots.is_empty() {
            state.slots = rule.slots(&weight.specification).iter().map(rule::Slot::buffer).collect();
        }
        match gradient {
            WeightGradient::Rows(gradients) if by_rows => {
                if gradients.rows.is_empty() {
                    return;
                }
                let (table, width, gradients) = (&mut **values, gradients.width(), &gradients);
                let update = RowUpdate { table, width, gradients, learning_rate, iteration, gradient_factor };
                rule.rows_step(context, weight_decay, update, state);
            }
            gradient => {
                let gradients = gradient.into_dense(context, values.len());
                let update =
                    Update { weights: values, gradients: &gradients, learning_rate, iteration, gradient_factor };
                rule.dense_step(context, &weight.specification, weight_decay, update, state);
            }
        }
    }

    /// Takes a weight into its average, and replaces it by that from time to time.
    fn average_weight(&mut self, context: &Context, index: usize, values: &mut Buffer) {
        let common = &self.document.common;
        if !common.use_ema {
            return;
        }
        let updates = self.updates();
        let momentum = if updates == 0 { 0.0 } else { self.document.ema_momentum() };
        let overwrites = common.ema_overwrite_frequency.is_some_and(|every| (updates + 1).is_multiple_of(every));
        let average = self.weights[index].average.get_or_insert_with(|| Buffer::zeros(values.len()));
        average::update(context, average, values, momentum);
        if overwrites {
            values.copy_from_slice(average);
        }
    }

    /// Replaces each weight by its average, if there are averages.
    ///
    /// # Errors
    /// `State` if a weight has no values.
    pub fn finalize(&self, plan: &Plan, layers: &[Arc<LayerWeights>]) -> Result<()> {
        for (state, weight) in self.weights.iter().zip(&plan.weights) {
            let Some(average) = &state.average else { continue };
            let mut guard = layers[weight.layer].write();
            let values = floats(&mut guard, weight, &layers[weight.layer])?;
            values.copy_from_slice(average);
        }
        Ok(())
    }
}

/// The values of a weight, to change.
fn floats<'a>(guard: &'a mut [Option<Values>], weight: &PlanWeight, layer: &LayerWeights) -> Result<&'a mut Buffer> {
    let values = guard
        .get_mut(weight.index)
        .and_then(Option::as_mut)
        .ok_or_else(|| Error::new(Code::State, format!("layer {}: its weights are not built", layer.name)))?;
    values.floats_mut().ok_or_else(quantized_only)
}

/// What a step does with one weight.
struct Step<'a> {
    weight: &'a PlanWeight,
    weight_decay: f64,
    learning_rate: f32,
    /// Of the gradient.
    factor: f32,
}

impl WeightGradient {
    /// All numbers of the gradient that are not known to be zero.
    #[must_use]
    pub fn values(&self) -> &[f32] {
        match self {
            Self::Dense(values) | Self::Rows(RowGradients { values, .. }) => values,
        }
    }

    /// As [`Self::values`].
    pub fn values_mut(&mut self) -> &mut [f32] {
        match self {
            Self::Dense(values) | Self::Rows(RowGradients { values, .. }) => values,
        }
    }

    /// The gradient of all `length` numbers.
    pub(super) fn into_dense(self, context: &Context, length: usize) -> Buffer {
        match self {
            Self::Dense(values) => values,
            Self::Rows(gradients) => {
                let mut table = Buffer::zeros(length);
                let width = gradients.width();
                if width > 0 {
                    gradients.to_dense(context, Destination { data: &mut table, accumulate: true }, width);
                }
                table
            }
        }
    }
}
