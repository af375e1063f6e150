//! A graph that runs once for each step of sequences.
use std::{collections::HashMap, sync::Arc};

use serde::Deserialize;
use serde_json::Value;

use super::{Inference, Signature, unify};
use crate::{
    graph::GraphDocument,
    ops::TensorOperation,
    plan::{Operation, Plan, Roots, Schedule},
    shape::{Dimension, ElementType, Shape, describe},
};

/// Options of a scan.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScanOptions {
    /// The graph of one step. Its inputs: a step of each sequence, the states, then what is the same at each step; its
    /// outputs: the new states, then what becomes sequences.
    pub body: Value,
    /// How many sequences there are.
    pub sequences: usize,
    /// How many states there are.
    pub states: usize,
    /// How many steps there are, if there are no sequences.
    pub length: Option<usize>,
    /// Whether time runs from the end.
    pub reverse: bool,
    /// Whether the last input is a mask: at steps that do not count, states and outputs stay.
    pub masked: bool,
}

/// A scan whose body was read.
#[derive(Clone, Debug)]
pub struct Scan {
    /// The options.
    pub options: ScanOptions,
    /// The body.
    pub body: Arc<ScanBody>,
}

/// The graph of one step, made ready.
#[derive(Debug)]
pub struct ScanBody {
    /// The graph.
    pub plan: Arc<Plan>,
    /// Forward through it.
    pub forward: Schedule,
    /// Backward through it, to all of its inputs.
    pub backward: Schedule,
}

impl PartialEq for Scan {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.body, &other.body)
    }
}

impl Scan {
    /// Reads the body.
    pub(super) fn new(options: ScanOptions) -> Result<Self, String> {
        let document = GraphDocument::parse(&options.body.to_string()).map_err(|error| format!("body: {error}"))?;
        let plan = Plan::new(&document).map_err(|error| format!("body: {error}"))?;
        if let Some(weight) = plan.weights.first() {
            let layer = &plan.layers[weight.layer].name;
            return Err(format!("body: layer {layer} has weights: they must be inputs of the scan"));
        }
        let random = |node: &&crate::plan::Node| {
            matches!(node.operation, Operation::Dropout(_) | Operation::SpatialDropout(_))
                || matches!(node.operation, Operation::Tensor(TensorOperation::Training {}))
        };
        if let Some(node) = plan.nodes.iter().find(random) {
            let layer = &plan.layers[node.layer].name;
            return Err(format!("body: layer {layer} depends on training, which a step cannot"));
        }
        let captured = plan.inputs.len().checked_sub(options.sequences + options.states);
        if captured.is_none() || plan.outputs.len() < options.states {
            return Err("body: it has fewer inputs or outputs than sequences and states".to_owned());
        }
        if options.sequences == 0 && options.length.is_none() {
            return Err("length must be given where there are no sequences".to_owned());
        }
        let forward = Schedule::new(&plan, Roots::Values(&plan.outputs), None);
        let backward = Schedule::with_inputs(&plan, Roots::Values(&plan.outputs), &[]);
        Ok(Self { options, body: Arc::new(ScanBody { plan: Arc::new(plan), forward, backward }) })
    }

    pub(super) fn infer(&self, inputs: &[Signature]) -> Result<Inference, String> {
        let plan = &self.body.plan;
        let ScanOptions { sequences, states, length, masked, .. } = self.options;
        let expected = plan.inputs.len() + usize::from(masked);
        if inputs.len() != expected {
            return Err(format!("expected {expected} inputs, got {}", inputs.len()));
        }
        let mut equal = Vec::new();
        let mut steps = length.map(Dimension::Size);
        let mut symbols: HashMap<String, Dimension> = HashMap::new();
        for (number, (given, &value)) in inputs.iter().zip(&plan.inputs).enumerate() {
            let wanted = &plan.values[value];
            let mut shape = given.shape.clone();
            if number < sequences {
                if shape.len() < 2 {
                    return Err(format!("expected sequences [batch, time, ...], got {}", describe(&shape)));
                }
                let own = shape.remove(1);
                match &steps {
                    Some(steps) if !unify(steps, &own, &mut equal) => {
                        return Err(format!("expected sequences of one length, got {}", describe(&given.shape)));
                    }
                    _ => steps = Some(own),
                }
            }
            let mut fits = shape.len() == wanted.shape.len() && given.dtype == wanted.dtype;
            for (given, wanted) in shape.iter().zip(&wanted.shape) {
                fits &= match wanted {
                    Dimension::Size(_) => unify(wanted, given, &mut equal),
                    Dimension::Symbol(name) => match symbols.get(name).cloned() {
                        Some(known) => unify(&known, given, &mut equal),
                        None => {
                            symbols.insert(name.clone(), given.clone());
                            true
                        }
                    },
                };
            }
            if !fits {
                return Err(format!(
                    "the body takes {} {} as input {number}, got {} {}",
                    wanted.dtype.name(),
                    describe(&wanted.shape),
                    given.dtype.name(),
                    describe(&shape)
                ));
            }
        }
        let steps = steps.ok_or("length must be given where there are no sequences")?;
        let batch = inputs.first().and_then(|input| input.shape.first()).cloned();
        if let Some(mask) = inputs.last().filter(|_| masked) {
            let wanted = [batch.ok_or("a mask needs a batch")?, steps.clone()];
            let fits = mask.shape.len() == 2
                && mask.dtype == ElementType::Float32
                && mask.shape.iter().zip(&wanted).all(|(left, right)| unify(right, left, &mut equal));
            if !fits {
                return Err(format!("expected a mask {}, got {}", describe(&wanted), describe(&mask.shape)));
            }
        }
        let outer = |shape: &[Dimension]| -> Result<Shape, String> {
            let sizes = shape.iter().map(|dimension| match dimension {
                Dimension::Size(size) => Some(Dimension::Size(*size)),
                Dimension::Symbol(name) => symbols.get(name).cloned(),
            });
            sizes.collect::<Option<_>>().ok_or_else(|| {
                format!("an output {} of the body has a size that is none of its inputs'", describe(shape))
            })
        };
        let mut outputs = Vec::with_capacity(plan.outputs.len());
        for (number, &value) in plan.outputs.iter().enumerate() {
            let made = &plan.values[value];
            let mut shape = outer(&made.shape)?;
            if made.dtype != ElementType::Float32 || shape.is_empty() {
                return Err(format!("output {number} of the body must be float32 with a batch"));
            }
            if number < states {
                let state = &inputs[sequences + number];
                let same = state.shape.len() == shape.len()
                    && state.shape.iter().zip(&shape).all(|(left, right)| unify(left, right, &mut equal));
                if !same {
                    return Err(format!(
                        "state {number} begins as {}, and becomes {}",
                        describe(&state.shape),
                        describe(&shape)
                    ));
                }
            } else {
                shape.insert(1, steps.clone());
            }
            outputs.push(Signature { shape, dtype: ElementType::Float32, masked: false });
        }
        Ok(Inference { outputs, weights: Vec::new(), equal })
    }
}
