//! Whole models, as documents.
use serde_json::{Value, json};

/// Builds a document call by call.
#[derive(Default)]
pub struct Document {
    layers: Vec<Value>,
    nodes: Vec<Value>,
    inputs: Vec<Value>,
}

/// Layers of tensors of one shape.
pub const MERGES: [&str; 6] = ["add", "subtract", "multiply", "average", "maximum", "minimum"];

/// A call and the number of its output.
pub type Reference = (usize, usize);

impl Document {
    /// A layer, to be called once or more.
    pub fn layer(&mut self, kind: &str, options: Value) -> usize {
        let name = format!("{kind}{}", self.layers.len());
        self.layers.push(json!({ "name": name, "type": kind, "trainable": true, "options": options }));
        self.layers.len() - 1
    }

    pub fn call(&mut self, layer: usize, inputs: &[Reference]) -> Reference {
        self.nodes.push(json!({ "layer": layer, "inputs": inputs }));
        (self.nodes.len() - 1, 0)
    }

    /// A call that says more than its inputs.
    pub fn said(&mut self, layer: usize, inputs: &[Reference], call: Value) -> Reference {
        self.nodes.push(json!({ "layer": layer, "inputs": inputs, "call": call }));
        (self.nodes.len() - 1, 0)
    }

    fn once(&mut self, kind: &str, options: Value, inputs: &[Reference]) -> Reference {
        let layer = self.layer(kind, options);
        self.call(layer, inputs)
    }

    pub fn input(&mut self, shape: Value, dtype: &str) -> Reference {
        let input = self.once("input", json!({ "shape": shape, "dtype": dtype }), &[]);
        self.inputs.push(json!(input));
        input
    }

    pub fn embedding_layer(&mut self, rows: usize, width: usize) -> usize {
        let start = json!({ "type": "provided" });
        let options = json!({ "inputDim": rows, "outputDim": width, "maskZero": true, "embeddingsInitializer": start });
        self.layer("embedding", options)
    }

    pub fn lstm_layer(&mut self, units: usize, changed: Value) -> usize {
        let options = recurrent_options("lstm", units, &changed);
        self.layer("lstm", options)
    }

    pub fn lstm(&mut self, units: usize, changed: Value, inputs: &[Reference]) -> Reference {
        let layer = self.lstm_layer(units, changed);
        self.call(layer, inputs)
    }

    /// `kind` is `lstm`, `gru` or `simpleRnn`.
    pub fn recurrent(&mut self, kind: &str, units: usize, changed: Value, inputs: &[Reference]) -> Reference {
        let options = recurrent_options(kind, units, &changed);
        self.once(kind, options, inputs)
    }

    /// `kind` as for [`Document::recurrent`]; the backward layer differs by `backward`.
    pub fn bidirectional(
        &mut self,
        kind: &str,
        units: usize,
        [changed, backward]: [Value; 2],
        mode: Option<&str>,
        inputs: &[Reference],
    ) -> Reference {
        let side = |name: &str, options: Value| json!({ "name": name, "type": kind, "options": options });
        let forward = recurrent_options(kind, units, &changed);
        let mut second = forward.clone();
        second["goBackwards"] = json!(true);
        for (name, value) in backward.as_object().into_iter().flatten() {
            second[name] = value.clone();
        }
        let options = json!({
            "layer": side("forward", forward), "backwardLayer": side("backward", second), "mergeMode": mode
        });
        self.once("bidirectional", options, inputs)
    }

    pub fn dense(&mut self, units: usize, activation: &str, use_bias: bool, input: Reference) -> Reference {
        let start = json!({ "type": "provided" });
        let options = json!({
            "units": units, "activation": activation, "useBias": use_bias,
            "kernelInitializer": start, "biasInitializer": start
        });
        self.once("dense", options, &[input])
    }

    pub fn dropout(&mut self, rate: f32, input: Reference) -> Reference {
        self.once("dropout", json!({ "rate": rate }), &[input])
    }

    pub fn concatenate(&mut self, inputs: &[Reference]) -> Reference {
        self.once("concatenate", json!({ "axis": -1 }), inputs)
    }

