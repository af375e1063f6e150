//! The derived step against running the whole graph, and decoders that cannot step.
mod alternatives;
mod attention;
mod ensembles;

use std::sync::Arc;

use sconce_kernels::{Context, simd::Simd};
use serde_json::{Value, json};

use super::{Generated, Generation, GenerationRequest, Incremental, Treatment};
use crate::{
    backend::{Backend, candle::Candle, cpu::Cpu},
    error::{Code, Error},
    graph::GraphDocument,
    interrupt::Interrupt,
    model::Model,
    plan::Plan,
    tensor::Tensor,
    weights::LayerWeights,
};

const CLASSES: usize = 23;

pub(super) fn layer(name: &str, kind: &str, options: Value) -> Value {
    json!({ "name": name, "type": kind, "trainable": true, "options": options })
}

fn input(name: &str) -> Value {
    layer(name, "input", json!({ "shape": ["batch", format!("{name}Length")], "dtype": "int32" }))
}

fn embedding(name: &str, mask: bool) -> Value {
    let normal = json!({ "type": "randomNormal", "mean": 0.0, "stddev": 1.0 });
    layer(
        name,
        "embedding",
        json!({ "inputDim": CLASSES, "outputDim": 6, "maskZero": mask, "embeddingsInitializer": normal }),
    )
}

fn lstm(name: &str, sequences: bool, backwards: bool) -> Value {
    let rule = json!({ "type": "randomNormal", "mean": 0.0, "stddev": 0.7 });
    layer(
        name,
        "lstm",
        json!({
            "units": 8, "activation": "tanh", "recurrentActivation": "sigmoid", "useBias": true, "unitForgetBias": true,
            "kernelInitializer": rule, "recurrentInitializer": rule, "biasInitializer": { "type": "zeros" },
            "dropout": 0.3, "recurrentDropout": 0.0, "returnSequences": sequences, "returnState": true,
            "goBackwards": backwards, "zeroOutputForMask": false
        }),
    )
}

fn dense(name: &str, units: usize, activation: &str) -> Value {
    let rule = json!({ "type": "randomNormal", "mean": 0.0, "stddev": 1.0 });
    layer(
        name,
        "dense",
        json!({ "units": units, "activation": activation, "useBias": true, "kernelInitializer": rule,
                "biasInitializer": { "type": "zeros" } }),
    )
}

/// Encoder and two stacked decoder LSTMs with dropout, a concatenation and a sum between them.
pub(super) fn stacked(backwards: bool) -> Value {
    json!({
        "format": "sconce-graph", "version": 1,
        "layers": [
            input("source"), input("target"), embedding("words", true), lstm("encoder", false, true),
            lstm("first", true, backwards), layer("drop", "dropout", json!({ "rate": 0.5 })),
            layer("join", "concatenate", json!({ "axis": -1 })), lstm("second", true, false),
            layer("sum", "add", json!({})), dense("middle", 8, "relu"), dense("output", CLASSES, "softmax")
        ],
        "nodes": [
            { "layer": 0, "inputs": [] }, { "layer": 2, "inputs": [[0, 0]] }, { "layer": 3, "inputs": [[1, 0]] },
            { "layer": 1, "inputs": [] }, { "layer": 2, "inputs": [[3, 0]] },
            { "layer": 4, "inputs": [[4, 0], [2, 1], [2, 2]] }, { "layer": 5, "inputs": [[5, 0]] },
            { "layer": 6, "inputs": [[6, 0], [4, 0]] }, { "layer": 7, "inputs": [[7, 0]] },
            { "layer": 8, "inputs": [[8, 0], [5, 0]] }, { "layer": 9, "inputs": [[9, 0]] },
            { "layer": 10, "inputs": [[10, 0]] }
        ],
        "inputs": [[0, 0], [3, 0]], "outputs": [[11, 0]]
    })
}

pub(super) fn model(document: &Value, backend: Box<dyn Backend>) -> Arc<Model> {
    model_of(document, backend, 7)
}

