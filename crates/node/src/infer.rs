//! Shape inference of one layer call.
use napi_derive::napi;
use sconce_engine::{
    Code, Error,
    graph::LayerDocument,
    layers::{LayerKind, Signature},
};

use crate::error::{Result, thrown};

fn parse<'a, T: serde::Deserialize<'a>>(what: &str, text: &'a str) -> Result<T> {
    serde_json::from_str(text).map_err(|error| thrown(Error::new(Code::Graph, format!("{what}: {error}"))))
}

/// Shapes and weights of a call of a layer: JSON of the layer (`docs/graph.md`) and of its inputs' signatures in, JSON out.
#[napi(catch_unwind)]
pub fn infer_layer(layer_json: String, inputs_json: String) -> Result<String> {
    let layer: LayerDocument = parse("layer", &layer_json)?;
    let inputs: Vec<Signature> = parse("inputs", &inputs_json)?;
    let inference = LayerKind::parse(&layer).and_then(|kind| kind.infer(&layer.name, &inputs)).map_err(thrown)?;
    serde_json::to_string(&inference).map_err(|error| thrown(Error::new(Code::Internal, error.to_string())))
}
