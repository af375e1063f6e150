//! Scores of additive attention as sums over a tensor of all hyperbolic tangents.
use ::candle_core::{D, Tensor as Array};

use super::Run;
use crate::{error::Result, plan::Node};

impl Run<'_> {
    /// Hyperbolic tangents, `[batch, T, S, features]`.
    fn tangents(&self, node: &Node) -> Result<Array> {
        let (query, key) = (self.floats(node.inputs[0])?, self.floats(node.inputs[1])?);
        Ok(query.unsqueeze(2)?.broadcast_add(&key.unsqueeze(1)?)?.tanh()?)
    }

    pub(super) fn additive_scores_forward(&self, node: &Node) -> Result<Array> {
        let mut tangents = self.tangents(node)?;
        if let Some(&factors) = node.inputs.get(3) {
            tangents = tangents.broadcast_mul(self.floats(factors)?)?;
        }
        Ok(tangents.sum(D::Minus1)?.unsqueeze(1)?)
    }

    pub(super) fn additive_scores_backward(&mut self, node: &Node, dscores: &Array) -> Result<()> {
        let tangents = self.tangents(node)?;
        let dscores = dscores.squeeze(1)?.unsqueeze(3)?;
        let mut slopes = tangents.sqr()?.affine(-1.0, 1.0)?.broadcast_mul(&dscores)?;
        if let Some(&factors) = node.inputs.get(3) {
            slopes = slopes.broadcast_mul(self.floats(factors)?)?;
            let width = tangents.dim(D::Minus1)?;
            let dfactors = tangents.broadcast_mul(&dscores)?.reshape(((), width))?.sum(0)?;
            self.add_gradient(factors, dfactors)?;
        }
        self.add_gradient(node.inputs[0], slopes.sum(2)?)?;
        self.add_gradient(node.inputs[1], slopes.sum(1)?)
    }
}
