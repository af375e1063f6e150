//! Optimisers: options, state of each weight, and one update of all weights.
use std::sync::Arc;

use sconce_kernels::{
    Context, Destination,
    buffer::Buffer,
    clip,
    embedding::RowGradients,
    optimizer::{
        RowUpdate, Update,
        adam::{self, AdamOptions, AdamState},
        rmsprop::{self, RmspropOptions, RmspropRowState, RmspropState},
        sgd::{self, SgdOptions},
    },
};
use serde::Deserialize;

use crate::{
    backend::WeightGradient,
    error::{Code, Error, Result},
    plan::Plan,
    weights::LayerWeights,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Sgd,
    Rmsprop,
    Adam,
    Adamw,
}

/// An optimiser with all options resolved; the learning rate comes with each step.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OptimizerDocument {
    #[serde(rename = "type")]
    kind: Kind,
    #[serde(default, rename = "learningRate")]
    _learning_rate: f64,
    #[serde(default)]
    momentum: f64,
    #[serde(default)]
    nesterov: bool,
    #[serde(default)]
    rho: f64,
    #[serde(default)]
    epsilon: f64,
    #[serde(default)]
    centered: bool,
    #[serde(default)]
    beta1: f64,
    #[serde(default)]
    beta2: f64,
    #[serde(default)]
    amsgrad: bool,
    #[serde(default)]
    weight_decay: f64,
    #[serde(default)]
    clipnorm: Option<f64>,
    #[serde(default)]
    clipvalue: Option<f64>,
    #[serde(default)]
    global_clipnorm: Option<f64>,
    #[serde(default)]
    sparse: bool,
}

impl OptimizerDocument {
    /// # Errors
    /// `Option` if a number is out of its range or more than one clipping is set.
    pub fn check(&self) -> Result<()> {
        let bad = |what: String| Err(Error::new(Code::Option, format!("optimizer: {what}")));
        let numbers = [
            ("momentum", self.momentum),
            ("rho", self.rho),
            ("epsilon", self.epsilon),
            ("beta1", self.beta1),
            ("beta2", self.beta2),
            ("weightDecay", self.weight_decay),
        ];
        for (name, value) in numbers {
            if !value.is_finite() || value < 0.0 {
                return bad(format!("{name} must be a finite number of at least 0, got {value}"));
            }
        }
        let clips = [self.clipnorm, self.clipvalue, self.global_clipnorm];
        if clips.iter().flatten().count() > 1 {
            return bad("only one of clipnorm, clipvalue and globalClipnorm may be set".to_owned());
        }
        if clips.iter().flatten().any(|&limit| limit.is_nan() || limit <= 0.0) {
            return bad("a clipping limit must be above 0".to_owned());
        }
        Ok(())
    }

    fn sgd(&self) -> SgdOptions {
        SgdOptions { momentum: self.momentum, nesterov: self.nesterov, weight_decay: self.weight_decay }
    }

    fn rmsprop(&self) -> RmspropOptions {
        RmspropOptions {
            rho: self.rho,
            momentum: self.momentum,
            epsilon: self.epsilon,
            centered: self.centered,
            weight_decay: self.weight_decay,
        }
    }

    fn adam(&self) -> AdamOptions {
        AdamOptions {
            beta_1: self.beta1,
            beta_2: self.beta2,
            epsilon: self.epsilon,
            amsgrad: self.amsgrad,
            weight_decay: self.weight_decay,
        }
    }

    /// Names of the slices of state that a weight needs.
    pub(super) fn slots(&self) -> Vec<&'static str> {
        let when = |wanted: bool, name: &'static str| wanted.then_some(name);
        let names = match self.kind {
            Kind::Sgd => [when(self.momentum != 0.0, "momentum"), None, None],
            Kind::Rmsprop => {
                [Some("velocity"), when(self.momentum != 0.0, "momentum"), when(self.centered, "averageGradient")]
            }
            Kind::Adam | Kind::Adamw => [Some("momentum"), Some("velocity"), when(self.amsgrad, "velocityHat")],
        };
        names.into_iter().flatten().collect()
    }

    /// Whether a step on the touched rows alone gives what the dense rule gives.
    fn rows_are_exact(&self) -> bool {
        matches!(self.kind, Kind::Sgd | Kind::Rmsprop) && self.momentum == 0.0 && self.weight_decay == 0.0
    }

    /// Whether tables are updated row by row.
    fn by_rows(&self) -> bool {
        self.rows_are_exact() || (self.sparse && matches!(self.kind, Kind::Adam | Kind::Adamw))
    }
}

/// State of one weight.
#[derive(Debug, Default)]
pub struct WeightState {
    /// In the order of [`OptimizerDocument::slots`]; empty before the first update.
    pub(super) slots: Vec<Buffer>,
    /// RMSprop on rows: up to which step the averages of a row are decayed.
    pub(super) last: Option<Vec<u32>>,
}

/// State of all weights of a compiled model.
#[derive(Debug)]
pub struct OptimizerState {
    pub(super) document: OptimizerDocument,
    pub(super) weights: Vec<WeightState>,
    /// Updates so far.
    pub iterations: u64,
}

impl OptimizerState {
    /// State before the first update of `count` weights.
    #[must_use]
    pub fn new(document: OptimizerDocument, count: usize) -> Self {
        Self { document, weights: (0..count).map(|_| WeightState::default()).collect(), iterations: 0 }
    }

