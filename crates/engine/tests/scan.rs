//! A graph for each step: backends, threads, differences, and bodies that are none.
mod common;

use std::sync::Arc;

use common::{
    Model, buffer, candle_double,
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

const BATCH: usize = 4;
const STEPS: usize = 5;
const WIDTH: usize = 3;
const UNITS: usize = 6;
const CLASSES: usize = 5;

fn call(document: &mut Document, kind: &str, options: Value, inputs: &[Reference]) -> Reference {
    let layer = document.layer(kind, options);
    document.call(layer, inputs)
}

/// `tanh(x k + h r)` as state and as output.
fn cell() -> Value {
    let mut body = Document::default();
    let x = body.input(json!(["batch", WIDTH]), "float32");
    let h = body.input(json!(["batch", UNITS]), "float32");
    let k = body.input(json!([WIDTH, UNITS]), "float32");
    let r = body.input(json!([UNITS, UNITS]), "float32");
    let plain = json!({ "transposeA": false, "transposeB": false });
    let left = call(&mut body, "ops.matmul", plain.clone(), &[x, k]);
    let right = call(&mut body, "ops.matmul", plain, &[h, r]);
    let sum = call(&mut body, "ops.binary", json!({ "function": "add" }), &[left, right]);
    let next = call(&mut body, "ops.activate", json!({ "activation": "tanh" }), &[sum]);
    serde_json::from_str(&body.finish(&[next, next])).unwrap_or_default()
}

fn options(body: Value, reverse: bool, masked: bool) -> Value {
    json!({ "body": body, "sequences": 1, "states": 1, "length": null, "reverse": reverse, "masked": masked })
}

fn case(reverse: bool, masked: bool) -> Case {
    let mut document = Document::default();
    let ids = document.input(json!(["batch", "time"]), "int32");
    let start = document.input(json!(["batch", UNITS]), "float32");
    let table = document.embedding_layer(9, WIDTH);
    let x = document.call(table, &[ids]);
    let h = document.dense(UNITS, "tanh", true, start);
    let weights = [[WIDTH, UNITS], [UNITS, UNITS]].map(|shape| {
        let options = json!({ "shape": shape, "initializer": { "type": "provided" } });
        call(&mut document, "weight", options, &[])
    });
    let mut inputs = vec![x, h, weights[0], weights[1]];
    if masked {
        inputs.push(call(&mut document, "ops.mask", json!({}), &[x]));
    }
    let scan = document.layer("ops.scan", options(cell(), reverse, masked));
    let last = document.call(scan, &inputs);
    let whole = document.dense(CLASSES, "softmax", true, (last.0, 1));
    let end = document.dense(CLASSES, "softmax", true, last);
    let document = document.finish(&[whole, end]);
    let ids = vec![3, 7, 2, 0, 0, 0, 1, 4, 8, 2, 0, 0, 5, 0, 1, 2, 0, 3, 0, 6];
    let inputs = vec![
        Tensor::ids(vec![BATCH, STEPS], ids),
        Tensor::float(vec![BATCH, UNITS], buffer(&floats(4, BATCH * UNITS, 1.0))),
    ];
    let losses = [BATCH * STEPS, BATCH].map(|rows| LossInput {
        target: TargetData::Ids(Arc::new(integers(5, rows, 0, CLASSES as i32))),
        sample_weights: None,
    });
    let output = || OutputPlan { loss: Some(PLAIN.into()), ..OutputPlan::default() };
    Case::new(&document, inputs, losses.into(), &[output(), output()], &[])
}

#[test]
fn a_cell_by_hand_on_all_backends_and_threads() {
    for (reverse, masked) in [(false, false), (true, false), (false, true), (true, true)] {
        case(reverse, masked).check();
    }
}

/// Central differences; states are 32-bit floats between steps, hence the wide steps and the tolerance.
#[test]
fn gradients_equal_finite_differences() {
    for (reverse, masked) in [(false, true), (true, false)] {
        let case = case(reverse, masked);
        let exact = case.step(&candle_double(), 1.0, 1);
        for weight in 0..case.model.plan.weights.len() {
            let gradient = &exact.gradients[weight];
            let largest = gradient.iter().fold(0.0f32, |largest, x| largest.max(x.abs()));
            let values = floats(7 + weight as u32, gradient.len(), 0.5);
            for at in integers(weight as u32, 3, 0, gradient.len() as i32) {
                let at = at as usize;
                let loss = |step: f32| {
                    let mut moved = values.clone();
                    moved[at] += step;
                    case.model.set(weight, &moved);
                    let results = case.step(&candle_double(), 1.0, 1).results;
                    (results.iter().map(|result| result.loss).sum::<f64>(), f64::from(moved[at]))
                };
                let ((above, right), (below, left)) = (loss(1e-2), loss(-1e-2));
                let slope = (above - below) / (right - left);
                let error = (slope - f64::from(gradient[at])).abs();
                let name = case.model.name(weight);
                assert!(error <= 1e-3 * f64::from(largest), "{name} [{at}]: {slope}, gradient {}", gradient[at]);
            }
            case.model.set(weight, &values);
        }
    }
}

#[test]
fn bodies_that_are_none_are_refused() {
    let refused = |options: Value, shapes: &[Value]| {
        let mut document = Document::default();
        let inputs: Vec<Reference> = shapes.iter().map(|shape| document.input(shape.clone(), "float32")).collect();
        let scan = document.layer("ops.scan", options);
        let output = document.call(scan, &inputs);
        match Model::new(&document.finish(&[output])) {
            Ok(_) => panic!("it was not refused"),
            Err(error) => {
                assert!(error.message.contains("layer ops.scan"), "{error}");
                (error.code, error.message)
            }
        }
    };
    let x = json!(["batch", "time", WIDTH]);
    let h = json!(["batch", UNITS]);
    let weights = [json!([WIDTH, UNITS]), json!([UNITS, UNITS])];
    let inputs =
        |first: &Value, state: &Value| vec![first.clone(), state.clone(), weights[0].clone(), weights[1].clone()];
    assert_eq!(refused(options(json!({}), false, false), &inputs(&x, &h)).0, Code::Option);
    assert_eq!(refused(json!({ "body": cell() }), &inputs(&x, &h)).0, Code::Option);
    let mut too_many = options(cell(), false, false);
    too_many["states"] = json!(9);
    assert_eq!(refused(too_many, &inputs(&x, &h)).0, Code::Option);
    let mut endless = options(cell(), false, false);
    endless["sequences"] = json!(0);
    assert_eq!(refused(endless, &inputs(&x, &h)).0, Code::Option);
    assert_eq!(refused(options(cell(), false, false), &inputs(&h, &h)).0, Code::Shape);
    assert_eq!(refused(options(cell(), false, false), &inputs(&x, &json!(["batch", 2]))).0, Code::Shape);
    assert_eq!(refused(options(cell(), false, true), &inputs(&x, &h)).0, Code::Shape);
    let mut weighted = Document::default();
    let x_step = weighted.input(json!(["batch", WIDTH]), "float32");
    let state = weighted.input(json!(["batch", UNITS]), "float32");
    let next = weighted.dense(UNITS, "tanh", true, x_step);
    let body: Value = serde_json::from_str(&weighted.finish(&[next, state])).unwrap_or_default();
    let (code, message) = refused(options(body, false, false), &[x, h]);
    assert!(code == Code::Option && message.contains("has weights"), "{message}");
}
