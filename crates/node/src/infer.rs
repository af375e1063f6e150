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

/// Shapes and weights of a call of a layer: JSON of the layer (`docs/graph.md`), of its inputs' signatures, and of what the
/// call says besides, if it does, in; JSON out.
#[napi(catch_unwind)]
pub fn infer_layer(layer_json: String, inputs_json: String, call_json: Option<String>) -> Result<String> {
    let layer: LayerDocument = parse("layer", &layer_json)?;
    let inputs: Vec<Signature> = parse("inputs", &inputs_json)?;
    let call: serde_json::Value = parse("call", call_json.as_deref().unwrap_or("null"))?;
    let inference = LayerKind::parse(&layer)
        .and_then(|kind| kind.called(&layer.name, &call)?.infer(&layer.name, &inputs))
        .map_err(thrown)?;
    serde_json::to_string(&inference).map_err(|error| thrown(Error::new(Code::Internal, error.to_string())))
}
