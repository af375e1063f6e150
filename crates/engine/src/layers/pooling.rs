//! One step for all steps of a sequence: their mean or their maximum.
use serde::Deserialize;

use super::{Inference, Signature, float};
use crate::shape::{Dimension, ElementType, describe};

/// Where the features of a sequence are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum DataFormat {
    /// `[batch, time, features]`.
    ChannelsLast,
    /// `[batch, features, time]`.
    ChannelsFirst,
}

/// Options of a global pooling.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PoolingOptions {
    /// Where the features are.
    pub data_format: DataFormat,
    /// Whether time stays as an axis of size 1.
    pub keepdims: bool,
}

impl PoolingOptions {
    /// The axis of time.
    #[must_use]
    pub fn axis(&self) -> usize {
        if self.data_format == DataFormat::ChannelsLast { 1 } else { 2 }
    }

    /// `uses_mask`: steps that the mask leaves out do not count.
    pub(super) fn infer(&self, inputs: &[Signature], uses_mask: bool) -> Result<Inference, String> {
        let [x] = inputs else { return Err(format!("expected 1 input, got {}", inputs.len())) };
        float(x, "its input")?;
        if x.shape.len() != 3 {
            return Err(format!("expected a sequence of three axes, got shape {}", describe(&x.shape)));
        }
        if uses_mask && x.masked && self.axis() == 2 {
            return Err("expected dataFormat channelsLast, since the mask of its input is over axis 1; got \
                        channelsFirst"
                .to_owned());
        }
        let mut shape = x.shape.clone();
        if self.keepdims {
            shape[self.axis()] = Dimension::Size(1);
        } else {
            shape.remove(self.axis());
        }
        Ok(Inference::single(shape, ElementType::Float32, false))
    }
}