/// The same with the weights of another seed.
pub(super) fn model_of(document: &Value, backend: Box<dyn Backend>, seed: u64) -> Arc<Model> {
    let document = GraphDocument::parse(&document.to_string()).unwrap();
    let plan = Plan::new(&document).unwrap();
    let layers = plan
        .layers
        .iter()
        .map(|layer| {
            let weights = &plan.weights[layer.first_weight..][..layer.weight_count];
            let specifications = weights.iter().map(|weight| weight.specification.clone()).collect();
            Arc::new(LayerWeights::new(layer.name.clone(), specifications))
        })
        .collect();
    let model = Model::new(&document, layers, backend).unwrap();
    let context = Context::new(2, Simd::from_environment());
    model.build(&context, seed, &[], &Interrupt::default()).unwrap();
    Arc::new(model)
}

fn generate(model: &Arc<Model>, rows: &[Vec<i32>], recompute: bool) -> Generated {
    prompted(model, rows, Vec::new(), recompute)
}

/// Without rows, the model has no input beside the decoder's.
fn prompted(model: &Arc<Model>, rows: &[Vec<i32>], prompts: Vec<Vec<i32>>, recompute: bool) -> Generated {
    searched(model, rows, |request| {
        request.recompute = recompute;
        request.prompts = prompts;
    })
}

pub(super) fn searched(
    model: &Arc<Model>,
    rows: &[Vec<i32>],
    change: impl FnOnce(&mut GenerationRequest),
) -> Generated {
    let length = rows.iter().map(Vec::len).max().unwrap_or(0);
    let ids =
        rows.iter().flat_map(|row| row.iter().copied().chain(std::iter::repeat_n(0, length - row.len()))).collect();
    let mut request = GenerationRequest {
        decoder_input: usize::from(!rows.is_empty()),
        output: 0,
        begin_id: 1,
        end_id: vec![2],
        pad_id: 0,
        max_new_tokens: 15,
        ..GenerationRequest::default()
    };
    change(&mut request);
    let mut inputs = vec![Tensor::ids(vec![rows.len(), length], ids)];
    inputs.truncate(rows.len());
    let mut generation = Generation::new(Arc::clone(model), request, inputs, Interrupt::default()).unwrap();
    loop {
        if let Some(found) = generation.advance().unwrap() {
            return found;
        }
    }
}

pub(super) fn rows() -> Vec<Vec<i32>> {
    (0..9).map(|row| (0..1 + row * 5 % 7).map(|step| 3 + (row * 11 + step * 7) % 20).collect()).collect()
}

pub(super) fn cpu() -> Box<dyn Backend> {
    Box::new(Cpu::new(Context::new(2, Simd::from_environment())))
}

#[test]
fn the_step_gives_what_the_whole_graph_gives() {
    for backend in [cpu(), Box::new(Candle::default())] {
        check_step(&stacked(false), backend);
    }
    for merge in ["subtract", "multiply", "average", "maximum", "minimum"] {
        let mut document = stacked(false);
        document["layers"][8] = layer("merge", merge, json!({}));
        check_step(&document, cpu());
    }
}

fn check_step(document: &Value, backend: Box<dyn Backend>) {
    let model = model(document, backend);
    check_equal(&generate(&model, &rows(), false), &generate(&model, &rows(), true));
}

fn check_equal(step: &Generated, whole: &Generated) {
    assert_eq!(step.ids, whole.ids);
    assert_eq!(step.lengths, whole.lengths);
    for (step, whole) in step.scores.iter().zip(&whole.scores) {
        assert!((step - whole).abs() < 1e-4 * whole.abs().max(1.0), "{step} {whole}");
    }
    assert!(step.ids.iter().any(|&id| id > 2), "nothing but specials was generated");
    assert!(step.ids.chunks(step.length).zip(&step.lengths).all(|(row, &length)| {
        row[..length as usize].iter().all(|&id| id != 0) && row[length as usize..].iter().all(|&id| id == 0)
    }));
}

#[test]
fn a_sentence_does_not_depend_on_its_neighbours() {
    let model = model(&stacked(false), cpu());
    let together = generate(&model, &rows(), false);
    for (row, alone) in rows().iter().enumerate() {
        let alone = generate(&model, std::slice::from_ref(alone), false);
        let length = together.lengths[row] as usize;
        assert_eq!(alone.ids, together.ids[row * together.length..][..length]);
        assert_eq!(alone.scores[0].to_bits(), together.scores[row].to_bits());
    }
}

