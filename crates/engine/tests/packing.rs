//! Rows of masked positions are left out where nobody looks at them, and nothing changes by that.
mod common;

use std::sync::Arc;

use common::{
    along_time::{call, normalization, pooling},
    case::{Case, Found, PLAIN},
    cpus, integers,
    models::{Document, Reference},
    widen,
};
use sconce_engine::{
    backend::{LossInput, TargetData},
    plan::{LossFunction, LossTarget, Metric, Operation, OutputLoss, OutputPlan},
    tensor::Tensor,
};
use sconce_kernels::row_loss::RowLoss;
use serde_json::{Value, json};

const ROWS: usize = 13;
const WIDTH: usize = 12;
const BATCH: usize = 8;
const SOURCE: usize = 9;
const TARGET: usize = 7;

fn embedded(document: &mut Document, time: &str, rate: f32) -> Reference {
    let ids = document.input(json!(["batch", time]), "int32");
    let table = document.embedding_layer(ROWS, WIDTH);
    let x = document.call(table, &[ids]);
    let positions = json!({
        "type": "sinusoidal", "interleaved": true, "maxWavelength": 10_000.0, "maxLength": null, "scale": true,
        "embeddingsInitializer": { "type": "provided" }
    });
    let x = call(document, "positionalEncoding", positions, &[x]);
    document.dropout(rate, x)
}

fn transformer(changed: &[(&str, Value)]) -> Value {
    let start = json!({ "type": "zeros" });
    let mut options = json!({
        "intermediateDim": 10, "numHeads": 2, "keyDim": null, "activation": "relu", "dropout": 0.2,
        "attentionDropout": 0.1, "activationDropout": 0.1, "layerNormEpsilon": 1e-5, "normalizeFirst": true,
        "useBias": true, "rotary": null, "kernelInitializer": start, "biasInitializer": start
    });
    changed.iter().for_each(|(name, value)| options[*name] = value.clone());
    options
}

/// Layers of Transformers of all kinds; the second of each side has these options too.
fn transformers(second: &[(&str, Value)]) -> (Document, Reference) {
    let mut document = Document::default();
    let mut read = embedded(&mut document, "source", 0.1);
    let after = [("normalizeFirst", json!(false)), ("rotary", json!("halves"))];
    read = call(&mut document, "transformerEncoder", transformer(&after), &[read]);
    read = call(&mut document, "transformerEncoder", transformer(second), &[read]);
    let mut written = embedded(&mut document, "target", 0.1);
    written = call(&mut document, "transformerDecoder", transformer(&after), &[written, read]);
    written = call(&mut document, "transformerDecoder", transformer(second), &[written, read]);
    let output = document.dense(ROWS, "softmax", true, written);
    (document, output)
}

/// Attention whose queries average all values where they see no key, around a recurrent layer that takes all rows; `mutual`:
/// also of the first sequence to the second.
fn averages(rate: f32, mutual: bool) -> (Document, Reference) {
    let start = json!({ "type": "provided" });
    let heads = json!({
        "numHeads": 3, "keyDim": 4, "valueDim": 5, "outputShape": null, "dropout": rate, "useBias": true,
        "kernelInitializer": start, "biasInitializer": start
    });
    let mut document = Document::default();
    let attend = |document: &mut Document, inputs: &[Reference], causal: bool| {
        let said = json!({ "inputs": ["query", "value"], "useCausalMask": causal, "returnAttentionScores": false });
        let layer = document.layer("multiHeadAttention", heads.clone());
        let made = document.said(layer, inputs, said);
        let made = document.dropout(rate, made);
        let sum = document.add(&[made, inputs[0]]);
        call(document, "layerNormalization", normalization(&[-1]), &[sum])
    };
    let x = embedded(&mut document, "source", rate);
    let read = attend(&mut document, &[x, x], false);
    let hidden = document.dense(WIDTH, "tanh", true, read);
    let both = document.merge("average", &[hidden, read]);
    let y = embedded(&mut document, "target", rate);
    let recurrent = document.lstm(WIDTH, json!({}), &[y]);
    let hidden = document.dense(WIDTH, "swish", true, recurrent);
    let written = attend(&mut document, &[hidden, hidden], true);
    let both = if mutual { attend(&mut document, &[both, written], false) } else { both };
    let looked = attend(&mut document, &[written, both], false);
    let hidden = document.dense(WIDTH, "gelu", false, looked);
    let less = document.merge("subtract", &[hidden, looked]);
    let output = document.dense(ROWS, "softmax", true, less);
    (document, output)
}

