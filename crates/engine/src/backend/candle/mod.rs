//! The candle backend: a plain interpreter of plans by the tensor operations of candle, with its own backward passes.
//!
//! It is what the CPU backend is compared with. Nothing is fused, released early or done in place, and candle's own
//! differentiation has no part in it. Random numbers are those of the CPU backend.
mod activation;
mod activity;
mod additive_scores;
mod attention;
mod attention_rnn;
mod backward;
mod forward;
mod gru;
mod loss;
mod lstm;
mod merge;
mod normalization;
mod position_bias;
mod positions;
mod recurrent;
mod rotary;
mod row_loss;
mod scan;
mod sequence;
mod simple_rnn;
mod tensor;

use std::sync::Arc;

use ::candle_core::{DType, Device, Tensor as Array};
use sconce_kernels::{Context, Precision, buffer::Buffer, dropout::Dropout, random::RandomKey, simd::Simd};

use super::{
    Backend, Forward, LossResult, MaskedValue, Program, RandomState, StepRequest, WeightGradient, carried::RunStates,
};
use crate::{
    error::{Code, Error, Result},
    plan::{LossPlan, Node, Plan, Schedule, ValueId},
    tensor::{Data, Mask, Tensor},
};

impl From<::candle_core::Error> for Error {
    fn from(error: ::candle_core::Error) -> Self {
        Self::new(Code::Internal, format!("candle: {error}"))
    }
}

/// Runs plans with candle on one of its devices.
#[derive(Clone, Debug)]
pub struct Candle {
    device: Device,
    precision: DType,
}

impl Candle {
    /// On a device, in 32-bit floats.
    #[must_use]
    pub fn new(device: Device) -> Self {
        Self { device, precision: DType::F32 }
    }

    /// On a device, in 64-bit floats: slow, for reference. Weights, data and results still are 32-bit floats.
    #[must_use]
    pub fn double(device: Device) -> Self {
        Self { device, precision: DType::F64 }
    }
}

impl Backend for Candle {
    fn name(&self) -> &'static str {
        "candle"
    }

    fn offers(&self, precision: Precision) -> bool {
        precision == Precision::Float32
    }

    fn lower(&self, plan: Arc<Plan>) -> Result<Box<dyn Program>> {
        Ok(Box::new(CandleProgram { placement: self.clone(), context: Context::new(1, Simd::Scalar), plan }))
    }
}

#[derive(Debug)]
struct CandleProgram {
    placement: Candle,
    /// Makes random numbers.
    context: Context,
    plan: Arc<Plan>,
}

/// A value of a run.
#[derive(Clone)]
enum Value {
    Floats(Array),
    Ids(Tensor),
}

/// One run of a program.
struct Run<'a> {
    program: &'a CandleProgram,
    plan: &'a Plan,
    schedule: &'a Schedule,
    forward: Forward<'a>,
    random: Option<RandomState>,
    values: Vec<Option<Value>>,
    masks: Vec<Option<Mask>>,
    /// What recurrent layers keep, one a node.
    saved: Vec<Option<recurrent::Saved>>,
    states: RunStates<'a>,
    /// Gradients of values.
    gradients: Vec<Option<Array>>,
    /// Gradients of weights of this run.
    weight_gradients: Vec<Option<Array>>,
}

fn add_to(sum: &mut Option<Array>, gradient: Array) -> Result<()> {
    *sum = Some(match sum.take() {
        Some(sum) => (sum + gradient)?,
        None => gradient,
    });
    Ok(())
}