#[test]
fn treatments_are_told_by_layer() {
    let model = model(&stacked(false), cpu());
    let incremental = Incremental::new(&model.plan, 1, 0).unwrap();
    let treatment = |name: &str| incremental.treatments.iter().rfind(|(layer, _)| layer == name).map(|(_, how)| *how);
    assert_eq!(treatment("encoder"), Some(Treatment::Once));
    assert_eq!(treatment("first"), Some(Treatment::Recurrent));
    assert_eq!(treatment("sum"), Some(Treatment::Pointwise));
}

fn refusal(document: &Value, decoder_input: usize) -> Error {
    let plan = Plan::new(&GraphDocument::parse(&document.to_string()).unwrap()).unwrap();
    Incremental::new(&plan, decoder_input, 0).unwrap_err()
}

#[test]
fn decoders_that_look_ahead_are_refused_by_name() {
    let error = refusal(&stacked(true), 1);
    assert_eq!(error.code, Code::Graph);
    assert!(error.message.contains("first") && error.message.contains("goBackwards"), "{error}");
    // As decoder input, the source reaches the output through the encoder's last state alone.
    let error = refusal(&stacked(false), 0);
    assert!(error.message.contains("encoder") || error.message.contains("first"), "{error}");
    assert_eq!(refusal(&stacked(false), 5).code, Code::Graph);
    let mut no_time = stacked(false);
    no_time["layers"][7] = lstm("second", false, false);
    no_time["nodes"].as_array_mut().unwrap().truncate(9);
    no_time["nodes"].as_array_mut().unwrap().push(json!({ "layer": 10, "inputs": [[8, 0]] }));
    no_time["outputs"] = json!([[9, 0]]);
    assert!(refusal(&no_time, 1).message.contains("returnSequences"));
    no_time["layers"].as_array_mut().unwrap().push(layer("again", "repeatVector", json!({ "n": 4 })));
    no_time["nodes"][9] = json!({ "layer": 11, "inputs": [[8, 0]] });
    no_time["nodes"].as_array_mut().unwrap().push(json!({ "layer": 10, "inputs": [[9, 0]] }));
    no_time["outputs"] = json!([[10, 0]]);
    let error = refusal(&no_time, 1);
    assert!(error.message.contains("layer again") && error.message.contains("repeats"), "{error}");
}

fn normalization() -> Value {
    let rule = json!({ "type": "randomNormal", "mean": 0.0, "stddev": 1.0 });
    json!({
        "axis": [-1], "epsilon": 1e-3, "center": true, "scale": true, "betaInitializer": rule, "gammaInitializer": rule
    })
}

/// `stacked` with a layer in the place of the dropout.
fn through(kind: &str, options: Value) -> Value {
    let mut document = stacked(false);
    document["layers"][5] = layer("through", kind, options);
    document
}

/// `stacked` with an LSTM over what each step is repeated to, before the output.
fn repeating() -> Value {
    let mut document = stacked(false);
    let repeated = json!({ "layer": layer("repeat", "repeatVector", json!({ "n": 3 })) });
    let mut options = lstm("inner", false, true)["options"].clone();
    options["returnState"] = json!(false);
    let layers = document["layers"].as_array_mut().unwrap();
    layers.push(layer("repeats", "timeDistributed", repeated));
    layers.push(layer("inners", "timeDistributed", json!({ "layer": layer("inner", "lstm", options) })));
    document["nodes"][10] = json!({ "layer": 11, "inputs": [[9, 0]] });
    document["nodes"][11] = json!({ "layer": 12, "inputs": [[10, 0]] });
    document["nodes"].as_array_mut().unwrap().push(json!({ "layer": 10, "inputs": [[11, 0]] }));
    document["outputs"] = json!([[12, 0]]);
    document
}

pub(super) fn transformer(rotary: &str, first: bool) -> Value {
    let rule = json!({ "type": "randomNormal", "mean": 0.0, "stddev": 0.7 });
    json!({
        "intermediateDim": 9, "numHeads": 2, "keyDim": null, "activation": "relu", "dropout": 0.1,
        "attentionDropout": 0.1, "activationDropout": 0.1, "layerNormEpsilon": 1e-5, "normalizeFirst": first,
        "useBias": true, "rotary": rotary, "kernelInitializer": rule, "biasInitializer": rule
    })
}

