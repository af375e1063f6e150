//! Optimiser state as a safetensors file, in the engine's layout: a resumed run goes on with the same bits.
use std::{collections::HashMap, path::Path};

use sconce_kernels::buffer::Buffer;

use super::optimizers::{OptimizerDocument, OptimizerState, WeightState};
use crate::{
    checkpoint::{self, Entry},
    error::Result,
    plan::{Plan, PlanWeight},
};

/// Name of the average of a weight.
const AVERAGE: &str = "average";
/// Name of the sum of gradients since the last update.
const ACCUMULATED: &str = "gradientAccumulator";

fn base(plan: &Plan, weight: &PlanWeight) -> String {
    format!("{}/{}", plan.layers[weight.layer].name, weight.specification.name)
}

fn length(weight: &PlanWeight) -> usize {
    weight.specification.shape.iter().product()
}

impl OptimizerState {
    /// Writes the state atomically.
    ///
    /// # Errors
    /// `File`.
    pub fn save(&self, plan: &Plan, path: &Path, seed: u64) -> Result<()> {
        let mut entries = Vec::new();
        for (weight, state) in plan.weights.iter().zip(&self.weights) {
            let base = base(plan, weight);
            for ((name, _), slot) in Self::slots(&self.document, weight).iter().zip(&state.slots) {
                entries.push(Entry::float(format!("{base}/{name}"), vec![slot.len()], slot));
            }
            for (name, slot) in [(AVERAGE, &state.average), (ACCUMULATED, &state.accumulated)] {
                if let Some(slot) = slot {
                    entries.push(Entry::float(format!("{base}/{name}"), vec![slot.len()], slot));
                }
            }
            if let Some(last) = &state.last {
                entries.push(Entry::unsigned(format!("{base}/last"), last));
            }
        }
        let metadata = HashMap::from([
            ("iterations".to_owned(), self.iterations.to_string()),
            ("seed".to_owned(), seed.to_string()),
        ]);
        checkpoint::write(path, &entries, metadata)
    }

    /// Reads a state for the same optimiser and weights; gives the seed beside it.
    ///
    /// # Errors
    /// `File`, or `Format` if the file belongs to another optimiser or model.
    pub fn load(document: OptimizerDocument, plan: &Plan, path: &Path) -> Result<(Self, u64)> {
        let floats: u64 = plan.weights.iter().map(|weight| length(weight) as u64).sum();
        let contents = checkpoint::read(path, floats.saturating_mul(24))?;
        let mut known = Vec::new();
        let mut weights = Vec::new();
        for weight in &plan.weights {
            let base = base(plan, weight);
            let mut state = WeightState::default();
            let slots = Self::slots(&document, weight);
            let mut slot = |name: &str, length: usize| -> Result<Buffer> {
                let name = format!("{base}/{name}");
                let values = contents.floats(&name, &[length])?;
                let mut slot = Buffer::new(values.len());
                slot.copy_from_slice(&values);
                known.push(name);
                Ok(slot)
            };
            let has = |name: &str| contents.has(&format!("{base}/{name}"));
            // Weights that were never updated have no state.
            if slots.first().is_some_and(|(name, _)| has(name)) {
                state.slots = slots.iter().map(|&(name, length)| slot(name, length)).collect::<Result<_>>()?;
            }
            if document.uses_ema() && has(AVERAGE) {
                state.average = Some(slot(AVERAGE, length(weight))?);
            }
            if document.accumulates() && has(ACCUMULATED) {
                state.accumulated = Some(slot(ACCUMULATED, length(weight))?);
            }
            let rows = weight.specification.shape.first().copied().unwrap_or(0);
            state.last = contents.optional_unsigned(&format!("{base}/last"), rows)?;
            known.push(format!("{base}/last"));
            weights.push(state);
        }
        contents.only(|name| known.iter().any(|known| known == name))?;
        let iterations = contents.integer("iterations")?;
        Ok((Self { document, weights, iterations }, contents.integer("seed")?))
    }
}
