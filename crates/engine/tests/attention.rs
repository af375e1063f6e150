//! Attention of all kinds on all backends: with dropout, masks and biases of pairs, and gradients of scores.
mod common;

use std::sync::Arc;

use common::{
    along_time::dense_options,
    buffer,
    case::{Case, PLAIN},
    cpus, integers,
    models::{Document, Reference},
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
const BATCH: usize = 3;
const QUERIES: usize = 4;
const KEYS: usize = 5;

fn start() -> Value {
    json!({ "type": "glorotUniform" })
}

fn heads(rate: f32) -> Value {
    json!({
        "numHeads": 2, "keyDim": 3, "valueDim": 4, "outputShape": null, "dropout": rate, "useBias": true,
        "kernelInitializer": start(), "biasInitializer": start()
    })
}

fn grouped(rate: f32) -> Value {
    json!({
        "numQueryHeads": 4, "numKeyValueHeads": 2, "headDim": 3, "dropout": rate, "useBias": false,
        "kernelInitializer": start(), "biasInitializer": start()
    })
}

fn said(inputs: &[&str], causal: bool, scores: bool) -> Value {
    json!({ "inputs": inputs, "useCausalMask": causal, "returnAttentionScores": scores })
}

/// Sequences with masks, to themselves and to each other, of all layers of attention one after the other.
fn model(rate: f32) -> String {
    let mut document = Document::default();
    let source = document.input(json!(["batch", KEYS]), "int32");
    let target = document.input(json!(["batch", QUERIES]), "int32");
    let mask = document.input(json!(["batch", 2, QUERIES, KEYS]), "int32");
    let spread = document.input(json!([1, QUERIES, KEYS]), "float32");
    let table = document.embedding_layer(ROWS, WIDTH);
    let (x, z) = (document.call(table, &[source]), document.call(table, &[target]));
    let start = json!({ "type": "provided" });
    let bias = document.layer("weight", json!({ "shape": [1, 2, QUERIES, KEYS], "initializer": start }));
    let bias = document.call(bias, &[]);
    let layer = |document: &mut Document, kind: &str, options: Value, inputs: &[Reference], call: Value| {
        let layer = document.layer(kind, options);
        document.said(layer, inputs, call)
    };
    let own = layer(&mut document, "multiHeadAttention", heads(rate), &[z, z], said(&["query", "value"], true, false));
    let roles = ["query", "value", "attentionMask", "attentionBias"];
    let other =
        layer(&mut document, "multiHeadAttention", heads(rate), &[own, x, mask, bias], said(&roles, false, true));
    let few = layer(
        &mut document,
        "groupedQueryAttention",
        grouped(rate),
        &[other, x, x, spread],
        said(&["query", "value", "key", "attentionMask"], false, false),
    );
    let plain = json!({ "useScale": true, "scoreMode": "dot", "dropout": rate });
    let product = layer(&mut document, "attention", plain, &[few, x], said(&["query", "value"], false, true));
    let concat = json!({ "useScale": true, "scoreMode": "concat", "dropout": rate });
    let sum = layer(&mut document, "attention", concat, &[product, product], said(&["query", "value"], true, true));
    let additive = json!({ "useScale": true, "dropout": rate });
    let last = layer(&mut document, "additiveAttention", additive, &[sum, x], said(&["query", "value"], false, false));
    let all = document.add(&[own, other, few, product, sum, last]);
    let words = document.dense(ROWS, "softmax", true, all);
    let of_heads = document.dense(3, "softmax", true, (other.0, 1));
    let of_products = document.dense(3, "softmax", true, (product.0, 1));
    let of_sums = document.dense(3, "softmax", true, (sum.0, 1));
    document.finish(&[words, of_heads, of_products, of_sums])
}

fn inputs(batch: usize) -> Vec<Tensor> {
    let mut source = integers(3, batch * KEYS, 1, ROWS as i32);
    let mut target = integers(4, batch * QUERIES, 1, ROWS as i32);
    // Padding before, behind and within.
    for at in [1, 2, 5, 9] {
        source.iter_mut().skip(at).take(1).for_each(|id| *id = 0);
    }
    for at in [3, 4, 6] {
        target.iter_mut().skip(at).take(1).for_each(|id| *id = 0);
    }
    let pairs = QUERIES * KEYS;
    vec![
        Tensor::ids(vec![batch, KEYS], source),
        Tensor::ids(vec![batch, QUERIES], target),
        Tensor::ids(vec![batch, 2, QUERIES, KEYS], integers(5, batch * 2 * pairs, 0, 3)),
        Tensor::float(vec![1, QUERIES, KEYS], buffer(&vec![1.0; pairs])),
    ]
}

fn case(rate: f32, batch: usize) -> Case {
    let ids = |seed: u32, length: usize, classes: usize| LossInput {
        target: TargetData::Ids(Arc::new(integers(seed, length, 0, classes as i32))),
        sample_weights: None,
    };
    let losses = vec![
        ids(6, batch * QUERIES, ROWS),
        ids(7, batch * 2 * QUERIES, 3),
        ids(8, batch * QUERIES, 3),
        ids(9, batch * QUERIES, 3),
    ];
    let outputs = [0; 4].map(|_| OutputPlan { loss: Some(PLAIN.into()), ..OutputPlan::default() });
    Case::new(&model(rate), inputs(batch), losses, &outputs, &[])
}

#[test]
fn attention_on_all_backends() {
    for rate in [0.0, 0.3] {
        let case = case(rate, BATCH);
        let found = case.check_backends();
        for (weight, gradient) in found.gradients.iter().enumerate() {
            let name = case.model.name(weight);
            assert!(gradient.iter().all(|slope| slope.is_finite()), "{name}");
            // A key's bias adds the same to all scores of a query.
            let alive = gradient.iter().any(|slope| slope.abs() > 1e-7);
            assert!(alive || name.ends_with("key/bias"), "{name}: {gradient:?}");
        }
    }
}

/// Central differences of the whole loss by some elements of each weight, in double precision.
#[test]
fn gradients_equal_finite_differences() {
    let case = case(0.3, BATCH);
    case.check_differences(2, 2e-4, |found| found.results.iter().map(|result| result.loss).sum());
}

#[test]
fn batches_without_rows_are_no_error() {
    for (name, backend) in cpus() {
        let found = case(0.3, 0).step(&backend, 1.0, 1);
        assert!(found.gradients.iter().flatten().all(|gradient| gradient.is_finite()), "{name}");
    }
}

#[test]
fn calls_that_do_not_fit_are_refused_by_layer() {
    let refused = |options: Value, kind: &str, shapes: [Value; 3], roles: &[&str]| {
        let mut document = Document::default();
        let inputs: Vec<Reference> =
            shapes.iter().take(roles.len()).map(|shape| document.input(shape.clone(), "float32")).collect();
        let layer = document.layer(kind, options);
        let last = document.said(layer, &inputs, said(roles, false, false));
        common::Model::new(&document.finish(&[last])).err().unwrap_or_else(|| panic!("{kind} took {shapes:?}"))
    };
    let (x, y) = (json!(["batch", 4, 6]), json!(["batch", 5, 6]));
    let check = |error: sconce_engine::Error, code: Code, parts: &[&str]| {
        assert_eq!(error.code, code, "{error}");
        parts.iter().for_each(|part| assert!(error.message.contains(part), "{error} lacks {part}"));
    };
    let key = ["query", "value", "key"];
    let mask = ["query", "value", "attentionMask"];
    let error = refused(heads(0.0), "multiHeadAttention", [x.clone(), y.clone(), x.clone()], &key);
    check(error, Code::Shape, &["layer multiHeadAttention3", "key and value", "[batch, 4, 6]", "[batch, 5, 6]"]);
    let error = refused(heads(0.0), "multiHeadAttention", [x.clone(), y.clone(), json!(["batch", 5, 4])], &mask);
    check(error, Code::Shape, &["attentionMask", "[batch, 2, 4, 5]", "got [batch, 5, 4]"]);
    let error = refused(heads(0.0), "multiHeadAttention", [x.clone(), y.clone(), json!(["batch", 3, 4, 5])], &mask);
    check(error, Code::Shape, &["attentionMask", "got [batch, 3, 4, 5]"]);
    let bias = ["query", "value", "attentionBias"];
    let error = refused(heads(0.0), "multiHeadAttention", [x.clone(), y.clone(), json!(["batch", 4, 5])], &bias);
    check(error, Code::Shape, &["attentionBias", "got [batch, 4, 5]"]);
    let error = refused(heads(0.0), "multiHeadAttention", [json!(["batch", 2, 4, 6]), y.clone(), y.clone()], &key);
    check(error, Code::Shape, &["the value to have the 4 axes of the query", "[batch, 5, 6]"]);
    let deep = || json!(["batch", 2, 4, 6]);
    let error = refused(grouped(0.0), "groupedQueryAttention", [deep(), deep(), y.clone()], &["query", "value"]);
    check(error, Code::Shape, &["that of multiHeadAttention", "[batch, 2, 4, 6]"]);
    let over = |axes: Value| {
        let mut options = heads(0.0);
        options["attentionAxes"] = axes;
        options
    };
    let pair = ["query", "value"];
    for (axes, said) in
        [(json!([3]), "got 3"), (json!([0]), "got 0"), (json!([-1]), "got -1"), (json!([2, -2]), "twice")]
    {
        let error = refused(over(axes), "multiHeadAttention", [deep(), deep(), y.clone()], &pair);
        check(error, Code::Shape, &["layer multiHeadAttention2", "attentionAxes", said]);
    }
    let error = refused(over(json!([])), "multiHeadAttention", [deep(), deep(), y.clone()], &pair);
    check(error, Code::Option, &["attentionAxes must name 1 to 16 axes, got 0"]);
    let other = json!(["batch", 3, 4, 6]);
    let error = refused(over(json!([2])), "multiHeadAttention", [deep(), other.clone(), y.clone()], &pair);
    check(error, Code::Shape, &["one size along the axes [0, 1]", "[batch, 2, 4, 6] and [batch, 3, 4, 6]"]);
    let error = refused(over(json!([1])), "multiHeadAttention", [deep(), other.clone(), deep()], &key);
    check(error, Code::Shape, &["key and value to have one shape but", "[batch, 3, 4, 6]"]);
    let small = json!(["batch", 2, 3]);
    let wrong = json!(["batch", 3, 3]);
    let error = refused(over(json!([1])), "multiHeadAttention", [deep(), other.clone(), wrong], &mask);
    check(error, Code::Shape, &["attentionMask to have shape [batch, 4, 2, 2, 3]", "missing), got [batch, 3, 3]"]);
    let error = refused(over(json!([1])), "multiHeadAttention", [deep(), other, small], &bias);
    check(error, Code::Shape, &["attentionBias to have shape [batch, 4, 2, 2, 3]", "got [batch, 2, 3]"]);
    let mut windowed = heads(0.0);
    windowed["slidingWindow"] = json!(2);
    let error = refused(windowed, "multiHeadAttention", [deep(), deep(), y.clone()], &pair);
    check(error, Code::Shape, &["slidingWindow needs one axis", "got 2 axes"]);
    let mut uneven = grouped(0.0);
    uneven["numKeyValueHeads"] = json!(3);
    let error = refused(uneven, "groupedQueryAttention", [x.clone(), y.clone(), y.clone()], &key);
    check(error, Code::Option, &["layer groupedQueryAttention3", "multiple of numKeyValueHeads", "4 and 3"]);
    let error =
        refused(heads(0.0), "multiHeadAttention", [x.clone(), y.clone(), y.clone()], &["query", "key", "value"]);
    check(error, Code::Option, &["call: inputs must be query, value"]);
    let plain = json!({ "useScale": false, "scoreMode": "dot", "dropout": 0.0 });
    let error = refused(plain.clone(), "attention", [x.clone(), y.clone(), json!(["batch", 5, 7])], &key);
    check(error, Code::Shape, &["query and key", "[batch, 5, 7]"]);
    let error = refused(plain, "attention", [x.clone(), y.clone(), y.clone()], &mask);
    check(error, Code::Option, &["layer attention3", "query, value and"]);
    let error = refused(dense_options(3), "dense", [x.clone(), y.clone(), y], &["query"]);
    check(error, Code::Option, &["layer dense1", "takes no options"]);
}

/// Cells above one another with attention, between an embedding and a loss.
fn stacked(cell: &str, form: &str, dropout: f64) -> String {
    let mut document = Document::default();
    let source = document.input(json!(["batch", KEYS]), "int32");
    let target = document.input(json!(["batch", QUERIES]), "int32");
    let table = document.embedding_layer(ROWS, WIDTH);
    let (x, z) = (document.call(table, &[source]), document.call(table, &[target]));
    let mut options = json!({
        "cell": cell, "units": WIDTH, "layers": 3, "attention": form, "inputFeeding": true, "useBias": true,
        "kernelInitializer": start(), "recurrentInitializer": start(), "biasInitializer": start(),
        "returnSequences": true, "returnState": false, "returnAttentionScores": false, "dropout": dropout,
        "recurrentDropout": dropout
    });
    match cell {
        "lstm" => options["unitForgetBias"] = json!(false),
        _ => options["resetAfter"] = json!(cell == "gru"),
    }
    if cell == "before" {
        options["cell"] = json!("gru");
    }
    if form == "concat" {
        options["attentionUnits"] = json!(4);
    }
    let layer = document.layer("attentionRnn", options);
    let states = document.call(layer, &[z, x]);
    let output = document.dense(ROWS, "softmax", true, states);
    document.finish(&[output])
}

#[test]
fn stacks_of_cells_with_attention_and_dropout_on_all_backends() {
    for (cell, form) in [("lstm", "general"), ("gru", "concat"), ("before", "dot")] {
        for dropout in [0.0, 0.3] {
            let mut source = integers(3, BATCH * KEYS, 1, ROWS as i32);
            source[KEYS - 2..KEYS].fill(0);
            let mut target = integers(4, BATCH * QUERIES, 1, ROWS as i32);
            target[QUERIES..QUERIES + 2].fill(0);
            target[3 * QUERIES - 1] = 0;
            let inputs = vec![Tensor::ids(vec![BATCH, KEYS], source), Tensor::ids(vec![BATCH, QUERIES], target)];
            let target = TargetData::Ids(Arc::new(integers(5, BATCH * QUERIES, 0, ROWS as i32)));
            let outputs = [OutputPlan { loss: Some(PLAIN.into()), ..OutputPlan::default() }];
            let losses = vec![LossInput { target, sample_weights: None }];
            let case = Case::new(&stacked(cell, form, dropout), inputs, losses, &outputs, &[]);
            let found = case.check_backends();
            case.assert_alive(&found);
            case.check_differences(2, 5e-4, |found| found.results[0].loss);
        }
    }
}
