//! The layer in f64, row by row, forward alone: gradients are compared with its differences.
use super::{AttentiveShape, Cell};

/// Arguments as in `Layer`, in f64.
#[derive(Clone, Debug)]
pub(super) struct Reference {
    pub cell: Cell,
    pub shape: AttentiveShape,
    /// Order before the cell.
    pub before: bool,
    pub feed: bool,
    pub additive: bool,
    /// In the order of [`FIELDS`], then those of [`CELL_FIELDS`] of each cell above the first.
    pub fields: Vec<Vec<f64>>,
    pub memory_mask: Option<Vec<u8>>,
    pub mask: Option<Vec<u8>>,
    /// Factors of dropout of each cell, as in `AttentiveInputs`.
    pub dropout: Vec<Option<Vec<f32>>>,
    pub recurrent_dropout: Vec<Option<Vec<f32>>>,
}

/// What has a gradient.
pub(super) const FIELDS: [&str; 13] = [
    "x",
    "keys",
    "memory",
    "h0",
    "c0",
    "a0",
    "kernel",
    "recurrent",
    "bias",
    "recurrent_bias",
    "query",
    "scale",
    "combine",
];

/// What has a gradient in a cell above the first, which has these among [`FIELDS`].
pub(super) const CELL_FIELDS: [&str; 6] = ["h0", "c0", "kernel", "recurrent", "bias", "recurrent_bias"];

/// The field of a cell.
pub(super) fn cell_field(cell: usize, field: usize) -> usize {
    if cell == 0 { [3, 4, 6, 7, 8, 9][field] } else { FIELDS.len() + (cell - 1) * CELL_FIELDS.len() + field }
}

