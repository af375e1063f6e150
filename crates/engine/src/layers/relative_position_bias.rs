//! What is added to the scores of attention for the distance between query and key.
use serde::Deserialize;
use serde_json::Value;

use super::{Inference, Signature, WeightSpecification, unify};
use crate::shape::{Dimension, ElementType, count, describe};

/// How distances count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum BiasKind {
    /// Distances fall into buckets, each of which has a number for each head.
    Buckets,
    /// Each head takes away a multiple of the distance.
    Alibi,
}

/// Options of a bias by distance.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RelativePositionBiasOptions {
    /// How distances count.
    #[serde(rename = "type")]
    pub kind: BiasKind,
    /// Heads of the attention.
    pub num_heads: usize,
    /// How many buckets there are.
    pub buckets: usize,
    /// Distances from which on all fall into the last bucket.
    pub max_distance: usize,
    /// Whether keys behind the query have buckets of their own.
    pub bidirectional: bool,
    /// How the table of buckets begins.
    pub embeddings_initializer: Value,
}

impl RelativePositionBiasOptions {
    pub(super) fn check(&self) -> Result<(), String> {
        if self.num_heads == 0 {
            return Err("numHeads must be at least 1, got 0".to_owned());
        }
        if self.kind == BiasKind::Alibi {
            return Ok(());
        }
        let least = if self.bidirectional { 4 } else { 2 };
        if self.buckets < least || self.bidirectional && !self.buckets.is_multiple_of(2) {
            let what = if self.bidirectional { "an even number of" } else { "an integer of" };
            return Err(format!("buckets must be {what} at least {least}, got {}", self.buckets));
        }
        let exact = self.buckets / least;
        if self.max_distance <= exact {
            return Err(format!(
                "maxDistance must be above {exact} for {} buckets, got {}",
                self.buckets, self.max_distance
            ));
        }
        Ok(())
    }

    pub(super) fn infer(&self, inputs: &[Signature]) -> Result<Inference, String> {
        let (query, key) = match inputs {
            [query] => (query, query),
            [query, key] => (query, key),
            _ => return Err(format!("expected a query, or a query and a key, got {} inputs", inputs.len())),
        };
        if let Some(x) = inputs.iter().find(|x| x.shape.len() < 2) {
            return Err(format!("expected sequences [batch, time, ...], got {}", describe(&x.shape)));
        }
        let shape =
            vec![Dimension::Size(1), Dimension::Size(self.num_heads), query.shape[1].clone(), key.shape[1].clone()];
        let mut inference = Inference::single(shape, ElementType::Float32, false);
        if !unify(&query.shape[0], &key.shape[0], &mut inference.equal) {
            return Err(format!(
                "expected sequences of one batch, got {} and {}",
                describe(&query.shape),
                describe(&key.shape)
            ));
        }
        if self.kind == BiasKind::Buckets {
            count(&[self.buckets, self.num_heads]).map_err(|error| error.message)?;
            let shape = vec![self.buckets, self.num_heads];
            inference.weights.push(WeightSpecification::new("embeddings", shape, &self.embeddings_initializer));
        }
        Ok(inference)
    }
}
