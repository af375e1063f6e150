//! Parts of Transformers on all backends: positions, normalisation by the root mean square, tables that are used both ways.
mod common;

use std::sync::Arc;

use common::{
    along_time::call,
    backends, buffer,
    case::{Case, PLAIN},
    floats, integers,
    models::Document,
};
use sconce_engine::{
    Code, Result,
    backend::{Backend, LossInput, TargetData},
    plan::{LossTarget, OutputPlan, Roots, Schedule},
    tensor::Tensor,
};
use serde_json::{Value, json};

const ROWS: usize = 11;
const WIDTH: usize = 6;
const BATCH: usize = 4;
const STEPS: usize = 5;

fn positions(kind: &str, changed: &[(&str, Value)]) -> Value {
    let mut options = json!({
        "type": kind, "interleaved": true, "maxWavelength": 10_000.0, "maxLength": null, "scale": false,
        "embeddingsInitializer": { "type": "provided" }
    });
    changed.iter().for_each(|(name, value)| options[*name] = value.clone());
    options
}

fn reversible(tied: bool, bias: bool) -> Value {
    let start = json!({ "type": "provided" });
    json!({
        "inputDim": ROWS, "outputDim": WIDTH, "tieWeights": tied, "useBias": bias, "maskZero": true,
        "embeddingsInitializer": start, "biasInitializer": start
    })
}

fn ids(ids: Vec<i32>) -> LossInput {
    LossInput { target: TargetData::Ids(Arc::new(ids)), sample_weights: None }
}

/// Ids of sequences that end early in padding, and their targets.
fn batch() -> (Tensor, LossInput) {
    let mut source = integers(3, BATCH * STEPS, 1, ROWS as i32);
    for (row, length) in [5, 2, 4, 1].into_iter().enumerate() {
        source[row * STEPS + length..(row + 1) * STEPS].fill(0);
    }
    (Tensor::ids(vec![BATCH, STEPS], source), ids(integers(5, BATCH * STEPS, 0, ROWS as i32)))
}

fn predict(model: &common::Model, backend: &dyn Backend, inputs: &[Tensor]) -> Result<Vec<Tensor>> {
    let schedule = Schedule::new(&model.plan, Roots::Values(&model.plan.outputs), None);
    let program = model.lower(backend)?;
    model.forward(inputs, |forward| program.values(&schedule, forward, &model.plan.outputs))
}

fn trained(document: &str) -> Case {
    let (source, target) = batch();
    let outputs = [OutputPlan { loss: Some(PLAIN.into()), ..OutputPlan::default() }];
    Case::new(document, vec![source], vec![target], &outputs, &[])
}

/// Positions of every kind and the normalisation, one after the other.
fn stacked() -> String {
    let mut document = Document::default();
    let source = document.input(json!(["batch", "time"]), "int32");
    let table = document.embedding_layer(ROWS, WIDTH);
    let mut x = document.call(table, &[source]);
    let root = [("scale", json!(true))];
    x = call(&mut document, "positionalEncoding", positions("sinusoidal", &root), &[x]);
    x = call(&mut document, "rmsNormalization", json!({ "axis": [-1], "epsilon": 1e-3 }), &[x]);
    let halves = [("interleaved", json!(false)), ("scale", json!(0.5))];
    x = call(&mut document, "positionalEncoding", positions("sinusoidal", &halves), &[x]);
    let learned = document.layer("positionalEncoding", positions("learned", &[("maxLength", json!(STEPS + 2))]));
    let first = document.call(learned, &[x]);
    let second = document.call(learned, &[first]);
    let sum = document.add(&[first, second]);
    let lstm = document.lstm(WIDTH, json!({}), &[sum]);
    let output = document.dense(ROWS, "softmax", true, lstm);
    document.finish(&[output])
}

/// One table that is gathered twice and multiplied at the end.
fn tied(is_tied: bool, bias: bool) -> String {
    let mut document = Document::default();
    let source = document.input(json!(["batch", "time"]), "int32");
    let table = document.layer("reversibleEmbedding", reversible(is_tied, bias));
    let x = document.call(table, &[source]);
    let lstm = document.lstm(WIDTH, json!({}), &[x]);
    let again = document.call(table, &[source]);
    let sum = document.add(&[lstm, again]);
    let logits = document.call(table, &[sum]);
    let output = call(&mut document, "activation", json!({ "activation": "softmax" }), &[logits]);
    document.finish(&[output])
}

