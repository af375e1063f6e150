//! Positions as angles by which pairs of features are turned.
use ::candle_core::{D, Tensor as Array};
use sconce_kernels::positions::{Order, rotary::Rotation};

use super::Run;
use crate::error::Result;

impl Run<'_> {
    /// Heads turned by the angles of their positions, or back.
    pub(super) fn rotated(&self, x: &Array, rotation: Rotation, back: bool) -> Result<Array> {
        let Rotation { heads, width, order, wavelength } = rotation;
        let (batch, steps, _) = x.dims3()?;
        let (first, pairs) = (self.forward.position(), width / 2);
        let angles: Vec<f64> = (first..first + steps)
            .flat_map(|step| {
                (0..pairs).map(move |pair| step as f64 * wavelength.powf(-2.0 * pair as f64 / width as f64))
            })
            .collect();
        let sign = if back { -1.0 } else { 1.0 };
        let sines: Vec<f32> = angles.iter().map(|angle| (sign * angle.sin()) as f32).collect();
        let cosines: Vec<f32> = angles.iter().map(|angle| angle.cos() as f32).collect();
        let (sines, cosines) = (self.upload(&sines, &[steps, 1, pairs])?, self.upload(&cosines, &[steps, 1, pairs])?);
        // Pairs along an axis of their own.
        let axis = if order == Order::Halves { 3 } else { 4 };
        let shape =
            if order == Order::Halves { [batch, steps, heads, 2, pairs] } else { [batch, steps, heads, pairs, 2] };
        let x = x.reshape(&shape[..])?;
        let (one, other) = (x.narrow(axis, 0, 1)?.squeeze(axis)?, x.narrow(axis, 1, 1)?.squeeze(axis)?);
        let first = (one.broadcast_mul(&cosines)? - other.broadcast_mul(&sines)?)?;
        let second = (other.broadcast_mul(&cosines)? + one.broadcast_mul(&sines)?)?;
        let turned = if order == Order::Halves {
            Array::cat(&[first, second], D::Minus1)?
        } else {
            Array::stack(&[first, second], 4)?
        };
        Ok(turned.reshape((batch, steps, heads * width))?)
    }
}
