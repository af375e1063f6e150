//! The states of stateful layers as a safetensors file, for a run that is resumed within an epoch.
use std::{collections::HashMap, path::Path};

use sconce_kernels::buffer::Buffer;

use crate::{
    backend::AllStates,
    checkpoint::{self, Entry},
    error::{Code, Error, Result},
    memory,
    model::Model,
    plan::Operation,
    shape::count,
    tensor::Tensor,
};

/// Name of the number of sequences in the metadata; 0: there are no states.
const BATCH: &str = "batch";

fn name(node: usize, number: usize) -> String {
    format!("{node}/{number}")
}

impl Model {
    /// Writes the states that belong to the last update, atomically.
    ///
    /// # Errors
    /// `File`.
    pub fn save_states(&self, path: &Path) -> Result<()> {
        let mut entries = Vec::new();
        let mut batch = 0;
        for (node, states) in self.states.updated() {
            for (number, state) in states.iter().enumerate() {
                batch = state.shape.first().copied().unwrap_or(0);
                entries.push(Entry::float(name(node, number), state.shape.clone(), state.floats()?));
            }
        }
        checkpoint::write(path, &entries, HashMap::from([(BATCH.to_owned(), batch.to_string())]))
    }

    /// Reads states that [`Self::save_states`] wrote; nothing changes on failure.
    ///
    /// # Errors
    /// `File`, or `Format` if they are those of another model.
    pub fn load_states(&self, path: &Path) -> Result<()> {
        let contents = checkpoint::read(path, memory::total() as u64)?;
        let batch = usize::try_from(contents.integer(BATCH)?)
            .map_err(|_| Error::new(Code::Format, format!("{}: too many sequences", path.display())))?;
        let mut all = AllStates::new();
        let mut known = Vec::new();
        for (node, operation) in self.plan.nodes.iter().map(|node| &node.operation).enumerate() {
            let Operation::Recurrent(options) = operation else { continue };
            if batch == 0 || !options.stateful {
                continue;
            }
            let shape = vec![batch, options.units];
            count(&shape)?;
            let states = (0..options.cell.states()).map(|number| {
                let name = name(node, number);
                let values = contents.floats(&name, &shape)?;
                known.push(name);
                let mut state = Buffer::new(values.len());
                state.copy_from_slice(&values);
                Ok(Tensor::float(shape.clone(), state))
            });
            all.insert(node, states.collect::<Result<Vec<_>>>()?.into());
        }
        contents.only(|name| known.iter().any(|known| known == name))?;
        self.states.replace(all);
        Ok(())
    }
}