    /// One update of all weights that have a gradient.
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
        let document = self.document;
        if let Some(limit) = document.clipvalue {
            for gradient in gradients.iter_mut().flatten() {
                clip::value(context, gradient.values_mut(), limit as f32);
            }
        }
        let norms: Vec<f64> = if document.clipnorm.is_some() || document.global_clipnorm.is_some() {
            gradients
                .iter()
                .map(|gradient| gradient.as_ref().map_or(0.0, |g| clip::sum_of_squares(context, g.values())))
                .collect()
        } else {
            Vec::new()
        };
        let global = document
            .global_clipnorm
            .map_or(1.0, |limit| clip::global_norm_factor(norms.iter().sum::<f64>().sqrt(), limit));
        for (index, gradient) in gradients.iter_mut().enumerate() {
            let Some(gradient) = gradient.take() else { continue };
            let factor = match document.clipnorm {
                Some(limit) => clip::norm_factor(norms[index].sqrt(), limit),
                None => global,
            };
            let weight = &plan.weights[index];
            let mut guard = layers[weight.layer].write();
            let values = guard.get_mut(weight.index).and_then(Option::as_mut).ok_or_else(|| {
                Error::new(Code::State, format!("layer {}: its weights are not built", layers[weight.layer].name))
            })?;
            self.update_weight(context, index, values, gradient, learning_rate, factor);
        }
        self.iterations += 1;
        Ok(())
    }

    fn update_weight(
        &mut self,
        context: &Context,
        index: usize,
        values: &mut Buffer,
        gradient: WeightGradient,
        learning_rate: f32,
        gradient_factor: f32,
    ) {
        let document = self.document;
        let iteration = self.iterations;
        let state = &mut self.weights[index];
        if state.slots.is_empty() {
            state.slots = document.slots().iter().map(|_| Buffer::zeros(values.len())).collect();
        }
        match gradient {
            WeightGradient::Rows(gradients) if document.by_rows() => {
                if gradients.rows.is_empty() {
                    return;
                }
                let width = gradients.width();
                let update = RowUpdate {
                    table: values,
                    width,
                    gradients: &gradients,
                    learning_rate,
                    iteration,
                    gradient_factor,
                };
                rows_step(context, &document, update, state);
            }
            WeightGradient::Rows(gradients) => {
                let width = gradients.width();
                let mut table = Buffer::zeros(values.len());
                if width > 0 {
                    gradients.to_dense(context, Destination { data: &mut table, accumulate: true }, width);
                }
                let update = Update { weights: values, gradients: &table, learning_rate, iteration, gradient_factor };
                dense_step(context, &document, update, state);
            }
            WeightGradient::Dense(gradients) => {
                let update =
                    Update { weights: values, gradients: &gradients, learning_rate, iteration, gradient_factor };
                dense_step(context, &document, update, state);
            }
        }
    }
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
}

fn rows_step(context: &Context, document: &OptimizerDocument, update: RowUpdate<'_>, state: &mut WeightState) {
    let mut slots = state.slots.iter_mut().map(|slot| &mut **slot);
    match document.kind {
        Kind::Sgd => sgd::step_rows(context, update),
        Kind::Rmsprop => {
            let rows = update.table.len() / update.width.max(1);
            let last = state.last.get_or_insert_with(|| vec![0; rows]);
            let Some(velocity) = slots.next() else { return };
            let average_gradient = slots.next();
            rmsprop::step_rows(
                context,
                &document.rmsprop(),
                update,
                RmspropRowState { velocity, average_gradient, last },
            );
        }
        Kind::Adam | Kind::Adamw => {
            let (Some(momentum), Some(velocity)) = (slots.next(), slots.next()) else { return };
            let state = AdamState { momentum, velocity, velocity_hat: slots.next() };
            adam::step_rows(context, &document.adam(), update, state);
        }
    }
}

fn dense_step(context: &Context, document: &OptimizerDocument, update: Update<'_>, state: &mut WeightState) {
    let iteration = update.iteration;
    let mut last = state.last.take();
    let mut slots = state.slots.iter_mut().map(|slot| &mut **slot);
    match document.kind {
        Kind::Sgd => sgd::step(context, &document.sgd(), update, slots.next()),
        Kind::Rmsprop => {
            let Some(velocity) = slots.next() else { return };
            let options = document.rmsprop();
            let momentum = if document.momentum == 0.0 { None } else { slots.next() };
            let mut average_gradient = slots.next();
            if let Some(last) = &mut last {
                // Rows that were left alone so far catch up before a step of the whole table.
                let width = velocity.len() / last.len().max(1);
                let state = RmspropRowState { velocity, average_gradient: average_gradient.as_deref_mut(), last };
                rmsprop::settle_rows(&options, width, iteration, state);
            }
            rmsprop::step(context, &options, update, RmspropState { velocity, momentum, average_gradient });
            if let Some(last) = &mut last {
                last.fill(u32::try_from(iteration + 1).unwrap_or(u32::MAX));
            }
        }
        Kind::Adam | Kind::Adamw => {
            let (Some(momentum), Some(velocity)) = (slots.next(), slots.next()) else { return };
            let state = AdamState { momentum, velocity, velocity_hat: slots.next() };
            adam::step(context, &document.adam(), update, state);
        }
    }
    state.last = last;
}
