//! Layers along time on all backends, and what padding changes: nothing.
mod common;

use std::sync::Arc;

use common::{
    along_time::{call, dense_options, inner, lstm_options, normalization, pooling},
    buffer, candle_double,
    case::{Case, PLAIN},
    cpus, floats, integers,
    models::Document,
};
use sconce_engine::{
    Code,
    backend::{LossInput, TargetData},
    plan::OutputPlan,
    tensor::Tensor,
};
use serde_json::{Value, json};

const ROWS: usize = 11;
const WIDTH: usize = 6;
const BATCH: usize = 4;

/// Sequences of ids with a mask and of features with one, and what is pooled of them. With `mixing`, also layers that
/// look at steps without regard to masks.
fn model(rate: f32, mixing: bool) -> String {
    let mut document = Document::default();
    let source = document.input(json!(["batch", "time"]), "int32");
    let features = document.input(json!(["batch", "time", WIDTH]), "float32");
    let table = document.embedding_layer(ROWS, WIDTH);
    let words = document.call(table, &[source]);
    let kept = call(&mut document, "masking", json!({ "maskValue": 0.0 }), &[features]);
    let shared = document.layer("layerNormalization", normalization(&[-1]));
    let normal = document.call(shared, &[words]);
    let dropped = call(&mut document, "spatialDropout1d", json!({ "rate": rate }), &[normal]);
    let each = call(&mut document, "timeDistributed", inner("dense", dense_options(WIDTH)), &[kept]);
    let repeated = call(&mut document, "timeDistributed", inner("repeatVector", json!({ "n": 3 })), &[each]);
    let paired =
        call(&mut document, "timeDistributed", inner("layerNormalization", normalization(&[1, 2])), &[repeated]);
    let steps = call(&mut document, "timeDistributed", inner("lstm", lstm_options(WIDTH, false)), &[paired]);
    let sum = document.add(&[dropped, steps]);
    let again = document.call(shared, &[sum]);
    let mut last = document.lstm(WIDTH, json!({ "zeroOutputForMask": true }), &[again]);
    if mixing {
        let attention = call(&mut document, "softmax", json!({ "axis": [1] }), &[last]);
        let gate = call(&mut document, "softmax", json!({ "axis": [2] }), &[last, features]);
        let over_time = call(&mut document, "softmax", json!({ "axis": [1, 2] }), &[sum, features]);
        last = document.add(&[attention, gate, over_time, last]);
    }
    let output = document.dense(ROWS, "softmax", true, last);
    let mean = call(&mut document, "globalAveragePooling1d", pooling(false), &[last]);
    let mut pooled = vec![mean];
    if mixing {
        pooled.push(call(&mut document, "globalMaxPooling1d", pooling(false), &[last]));
    }
    let joined = if mixing { document.concatenate(&pooled) } else { mean };
    let class = document.dense(5, "softmax", true, joined);
    document.finish(&[output, class])
}

/// Ids and features of sequences of these lengths, padded behind to `steps`; the same whatever `steps` is.
fn batch(lengths: [usize; BATCH], steps: usize) -> (Vec<Tensor>, Vec<i32>) {
    let longest = 7;
    let (ids, targets) = (integers(3, BATCH * longest, 1, ROWS as i32), integers(5, BATCH * longest, 0, ROWS as i32));
    let values = floats(4, BATCH * longest * WIDTH, 1.0);
    let (mut source, mut features, mut wanted) = (Vec::new(), Vec::new(), Vec::new());
    for (row, length) in lengths.into_iter().enumerate() {
        for step in 0..steps {
            let at = row * longest + step;
            source.push(if step < length { ids[at] } else { 0 });
            wanted.push(if step < length { targets[at] } else { 0 });
            if step < length {
                features.extend_from_slice(&values[at * WIDTH..][..WIDTH]);
            } else {
                features.extend([0.0; WIDTH]);
            }
        }
    }
    let inputs =
        vec![Tensor::ids(vec![BATCH, steps], source), Tensor::float(vec![BATCH, steps, WIDTH], buffer(&features))];
    (inputs, wanted)
}

fn ids(ids: Vec<i32>) -> LossInput {
    LossInput { target: TargetData::Ids(Arc::new(ids)), sample_weights: None }
}

