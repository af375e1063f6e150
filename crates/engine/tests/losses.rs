//! Every loss and metric, on every backend.
mod common;

use std::sync::Arc;

use common::{
    buffer,
    case::{Case, PLAIN},
    floats, integers,
    models::Document,
};
use sconce_engine::{
    Code,
    backend::{LossInput, TargetData},
    graph::GraphDocument,
    plan::{CrossEntropy, LossFunction, LossGraph, LossTarget, Metric, OutputLoss, OutputPlan, Plan},
    tensor::Tensor,
};
use sconce_kernels::row_loss::RowLoss;
use serde_json::json;

const FUNCTIONS: [RowLoss; 14] = [
    RowLoss::BinaryCrossentropy { from_logits: false, label_smoothing: 0.1 },
    RowLoss::BinaryCrossentropy { from_logits: true, label_smoothing: 0.0 },
    RowLoss::MeanSquaredError,
    RowLoss::MeanAbsoluteError,
    RowLoss::MeanAbsolutePercentageError,
    RowLoss::MeanSquaredLogarithmicError,
    RowLoss::Huber { delta: 0.3 },
    RowLoss::LogCosh,
    RowLoss::Poisson,
    RowLoss::Hinge,
    RowLoss::SquaredHinge,
    RowLoss::KlDivergence,
    RowLoss::CosineSimilarity,
    RowLoss::CategoricalHinge,
];
const METRICS: [Metric; 12] = [
    Metric::Accuracy,
    Metric::CategoricalAccuracy,
    Metric::BinaryAccuracy(0.4),
    Metric::TopK(2),
    Metric::Precision(0.5),
    Metric::Recall(0.3),
    Metric::Perplexity { from_logits: false },
    Metric::Mean(LossFunction::Rows(RowLoss::MeanSquaredError), 1.0),
    Metric::Mean(LossFunction::Rows(RowLoss::CosineSimilarity), -1.0),
    Metric::Mean(LossFunction::Rows(RowLoss::BinaryCrossentropy { from_logits: false, label_smoothing: 0.0 }), 1.0),
    Metric::Mean(LossFunction::CrossEntropy(PLAIN), 1.0),
    Metric::Mean(LossFunction::CrossEntropy(CrossEntropy { label_smoothing: 0.3, ..PLAIN }), 1.0),
];
const BATCH: usize = 4;
const STEPS: usize = 5;
const IDS: usize = 9;

/// Masked sequences whose outputs are `width` numbers of an activation a step.
fn sequences(width: usize, activation: &str) -> (String, Tensor) {
    let mut document = Document::default();
    let ids = document.input(json!(["batch", "time"]), "int32");
    let table = document.embedding_layer(IDS, 4);
    let x = document.call(table, &[ids]);
    let output = document.dense(width, activation, true, x);
    let mut data = integers(3, BATCH * STEPS, 1, IDS as i32);
    for padded in [3, 4, 12, 13, 14, 15] {
        data[padded] = 0;
    }
    (document.finish(&[output]), Tensor::ids(vec![BATCH, STEPS], data))
}

fn check(width: usize, activation: &str, loss: OutputLoss, metrics: &[Metric], target: TargetData, weighted: bool) {
    let (document, ids) = sequences(width, activation);
    let weights = buffer(&floats(9, BATCH * STEPS, 0.5).iter().map(|x| x + 0.6).collect::<Vec<_>>());
    let input = LossInput { target, sample_weights: weighted.then_some(weights) };
    let plan = OutputPlan { loss: Some(loss), metrics: metrics.to_vec(), weighted_metrics: metrics.to_vec() };
    let case = Case::new(&document, vec![ids], vec![input], &[plan], &[]);
    let exact = case.check_backends();
    assert!(exact.gradients.iter().flatten().any(|&x| x != 0.0), "{loss:?} of {activation} has a gradient");
    assert_eq!(exact.results[0].valid, BATCH * STEPS - 6);
    let (plain, of_weights) = exact.results[0].metrics.split_at(metrics.len());
    let same = plain == of_weights;
    assert_eq!(same, !weighted || metrics.is_empty(), "weights have a part in weighted metrics: {loss:?}");
}

