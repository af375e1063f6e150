//! The rules of the optimisers: options, what they keep of each weight, and one step.
use sconce_kernels::{
    Context,
    buffer::Buffer,
    optimizer::{
        RowUpdate, Update,
        adadelta::{self, AdadeltaOptions, AdadeltaState},
        adafactor::AdafactorOptions,
        adagrad::{self, AdagradOptions},
        adam::{self, AdamOptions, AdamState},
        adamax::{self, AdamaxOptions, AdamaxState},
        ftrl::{self, FtrlOptions, FtrlState},
        lamb,
        lion::{self, LionOptions},
        nadam,
        rmsprop::{self, RmspropOptions, RmspropRowState, RmspropState},
        sgd::{self, SgdOptions},
    },
};
use serde::Deserialize;

use super::{WeightState, factors};
use crate::layers::WeightSpecification;

/// A rule with its own options.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub(super) enum Rule {
    Sgd(Sgd),
    Rmsprop(Rmsprop),
    Adam(Adam),
    Adamw(Adam),
    Adagrad(Adagrad),
    Adadelta(Adadelta),
    Adamax(Betas),
    Nadam(Betas),
    Lamb(Betas),
    Lion(Lion),
    Ftrl(Ftrl),
    Adafactor(Adafactor),
}

/// A struct of options with Keras' defaults.
macro_rules! options {
    ($name:ident { $($field:ident: $type:ty = $default:expr),+ $(,)? }) => {
        #[derive(Clone, Copy, Debug, Deserialize)]
        #[serde(rename_all = "camelCase", default, deny_unknown_fields)]
        pub(super) struct $name { $($field: $type),+ }

        impl Default for $name {
            fn default() -> Self {
                Self { $($field: $default),+ }
            }
        }
    };
}

options!(Sgd { momentum: f64 = 0.0, nesterov: bool = false });
options!(Rmsprop { rho: f64 = 0.9, momentum: f64 = 0.0, epsilon: f64 = 1e-7, centered: bool = false });
options!(Adam { beta1: f64 = 0.9, beta2: f64 = 0.999, epsilon: f64 = 1e-7, amsgrad: bool = false });
options!(Adagrad { initial_accumulator_value: f64 = 0.1, epsilon: f64 = 1e-7 });
options!(Adadelta { rho: f64 = 0.95, epsilon: f64 = 1e-7 });
options!(Betas { beta1: f64 = 0.9, beta2: f64 = 0.999, epsilon: f64 = 1e-7 });
options!(Lion { beta1: f64 = 0.9, beta2: f64 = 0.99 });
options!(Ftrl {
    learning_rate_power: f64 = -0.5,
    initial_accumulator_value: f64 = 0.1,
    l1_regularization_strength: f64 = 0.0,
    l2_regularization_strength: f64 = 0.0,
    l2_shrinkage_regularization_strength: f64 = 0.0,
    beta: f64 = 0.0,
});
options!(Adafactor {
    beta2_decay: f64 = -0.8,
    epsilon1: f64 = 1e-30,
    epsilon2: f64 = 1e-3,
    clip_threshold: f64 = 1.0,
    relative_step: bool = true,
});

impl Betas {
    fn adam(self, weight_decay: f64) -> AdamOptions {
        AdamOptions { beta_1: self.beta1, beta_2: self.beta2, epsilon: self.epsilon, amsgrad: false, weight_decay }
    }
}

/// A slice of state of one weight.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Slot {
    /// Name within a file.
    pub(super) name: &'static str,
    /// Count of numbers.
    pub(super) length: usize,
    /// What each is at first.
    pub(super) initial: f32,
}

impl Slot {
    /// The slice before the first step.
    pub(super) fn buffer(&self) -> Buffer {
        let mut buffer = Buffer::new(self.length);
        buffer.fill(self.initial);
        buffer
    }
}