impl<'a> Run<'a> {
    fn new(
        program: &'a CandleProgram,
        schedule: &'a Schedule,
        forward: Forward<'a>,
        random: Option<RandomState>,
    ) -> Result<Self> {
        let plan = &program.plan;
        let mut run = Self {
            program,
            plan,
            schedule,
            forward,
            random,
            values: vec![None; plan.values.len()],
            masks: vec![None; plan.values.len()],
            saved: (0..plan.nodes.len()).map(|_| None).collect(),
            states: RunStates::new(forward.states),
            gradients: vec![None; plan.values.len()],
            weight_gradients: vec![None; plan.weights.len()],
        };
        for (&value, tensor) in plan.inputs.iter().zip(forward.inputs) {
            run.values[value] = Some(match &tensor.data {
                Data::Float(data) => Value::Floats(run.upload(data, &tensor.shape)?),
                Data::Ids(_) => Value::Ids(tensor.clone()),
            });
        }
        for (&value, mask) in plan.inputs.iter().zip(forward.decoding.iter().flat_map(|decoding| &decoding.masks)) {
            run.masks[value].clone_from(mask);
        }
        Ok(run)
    }

    /// Floats on the device, in its precision.
    fn upload(&self, data: &[f32], shape: &[usize]) -> Result<Array> {
        let Candle { device, precision } = &self.program.placement;
        Ok(Array::from_slice(data, shape, device)?.to_dtype(*precision)?)
    }

    fn zeros(&self, shape: &[usize]) -> Result<Array> {
        Ok(Array::zeros(shape, self.program.placement.precision, &self.program.placement.device)?)
    }

    /// 32-bit floats of a tensor of the device.
    fn download(array: &Array) -> Result<Buffer> {
        let values = array.to_dtype(DType::F32)?.flatten_all()?.to_vec1::<f32>()?;
        let mut buffer = Buffer::new(values.len());
        buffer.copy_from_slice(&values);
        Ok(buffer)
    }

    /// As [`Run::download`], in 64-bit floats, which not every device has.
    fn download_double(array: &Array) -> Result<Vec<f64>> {
        Ok(array.to_device(&Device::Cpu)?.to_dtype(DType::F64)?.flatten_all()?.to_vec1::<f64>()?)
    }

    fn lacking(&self, value: ValueId) -> Error {
        Error::new(
            Code::Internal,
            format!("layer {} has no value of the type that is needed", self.plan.value_layer(value)),
        )
    }

    /// The floats that an earlier node computed.
    fn floats(&self, value: ValueId) -> Result<&Array> {
        match &self.values[value] {
            Some(Value::Floats(array)) => Ok(array),
            _ => Err(self.lacking(value)),
        }
    }

    /// The ids that came with the batch.
    fn ids(&self, value: ValueId) -> Result<&Tensor> {
        match &self.values[value] {
            Some(Value::Ids(tensor)) => Ok(tensor),
            _ => Err(self.lacking(value)),
        }
    }

    /// Weight `index` of a node, `[out, in]` if it is a matrix of a product; `None` if there is no such weight.
    fn weight(&self, node: &Node, index: usize) -> Result<Option<Array>> {
        let Some(weight) = self.plan.weight(node, index) else { return Ok(None) };
        let specification = &self.plan.weights[weight].specification;
        let shape = match crate::weights::matrix(specification) {
            Some((rows, columns)) => vec![columns, rows],
            None => specification.shape.clone(),
        };
        Ok(Some(self.upload(self.forward.weights.need(node.layer, node.first_weight + index)?, &shape)?))
    }

    fn need_weight(&self, node: &Node, index: usize) -> Result<Array> {
        self.weight(node, index)?
            .ok_or_else(|| Error::new(Code::Internal, format!("node of layer {} lacks weight {index}", node.layer)))
    }

    /// Adds to the gradient of a value, if that is wanted.
    fn add_gradient(&mut self, value: ValueId, gradient: Array) -> Result<()> {
        if self.schedule.gradient[value] {
            add_to(&mut self.gradients[value], gradient)?;
        }
        Ok(())
    }

    /// Adds to the gradient of weight `index` of a node, if that is wanted.
    fn add_weight_gradient(&mut self, node: &Node, index: usize, gradient: Array) -> Result<()> {
        match self.plan.weight(node, index).filter(|&weight| self.schedule.trainable[weight]) {
            Some(weight) => add_to(&mut self.weight_gradients[weight], gradient),
            None => Ok(()),
        }
    }

