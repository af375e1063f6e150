//! A plan over the weights of its layers.
use std::{collections::HashMap, path::Path, sync::Arc};

use sconce_kernels::{Context, buffer::Buffer, quantized::QuantizedMatrix, random::RandomKey};

use crate::{
    backend::{Backend, CarriedStates, Forward, Program},
    checkpoint::{self, Entry},
    error::{Code, Error, Result},
    graph::GraphDocument,
    initializer::Start,
    interrupt::{Flag, Interrupt},
    memory,
    plan::{Plan, PlanWeight, Roots, Schedule, ValueId},
    shape::{Bindings, count},
    tensor::Tensor,
    weights::{LayerWeights, Values, WeightType, WeightView, from_keras, matrix, to_keras, transpose_part},
};

/// Values for weights whose initialiser is `provided`.
#[derive(Debug)]
pub struct Provided {
    /// Name of the layer.
    pub layer: String,
    /// Name of the weight.
    pub weight: String,
    /// Values in Keras' layout.
    pub data: Vec<f32>,
}

/// A model: a graph, made ready for a backend.
#[derive(Debug)]
pub struct Model {
    /// The graph.
    pub plan: Arc<Plan>,
    /// Weights, in the order of the plan's layers.
    pub layers: Vec<Arc<LayerWeights>>,
    pub(crate) program: Box<dyn Program>,
    pub(crate) backend: Box<dyn Backend>,
    /// Raised when the model is disposed of: calls that run or wait then end with `State`.
    pub disposed: Flag,
    /// What stateful layers carry from batch to batch, in training, tests and predictions alike.
    pub states: CarriedStates,
    predict: Schedule,
}

impl Drop for Model {
    fn drop(&mut self) {
        // Weights of a model that is only collected stay with their layers; those of one that was disposed of go, unless
        // another model has them too.
        let disposed = self.disposed.is_raised();
        self.layers.iter().for_each(|layer| layer.release(disposed));
    }
}

impl Model {
    /// Reads a document over layers in the same order; all layers become one family.
    ///
    /// # Errors
    /// `Graph`, `Shape` or `Option`.
    pub fn new(document: &GraphDocument, layers: Vec<Arc<LayerWeights>>, backend: Box<dyn Backend>) -> Result<Self> {
        let plan = Arc::new(Plan::new(document)?);
        if layers.len() != plan.layers.len() {
            return Err(Error::new(
                Code::Graph,
                format!("the graph has {} layers, got weights for {}", plan.layers.len(), layers.len()),
            ));
        }
        for (layer, weights) in plan.layers.iter().zip(&layers) {
            let wanted: Vec<_> = plan.weights[layer.first_weight..][..layer.weight_count]
                .iter()
                .map(|weight| (&weight.specification.name, &weight.specification.shape))
                .collect();
            let found: Vec<_> = weights.specifications.iter().map(|weight| (&weight.name, &weight.shape)).collect();
            if wanted != found {
                return Err(Error::new(
                    Code::Shape,
                    format!("layer {}: its weights are {found:?}, this graph needs {wanted:?}", layer.name),
                ));
            }
        }
        let program = backend.lower(Arc::clone(&plan))?;
        let predict = Schedule::new(&plan, Roots::Values(&plan.outputs), None);
        join_families(&layers);
        layers.iter().for_each(|layer| layer.retain());
        Ok(Self {
            plan,
            layers,
            program,
            backend,
            disposed: Flag::default(),
            states: CarriedStates::default(),
            predict,
        })
    }

    /// The family whose calls run one after the other.
    #[must_use]
    pub fn family(&self) -> u64 {
        self.layers.first().map_or(0, |layer| layer.family())
    }

    /// Makes one family of those of two models.
    pub fn join(&self, other: &Self) {
        if let (Some(own), Some(layer)) = (self.layers.first(), other.layers.first()) {
            layer.join_family(own);
        }
    }

    /// Whether all weights have values.
    #[must_use]
    pub fn is_built(&self) -> bool {
        self.layers.iter().all(|layer| layer.read().iter().all(Option::is_some))
    }