/// As many steps as are generated at most.
fn positions(kind: &str, scale: Value) -> Value {
    let rule = json!({ "type": "randomNormal", "mean": 0.0, "stddev": 1.0 });
    json!({
        "type": kind, "interleaved": false, "maxWavelength": 100.0, "maxLength": 15, "scale": scale,
        "embeddingsInitializer": rule
    })
}

#[test]
fn layers_along_axes_step_as_they_run_on_whole_sequences() {
    let inner = dense("inner", 8, "tanh");
    for (kind, options) in [
        ("layerNormalization", normalization()),
        ("rmsNormalization", json!({ "axis": [-1], "epsilon": 1e-6 })),
        ("positionalEncoding", positions("sinusoidal", json!(true))),
        ("positionalEncoding", positions("learned", json!(0.5))),
        ("transformerDecoder", transformer("halves", true)),
        ("transformerDecoder", transformer("interleaved", false)),
        ("masking", json!({ "maskValue": 0.0 })),
        ("spatialDropout1d", json!({ "rate": 0.5 })),
        ("softmax", json!({ "axis": [2] })),
        ("timeDistributed", json!({ "layer": inner })),
        ("timeDistributed", json!({ "layer": layer("normal", "layerNormalization", normalization()) })),
    ] {
        check_step(&through(kind, options), cpu());
    }
    for backend in [cpu(), Box::new(Candle::default())] {
        check_step(&repeating(), backend);
    }
    check_step(&through("transformerDecoder", transformer("halves", true)), Box::new(Candle::default()));
    check_step(&through("positionalEncoding", positions("learned", json!(true))), Box::new(Candle::default()));
    let model = model(&repeating(), cpu());
    let treatments = Incremental::new(&model.plan, 1, 0).unwrap().treatments;
    assert!(treatments.contains(&("inners".to_owned(), Treatment::Pointwise)), "{treatments:?}");
}

#[test]
fn positions_are_counted_on_up_to_the_end_of_their_table() {
    let mut options = positions("learned", json!(false));
    options["maxLength"] = json!(3);
    let model = model(&through("positionalEncoding", options), cpu());
    let treatments = Incremental::new(&model.plan, 1, 0).unwrap().treatments;
    assert!(treatments.contains(&("through".to_owned(), Treatment::Pointwise)), "{treatments:?}");
    let request = GenerationRequest {
        decoder_input: 1,
        output: 0,
        begin_id: 1,
        end_id: vec![],
        pad_id: 0,
        max_new_tokens: 15,
        ..GenerationRequest::default()
    };
    let inputs = vec![Tensor::ids(vec![2, 1], vec![3, 4])];
    let mut generation = Generation::new(Arc::clone(&model), request, inputs, Interrupt::default()).unwrap();
    for _ in 0..3 {
        assert_eq!(generation.advance().unwrap(), None);
    }
    let error = generation.advance().unwrap_err();
    assert_eq!(error.code, Code::Data);
    assert!(
        error.message.contains("layer through: expected sequences of at most 3 steps (maxLength), got 4"),
        "{error}"
    );
}

#[test]
fn layers_that_see_all_steps_are_refused_by_name() {
    let mut pooled = stacked(false);
    pooled["layers"][9] =
        layer("pool", "globalMaxPooling1d", json!({ "dataFormat": "channelsLast", "keepdims": true }));
    let error = refusal(&pooled, 1);
    assert!(error.message.contains("layer pool cannot decode: it takes all steps"), "{error}");
    let error = refusal(&through("softmax", json!({ "axis": [1] })), 1);
    assert!(error.message.contains("layer through cannot decode: it mixes the steps"), "{error}");
    // A mask of the encoder's steps.
    let mut document = through("softmax", json!({ "axis": [2] }));
    document["layers"][3] = lstm("encoder", true, false);
    document["nodes"][6]["inputs"] = json!([[5, 0], [2, 0]]);
    let error = refusal(&document, 1);
    assert!(error.message.contains("layer through cannot decode: its mask"), "{error}");
    let error = refusal(&through("transformerEncoder", transformer("halves", true)), 1);
    assert!(error.message.contains("layer through cannot decode: it sees all steps"), "{error}");
}