#[test]
fn positions_and_root_mean_squares_on_all_backends() {
    let case = trained(&stacked());
    let exact = case.check_backends();
    // Rows of the table behind the last step learn nothing.
    let table = case.model.plan.weights.iter().position(|weight| weight.specification.shape[0] == STEPS + 2);
    let gradient = &exact.gradients[table.expect("the learned table")];
    assert!(gradient[..STEPS * WIDTH].iter().all(|slope| *slope != 0.0));
    assert!(gradient[STEPS * WIDTH..].iter().all(|slope| *slope == 0.0));
    case.check_differences(2, 2e-4, |found| found.results[0].loss);
}

#[test]
fn gradients_of_both_ways_through_a_table_add_up() {
    for (is_tied, bias) in [(true, true), (true, false), (false, true), (false, false)] {
        let case = trained(&tied(is_tied, bias));
        // The scores are never kept: they are fused with their softmax and loss.
        let target = case.training.losses[0].loss.map(|pass| pass.target);
        assert!(matches!(target, Some(LossTarget::Linear(_))), "{target:?}");
        case.check();
        case.check_differences(3, 2e-4, |found| found.results[0].loss);
        // Accumulated over two steps, twice as much.
        for (name, backend) in backends() {
            let (once, twice) = (case.step(backend.as_ref(), 0.5, 1), case.step(backend.as_ref(), 0.5, 2));
            for (once, twice) in once.gradients.iter().zip(&twice.gradients) {
                let doubled: Vec<f32> = once.iter().map(|slope| 2.0 * slope).collect();
                let difference = common::error(twice, &common::widen(&doubled));
                assert!(difference < 1e-5, "{name}: {difference}");
            }
        }
        let weights = case.model.plan.weights.iter().filter(|weight| weight.specification.shape.contains(&ROWS));
        assert_eq!(weights.count(), 1 + usize::from(!is_tied) + usize::from(bias));
    }
}

fn transformer(heads: usize, changed: &[(&str, Value)]) -> Value {
    let start = json!({ "type": "zeros" });
    let mut options = json!({
        "intermediateDim": 7, "numHeads": heads, "keyDim": null, "activation": "gelu", "dropout": 0.2,
        "attentionDropout": 0.1, "activationDropout": 0.1, "layerNormEpsilon": 1e-5, "normalizeFirst": true,
        "useBias": true, "rotary": null, "kernelInitializer": start, "biasInitializer": start
    });
    changed.iter().for_each(|(name, value)| options[*name] = value.clone());
    options
}

/// An encoder and a decoder with all kinds of dropout, in both orders, and one table for everything.
fn translator() -> String {
    let mut document = Document::default();
    let source = document.input(json!(["batch", "time"]), "int32");
    let target = document.input(json!(["batch", "time"]), "int32");
    let table = document.layer("reversibleEmbedding", reversible(true, true));
    let (mut read, mut written) = (document.call(table, &[source]), document.call(table, &[target]));
    let root = [("scale", json!(true))];
    read = call(&mut document, "positionalEncoding", positions("sinusoidal", &root), &[read]);
    read = call(&mut document, "transformerEncoder", transformer(2, &[]), &[read]);
    let after = [("normalizeFirst", json!(false)), ("useBias", json!(false)), ("keyDim", json!(4))];
    read = call(&mut document, "transformerEncoder", transformer(3, &after), &[read]);
    let turned = [("useBias", json!(false)), ("rotary", json!("halves"))];
    written = call(&mut document, "transformerDecoder", transformer(3, &turned), &[written, read]);
    written = call(&mut document, "transformerDecoder", transformer(1, &after), &[written, read]);
    let turned = [("useBias", json!(false)), ("rotary", json!("interleaved")), ("keyDim", json!(4))];
    written = call(&mut document, "transformerDecoder", transformer(2, &turned), &[written]);
    let logits = document.call(table, &[written]);
    let output = call(&mut document, "activation", json!({ "activation": "softmax" }), &[logits]);
    document.finish(&[output])
}

#[test]
fn layers_of_transformers_on_all_backends() {
    let (source, target) = batch();
    let outputs = [OutputPlan { loss: Some(PLAIN.into()), ..OutputPlan::default() }];
    let inputs = vec![source.clone(), source];
    let mut case = Case::new(&translator(), inputs, vec![target], &outputs, &[]);
    assert!(matches!(case.training.losses[0].loss.map(|pass| pass.target), Some(LossTarget::Linear(_))));
    let exact = case.check_backends();
    let largest = |values: &[f32]| values.iter().fold(0.0f32, |largest, value| largest.max(value.abs()));
    for (weight, gradient) in exact.gradients.iter().enumerate() {
        let name = case.model.name(weight);
        assert!(gradient.iter().all(|slope| slope.is_finite()), "{name}");
        assert_eq!(largest(gradient) < 1e-7, name.ends_with("key/bias"), "{name}: {}", largest(gradient));
    }
    case.random = None;
    case.check_backends();
}

