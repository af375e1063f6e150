//! The CPU backend: kernels on pooled buffers.
mod activity;
mod additive_scores;
mod attention;
mod attention_rnn;
mod axes;
mod backward;
mod dropout;
mod flip;
mod forward;
mod gate;
mod loss;
mod masking;
mod merge;
mod normalization;
mod packing;
mod pooling;
mod position_bias;
mod positions;
mod recurrent;
mod repeat;
mod rotary;
mod row_loss;
mod scan;
mod tensor;
mod time;

use std::sync::{Arc, OnceLock};

use sconce_kernels::{Context, Precision, buffer::Buffer, quantized::QuantizedMatrix, reduce};

use super::{
    Backend, Forward, LossResult, MaskedValue, Program, RandomState, StepRequest, WeightGradient, carried::RunStates,
};
use crate::{
    error::{Code, Error, Result},
    plan::{LossPlan, Node, Plan, Schedule, ValueId},
    tensor::{Mask, Tensor},
};

/// Runs plans with the kernels of `sconce-kernels`.
#[derive(Clone, Debug)]
pub struct Cpu {
    context: Context,
}

impl Cpu {
    /// On the threads and the SIMD path of a context.
    #[must_use]
    pub fn new(context: Context) -> Self {
        Self { context }
    }
}

impl Backend for Cpu {
    fn name(&self) -> &'static str {
        "cpu"
    }

    fn offers(&self, precision: Precision) -> bool {
        precision.is_available(self.context.simd)
    }

    fn keeps_quantized(&self) -> bool {
        true
    }

    fn lower(&self, plan: Arc<Plan>) -> Result<Box<dyn Program>> {
        Ok(Box::new(CpuProgram::new(&self.context, plan)))
    }
}

#[derive(Debug)]
struct CpuProgram {
    context: Context,
    /// The same for steps in bfloat16.
    rounding: Context,
    plan: Arc<Plan>,
}

impl CpuProgram {
    fn new(context: &Context, plan: Arc<Plan>) -> Self {
        let [context, rounding] =
            [Precision::Float32, Precision::Bfloat16].map(|precision| context.with_precision(precision));
        Self { context, rounding, plan }
    }
}

/// What a node keeps of its forward pass besides values.
enum Saved {
    Recurrent(recurrent::Kept),
    /// Sizes of a sequence.
    Sizes([usize; 3]),
    /// Mean and inverse deviation of each row.
    Normal {
        mean: Buffer,
        inverse: Buffer,
    },
    /// Sizes of the input.
    Shape(Vec<usize>),
    Shapes(tensor::Shapes),
    Scan(super::scan::Carries),
    Attention(attention::Kept),
    AttentionRnn(Box<attention_rnn::Kept>),
}

/// One run of a program.
struct Run<'a> {
    context: &'a Context,
    plan: &'a Plan,
    schedule: &'a Schedule,
    forward: Forward<'a>,
    random: Option<RandomState>,
    values: Vec<Option<Tensor>>,
    masks: Vec<Option<Mask>>,
    saved: Vec<Option<Saved>>,
    states: RunStates<'a>,
    /// For each entry of the schedule's order, values that nothing needs after it runs forward in this pass.
    release: &'a [Vec<ValueId>],
    /// Gradients of values.
    gradients: Vec<Option<Buffer>>,
    rows_of_masks: packing::RowsOfMasks,
}

impl<'a> Run<'a> {
    fn new(program: &'a CpuProgram, schedule: &'a Schedule, forward: Forward<'a>, random: Option<RandomState>) -> Self {
        let plan = &program.plan;
        let mut run = Self {
            context: match forward.precision {
                Precision::Float32 => &program.context,
                Precision::Bfloat16 => &program.rounding,
            },
            plan,
            schedule,
            forward,
            random,
            values: (0..plan.values.len()).map(|_| None).collect(),
            masks: vec![None; plan.values.len()],
            saved: (0..plan.nodes.len()).map(|_| None).collect(),
            states: RunStates::new(forward.states),
            release: &schedule.release,
            gradients: (0..plan.values.len()).map(|_| None).collect(),
            rows_of_masks: (0..plan.values.len()).map(|_| OnceLock::new()).collect(),
        };
        for (&value, mask) in plan.inputs.iter().zip(forward.decoding.iter().flat_map(|decoding| &decoding.masks)) {
            run.masks[value].clone_from(mask);
        }
        run
    }

