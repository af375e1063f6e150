//! Operations of layers that act along axes or step by step.
use super::{Operation, Plan, ValueId};
use crate::layers::{
    LayerNormalizationOptions, PoolingOptions, RmsNormalizationOptions, Signature, SoftmaxOptions, TimeDistributed,
};

/// A layer normalisation, resolved. Its weights are `gamma` (or `scale`), then `beta`.
#[derive(Clone, Debug, PartialEq)]
pub struct Normalization {
    /// Axes over which mean and variance are taken, ascending.
    pub axes: Vec<usize>,
    /// Added to the variance.
    pub epsilon: f32,
    /// Whether there is a `gamma`.
    pub scale: bool,
    /// Whether there is a `beta`.
    pub center: bool,
    /// Whether the mean is taken away: not if rows are only divided by their root mean square.
    pub centred: bool,
}

impl Normalization {
    pub(super) fn new(options: &LayerNormalizationOptions, outputs: &[Signature]) -> Self {
        // Inference has checked the axes; outputs have the shape of the input.
        let axes = outputs.first().and_then(|output| options.positions(&output.shape).ok()).unwrap_or_default();
        Self { axes, epsilon: options.epsilon, scale: options.scale, center: options.center, centred: true }
    }

    pub(super) fn of_squares(options: &RmsNormalizationOptions, outputs: &[Signature]) -> Self {
        // As above.
        let axes = outputs.first().and_then(|output| options.positions(&output.shape).ok()).unwrap_or_default();
        Self { axes, epsilon: options.epsilon, scale: true, center: false, centred: false }
    }
}

/// A global pooling, resolved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pooling {
    /// The maximum instead of the mean.
    pub maximum: bool,
    /// The axis of time: 1 or 2 of 3.
    pub axis: usize,
    /// Whether time stays as an axis of size 1.
    pub keepdims: bool,
}

impl Pooling {
    pub(super) fn new(options: PoolingOptions, maximum: bool) -> Self {
        Self { maximum, axis: options.axis(), keepdims: options.keepdims }
    }

    /// The shape of the output for one of the input.
    #[must_use]
    pub fn shape(&self, input: &[usize]) -> Vec<usize> {
        let mut shape = input.to_vec();
        shape[self.axis] = 1;
        if !self.keepdims {
            shape.remove(self.axis);
        }
        shape
    }
}

/// Softmax over axes; over the last one, without a mask, it is the softmax of any activation.
pub(super) fn softmax(options: &SoftmaxOptions, inputs: &[ValueId], outputs: &[Signature]) -> Operation {
    let shape = outputs.first().map(|output| output.shape.as_slice()).unwrap_or_default();
    // Inference has checked the axes.
    let axes = options.positions(shape).unwrap_or_default();
    if inputs.len() == 1 && axes.len() == 1 && axes[0] + 1 == shape.len() {
        return Operation::Softmax;
    }
    Operation::SoftmaxOver(axes)
}

impl Plan {
    /// Nodes of a layer at each step: on the whole sequence where the layer acts on its last axes alone, otherwise with
    /// batch and time as one axis.
    pub(super) fn expand_steps(
        &mut self,
        wrapper: &TimeDistributed,
        layer: usize,
        inputs: Vec<ValueId>,
        outputs: Vec<Signature>,
    ) -> Vec<ValueId> {
        if let Some(kind) = wrapper.over_steps() {
            return self.expand(&kind, layer, inputs, outputs);
        }
        let whole = inputs[0];
        // Both were inferred before, with success.
        let Ok(step) = TimeDistributed::step(&self.values[whole]) else { return Vec::new() };
        let Ok(inner) = wrapper.inner.infer("", std::slice::from_ref(&step)) else {
            return Vec::new();
        };
        let folded = self.push(Operation::FoldTime, layer, inputs, vec![step]);
        let values = self.expand(&wrapper.inner, layer, folded, inner.outputs);
        let pairs = values.into_iter().zip(outputs);
        pairs
            .flat_map(|(value, output)| self.push(Operation::UnfoldTime, layer, vec![value, whole], vec![output]))
            .collect()
    }
}