    /// Whether weights are kept in fewer bits: the model can then only predict and generate.
    #[must_use]
    pub fn is_quantized(&self) -> bool {
        let quantized = |values: &Option<Values>| matches!(values, Some(Values::Quantized(_)));
        self.layers.iter().any(|layer| layer.read().iter().any(quantized))
    }

    fn name(&self, weight: &PlanWeight) -> String {
        format!("{}/{}", self.plan.layers[weight.layer].name, weight.specification.name)
    }

    /// Makes the weights that have no values yet.
    ///
    /// # Errors
    /// `Data` if a provided weight is missing or has another length, `Limit` if there is not enough memory; nothing changes
    /// then.
    pub fn build(&self, context: &Context, seed: u64, provided: &[Provided], interrupt: &Interrupt) -> Result<()> {
        self.check_room()?;
        let mut made = Vec::new();
        for (number, weight) in self.plan.weights.iter().enumerate() {
            interrupt.check()?;
            if self.layers[weight.layer].is_built(weight.index) {
                continue;
            }
            let name = self.name(weight);
            let shape = &weight.specification.shape;
            let length = count(shape)?;
            let layer = &self.plan.layers[weight.layer].name;
            let given =
                provided.iter().find(|given| given.layer == *layer && given.weight == weight.specification.name);
            let mut values = Buffer::lasting(length);
            let fill = |rule: sconce_kernels::initialize::Initializer, own: Option<u64>, values: &mut [f32]| {
                let key = RandomKey::initial(own.unwrap_or(seed), own.map_or(number as u32, |_| weight.index as u32));
                rule.fill(context, shape, key, values)
                    .map_err(|error| Error::new(Code::Option, format!("{name}: {error}")))
            };
            match (given, weight.start) {
                (Some(given), _) => {
                    if given.data.len() != length {
                        return Err(Error::new(
                            Code::Data,
                            format!("{name}: expected {length} values of shape {shape:?}, got {}", given.data.len()),
                        ));
                    }
                    values.copy_from_slice(&given.data);
                }
                (None, Start::Provided) => {
                    return Err(Error::new(Code::Data, format!("{name}: its initial values were not provided")));
                }
                (None, Start::Rule(rule, own)) => fill(rule, own, &mut values)?,
                (None, Start::ForgetBias(rule, own)) => {
                    fill(rule, own, &mut values)?;
                    let units = length / 4;
                    values[units..2 * units].fill(1.0);
                }
            }
            made.push((weight, from_keras(&weight.specification, &values)));
        }
        for (weight, values) in made {
            self.layers[weight.layer].set(weight.index, values);
        }
        Ok(())
    }

    /// Bytes of all weights for which `wanted` holds.
    pub(crate) fn weight_bytes(&self, wanted: impl Fn(usize, &PlanWeight) -> bool) -> usize {
        let weights = self.plan.weights.iter().enumerate().filter(|(index, weight)| wanted(*index, weight));
        weights
            .map(|(_, weight)| count(&weight.specification.shape).unwrap_or(usize::MAX).saturating_mul(4))
            .fold(0, usize::saturating_add)
    }

    /// Whether there is memory for the weights that have no values yet.
    fn check_room(&self) -> Result<()> {
        let missing = |_: usize, weight: &PlanWeight| !self.layers[weight.layer].is_built(weight.index);
        // Each is drawn in Keras' layout first and then brought into that of the engine.
        let bytes = self.weight_bytes(missing).saturating_mul(2);
        memory::check("making the weights", bytes, memory::available(), "use fewer units or a smaller vocabulary")
    }

    /// All weights in Keras' order and layouts.
    ///
    /// # Errors
    /// `State` if they are not built, `Limit` if there is no memory for copies.
    pub fn get_weights(&self) -> Result<Vec<Vec<f32>>> {
        // Copied here and once more where they go.
        let bytes = self.weight_bytes(|_, _| true).saturating_mul(2);
        memory::check("copying the weights", bytes, memory::available(), "free some memory first")?;
        let view = WeightView::new(&self.layers)?;
        self.plan
            .weights
            .iter()
            .map(|weight| Ok(to_keras(&weight.specification, view.need(weight.layer, weight.index)?)))
            .collect()
    }

