//! The plan of one decoding step, derived from the plan of a model.
//!
//! What does not depend on the decoder's input is computed once and becomes an input of the step; recurrent nodes carry
//! their states; pointwise nodes see one step instead of all.
use serde::Serialize;

use super::steps::{folded, refusal};
use crate::{
    error::{Code, Error, Result},
    layers::{LayerKind, Signature},
    plan::{AttentionPlan, Node, Operation, Plan, RecurrentPlan, ValueId},
    shape::{Dimension, ElementType},
};

/// How a node is treated while decoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Treatment {
    /// Computed once: it does not depend on the decoder's input.
    Once,
    /// Each step by itself.
    Pointwise,
    /// With carried states.
    Recurrent,
}

/// Where the state of a recurrent node begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InitialState {
    /// Zeros of this width.
    Zeros(usize),
    /// A value of the model's plan.
    Value(ValueId),
}

/// The plan of a step. Its inputs: the token, values computed once, then the states; its outputs: the logits, then the
/// new states.
#[derive(Debug)]
pub struct Incremental {
    /// The step.
    pub step: Plan,
    /// Values of the model's plan that the step takes.
    pub once: Vec<ValueId>,
    /// Which of them all rows of a sentence can share: keys and values that nothing but attention reads.
    pub shared: Vec<bool>,
    /// Where the states begin.
    pub states: Vec<InitialState>,
    /// Caches of keys and values, which grow by a step at each step.
    pub caches: usize,
    /// What the model's output is made of: logits, or the output itself. A value of the model's plan.
    pub logits: ValueId,
    /// Layers with their treatment, in the order of the graph.
    pub treatments: Vec<(String, Treatment)>,
}

pub(super) struct Builder<'a> {
    pub(super) plan: &'a Plan,
    pub(super) dependent: Vec<bool>,
    /// Values that depend on no input at all.
    pub(super) constant: Vec<bool>,
    /// The axis on which a dependent value has the decoder's steps; `None` if it is the same at each.
    pub(super) time: Vec<Option<usize>>,
    /// The batch of the decoder's input.
    pub(super) batch: Dimension,
    /// Values within layers at each step.
    folded: Vec<bool>,
    pub(super) step: Plan,
    /// Value of the step for each value of the plan.
    pub(super) mapped: Vec<Option<ValueId>>,
    once: Vec<ValueId>,
    states: Vec<InitialState>,
    /// Attentions to the decoder's own steps so far.
    pub(super) caches: usize,
    state_inputs: Vec<ValueId>,
    state_outputs: Vec<ValueId>,
}

impl Incremental {
    /// Derives the step for a decoder input and an output of a model.
    ///
    /// # Errors
    /// `Graph` naming the layer that is not causal or has no time axis.
    pub fn new(plan: &Plan, decoder_input: usize, output: usize) -> Result<Self> {
        let outside = |what: &str| Error::new(Code::Graph, format!("the model has no {what}"));
        let token = *plan.inputs.get(decoder_input).ok_or_else(|| outside("such decoder input"))?;
        let output = *plan.outputs.get(output).ok_or_else(|| outside("such output"))?;
        let producer = &plan.nodes[plan.producers[output]];
        let logits = if producer.operation == Operation::Softmax { producer.inputs[0] } else { output };
        let mut dependent = vec![false; plan.values.len()];
        dependent[token] = true;
        for node in &plan.nodes {
            if node.inputs.iter().any(|&input| dependent[input]) {
                node.outputs.iter().for_each(|&value| dependent[value] = true);
            }
        }
        let name = plan.value_layer(output);
        if !dependent[logits] {
            return Err(Error::new(Code::Graph, format!("output {name} does not depend on the decoder input")));
        }
        if plan.values[logits].shape.len() != 3 {
            return Err(Error::new(
                Code::Graph,
                format!("output {name}: expected [batch, time, classes], it has no time axis: use returnSequences"),
            ));
        }
        let needed = needed(plan, logits);
        let mut builder = Builder {
            plan,
            dependent,
            constant: super::tensor::constants(plan),
            time: vec![Some(1); plan.values.len()],
            batch: plan.values[token].shape[0].clone(),
            folded: folded(plan),
            step: Plan {
                layers: plan.layers.clone(),
                weights: plan.weights.clone(),
                nodes: Vec::new(),
                values: Vec::new(),
                producers: Vec::new(),
                inputs: Vec::new(),
                outputs: Vec::new(),
                activities: Vec::new(),
                extensions: Vec::new(),
                equalities: Vec::new(),
                recomputed: Vec::new(),
            },
            mapped: vec![None; plan.values.len()],
            once: Vec::new(),
            states: Vec::new(),
            caches: 0,
            state_inputs: Vec::new(),
            state_outputs: Vec::new(),
        };
        let mapped = builder.input(plan.nodes[plan.producers[token]].layer, plan.values[token].clone());
        builder.mapped[token] = Some(mapped);
        builder.step.inputs.push(mapped);
        let mut treatments = Vec::new();
        for (index, node) in plan.nodes.iter().enumerate() {
            if !needed[index] || node.operation == Operation::Input {
                continue;
            }
            let treatment = if node.outputs.iter().any(|&value| builder.dependent[value]) {
                builder.node(node)?
            } else {
                Treatment::Once
            };
            let layer = plan.layers[node.layer].name.clone();
            if treatments.last() != Some(&(layer.clone(), treatment)) {
                treatments.push((layer, treatment));
            }
        }
        if builder.time[logits] != Some(1) {
            let name = plan.value_layer(logits);
            return Err(Error::new(
                Code::Graph,
                format!("output {name}: its time axis is not that of the decoder input"),
            ));
        }
        let last =
            builder.mapped[logits].ok_or_else(|| Error::new(Code::Internal, "the logits have no place in the step"))?;
        let Builder { mut step, once, states, caches, state_inputs, state_outputs, mapped, .. } = builder;
        step.inputs.extend(once.iter().filter_map(|&value| mapped[value]));
        step.inputs.extend(state_inputs);
        step.outputs.push(last);
        step.outputs.extend(state_outputs);
        let sharable = sharable(&step);
        let shared = once.iter().map(|&value| mapped[value].is_some_and(|value| sharable[value])).collect();
        Ok(Self { step, once, shared, states, caches, logits, treatments })
    }
}

