//! Trainers as JavaScript holds them.
use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use napi::{
    Env,
    bindgen_prelude::{ClassInstance, Either, Null, Object},
};
use napi_derive::napi;
use sconce_engine::{
    Code, Error,
    training::{StepData, StepResult as EngineResult, Trainer},
};
use sconce_kernels::Precision;

use crate::{
    batch::{Batch, tensors},
    error::{Result, thrown},
    layer::NativeCancel,
    model::{interrupt, queue_once},
};

/// One training or test step.
#[napi(object, object_to_js = false)]
pub struct StepRequest {
    /// One an input of the model.
    pub inputs: Vec<Batch>,
    /// One an output.
    pub targets: Vec<Batch>,
    /// One an output.
    pub sample_weights: Vec<Either<Batch, Null>>,
    /// Of this step.
    pub learning_rate: f64,
    /// `false`: accumulate gradients only.
    pub update: bool,
    /// Factor of the gradients.
    pub gradient_scale: f64,
    /// Whether the factors of large products are rounded to bfloat16.
    pub bfloat16: bool,
}

impl StepRequest {
    fn data(&self) -> sconce_engine::Result<StepData> {
        let sample_weights = self
            .sample_weights
            .iter()
            .map(|weights| match weights {
                Either::A(batch) => batch.tensor().map(Some),
                Either::B(_) => Ok(None),
            })
            .collect::<sconce_engine::Result<_>>()?;
        Ok(StepData {
            inputs: tensors(&self.inputs)?,
            targets: tensors(&self.targets)?,
            sample_weights,
            learning_rate: self.learning_rate as f32,
            update: self.update,
            gradient_scale: self.gradient_scale as f32,
            precision: if self.bfloat16 { Precision::Bfloat16 } else { Precision::Float32 },
        })
    }
}

/// Sums of one metric over the valid entries of a batch.
#[napi(object, object_from_js = false)]
pub struct MetricSums {
    /// Weighted sum of values.
    pub total: f64,
    /// Sum of weights.
    pub count: f64,
}

/// What one output gave.
#[napi(object, object_from_js = false)]
pub struct OutputResult {
    /// Mean loss over valid entries.
    pub loss: f64,
    /// In the order of its metrics.
    pub metrics: Vec<MetricSums>,
}

/// What a step gives.
#[napi(object, object_from_js = false)]
pub struct StepResult {
    /// Sum of the weighted losses and of the penalties of weights.
    pub loss: f64,
    /// One an output.
    pub outputs: Vec<OutputResult>,
    /// Valid target entries.
    pub tokens: f64,
    /// Compute time.
    pub milliseconds: f64,
}

impl StepResult {
    fn new(result: EngineResult) -> Self {
        let outputs = result
            .outputs
            .into_iter()
            .map(|output| OutputResult {
                loss: output.loss,
                metrics: output
                    .metrics
                    .into_iter()
                    .map(|sums| MetricSums { total: sums.total, count: sums.count })
                    .collect(),
            })
            .collect();
        Self { loss: result.loss, outputs, tokens: result.tokens as f64, milliseconds: result.milliseconds }
    }
}

/// Losses, metrics and optimiser state of a compiled model.
#[napi]
pub struct NativeTrainer {
    trainer: Mutex<Option<Arc<Trainer>>>,
}

impl NativeTrainer {
    pub(crate) fn new(trainer: Trainer) -> Self {
        Self { trainer: Mutex::new(Some(Arc::new(trainer))) }
    }

    fn trainer(&self) -> Result<Arc<Trainer>> {
        let trainer = self.trainer.lock().unwrap_or_else(PoisonError::into_inner);
        trainer
            .clone()
            .filter(|trainer| !trainer.model().disposed.is_raised())
            .ok_or_else(|| thrown(Error::new(Code::State, "the model was disposed of or compiled anew")))
    }
}

#[napi]
impl NativeTrainer {
    /// A training step.
    #[napi(catch_unwind, ts_return_type = "Promise<StepResult>")]
    pub fn train_on_batch<'env>(
        &self,
        env: &'env Env,
        request: StepRequest,
        cancel: Option<ClassInstance<'_, NativeCancel>>,
    ) -> Result<Object<'env>> {
        let trainer = self.trainer()?;
        let data = request.data().map_err(thrown)?;
        let interrupt = interrupt(trainer.model(), cancel);
        queue_once(env, Arc::clone(trainer.model()), move |_| {
            interrupt.check()?;
            trainer.train(data, &interrupt).map(StepResult::new)
        })
    }

    /// Losses and metrics without training.
    #[napi(catch_unwind, ts_return_type = "Promise<StepResult>")]
    pub fn test_on_batch<'env>(
        &self,
        env: &'env Env,
        request: StepRequest,
        cancel: Option<ClassInstance<'_, NativeCancel>>,
    ) -> Result<Object<'env>> {
        let trainer = self.trainer()?;
        let data = request.data().map_err(thrown)?;
        let interrupt = interrupt(trainer.model(), cancel);
        queue_once(env, Arc::clone(trainer.model()), move |_| {
            interrupt.check()?;
            trainer.test(&data, &interrupt).map(StepResult::new)
        })
    }

    /// Steps so far, several for an update if the optimiser accumulates gradients. Calls that wait in the queue are not counted.
    #[napi(catch_unwind)]
    pub fn iterations(&self) -> Result<f64> {
        Ok(self.trainer()?.iterations() as f64)
    }

    /// Forgets gradients that were accumulated since the last update.
    #[napi(catch_unwind, ts_return_type = "Promise<void>")]
    pub fn reset_gradients<'env>(&self, env: &'env Env) -> Result<Object<'env>> {
        let trainer = self.trainer()?;
        queue_once(env, Arc::clone(trainer.model()), move |_| {
            trainer.reset_gradients();
            Ok(())
        })
    }

    /// Replaces each trained weight by its average over the steps, if the optimiser keeps averages.
    #[napi(catch_unwind, ts_return_type = "Promise<void>")]
    pub fn finalize_variable_values<'env>(&self, env: &'env Env) -> Result<Object<'env>> {
        let trainer = self.trainer()?;
        queue_once(env, Arc::clone(trainer.model()), move |_| trainer.finalize())
    }

    /// Writes the optimiser's state, atomically.
    #[napi(catch_unwind, ts_return_type = "Promise<void>")]
    pub fn save_state<'env>(&self, env: &'env Env, path: String) -> Result<Object<'env>> {
        let trainer = self.trainer()?;
        queue_once(env, Arc::clone(trainer.model()), move |_| trainer.save_state(&PathBuf::from(path)))
    }

    /// Reads the optimiser's state; nothing changes on failure.
    #[napi(catch_unwind, ts_return_type = "Promise<void>")]
    pub fn load_state<'env>(&self, env: &'env Env, path: String) -> Result<Object<'env>> {
        let trainer = self.trainer()?;
        queue_once(env, Arc::clone(trainer.model()), move |_| trainer.load_state(&PathBuf::from(path)))
    }

    /// Frees the optimiser's state.
    #[napi(catch_unwind)]
    pub fn dispose(&self) {
        drop(self.trainer.lock().unwrap_or_else(PoisonError::into_inner).take());
    }
}
