//! The layer in f64, row by row and unit by unit, with its backward pass written out.
use super::{GruOptions, GruShape};
use crate::activation::{Activation, tests::reference as activate};

/// Arguments as in `Layer`, in f64.
#[derive(Clone, Debug)]
pub(super) struct Reference<'a> {
    pub shape: GruShape,
    pub kernel: Vec<f64>,
    pub recurrent: Vec<f64>,
    pub bias: Vec<f64>,
    pub recurrent_bias: Vec<f64>,
    pub x: Vec<f64>,
    pub h0: Vec<f64>,
    pub mask: Option<Vec<u8>>,
    pub options: GruOptions<'a>,
}

/// Results, or their gradients.
#[derive(Clone, Debug)]
pub(super) struct Outputs {
    pub y: Vec<f64>,
    pub h: Vec<f64>,
}

#[derive(Debug)]
pub(super) struct Gradients {
    pub x: Vec<f64>,
    pub h0: Vec<f64>,
    pub kernel: Vec<f64>,
    pub recurrent: Vec<f64>,
    pub bias: Vec<f64>,
    pub recurrent_bias: Vec<f64>,
}

/// A computed step of a row.
struct Step {
    step: usize,
    time: usize,
    h_before: Vec<f64>,
    /// Sums of the inputs and of the outputs before, `[3 * units]` each.
    from_x: Vec<f64>,
    from_h: Vec<f64>,
    /// Update, reset.
    z: Vec<f64>,
    r: Vec<f64>,
    /// Sum of the candidate.
    candidate: Vec<f64>,
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

    /// What the candidate's recurrent weights are multiplied with: the reset gate may come before them.
    fn candidate_operand(&self, row: usize, h: &[f64], r: &[f64]) -> Vec<f64> {
        let reset = |unit: usize| if self.options.reset_after { 1.0 } else { r[unit] };
        (0..h.len()).map(|unit| h[unit] * self.h_factor(2, row, unit) * reset(unit)).collect()
    }

    fn computed(&self, row: usize, step: usize, time: usize, h: &[f64]) -> Step {
        let GruShape { steps, input, units, .. } = self.shape;
        let gate_activation = |x: f64| activate(self.options.recurrent_activation, x);
        let x = &self.x[(row * steps + time) * input..][..input];
        let mut from_x = self.bias.clone();
        for (index, sum) in from_x.iter_mut().enumerate() {
            let term = |f: usize| x[f] * self.x_factor(index / units, row, f) * self.kernel[index * input + f];
            *sum += (0..input).map(term).sum::<f64>();
        }
        let mut from_h = self.recurrent_bias.clone();
        let add = |from_h: &mut [f64], gate: usize, h: &dyn Fn(usize) -> f64| {
            for (unit, sum) in from_h[gate * units..][..units].iter_mut().enumerate() {
                let row = &self.recurrent[(gate * units + unit) * units..][..units];
                *sum += row.iter().enumerate().map(|(u, weight)| h(u) * weight).sum::<f64>();
            }
        };
        for gate in [0, 1] {
            add(&mut from_h, gate, &|u| h[u] * self.h_factor(gate, row, u));
        }
        let gate = |gate: usize| -> Vec<f64> {
            (gate * units..(gate + 1) * units).map(|index| gate_activation(from_x[index] + from_h[index])).collect()
        };
        let (z, r) = (gate(0), gate(1));
        let into = self.candidate_operand(row, h, &r);
        add(&mut from_h, 2, &|u| into[u]);
        let reset = |unit: usize| if self.options.reset_after { r[unit] } else { 1.0 };
        let candidate = (0..units).map(|u| from_x[2 * units + u] + reset(u) * from_h[2 * units + u]).collect();
        Step { step, time, h_before: h.to_vec(), from_x, from_h, z, r, candidate }
    }

    /// The steps of a row, for each output the computed step that it shows, and the last output.
    fn row(&self, row: usize) -> (Vec<Step>, Vec<Option<usize>>, Vec<f64>) {
        let GruShape { steps, units, .. } = self.shape;
        let mut h = self.h0[row * units..][..units].to_vec();
        let (mut done, mut shown): (Vec<Step>, Vec<Option<usize>>) = (Vec::new(), Vec::new());
        for step in 0..steps {
            let time = if self.options.reverse { steps - 1 - step } else { step };
            if self.mask.as_ref().is_some_and(|mask| mask[row * steps + time] == 0) {
                let repeated = if self.options.zero_output_for_mask { None } else { done.len().checked_sub(1) };
                shown.push(repeated);
                continue;
            }
            let computed = self.computed(row, step, time, &h);
            for (unit, h) in h.iter_mut().enumerate() {
                let (z, g) = (computed.z[unit], activate(self.options.activation, computed.candidate[unit]));
                *h = z * *h + (1.0 - z) * g;
            }
            shown.push(Some(done.len()));
            done.push(computed);
        }
        (done, shown, h)
    }