/// Hidden layers wide enough that products leave out what ReLU has set to 0: in a Transformer with dropout, and between dense
/// layers, of which one is read twice.
#[test]
fn wide_hidden_layers_with_relu_on_all_backends() {
    let (steps, width, hidden) = (16, 64, 256);
    let mut document = Document::default();
    let source = document.input(json!(["batch", "time"]), "int32");
    let table = document.embedding_layer(ROWS, width);
    let mut x = document.call(table, &[source]);
    let wide = [("intermediateDim", json!(hidden)), ("activation", json!("relu")), ("activationDropout", json!(0.3))];
    x = call(&mut document, "transformerEncoder", transformer(2, &wide), &[x]);
    let once = document.dense(hidden, "relu", true, x);
    x = document.dense(width, "linear", true, once);
    let twice = document.dense(hidden, "relu", true, x);
    let (first, second) = (document.dense(width, "linear", true, twice), document.dense(width, "linear", false, twice));
    let sum = document.add(&[first, second]);
    let output = document.dense(ROWS, "softmax", true, sum);
    let document = document.finish(&[output]);
    let outputs = [OutputPlan { loss: Some(PLAIN.into()), ..OutputPlan::default() }];
    // All steps count, or those of id 0 do not.
    for (batch, first) in [(16, 1), (20, 0)] {
        let ids_of = |seed| integers(seed, batch * steps, first, ROWS as i32);
        let inputs = vec![Tensor::ids(vec![batch, steps], ids_of(3))];
        let mut case = Case::new(&document, inputs, vec![ids(ids_of(4))], &outputs, &[]);
        assert_eq!(case.training.train.rectified.iter().flatten().count(), 2);
        case.check_backends();
        case.random = None;
        case.check_backends();
    }
}

