//! Layers and cancellation as JavaScript holds them.
use std::sync::Arc;

use napi_derive::napi;
use sconce_engine::{Code, Error, interrupt::Flag, layers::WeightSpecification, weights::LayerWeights};

use crate::error::{Result, thrown};

/// The weights of a layer, shared by all models that contain it.
#[napi]
pub struct NativeLayer {
    pub(crate) weights: Arc<LayerWeights>,
}

#[napi]
impl NativeLayer {
    /// A layer with the weights that shape inference gave it (JSON), without values.
    #[napi(constructor, catch_unwind)]
    pub fn new(name: String, weights_json: String) -> Result<Self> {
        let weights: Vec<WeightSpecification> = serde_json::from_str(&weights_json)
            .map_err(|error| thrown(Error::new(Code::Graph, format!("layer {name}: {error}"))))?;
        Ok(Self { weights: Arc::new(LayerWeights::new(name, weights)) })
    }

    /// Whether models that are compiled from now on train it.
    #[napi(catch_unwind)]
    pub fn set_trainable(&self, trainable: bool) {
        self.weights.set_trainable(trainable);
    }
}

/// Cancels one call.
#[napi]
#[derive(Default)]
pub struct NativeCancel {
    pub(crate) flag: Flag,
}

#[napi]
impl NativeCancel {
    /// Not cancelled.
    #[napi(constructor, catch_unwind)]
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Ends the call soon, with code `CANCELLED`.
    #[napi(catch_unwind)]
    pub fn cancel(&self) {
        self.flag.raise();
    }
}
