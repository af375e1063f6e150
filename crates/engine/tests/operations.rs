//! Operations on tensors in whole models, large enough for several pieces of work: backends, threads and bad documents.
mod common;

use std::sync::Arc;

use common::{
    Model, buffer,
    case::{Case, PLAIN},
    floats, integers,
    models::{Document, Reference},
};
use sconce_engine::{
    Code,
    backend::{LossInput, TargetData},
    plan::OutputPlan,
    tensor::Tensor,
};
use serde_json::{Value, json};

const BATCH: usize = 5;
const STEPS: usize = 67;
const WIDTH: usize = 72;
const CLASSES: usize = 7;

fn operation(document: &mut Document, name: &str, options: Value, inputs: &[Reference]) -> Reference {
    let layer = document.layer(&format!("ops.{name}"), options);
    document.call(layer, inputs)
}

fn weight(document: &mut Document, shape: &[usize]) -> Reference {
    let layer = document.layer("weight", json!({ "shape": shape, "initializer": { "type": "provided" } }));
    document.call(layer, &[])
}

fn binary(document: &mut Document, function: &str, inputs: &[Reference]) -> Reference {
    operation(document, "binary", json!({ "function": function }), inputs)
}

/// Attention by hand over masked words and features, with every kind of operation on the way.
fn attention() -> String {
    let mut document = Document::default();
    let ids = document.input(json!(["batch", "time"]), "int32");
    let features = document.input(json!(["batch", "time", WIDTH]), "float32");
    let table = document.embedding_layer(9, WIDTH);
    let words = document.call(table, &[ids]);
    let mut kernels = Vec::new();
    for shape in [[WIDTH, WIDTH], [WIDTH, WIDTH]] {
        kernels.push(weight(&mut document, &shape));
    }
    let (bias, score) = (weight(&mut document, &[WIDTH]), weight(&mut document, &[1, 1, WIDTH]));
    let d = &mut document;
    let plain = json!({ "transposeA": false, "transposeB": false });
    let q = operation(d, "matmul", plain.clone(), &[features, kernels[0]]);
    let k = operation(d, "matmul", plain.clone(), &[words, kernels[1]]);
    let shifted = binary(d, "add", &[q, bias]);
    let squashed = operation(d, "activate", json!({ "activation": "gelu" }), &[shifted]);
    let scored = binary(d, "multiply", &[squashed, score]);
    let scores = operation(d, "matmul", json!({ "transposeA": false, "transposeB": true }), &[scored, k]);
    let mask = operation(d, "mask", json!({}), &[words]);
    let lent = json!({ "shape": [[0, 0], 1, [0, 1]] });
    let padding = operation(d, "reshape", lent, &[mask]);
    let least = operation(d, "constant", json!({ "shape": [], "values": [-1e9], "dtype": "float32" }), &[]);
    let kept = operation(d, "where", json!({}), &[padding, scores, least]);
    let shares = operation(d, "softmax", json!({ "axis": 2 }), &[kept]);
    let mixed = operation(d, "matmul", plain, &[shares, words]);
    let turned = operation(d, "transpose", json!({ "axes": [0, 2, 1] }), &[mixed]);
    let other = operation(d, "softmax", json!({ "axis": 1 }), &[turned]);
    let back = operation(d, "transpose", json!({ "axes": [0, 2, 1] }), &[other]);
    let squares = operation(d, "unary", json!({ "function": "square" }), &[back]);
    let mean = operation(d, "reduce", json!({ "function": "mean", "axes": [1], "keepdims": true }), &[squares]);
    let largest = operation(d, "reduce", json!({ "function": "max", "axes": [2, 1], "keepdims": true }), &[mixed]);
    let whole = binary(d, "divide", &[mixed, largest]);
    let clipped = operation(d, "clip", json!({ "minimum": -3.0, "maximum": 3.0 }), &[whole]);
    let sum = binary(d, "add", &[clipped, mean]);
    let cut = json!({ "axis": 1, "start": 1, "end": null, "step": 2 });
    let cut = operation(d, "slice", cut, &[sum]);
    let flipped = operation(d, "flip", json!({ "axes": [1, 2] }), &[cut]);
    let joined = operation(d, "concatenate", json!({ "axis": 2 }), &[cut, flipped, cut]);
    let output = document.dense(CLASSES, "softmax", true, joined);
    document.finish(&[output])
}

#[test]
fn attention_by_hand_on_all_backends_and_threads() {
    let ids = integers(3, BATCH * STEPS, -3, 9).into_iter().map(|id| id.max(0)).collect();
    let inputs = vec![
        Tensor::ids(vec![BATCH, STEPS], ids),
        Tensor::float(vec![BATCH, STEPS, WIDTH], buffer(&floats(4, BATCH * STEPS * WIDTH, 1.0))),
    ];
    let rows = BATCH * STEPS.div_ceil(2);
    let rows = if STEPS % 2 == 1 { rows - BATCH } else { rows };
    let targets = Arc::new(integers(5, rows, 0, CLASSES as i32));
    let losses = vec![LossInput { target: TargetData::Ids(targets), sample_weights: None }];
    let outputs = [OutputPlan { loss: Some(PLAIN.into()), ..OutputPlan::default() }];
    let document = attention();
    Case::new(&document, inputs.clone(), losses, &outputs, &[]).check();
    let targets = Arc::new(integers(5, rows, 0, CLASSES as i32));
    let losses = vec![LossInput { target: TargetData::Ids(targets), sample_weights: None }];
    Case::new(&document, inputs, losses, &outputs, &["embedding", "weight"]).check();
}

