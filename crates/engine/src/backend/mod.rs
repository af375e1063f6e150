//! What runs a plan. The plan, its differentiation and its fusions are shared; a backend lowers them to a program.
mod attention_masks;
pub mod candle;
mod carried;
mod checks;
pub mod cpu;
mod decoding;
mod given;
mod masks;
mod metrics;
mod reduction;
mod row_targets;
mod scan;

pub(crate) use carried::AllStates;
pub use carried::CarriedStates;
pub use decoding::Decoding;
pub use reduction::{RowWeights, metric_sums, row_weights};

use std::{fmt, sync::Arc};

use sconce_kernels::{Precision, buffer::Buffer, embedding::RowGradients, random::RandomKey};

use crate::{
    error::Result,
    interrupt::Interrupt,
    plan::{LossPlan, Plan, Schedule, ValueId},
    tensor::{Mask, Tensor},
    weights::WeightView,
};

/// Random numbers of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RandomState {
    /// Seed of the model.
    pub seed: u64,
    /// Training steps before this one.
    pub step: u64,
}

impl RandomState {
    /// The stream of random numbers of part `part` (0 to 3) of a node: the same on every backend.
    pub(crate) fn key(self, node: usize, part: usize) -> RandomKey {
        RandomKey { seed: self.seed, step: self.step, node: (node * 4 + part) as u32 }
    }

    /// A number of a node for the streams of one of its cells: no node of a plan of so many has it, and the first cell has that
    /// of the node itself.
    pub(crate) fn cell_node(node: usize, cell: usize, nodes: usize) -> usize {
        node + cell * nodes
    }

    /// The same of a layer that may have a seed of its own: its numbers do not depend on where it is in the model.
    pub(crate) fn own_key(self, seed: Option<u64>, node: usize) -> RandomKey {
        match seed {
            Some(seed) => RandomKey { seed, step: self.step, node: 0 },
            None => self.key(node, 0),
        }
    }
}

/// Everything that goes into a forward pass.
#[derive(Clone, Copy)]
pub struct Forward<'a> {
    /// One tensor an input of the plan; shapes are bound and checked.
    pub inputs: &'a [Tensor],
    /// All weights.
    pub weights: &'a WeightView<'a>,
    /// Looked at between operations.
    pub interrupt: &'a Interrupt,
    /// The state of a decoder, if this is one of its steps.
    pub decoding: Option<&'a Decoding>,
    /// Where stateful layers find the states of the batch before and leave theirs; without it they begin with zeros.
    pub states: Option<&'a CarriedStates>,
    /// What the factors of large products are rounded to; the backend [offers](Backend::offers) it.
    pub precision: Precision,
}

impl<'a> Forward<'a> {
    /// A pass that decodes nothing, carries no states and rounds nothing.
    #[must_use]
    pub fn new(inputs: &'a [Tensor], weights: &'a WeightView<'a>, interrupt: &'a Interrupt) -> Self {
        Self { inputs, weights, interrupt, decoding: None, states: None, precision: Precision::Float32 }
    }

    /// The number of the first step that runs: 0, but in a step of decoding that of steps before. What numbers the steps of
    /// a decoder's input counts from it.
    #[must_use]
    pub fn position(&self) -> usize {
        self.decoding.map_or(0, |decoding| decoding.position)
    }

    /// The queries of each of `batch` sequences of keys, of `rows` with `queries` each: in a step of decoding rows of one
    /// sentence may share its keys, and are the queries of one sequence.
    fn queries_of_sequence(&self, rows: usize, queries: usize, batch: usize) -> usize {
        let is_shared = self.decoding.is_some() && queries == 1 && batch > 0 && rows > batch;
        if is_shared { rows / batch } else { queries }
    }
}

/// A target of one output.
#[derive(Clone, Debug)]
pub enum TargetData {
    /// A class for each row.
    Ids(Arc<Vec<i32>>),
    /// A weight for each class of each row.
    Probabilities(Buffer),
}

