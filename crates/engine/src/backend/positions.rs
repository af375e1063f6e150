//! Which steps of a sequence a pass sees.
use sconce_kernels::buffer::Buffer;

use crate::{
    error::{Code, Error, Result},
    plan::PositionPlan,
    tensor::Tensor,
};

/// Steps `first..first + count` of `batch` sequences: all of them, or those that follow what was decoded before.
pub(super) struct Steps {
    batch: usize,
    pub first: usize,
    count: usize,
}

impl Steps {
    /// `counted`: how many steps were before, `[batch, 1]`; without it none.
    pub fn new(counted: Option<&Tensor>, batch: usize, count: usize) -> Result<Self> {
        let first = match counted {
            // Whole numbers of 32-bit floats; all rows have the same.
            Some(counted) => counted.floats()?.first().copied().unwrap_or(0.0) as usize,
            None => 0,
        };
        Ok(Self { batch, first, count })
    }

    /// Whether the table of a layer has a row for each step.
    pub fn check(&self, layer: &str, plan: PositionPlan) -> Result<()> {
        let (steps, longest) = (self.first + self.count, plan.longest.unwrap_or(usize::MAX));
        if steps <= longest {
            return Ok(());
        }
        Err(Error::new(
            Code::Data,
            format!(
                "layer {layer}: expected sequences of at most {longest} steps (maxLength), got {steps}: shorten them, or \
                 make the model with a larger maxLength"
            ),
        ))
    }

    /// How many steps were before the next ones.
    pub fn next(&self) -> Tensor {
        let mut counted = Buffer::new(self.batch);
        counted.fill((self.first + self.count) as f32);
        Tensor::float(vec![self.batch, 1], counted)
    }
}