    /// Replaces all weights; nothing changes on failure.
    ///
    /// # Errors
    /// `Shape` naming the weight.
    pub fn set_weights(&self, values: &[Vec<f32>]) -> Result<()> {
        if values.len() != self.plan.weights.len() {
            return Err(Error::new(
                Code::Shape,
                format!("the model has {} weights, got {}", self.plan.weights.len(), values.len()),
            ));
        }
        for (weight, values) in self.plan.weights.iter().zip(values) {
            let shape = &weight.specification.shape;
            if count(shape)? != values.len() {
                return Err(Error::new(
                    Code::Shape,
                    format!("{}: expected shape {shape:?}, got {} values", self.name(weight), values.len()),
                ));
            }
        }
        for (weight, values) in self.plan.weights.iter().zip(values) {
            self.layers[weight.layer].set(weight.index, from_keras(&weight.specification, values));
        }
        Ok(())
    }

    /// Writes all weights in Keras' layouts as `layer/weight`.
    ///
    /// # Errors
    /// `State` if they are not built; `File`.
    pub fn save_weights(&self, path: &Path, metadata: HashMap<String, String>) -> Result<()> {
        let entries: Vec<Entry> = self
            .plan
            .weights
            .iter()
            .zip(self.get_weights()?)
            .map(|(weight, values)| Entry::float(self.name(weight), weight.specification.shape.clone(), &values))
            .collect();
        checkpoint::write(path, &entries, metadata)
    }

    /// Reads weights that [`Self::save_weights`] wrote; nothing changes on failure. Matrices that are only multiplied or looked up
    /// are kept as `dtype`, if there is one; the model can then only predict and generate.
    ///
    /// # Errors
    /// `File`, or `Format` if a tensor is missing, has another shape, or belongs to another model; `Option` if the backend of the
    /// model has no such type.
    pub fn load_weights(&self, path: &Path, dtype: Option<WeightType>) -> Result<()> {
        if dtype.is_some() && !self.backend.keeps_quantized() {
            return Err(Error::new(
                Code::Option,
                format!("dtype: the backend {} has float32 only", self.backend.name()),
            ));
        }
        let bytes: u64 = self
            .plan
            .weights
            .iter()
            .map(|weight| 4 * weight.specification.shape.iter().product::<usize>() as u64)
            .sum();
        let contents = checkpoint::read(path, bytes)?;
        contents.only(|name| self.plan.weights.iter().any(|weight| self.name(weight) == name))?;
        let multiplied = self.plan.multiplied();
        // Block by block: beside those that are kept, at most one matrix of floats is in memory.
        let mut turned = Vec::new();
        let mut values = Vec::with_capacity(multiplied.len());
        for (weight, sizes) in self.plan.weights.iter().zip(multiplied) {
            let kept = dtype.zip(sizes).and_then(|(dtype, sizes)| dtype.zeros(sizes));
            values.push(self.read_weight(&contents, weight, kept, &mut turned)?);
        }
        for (weight, values) in self.plan.weights.iter().zip(values) {
            self.layers[weight.layer].set_values(weight.index, values);
        }
        Ok(())
    }

    /// The values of a weight in a file, in `kept` if there is such a matrix. `turned` is room for one that must be transposed first.
    fn read_weight(
        &self,
        contents: &checkpoint::Contents,
        weight: &PlanWeight,
        kept: Option<QuantizedMatrix>,
        turned: &mut Vec<f32>,
    ) -> Result<Values> {
        let (name, shape) = (self.name(weight), &weight.specification.shape);
        let length = count(shape)?;
        let matrix = matrix(&weight.specification);
        match (kept, matrix) {
            (Some(mut kept), None) => {
                let [_, width] = kept.sizes();
                contents.each_block(&name, shape, width, |first, rows| {
                    kept.set_rows(Context::global(), first / width.max(1), rows);
                })?;
                Ok(Values::Quantized(kept))
            }
            (Some(mut kept), Some((rows, columns))) => {
                turned.resize(length, 0.0);
                contents.each_block(&name, shape, columns, |first, part| {
                    transpose_part(rows, columns, first / columns.max(1), part, turned);
                })?;
                kept.set_rows(Context::global(), 0, turned);
                Ok(Values::Quantized(kept))
            }
            (None, Some((rows, columns))) => {
                let mut values = Buffer::lasting(length);
                contents.each_block(&name, shape, columns, |first, part| {
                    transpose_part(rows, columns, first / columns.max(1), part, &mut values);
                })?;
                Ok(Values::Float(values))
            }
            (None, None) => {
                let mut values = Buffer::lasting(length);
                contents.each_block(&name, shape, 1, |first, part| {
                    values[first..][..part.len()].copy_from_slice(part);
                })?;
                Ok(Values::Float(values))
            }
        }
    }