fn case(rate: f32, mixing: bool, lengths: [usize; BATCH], steps: usize) -> Case {
    let (inputs, targets) = batch(lengths, steps);
    let outputs = [0, 1].map(|_| OutputPlan { loss: Some(PLAIN.into()), ..OutputPlan::default() });
    Case::new(&model(rate, mixing), inputs, vec![ids(targets), ids(vec![0, 2, 4, 1])], &outputs, &[])
}

#[test]
fn layers_along_time_on_all_backends() {
    case(0.0, true, [5, 2, 4, 1], 5).check();
    case(0.4, true, [5, 2, 4, 1], 5).check();
    case(0.4, false, [5, 0, 4, 1], 5).check();
}

#[test]
fn more_padding_changes_no_loss_and_no_gradient() {
    let double = candle_double();
    for (name, backend) in cpus() {
        let lengths = [5, 2, 4, 1];
        let short = case(0.0, false, lengths, 5).step(&backend, 1.0, 1);
        let long = case(0.0, false, lengths, 7);
        long.assert_equal(&name, &long.step(&backend, 1.0, 1), &short);
        long.assert_equal("candle", &long.step(&double, 1.0, 1), &short);
    }
}

/// Central differences of the whole loss by some elements of each weight, in double precision.
#[test]
fn gradients_equal_finite_differences() {
    let case = case(0.4, true, [5, 2, 4, 1], 5);
    case.check_differences(2, 2e-4, |found| found.results[0].loss + found.results[1].loss);
}

#[test]
fn batches_without_rows_or_steps_are_no_error() {
    for (rows, steps) in [(0, 3), (2, 0)] {
        let inputs = vec![
            Tensor::ids(vec![rows, steps], vec![0; rows * steps]),
            Tensor::float(vec![rows, steps, WIDTH], buffer(&vec![0.0; rows * steps * WIDTH])),
        ];
        let outputs = [0, 1].map(|_| OutputPlan { loss: Some(PLAIN.into()), ..OutputPlan::default() });
        let targets = vec![ids(vec![0; rows * steps]), ids(vec![1; rows])];
        let case = Case::new(&model(0.4, true), inputs, targets, &outputs, &[]);
        for (name, backend) in cpus() {
            let found = case.step(&backend, 1.0, 1);
            assert!(found.gradients.iter().flatten().all(|gradient| gradient.is_finite()), "{name}");
        }
    }
}

#[test]
fn frozen_layers_within_others_have_no_gradient() {
    let mut document: Value = serde_json::from_str(&model(0.0, false)).unwrap();
    let layers = document["layers"].as_array_mut().unwrap();
    let wrapped = layers.iter_mut().find(|layer| layer["options"]["layer"]["type"] == "dense").unwrap();
    wrapped["options"]["layer"]["trainable"] = json!(false);
    let plan = common::Model::new(&document.to_string()).unwrap().plan;
    let trainable = |kind: &str| {
        let weights = plan.weights.iter().filter(|weight| plan.layers[weight.layer].name.starts_with(kind));
        weights.map(|weight| weight.specification.trainable).collect::<Vec<_>>()
    };
    assert!(trainable("timeDistributed").contains(&false) && trainable("timeDistributed").contains(&true));
    assert!(trainable("dense").iter().all(|&trainable| trainable));
}

fn refusal(kind: &str, options: Value, shape: Value, dtype: &str) -> (Code, String) {
    let mut document = Document::default();
    let x = document.input(shape, dtype);
    let y = call(&mut document, kind, options, &[x]);
    let error = common::Model::new(&document.finish(&[y])).err().expect(kind);
    (error.code, error.message)
}