    pub(super) fn forward(&self) -> Outputs {
        let GruShape { batch, steps, units, .. } = self.shape;
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
        let GruShape { batch, steps, units, .. } = self.shape;
        let mut gradients = Gradients {
            x: vec![0.0; self.x.len()],
            h0: Vec::new(),
            kernel: vec![0.0; self.kernel.len()],
            recurrent: vec![0.0; self.recurrent.len()],
            bias: vec![0.0; self.bias.len()],
            recurrent_bias: vec![0.0; self.recurrent_bias.len()],
        };
        for row in 0..batch {
            let (done, shown, _) = self.row(row);
            let mut dh = d.h[row * units..][..units].to_vec();
            for (index, at) in done.iter().enumerate().rev() {
                debug_assert!(shown[at.step] == Some(index));
                for (step, _) in shown.iter().enumerate().filter(|(_, shown)| **shown == Some(index)) {
                    let dy = &d.y[(row * steps + step) * units..][..units];
                    dh.iter_mut().zip(dy).for_each(|(dh, dy)| *dh += dy);
                }
                dh = self.step_backward(row, at, &dh, &mut gradients);
            }
            gradients.h0.extend(dh);
        }
        gradients
    }

    /// The gradient of the output before a step from that after it; adds the others.
    fn step_backward(&self, row: usize, at: &Step, dh: &[f64], gradients: &mut Gradients) -> Vec<f64> {
        let GruShape { steps, input, units, .. } = self.shape;
        let GruOptions { reset_after, activation, recurrent_activation, .. } = self.options;
        let gate_slope = |index: usize| slope(recurrent_activation, at.from_x[index] + at.from_h[index]);
        // Gradients of both sums, and of the reset gate.
        let (mut dx_sums, mut dh_sums) = (vec![0.0; 3 * units], vec![0.0; 3 * units]);
        let mut dr = vec![0.0; units];
        let mut dbefore = vec![0.0; units];
        for unit in 0..units {
            let g = activate(activation, at.candidate[unit]);
            dbefore[unit] = dh[unit] * at.z[unit];
            dx_sums[unit] = dh[unit] * (at.h_before[unit] - g) * gate_slope(unit);
            dh_sums[unit] = dx_sums[unit];
            let candidate = 2 * units + unit;
            dx_sums[candidate] = dh[unit] * (1.0 - at.z[unit]) * slope(activation, at.candidate[unit]);
            dh_sums[candidate] = dx_sums[candidate] * if reset_after { at.r[unit] } else { 1.0 };
            if reset_after {
                dr[unit] = dx_sums[candidate] * at.from_h[candidate];
            }
        }
        let into = self.candidate_operand(row, &at.h_before, &at.r);
        for (index, d) in dh_sums.iter().enumerate().skip(2 * units) {
            for u in 0..units {
                let dinto = d * self.recurrent[index * units + u];
                gradients.recurrent[index * units + u] += d * into[u];
                let factor = self.h_factor(2, row, u);
                if reset_after {
                    dbefore[u] += dinto * factor;
                } else {
                    dbefore[u] += dinto * factor * at.r[u];
                    dr[u] += dinto * factor * at.h_before[u];
                }
            }
        }
        for unit in 0..units {
            dx_sums[units + unit] = dr[unit] * gate_slope(units + unit);
            dh_sums[units + unit] = dx_sums[units + unit];
        }
        for (index, d) in dh_sums.iter().enumerate() {
            gradients.recurrent_bias[index] += d;
            if index >= 2 * units {
                continue;
            }
            for (u, dbefore) in dbefore.iter_mut().enumerate() {
                let factor = self.h_factor(index / units, row, u);
                *dbefore += d * factor * self.recurrent[index * units + u];
                gradients.recurrent[index * units + u] += d * factor * at.h_before[u];
            }
        }
        let token = (row * steps + at.time) * input;
        for (index, d) in dx_sums.iter().enumerate() {
            gradients.bias[index] += d;
            for f in 0..input {
                let factor = self.x_factor(index / units, row, f);
                gradients.x[token + f] += d * factor * self.kernel[index * input + f];
                gradients.kernel[index * input + f] += d * factor * self.x[token + f];
            }
        }
        dbefore
    }
}
