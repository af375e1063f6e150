//! The graph document that TypeScript sends (`docs/graph.md`).
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::{Code, Error, Result};

/// Nodes and layers that one document may have at most.
const MAXIMUM_NODES: usize = 100_000;

/// A call of a layer, and which of its outputs.
pub type ValueReference = (usize, usize);

/// A layer: once, however often it is called.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LayerDocument {
    /// Unique name.
    pub name: String,
    /// Type, such as `lstm`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Whether its weights are trained.
    #[serde(default = "yes")]
    pub trainable: bool,
    /// All options.
    pub options: Value,
}

fn yes() -> bool {
    true
}

/// A call of a layer.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeDocument {
    /// Index in `layers`.
    pub layer: usize,
    /// What it is called with.
    pub inputs: Vec<ValueReference>,
    /// What the call says besides; `null`: nothing. Only attention layers take something.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub call: Value,
}

/// A whole model.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GraphDocument {
    /// Always `sconce-graph`.
    pub format: String,
    /// Always 1.
    pub version: u32,
    /// Each layer once.
    pub layers: Vec<LayerDocument>,
    /// Calls, inputs before their users.
    pub nodes: Vec<NodeDocument>,
    /// Outputs of `input` nodes.
    pub inputs: Vec<ValueReference>,
    /// What the model returns.
    pub outputs: Vec<ValueReference>,
}

impl GraphDocument {
    /// Reads a document and checks everything that needs no shapes.
    ///
    /// # Errors
    /// `Graph` if it is malformed.
    pub fn parse(text: &str) -> Result<Self> {
        let bad = |message: String| Error::new(Code::Graph, message);
        let document: Self = serde_json::from_str(text).map_err(|error| bad(format!("graph document: {error}")))?;
        if document.format != "sconce-graph" || document.version != 1 {
            return Err(bad(format!(
                "graph document: expected format sconce-graph version 1, got {} version {}",
                document.format, document.version
            )));
        }
        if document.layers.len() > MAXIMUM_NODES || document.nodes.len() > MAXIMUM_NODES {
            return Err(Error::new(Code::Limit, format!("a graph has at most {MAXIMUM_NODES} layers and nodes")));
        }
        let mut names: Vec<_> = document.layers.iter().map(|layer| layer.name.as_str()).collect();
        names.sort_unstable();
        if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(bad(format!("two layers are named {}: give one of them another name", pair[0])));
        }
        for (index, node) in document.nodes.iter().enumerate() {
            if node.layer >= document.layers.len() || node.inputs.iter().any(|&(input, _)| input >= index) {
                return Err(bad(format!("graph document: node {index} refers to what does not exist before it")));
            }
        }
        let ends = document.inputs.iter().chain(&document.outputs);
        if ends.clone().any(|&(node, _)| node >= document.nodes.len()) || document.outputs.is_empty() {
            return Err(bad("graph document: inputs and outputs must be outputs of nodes".to_owned()));
        }
        Ok(document)
    }
}