/// The name of a field.
pub(super) fn field_name(field: usize) -> &'static str {
    field.checked_sub(FIELDS.len()).map_or_else(|| FIELDS[field], |field| CELL_FIELDS[field % CELL_FIELDS.len()])
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// `matrix x` for a matrix whose rows have the length of `x`.
fn product(matrix: &[f64], x: &[f64]) -> Vec<f64> {
    if x.is_empty() {
        return Vec::new();
    }
    matrix.chunks_exact(x.len()).map(|row| dot(row, x)).collect()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

impl Reference {
    fn features(&self, field: usize, place: usize, width: usize) -> &[f64] {
        &self.fields[field][place * width..][..width]
    }

    /// Weights of the positions of a row, and the context.
    fn attend(&self, row: usize, query: &[f64]) -> (Vec<f64>, Vec<f64>) {
        let AttentiveShape { sources, memory, keys, .. } = self.shape;
        let counts = |source: usize| self.memory_mask.as_ref().is_none_or(|mask| mask[row * sources + source] != 0);
        let projected = product(&self.fields[10], query);
        let score = |source: usize| {
            let key = self.features(1, row * sources + source, keys);
            if self.additive {
                (0..keys).map(|k| self.fields[11][k] * (projected[k] + key[k]).tanh()).sum()
            } else {
                dot(query, key)
            }
        };
        let scores: Vec<f64> =
            (0..sources).map(|source| if counts(source) { score(source) } else { f64::NEG_INFINITY }).collect();
        let largest = scores.iter().copied().fold(f64::MIN, f64::max);
        let mut weights: Vec<f64> = scores.iter().map(|score| (score - largest).exp()).collect();
        let sum: f64 = weights.iter().sum();
        weights.iter_mut().for_each(|weight| *weight = if sum > 0.0 { *weight / sum } else { 0.0 });
        let mut context = vec![0.0; memory];
        for source in (0..sources).filter(|&source| counts(source)) {
            let values = self.features(2, row * sources + source, memory);
            context.iter_mut().zip(values).for_each(|(sum, value)| *sum += weights[source] * value);
        }
        (weights, context)
    }

    /// What goes into a gate in a row of the batch: `x` times its factors of dropout.
    fn dropped(&self, factors: Option<&Vec<f32>>, row: usize, gate: usize, x: &[f64]) -> Vec<f64> {
        let Some(factors) = factors else {
            return x.to_vec();
        };
        let length = self.shape.batch * x.len();
        let first = if factors.len() > length { gate * length } else { 0 } + row * x.len();
        x.iter().zip(&factors[first..]).map(|(x, &factor)| x * f64::from(factor)).collect()
    }

    /// Output and cell state after a step of a cell in a row of the batch.
    fn step(&self, cell: usize, batch_row: usize, input: &[f64], h: &[f64], c: &[f64]) -> (Vec<f64>, Vec<f64>) {
        let units = self.shape.units;
        let field = |field: usize| &self.fields[cell_field(cell, field)];
        let bias = |number: usize, row: usize| field(number).get(row).copied().unwrap_or_default();
        let factors = self.dropout[cell].as_ref();
        let inputs: Vec<Vec<f64>> =
            (0..self.cell.gates()).map(|gate| self.dropped(factors, batch_row, gate, input)).collect();
        let x_sum = |row: usize| {
            let weights = &field(2)[row * input.len()..][..input.len()];
            dot(weights, &inputs[row / units]) + bias(4, row)
        };
        let recurrent = |row: usize, h: &[f64]| {
            let h = self.dropped(self.recurrent_dropout[cell].as_ref(), batch_row, row / units, h);
            dot(&field(3)[row * units..][..units], &h)
        };
        let gate = |gate: usize, unit: usize, h: &[f64]| {
            let row = gate * units + unit;
            x_sum(row) + recurrent(row, h) + bias(5, row)
        };
        match self.cell {
            Cell::Lstm => {
                let cell = |u: usize| sigmoid(gate(1, u, h)) * c[u] + sigmoid(gate(0, u, h)) * gate(2, u, h).tanh();
                let c: Vec<f64> = (0..units).map(cell).collect();
                ((0..units).map(|u| sigmoid(gate(3, u, h)) * c[u].tanh()).collect(), c)
            }
            Cell::Gru { reset_after } => {
                let r: Vec<f64> = (0..units).map(|u| sigmoid(gate(1, u, h))).collect();
                let reset: Vec<f64> = r.iter().zip(h).map(|(r, h)| r * h).collect();
                let output = |u: usize| {
                    let row = 2 * units + u;
                    let sum = if reset_after {
                        x_sum(row) + r[u] * (recurrent(row, h) + bias(5, row))
                    } else {
                        gate(2, u, &reset)
                    };
                    let z = sigmoid(gate(0, u, h));
                    z * h[u] + (1.0 - z) * sum.tanh()
                };
                ((0..units).map(output).collect(), c.to_vec())
            }
        }
    }

    /// y, h, c, a, weights, then h and c of each cell above the first.
    pub(super) fn forward(&self) -> Vec<Vec<f64>> {
        let AttentiveShape { batch, steps, sources, input, units, .. } = self.shape;
        let cells = self.dropout.len();
        let mut outputs: Vec<Vec<f64>> = vec![Vec::new(); 5 + 2 * (cells - 1)];
        for row in 0..batch {
            let start = |field: usize| self.features(field, row, units).to_vec();
            let mut states: Vec<[Vec<f64>; 2]> =
                (0..cells).map(|cell| [0, 1].map(|field| start(cell_field(cell, field)))).collect();
            let mut a = start(5);
            let mut shown = vec![0.0; units];
            for step in 0..steps {
                let mut weights = vec![0.0; sources];
                if self.mask.as_ref().is_none_or(|mask| mask[row * steps + step] != 0) {
                    let mut into = self.features(0, row * steps + step, input).to_vec();
                    if self.before {
                        let context;
                        (weights, context) = self.attend(row, &states[0][0]);
                        into.extend(context);
                    } else if self.feed {
                        into.extend(&a);
                    }
                    for (cell, [h, c]) in states.iter_mut().enumerate() {
                        (*h, *c) = self.step(cell, row, &into, h, c);
                        into.clone_from(h);
                    }
                    shown.clone_from(&into);
                    if !self.before {
                        let mut context;
                        (weights, context) = self.attend(row, &into);
                        context.extend(&into);
                        a = product(&self.fields[12], &context).into_iter().map(f64::tanh).collect();
                        shown.clone_from(&a);
                    }
                }
                outputs[0].extend(&shown);
                outputs[4].extend(weights);
            }
            let above = states.split_off(1).into_iter().flatten();
            let first = states.into_iter().flatten();
            for (to, state) in [1, 2, 3].into_iter().chain(5..).zip(first.chain([a]).chain(above)) {
                outputs[to].extend(state);
            }
        }
        outputs
    }
}
