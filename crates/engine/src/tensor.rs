//! Values of a batch: slices with shapes and masks.
use std::sync::Arc;

use sconce_kernels::buffer::Buffer;

use crate::{
    error::{Code, Error, Result},
    shape::ElementType,
};

/// One byte for each position, not 0 where it counts.
pub type Mask = Arc<Vec<u8>>;

/// Elements of a tensor.
#[derive(Clone, Debug)]
pub enum Data {
    /// 32-bit floats.
    Float(Buffer),
    /// 32-bit integers.
    Ids(Arc<Vec<i32>>),
}

/// Elements with a shape, row-major.
#[derive(Clone, Debug)]
pub struct Tensor {
    /// Sizes of the axes.
    pub shape: Vec<usize>,
    /// The elements.
    pub data: Data,
}

impl Tensor {
    /// A tensor of floats.
    #[must_use]
    pub fn float(shape: Vec<usize>, data: Buffer) -> Self {
        Self { shape, data: Data::Float(data) }
    }

    /// A tensor of ids.
    #[must_use]
    pub fn ids(shape: Vec<usize>, data: Vec<i32>) -> Self {
        Self { shape, data: Data::Ids(Arc::new(data)) }
    }

    /// Type of the elements.
    #[must_use]
    pub fn dtype(&self) -> ElementType {
        match self.data {
            Data::Float(_) => ElementType::Float32,
            Data::Ids(_) => ElementType::Int32,
        }
    }

    /// Number of elements.
    #[must_use]
    pub fn len(&self) -> usize {
        match &self.data {
            Data::Float(data) => data.len(),
            Data::Ids(data) => data.len(),
        }
    }

    /// Whether there are no elements.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Size of the last axis; 1 for a scalar.
    #[must_use]
    pub fn width(&self) -> usize {
        self.shape.last().copied().unwrap_or(1)
    }

    /// Product of all axes but the last.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.shape.iter().rev().skip(1).product()
    }

    /// The floats.
    ///
    /// # Errors
    /// `Internal` if the tensor holds ids: shape inference does not let that happen.
    pub fn floats(&self) -> Result<&[f32]> {
        match &self.data {
            Data::Float(data) => Ok(data),
            Data::Ids(_) => Err(Error::new(Code::Internal, "expected a tensor of floats, got ids")),
        }
    }

    /// The floats, to change.
    ///
    /// # Errors
    /// As for [`Tensor::floats`].
    pub fn floats_mut(&mut self) -> Result<&mut [f32]> {
        match &mut self.data {
            Data::Float(data) => Ok(data),
            Data::Ids(_) => Err(Error::new(Code::Internal, "expected a tensor of floats, got ids")),
        }
    }

    /// The ids.
    ///
    /// # Errors
    /// `Internal` if the tensor holds floats.
    pub fn as_ids(&self) -> Result<&[i32]> {
        match &self.data {
            Data::Ids(data) => Ok(data),
            Data::Float(_) => Err(Error::new(Code::Internal, "expected a tensor of ids, got floats")),
        }
    }
}
