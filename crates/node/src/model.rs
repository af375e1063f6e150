//! Models as JavaScript holds them: every call is queued and gives a promise.
use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use napi::{
    Env,
    bindgen_prelude::{ClassInstance, Float32Array, Int32Array, Object},
};
use napi_derive::napi;
use sconce_engine::{
    Code, Error,
    backend::{Backend, candle::Candle, cpu::Cpu},
    decode::{Alignment, Generation, GenerationRequest, Incremental, target_scores},
    graph::GraphDocument,
    interrupt::{Flag, Interrupt},
    memory,
    model::{Model, Provided},
    training::{CompileDocument, Trainer},
    weights::WeightType,
};
use sconce_kernels::Context;

use crate::{
    allocator,
    batch::{Batch, BatchResult, FloatVector, tensors},
    error::{Result, thrown},
    layer::{NativeCancel, NativeLayer},
    search::{GenerateResult, NativeSearch, TargetScoresResult},
    settle::queue,
    trainer::NativeTrainer,
};

/// Values of a weight whose initialiser is `provided`.
#[napi(object, object_to_js = false)]
pub struct ProvidedWeight {
    /// Name of the layer.
    pub layer: String,
    /// Name of the weight.
    pub weight: String,
    /// Values in Keras' layout.
    pub data: Float32Array,
}

/// A graph over the weights of its layers.
#[napi]
pub struct NativeModel {
    model: Mutex<Option<Arc<Model>>>,
}

/// The interrupt of one call on a model.
pub fn interrupt(model: &Model, cancel: Option<ClassInstance<'_, NativeCancel>>) -> Interrupt {
    Interrupt {
        cancelled: cancel.map_or_else(Flag::default, |cancel| cancel.flag.clone()),
        disposed: model.disposed.clone(),
    }
}

/// Queues one turn of work on a model.
pub fn queue_once<T: napi::bindgen_prelude::ToNapiValue + Send + 'static>(
    env: &Env,
    model: Arc<Model>,
    work: impl FnOnce(&Model) -> sconce_engine::Result<T> + Send + 'static,
) -> Result<Object<'_>> {
    let family = Arc::clone(&model);
    let mut work = Some((model, work));
    queue(
        env,
        move || family.family(),
        move || {
            let Some((model, work)) = work.take() else {
                return Err(Error::new(Code::Internal, "a call ran twice"));
            };
            if model.disposed.is_raised() {
                return Err(disposed());
            }
            work(&model).map(Some)
        },
    )
}

fn disposed() -> Error {
    Error::new(Code::State, "the model was disposed of")
}

fn parse_request(text: &str) -> sconce_engine::Result<GenerationRequest> {
    serde_json::from_str(text).map_err(|error| Error::new(Code::Option, format!("generate: {error}")))
}

fn backend(name: &str) -> sconce_engine::Result<Box<dyn Backend>> {
    match name {
        "cpu" => Ok(Box::new(Cpu::new(Context::global().clone()))),
        "candle" => Ok(Box::new(Candle::default())),
        _ => Err(Error::new(Code::Option, format!("backend: expected cpu or candle, got {name}"))),
    }
}

#[napi]
impl NativeModel {
    /// A model of a graph document (`docs/graph.md`) over layers in the same order.
    #[napi(constructor, catch_unwind)]
    pub fn new(
        document_json: String,
        layers: Vec<ClassInstance<'_, NativeLayer>>,
        backend_name: String,
    ) -> Result<Self> {
        memory::on_give_back(allocator::give_back);
        let layers = layers.iter().map(|layer| Arc::clone(&layer.weights)).collect();
        let model = GraphDocument::parse(&document_json)
            .and_then(|document| Model::new(&document, layers, backend(&backend_name)?))
            .map_err(thrown)?;
        Ok(Self { model: Mutex::new(Some(Arc::new(model))) })
    }

    fn model(&self) -> Result<Arc<Model>> {
        let model = self.model.lock().unwrap_or_else(PoisonError::into_inner);
        model.clone().ok_or_else(|| thrown(disposed()))
    }