/// Ids with padding before, behind and within sequences, of which one has nothing else; `first` says which.
fn ids(seed: u32, steps: usize, first: usize) -> Tensor {
    let mut ids = integers(seed, BATCH * steps, 1, ROWS as i32);
    let noise = integers(seed + 100, BATCH * steps, 0, 3);
    for (row, ids) in ids.chunks_exact_mut(steps).enumerate() {
        match (row + first) % BATCH {
            0 => ids[steps - 3..].fill(0),
            1 => ids[..4].fill(0),
            2 => ids.fill(0),
            3 | 4 => {
                let noise = &noise[row * steps..];
                ids.iter_mut().zip(noise).filter(|(_, noise)| **noise == 0).for_each(|(id, _)| *id = 0);
            }
            5 => ids[1..].fill(0),
            _ => {}
        }
    }
    Tensor::ids(vec![BATCH, steps], ids)
}

fn target(seed: u32) -> LossInput {
    LossInput {
        target: TargetData::Ids(Arc::new(integers(seed, BATCH * TARGET, 0, ROWS as i32))),
        sample_weights: None,
    }
}

fn case((document, output): (Document, Reference), outputs: &[OutputPlan]) -> Case {
    let document = document.finish(&[output]);
    Case::new(&document, vec![ids(3, SOURCE, 0), ids(4, TARGET, 3)], vec![target(5)], outputs, &[])
}

fn with_metrics(metrics: &[Metric]) -> [OutputPlan; 1] {
    [OutputPlan { loss: Some(PLAIN.into()), metrics: metrics.to_vec(), ..OutputPlan::default() }]
}

/// Linear nodes that run, and how many of them leave rows out.
fn linear(case: &Case) -> (usize, usize) {
    let (plan, schedule) = (&case.model.plan, &case.training.train);
    let nodes = schedule.order.iter().map(|&index| &plan.nodes[index]);
    let linear: Vec<_> = nodes.filter(|node| node.operation == Operation::Linear).collect();
    (linear.len(), linear.iter().filter(|node| schedule.is_packed(plan, node)).count())
}

fn assert_same(what: &str, found: &Found, expected: &Found) {
    for (found, expected) in found.results.iter().zip(&expected.results) {
        assert!((found.loss - expected.loss).abs() < 1e-6 * expected.loss, "{what}: {found:?}, {expected:?}");
        assert_eq!(found.valid, expected.valid, "{what}");
        for (found, expected) in found.metrics.iter().zip(&expected.metrics) {
            assert!((found.total - expected.total).abs() <= 1e-6 * expected.total.abs(), "{what}: {found:?}");
            assert_eq!(found.count, expected.count, "{what}");
        }
    }
    let largest = |values: &[f32]| values.iter().fold(0.0f32, |largest, value| largest.max(value.abs()));
    let all = expected.gradients.iter().map(|values| largest(values)).fold(0.0, f32::max);
    for (weight, (found, expected)) in found.gradients.iter().zip(&expected.gradients).enumerate() {
        for (found, expected) in found.iter().zip(widen(expected)) {
            let difference = (f64::from(*found) - expected).abs();
            assert!(difference <= 1e-6 * f64::from(all), "{what}: weight {weight}: {found}, expected {expected}");
        }
    }
}

