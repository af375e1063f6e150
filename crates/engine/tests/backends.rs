//! The backends against each other, threads against threads, and gradients against differences.
mod common;

use std::sync::Arc;

use common::{
    buffer, candle, candle_double,
    case::{Case, PLAIN},
    cpus, floats, integers,
    models::{continued, everything, merging, recurrent, textbook},
};
use sconce_engine::{
    backend::{Backend, LossInput, RandomState, TargetData},
    plan::{CrossEntropy, LossTarget, Metric, OutputLoss, OutputPlan},
    tensor::Tensor,
};
use sconce_kernels::smoothing::SmoothingDefinition;

const ROWS: usize = 11;

fn ids(shape: [usize; 2], data: Vec<i32>) -> Tensor {
    Tensor::ids(shape.to_vec(), data)
}

fn classes(ids: Vec<i32>) -> LossInput {
    LossInput { target: TargetData::Ids(Arc::new(ids)), sample_weights: None }
}

/// Sources and decoder inputs of 4 rows with padding behind, in front, and within.
fn padded() -> [Vec<i32>; 2] {
    let source = vec![3, 7, 2, 9, 5, 0, 0, 4, 8, 2, 6, 0, 1, 0, 10, 0, 0, 0, 0, 0];
    let target = vec![1, 5, 6, 0, 1, 3, 0, 0, 1, 0, 9, 4, 0, 1, 2, 10];
    [source, target]
}

fn textbook_case(loss: impl Into<OutputLoss>, metrics: Vec<Metric>, losses: LossInput, frozen: &[&str]) -> Case {
    let [source, target] = padded();
    let inputs = vec![ids([4, 5], source), ids([4, 4], target)];
    let outputs = [OutputPlan { loss: Some(loss.into()), metrics, ..OutputPlan::default() }];
    Case::new(&textbook(ROWS, 6, 7), inputs, vec![losses], &outputs, frozen)
}

fn target_ids() -> LossInput {
    classes(integers(2, 16, 0, ROWS as i32))
}

const CLASS_METRICS: [Metric; 3] =
    [Metric::Accuracy, Metric::SparseCategoricalAccuracy, Metric::Perplexity { from_logits: false }];

#[test]
fn textbook_model_with_masks() {
    let case = textbook_case(PLAIN, CLASS_METRICS.to_vec(), target_ids(), &[]);
    assert!(case.training.losses[0].fused().is_some(), "the last layer is fused with the loss");
    case.check();
}

#[test]
fn textbook_model_with_frozen_layers() {
    textbook_case(PLAIN, Vec::new(), target_ids(), &["embedding2"]).check();
    textbook_case(PLAIN, Vec::new(), target_ids(), &["dense"]).check();
    textbook_case(PLAIN, Vec::new(), target_ids(), &["embedding2", "lstm3", "dense5.bias"]).check();
    textbook_case(PLAIN, Vec::new(), target_ids(), &["embedding2", "lstm"]).check();
}

#[test]
fn smoothing_ignored_classes_and_sample_weights() {
    let loss = CrossEntropy { label_smoothing: 0.2, ignore_class: Some(4), ..PLAIN };
    let loss = OutputLoss { weight: 0.7, ..loss.into() };
    let mut input = target_ids();
    input.sample_weights = Some(buffer(&floats(9, 16, 0.5).iter().map(|x| x + 0.6).collect::<Vec<_>>()));
    textbook_case(loss, CLASS_METRICS.to_vec(), input, &[]).check();
}

#[test]
fn every_definition_of_smoothing_is_fused() {
    let padding = 0;
    for definition in [SmoothingDefinition::Fairseq, SmoothingDefinition::JoeyNmt { padding }] {
        let loss = CrossEntropy { label_smoothing: 0.2, definition, ..PLAIN };
        let case = textbook_case(loss, CLASS_METRICS.to_vec(), target_ids(), &[]);
        assert!(case.training.losses[0].fused().is_some());
        case.check();
        // A metric that looks at the output keeps its logits.
        let case = textbook_case(loss, vec![Metric::TopK(2)], target_ids(), &[]);
        assert!(case.training.losses[0].fused().is_none());
        case.check();
    }
}

#[test]
fn probabilities_as_targets_and_metrics_of_elements() {
    let loss = CrossEntropy { label_smoothing: 0.1, ..PLAIN };
    let positive: Vec<f32> = floats(3, 16 * ROWS, 0.5).iter().map(|x| x + 0.5).collect();
    let input = LossInput { target: TargetData::Probabilities(buffer(&positive)), sample_weights: None };
    let metrics = vec![Metric::CategoricalAccuracy, Metric::BinaryAccuracy(0.1)];
    let case = textbook_case(loss, metrics, input, &[]);
    let target = case.training.losses[0].loss.map(|pass| pass.target);
    assert!(matches!(target, Some(LossTarget::Logits(_))), "a metric looks at the output");
    case.check();
}

