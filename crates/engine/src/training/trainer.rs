//! A compiled model: one step after the other.
use std::{
    borrow::Cow,
    path::Path,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use sconce_kernels::{
    Context, Precision,
    buffer::{self, Buffer},
};

use super::{CompileDocument, OptimizerState, Penalties, extended::Extended};
use crate::{
    backend::{Forward, LossInput, MetricSums, RandomState, StepRequest, TargetData, WeightGradient},
    error::{Code, Error, Result},
    interrupt::Interrupt,
    model::Model,
    plan::{LossPlan, Schedule, TrainingPlan},
    shape::Bindings,
    tensor::{Data, Tensor},
    weights::{WeightView, quantized_only},
};

/// The data of a step.
#[derive(Debug)]
pub struct StepData {
    /// One an input.
    pub inputs: Vec<Tensor>,
    /// One an output: ids of one rank less than the output (or with a last axis of 1), or floats of its rank.
    pub targets: Vec<Tensor>,
    /// One an output: `[B]` or as many leading axes as wanted.
    pub sample_weights: Vec<Option<Tensor>>,
    /// Learning rate of this step.
    pub learning_rate: f32,
    /// Whether weights change; otherwise gradients are kept and added to.
    pub update: bool,
    /// Factor of the gradients of this batch.
    pub gradient_scale: f32,
    /// What the factors of large products are rounded to, forward and backward. Weights and optimiser stay in `f32`.
    pub precision: Precision,
}

/// What one output gave.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainedOutputResult {
    /// Mean loss of its valid entries.
    pub loss: f64,
    /// In the order of its metrics.
    pub metrics: Vec<MetricSums>,
}

/// What a step gave.
#[derive(Clone, Debug, PartialEq)]
pub struct StepResult {
    /// Sum of the weighted losses and of the penalties of weights.
    pub loss: f64,
    /// One an output.
    pub outputs: Vec<TrainedOutputResult>,
    /// Valid target entries.
    pub tokens: usize,
    /// Compute time.
    pub milliseconds: f64,
}

#[derive(Debug)]
struct State {
    optimizer: OptimizerState,
    seed: u64,
    /// Gradients since the last update.
    gradients: Vec<Option<WeightGradient>>,
}

/// Losses, metrics and optimiser of a model.
#[derive(Debug)]
pub struct Trainer {
    model: Arc<Model>,
    context: Context,
    document: CompileDocument,
    plan: TrainingPlan,
    extended: Extended,
    penalties: Penalties,
    state: Mutex<State>,
    /// Copy of the count in the state, which is locked while a step runs.
    iterations: AtomicU64,
    /// What weights, their gradients and the optimiser's state take.
    bytes: usize,
}

impl Drop for Trainer {
    fn drop(&mut self) {
        // Steps took much that nobody needs as soon again.
        buffer::settle();
    }
}

impl Trainer {
    /// Compiles a model; layers that are not trainable now stay as they are.
    ///
    /// # Errors
    /// `Option` or `Shape`.
    pub fn new(model: Arc<Model>, context: Context, document: CompileDocument) -> Result<Self> {
        if model.is_quantized() {
            return Err(quantized_only());
        }
        let trainable: Vec<bool> = model
            .plan
            .weights
            .iter()
            .map(|weight| weight.specification.trainable && model.layers[weight.layer].trainable())
            .collect();
        let extended = Extended::new(&model, &document.graphs)?;
        let plan = TrainingPlan::new(extended.plan(&model), &document.outputs, &trainable)?;
        let count = model.plan.weights.len();
        let penalties = Penalties::new(&model.plan, &trainable);
        let copies = 2 + document.optimizer.copies();
        let bytes = model.weight_bytes(|index, _| trainable[index]).saturating_mul(copies);
        let state = State {
            optimizer: OptimizerState::new(document.optimizer.clone(), count),
            seed: document.seed,
            gradients: (0..count).map(|_| None).collect(),
        };
        let (state, iterations) = (Mutex::new(state), AtomicU64::new(0));
        Ok(Self { model, context, document, plan, extended, penalties, state, iterations, bytes })
    }