    /// Factors of dropout; the stream does not depend on the backend.
    fn factors(&self, key: RandomKey, rate: f32, shape: &[usize]) -> Result<Array> {
        let mut factors = Buffer::new(shape.iter().product());
        Dropout::new(rate, key).mask(&self.program.context, &mut factors);
        self.upload(&factors, shape)
    }

    /// `x` times the factors of a node's dropout; `x` in inference.
    fn dropped(&self, index: usize, rate: f32, x: &Array) -> Result<Array> {
        match self.random {
            Some(random) if rate > 0.0 => Ok((x * self.factors(random.key(index, 0), rate, x.dims())?)?),
            _ => Ok(x.clone()),
        }
    }

    /// The mask of a value, also where the value itself is not computed.
    fn mask(&self, value: ValueId) -> Option<Mask> {
        let node = &self.plan.nodes[self.plan.producers[value]];
        if node.operation.passes_mask() { self.mask(node.inputs[0]) } else { self.masks[value].clone() }
    }

    fn run_forward(&mut self) -> Result<()> {
        for &index in &self.schedule.order {
            self.forward.interrupt.check()?;
            self.node_forward(index)?;
        }
        Ok(())
    }

    fn run_backward(&mut self, gradients: &mut [Option<WeightGradient>]) -> Result<()> {
        let schedule = self.schedule;
        for &index in schedule.order.iter().rev().filter(|&&index| schedule.backward[index]) {
            self.forward.interrupt.check()?;
            self.node_backward(index)?;
        }
        for (to, new) in gradients.iter_mut().zip(&self.weight_gradients) {
            let Some(new) = new else { continue };
            let mut sum = Self::download(new)?;
            match to.take() {
                None => {}
                Some(WeightGradient::Dense(old)) => sum.iter_mut().zip(old.iter()).for_each(|(sum, old)| *sum += old),
                Some(WeightGradient::Rows(_)) => {
                    return Err(Error::new(Code::Internal, "the candle backend makes no gradients of rows"));
                }
            }
            *to = Some(WeightGradient::Dense(sum));
        }
        Ok(())
    }
}

impl Program for CandleProgram {
    fn masked_values(&self, schedule: &Schedule, forward: Forward<'_>, wanted: &[ValueId]) -> Result<Vec<MaskedValue>> {
        let mut run = Run::new(self, schedule, forward, None)?;
        run.run_forward()?;
        run.states.commit();
        wanted
            .iter()
            .map(|&value| match &run.values[value] {
                Some(Value::Floats(array)) => {
                    Ok((Tensor::float(array.dims().to_vec(), Run::download(array)?), run.mask(value)))
                }
                Some(Value::Ids(tensor)) => Ok((tensor.clone(), run.mask(value))),
                None => Err(run.lacking(value)),
            })
            .collect()
    }

    fn step(&self, schedule: &Schedule, losses: &[LossPlan], request: StepRequest<'_>) -> Result<Vec<LossResult>> {
        let StepRequest { forward, losses: inputs, random, gradient_scale, gradients } = request;
        let mut run = Run::new(self, schedule, forward, random)?;
        run.run_forward()?;
        forward.interrupt.check()?;
        let wanted = gradients.is_some();
        let mut results = losses
            .iter()
            .zip(inputs)
            .map(|(loss, input)| run.loss(loss, input, wanted.then_some(gradient_scale)))
            .collect::<Result<Vec<_>>>()?;
        results.extend(run.activities(wanted.then_some(gradient_scale))?);
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
        let mut run = Run::new(self, schedule, forward, random)?;
        run.run_forward()?;
        for (value, gradient) in outputs {
            let gradient = run.upload(&gradient, run.floats(value)?.dims())?;
            run.add_gradient(value, gradient)?;
        }
        run.run_backward(gradients)?;
        self.plan.inputs.iter().map(|&input| run.gradients[input].as_ref().map(Run::download).transpose()).collect()
    }
}

impl Default for Candle {
    /// On the CPU.
    fn default() -> Self {
        Self::new(Device::Cpu)
    }
}
