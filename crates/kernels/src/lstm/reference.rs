//! The layer in f64, row by row and gate by gate, with its backward pass written out.
use super::{LstmOptions, LstmShape};
use crate::activation::{Activation, tests::reference as activate};

/// Arguments as in `Layer`, in f64.
#[derive(Clone, Debug)]
pub(super) struct Reference<'a> {
    pub shape: LstmShape,
    pub kernel: Vec<f64>,
    pub recurrent: Vec<f64>,
    pub bias: Vec<f64>,
    pub x: Vec<f64>,
    pub h0: Vec<f64>,
    pub c0: Vec<f64>,
    pub mask: Option<Vec<u8>>,
    pub options: LstmOptions<'a>,
}

/// Results, or their gradients.
#[derive(Clone, Debug)]
pub(super) struct Outputs {
    pub y: Vec<f64>,
    pub h: Vec<f64>,
    pub c: Vec<f64>,
}

#[derive(Debug)]
pub(super) struct Gradients {
    pub x: Vec<f64>,
    pub h0: Vec<f64>,
    pub c0: Vec<f64>,
    pub kernel: Vec<f64>,
    pub recurrent: Vec<f64>,
    pub bias: Vec<f64>,
}

/// A computed step of a row.
struct Step {
    step: usize,
    time: usize,
    h_before: Vec<f64>,
    c_before: Vec<f64>,
    /// Sums of the gates.
    z: Vec<f64>,
    c: Vec<f64>,
}

fn slope(activation: Activation, x: f64) -> f64 {
    (activate(activation, x + 1e-6) - activate(activation, x - 1e-6)) / 2e-6
}