#[test]
fn what_does_not_fit_is_refused_by_name() {
    let sequence = json!(["batch", "time", 3]);
    let cases: Vec<(&str, Value, Value, &str, Code, &str)> = vec![
        ("layerNormalization", normalization(&[1]), sequence.clone(), "float32", Code::Shape, "axis 1 to be known"),
        ("layerNormalization", normalization(&[3]), sequence.clone(), "float32", Code::Shape, "got axis 3"),
        ("layerNormalization", normalization(&[-3]), sequence.clone(), "float32", Code::Shape, "got axis -3"),
        ("layerNormalization", normalization(&[2, -1]), sequence.clone(), "float32", Code::Shape, "axis 2 comes twice"),
        ("layerNormalization", normalization(&[]), sequence.clone(), "float32", Code::Option, "at least one axis"),
        ("layerNormalization", normalization(&[-1]), json!(["batch", 3]), "int32", Code::Shape, "float32"),
        ("softmax", json!({ "axis": [0] }), sequence.clone(), "float32", Code::Shape, "got axis 0"),
        ("softmax", json!({ "axis": [99] }), sequence.clone(), "float32", Code::Option, "from -32 to 32"),
        ("globalAveragePooling1d", pooling(false), json!(["batch", 3]), "float32", Code::Shape, "three axes"),
        (
            "globalMaxPooling1d",
            json!({ "dataFormat": "nchw", "keepdims": false }),
            sequence.clone(),
            "float32",
            Code::Option,
            "nchw",
        ),
        ("masking", json!({ "maskValue": 0.0 }), json!(["batch"]), "float32", Code::Shape, "two dimensions"),
        ("spatialDropout1d", json!({ "rate": 0.5 }), json!(["batch", 3]), "float32", Code::Shape, "[batch, time"),
        ("spatialDropout1d", json!({ "rate": 1.5 }), sequence.clone(), "float32", Code::Option, "between 0 and 1"),
        (
            "timeDistributed",
            inner("dense", dense_options(2)),
            json!(["batch", 3]),
            "float32",
            Code::Shape,
            "three dimensions",
        ),
        (
            "timeDistributed",
            inner("lstm", lstm_options(2, true)),
            sequence.clone(),
            "float32",
            Code::Shape,
            "timeDistributed1 (its lstm)",
        ),
        ("timeDistributed", inner("dense", json!({})), sequence.clone(), "float32", Code::Option, "units"),
        (
            "timeDistributed",
            inner("input", json!({ "shape": ["batch"], "dtype": "float32" })),
            sequence.clone(),
            "float32",
            Code::Option,
            "got an input",
        ),
        ("timeDistributed", json!({ "layer": 3 }), sequence, "float32", Code::Option, "timeDistributed1"),
    ];
    for (kind, options, shape, dtype, code, part) in cases {
        let (found, message) = refusal(kind, options, shape, dtype);
        assert_eq!(found, code, "{message}");
        assert!(message.contains(&format!("layer {kind}1")) && message.contains(part), "{part}: {message}");
    }
}

/// Work on rows that is cut into several pieces: 6 sequences of 50 steps of 80 features.
#[test]
fn large_batches_are_the_same_on_any_number_of_threads() {
    const STEPS: usize = 50;
    const FEATURES: usize = 80;
    for masked in [false, true] {
        let mut document = Document::default();
        let source = document.input(json!(["batch", STEPS]), "int32");
        let features = document.input(json!(["batch", STEPS, FEATURES]), "float32");
        let table = document.embedding_layer(ROWS, FEATURES);
        let words = document.call(table, &[source]);
        let free = document.dense(FEATURES, "tanh", true, features);
        let first = if masked { words } else { free };
        let product = document.merge("multiply", &[first, features, free]);
        let largest = document.merge("maximum", &[product, first, features]);
        let kept = call(&mut document, "masking", json!({ "maskValue": 0.0 }), &[largest]);
        let dropped = call(&mut document, "spatialDropout1d", json!({ "rate": 0.3 }), &[kept]);
        let normal = call(&mut document, "layerNormalization", normalization(&[1]), &[dropped]);
        let mean = call(&mut document, "globalAveragePooling1d", pooling(false), &[normal]);
        let repeated = document.repeat_vector(STEPS, mean);
        let weights = call(&mut document, "softmax", json!({ "axis": [1] }), &[normal, features]);
        let smallest = document.merge("minimum", &[repeated, weights]);
        let top = call(&mut document, "globalMaxPooling1d", pooling(false), &[smallest]);
        let word = call(&mut document, "globalAveragePooling1d", pooling(false), &[words]);
        let joined = document.concatenate(&[top, mean, word]);
        let class = document.dense(5, "softmax", true, joined);
        let outputs = [OutputPlan { loss: Some(PLAIN.into()), ..OutputPlan::default() }];
        let inputs = vec![
            Tensor::ids(vec![6, STEPS], integers(1, 6 * STEPS, 0, ROWS as i32)),
            Tensor::float(vec![6, STEPS, FEATURES], buffer(&floats(2, 6 * STEPS * FEATURES, 1.0))),
        ];
        Case::new(&document.finish(&[class]), inputs, vec![ids(vec![0, 1, 2, 3, 4, 0])], &outputs, &[]).check();
    }
}