/// All backends agree, and a run in which rows are left out with one in which none is.
fn check(mut case: Case) {
    for random in [case.random, None] {
        case.random = random;
        case.check_backends();
        let packed = case.training.train.packed.clone();
        for (name, cpu) in cpus() {
            let found = case.step(&cpu, 0.5, 1);
            case.training.train.packed.fill(None);
            assert_same(&name, &found, &case.step(&cpu, 0.5, 1));
            case.training.train.packed.clone_from(&packed);
        }
    }
}

#[test]
fn layers_of_transformers_leave_out_masked_rows() {
    let metrics = [Metric::Accuracy, Metric::Perplexity { from_logits: false }];
    let case = case(transformers(&[]), &with_metrics(&metrics));
    assert!(matches!(case.training.losses[0].loss.map(|pass| pass.target), Some(LossTarget::Linear(_))));
    // Two encoders and two decoders; the last linear part is the loss's.
    assert_eq!(linear(&case), (2 * 6 + 2 * 10, 2 * 6 + 2 * 10));
    check(case);
}

#[test]
fn layers_with_windows_caps_and_gates_leave_out_masked_rows() {
    let limits = [("slidingWindow", json!(2)), ("logitSoftCap", json!(0.8)), ("useGate", json!(true))];
    let case = case(transformers(&limits), &with_metrics(&[Metric::Accuracy]));
    // A gate is one more linear part of each attention.
    let all = 2 * 6 + 2 * 10 + 3;
    assert_eq!(linear(&case), (all, all));
    check(case);
}

#[test]
fn averages_of_all_values_are_those_of_all_rows() {
    // With dropout such a query gives zeros, as in Keras. Where each sequence averages the other, rows of one that counts for
    // nobody could count for the other.
    for (rate, mutual, all, packed) in
        [(0.0, false, 15, 15), (0.1, false, 15, 15), (0.1, true, 19, 19), (0.0, true, 19, 0)]
    {
        let case = case(averages(rate, mutual), &with_metrics(&[]));
        assert_eq!(linear(&case), (all, packed), "{rate}, {mutual}");
        check(case);
    }
}

#[test]
fn what_somebody_looks_at_has_all_rows() {
    // A metric of the logits of every class.
    let looked_at = case(transformers(&[]), &with_metrics(&[Metric::TopK(2)]));
    assert!(matches!(looked_at.training.losses[0].loss.map(|pass| pass.target), Some(LossTarget::Logits(_))));
    // All of the decoder has all rows, but for the keys and values of the memory.
    assert_eq!(linear(&looked_at), (2 * 6 + 2 * 10 + 1, 2 * 6 + 2 * 2));
    check(looked_at);
    // A loss of probabilities.
    let function = LossFunction::Rows(RowLoss::MeanSquaredError);
    let loss = OutputLoss { function, weight: 1.0 };
    let outputs = [OutputPlan { loss: Some(loss), ..OutputPlan::default() }];
    assert_eq!(linear(&case(transformers(&[]), &outputs)), (2 * 6 + 2 * 10 + 1, 2 * 6 + 2 * 2));
    // A model that gives its memory too.
    let mut document = Document::default();
    let mut x = embedded(&mut document, "source", 0.1);
    x = call(&mut document, "transformerEncoder", transformer(&[]), &[x]);
    let first = document.dense(ROWS, "softmax", true, x);
    let mean = call(&mut document, "globalAveragePooling1d", pooling(false), &[x]);
    let second = document.dense(ROWS, "softmax", true, mean);
    let document = document.finish(&[first, second]);
    let classes = |count: usize| LossInput {
        target: TargetData::Ids(Arc::new(integers(5, count, 0, ROWS as i32))),
        sample_weights: None,
    };
    let outputs = [0; 2].map(|_| OutputPlan { loss: Some(PLAIN.into()), ..OutputPlan::default() });
    let losses = vec![classes(BATCH * SOURCE), classes(BATCH)];
    let case = Case::new(&document, vec![ids(3, SOURCE, 0)], losses, &outputs, &[]);
    assert_eq!(linear(&case).1, 0);
    check(case);
}