    /// The model.
    #[must_use]
    pub fn model(&self) -> &Arc<Model> {
        &self.model
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Updates so far; does not wait for a step that runs.
    #[must_use]
    pub fn iterations(&self) -> u64 {
        self.iterations.load(Ordering::Acquire)
    }

    /// Forgets gradients that wait for an update.
    pub fn reset_gradients(&self) {
        self.lock().gradients.iter_mut().for_each(|gradient| *gradient = None);
    }

    /// Writes optimiser state.
    ///
    /// # Errors
    /// `File`.
    pub fn save_state(&self, path: &Path) -> Result<()> {
        let state = self.lock();
        state.optimizer.save(&self.model.plan, path, state.seed)
    }

    /// Reads optimiser state; nothing changes on failure.
    ///
    /// # Errors
    /// `File` or `Format`.
    pub fn load_state(&self, path: &Path) -> Result<()> {
        let (optimizer, seed) = OptimizerState::load(self.document.optimizer.clone(), &self.model.plan, path)?;
        let mut state = self.lock();
        state.optimizer = optimizer;
        state.seed = seed;
        self.iterations.store(state.optimizer.iterations, Ordering::Release);
        state.gradients.iter_mut().for_each(|gradient| *gradient = None);
        Ok(())
    }

    /// Replaces each trained weight by its average over the steps, if the optimiser keeps averages.
    ///
    /// # Errors
    /// `State` if a weight has no values.
    pub fn finalize(&self) -> Result<()> {
        self.lock().optimizer.finalize(&self.model.plan, &self.model.layers)
    }

    /// A training step.
    ///
    /// # Errors
    /// `Shape`, `Data`, `State` or `Cancelled`, `Option` for a precision that the backend does not offer; weights are unchanged
    /// then.
    pub fn train(&self, data: StepData, interrupt: &Interrupt) -> Result<StepResult> {
        let start = Instant::now();
        let mut state = self.lock();
        let state = &mut *state;
        let (inputs, losses) = self.bind(&self.plan.train, &data)?;
        let (result, penalty) = {
            let weights = WeightView::new(&self.model.layers)?;
            let forward = self.forward(&inputs, &weights, interrupt, data.precision);
            let gradients = self.plan.train.differentiates().then_some(&mut *state.gradients);
            let request = StepRequest {
                forward,
                losses: &losses,
                random: Some(RandomState { seed: state.seed, step: state.optimizer.iterations }),
                gradient_scale: data.gradient_scale,
                gradients,
            };
            let results = self.extended.program(&self.model).step(&self.plan.train, &self.plan.losses, request);
            if results.is_err() {
                // Half of a gradient must not leak into the next step.
                state.gradients.iter_mut().for_each(|gradient| *gradient = None);
            }
            let results = results?;
            let scaled = (f64::from(data.gradient_scale), &mut *state.gradients);
            (results, self.penalties.value(&self.context, &self.model.plan, &weights, Some(scaled))?)
        };
        if data.update {
            state.optimizer.update(
                &self.context,
                &self.model.plan,
                &self.model.layers,
                &mut state.gradients,
                data.learning_rate,
            )?;
            self.iterations.store(state.optimizer.iterations, Ordering::Release);
            self.model.states.mark();
        }
        Ok(self.summarise(&result, penalty, start))
    }

    /// Losses and metrics without training.
    ///
    /// # Errors
    /// As [`Self::train`].
    pub fn test(&self, data: &StepData, interrupt: &Interrupt) -> Result<StepResult> {
        let start = Instant::now();
        let (inputs, losses) = self.bind(&self.plan.test, data)?;
        let weights = WeightView::new(&self.model.layers)?;
        let request = StepRequest {
            forward: self.forward(&inputs, &weights, interrupt, data.precision),
            losses: &losses,
            random: None,
            gradient_scale: 1.0,
            gradients: None,
        };
        let results = self.extended.program(&self.model).step(&self.plan.test, &self.plan.losses, request)?;
        let penalty = self.penalties.value(&self.context, &self.model.plan, &weights, None)?;
        Ok(self.summarise(&results, penalty, start))
    }

    fn forward<'a>(
        &'a self,
        inputs: &'a [Tensor],
        weights: &'a WeightView<'a>,
        interrupt: &'a Interrupt,
        precision: Precision,
    ) -> Forward<'a> {
        Forward { states: Some(&self.model.states), precision, ..Forward::new(inputs, weights, interrupt) }
    }

    fn summarise(&self, results: &[crate::backend::LossResult], penalty: f64, start: Instant) -> StepResult {
        let empty = TrainedOutputResult { loss: 0.0, metrics: Vec::new() };
        let mut outputs = vec![empty; self.model.plan.outputs.len()];
        let (mut loss, mut tokens) = (penalty, 0);
        for (plan, result) in self.plan.losses.iter().zip(results) {
            if plan.loss.is_some() {
                loss += result.loss * f64::from(plan.weight);
                tokens += result.valid;
            }
            outputs[plan.output] = TrainedOutputResult { loss: result.loss, metrics: result.metrics.clone() };
        }
        // Penalties on what layers give.
        loss += results.get(self.plan.losses.len()).map_or(0.0, |penalty| penalty.loss);
        StepResult { loss, outputs, tokens, milliseconds: start.elapsed().as_secs_f64() * 1e3 }
    }

    /// Checks a batch against the plan, and makes the inputs of the plan and of the losses.
    fn bind<'a>(&self, schedule: &Schedule, data: &'a StepData) -> Result<(Cow<'a, [Tensor]>, Vec<LossInput>)> {
        if !self.model.backend.offers(data.precision) {
            let name = self.model.backend.name();
            return Err(Error::new(Code::Option, format!("backend {name} computes in float32 only on this machine")));
        }
        let shapes: Vec<&[usize]> = data.inputs.iter().map(|input| input.shape.as_slice()).collect();
        let bindings = self.model.plan.bind(&shapes)?;
        let count = self.model.plan.outputs.len();
        if data.targets.len() != count || data.sample_weights.len() != count {
            return Err(Error::new(
                Code::Shape,
                format!(
                    "the model has {count} outputs, got {} targets and {} sample weights",
                    data.targets.len(),
                    data.sample_weights.len()
                ),
            ));
        }
        let inputs = self.plan.losses.iter().map(|loss| self.loss_input(loss, data, &bindings));
        let inputs = inputs.collect::<Result<Vec<_>>>()?;
        let all = self.extended.inputs(&self.model, &data.inputs, &bindings, |output| {
            self.plan.losses.iter().zip(&inputs).find(|(loss, _)| loss.output == output).map(|(_, input)| &input.target)
        })?;
        self.model.bind_for(self.extended.plan(&self.model), schedule, &all, self.bytes)?;
        Ok((all, inputs))
    }

    fn loss_input(&self, loss: &LossPlan, data: &StepData, bindings: &Bindings) -> Result<LossInput> {
        let value = self.model.plan.outputs[loss.output];
        let name = self.model.plan.value_layer(value);
        let shape = bindings.sizes(&self.model.plan.values[value].shape)?;
        let inner = &shape[..shape.len() - 1];
        let rows: usize = inner.iter().product();
        let target = &data.targets[loss.output];
        let with_one: Vec<usize> = inner.iter().copied().chain([1]).collect();
        let ids = loss.takes_ids(&shape);
        let target_data = match &target.data {
            Data::Ids(ids_of_rows) if ids && (target.shape == inner || target.shape == with_one) => {
                TargetData::Ids(Arc::clone(ids_of_rows))
            }
            Data::Float(values) if target.shape == shape || (shape.last() == Some(&1) && target.shape == inner) => {
                TargetData::Probabilities(values.clone())
            }
            _ => {
                let expected = if ids { format!("ids of shape {inner:?} or floats") } else { "floats".to_owned() };
                return Err(Error::new(
                    Code::Shape,
                    format!(
                        "target of output {name}: expected {expected} of shape {shape:?}, got {} of shape {:?}{}",
                        target.dtype().name(),
                        target.shape,
                        if ids { "" } else { ": its loss or a metric takes a target for each element" }
                    ),
                ));
            }
        };
        let sample_weights = match &data.sample_weights[loss.output] {
            None => None,
            Some(weights) => Some(spread(name, weights, inner, rows)?),
        };
        Ok(LossInput { target: target_data, sample_weights })
    }
}

/// Sample weights `[B]`, `[B, T]`, ... spread over the rows of an output.
fn spread(name: &str, weights: &Tensor, inner: &[usize], rows: usize) -> Result<Buffer> {
    let rank = weights.shape.len();
    if rank == 0 || rank > inner.len() || weights.shape != inner[..rank] {
        return Err(Error::new(
            Code::Shape,
            format!(
                "sample weights of output {name}: expected shape {inner:?} or its first axes, got {:?}",
                weights.shape
            ),
        ));
    }
    let values = weights.floats()?;
    if let Some(position) = values.iter().position(|value| !value.is_finite() || *value < 0.0) {
        return Err(Error::new(
            Code::Data,
            format!(
                "sample weights of output {name}: {} at position {position} is not a finite number of at least 0",
                values[position]
            ),
        ));
    }
    let repeat = rows.checked_div(values.len()).unwrap_or(0);
    let mut spread = Buffer::new(rows);
    for (chunk, &value) in spread.chunks_mut(repeat.max(1)).zip(values) {
        chunk.fill(value);
    }
    Ok(spread)
}