impl Rule {
    /// Options that must be numbers of at least 0.
    pub(super) fn numbers(&self) -> Vec<(&'static str, f64)> {
        match *self {
            Self::Sgd(o) => vec![("momentum", o.momentum)],
            Self::Rmsprop(o) => vec![("rho", o.rho), ("momentum", o.momentum), ("epsilon", o.epsilon)],
            Self::Adam(o) | Self::Adamw(o) => vec![("beta1", o.beta1), ("beta2", o.beta2), ("epsilon", o.epsilon)],
            Self::Adagrad(o) => {
                vec![("initialAccumulatorValue", o.initial_accumulator_value), ("epsilon", o.epsilon)]
            }
            Self::Adadelta(o) => vec![("rho", o.rho), ("epsilon", o.epsilon)],
            Self::Adamax(o) | Self::Nadam(o) | Self::Lamb(o) => {
                vec![("beta1", o.beta1), ("beta2", o.beta2), ("epsilon", o.epsilon)]
            }
            Self::Lion(o) => vec![("beta1", o.beta1), ("beta2", o.beta2)],
            Self::Ftrl(o) => vec![
                ("initialAccumulatorValue", o.initial_accumulator_value),
                ("l1RegularizationStrength", o.l1_regularization_strength),
                ("l2RegularizationStrength", o.l2_regularization_strength),
                ("l2ShrinkageRegularizationStrength", o.l2_shrinkage_regularization_strength),
                ("beta", o.beta),
            ],
            Self::Adafactor(o) => {
                // Its learning rate never exceeds the root anyway, so that the option changes nothing, in Keras too.
                let _ = o.relative_step;
                vec![("epsilon1", o.epsilon1), ("epsilon2", o.epsilon2), ("clipThreshold", o.clip_threshold)]
            }
        }
    }

    /// Options that must be numbers of at most 0.
    pub(super) fn powers(&self) -> Vec<(&'static str, f64)> {
        match *self {
            Self::Ftrl(o) => vec![("learningRatePower", o.learning_rate_power)],
            Self::Adafactor(o) => vec![("beta2Decay", o.beta2_decay)],
            _ => Vec::new(),
        }
    }

    /// Slices of state that a weight can have at most.
    pub(super) fn most_slots(&self) -> usize {
        match self {
            Self::Sgd(_) | Self::Adagrad(_) | Self::Lion(_) | Self::Adafactor(_) => 1,
            Self::Rmsprop(_) | Self::Adam(_) | Self::Adamw(_) => 3,
            _ => 2,
        }
    }

    /// The slices of state of a weight.
    pub(super) fn slots(&self, weight: &WeightSpecification) -> Vec<Slot> {
        let length = weight.shape.iter().product();
        let slot = |name, initial: f64| Slot { name, length, initial: initial as f32 };
        let when = |wanted: bool, name| wanted.then(|| slot(name, 0.0));
        match *self {
            Self::Sgd(o) => when(o.momentum != 0.0, "momentum").into_iter().collect(),
            Self::Rmsprop(o) => {
                let more = [when(o.momentum != 0.0, "momentum"), when(o.centered, "averageGradient")];
                [slot("velocity", 0.0)].into_iter().chain(more.into_iter().flatten()).collect()
            }
            Self::Adam(o) | Self::Adamw(o) => [slot("momentum", 0.0), slot("velocity", 0.0)]
                .into_iter()
                .chain(when(o.amsgrad, "velocityHat"))
                .collect(),
            Self::Adagrad(o) => vec![slot("accumulator", o.initial_accumulator_value)],
            Self::Adadelta(_) => vec![slot("accumulatedGradient", 0.0), slot("accumulatedChange", 0.0)],
            Self::Adamax(_) => vec![slot("momentum", 0.0), slot("norm", 0.0)],
            Self::Nadam(_) | Self::Lamb(_) => vec![slot("momentum", 0.0), slot("velocity", 0.0)],
            Self::Lion(_) => vec![slot("momentum", 0.0)],
            Self::Ftrl(o) => vec![slot("accumulator", o.initial_accumulator_value), slot("linear", 0.0)],
            Self::Adafactor(_) => factors::slots(weight),
        }
    }