    /// This model and others, which take turns as one from now on.
    fn together(&self, others: &[ClassInstance<'_, Self>]) -> Result<Vec<Arc<Model>>> {
        let mut models = vec![self.model()?];
        for other in others {
            let other = other.model()?;
            models[0].join(&other);
            models.push(other);
        }
        Ok(models)
    }

    /// Inputs, outputs and weights as JSON.
    #[napi(catch_unwind)]
    pub fn describe(&self) -> Result<String> {
        Ok(self.model()?.describe().to_string())
    }

    /// Makes the weights that have no values yet.
    #[napi(catch_unwind, ts_return_type = "Promise<void>")]
    pub fn build<'env>(&self, env: &'env Env, seed: f64, provided: Vec<ProvidedWeight>) -> Result<Object<'env>> {
        let provided: Vec<Provided> = provided
            .into_iter()
            .map(|given| Provided { layer: given.layer, weight: given.weight, data: given.data.to_vec() })
            .collect();
        let model = self.model()?;
        let interrupt = interrupt(&model, None);
        queue_once(env, model, move |model| model.build(Context::global(), seed as u64, &provided, &interrupt))
    }

    /// All weights in the order of `describe`, in Keras' layouts.
    #[napi(catch_unwind, ts_return_type = "Promise<Float32Array[]>")]
    pub fn get_weights<'env>(&self, env: &'env Env) -> Result<Object<'env>> {
        queue_once(env, self.model()?, |model| {
            Ok(model.get_weights()?.into_iter().map(FloatVector).collect::<Vec<_>>())
        })
    }

    /// Replaces all weights.
    #[napi(catch_unwind, ts_return_type = "Promise<void>")]
    pub fn set_weights<'env>(&self, env: &'env Env, weights: Vec<Float32Array>) -> Result<Object<'env>> {
        let weights: Vec<Vec<f32>> = weights.iter().map(|weight| weight.to_vec()).collect();
        queue_once(env, self.model()?, move |model| model.set_weights(&weights))
    }

    /// Forgets what stateful layers carry from batch to batch.
    #[napi(catch_unwind, ts_return_type = "Promise<void>")]
    pub fn reset_states<'env>(&self, env: &'env Env) -> Result<Object<'env>> {
        queue_once(env, self.model()?, |model| {
            model.states.reset();
            Ok(())
        })
    }

    /// Writes the states that stateful layers had at the last update, atomically.
    #[napi(catch_unwind, ts_return_type = "Promise<void>")]
    pub fn save_states<'env>(&self, env: &'env Env, path: String) -> Result<Object<'env>> {
        queue_once(env, self.model()?, move |model| model.save_states(&PathBuf::from(path)))
    }

    /// Reads such states; nothing changes on failure.
    #[napi(catch_unwind, ts_return_type = "Promise<void>")]
    pub fn load_states<'env>(&self, env: &'env Env, path: String) -> Result<Object<'env>> {
        queue_once(env, self.model()?, move |model| model.load_states(&PathBuf::from(path)))
    }

    /// Outputs for one batch.
    #[napi(catch_unwind, ts_return_type = "Promise<BatchResult[]>")]
    pub fn predict<'env>(
        &self,
        env: &'env Env,
        inputs: Vec<Batch>,
        cancel: Option<ClassInstance<'_, NativeCancel>>,
    ) -> Result<Object<'env>> {
        let model = self.model()?;
        let inputs = tensors(&inputs).map_err(thrown)?;
        let interrupt = interrupt(&model, cancel);
        queue_once(env, model, move |model| {
            interrupt.check()?;
            model
                .predict(&inputs, &interrupt)?
                .into_iter()
                .map(BatchResult::new)
                .collect::<sconce_engine::Result<Vec<_>>>()
        })
    }

    /// Generates, one token a turn, alone or with `others`; `inputs` are all of each model but the decoder's.
    #[napi(catch_unwind, ts_return_type = "Promise<GenerateResult>")]
    pub fn generate<'env>(
        &self,
        env: &'env Env,
        request_json: String,
        inputs: Vec<Batch>,
        others: Vec<ClassInstance<'_, NativeModel>>,
        cancel: Option<ClassInstance<'_, NativeCancel>>,
    ) -> Result<Object<'env>> {
        let models = self.together(&others)?;
        let inputs = tensors(&inputs).map_err(thrown)?;
        let request = parse_request(&request_json).map_err(thrown)?;
        let interrupt = interrupt(&models[0], cancel);
        let family = Arc::clone(&models[0]);
        let mut start = Some((models, request, inputs, interrupt));
        let mut generation = None;
        queue(
            env,
            move || family.family(),
            move || {
                if let Some((models, request, inputs, interrupt)) = start.take() {
                    interrupt.check()?;
                    generation = Some(Generation::together(&models, request, inputs, interrupt, false)?);
                }
                let Some(own) = &mut generation else {
                    return Err(Error::new(Code::Internal, "a search was not started"));
                };
                let found = own.advance()?.map(GenerateResult::from);
                if found.is_some() {
                    // Here and now, on the thread that its memory is of.
                    generation = None;
                }
                Ok(found)
            },
        )
    }

    /// The same as a search that is gone on with step by step; `constrained`: each step is told which tokens are allowed.
    #[napi(catch_unwind)]
    pub fn search(
        &self,
        request_json: String,
        inputs: Vec<Batch>,
        others: Vec<ClassInstance<'_, NativeModel>>,
        constrained: bool,
        cancel: Option<ClassInstance<'_, NativeCancel>>,
    ) -> Result<NativeSearch> {
        let models = self.together(&others)?;
        let inputs = tensors(&inputs).map_err(thrown)?;
        let request = parse_request(&request_json).map_err(thrown)?;
        Ok(NativeSearch::new(models, request, inputs, constrained, cancel))
    }

    /// What the model, alone or with `others`, thinks of the tokens of given targets, row after row.
    #[napi(catch_unwind, ts_return_type = "Promise<TargetScoresResult>")]
    pub fn score_targets<'env>(
        &self,
        env: &'env Env,
        request_json: String,
        inputs: Vec<Batch>,
        targets: Vec<Int32Array>,
        others: Vec<ClassInstance<'_, NativeModel>>,
        cancel: Option<ClassInstance<'_, NativeCancel>>,
    ) -> Result<Object<'env>> {
        let models = self.together(&others)?;
        let inputs = tensors(&inputs).map_err(thrown)?;
        let request = parse_request(&request_json).map_err(thrown)?;
        let targets: Vec<Vec<i32>> = targets.iter().map(|ids| ids.to_vec()).collect();
        let interrupt = interrupt(&models[0], cancel);
        queue_once(env, Arc::clone(&models[0]), move |_| {
            interrupt.check()?;
            target_scores(&models, &request, inputs, &targets, interrupt).map(TargetScoresResult::from)
        })
    }

    /// Shares of the source's steps for each step of the decoder's input, `[B, T, S]`; `inputs` are all of the model's.
    #[napi(catch_unwind, ts_return_type = "Promise<BatchResult>")]
    pub fn alignment<'env>(
        &self,
        env: &'env Env,
        decoder_input: u32,
        inputs: Vec<Batch>,
        cancel: Option<ClassInstance<'_, NativeCancel>>,
    ) -> Result<Object<'env>> {
        let model = self.model()?;
        let inputs = tensors(&inputs).map_err(thrown)?;
        let interrupt = interrupt(&model, cancel);
        queue_once(env, Arc::clone(&model), move |_| {
            interrupt.check()?;
            BatchResult::new(Alignment::new(model, decoder_input as usize)?.of(&inputs, &interrupt)?)
        })
    }

    /// How each layer is treated while decoding, as JSON; throws if the decoder is not causal.
    #[napi(catch_unwind)]
    pub fn inspect_decoder(&self, request_json: String) -> Result<String> {
        let model = self.model()?;
        let request = parse_request(&request_json).map_err(thrown)?;
        let incremental = Incremental::new(&model.plan, request.decoder_input, request.output).map_err(thrown)?;
        let nodes: Vec<_> = incremental
            .treatments
            .iter()
            .map(|(layer, treatment)| serde_json::json!({ "layer": layer, "treatment": treatment }))
            .collect();
        Ok(serde_json::json!({ "nodes": nodes }).to_string())
    }

    /// Writes all weights as safetensors, atomically; metadata is a JSON object of strings.
    #[napi(catch_unwind, ts_return_type = "Promise<void>")]
    pub fn save_weights<'env>(&self, env: &'env Env, path: String, metadata_json: String) -> Result<Object<'env>> {
        let metadata: HashMap<String, String> = serde_json::from_str(&metadata_json)
            .map_err(|error| thrown(Error::new(Code::Option, format!("metadata: {error}"))))?;
        queue_once(env, self.model()?, move |model| model.save_weights(&PathBuf::from(path), metadata))
    }

    /// Reads weights, to keep them as `int8` or `bfloat16` if that is given; nothing changes on failure.
    #[napi(catch_unwind, ts_return_type = "Promise<void>")]
    pub fn load_weights<'env>(&self, env: &'env Env, path: String, dtype: Option<String>) -> Result<Object<'env>> {
        let dtype = dtype.map(|name| WeightType::named(&name)).transpose().map_err(thrown)?;
        queue_once(env, self.model()?, move |model| {
            model.load_weights(&PathBuf::from(path), dtype)?;
            memory::give_back();
            Ok(())
        })
    }

    /// A trainer with losses, metrics and an optimiser.
    #[napi(catch_unwind)]
    pub fn compile(&self, compile_json: String) -> Result<NativeTrainer> {
        let model = self.model()?;
        let trainer = CompileDocument::parse(&compile_json)
            .and_then(|document| Trainer::new(model, Context::global().clone(), document))
            .map_err(thrown)?;
        Ok(NativeTrainer::new(trainer))
    }

    /// Ends the model: calls that wait or run are rejected with code `STATE`; weights that no other model has are freed.
    #[napi(catch_unwind)]
    pub fn dispose(&self) {
        let model = self.model.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(model) = model {
            model.disposed.raise();
        }
    }
}