fn elements(width: usize) -> TargetData {
    let values: Vec<f32> = floats(21, BATCH * STEPS * width, 0.45).iter().map(|x| x + 0.5).collect();
    TargetData::Probabilities(buffer(&values))
}

#[test]
fn losses_of_elements_with_masks_and_weights() {
    for function in FUNCTIONS {
        for (width, activation) in [(3, "softplus"), (17, "sigmoid"), (1, "softplus"), (3, "linear")] {
            // Cosines of single numbers have no slope; logarithms take positive numbers.
            let positive = matches!(function, RowLoss::Poisson | RowLoss::MeanSquaredLogarithmicError);
            let clipped =
                matches!(function, RowLoss::KlDivergence | RowLoss::BinaryCrossentropy { from_logits: false, .. });
            // With targets that are no classes, many elements are always right enough.
            let flat = function == RowLoss::CosineSimilarity && width == 1
                || function == RowLoss::CategoricalHinge && width == 17;
            let outside = (positive || clipped) && activation == "linear" || clipped && activation == "softplus";
            if flat || outside {
                continue;
            }
            check(width, activation, function.into(), &[], elements(width), width == 3);
        }
    }
}

#[test]
fn hinges_take_labels_of_zero_and_one() {
    let labels: Vec<f32> = integers(4, BATCH * STEPS * 3, 0, 2).iter().map(|&x| x as f32).collect();
    for function in [RowLoss::Hinge, RowLoss::SquaredHinge, RowLoss::CategoricalHinge] {
        check(3, "linear", function.into(), &[], TargetData::Probabilities(buffer(&labels)), false);
    }
    let ids = TargetData::Ids(Arc::new(integers(5, BATCH * STEPS, 0, 2)));
    for function in [RowLoss::Hinge, RowLoss::MeanSquaredError] {
        check(1, "linear", function.into(), &[Metric::BinaryAccuracy(0.5), Metric::Precision(0.5)], ids.clone(), true);
    }
}

#[test]
fn metrics_with_masks_and_weights() {
    for (activation, loss) in [
        ("softmax", OutputLoss::from(CrossEntropy { label_smoothing: 0.2, ..PLAIN })),
        ("sigmoid", RowLoss::MeanSquaredError.into()),
        ("softmax", RowLoss::KlDivergence.into()),
        ("sigmoid", RowLoss::BinaryCrossentropy { from_logits: false, label_smoothing: 0.1 }.into()),
    ] {
        for weighted in [false, true] {
            check(6, activation, loss, &METRICS, elements(6), weighted);
        }
    }
    let ids = TargetData::Ids(Arc::new(integers(6, BATCH * STEPS, 0, 6)));
    let of_ids = [
        Metric::SparseCategoricalAccuracy,
        Metric::TopK(1),
        Metric::TopK(3),
        Metric::Perplexity { from_logits: false },
    ];
    check(6, "softmax", PLAIN.into(), &of_ids, ids.clone(), true);
    check(6, "linear", CrossEntropy::plain(true).into(), &of_ids, ids, true);
}

#[test]
fn a_sigmoid_before_its_cross_entropy_is_computed_from_logits() {
    let (document, ids) = sequences(2, "sigmoid");
    let function = RowLoss::BinaryCrossentropy { from_logits: false, label_smoothing: 0.0 };
    let plan = OutputPlan { loss: Some(function.into()), ..OutputPlan::default() };
    let target = TargetData::Probabilities(buffer(&[1.0; BATCH * STEPS * 2]));
    let input = LossInput { target, sample_weights: None };
    let case = Case::new(&document, vec![ids], vec![input], &[plan], &[]);
    // Kernel, then bias: logits of -40, which probabilities would clip.
    case.model.set(2, &[-40.0, -40.0]);
    let loss = case.check_backends().results[0].loss;
    assert!((loss - 40.0).abs() < 4.0, "the loss is {loss}");
}

