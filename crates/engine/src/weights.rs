//! Weights of layers: owned by the layer, shared by all models that contain it.
//!
//! Matrices of linear and recurrent layers lie transposed, `[out, in]`, as the kernels want them; they are converted to
//! Keras' `[in, out]` where they leave the engine. All access happens in jobs of the scheduler, one at a time, so the locks
//! are never contended.
use std::sync::{
    Arc, RwLock, RwLockReadGuard, RwLockWriteGuard,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use sconce_kernels::{
    buffer::Buffer,
    quantized::{Bfloat16Matrix, Int8Matrix, QuantizedMatrix},
};

use crate::{
    error::{Code, Error, Result},
    family::Family,
    layers::WeightSpecification,
};

/// How weights of a model that is only run are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WeightType {
    /// As whole numbers of 8 bits with a scale for each unit.
    Int8,
    /// Rounded to bfloat16.
    Bfloat16,
}

impl WeightType {
    /// The type of a name.
    ///
    /// # Errors
    /// `Option` if there is none.
    pub fn named(name: &str) -> Result<Self> {
        match name {
            "int8" => Ok(Self::Int8),
            "bfloat16" => Ok(Self::Bfloat16),
            _ => Err(Error::new(Code::Option, format!("dtype: expected float32, bfloat16 or int8, got {name}"))),
        }
    }

    /// Zeros `[units, input]` as this type keeps them; `None` if it cannot.
    #[must_use]
    pub fn zeros(self, [units, input]: [usize; 2]) -> Option<QuantizedMatrix> {
        match self {
            Self::Int8 => Int8Matrix::zeros(units, input).map(QuantizedMatrix::Int8),
            Self::Bfloat16 => Some(QuantizedMatrix::Bfloat16(Bfloat16Matrix::zeros(units, input))),
        }
    }
}

/// The values of a weight.
#[derive(Debug)]
pub enum Values {
    /// As they are trained.
    Float(Buffer),
    /// In fewer bits: they are only multiplied, or looked up row by row.
    Quantized(QuantizedMatrix),
}

impl Values {
    /// The floats of a weight that is trained.
    #[must_use]
    pub fn floats(&self) -> Option<&Buffer> {
        match self {
            Self::Float(values) => Some(values),
            Self::Quantized(_) => None,
        }
    }

    /// The same, to change.
    pub fn floats_mut(&mut self) -> Option<&mut Buffer> {
        match self {
            Self::Float(values) => Some(values),
            Self::Quantized(_) => None,
        }
    }
}

/// The weights of one layer.
#[derive(Debug)]
pub struct LayerWeights {
    /// Name of the layer when it was made.
    pub name: String,
    /// What its weights are, in Keras' order.
    pub specifications: Vec<WeightSpecification>,
    values: RwLock<Vec<Option<Values>>>,
    /// Which weights have values: known without waiting for an update of the optimiser.
    built: Vec<AtomicBool>,
    trainable: AtomicBool,
    /// Which family of models the layer belongs to.
    family: Arc<Family>,
    /// Models that have the layer.
    models: AtomicUsize,
}

/// Rows and columns, in Keras' layout, of a weight that lies transposed in the engine.
#[must_use]
pub fn matrix(specification: &WeightSpecification) -> Option<(usize, usize)> {
    // A layer of layers puts their names in front.
    let mut parts = specification.name.rsplit('/');
    match (parts.next(), specification.shape.as_slice()) {
        (Some("kernel" | "recurrentKernel" | "reverseEmbeddings"), &[rows, columns]) => Some((rows, columns)),
        // Projections to heads and back are matrices to the kernels.
        (Some("kernel"), &[first, second, third]) => match parts.next() {
            Some("query" | "key" | "value" | "gate") => Some((first, second * third)),
            Some("attentionOutput") => Some((first * second, third)),
            _ => None,
        },
        _ => None,
    }
}

/// Whether a weight lies transposed in the engine.
#[must_use]
pub fn is_transposed(specification: &WeightSpecification) -> bool {
    matrix(specification).is_some()
}

/// The transpose of a row-major `[rows, columns]` matrix.
pub fn transpose(rows: usize, columns: usize, from: &[f32], to: &mut [f32]) {
    transpose_part(rows, columns, 0, from, to);
}

/// Some rows of the matrix, from row `first` on, to their places in its transpose.
pub(crate) fn transpose_part(rows: usize, columns: usize, first: usize, from: &[f32], to: &mut [f32]) {
    const TILE: usize = 32;
    let count = from.len() / columns.max(1);
    for row_start in (0..count).step_by(TILE) {
        for column_start in (0..columns).step_by(TILE) {
            for row in row_start..count.min(row_start + TILE) {
                for column in column_start..columns.min(column_start + TILE) {
                    to[column * rows + first + row] = from[row * columns + column];
                }
            }
        }
    }
}

/// A weight in Keras' layout as the engine keeps it.
#[must_use]
pub fn from_keras(specification: &WeightSpecification, values: &[f32]) -> Buffer {
    let mut kept = Buffer::lasting(values.len());
    copy_from_keras(specification, values, &mut kept);
    kept
}

/// The same into a buffer of its length.
pub(crate) fn copy_from_keras(specification: &WeightSpecification, values: &[f32], kept: &mut [f32]) {
    match matrix(specification) {
        Some((rows, columns)) => transpose(rows, columns, values, kept),
        None => kept.copy_from_slice(values),
    }
}