    /// `kind` is one of [`MERGES`].
    pub fn merge(&mut self, kind: &str, inputs: &[Reference]) -> Reference {
        self.once(kind, json!({}), inputs)
    }

    pub fn repeat_vector(&mut self, n: usize, input: Reference) -> Reference {
        self.once("repeatVector", json!({ "n": n }), &[input])
    }

    pub fn add(&mut self, inputs: &[Reference]) -> Reference {
        self.merge("add", inputs)
    }

    pub fn finish(self, outputs: &[Reference]) -> String {
        let Self { layers, nodes, inputs } = self;
        json!({
            "format": "sconce-graph", "version": 1, "layers": layers, "nodes": nodes,
            "inputs": inputs, "outputs": outputs
        })
        .to_string()
    }
}

fn recurrent_options(kind: &str, units: usize, changed: &Value) -> Value {
    let start = json!({ "type": "provided" });
    let mut options = json!({
        "units": units, "activation": "tanh", "useBias": true, "kernelInitializer": start,
        "recurrentInitializer": start, "biasInitializer": start, "dropout": 0.0, "recurrentDropout": 0.0,
        "returnSequences": true, "returnState": false, "goBackwards": false, "zeroOutputForMask": false
    });
    let own: &[(&str, Value)] = match kind {
        "lstm" => &[("recurrentActivation", json!("sigmoid")), ("unitForgetBias", json!(true))],
        "gru" => &[("recurrentActivation", json!("sigmoid")), ("resetAfter", json!(true))],
        _ => &[],
    };
    for (name, value) in own {
        options[name] = value.clone();
    }
    for (name, value) in changed.as_object().into_iter().flatten() {
        options[name] = value.clone();
    }
    options
}

/// The encoder-decoder of the textbooks: one table for both sides, the encoder's states start the decoder.
pub fn textbook(rows: usize, width: usize, units: usize) -> String {
    let mut document = Document::default();
    let source = document.input(json!(["batch", "source"]), "int32");
    let target = document.input(json!(["batch", "target"]), "int32");
    let table = document.embedding_layer(rows, width);
    let (x, z) = (document.call(table, &[source]), document.call(table, &[target]));
    let encoder = document.lstm(units, json!({ "returnSequences": false, "returnState": true }), &[x]);
    let states = [(encoder.0, 1), (encoder.0, 2)];
    let decoder = document.lstm(units, json!({ "returnState": true }), &[z, states[0], states[1]]);
    let output = document.dense(rows, "softmax", true, decoder);
    document.finish(&[output])
}

/// Everything at once: dropout in all places, both directions, joined masks, layers called twice, two outputs.
pub fn everything(rows: usize, width: usize, units: usize, rate: f32) -> String {
    let mut document = Document::default();
    let source = document.input(json!(["batch", "time"]), "int32");
    let features = document.input(json!(["batch", "time", width]), "float32");
    let table = document.embedding_layer(rows, width);
    let ids = document.call(table, &[source]);
    let x = document.dropout(rate, ids);
    let dropped = json!({ "dropout": rate, "recurrentDropout": rate });
    let shared = document.lstm_layer(units, dropped);
    let first = document.call(shared, &[x]);
    let second = document.call(shared, &[features]);
    let back = json!({
        "goBackwards": true, "dropout": rate, "zeroOutputForMask": true, "recurrentActivation": "hardSigmoid",
        "activation": "softsign", "useBias": false
    });
    let backward = document.lstm(units, back, &[x]);
    let summed = document.add(&[first, backward, first]);
    let joined = document.concatenate(&[summed, first]);
    let last = document.lstm(units, json!({ "returnSequences": false, "returnState": true }), &[joined]);
    // The output of the last step, state h and one state twice.
    let decoder = document.lstm(units, json!({ "recurrentDropout": rate }), &[joined, (last.0, 2), (last.0, 2)]);
    let hidden = document.dense(units, "geluTanh", false, decoder);
    let dropped = document.dropout(rate, hidden);
    let both = document.concatenate(&[dropped, second]);
    let words = document.dense(rows, "softmax", true, both);
    let state = document.add(&[last, (last.0, 1)]);
    let class = document.dense(5, "selu", true, state);
    let probabilities = document.dense(3, "sigmoid", true, class);
    document.finish(&[words, probabilities])
}