/// A loss with its data, checked against the output.
#[derive(Clone, Debug)]
pub struct LossInput {
    /// Targets.
    pub target: TargetData,
    /// Weights of the user for each row, already spread over rows.
    pub sample_weights: Option<Buffer>,
}

/// Sums of a metric over the valid entries.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct MetricSums {
    /// Weighted sum of values.
    pub total: f64,
    /// Sum of weights.
    pub count: f64,
}

/// What a loss gave.
#[derive(Clone, Debug, PartialEq)]
pub struct LossResult {
    /// Mean over the valid entries, not multiplied by the loss weight; 0 without a loss.
    pub loss: f64,
    /// In the order of the loss plan.
    pub metrics: Vec<MetricSums>,
    /// Rows that count.
    pub valid: usize,
}

/// The gradient of one weight.
#[derive(Debug)]
pub enum WeightGradient {
    /// Of every element, in the engine's layout.
    Dense(Buffer),
    /// Of some rows of a table.
    Rows(RowGradients),
}

/// What a training step asks for.
pub struct StepRequest<'a> {
    /// Data and weights.
    pub forward: Forward<'a>,
    /// One for each loss plan.
    pub losses: &'a [LossInput],
    /// Random numbers for dropout; `None`: inference.
    pub random: Option<RandomState>,
    /// Factor of all gradients.
    pub gradient_scale: f32,
    /// Gradients so far, one a weight; they are added to. `None`: no gradients.
    pub gradients: Option<&'a mut [Option<WeightGradient>]>,
}

/// A value of a run and its mask.
pub type MaskedValue = (Tensor, Option<Mask>);

/// A plan made ready for a device.
pub trait Program: Send + Sync + fmt::Debug {
    /// Values of `wanted`, for inference; `schedule` has them as roots.
    ///
    /// # Errors
    /// Of the data (`Data`), or `Cancelled`.
    fn values(&self, schedule: &Schedule, forward: Forward<'_>, wanted: &[ValueId]) -> Result<Vec<Tensor>> {
        Ok(self.masked_values(schedule, forward, wanted)?.into_iter().map(|(tensor, _)| tensor).collect())
    }

    /// As [`Program::values`], each with its mask, if it has one.
    ///
    /// # Errors
    /// As [`Program::values`].
    fn masked_values(&self, schedule: &Schedule, forward: Forward<'_>, wanted: &[ValueId]) -> Result<Vec<MaskedValue>>;

    /// Losses, metrics and gradients of a batch; after them, if the schedule has penalties on values, their sum.
    ///
    /// # Errors
    /// Of the data (`Data`), or `Cancelled`; gradients are then unspecified.
    fn step(&self, schedule: &Schedule, losses: &[LossPlan], request: StepRequest<'_>) -> Result<Vec<LossResult>>;

    /// Gradients of a function of values that the caller differentiated: `outputs` holds the gradients of the values.
    ///
    /// Gradients of weights are added to `gradients`, one a weight. The gradients of the plan's inputs come back, where
    /// the schedule asks for them.
    ///
    /// # Errors
    /// Of the data (`Data`), or `Cancelled`; gradients are then unspecified.
    fn gradients(
        &self,
        schedule: &Schedule,
        forward: Forward<'_>,
        random: Option<RandomState>,
        outputs: Vec<(ValueId, Buffer)>,
        gradients: &mut [Option<WeightGradient>],
    ) -> Result<Vec<Option<Buffer>>>;
}

/// Makes programs.
pub trait Backend: Send + Sync + fmt::Debug {
    /// Name, such as `cpu`.
    fn name(&self) -> &'static str;

    /// Whether its programs can run in a precision.
    fn offers(&self, precision: Precision) -> bool;

    /// Whether its programs read weights that are kept in fewer bits.
    fn keeps_quantized(&self) -> bool {
        false
    }

    /// A program for a plan.
    ///
    /// # Errors
    /// `Option` if the backend lacks an operation.
    fn lower(&self, plan: Arc<Plan>) -> Result<Box<dyn Program>>;
}
