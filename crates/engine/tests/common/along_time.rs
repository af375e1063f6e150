//! Layers along time for documents.
use serde_json::{Value, json};

use super::models::{Document, Reference};

/// A layer that is called once.
pub fn call(document: &mut Document, kind: &str, options: Value, inputs: &[Reference]) -> Reference {
    let layer = document.layer(kind, options);
    document.call(layer, inputs)
}

pub fn normalization(axis: &[i64]) -> Value {
    let start = json!({ "type": "provided" });
    json!({
        "axis": axis, "epsilon": 1e-3, "center": true, "scale": true, "betaInitializer": start, "gammaInitializer": start
    })
}

/// The document of a layer within another.
pub fn inner(kind: &str, options: Value) -> Value {
    json!({ "layer": { "name": kind, "type": kind, "trainable": true, "options": options } })
}

pub fn lstm_options(units: usize, sequences: bool) -> Value {
    let start = json!({ "type": "provided" });
    json!({
        "units": units, "activation": "tanh", "recurrentActivation": "sigmoid", "useBias": true, "unitForgetBias": true,
        "kernelInitializer": start, "recurrentInitializer": start, "biasInitializer": start, "dropout": 0.0,
        "recurrentDropout": 0.0, "returnSequences": sequences, "returnState": false, "goBackwards": false,
        "zeroOutputForMask": false
    })
}

pub fn dense_options(units: usize) -> Value {
    let start = json!({ "type": "provided" });
    json!({
        "units": units, "activation": "tanh", "useBias": true, "kernelInitializer": start, "biasInitializer": start
    })
}

/// Options of a pooling of the mean that keeps the axis of time or not.
pub fn pooling(keepdims: bool) -> Value {
    json!({ "dataFormat": "channelsLast", "keepdims": keepdims })
}

/// A layer along time, by number, of a sequence of `width` features; it gives one too.
pub fn any(document: &mut Document, number: usize, width: usize, x: Reference, other: Reference) -> Reference {
    match number {
        0 => call(document, "layerNormalization", normalization(&[-1]), &[x]),
        1 => call(document, "spatialDropout1d", json!({ "rate": 0.3 }), &[x]),
        2 => call(document, "softmax", json!({ "axis": [1] }), &[x]),
        3 => call(document, "softmax", json!({ "axis": [-1] }), &[x, other]),
        4 => call(document, "masking", json!({ "maskValue": 0.0 }), &[x]),
        5 => call(document, "timeDistributed", inner("dense", dense_options(width)), &[x]),
        _ => {
            let repeated = call(document, "timeDistributed", inner("repeatVector", json!({ "n": 2 })), &[x]);
            call(document, "timeDistributed", inner("lstm", lstm_options(width, false)), &[repeated])
        }
    }
}