/// An encoder and decoders with windows, caps and gates; a second call of the last has no memory, as the first.
fn limited(rate: f64) -> String {
    let mut document = Document::default();
    let source = document.input(json!(["batch", "time"]), "int32");
    let target = document.input(json!(["batch", "time"]), "int32");
    let table = document.layer("reversibleEmbedding", reversible(true, true));
    let (mut read, mut written) = (document.call(table, &[source]), document.call(table, &[target]));
    let rates = ["dropout", "attentionDropout", "activationDropout"].map(|name| (name, json!(rate)));
    let with = |changed: &[(&'static str, Value)]| [&rates, changed].concat();
    let gated = with(&[("slidingWindow", json!(2)), ("useGate", json!(true))]);
    read = call(&mut document, "transformerEncoder", transformer(2, &gated), &[read]);
    let capped = with(&[("logitSoftCap", json!(0.6)), ("useGate", json!(true)), ("normalizeFirst", json!(false))]);
    written = call(&mut document, "transformerDecoder", transformer(3, &capped), &[written, read]);
    let turned = with(&[("slidingWindow", json!(1)), ("logitSoftCap", json!(2.0)), ("rotary", json!("halves"))]);
    let last = document.layer("transformerDecoder", transformer(1, &turned));
    written = document.call(last, &[written]);
    written = document.call(last, &[written]);
    let logits = document.call(table, &[written]);
    let output = call(&mut document, "activation", json!({ "activation": "softmax" }), &[logits]);
    document.finish(&[output])
}

#[test]
fn windows_caps_and_gates_on_all_backends() {
    for rate in [0.0, 0.2] {
        let (source, target) = batch();
        let outputs = [OutputPlan { loss: Some(PLAIN.into()), ..OutputPlan::default() }];
        let case = Case::new(&limited(rate), vec![source.clone(), source], vec![target], &outputs, &[]);
        let exact = case.check_backends();
        for (weight, gradient) in exact.gradients.iter().enumerate() {
            let largest = gradient.iter().fold(0.0f32, |largest, value| largest.max(value.abs()));
            let name = case.model.name(weight);
            // A window of one step leaves nothing to choose from; without a cap all scores of a query change alike.
            let alone = ["selfAttention/query", "selfAttention/key"].iter().any(|part| name.contains(part));
            let still = alone && name.starts_with("transformerDecoder5");
            let uncapped = name.starts_with("transformerEncoder") && name.ends_with("key/bias");
            assert_eq!(largest < 1e-7, still || uncapped, "{name}: {largest}");
        }
        case.check_differences(2, 5e-4, |found| found.results[0].loss);
    }
}

fn bias(kind: &str, changed: &[(&str, Value)]) -> Value {
    let mut options = json!({
        "type": kind, "numHeads": 2, "buckets": 4, "maxDistance": 3, "bidirectional": true,
        "embeddingsInitializer": { "type": "provided" }
    });
    changed.iter().for_each(|(name, value)| options[*name] = value.clone());
    options
}

#[test]
fn biases_by_distance_on_all_backends() {
    let start = json!({ "type": "provided" });
    for kind in ["buckets", "alibi"] {
        let mut document = Document::default();
        let source = document.input(json!(["batch", "time"]), "int32");
        let table = document.embedding_layer(ROWS, WIDTH);
        let x = document.call(table, &[source]);
        let shared = document.layer("relativePositionBias", bias(kind, &[]));
        let own = document.call(shared, &[x]);
        let between = document.call(shared, &[x, source]);
        let sum = document.add(&[own, between]);
        let options = json!({
            "numHeads": 2, "keyDim": 3, "valueDim": 3, "dropout": 0.0, "useBias": false, "outputShape": null,
            "kernelInitializer": start, "biasInitializer": start
        });
        let said = json!({
            "inputs": ["query", "value", "attentionBias"], "useCausalMask": true, "returnAttentionScores": false
        });
        let attention = document.layer("multiHeadAttention", options);
        let mixed = document.said(attention, &[x, x, sum], said);
        let output = document.dense(ROWS, "softmax", true, mixed);
        let case = trained(&document.finish(&[output]));
        case.check_backends();
        case.check_differences(2, 5e-4, |found| found.results[0].loss);
    }
}

#[test]
fn scores_are_products_with_the_rows() {
    let mut document = Document::default();
    let vectors = document.input(json!(["batch", WIDTH]), "float32");
    let table = document.layer("reversibleEmbedding", reversible(true, true));
    let scores = document.call(table, &[vectors]);
    let model = common::Model::new(&document.finish(&[scores])).unwrap();
    let (matrix, bias, x) = (floats(1, ROWS * WIDTH, 1.0), floats(2, ROWS, 1.0), floats(3, 2 * WIDTH, 1.0));
    model.set(0, &matrix);
    model.set(1, &bias);
    let mut expected = Vec::new();
    for x in x.chunks(WIDTH) {
        for (row, bias) in matrix.chunks(WIDTH).zip(&bias) {
            expected.push(row.iter().zip(x).map(|(a, b)| f64::from(a * b)).sum::<f64>() + f64::from(*bias));
        }
    }
    for (name, backend) in backends() {
        let found = predict(&model, backend.as_ref(), &[Tensor::float(vec![2, WIDTH], buffer(&x))]).unwrap();
        assert!(common::error(found[0].floats().unwrap(), &expected) < 1e-5, "{name}");
    }
}

#[test]
fn more_steps_than_a_table_has_are_refused() {
    for kind in ["learned", "sinusoidal"] {
        let mut document = Document::default();
        let x = document.input(json!(["batch", "time", 2]), "float32");
        let y = call(&mut document, "positionalEncoding", positions(kind, &[("maxLength", json!(3))]), &[x]);
        let model = common::Model::new(&document.finish(&[y])).unwrap();
        model.fill(1, 0.5);
        for (name, backend) in backends() {
            let data = |steps: usize| [Tensor::float(vec![1, steps, 2], buffer(&vec![0.5; steps * 2]))];
            let found = predict(&model, backend.as_ref(), &data(3)).unwrap();
            assert!(found[0].floats().unwrap().iter().all(|y| y.is_finite()));
            let error = predict(&model, backend.as_ref(), &data(4)).unwrap_err();
            assert_eq!(error.code, Code::Data, "{name}");
            let said = "expected sequences of at most 3 steps (maxLength), got 4";
            assert!(error.message.contains(said) && error.message.contains("positionalEncoding"), "{error}");
        }
    }
}

#[test]
fn wrong_options_and_shapes_are_refused() {
    let refused = |kind: &str, options: Value, shape: Value, dtype: &str, code: Code, said: &str| {
        let mut document = Document::default();
        let x = document.input(shape, dtype);
        let y = call(&mut document, kind, options, &[x]);
        let error = common::Model::new(&document.finish(&[y])).map(|_| ()).unwrap_err();
        assert_eq!(error.code, code, "{error}");
        assert!(error.message.contains(said), "{error}");
    };
    let sequence = || json!(["batch", "time", 4]);
    let of = |kind: &str, name: &str, value: Value| positions(kind, &[(name, value)]);
    let float = "float32";
    let kind = "positionalEncoding";
    refused(kind, positions("learned", &[]), sequence(), float, Code::Option, "maxLength must be given");
    refused(kind, of("learned", "maxLength", json!(0)), sequence(), float, Code::Option, "at least 1, got 0");
    refused(kind, of("sinusoidal", "maxWavelength", json!(0.5)), sequence(), float, Code::Option, "maxWavelength");
    refused(kind, of("rotary", "scale", json!(true)), sequence(), float, Code::Option, "rotary");
    refused(kind, positions("sinusoidal", &[]), json!(["batch", 4]), float, Code::Shape, "[batch, time, features]");
    refused(kind, positions("sinusoidal", &[]), json!(["batch", 4, "d"]), float, Code::Shape, "last dimension");
    refused(kind, of("learned", "maxLength", json!(3)), json!(["batch", 4, 2]), float, Code::Shape, "at most 3");
    let norm = |epsilon: f64| json!({ "axis": [-1], "epsilon": epsilon });
    refused("rmsNormalization", norm(-1.0), sequence(), float, Code::Option, "epsilon");
    refused("rmsNormalization", norm(1e-6), json!(["batch", "time", "d"]), float, Code::Shape, "to be known");
    refused("reversibleEmbedding", reversible(true, false), sequence(), float, Code::Shape, "vectors of 6 elements");
    let heads = |heads: usize, name: &str, value: Value| transformer(heads, &[(name, value)]);
    let (encoder, decoder) = ("transformerEncoder", "transformerDecoder");
    refused(encoder, transformer(3, &[]), sequence(), float, Code::Shape, "that 3 heads (numHeads) divide, got 4");
    refused(encoder, transformer(0, &[]), sequence(), float, Code::Option, "numHeads must be at least 1");
    refused(decoder, heads(2, "recompute", json!(1)), sequence(), float, Code::Option, "expected a boolean");
    refused(encoder, heads(2, "keyDim", json!(0)), sequence(), float, Code::Option, "keyDim must be at least 1");
    refused(encoder, heads(2, "dropout", json!(1.0)), sequence(), float, Code::Option, "dropout must be from 0");
    refused(encoder, heads(2, "layerNormEpsilon", json!(-1.0)), sequence(), float, Code::Option, "layerNormEpsilon");
    refused(encoder, heads(2, "slidingWindow", json!(0)), sequence(), float, Code::Option, "slidingWindow must be at");
    refused(encoder, heads(2, "logitSoftCap", json!(0.0)), sequence(), float, Code::Option, "logitSoftCap must be a");
    refused(decoder, heads(2, "useGate", json!(1)), sequence(), float, Code::Option, "expected a boolean");
    refused(encoder, heads(2, "activation", json!("rely")), sequence(), float, Code::Option, "unknown activation rely");
    let odd = [("rotary", json!("halves")), ("keyDim", json!(3))];
    refused(encoder, transformer(2, &odd), sequence(), float, Code::Shape, "an even number of features to turn");
    refused(encoder, transformer(2, &[]), json!(["batch", 4]), float, Code::Shape, "[batch, time, features]");
    refused(decoder, transformer(2, &[]), json!(["batch", "time", "d"]), float, Code::Shape, "last dimension");
    let mut document = Document::default();
    let x = document.input(sequence(), float);
    let layer = document.layer(decoder, transformer(2, &[]));
    let once = document.call(layer, &[x]);
    let twice = document.call(layer, &[once, x]);
    let error = common::Model::new(&document.finish(&[twice])).map(|_| ()).unwrap_err();
    assert!(error.message.contains("it has 16 weights, another call needs 26"), "{error}");
    let of = |name: &str, value: Value| bias("buckets", &[(name, value)]);
    let kind = "relativePositionBias";
    refused(kind, of("numHeads", json!(0)), sequence(), float, Code::Option, "numHeads must be at least 1");
    refused(kind, of("buckets", json!(5)), sequence(), float, Code::Option, "an even number of at least 4, got 5");
    refused(kind, of("maxDistance", json!(1)), sequence(), float, Code::Option, "maxDistance must be above 1");
    refused(kind, bias("buckets", &[]), json!(["batch"]), float, Code::Shape, "[batch, time, ...]");
    let mut empty = reversible(true, false);
    empty["inputDim"] = json!(0);
    refused("reversibleEmbedding", empty, sequence(), float, Code::Option, "at least 1");
}