    /// Whether a table is updated row by row; otherwise the gradient of its rows is made dense.
    ///
    /// Done where a step on the touched rows alone gives what the dense rule gives, and where the user asks for it.
    pub(super) fn by_rows(&self, weight_decay: f64, sparse: bool) -> bool {
        match self {
            Self::Sgd(Sgd { momentum, .. }) | Self::Rmsprop(Rmsprop { momentum, .. }) => {
                *momentum == 0.0 && weight_decay == 0.0
            }
            Self::Adagrad(_) | Self::Adadelta(_) => weight_decay == 0.0,
            Self::Adam(_) | Self::Adamw(_) => sparse,
            _ => false,
        }
    }

    fn rmsprop(o: Rmsprop, weight_decay: f64) -> RmspropOptions {
        let Rmsprop { rho, momentum, epsilon, centered } = o;
        RmspropOptions { rho, momentum, epsilon, centered, weight_decay }
    }

    fn adam(o: Adam, weight_decay: f64) -> AdamOptions {
        let Adam { beta1: beta_1, beta2: beta_2, epsilon, amsgrad } = o;
        AdamOptions { beta_1, beta_2, epsilon, amsgrad, weight_decay }
    }

    fn adadelta(o: Adadelta, weight_decay: f64) -> AdadeltaOptions {
        AdadeltaOptions { rho: o.rho, epsilon: o.epsilon, weight_decay }
    }

    /// A step on the rows that have a gradient; only where [`Self::by_rows`] says so.
    pub(super) fn rows_step(
        &self,
        context: &Context,
        weight_decay: f64,
        update: RowUpdate<'_>,
        state: &mut WeightState,
    ) {
        let rows = update.table.len() / update.width.max(1);
        let mut slots = state.slots.iter_mut().map(|slot| &mut **slot);
        let last = &mut state.last;
        match *self {
            Self::Sgd(_) => sgd::step_rows(context, update),
            Self::Rmsprop(o) => {
                let last = last.get_or_insert_with(|| vec![0; rows]);
                let Some(velocity) = slots.next() else { return };
                let state = RmspropRowState { velocity, average_gradient: slots.next(), last };
                rmsprop::step_rows(context, &Self::rmsprop(o, 0.0), update, state);
            }
            Self::Adagrad(o) => {
                let Some(accumulator) = slots.next() else { return };
                let options = AdagradOptions { epsilon: o.epsilon, weight_decay: 0.0 };
                adagrad::step_rows(context, &options, update, accumulator);
            }
            Self::Adadelta(o) => {
                let last = last.get_or_insert_with(|| vec![0; rows]);
                let (Some(gradient), Some(change)) = (slots.next(), slots.next()) else { return };
                let state = AdadeltaState { gradient, change };
                adadelta::step_rows(context, &Self::adadelta(o, 0.0), update, state, last);
            }
            Self::Adam(o) | Self::Adamw(o) => {
                let (Some(momentum), Some(velocity)) = (slots.next(), slots.next()) else { return };
                let state = AdamState { momentum, velocity, velocity_hat: slots.next() };
                adam::step_rows(context, &Self::adam(o, weight_decay), update, state);
            }
            _ => {}
        }
    }

    /// A step on a whole weight.
    pub(super) fn dense_step(
        &self,
        context: &Context,
        weight: &WeightSpecification,
        weight_decay: f64,
        update: Update<'_>,
        state: &mut WeightState,
    ) {
        let iteration = update.iteration;
        let mut last = state.last.take();
        if let Some(last) = &mut last {
            // Rows that were left alone so far catch up before a step of the whole table.
            self.settle(iteration, &mut state.slots, last);
        }
        self.whole_step(context, weight, weight_decay, update, &mut state.slots);
        if let Some(last) = &mut last {
            last.fill(u32::try_from(iteration.saturating_add(1)).unwrap_or(u32::MAX));
        }
        state.last = last;
    }