/// A weight as the engine keeps it in Keras' layout.
#[must_use]
pub fn to_keras(specification: &WeightSpecification, kept: &[f32]) -> Vec<f32> {
    match matrix(specification) {
        Some((rows, columns)) => {
            let mut values = vec![0.0; kept.len()];
            transpose(columns, rows, kept, &mut values);
            values
        }
        None => kept.to_vec(),
    }
}

impl LayerWeights {
    /// Weights without values.
    #[must_use]
    pub fn new(name: String, specifications: Vec<WeightSpecification>) -> Self {
        let values = RwLock::new(specifications.iter().map(|_| None).collect());
        let built = specifications.iter().map(|_| AtomicBool::new(false)).collect();
        Self {
            name,
            specifications,
            values,
            built,
            trainable: AtomicBool::new(true),
            family: Family::new(),
            models: AtomicUsize::new(0),
        }
    }

    /// Whether the layer is trained by models that are compiled from now on.
    pub fn set_trainable(&self, trainable: bool) {
        self.trainable.store(trainable, Ordering::Relaxed);
    }

    /// Whether the layer is trained.
    #[must_use]
    pub fn trainable(&self) -> bool {
        self.trainable.load(Ordering::Relaxed)
    }

    /// Number of the family.
    #[must_use]
    pub fn family(&self) -> u64 {
        self.family.number()
    }

    /// Makes one family of those of two layers.
    pub(crate) fn join_family(&self, other: &Self) {
        self.family.join(&other.family);
    }

    pub(crate) fn retain(&self) {
        self.models.fetch_add(1, Ordering::AcqRel);
    }

    /// A model of this layer ended; with `free` the values go if it was the last one.
    pub(crate) fn release(&self, free: bool) {
        if self.models.fetch_sub(1, Ordering::AcqRel) == 1 && free {
            self.built.iter().for_each(|built| built.store(false, Ordering::Release));
            self.write().iter_mut().for_each(|values| *values = None);
        }
    }

    /// Gives a weight its values.
    pub fn set(&self, index: usize, values: Buffer) {
        self.set_values(index, Values::Float(values));
    }

    /// Gives a weight its values, in whatever form.
    pub fn set_values(&self, index: usize, values: Values) {
        self.write()[index] = Some(values);
        self.built[index].store(true, Ordering::Release);
    }

    /// Whether a weight has values.
    pub(crate) fn is_built(&self, index: usize) -> bool {
        self.built[index].load(Ordering::Acquire)
    }

    /// The values, to read.
    pub fn read(&self) -> RwLockReadGuard<'_, Vec<Option<Values>>> {
        self.values.read().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// The values, to change in place.
    pub fn write(&self) -> RwLockWriteGuard<'_, Vec<Option<Values>>> {
        self.values.write().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// What a model whose weights are kept in fewer bits answers to everything else.
pub(crate) fn quantized_only() -> Error {
    Error::new(
        Code::State,
        "the weights of the model are kept as int8 or bfloat16: it can predict and generate; load it without dtype to train, \
         evaluate, copy or save it",
    )
}

/// Read access to all weights of a model for the length of a job.
pub struct WeightView<'a> {
    guards: Vec<RwLockReadGuard<'a, Vec<Option<Values>>>>,
}

impl<'a> WeightView<'a> {
    /// Takes read access.
    ///
    /// # Errors
    /// `State` if a weight has no values yet.
    pub fn new(layers: &'a [Arc<LayerWeights>]) -> Result<Self> {
        let guards: Vec<_> = layers.iter().map(|layer| layer.read()).collect();
        for (layer, guard) in layers.iter().zip(&guards) {
            if guard.iter().any(Option::is_none) {
                return Err(Error::new(
                    Code::State,
                    format!("layer {}: its weights are not built: await build() first", layer.name),
                ));
            }
        }
        Ok(Self { guards })
    }

    /// Weight `index` of a layer, if it has that many.
    fn values(&self, layer: usize, index: usize) -> Option<&Values> {
        self.guards.get(layer)?.get(index)?.as_ref()
    }

    /// The floats of weight `index` of a layer, if it has that many.
    #[must_use]
    pub fn get(&self, layer: usize, index: usize) -> Option<&[f32]> {
        self.values(layer, index)?.floats().map(|values| &**values)
    }

    /// Weight `index` of a layer where it is kept in fewer bits.
    #[must_use]
    pub fn quantized(&self, layer: usize, index: usize) -> Option<&QuantizedMatrix> {
        match self.values(layer, index)? {
            Values::Float(_) => None,
            Values::Quantized(matrix) => Some(matrix),
        }
    }

    /// The floats of weight `index` of a layer.
    ///
    /// # Errors
    /// `Internal` if it has fewer, `State` if it is kept in fewer bits.
    pub fn need(&self, layer: usize, index: usize) -> Result<&[f32]> {
        match self.values(layer, index) {
            Some(Values::Float(values)) => Ok(values),
            Some(Values::Quantized(_)) => Err(quantized_only()),
            None => Err(Error::new(Code::Internal, format!("layer {layer} of the plan lacks weight {index}"))),
        }
    }
}
