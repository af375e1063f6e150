//! Decoders with attention: their step against the whole graph.
use serde_json::{Value, json};

use super::{
    CLASSES, check_equal, cpu, dense, embedding, generate, input, layer, lstm, model, normalization, prompted, refusal,
    rows,
};
use crate::{
    backend::candle::Candle,
    decode::{Incremental, Treatment},
    graph::GraphDocument,
    plan::Plan,
};

/// A graph, layer by layer.
#[derive(Default)]
struct Graph {
    layers: Vec<Value>,
    nodes: Vec<Value>,
    inputs: Vec<Value>,
}

type Output = (usize, usize);

impl Graph {
    fn call(&mut self, layer: Value, inputs: &[Output]) -> Output {
        self.said(layer, inputs, Value::Null)
    }

    fn said(&mut self, mut layer: Value, inputs: &[Output], call: Value) -> Output {
        let name = format!("{}{}", layer["name"].as_str().unwrap(), self.layers.len());
        layer["name"] = json!(name);
        self.layers.push(layer);
        self.nodes.push(json!({ "layer": self.layers.len() - 1, "inputs": inputs, "call": call }));
        (self.nodes.len() - 1, 0)
    }

    fn words(&mut self, name: &str, width: usize, mask: bool) -> Output {
        let ids = self.call(input(name), &[]);
        self.inputs.push(json!(ids));
        let mut table = embedding("words", mask);
        table["options"]["outputDim"] = json!(width);
        self.call(table, &[ids])
    }

    fn attend(&mut self, query: Output, value: Output, causal: bool, dropout: f32) -> Output {
        let call = json!({ "inputs": ["query", "value"], "useCausalMask": causal, "returnAttentionScores": false });
        self.said(heads(dropout), &[query, value], call)
    }

    /// Added to what it is of, and normalised.
    fn joined(&mut self, x: Output, y: Output) -> Output {
        let sum = self.call(layer("sum", "add", json!({})), &[x, y]);
        self.call(layer("normal", "layerNormalization", normalization()), &[sum])
    }

    fn finish(mut self, last: Output) -> Value {
        let output = self.call(dense("output", CLASSES, "softmax"), &[last]);
        json!({
            "format": "sconce-graph", "version": 1, "layers": self.layers, "nodes": self.nodes, "inputs": self.inputs,
            "outputs": [output]
        })
    }
}

fn rule() -> Value {
    json!({ "type": "randomNormal", "mean": 0.0, "stddev": 0.7 })
}

fn heads(dropout: f32) -> Value {
    layer(
        "heads",
        "multiHeadAttention",
        json!({
            "numHeads": 2, "keyDim": 3, "valueDim": 5, "outputShape": null, "dropout": dropout, "useBias": true,
            "kernelInitializer": rule(), "biasInitializer": rule()
        }),
    )
}

/// A Transformer of two layers on each side; with `mixed`, LSTMs between.
fn transformer(mask: bool, mixed: bool, dropout: f32) -> Value {
    let mut graph = Graph::default();
    let mut source = graph.words("source", 8, mask);
    for _ in 0..2 {
        let seen = graph.attend(source, source, false, dropout);
        source = graph.joined(source, seen);
    }
    let mut target = graph.words("target", 8, mask);
    for _ in 0..2 {
        let own = graph.attend(target, target, true, dropout);
        target = graph.joined(target, own);
        let other = graph.attend(target, source, false, dropout);
        target = graph.joined(target, other);
        if mixed {
            let mut options = lstm("between", true, false);
            options["options"]["returnState"] = json!(false);
            let recurrent = graph.call(options, &[target]);
            target = graph.joined(target, recurrent);
        }
        let wide = graph.call(dense("wide", 16, "relu"), &[target]);
        let narrow = graph.call(dense("narrow", 8, "linear"), &[wide]);
        target = graph.joined(target, narrow);
    }
    graph.finish(target)
}

/// A decoder alone, with keys and values of fewer heads.
fn language_model(mixed: bool) -> Value {
    let mut graph = Graph::default();
    let mut target = graph.words("target", 8, true);
    for _ in 0..2 {
        let grouped = layer(
            "grouped",
            "groupedQueryAttention",
            json!({
                "numQueryHeads": 4, "numKeyValueHeads": 2, "headDim": 3, "dropout": 0.0, "useBias": false,
                "kernelInitializer": rule(), "biasInitializer": rule()
            }),
        );
        let call = json!({ "inputs": ["query", "value"], "useCausalMask": true, "returnAttentionScores": false });
        let own = graph.said(grouped, &[target, target], call);
        target = graph.joined(target, own);
        if mixed {
            let mut options = lstm("between", true, false);
            options["options"]["returnState"] = json!(false);
            let recurrent = graph.call(options, &[target]);
            target = graph.joined(target, recurrent);
        }
    }
    graph.finish(target)
}