    fn settle(&self, iteration: u64, slots: &mut [Buffer], last: &mut [u32]) {
        let mut slots = slots.iter_mut().map(|slot| &mut **slot);
        let Some(first) = slots.next() else { return };
        let width = first.len() / last.len().max(1);
        match (*self, slots.next()) {
            (Self::Rmsprop(o), average_gradient) => {
                let state = RmspropRowState { velocity: first, average_gradient, last };
                rmsprop::settle_rows(&Self::rmsprop(o, 0.0), width, iteration, state);
            }
            (Self::Adadelta(o), Some(change)) => {
                let state = AdadeltaState { gradient: first, change };
                adadelta::settle_rows(&Self::adadelta(o, 0.0), width, iteration, state, last);
            }
            _ => {}
        }
    }

    fn whole_step(
        &self,
        context: &Context,
        weight: &WeightSpecification,
        weight_decay: f64,
        update: Update<'_>,
        slots: &mut [Buffer],
    ) {
        if let Self::Adafactor(o) = *self {
            let options = AdafactorOptions {
                beta_2_decay: o.beta2_decay,
                epsilon_1: o.epsilon1,
                epsilon_2: o.epsilon2,
                clip_threshold: o.clip_threshold,
                weight_decay,
            };
            return factors::step(context, weight, &options, update, slots);
        }
        let mut slots = slots.iter_mut().map(|slot| &mut **slot);
        match (*self, slots.next(), slots.next(), slots.next()) {
            (Self::Sgd(Sgd { momentum, nesterov }), velocity, ..) => {
                sgd::step(context, &SgdOptions { momentum, nesterov, weight_decay }, update, velocity);
            }
            (Self::Rmsprop(o), Some(velocity), second, third) => {
                let (momentum, average_gradient) = if o.momentum == 0.0 { (None, second) } else { (second, third) };
                let state = RmspropState { velocity, momentum, average_gradient };
                rmsprop::step(context, &Self::rmsprop(o, weight_decay), update, state);
            }
            (Self::Adam(o) | Self::Adamw(o), Some(momentum), Some(velocity), velocity_hat) => {
                let state = AdamState { momentum, velocity, velocity_hat };
                adam::step(context, &Self::adam(o, weight_decay), update, state);
            }
            (Self::Adagrad(o), Some(accumulator), ..) => {
                adagrad::step(context, &AdagradOptions { epsilon: o.epsilon, weight_decay }, update, accumulator);
            }
            (Self::Adadelta(o), Some(gradient), Some(change), _) => {
                let state = AdadeltaState { gradient, change };
                adadelta::step(context, &Self::adadelta(o, weight_decay), update, state);
            }
            (Self::Adamax(o), Some(momentum), Some(norm), _) => {
                let Betas { beta1: beta_1, beta2: beta_2, epsilon } = o;
                let options = AdamaxOptions { beta_1, beta_2, epsilon, weight_decay };
                adamax::step(context, &options, update, AdamaxState { momentum, norm });
            }
            (Self::Nadam(o), Some(momentum), Some(velocity), _) => {
                let state = AdamState { momentum, velocity, velocity_hat: None };
                nadam::step(context, &o.adam(weight_decay), update, state);
            }
            (Self::Lamb(o), Some(momentum), Some(velocity), _) => {
                let state = AdamState { momentum, velocity, velocity_hat: None };
                lamb::step(context, &o.adam(weight_decay), update, state);
            }
            (Self::Lion(o), Some(momentum), ..) => {
                let options = LionOptions { beta_1: o.beta1, beta_2: o.beta2, weight_decay };
                lion::step(context, &options, update, momentum);
            }
            (Self::Ftrl(o), Some(accumulator), Some(linear), _) => {
                let options = FtrlOptions {
                    learning_rate_power: o.learning_rate_power,
                    l1: o.l1_regularization_strength,
                    l2: o.l2_regularization_strength,
                    l2_shrinkage: o.l2_shrinkage_regularization_strength,
                    beta: o.beta,
                    weight_decay,
                };
                ftrl::step(context, &options, update, FtrlState { accumulator, linear });
            }
            // All slices are made before a step.
            _ => {}
        }
    }
}