    /// The value that an earlier node computed.
    fn value(&self, value: ValueId) -> Result<&Tensor> {
        let own = self.values[value].as_ref();
        // Inputs are not copied.
        let found = own.or_else(|| self.forward.inputs.get(self.plan.inputs.iter().position(|&input| input == value)?));
        found.ok_or_else(|| {
            let layer = self.plan.value_layer(value);
            Error::new(Code::Internal, format!("the value of layer {layer} was released too early"))
        })
    }

    /// The mask of a value, also where the value itself is not computed.
    fn mask(&self, value: ValueId) -> Option<Mask> {
        if self.masks[value].is_some() {
            return self.masks[value].clone();
        }
        let node = &self.plan.nodes[self.plan.producers[value]];
        if node.operation.passes_mask() { self.mask(node.inputs[0]) } else { None }
    }

    fn weight(&self, node: &Node, index: usize) -> Result<&'a [f32]> {
        self.forward.weights.need(node.layer, node.first_weight + index)
    }

    /// The first weight of a node, where it is kept in fewer bits.
    fn quantized_weight(&self, node: &Node) -> Option<&'a QuantizedMatrix> {
        self.forward.weights.quantized(node.layer, node.first_weight)
    }

    fn optional_weight(&self, node: &Node, index: usize) -> Option<&'a [f32]> {
        self.plan.weight(node, index).and_then(|_| self.forward.weights.get(node.layer, node.first_weight + index))
    }

    fn run_forward(&mut self) -> Result<()> {
        for (position, &index) in self.schedule.order.iter().enumerate() {
            self.run_entry(position)?;
            if self.schedule.recomputation.again[position] {
                self.saved[index] = None;
            }
        }
        Ok(())
    }

    /// Runs an entry of the schedule's order forward.
    fn run_entry(&mut self, position: usize) -> Result<()> {
        self.forward.interrupt.check()?;
        let index = self.schedule.order[position];
        self.node_forward(position, index)?;
        self.pack_outputs(&self.plan.nodes[index])?;
        for &value in &self.release[position] {
            self.values[value] = None;
        }
        Ok(())
    }
}

impl Program for CpuProgram {
    fn masked_values(&self, schedule: &Schedule, forward: Forward<'_>, wanted: &[ValueId]) -> Result<Vec<MaskedValue>> {
        let mut run = Run::new(self, schedule, forward, None);
        run.run_forward()?;
        run.states.commit();
        let mut found = Vec::with_capacity(wanted.len());
        for (index, &value) in wanted.iter().enumerate() {
            let mask = run.mask(value);
            // What the pass computed itself is handed over, inputs are copied.
            let own = if wanted[index + 1..].contains(&value) { None } else { run.values[value].take() };
            let tensor = match own {
                Some(tensor) => tensor,
                None => run.value(value)?.clone(),
            };
            found.push((tensor, mask));
        }
        Ok(found)
    }

    fn step(&self, schedule: &Schedule, losses: &[LossPlan], request: StepRequest<'_>) -> Result<Vec<LossResult>> {
        let StepRequest { forward, losses: inputs, random, gradient_scale, mut gradients } = request;
        let mut run = Run::new(self, schedule, forward, random);
        run.run_forward()?;
        forward.interrupt.check()?;
        let mut results = Vec::with_capacity(losses.len());
        for (loss, input) in losses.iter().zip(inputs) {
            results.push(run.loss(loss, input, gradient_scale, gradients.as_deref_mut())?);
        }
        results.extend(run.activities(gradients.is_some().then_some(gradient_scale))?);
        if let Some(gradients) = gradients {
            run.run_backward(gradients)?;
        }
        run.states.commit();
        Ok(results)
    }

    fn gradients(
        &self,
        schedule: &Schedule,
        forward: Forward<'_>,
        random: Option<RandomState>,
        outputs: Vec<(ValueId, Buffer)>,
        gradients: &mut [Option<WeightGradient>],
    ) -> Result<Vec<Option<Buffer>>> {
        let mut run = Run::new(self, schedule, forward, random);
        run.run_forward()?;
        for (value, gradient) in outputs.into_iter().filter(|(value, _)| schedule.gradient[*value]) {
            match &mut run.gradients[value] {
                Some(sum) => reduce::add_into(run.context, &gradient, sum),
                empty => *empty = Some(gradient),
            }
        }
        run.run_backward(gradients)?;
        Ok(self.plan.inputs.iter().map(|&input| run.gradients[input].take()).collect())
    }
}