    /// Checks the inputs of a batch.
    ///
    /// # Errors
    /// `Shape` or `Limit`, naming the input.
    pub fn bind(&self, inputs: &[Tensor]) -> Result<Bindings> {
        self.bind_for(&self.plan, &self.predict, inputs, 0)
    }

    /// As [`Self::bind`] for another schedule of the plan or of an extension of it, where `besides` bytes are needed for other things.
    pub(crate) fn bind_for(
        &self,
        plan: &Plan,
        schedule: &Schedule,
        inputs: &[Tensor],
        besides: usize,
    ) -> Result<Bindings> {
        let shapes: Vec<&[usize]> = inputs.iter().map(|input| input.shape.as_slice()).collect();
        let bindings = plan.bind(&shapes)?;
        for (&value, input) in plan.inputs.iter().zip(inputs) {
            let wanted = plan.values[value].dtype;
            if wanted != input.dtype() {
                return Err(Error::new(
                    Code::Shape,
                    format!(
                        "input {}: expected {}, got {}",
                        plan.value_layer(value),
                        wanted.name(),
                        input.dtype().name()
                    ),
                ));
            }
        }
        let bytes = schedule.bytes(plan, &bindings)?;
        let remedy = if besides > bytes { "use a smaller model" } else { "use smaller batches" };
        memory::check("a batch of this size", bytes.saturating_add(besides), memory::total(), remedy)?;
        Ok(bindings)
    }

    /// Outputs for one batch.
    ///
    /// # Errors
    /// `Shape`, `Data`, `State` or `Cancelled`.
    pub fn predict(&self, inputs: &[Tensor], interrupt: &Interrupt) -> Result<Vec<Tensor>> {
        self.bind(inputs)?;
        let weights = WeightView::new(&self.layers)?;
        let forward = Forward { states: Some(&self.states), ..Forward::new(inputs, &weights, interrupt) };
        self.program.values(&self.predict, forward, &self.plan.outputs)
    }

    /// What the model is made of, as JSON: `inputs` (name, shape, dtype), `outputs` (name, shape, dtype, masked), `weights`
    /// (layer, name, shape, trainable, built) in Keras' order.
    #[must_use]
    pub fn describe(&self) -> serde_json::Value {
        let value = |&value: &ValueId| {
            let signature = &self.plan.values[value];
            serde_json::json!({
                "name": self.plan.value_layer(value),
                "shape": signature.shape,
                "dtype": signature.dtype,
                "masked": signature.masked,
            })
        };
        let weights: Vec<_> = self
            .plan
            .weights
            .iter()
            .map(|weight| {
                let layer = &self.layers[weight.layer];
                serde_json::json!({
                    "layer": self.plan.layers[weight.layer].name,
                    "name": weight.specification.name,
                    "shape": weight.specification.shape,
                    "trainable": weight.specification.trainable && layer.trainable(),
                    "built": layer.is_built(weight.index),
                })
            })
            .collect();
        serde_json::json!({
            "inputs": self.plan.inputs.iter().map(value).collect::<Vec<_>>(),
            "outputs": self.plan.outputs.iter().map(value).collect::<Vec<_>>(),
            "weights": weights,
        })
    }
}

/// Models that share a layer are one family: their calls run in the order in which they were made.
fn join_families(layers: &[Arc<LayerWeights>]) {
    if let [first, rest @ ..] = layers {
        rest.iter().for_each(|layer| layer.join_family(first));
    }
}
