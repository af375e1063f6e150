//! Which steps of the source each step of a decoder looks at.
use std::sync::Arc;

use sconce_kernels::buffer::Buffer;

use crate::{
    backend::{Forward, Program},
    error::{Code, Error, Result},
    interrupt::Interrupt,
    layers::Signature,
    model::Model,
    plan::{AttentionPlan, AttentionRnnPlan, Node, Operation, Plan, Roots, Schedule, ValueId},
    shape::{Dimension, ElementType},
    tensor::Tensor,
    weights::WeightView,
};

/// The plan of a model with the scores of the last attention of its decoder to another sequence as a value.
#[derive(Debug)]
pub struct Alignment {
    model: Arc<Model>,
    program: Box<dyn Program>,
    schedule: Schedule,
    /// `[B, T, S]` or `[B, heads, T, S]`.
    scores: ValueId,
}

impl Alignment {
    /// For a model and its decoder's input.
    ///
    /// # Errors
    /// `Graph` if nothing that depends on the decoder's input attends to a sequence that does not.
    pub fn new(model: Arc<Model>, decoder_input: usize) -> Result<Self> {
        let outside = || Error::new(Code::Graph, "the model has no such decoder input");
        let token = *model.plan.inputs.get(decoder_input).ok_or_else(outside)?;
        let mut plan = Plan::clone(&model.plan);
        let index = last_attention(&plan, token).ok_or_else(|| {
            Error::new(
                Code::Graph,
                "no layer of the decoder attends to another sequence: there are no attentions to give",
            )
        })?;
        let scores = with_scores(&mut plan, index);
        let schedule = Schedule::new(&plan, Roots::Values(&[scores]), None);
        let program = model.backend.lower(Arc::new(plan))?;
        Ok(Self { model, program, schedule, scores })
    }

    /// Shares of the source's steps for each step of the decoder's input, `[B, T, S]`, the mean over heads. `inputs` are all
    /// of the model's.
    ///
    /// # Errors
    /// `Data`, `State` or `Cancelled`.
    pub fn of(&self, inputs: &[Tensor], interrupt: &Interrupt) -> Result<Tensor> {
        self.model.bind(inputs)?;
        let weights = WeightView::new(&self.model.layers)?;
        let forward = Forward::new(inputs, &weights, interrupt);
        let found = self.program.values(&self.schedule, forward, &[self.scores])?;
        let lacking = || Error::new(Code::Internal, "an attention gave no scores");
        let scores = found.into_iter().next().ok_or_else(lacking)?;
        match *scores.shape.as_slice() {
            [_, _, _] => Ok(scores),
            [batch, heads, steps, sources] => {
                let size = steps * sources;
                let mut mean = Buffer::zeros(batch * size);
                let (all, share) = (scores.floats()?, 1.0 / heads as f32);
                for (at, head) in all.chunks_exact(size.max(1)).enumerate() {
                    let mean = &mut mean[at / heads * size..][..size];
                    mean.iter_mut().zip(head).for_each(|(mean, score)| *mean += share * score);
                }
                Ok(Tensor::float(vec![batch, steps, sources], mean))
            }
            _ => Err(lacking()),
        }
    }
}

/// The last node whose queries depend on `token` and whose keys and values do not.
fn last_attention(plan: &Plan, token: ValueId) -> Option<usize> {
    let mut dependent = vec![false; plan.values.len()];
    dependent[token] = true;
    let mut last = None;
    for (index, node) in plan.nodes.iter().enumerate() {
        if !node.inputs.iter().any(|&input| dependent[input]) {
            continue;
        }
        node.outputs.iter().for_each(|&output| dependent[output] = true);
        let attends = matches!(node.operation, Operation::Attention(_) | Operation::AttentionRnn(_));
        if attends && dependent[node.inputs[0]] && !dependent[node.inputs[1]] && !dependent[node.inputs[2]] {
            last = Some(index);
        }
    }
    last
}

/// The scores of an attention; they become an output if they are none.
fn with_scores(plan: &mut Plan, index: usize) -> ValueId {
    let node = &plan.nodes[index];
    let steps = |value: ValueId| plan.values[value].shape[1].clone();
    let (batch, queries, sources) =
        (plan.values[node.inputs[0]].shape[0].clone(), steps(node.inputs[0]), steps(node.inputs[2]));
    let last = node.outputs.last().copied().unwrap_or_default();
    let (operation, shape) = match node.operation {
        Operation::Attention(attention) if !attention.scores => {
            let scored = AttentionPlan { scores: true, ..attention };
            (Operation::Attention(scored), vec![batch, Dimension::Size(attention.heads), queries, sources])
        }
        Operation::AttentionRnn(attention) if !attention.scores => {
            let scored = AttentionRnnPlan { scores: true, ..attention };
            (Operation::AttentionRnn(scored), vec![batch, queries, sources])
        }
        _ => return last,
    };
    let scores = plan.values.len();
    plan.values.push(Signature { shape, dtype: ElementType::Float32, masked: false });
    plan.producers.push(index);
    let Node { outputs, operation: own, .. } = &mut plan.nodes[index];
    *own = operation;
    outputs.push(scores);
    scores
}