/// The error of a layer called on inputs of some shapes.
fn refused(kind: &str, options: Value, inputs: &[(Value, &str)]) -> (Code, String) {
    let mut document = Document::default();
    let inputs: Vec<Reference> = inputs.iter().map(|(shape, dtype)| document.input(shape.clone(), dtype)).collect();
    let layer = document.layer(kind, options);
    let output = document.call(layer, &inputs);
    match Model::new(&document.finish(&[output])) {
        Ok(_) => panic!("{kind} was not refused"),
        Err(error) => (error.code, error.message),
    }
}

#[test]
fn bad_documents_are_refused_by_name() {
    let x = || (json!(["batch", 3, 4]), "float32");
    let ids = || (json!(["batch", 3]), "int32");
    let huge = 1u64 << 40;
    let cases = [
        ("ops.nothing", json!({}), vec![x()], Code::Option),
        ("ops.softmax", json!({ "axis": 1, "more": 2 }), vec![x()], Code::Option),
        ("ops.softmax", json!([]), vec![x()], Code::Option),
        ("ops.softmax", json!({ "axis": 3 }), vec![x()], Code::Shape),
        ("ops.softmax", json!({ "axis": -1 }), vec![x()], Code::Option),
        ("ops.weight", json!({ "shape": [2] }), vec![], Code::Option),
        ("ops.unary", json!({ "function": "cube" }), vec![x()], Code::Option),
        ("ops.unary", json!({ "function": "exp" }), vec![ids()], Code::Shape),
        ("ops.activate", json!({ "activation": "softmax" }), vec![x()], Code::Option),
        ("ops.binary", json!({ "function": "add" }), vec![x()], Code::Shape),
        ("ops.binary", json!({ "function": "add" }), vec![x(), (json!(["batch", 2, 4]), "float32")], Code::Shape),
        ("ops.binary", json!({ "function": "add" }), vec![x(), (json!(["batch", 3, 4]), "int32")], Code::Shape),
        ("ops.reshape", json!({ "shape": [[0, 0], -1, -1] }), vec![x()], Code::Option),
        ("ops.reshape", json!({ "shape": [[0, 9], -1] }), vec![x()], Code::Shape),
        ("ops.reshape", json!({ "shape": [[0, 0], 5] }), vec![x()], Code::Shape),
        ("ops.transpose", json!({ "axes": [0, 1, 1] }), vec![x()], Code::Option),
        ("ops.transpose", json!({ "axes": [0, 1] }), vec![x()], Code::Shape),
        ("ops.reduce", json!({ "function": "sum", "axes": [1, 1], "keepdims": false }), vec![x()], Code::Option),
        ("ops.slice", json!({ "axis": 1, "start": 0, "end": null, "step": 0 }), vec![x()], Code::Option),
        ("ops.take", json!({ "axis": 1 }), vec![x(), x()], Code::Shape),
        ("ops.concatenate", json!({ "axis": 1 }), vec![], Code::Shape),
        ("ops.broadcastTo", json!({ "shape": [[0, 0], 3, 9] }), vec![x()], Code::Shape),
        ("ops.broadcastTo", json!({ "shape": [[0, 0], 3, -1] }), vec![x()], Code::Shape),
        ("ops.constant", json!({ "shape": [2], "values": [1.0], "dtype": "float32" }), vec![], Code::Option),
        ("ops.constant", json!({ "shape": [huge, huge], "values": [], "dtype": "float32" }), vec![], Code::Option),
        ("ops.mask", json!({}), vec![], Code::Shape),
        ("ops.setMask", json!({}), vec![x(), x()], Code::Shape),
        ("weight", json!({ "shape": [0], "initializer": { "type": "zeros" } }), vec![], Code::Option),
        ("weight", json!({ "shape": [2], "initializer": { "type": "zeros" } }), vec![x()], Code::Shape),
        ("reshape", json!({ "targetShape": [-1, -1] }), vec![x()], Code::Option),
        ("permute", json!({ "dims": [2] }), vec![x()], Code::Option),
        ("dot", json!({ "axes": [1, 3], "normalize": false }), vec![x(), x()], Code::Shape),
        ("dot", json!({ "axes": [0, 1], "normalize": false }), vec![x(), x()], Code::Shape),
        ("flatten", json!({ "dataFormat": "last" }), vec![x()], Code::Option),
    ];
    for (kind, options, inputs, code) in cases {
        let (found, message) = refused(kind, options.clone(), &inputs);
        assert_eq!(found, code, "{kind} {options}: {message}");
        assert!(message.contains(&format!("layer {kind}")), "{kind} {options}: {message}");
    }
}
