//! Vectors of length 1 along an axis.
use super::{check_axis, exactly};
use crate::layers::{Inference, Signature, float};

pub(super) fn infer(axis: usize, inputs: &[Signature]) -> Result<Inference, String> {
    let [x] = exactly(inputs)?;
    float(x, "its input")?;
    check_axis(axis, x)?;
    Ok(Inference::single(x.shape.clone(), x.dtype, false))
}