/// A loss of a second output.
fn smoothed() -> OutputLoss {
    OutputLoss { weight: 0.4, ..CrossEntropy { label_smoothing: 0.1, ..PLAIN }.into() }
}

fn everything_case(rate: f32, losses: [OutputLoss; 2]) -> Case {
    let [mut source, _] = padded();
    // Not a row without any id: a state that no step made has no gradient.
    source[17] = 6;
    let features = Tensor::float(vec![4, 5, 6], buffer(&floats(11, 120, 1.0)));
    let outputs =
        losses.map(|loss| OutputPlan { loss: Some(loss), metrics: vec![Metric::Accuracy], ..OutputPlan::default() });
    let inputs = vec![ids([4, 5], source), features];
    let targets = vec![classes(integers(4, 20, 0, ROWS as i32)), classes(vec![0, 2, 1, 1])];
    Case::new(&everything(ROWS, 6, 5, rate), inputs, targets, &outputs, &[])
}

#[test]
fn two_outputs_shared_layers_and_dropout_everywhere() {
    let second = smoothed();
    everything_case(0.3, [PLAIN.into(), second]).check();
    everything_case(0.0, [PLAIN.into(), second]).check();
}

/// The last output of no steps is 0, as that of steps that are all masked; the states are the initial ones.
#[test]
fn sequences_of_no_steps() {
    let [source, _] = padded();
    for steps in [0, 3] {
        let features = Tensor::float(vec![4, steps, 6], buffer(&floats(11, 24 * steps, 1.0)));
        let outputs =
            [OutputPlan { loss: Some(PLAIN.into()), metrics: vec![Metric::Accuracy], ..OutputPlan::default() }];
        let inputs = vec![ids([4, 5], source.clone()), features];
        let case = Case::new(&continued(ROWS, 6, 5), inputs, vec![classes(vec![0, 2, 10, 1])], &outputs, &[]);
        let gradients = case.check_backends().gradients;
        assert!(gradients[0].iter().any(|&x| x != 0.0), "through the states");
    }
}

fn merging_case() -> Case {
    let [source, _] = padded();
    let features = Tensor::float(vec![4, 5, 6], buffer(&floats(12, 120, 1.0)));
    let outputs = [OutputPlan { loss: Some(PLAIN.into()), metrics: vec![Metric::Accuracy], ..OutputPlan::default() }];
    let targets = vec![classes(integers(13, 20, 0, ROWS as i32))];
    Case::new(&merging(ROWS, 6), vec![ids([4, 5], source), features], targets, &outputs, &[])
}

#[test]
fn merges_of_masked_and_other_values() {
    merging_case().check();
}

fn recurrent_case(rate: f32) -> Case {
    let [source, target] = padded();
    let outputs = [OutputPlan { loss: Some(PLAIN.into()), metrics: vec![Metric::Accuracy], ..OutputPlan::default() }];
    let inputs = vec![ids([4, 5], source), ids([4, 4], target)];
    Case::new(&recurrent(ROWS, 6, 5, rate), inputs, vec![target_ids()], &outputs, &[])
}

#[test]
fn every_recurrent_layer_in_both_directions() {
    recurrent_case(0.0).check();
    recurrent_case(0.3).check();
}

#[test]
fn dropout_depends_on_the_step_and_is_off_without_random_numbers() {
    let mut case = everything_case(0.3, [PLAIN.into(), PLAIN.into()]);
    let first = case.step(&candle(), 1.0, 1).results[0].loss;
    case.random = Some(RandomState { seed: 5, step: 4 });
    let second = case.step(&candle(), 1.0, 1).results[0].loss;
    case.random = None;
    let without = case.step(&candle(), 1.0, 1).results[0].loss;
    assert!(first != second && first != without, "{first}, {second}, {without}");
    let plain = everything_case(0.0, [PLAIN.into(), PLAIN.into()]).step(&candle(), 1.0, 1).results[0].loss;
    assert!((plain - without).abs() < 1e-12, "{plain}, {without}");
    case.check();
}

#[test]
fn gradients_accumulate_over_steps() {
    let case = everything_case(0.3, [PLAIN.into(), PLAIN.into()]);
    let once = case.step(&candle_double(), 1.5, 1);
    let [(_, cpu), ..] = &cpus()[..] else { panic!("a CPU") };
    for backend in [&candle() as &dyn Backend, cpu] {
        case.assert_equal(backend.name(), &case.step(backend, 0.5, 3), &once);
    }
}

/// Central differences of the whole loss by some elements of each weight, in double precision.
#[test]
fn gradients_equal_finite_differences() {
    let second = smoothed();
    let case = everything_case(0.3, [PLAIN.into(), second]);
    case.check_differences(3, 1e-4, |found| found.results[0].loss + 0.4 * found.results[1].loss);
    merging_case().check_differences(3, 1e-4, |found| found.results[0].loss);
    recurrent_case(0.3).check_differences(3, 1e-4, |found| found.results[0].loss);
}