/// Inputs of a step that are read as keys and values alone, by attention for which the rows of a sentence can be the
/// queries of one sequence.
fn sharable(step: &Plan) -> Vec<bool> {
    let mut sharable = vec![false; step.values.len()];
    step.inputs.iter().for_each(|&input| sharable[input] = true);
    let joins = |plan: &AttentionPlan| {
        plan.cache.is_none()
            && !plan.causal
            && !plan.scores
            && plan.window.is_none()
            && plan.mask_input().is_none()
            && plan.bias_input().is_none()
    };
    for node in &step.nodes {
        let others = match &node.operation {
            Operation::Attention(plan) if joins(plan) => &node.inputs[..1],
            _ => &node.inputs[..],
        };
        others.iter().for_each(|&value| sharable[value] = false);
    }
    // Keys and values go together.
    loop {
        let mut changed = false;
        for node in step.nodes.iter().filter(|node| matches!(node.operation, Operation::Attention(_))) {
            let pair = &node.inputs[1..3];
            if pair.iter().any(|&value| !sharable[value]) {
                for &value in pair {
                    changed |= std::mem::take(&mut sharable[value]);
                }
            }
        }
        if !changed {
            return sharable;
        }
    }
}

/// Nodes that a value takes.
fn needed(plan: &Plan, value: ValueId) -> Vec<bool> {
    let mut values = vec![false; plan.values.len()];
    values[value] = true;
    let mut nodes = vec![false; plan.nodes.len()];
    for (index, node) in plan.nodes.iter().enumerate().rev() {
        if node.outputs.iter().any(|&output| values[output]) {
            nodes[index] = true;
            node.inputs.iter().for_each(|&input| values[input] = true);
        }
    }
    nodes
}

