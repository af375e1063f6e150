//! A layer at each step of a sequence by itself.
use serde::Deserialize;

use super::{Inference, LayerKind, Signature, options};
use crate::{
    error::{Code, Error, Result},
    expression::Expression,
    graph::LayerDocument,
    shape::{Shape, describe},
};

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TimeDistributedOptions {
    layer: LayerDocument,
}

/// A layer that is applied to each step.
#[derive(Clone, Debug)]
pub struct TimeDistributed {
    /// The layer, which sees `[batch times time, ...]`.
    pub inner: Box<LayerKind>,
    /// Its type, for messages.
    kind: String,
    /// Whether its weights are trained if those of the wrapper are.
    trainable: bool,
}

impl TimeDistributed {
    pub(super) fn parse(layer: &LayerDocument) -> Result<Self> {
        let TimeDistributedOptions { layer: inner } = options(layer)?;
        let named = LayerDocument { name: format!("{} (its {})", layer.name, inner.kind), ..inner };
        let kind = LayerKind::parse(&named)?;
        if matches!(kind, LayerKind::Input(_)) {
            return Err(Error::new(
                Code::Option,
                format!("layer {}: expected a layer that computes something, got an input", layer.name),
            ));
        }
        if matches!(&kind, LayerKind::Recurrent(options) if options.stateful) {
            return Err(Error::new(
                Code::Option,
                format!("layer {}: a layer at each step cannot be stateful", layer.name),
            ));
        }
        Ok(Self { inner: Box::new(kind), kind: named.kind, trainable: named.trainable })
    }

    /// What the inner layer sees of an input: batch and time as one axis.
    pub(crate) fn step(x: &Signature) -> std::result::Result<Signature, String> {
        let [batch, time, _, ..] = x.shape.as_slice() else {
            return Err(format!(
                "expected an input of at least three dimensions [batch, time, ...], got {}",
                describe(&x.shape)
            ));
        };
        let mut shape = vec![Expression::product(&[batch.clone(), time.clone()])?.dimension()?];
        shape.extend_from_slice(&x.shape[2..]);
        Ok(Signature { shape, dtype: x.dtype, masked: x.masked })
    }

    pub(super) fn infer(&self, layer: &str, inputs: &[Signature]) -> Result<Inference> {
        let bad = |reason: String| Error::new(Code::Shape, format!("layer {layer}: {reason}"));
        let [x] = inputs else { return Err(bad(format!("expected 1 input, got {}", inputs.len()))) };
        let step = Self::step(x).map_err(bad)?;
        let mut inference = self.inner.infer(&format!("{layer} (its {})", self.kind), &[step])?;
        for output in &mut inference.outputs {
            let mut shape: Shape = x.shape[..2].to_vec();
            shape.extend_from_slice(&output.shape[1..]);
            output.shape = shape;
            // Whatever the inner layer does with masks, the steps that count are those of the input.
            output.masked = x.masked;
        }
        inference.weights.iter_mut().for_each(|weight| weight.trainable &= self.trainable);
        Ok(inference)
    }

    /// The layer that gives the same on the whole sequence, if there is one: for layers that act on the last axes alone.
    pub(crate) fn over_steps(&self) -> Option<LayerKind> {
        over_steps(&self.inner)
    }
}

fn over_steps(kind: &LayerKind) -> Option<LayerKind> {
    let later = |axes: &[i64]| axes.iter().map(|&axis| if axis < 0 { axis } else { axis + 1 }).collect();
    match kind {
        LayerKind::Dense(_) | LayerKind::Dropout(_) | LayerKind::Activation(_) => Some(kind.clone()),
        LayerKind::Embedding(options) => {
            let mut options = options.clone();
            options.mask_zero = false;
            Some(LayerKind::Embedding(options))
        }
        LayerKind::LayerNormalization(options) => {
            let mut options = options.clone();
            options.axis = later(&options.axis);
            Some(LayerKind::LayerNormalization(options))
        }
        LayerKind::Softmax(options) => {
            let mut options = options.clone();
            options.axis = later(&options.axis);
            Some(LayerKind::Softmax(options))
        }
        LayerKind::TimeDistributed(wrapper) => over_steps(&over_steps(&wrapper.inner)?),
        _ => None,
    }
}
