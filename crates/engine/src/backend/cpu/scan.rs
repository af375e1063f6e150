//! A graph for each step of sequences.
use std::sync::Arc;

use super::{CpuProgram, Run, Saved};
use crate::{
    backend::scan::{Carries, ScanRun},
    error::{Code, Error, Result},
    layers::Scan,
    plan::Node,
    tensor::Tensor,
};

impl Run<'_> {
    fn scanned<T>(&self, scan: &Scan, work: impl FnOnce(ScanRun<'_>) -> Result<T>) -> Result<T> {
        let program = CpuProgram::new(self.context, Arc::clone(&scan.body.plan));
        work(ScanRun { scan, program: &program, interrupt: self.forward.interrupt, precision: self.forward.precision })
    }

    fn scan_inputs(&self, node: &Node) -> Result<Vec<Tensor>> {
        node.inputs.iter().map(|&input| self.value(input).cloned()).collect()
    }

    pub(super) fn scan_forward(&mut self, index: usize, node: &Node, scan: &Scan) -> Result<()> {
        let inputs = self.scan_inputs(node)?;
        let (outputs, carries) = self.scanned(scan, |run| run.forward(&inputs))?;
        if self.schedule.backward[index] {
            self.saved[index] = Some(Saved::Scan(carries));
        }
        for (&value, output) in node.outputs.iter().zip(outputs) {
            self.masks[value] = None;
            self.values[value] = Some(output);
        }
        Ok(())
    }

    pub(super) fn scan_backward(&mut self, index: usize, node: &Node, scan: &Scan) -> Result<()> {
        let gradients: Vec<_> = node.outputs.iter().map(|&output| self.gradients[output].take()).collect();
        if gradients.iter().all(Option::is_none) {
            return Ok(());
        }
        let Some(Saved::Scan(carries)) = self.saved[index].take() else {
            return Err(Error::new(Code::Internal, "a scan lacks the states of its forward pass"));
        };
        let carries: Carries = carries;
        let inputs = self.scan_inputs(node)?;
        let found = self.scanned(scan, |run| run.backward(&inputs, &carries, gradients))?;
        for (&input, gradient) in node.inputs.iter().zip(found) {
            if let Some(gradient) = gradient {
                self.give(input, gradient);
            }
        }
        Ok(())
    }
}