#[test]
fn an_unsmoothed_metric_beside_a_smoothed_loss_keeps_the_fusion() {
    let (document, ids) = sequences(6, "softmax");
    let loss = CrossEntropy { label_smoothing: 0.5, ..PLAIN };
    let metrics = vec![Metric::Perplexity { from_logits: false }, Metric::Mean(LossFunction::CrossEntropy(PLAIN), 1.0)];
    let plan = OutputPlan { loss: Some(loss.into()), metrics, ..OutputPlan::default() };
    let ids_of_rows = TargetData::Ids(Arc::new(integers(6, BATCH * STEPS, 0, 6)));
    let input = LossInput { target: ids_of_rows, sample_weights: None };
    let case = Case::new(&document, vec![ids], vec![input], &[plan], &[]);
    let targets: Vec<_> = case.training.losses[0].passes().map(|pass| pass.target).collect();
    assert!(targets.iter().all(|target| matches!(target, LossTarget::Linear(_))), "{targets:?}");
    let result = &case.check_backends().results[0];
    let unsmoothed = result.metrics[0].total / result.metrics[0].count;
    assert!((unsmoothed - result.loss).abs() > 1e-3, "{result:?}");
    assert!((result.metrics[1].total / result.metrics[1].count - unsmoothed).abs() < 1e-9, "{result:?}");
}

#[test]
fn metrics_of_an_output_without_a_loss_take_it_as_it_is() {
    let mut document = Document::default();
    let x = document.input(json!(["batch", 4]), "float32");
    let (first, second) = (document.dense(3, "linear", true, x), document.dense(3, "linear", true, x));
    let document = document.finish(&[first, second]);
    let inputs = vec![Tensor::float(vec![6, 4], buffer(&floats(1, 24, 1.0)))];
    let target =
        |seed| LossInput { target: TargetData::Probabilities(buffer(&floats(seed, 18, 1.0))), sample_weights: None };
    let squared = Metric::Mean(LossFunction::Rows(RowLoss::MeanSquaredError), 1.0);
    let plans = [
        OutputPlan { loss: Some(RowLoss::MeanSquaredError.into()), metrics: vec![squared], ..OutputPlan::default() },
        OutputPlan {
            metrics: vec![Metric::Accuracy, squared, Metric::Perplexity { from_logits: true }],
            ..OutputPlan::default()
        },
    ];
    let case = Case::new(&document, inputs, vec![target(2), target(3)], &plans, &["dense2"]);
    assert!(case.training.losses[1].roots().all(|value| value == case.model.plan.outputs[1]));
    let results = case.check_backends().results;
    assert!((results[0].loss - results[0].metrics[0].total / results[0].metrics[0].count).abs() < 1e-6);
    assert!(results[1].loss == 0.0 && results[1].metrics[1].total > 0.0, "{results:?}");
}

/// The document with a penalty on what some layers give.
fn penalised(document: &str, layers: &[&str], l1: f64, l2: f64) -> String {
    let mut document: serde_json::Value = serde_json::from_str(document).unwrap_or_else(|error| panic!("{error}"));
    for layer in document["layers"].as_array_mut().into_iter().flatten() {
        if layers.iter().any(|name| layer["name"].as_str().is_some_and(|own| own.starts_with(name))) {
            layer["options"]["activityRegularizer"] = json!({ "type": "l1l2", "l1": l1, "l2": l2 });
        }
    }
    document.to_string()
}

#[test]
fn penalties_on_what_layers_give() {
    let target = |width| LossInput { target: elements(width), sample_weights: None };
    for (activation, layers, loss) in [
        ("softmax", &["dense"][..], OutputLoss::from(PLAIN)),
        ("sigmoid", &["dense", "embedding"], RowLoss::MeanSquaredError.into()),
        ("softmax", &["embedding"], PLAIN.into()),
    ] {
        let (document, ids) = sequences(4, activation);
        let plan = [OutputPlan { loss: Some(loss), ..OutputPlan::default() }];
        let plain = Case::new(&document, vec![ids.clone()], vec![target(4)], &plan, &[]);
        let zero = penalised(&document, layers, 0.0, 0.0);
        let case = Case::new(&penalised(&document, layers, 0.3, 0.2), vec![ids.clone()], vec![target(4)], &plan, &[]);
        let found = case.check_backends();
        assert!(found.results.len() == 2 && found.results[1].loss > 0.0, "{:?}", found.results);
        let without = Case::new(&zero, vec![ids], vec![target(4)], &plan, &[]).check_backends();
        assert_eq!(without.results[1].loss, 0.0);
        let expected = plain.check_backends();
        assert_ne!(found.gradients, without.gradients);
        for (found, expected) in without.gradients.iter().flatten().zip(expected.gradients.iter().flatten()) {
            assert!((found - expected).abs() < 1e-6, "{found}, {expected}");
        }
    }
}