impl Builder<'_> {
    pub(super) fn value(&mut self, signature: Signature) -> ValueId {
        self.step.values.push(signature);
        self.step.producers.push(self.step.nodes.len());
        self.step.values.len() - 1
    }

    fn input(&mut self, layer: usize, signature: Signature) -> ValueId {
        let value = self.value(signature);
        self.step.nodes.push(Node {
            operation: Operation::Input,
            layer,
            first_weight: 0,
            weight_count: None,
            inputs: Vec::new(),
            outputs: vec![value],
        });
        value
    }

    /// The step's value for a value of the plan; one that is computed once becomes an input.
    pub(super) fn take(&mut self, value: ValueId) -> Result<ValueId> {
        if let Some(mapped) = self.mapped[value] {
            return Ok(mapped);
        }
        if self.constant[value] {
            return self.repeat(value);
        }
        if self.dependent[value] {
            return Err(Error::new(
                Code::Graph,
                format!("layer {}: its states depend on all of the decoder's input", self.plan.value_layer(value)),
            ));
        }
        let layer = self.plan.nodes[self.plan.producers[value]].layer;
        let mapped = self.input(layer, self.plan.values[value].clone());
        self.mapped[value] = Some(mapped);
        self.once.push(value);
        Ok(mapped)
    }

    /// An input of the step for a state.
    pub(super) fn carry(&mut self, layer: usize, signature: Signature, begin: InitialState) -> ValueId {
        self.states.push(begin);
        let state = self.input(layer, signature);
        self.state_inputs.push(state);
        state
    }

    /// The states after the step.
    pub(super) fn carried(&mut self, outputs: &[ValueId]) {
        self.state_outputs.extend(outputs);
    }

    fn node(&mut self, node: &Node) -> Result<Treatment> {
        let name = &self.plan.layers[node.layer].name;
        let refuse = |why: &str| Err(Error::new(Code::Graph, format!("layer {name} cannot decode: {why}")));
        let rank = |value: ValueId| self.plan.values[value].shape.len();
        // Within a layer at each step, nothing sees more than its step.
        let inside = node.inputs.first().is_some_and(|&input| self.folded[input]);
        if let Some(why) = refusal(self.plan, &self.dependent, node).filter(|_| !inside) {
            return refuse(why);
        }
        if let Operation::Tensor(operation) = &node.operation
            && !inside
        {
            return self.tensor(node, operation);
        }
        if let Operation::Attention(plan) = node.operation
            && !inside
        {
            return self.attention(node, plan);
        }
        if node.operation == Operation::AdditiveScores && !inside {
            return self.additive_scores(node);
        }
        if node.inputs.iter().any(|&input| self.dependent[input] && self.time[input] != Some(1)) {
            return refuse("the steps of the decoder's input are on another axis than 1");
        }
        match node.operation {
            _ if inside => {}
            Operation::Recurrent(options) => return self.recurrent(node, options),
            Operation::AttentionRnn(plan) => return self.attention_rnn(node, plan),
            Operation::Linear | Operation::Softmax if rank(node.inputs[0]) < 3 => {
                return refuse("it mixes the steps of the decoder's input");
            }
            Operation::Bias(_) if !self.dependent[node.inputs[0]] => {
                return refuse("it is for queries of a sequence of another origin");
            }
            Operation::Bias(_) if node.inputs[1..].iter().any(|&key| self.dependent[key]) => {
                return refuse("its key is of the decoder's steps: call it with the query alone");
            }
            Operation::Bias(_) => self.time[node.outputs[0]] = Some(2),
            Operation::Scan(_) => return refuse("its states are not carried from token to token"),
            Operation::RepeatVector(_) => return refuse("it repeats what depends on all of the decoder's input"),
            Operation::Concatenate(1) => return refuse("it joins along time"),
            Operation::Merge(_) | Operation::Residual(_) | Operation::Gate | Operation::Concatenate(_)
                if node.inputs.iter().any(|&input| !self.dependent[input]) =>
            {
                return refuse("it joins the decoder's steps with a sequence of another origin");
            }
            _ => {}
        }
        let inputs = node.inputs.iter().map(|&input| self.take(input)).collect::<Result<Vec<_>>>()?;
        let outputs = node
            .outputs
            .iter()
            .map(|&output| {
                let value = self.value(self.plan.values[output].clone());
                self.mapped[output] = Some(value);
                value
            })
            .collect();
        self.step.nodes.push(Node { inputs, outputs, ..node.clone() });
        Ok(Treatment::Pointwise)
    }

    fn recurrent(&mut self, node: &Node, options: RecurrentPlan) -> Result<Treatment> {
        let name = self.plan.layers[node.layer].name.clone();
        let refuse = |why: &str| Err(Error::new(Code::Graph, format!("layer {name} cannot decode: {why}")));
        if matches!(self.plan.layers[node.layer].kind, LayerKind::Bidirectional(_)) {
            return refuse("it reads all of the decoder's input, in both directions: use it in the encoder");
        }
        if options.reverse {
            return refuse("it runs from the end (goBackwards)");
        }
        if node.inputs[1..].iter().any(|&state| self.dependent[state]) {
            return refuse("its initial states depend on all of the decoder's input");
        }
        let x = self.take(node.inputs[0])?;
        let shape = vec![self.plan.values[node.inputs[0]].shape[0].clone(), Dimension::Size(options.units)];
        let signature = Signature { shape, dtype: ElementType::Float32, masked: false };
        let mut inputs = vec![x];
        for index in 1..=options.cell.states() {
            self.states.push(match node.inputs.get(index) {
                Some(&value) => InitialState::Value(value),
                None => InitialState::Zeros(options.units),
            });
            let state = self.input(node.layer, signature.clone());
            self.state_inputs.push(state);
            inputs.push(state);
        }
        let mut sequence = self.plan.values[node.outputs[0]].clone();
        if !options.sequences {
            // Only its states could be used, and those are no part of a step: `take` refuses them by name.
            sequence = signature.clone();
        }
        let states = std::iter::repeat_n(signature, options.cell.states());
        let outputs: Vec<_> = std::iter::once(sequence).chain(states).map(|signature| self.value(signature)).collect();
        if options.sequences {
            self.mapped[node.outputs[0]] = Some(outputs[0]);
        }
        self.state_outputs.extend(&outputs[1..]);
        self.step.nodes.push(Node {
            operation: Operation::Recurrent(RecurrentPlan { sequences: true, ..options }),
            inputs,
            outputs,
            ..node.clone()
        });
        Ok(Treatment::Recurrent)
    }
}
