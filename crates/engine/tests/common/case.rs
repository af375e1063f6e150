//! A training step of a whole model, on all backends.
use sconce_engine::{
    backend::{Backend, Forward, LossInput, LossResult, RandomState, StepRequest},
    plan::{CrossEntropy, LossGraph, OutputPlan, TrainingPlan},
    tensor::Tensor,
};
use sconce_kernels::{Precision, smoothing::SmoothingDefinition};

use super::{Model, bits, candle, candle_double, cpus, error, widen};

/// A loss of probabilities without any option.
pub const PLAIN: CrossEntropy = CrossEntropy {
    from_logits: false,
    label_smoothing: 0.0,
    definition: SmoothingDefinition::Keras,
    ignore_class: None,
};

/// Of the largest value of a tensor.
const TOLERANCE: f64 = 1e-4;
/// A model with its batch and losses.
pub struct Case {
    pub model: Model,
    pub inputs: Vec<Tensor>,
    pub losses: Vec<LossInput>,
    pub training: TrainingPlan,
    pub random: Option<RandomState>,
    pub precision: Precision,
}

/// Losses and all gradients in Keras' layout.
pub struct Found {
    pub results: Vec<LossResult>,
    pub gradients: Vec<Vec<f32>>,
}

impl Case {
    pub fn new(
        document: &str,
        inputs: Vec<Tensor>,
        losses: Vec<LossInput>,
        outputs: &[OutputPlan],
        frozen: &[&str],
    ) -> Self {
        Self::extended(document, &[], inputs, losses, outputs, frozen)
    }

    /// A case whose losses are graphs: their targets come after the inputs.
    pub fn extended(
        document: &str,
        graphs: &[LossGraph],
        inputs: Vec<Tensor>,
        losses: Vec<LossInput>,
        outputs: &[OutputPlan],
        frozen: &[&str],
    ) -> Self {
        let mut model = Model::new(document).unwrap_or_else(|error| panic!("{error}"));
        model.plan = model.plan.extended(graphs).unwrap_or_else(|error| panic!("{error}"));
        model.fill(7, 0.5);
        let trainable: Vec<bool> = (0..model.plan.weights.len())
            .map(|weight| !frozen.iter().any(|frozen| model.name(weight).starts_with(frozen)))
            .collect();
        let training = TrainingPlan::new(&model.plan, outputs, &trainable).unwrap_or_else(|error| panic!("{error}"));
        let random = Some(RandomState { seed: 5, step: 3 });
        Self { model, inputs, losses, training, random, precision: Precision::Float32 }
    }

    pub fn step(&self, backend: &dyn Backend, scale: f32, times: usize) -> Found {
        let program = self.model.lower(backend).unwrap_or_else(|error| panic!("{error}"));
        let mut gradients = self.model.no_gradients();
        let mut results = Vec::new();
        for _ in 0..times {
            results = self
                .model
                .forward(&self.inputs, |forward| {
                    let request = StepRequest {
                        forward: Forward { precision: self.precision, ..forward },
                        losses: &self.losses,
                        random: self.random,
                        gradient_scale: scale,
                        gradients: Some(&mut gradients),
                    };
                    program.step(&self.training.train, &self.training.losses, request)
                })
                .unwrap_or_else(|error| panic!("{error}"));
        }
        let gradients = gradients
            .iter()
            .enumerate()
            .map(|(weight, gradient)| {
                assert!(gradient.is_none() || self.training.train.trainable[weight], "{}", self.model.name(weight));
                self.model.keras_gradient(weight, gradient.as_ref())
            })
            .collect();
        Found { results, gradients }
    }

    pub fn assert_equal(&self, what: &str, found: &Found, expected: &Found) {
        for (number, (found, expected)) in found.results.iter().zip(&expected.results).enumerate() {
            let difference = (found.loss - expected.loss).abs();
            assert!(difference <= TOLERANCE * expected.loss.abs(), "{what}: loss {number}: {found:?}, {expected:?}");
            assert_eq!(found.valid, expected.valid, "{what}");
            for (found, expected) in found.metrics.iter().zip(&expected.metrics) {
                assert!((found.total - expected.total).abs() <= TOLERANCE * expected.total.abs(), "{what}: {found:?}");
                assert!((found.count - expected.count).abs() < 1e-9, "{what}: {found:?}, {expected:?}");
            }
        }
        // A gradient that is next to nothing beside the others has no digits of its own.
        let largest = |values: &[f32]| values.iter().fold(0.0f32, |largest, value| largest.max(value.abs()));
        let floor = expected.gradients.iter().map(|values| largest(values)).fold(0.0, f32::max) * 1e-3;
        for (weight, (found, expected)) in found.gradients.iter().zip(&expected.gradients).enumerate() {
            let own = largest(expected);
            let error = if own == 0.0 && largest(found) == 0.0 {
                0.0
            } else {
                error(found, &widen(expected)) * f64::from(own.max(1e-30) / own.max(floor).max(1e-30))
            };
            assert!(error <= TOLERANCE, "{what}: gradient of {}: error {error}", self.model.name(weight));
        }
    }

    /// Every trainable weight has a finite gradient that is not zero.
    pub fn assert_alive(&self, found: &Found) {
        for (weight, gradient) in found.gradients.iter().enumerate() {
            let alive = gradient.iter().all(|x| x.is_finite()) && gradient.iter().any(|&x| x != 0.0);
            let trainable = self.training.train.trainable[weight];
            assert_eq!(alive, trainable, "gradient of {}: {gradient:?}", self.model.name(weight));
        }
    }

    /// All of CPU and candle agree, threads make no difference of one bit, and every weight learns.
    pub fn check(&self) {
        self.assert_alive(&self.check_backends());
    }

    /// All of CPU and candle agree, and threads make no difference of one bit. Returns what is exact.
    pub fn check_backends(&self) -> Found {
        let exact = self.step(&candle_double(), 0.5, 1);
        self.assert_equal("candle", &self.step(&candle(), 0.5, 1), &exact);
        for pair in cpus().chunks(2) {
            let [(name, one), (_, two)] = pair else { panic!("pairs of one and two threads") };
            let (one, two) = (self.step(one, 0.5, 1), self.step(two, 0.5, 1));
            self.assert_equal(name, &one, &exact);
            assert_eq!(one.results, two.results, "{name}");
            for (weight, (one, two)) in one.gradients.iter().zip(&two.gradients).enumerate() {
                assert_eq!(bits(one), bits(two), "{name}: gradient of {}", self.model.name(weight));
            }
        }
        exact
    }
}