#[test]
fn wrong_penalties_are_named() {
    let (document, _) = sequences(4, "linear");
    for (l1, l2) in [(-1.0, 0.0), (0.0, -0.5)] {
        let error = common::Model::new(&penalised(&document, &["dense"], l1, l2)).err();
        assert!(error.is_some_and(|error| error.code == Code::Option && error.message.contains("activityRegularizer")));
    }
}

/// `(target - output)^2` of each element, and the features of its input.
fn squares(shape: &serde_json::Value) -> GraphDocument {
    let mut document = Document::default();
    let (target, output) = (document.input(shape.clone(), "float32"), document.input(shape.clone(), "float32"));
    let difference = document.merge("subtract", &[target, output]);
    let result = document.merge("multiply", &[difference, difference]);
    GraphDocument::parse(&document.finish(&[result])).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn a_loss_that_is_a_graph_equals_the_same_loss() {
    let (document, ids) = sequences(4, "sigmoid");
    let graphs: Vec<LossGraph> =
        (0..2).map(|_| LossGraph { output: 0, graph: squares(&json!(["batch", "time", 4])) }).collect();
    let weights = buffer(&floats(9, BATCH * STEPS, 0.5).iter().map(|x| x + 0.6).collect::<Vec<_>>());
    let input = LossInput { target: elements(4), sample_weights: Some(weights) };
    let plan = |function, metric| {
        let metric = Metric::Mean(metric, 1.0);
        let loss = Some(OutputLoss { function, weight: 0.5 });
        [OutputPlan { loss, metrics: vec![metric, Metric::Accuracy], weighted_metrics: vec![metric] }]
    };
    let TargetData::Probabilities(values) = &input.target else { panic!("floats") };
    let target = Tensor::float(vec![BATCH, STEPS, 4], values.clone());
    let own = plan(LossFunction::Graph(0), LossFunction::Graph(1));
    let inputs = vec![ids.clone(), target.clone(), target];
    let case = Case::extended(&document, &graphs, inputs, vec![input.clone()], &own, &[]);
    let rows = LossFunction::Rows(RowLoss::MeanSquaredError);
    let known = Case::new(&document, vec![ids], vec![input], &plan(rows, rows), &[]);
    case.assert_equal("a graph", &case.check_backends(), &known.check_backends());
}

#[test]
fn graphs_that_are_no_losses_are_refused() {
    let (document, _) = sequences(4, "sigmoid");
    let plan = Arc::new(
        Plan::new(&GraphDocument::parse(&document).unwrap_or_else(|error| panic!("{error}")))
            .unwrap_or_else(|error| panic!("{error}")),
    );
    let refused = |graph: GraphDocument, words: &str| {
        let error = plan.extended(&[LossGraph { output: 0, graph }]).err();
        assert!(error.as_ref().is_some_and(|error| error.message.contains(words)), "{error:?}");
    };
    let mut with_weights = Document::default();
    let shape = json!(["batch", "time", 4]);
    let (target, output) = (with_weights.input(shape.clone(), "float32"), with_weights.input(shape.clone(), "float32"));
    let dense = with_weights.dense(4, "linear", true, output);
    let result = with_weights.merge("add", &[target, dense]);
    let parse = |text: &str| GraphDocument::parse(text).unwrap_or_else(|error| panic!("{error}"));
    refused(parse(&with_weights.finish(&[result])), "has weights");
    let mut wide = Document::default();
    let (target, output) = (wide.input(shape.clone(), "float32"), wide.input(shape, "float32"));
    let result = wide.concatenate(&[target, output]);
    refused(parse(&wide.finish(&[result])), "shape begins as");
}
