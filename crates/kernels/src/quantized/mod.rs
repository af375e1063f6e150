//! Kernels of linear layers in fewer bits, for models that are only run: what a small batch waits for is reading them.
mod bfloat16;
mod int8;
mod round;

#[cfg(test)]
mod tests;

use crate::Context;

pub use bfloat16::Bfloat16Matrix;
pub use int8::Int8Matrix;

/// A kernel `[units, input]` in fewer bits.
#[derive(Debug)]
pub enum QuantizedMatrix {
    /// Whole numbers of 8 bits, with a scale for each unit.
    Int8(Int8Matrix),
    /// Rounded to bfloat16.
    Bfloat16(Bfloat16Matrix),
}

impl QuantizedMatrix {
    /// The nearest numbers to some rows of a kernel, from row `first` on.
    ///
    /// # Panics
    /// If there are no such rows.
    pub fn set_rows(&mut self, context: &Context, first: usize, rows: &[f32]) {
        let [units, input] = self.sizes();
        assert!(rows.len() <= units.saturating_sub(first) * input, "quantized: rows behind the last unit");
        match self {
            Self::Int8(matrix) => matrix.set_rows(context, first, rows),
            Self::Bfloat16(matrix) => matrix.set_rows(first, rows),
        }
    }

    /// Units and input features.
    #[must_use]
    pub fn sizes(&self) -> [usize; 2] {
        match self {
            Self::Int8(matrix) => matrix.sizes(),
            Self::Bfloat16(matrix) => matrix.sizes(),
        }
    }

    /// `y = x W^T + b`. The result of a row does not depend on the other rows.
    ///
    /// # Shapes
    /// `x`: `[rows, input]`, `bias`: `[units]`, `y`: `[rows, units]`.
    ///
    /// # Panics
    /// If a slice has another length.
    pub fn forward(&self, context: &Context, rows: usize, x: &[f32], bias: Option<&[f32]>, y: &mut [f32]) {
        let [units, input] = self.sizes();
        assert_eq!(x.len(), rows * input, "quantized: length of x");
        assert!(bias.is_none_or(|bias| bias.len() == units), "quantized: length of bias");
        assert_eq!(y.len(), rows * units, "quantized: length of y");
        match self {
            Self::Int8(matrix) => matrix.forward(context, rows, x, bias, y),
            Self::Bfloat16(matrix) => matrix.forward(context, rows, x, bias, y),
        }
    }

    /// The floats that row `unit` stands for.
    ///
    /// # Panics
    /// If there is no such row, or `to` has not the length of one.
    pub fn row(&self, unit: usize, to: &mut [f32]) {
        let [units, input] = self.sizes();
        assert!(unit < units, "quantized: unit");
        assert_eq!(to.len(), input, "quantized: length of a row");
        match self {
            Self::Int8(matrix) => matrix.row(unit, to),
            Self::Bfloat16(matrix) => matrix.row(unit, to),
        }
    }
}
