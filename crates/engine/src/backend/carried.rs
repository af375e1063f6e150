//! States that recurrent layers carry from batch to batch.
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::{
    error::{Code, Error, Result},
    tensor::Tensor,
};

/// Last states of a node, each `[B, U]`: h, and c of an LSTM.
type NodeStates = Arc<[Tensor]>;

/// States by node.
pub(crate) type AllStates = BTreeMap<usize, NodeStates>;

#[derive(Debug, Default)]
struct Stored {
    now: AllStates,
    updated: AllStates,
}

/// States of the stateful nodes of a plan after the last batch that a model has seen; a node without any begins with zeros.
#[derive(Debug, Default)]
pub struct CarriedStates {
    stored: Mutex<Stored>,
}

impl CarriedStates {
    fn lock(&self) -> MutexGuard<'_, Stored> {
        self.stored.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets all states: the next batch begins with zeros.
    pub fn reset(&self) {
        self.replace(AllStates::new());
    }

    /// Remembers the states as those that belong to an update of the weights.
    pub(crate) fn mark(&self) {
        let mut stored = self.lock();
        stored.updated = stored.now.clone();
    }

    /// The states that belong to the last update.
    pub(crate) fn updated(&self) -> AllStates {
        self.lock().updated.clone()
    }

    /// Sets all states.
    pub(crate) fn replace(&self, states: AllStates) {
        *self.lock() = Stored { now: states.clone(), updated: states };
    }
}

/// The states in one run: those that it begins with, which stay to its end, and those that it ends with.
#[derive(Debug, Default)]
pub(super) struct RunStates<'a> {
    carried: Option<&'a CarriedStates>,
    before: AllStates,
    after: Vec<(usize, NodeStates)>,
}

impl<'a> RunStates<'a> {
    /// Begins with the states of the batch before; without any store, no node is stateful.
    pub(super) fn new(carried: Option<&'a CarriedStates>) -> Self {
        let before = carried.map(|carried| carried.lock().now.clone());
        Self { carried, before: before.unwrap_or_default(), after: Vec::new() }
    }

    /// Whether states are carried at all.
    pub(super) fn are_carried(&self) -> bool {
        self.carried.is_some()
    }

    /// The states that a node begins with, if there are any.
    pub(super) fn before(&self, node: usize) -> Option<&[Tensor]> {
        self.before.get(&node).map(|states| &**states)
    }

    /// Checks that a batch has the rows of the one before.
    ///
    /// # Errors
    /// `Shape` naming the layer.
    pub(super) fn check(&self, node: usize, layer: &str, batch: usize) -> Result<()> {
        match self.before(node).and_then(|states| states.first()).and_then(|state| state.shape.first()) {
            Some(&rows) if rows != batch => Err(Error::new(
                Code::Shape,
                format!(
                    "layer {layer}: it is stateful and has states of {rows} sequences, got a batch of {batch}: batches must \
                     have one size until resetStates is called"
                ),
            )),
            _ => Ok(()),
        }
    }

    /// Keeps what a node ends with.
    pub(super) fn leave(&mut self, node: usize, states: Vec<Tensor>) {
        self.after.push((node, states.into()));
    }

    /// Hands the new states on to the next batch: at the end of a run that succeeded.
    pub(super) fn commit(&mut self) {
        if let Some(carried) = self.carried {
            carried.lock().now.extend(self.after.drain(..));
        }
    }
}