impl Reference<'_> {
    fn factor(factors: Option<&[f32]>, batch: usize, features: usize, gate: usize, row: usize, feature: usize) -> f64 {
        factors.map_or(1.0, |factors| {
            let variant = if factors.len() > batch * features { gate } else { 0 };
            f64::from(factors[(variant * batch + row) * features + feature])
        })
    }

    fn x_factor(&self, gate: usize, row: usize, feature: usize) -> f64 {
        Self::factor(self.options.dropout, self.shape.batch, self.shape.input, gate, row, feature)
    }

    fn h_factor(&self, gate: usize, row: usize, unit: usize) -> f64 {
        Self::factor(self.options.recurrent_dropout, self.shape.batch, self.shape.units, gate, row, unit)
    }

    fn activation(&self, gate: usize) -> Activation {
        if gate == 2 { self.options.activation } else { self.options.recurrent_activation }
    }

    /// The steps of a row, its outputs, and for each output the computed step that it shows.
    fn row(&self, row: usize) -> (Vec<Step>, Vec<Option<usize>>, Vec<f64>, Vec<f64>) {
        let LstmShape { steps, input, units, .. } = self.shape;
        let mut h = self.h0[row * units..][..units].to_vec();
        let mut c = self.c0[row * units..][..units].to_vec();
        let (mut done, mut shown): (Vec<Step>, Vec<Option<usize>>) = (Vec::new(), Vec::new());
        for step in 0..steps {
            let time = if self.options.reverse { steps - 1 - step } else { step };
            if self.mask.as_ref().is_some_and(|mask| mask[row * steps + time] == 0) {
                let repeated = if self.options.zero_output_for_mask { None } else { done.len().checked_sub(1) };
                shown.push(repeated);
                continue;
            }
            let x = &self.x[(row * steps + time) * input..][..input];
            let mut z = self.bias.clone();
            for (index, z) in z.iter_mut().enumerate() {
                let gate = index / units;
                let from_x = |f: usize| x[f] * self.x_factor(gate, row, f) * self.kernel[index * input + f];
                let from_h = |u: usize| h[u] * self.h_factor(gate, row, u) * self.recurrent[index * units + u];
                *z += (0..input).map(from_x).sum::<f64>() + (0..units).map(from_h).sum::<f64>();
            }
            let gate = |gate: usize, unit: usize| activate(self.activation(gate), z[gate * units + unit]);
            let (h_before, c_before) = (h.clone(), c.clone());
            for unit in 0..units {
                c[unit] = gate(1, unit) * c[unit] + gate(0, unit) * gate(2, unit);
                h[unit] = gate(3, unit) * activate(self.options.activation, c[unit]);
            }
            shown.push(Some(done.len()));
            done.push(Step { step, time, h_before, c_before, z, c: c.clone() });
        }
        (done, shown, h, c)
    }

    pub(super) fn forward(&self) -> Outputs {
        let LstmShape { batch, steps, units, .. } = self.shape;
        let mut outputs = Outputs { y: vec![0.0; batch * steps * units], h: Vec::new(), c: Vec::new() };
        for row in 0..batch {
            let (done, shown, h, c) = self.row(row);
            for (step, shown) in shown.into_iter().enumerate() {
                let Some(shown) = shown else { continue };
                let output = done.get(shown + 1).map_or(&h, |next| &next.h_before);
                outputs.y[(row * steps + step) * units..][..units].copy_from_slice(output);
            }
            outputs.h.extend(h);
            outputs.c.extend(c);
        }
        outputs
    }

    pub(super) fn backward(&self, d: &Outputs) -> Gradients {
        let LstmShape { batch, steps, input, units } = self.shape;
        let mut gradients = Gradients {
            x: vec![0.0; self.x.len()],
            h0: Vec::new(),
            c0: Vec::new(),
            kernel: vec![0.0; self.kernel.len()],
            recurrent: vec![0.0; self.recurrent.len()],
            bias: vec![0.0; self.bias.len()],
        };
        for row in 0..batch {
            let (done, shown, ..) = self.row(row);
            let mut dh = d.h[row * units..][..units].to_vec();
            let mut dc = d.c[row * units..][..units].to_vec();
            for (index, at) in done.iter().enumerate().rev() {
                debug_assert!(shown[at.step] == Some(index));
                for (step, _) in shown.iter().enumerate().filter(|(_, shown)| **shown == Some(index)) {
                    let dy = &d.y[(row * steps + step) * units..][..units];
                    dh.iter_mut().zip(dy).for_each(|(dh, dy)| *dh += dy);
                }
                let mut dz = vec![0.0; 4 * units];
                for unit in 0..units {
                    let z = |gate: usize| at.z[gate * units + unit];
                    let value = |gate: usize| activate(self.activation(gate), z(gate));
                    let output = activate(self.options.activation, at.c[unit]);
                    let dcell = dc[unit] + dh[unit] * value(3) * slope(self.options.activation, at.c[unit]);
                    let dvalues = [dcell * value(2), dcell * at.c_before[unit], dcell * value(0), dh[unit] * output];
                    for (gate, dvalue) in dvalues.into_iter().enumerate() {
                        dz[gate * units + unit] = dvalue * slope(self.activation(gate), z(gate));
                    }
                    dc[unit] = dcell * value(1);
                }
                dh.fill(0.0);
                let token = (row * steps + at.time) * input;
                for (index, dz) in dz.into_iter().enumerate() {
                    let gate = index / units;
                    gradients.bias[index] += dz;
                    for f in 0..input {
                        let factor = self.x_factor(gate, row, f);
                        gradients.x[token + f] += dz * factor * self.kernel[index * input + f];
                        gradients.kernel[index * input + f] += dz * factor * self.x[token + f];
                    }
                    for (u, dh) in dh.iter_mut().enumerate() {
                        let factor = self.h_factor(gate, row, u);
                        *dh += dz * factor * self.recurrent[index * units + u];
                        gradients.recurrent[index * units + u] += dz * factor * at.h_before[u];
                    }
                }
            }
            gradients.h0.extend(dh);
            gradients.c0.extend(dc);
        }
        gradients
    }
}
