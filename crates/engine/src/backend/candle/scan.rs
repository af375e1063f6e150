//! A graph for each step of sequences. States are 32-bit floats between steps.
use std::sync::Arc;

use super::{CandleProgram, Run, Value};
use crate::{backend::scan::ScanRun, error::Result, layers::Scan, plan::Node, tensor::Tensor};

impl Run<'_> {
    fn scanned<T>(&self, scan: &Scan, work: impl FnOnce(ScanRun<'_>) -> Result<T>) -> Result<T> {
        let program = CandleProgram {
            placement: self.program.placement.clone(),
            context: self.program.context.clone(),
            plan: Arc::clone(&scan.body.plan),
        };
        work(ScanRun { scan, program: &program, interrupt: self.forward.interrupt, precision: self.forward.precision })
    }

    fn scan_inputs(&self, node: &Node) -> Result<Vec<Tensor>> {
        let tensor = |&input: &usize| match &self.values[input] {
            Some(Value::Floats(array)) => Ok(Tensor::float(array.dims().to_vec(), Self::download(array)?)),
            Some(Value::Ids(tensor)) => Ok(tensor.clone()),
            None => Err(self.lacking(input)),
        };
        node.inputs.iter().map(tensor).collect()
    }

    pub(super) fn scan_forward(&mut self, node: &Node, scan: &Scan) -> Result<()> {
        let inputs = self.scan_inputs(node)?;
        let (outputs, _) = self.scanned(scan, |run| run.forward(&inputs))?;
        for (&value, output) in node.outputs.iter().zip(outputs) {
            self.masks[value] = None;
            self.values[value] = Some(Value::Floats(self.upload(output.floats()?, &output.shape)?));
        }
        Ok(())
    }

    pub(super) fn scan_backward(&mut self, node: &Node, scan: &Scan) -> Result<()> {
        let mut gradients = Vec::with_capacity(node.outputs.len());
        for &output in &node.outputs {
            gradients.push(self.gradients[output].take().as_ref().map(Self::download).transpose()?);
        }
        if gradients.iter().all(Option::is_none) {
            return Ok(());
        }
        let inputs = self.scan_inputs(node)?;
        let found = self.scanned(scan, |run| {
            let (_, carries) = run.forward(&inputs)?;
            run.backward(&inputs, &carries, gradients)
        })?;
        for ((&input, tensor), gradient) in node.inputs.iter().zip(&inputs).zip(found) {
            if let Some(gradient) = gradient {
                let gradient = self.upload(&gradient, &tensor.shape)?;
                self.add_gradient(input, gradient)?;
            }
        }
        Ok(())
    }
}