#[test]
fn attention_steps_as_it_runs_on_whole_sequences() {
    for (mask, mixed, dropout) in [(true, false, 0.0), (true, true, 0.2), (false, true, 0.0)] {
        let model = model(&transformer(mask, mixed, dropout), cpu());
        check_equal(&generate(&model, &rows(), false), &generate(&model, &rows(), true));
    }
    let model = model(&transformer(true, true, 0.0), Box::new(Candle::default()));
    check_equal(&generate(&model, &rows(), false), &generate(&model, &rows(), true));
}

/// What is computed once is masked in a step too: padding of a sentence is not attended to.
#[test]
fn padding_of_the_source_changes_nothing() {
    let model = model(&transformer(true, false, 0.0), cpu());
    let together = generate(&model, &rows(), false);
    for (row, alone) in rows().iter().enumerate() {
        let alone = generate(&model, std::slice::from_ref(alone), false);
        let length = together.lengths[row] as usize;
        assert_eq!(alone.ids, together.ids[row * together.length..][..length]);
        assert!((alone.scores[0] - together.scores[row]).abs() < 1e-4);
    }
}

#[test]
fn decoders_without_an_encoder_go_on_from_prompts() {
    // Some are empty or have masked steps; not the last one, which would average what comes behind it.
    let of_lengths = |lengths: &[usize]| -> Vec<Vec<i32>> {
        let token = |row: usize, step: usize| 3 + (row * 5 + step * 3) as i32 % 20;
        let masked = |row: usize, step: usize, length: usize| (row + step) % 4 == 3 && step + 1 < length;
        let prompt = |(row, &length): (usize, &usize)| {
            (0..length).map(|step| if masked(row, step, length) { 0 } else { token(row, step) }).collect()
        };
        lengths.iter().enumerate().map(prompt).collect()
    };
    for mixed in [false, true] {
        for backend in [cpu(), Box::new(Candle::default())] {
            let model = model(&language_model(mixed), backend);
            for lengths in [&[0][..], &[0, 0, 0], &[4, 4], &[3, 7, 20, 1, 5]] {
                let prompts = of_lengths(lengths);
                let step = prompted(&model, &[], prompts.clone(), false);
                let whole = prompted(&model, &[], prompts.clone(), true);
                check_equal(&step, &whole);
                assert_eq!(step.lengths.len(), lengths.len());
                assert!(step.lengths.iter().all(|&length| (1..=15).contains(&length)));
            }
        }
    }
}

#[test]
fn attention_that_looks_ahead_is_refused_by_name() {
    let refused = |make: &dyn Fn(&mut Graph) -> Output| {
        let mut graph = Graph::default();
        let last = make(&mut graph);
        refusal(&graph.finish(last), 1).message
    };
    let message = refused(&|graph| {
        graph.words("source", 8, true);
        let target = graph.words("target", 8, true);
        graph.attend(target, target, false, 0.0)
    });
    assert!(message.contains("layer heads4 cannot decode") && message.contains("useCausalMask"), "{message}");
    let message = refused(&|graph| {
        let source = graph.words("source", 8, true);
        let target = graph.words("target", 8, true);
        graph.attend(source, target, false, 0.0)
    });
    assert!(message.contains("layer heads4 cannot decode: it attends to all"), "{message}");
    let message = refused(&|graph| {
        let source = graph.words("source", 8, true);
        let target = graph.words("target", 8, true);
        let mask = graph.call(
            layer("mask", "input", json!({ "shape": ["batch", "targetLength", "sourceLength"], "dtype": "int32" })),
            &[],
        );
        graph.inputs.push(json!(mask));
        let call = json!({
            "inputs": ["query", "value", "attentionMask"], "useCausalMask": false, "returnAttentionScores": false
        });
        graph.said(heads(0.0), &[target, source, mask], call)
    });
    assert!(message.contains("layer heads5 cannot decode: its attentionMask"), "{message}");
}

#[test]
fn treatments_of_attention_are_told() {
    let document = GraphDocument::parse(&transformer(true, false, 0.0).to_string()).unwrap();
    let incremental = Incremental::new(&Plan::new(&document).unwrap(), 1, 0).unwrap();
    assert_eq!(incremental.caches, 2);
    let of_heads: Vec<Treatment> = incremental
        .treatments
        .iter()
        .filter(|(layer, how)| layer.starts_with("heads") && *how != Treatment::Once)
        .map(|(_, how)| *how)
        .collect();
    assert!(of_heads.contains(&Treatment::Recurrent) && of_heads.contains(&Treatment::Pointwise), "{of_heads:?}");
}
