//! The plan of a model together with the losses of its compilation that are graphs.
use std::{borrow::Cow, sync::Arc};

use sconce_kernels::buffer::Buffer;

use crate::{
    backend::{Program, TargetData},
    error::{Code, Error, Result},
    model::Model,
    plan::{Extension, LossGraph, Plan},
    shape::{Bindings, ElementType},
    tensor::Tensor,
};

/// A plan with its program; none if the model's own serve.
#[derive(Debug)]
pub(super) struct Extended(Option<(Arc<Plan>, Box<dyn Program>)>);

impl Extended {
    /// Adds the graphs to the plan of a model.
    pub fn new(model: &Model, graphs: &[LossGraph]) -> Result<Self> {
        if graphs.is_empty() {
            return Ok(Self(None));
        }
        let plan = model.plan.extended(graphs)?;
        let program = model.backend.lower(Arc::clone(&plan))?;
        Ok(Self(Some((plan, program))))
    }

    /// What is trained.
    pub fn plan<'a>(&'a self, model: &'a Model) -> &'a Plan {
        self.0.as_ref().map_or(&model.plan, |(plan, _)| plan)
    }

    /// What runs it.
    pub fn program<'a>(&'a self, model: &'a Model) -> &'a dyn Program {
        self.0.as_ref().map_or(&*model.program, |(_, program)| &**program)
    }

    /// Inputs of the plan: those of the model, and the targets that graphs take; `target` gives that of an output.
    pub fn inputs<'a, 'b>(
        &self,
        model: &Model,
        given: &'a [Tensor],
        bindings: &Bindings,
        target: impl Fn(usize) -> Option<&'b TargetData>,
    ) -> Result<Cow<'a, [Tensor]>> {
        let plan = self.plan(model);
        let mut inputs = Cow::Borrowed(given);
        for extension in &plan.extensions {
            let data = target(extension.output)
                .ok_or_else(|| Error::new(Code::Internal, "an output with a loss has no target"))?;
            inputs.to_mut().push(tensor(plan, extension, data, bindings)?);
        }
        Ok(inputs)
    }
}

/// A target as a graph takes it.
fn tensor(plan: &Plan, extension: &Extension, target: &TargetData, bindings: &Bindings) -> Result<Tensor> {
    let signature = &plan.values[extension.target];
    let shape = bindings.sizes(&signature.shape)?;
    let count: usize = shape.iter().product();
    let name = plan.value_layer(plan.outputs[extension.output]);
    match (signature.dtype, target) {
        (ElementType::Float32, TargetData::Probabilities(values)) if values.len() == count => {
            Ok(Tensor::float(shape, values.clone()))
        }
        (ElementType::Float32, TargetData::Ids(ids)) if ids.len() == count => {
            let mut values = Buffer::new(count);
            values.iter_mut().zip(ids.iter()).for_each(|(value, &id)| *value = id as f32);
            Ok(Tensor::float(shape, values))
        }
        (ElementType::Int32, TargetData::Ids(ids)) if ids.len() == count => Ok(Tensor::ids(shape, ids.to_vec())),
        (dtype, _) => Err(Error::new(
            Code::Shape,
            format!("target of output {name}: its own loss or metric takes {} of shape {shape:?}", dtype.name()),
        )),
    }
}
