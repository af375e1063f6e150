//! The layer in 64-bit floats, row by row.
use super::{SimpleRnnOptions, SimpleRnnShape};
use crate::activation::tests::reference as activate;

/// Everything that goes in.
#[derive(Clone)]
pub(super) struct Reference<'a> {
    pub shape: SimpleRnnShape,
    pub kernel: Vec<f64>,
    pub recurrent: Vec<f64>,
    pub bias: Vec<f64>,
    pub x: Vec<f64>,
    pub h0: Vec<f64>,
    pub mask: Option<Vec<u8>>,
    pub options: SimpleRnnOptions<'a>,
}

/// Results, or their gradients.
pub(super) struct Outputs {
    pub y: Vec<f64>,
    pub h: Vec<f64>,
}

/// Gradients of what goes in.
pub(super) struct Gradients {
    pub x: Vec<f64>,
    pub h0: Vec<f64>,
    pub kernel: Vec<f64>,
    pub recurrent: Vec<f64>,
    pub bias: Vec<f64>,
}

/// A computed step of a row.
struct Step {
    time: usize,
    h_before: Vec<f64>,
    sums: Vec<f64>,
}

impl Reference<'_> {
    fn x_factor(&self, row: usize, feature: usize) -> f64 {
        self.options.dropout.map_or(1.0, |factors| f64::from(factors[row * self.shape.input + feature]))
    }

    fn h_factor(&self, row: usize, unit: usize) -> f64 {
        self.options.recurrent_dropout.map_or(1.0, |factors| f64::from(factors[row * self.shape.units + unit]))
    }

    /// The steps of a row, for each output the computed step that it shows, and the last output.
    fn row(&self, row: usize) -> (Vec<Step>, Vec<Option<usize>>, Vec<f64>) {
        let SimpleRnnShape { steps, input, units, .. } = self.shape;
        let mut h = self.h0[row * units..][..units].to_vec();
        let (mut done, mut shown): (Vec<Step>, Vec<Option<usize>>) = (Vec::new(), Vec::new());
        for step in 0..steps {
            let time = if self.options.reverse { steps - 1 - step } else { step };
            if self.mask.as_ref().is_some_and(|mask| mask[row * steps + time] == 0) {
                shown.push(if self.options.zero_output_for_mask { None } else { done.len().checked_sub(1) });
                continue;
            }
            let x = &self.x[(row * steps + time) * input..][..input];
            let sums: Vec<f64> = (0..units)
                .map(|unit| {
                    let from_x = (0..input).map(|f| x[f] * self.x_factor(row, f) * self.kernel[unit * input + f]);
                    let from_h = (0..units).map(|u| h[u] * self.h_factor(row, u) * self.recurrent[unit * units + u]);
                    self.bias[unit] + from_x.sum::<f64>() + from_h.sum::<f64>()
                })
                .collect();
            let h_before = std::mem::replace(&mut h, sums.iter().map(|&z| self.activate(z)).collect());
            shown.push(Some(done.len()));
            done.push(Step { time, h_before, sums });
        }
        (done, shown, h)
    }

    fn activate(&self, x: f64) -> f64 {
        activate(self.options.activation, x)
    }

    fn slope(&self, x: f64) -> f64 {
        (self.activate(x + 1e-6) - self.activate(x - 1e-6)) / 2e-6
    }

    pub(super) fn forward(&self) -> Outputs {
        let SimpleRnnShape { batch, steps, units, .. } = self.shape;
        let mut outputs = Outputs { y: vec![0.0; batch * steps * units], h: Vec::new() };
        for row in 0..batch {
            let (done, shown, h) = self.row(row);
            for (step, shown) in shown.into_iter().enumerate() {
                let Some(shown) = shown else { continue };
                let output = done.get(shown + 1).map_or(&h, |next| &next.h_before);
                outputs.y[(row * steps + step) * units..][..units].copy_from_slice(output);
            }
            outputs.h.extend(h);
        }
        outputs
    }

    pub(super) fn backward(&self, d: &Outputs) -> Gradients {
        let SimpleRnnShape { batch, steps, input, units } = self.shape;
        let mut gradients = Gradients {
            x: vec![0.0; self.x.len()],
            h0: Vec::new(),
            kernel: vec![0.0; self.kernel.len()],
            recurrent: vec![0.0; self.recurrent.len()],
            bias: vec![0.0; self.bias.len()],
        };
        for row in 0..batch {
            let (done, shown, _) = self.row(row);
            let mut dh = d.h[row * units..][..units].to_vec();
            for (index, at) in done.iter().enumerate().rev() {
                for (step, _) in shown.iter().enumerate().filter(|(_, shown)| **shown == Some(index)) {
                    let dy = &d.y[(row * steps + step) * units..][..units];
                    dh.iter_mut().zip(dy).for_each(|(dh, dy)| *dh += dy);
                }
                let dz: Vec<f64> = dh.iter().zip(&at.sums).map(|(dh, &z)| dh * self.slope(z)).collect();
                dh = vec![0.0; units];
                let token = (row * steps + at.time) * input;
                for (unit, dz) in dz.into_iter().enumerate() {
                    gradients.bias[unit] += dz;
                    for f in 0..input {
                        let factor = self.x_factor(row, f);
                        gradients.x[token + f] += dz * factor * self.kernel[unit * input + f];
                        gradients.kernel[unit * input + f] += dz * factor * self.x[token + f];
                    }
                    for (u, dh) in dh.iter_mut().enumerate() {
                        let factor = self.h_factor(row, u);
                        *dh += dz * factor * self.recurrent[unit * units + u];
                        gradients.recurrent[unit * units + u] += dz * factor * at.h_before[u];
                    }
                }
            }
            gradients.h0.extend(dh);
        }
        gradients
    }
}