/// A class from last output and state of an LSTM over features, which begins with the states of one over ids.
pub fn continued(rows: usize, width: usize, units: usize) -> String {
    let mut document = Document::default();
    let source = document.input(json!(["batch", "time"]), "int32");
    let features = document.input(json!(["batch", "steps", width]), "float32");
    let table = document.embedding_layer(rows, width);
    let ids = document.call(table, &[source]);
    let first = document.lstm(units, json!({ "returnSequences": false, "returnState": true }), &[ids]);
    let states = json!({ "returnSequences": false, "returnState": true });
    let last = document.lstm(units, states, &[features, (first.0, 1), (first.0, 2)]);
    let joined = document.concatenate(&[last, (last.0, 1)]);
    let class = document.dense(rows, "softmax", true, joined);
    document.finish(&[class])
}

/// Steps of [`merging`].
pub const STEPS: usize = 5;

/// All merges, of values with masks and without, and a repeated state.
pub fn merging(rows: usize, width: usize) -> String {
    let mut document = Document::default();
    let source = document.input(json!(["batch", "time"]), "int32");
    let features = document.input(json!(["batch", "time", width]), "float32");
    let table = document.embedding_layer(rows, width);
    let x = document.call(table, &[source]);
    let free = document.dense(width, "tanh", true, features);
    let first = document.lstm(width, json!({}), &[x]);
    let product = document.merge("multiply", &[x, free, first]);
    let largest = document.merge("maximum", &[x, first, free]);
    let smallest = document.merge("minimum", &[first, x]);
    let difference = document.merge("subtract", &[largest, smallest]);
    let both = document.merge("multiply", &[smallest, x]);
    let last = document.lstm(width, json!({}), &[both]);
    let mean = document.merge("average", &[product, difference, last]);
    let state = document.lstm(width, json!({ "returnSequences": false }), &[both]);
    let steps = document.repeat_vector(STEPS, state);
    let gated = document.merge("multiply", &[mean, steps]);
    let words = document.dense(rows, "softmax", true, gated);
    document.finish(&[words])
}

/// A bidirectional encoder whose states begin a decoder, every recurrent layer and merge, with dropout everywhere.
pub fn recurrent(rows: usize, width: usize, units: usize, rate: f32) -> String {
    let mut document = Document::default();
    let source = document.input(json!(["batch", "source"]), "int32");
    let target = document.input(json!(["batch", "target"]), "int32");
    let table = document.embedding_layer(rows, width);
    let (x, z) = (document.call(table, &[source]), document.call(table, &[target]));
    let dropped = json!({ "dropout": rate, "recurrentDropout": rate });
    let other = json!({ "activation": "softsign", "useBias": false });
    let both = document.bidirectional("lstm", units, [dropped.clone(), other], Some("concat"), &[x]);
    let summed = document.bidirectional("gru", units, [json!({ "dropout": rate }), json!({})], Some("sum"), &[both]);
    let early = json!({ "resetAfter": false, "dropout": rate, "recurrentDropout": rate, "goBackwards": true });
    let back = document.recurrent("gru", units, early, &[summed]);
    let product = document.bidirectional("simpleRnn", units, [dropped.clone(), json!({})], Some("mul"), &[back]);
    let pair = document.bidirectional("gru", units, [dropped.clone(), json!({})], None, &[product]);
    let states = json!({ "returnSequences": false, "returnState": true });
    let inputs = [(pair.0, 1)];
    let last = document.bidirectional("simpleRnn", units, [states.clone(), json!({})], Some("ave"), &inputs);
    let first = document.recurrent("simpleRnn", units, states, &[pair, (last.0, 2)]);
    let mean = document.merge("average", &[last, (last.0, 1), first, (first.0, 1)]);
    let decoder = document.recurrent("gru", units, dropped, &[z, mean]);
    let words = document.dense(rows, "softmax", true, decoder);
    document.finish(&[words])
}
