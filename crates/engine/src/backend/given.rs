//! Losses that nodes computed, as losses of the rows of an output.
use sconce_kernels::buffer::Buffer;

use crate::error::{Code, Error, Result};

/// Losses of samples, positions or elements.
pub(super) struct Given<'a> {
    values: &'a [f32],
    rows: usize,
    /// Values of a row; 0: a value is for several rows.
    of_row: usize,
}

impl<'a> Given<'a> {
    /// Losses of an output of `rows` rows: some a row, or one for some rows.
    pub fn new(values: &'a [f32], rows: usize) -> Result<Self> {
        let count = values.len();
        if rows > 0 && count.is_multiple_of(rows) && count > 0 {
            return Ok(Self { values, rows, of_row: count / rows });
        }
        if count > 0 && rows.is_multiple_of(count) || rows == 0 {
            return Ok(Self { values, rows, of_row: 0 });
        }
        Err(Error::new(Code::Shape, format!("{count} losses for {rows} positions of an output")))
    }

    /// Values and the rows that each counts in.
    fn values_of(&self, row: usize) -> std::ops::Range<usize> {
        if self.of_row > 0 {
            return row * self.of_row..(row + 1) * self.of_row;
        }
        let value = row / (self.rows / self.values.len().max(1)).max(1);
        value..value + 1
    }

    /// Losses of rows, means where a row has several; 0 where a row does not count.
    pub fn row_losses(&self, valid: &[bool]) -> Vec<f64> {
        let loss = |row: usize| {
            let values = &self.values[self.values_of(row)];
            values.iter().map(|&value| f64::from(value)).sum::<f64>() / values.len() as f64
        };
        valid.iter().enumerate().map(|(row, &valid)| if valid { loss(row) } else { 0.0 }).collect()
    }

    /// Gradient of `scale * sum_r weight_r * loss_r` by the values.
    pub fn gradient(&self, weights: &[f32], scale: f32) -> Buffer {
        let mut gradient = Buffer::zeros(self.values.len());
        let share = scale / self.of_row.max(1) as f32;
        for (row, weight) in weights.iter().enumerate() {
            gradient[self.values_of(row)].iter_mut().for_each(|slope| *slope += weight * share);
        }
        gradient
    }
}

#[cfg(test)]
mod tests {
    use super::Given;

    #[test]
    fn values_are_of_elements_rows_or_samples() {
        let weights = [0.5, 0.0, 0.25, 1.0];
        let valid = [true, false, true, true];
        let given = |values: &[f32]| {
            let given = Given::new(values, 4).unwrap_or_else(|error| panic!("{error}"));
            (given.row_losses(&valid), given.gradient(&weights, 2.0).to_vec())
        };
        assert_eq!(given(&[1.0, 2.0, 3.0, 4.0]), (vec![1.0, 0.0, 3.0, 4.0], vec![1.0, 0.0, 0.5, 2.0]));
        assert_eq!(given(&[1.0, 2.0]), (vec![1.0, 0.0, 2.0, 2.0], vec![1.0, 2.5]));
        assert_eq!(given(&[7.0]), (vec![7.0, 0.0, 7.0, 7.0], vec![3.5]));
        let (losses, slopes) = given(&[1.0, 3.0, 0.0, 0.0, 2.0, 4.0, 5.0, 5.0]);
        assert_eq!(losses, [2.0, 0.0, 3.0, 5.0]);
        assert_eq!(slopes, [0.5, 0.5, 0.0, 0.0, 0.25, 0.25, 1.0, 1.0]);
        assert!(Given::new(&[1.0; 3], 4).is_err());
        assert!(Given::new(&[], 4).is_err());
    }
}
