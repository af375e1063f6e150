//! Random calls, with what is right for them.
use super::*;

/// Which form a case has.
#[derive(Clone, Copy, Debug)]
pub(super) struct Variant {
    pub(super) cell: Cell,
    pub(super) before: bool,
    pub(super) feed: bool,
    pub(super) additive: bool,
    pub(super) bias: bool,
    pub(super) states: bool,
    /// As `recurrent::testing::mask`, of the steps and of the memory.
    pub(super) mask: usize,
    pub(super) memory_mask: usize,
    /// Whether the memory is its own keys, without another slice.
    pub(super) shared: bool,
    pub(super) accumulate: bool,
    /// Whether there is dropout of what goes into the cell, and of the outputs before.
    pub(super) dropout: bool,
    pub(super) recurrent_dropout: bool,
    /// Cells above the first, if the output is fed.
    pub(super) above: usize,
}

#[derive(Clone, Debug)]
pub(super) struct Case {
    pub(super) shape: AttentiveShape,
    pub(super) variant: Variant,
    /// As `Reference::fields`; states that are left out are zeros.
    pub(super) fields: Vec<Vec<f32>>,
    pub(super) memory_mask: Option<Vec<u8>>,
    pub(super) mask: Option<Vec<u8>>,
    /// Of y, h, c, a.
    pub(super) d: [Vec<f32>; 4],
    /// Of h and c of each cell above the first.
    pub(super) d_above: Vec<[Vec<f32>; 2]>,
    /// Of each cell.
    pub(super) dropout: Vec<Option<Vec<f32>>>,
    pub(super) recurrent_dropout: Vec<Option<Vec<f32>>>,
}

/// What a run gives: y, h, c, a, weights, then the gradients in the order of the fields, then h and c of cells above.
pub(super) type Results = Vec<Vec<f32>>;

pub(super) fn variant(random: &mut Random) -> Variant {
    let cell = [Cell::Lstm, Cell::Gru { reset_after: true }, Cell::Gru { reset_after: false }][random.below(3)];
    let mut flag = || random.below(2) == 1;
    let [before, feed, additive, bias, states, shared, accumulate] = [(); 7].map(|()| flag());
    let [mask, memory_mask] = [(); 2].map(|()| random.below(5));
    let [dropout, recurrent_dropout] = [(); 2].map(|()| random.below(3) == 0);
    let above = random.below(4).min(2);
    Variant {
        cell,
        before,
        feed,
        additive,
        bias,
        states,
        mask,
        memory_mask,
        shared,
        accumulate,
        dropout,
        recurrent_dropout,
        above,
    }
}

impl Variant {
    pub(super) fn lstm(&self) -> bool {
        self.cell == Cell::Lstm
    }

    pub(super) fn fed(&self, shape: AttentiveShape) -> usize {
        match (self.before, self.feed) {
            (true, _) => shape.memory,
            (false, true) => shape.units,
            (false, false) => 0,
        }
    }

    /// Cells.
    pub(super) fn cells(&self) -> usize {
        if self.before || !self.feed { 1 } else { 1 + self.above }
    }

    /// Whether a field exists.
    pub(super) fn has(&self, field: usize) -> bool {
        let of_cell = field.checked_sub(FIELDS.len()).map(|field| cell_field(0, field % CELL_FIELDS.len()));
        match of_cell.unwrap_or(field) {
            3 => self.states,
            4 => self.states && self.lstm(),
            5 => self.states && !self.before,
            8 => self.bias,
            9 => self.bias && self.cell == Cell::Gru { reset_after: true },
            10 | 11 => self.additive,
            12 => !self.before,
            _ => true,
        }
    }
}

impl Case {
    pub(super) fn new(random: &mut Random, shape: AttentiveShape, variant: Variant) -> Self {
        let AttentiveShape { batch, steps, sources, input, units, memory, keys } = shape;
        let gates = variant.cell.gates() * units;
        let lengths = [
            batch * steps * input,
            batch * sources * keys,
            batch * sources * memory,
            batch * units,
            batch * units,
            batch * units,
            gates * (input + variant.fed(shape)),
            gates * units,
            gates,
            gates,
            keys * units,
            keys,
            units * (memory + units),
        ];
        let cells = variant.cells();
        let of_cell = [batch * units, batch * units, gates * units, gates * units, gates, gates];
        let of_cells = (1..cells).flat_map(|_| of_cell);
        let is_state = |field: usize| match field.checked_sub(FIELDS.len()) {
            Some(field) => field % CELL_FIELDS.len() < 2,
            None => (3..6).contains(&field),
        };
        let field = |(field, length): (usize, usize)| {
            let scale = if is_state(field) || field < 3 { 1.0 } else { 1.2 / (units as f32).sqrt() };
            scaled(random, length, scale)
        };
        let mut fields: Vec<Vec<f32>> = lengths.into_iter().chain(of_cells).enumerate().map(field).collect();
        for (index, field) in fields.iter_mut().enumerate().filter(|&(index, _)| !variant.has(index)) {
            // Initial states are zeros if left out, weights are empty.
            if is_state(index) {
                field.fill(0.0);
            } else {
                field.clear();
            }
        }
        if variant.shared && keys == memory {
            fields[1] = fields[2].clone();
        }
        // As in Keras: each gate has its own factors if there is recurrent dropout.
        let variants = if variant.recurrent_dropout { variant.cell.gates() } else { 1 };
        let into = |cell: usize| batch * if cell == 0 { input + variant.fed(shape) } else { units };
        let dropout = if variant.dropout { variants } else { 0 };
        let recurrent_dropout = if variant.recurrent_dropout { variants } else { 0 };
        let mut case = Self {
            shape,
            variant,
            fields,
            dropout: (0..cells).map(|cell| factors(random, dropout, into(cell))).collect(),
            recurrent_dropout: (0..cells).map(|_| factors(random, recurrent_dropout, batch * units)).collect(),
            memory_mask: mask(random, variant.memory_mask, batch, sources),
            mask: mask(random, variant.mask, batch, steps),
            d: [batch * steps * units, batch * units, batch * units, batch * units].map(|length| random.floats(length)),
            d_above: (1..cells).map(|_| [(); 2].map(|()| random.floats(batch * units))).collect(),
        };
        spoil(&mut case.fields[0], case.mask.as_deref(), input);
        for (field, width) in [(1, keys), (2, memory)] {
            spoil(&mut case.fields[field], case.memory_mask.as_deref(), width);
        }
        case
    }

    pub(super) fn reference(&self) -> Reference {
        let clean = |x: &f32| if x.is_nan() { 0.0 } else { f64::from(*x) };
        Reference {
            cell: self.variant.cell,
            shape: self.shape,
            before: self.variant.before,
            feed: self.variant.feed,
            additive: self.variant.additive,
            fields: self.fields.iter().map(|field| field.iter().map(clean).collect()).collect(),
            memory_mask: self.memory_mask.clone(),
            mask: self.mask.clone(),
            dropout: self.dropout.clone(),
            recurrent_dropout: self.recurrent_dropout.clone(),
        }
    }

    pub(super) fn some(&self, field: usize) -> Option<&[f32]> {
        self.variant.has(field).then_some(&self.fields[field][..])
    }

    /// Weights of the cells above the first.
    pub(super) fn weights_above(&self) -> Vec<CellWeights<'_>> {
        let of = |cell: usize| {
            let field = |field: usize| cell_field(cell, field);
            CellWeights {
                kernel: &self.fields[field(2)],
                recurrent: &self.fields[field(3)],
                bias: self.some(field(4)),
                recurrent_bias: self.some(field(5)),
            }
        };
        (1..self.variant.cells()).map(of).collect()
    }

    /// What goes into them.
    pub(super) fn inputs_above(&self) -> Vec<CellInputs<'_>> {
        let of = |cell: usize| CellInputs {
            h0: self.some(cell_field(cell, 0)),
            c0: self.some(cell_field(cell, 1)),
            dropout: self.dropout[cell].as_deref(),
            recurrent_dropout: self.recurrent_dropout[cell].as_deref(),
        };
        (1..self.variant.cells()).map(of).collect()
    }

    /// Gradients of their states.
    pub(super) fn output_gradients_above(&self) -> Vec<CellOutputGradients<'_>> {
        let lstm = self.variant.lstm();
        self.d_above.iter().map(|[dh, dc]| CellOutputGradients { dh: Some(dh), dc: lstm.then_some(dc) }).collect()
    }

    pub(super) fn weights<'a>(&'a self, above: &'a [CellWeights<'a>]) -> AttentiveWeights<'a> {
        let f = &self.fields;
        AttentiveWeights {
            kernel: &f[6],
            recurrent: &f[7],
            bias: self.some(8),
            recurrent_bias: self.some(9),
            score: if self.variant.additive { Score::Additive { query: &f[10], scale: &f[11] } } else { Score::Dot },
            order: if self.variant.before {
                Order::Before
            } else {
                Order::After { combine: &f[12], feed: self.variant.feed }
            },
            above,
        }
    }

    pub(super) fn inputs<'a>(&'a self, above: &'a [CellInputs<'a>]) -> AttentiveInputs<'a> {
        let memory = &self.fields[2];
        let shared = self.variant.shared && self.shape.keys == self.shape.memory;
        AttentiveInputs {
            x: &self.fields[0],
            keys: if shared { memory } else { &self.fields[1] },
            memory,
            memory_mask: self.memory_mask.as_deref(),
            mask: self.mask.as_deref(),
            h0: self.some(3),
            c0: self.some(4),
            a0: self.some(5),
            dropout: self.dropout[0].as_deref(),
            recurrent_dropout: self.recurrent_dropout[0].as_deref(),
            above,
        }
    }

    pub(super) fn run(&self, context: &Context) -> Results {
        let AttentiveShape { batch, steps, sources, units, .. } = self.shape;
        let lengths = [batch * steps * units, batch * units, batch * units, batch * units, batch * steps * sources];
        let mut results: Results = lengths.iter().map(|&length| vec![f32::NAN; length]).collect();
        let lstm = self.variant.lstm();
        let after = !self.variant.before;
        let (weights_above, inputs_above) = (self.weights_above(), self.inputs_above());
        let (own_weights, own_inputs) = (self.weights(&weights_above), self.inputs(&inputs_above));
        let mut states: Results = vec![vec![f32::NAN; batch * units]; 2 * (self.variant.cells() - 1)];
        let mut saved = None;
        for keep in [None, Some(&mut saved)] {
            let all = |results: &Results, states: &Results| -> Vec<_> {
                results.iter().chain(states).map(|values| bits(values)).collect()
            };
            let earlier = keep.as_ref().map(|_| all(&results, &states));
            let [y, h, c, a, weights] = &mut results[..] else { unreachable!() };
            let above = states.chunks_exact_mut(2).map(|pair| {
                let [h, c] = pair else { unreachable!() };
                CellOutputs { h: Some(h), c: lstm.then_some(c) }
            });
            let outputs = AttentiveOutputs {
                y: Some(y),
                h: Some(h),
                c: lstm.then_some(c),
                a: after.then_some(a),
                weights: Some(weights),
                above: above.collect(),
            };
            forward(context, self.variant.cell, self.shape, own_weights, own_inputs, outputs, keep);
            if let Some(earlier) = earlier {
                assert_eq!(all(&results, &states), earlier, "training and inference differ");
            }
        }
        let start = if self.variant.accumulate { 0.5 } else { f32::NAN };
        let mut gradients: Results = self.fields.iter().map(|field| vec![start; field.len()]).collect();
        let mut to: Vec<Option<Destination<'_>>> = gradients
            .iter_mut()
            .enumerate()
            .map(|(field, data)| {
                let wanted = self.wants(field);
                wanted.then_some(Destination { data, accumulate: self.variant.accumulate })
            })
            .collect();
        let mut to = |field: usize| to[field].take();
        let gradients_to = AttentiveGradients {
            dx: to(0),
            dkeys: to(1),
            dmemory: to(2),
            dh0: to(3),
            dc0: to(4),
            da0: to(5),
            dkernel: to(6),
            drecurrent: to(7),
            dbias: to(8),
            drecurrent_bias: to(9),
            dquery: to(10),
            dscale: to(11),
            dcombine: to(12),
            above: (1..self.variant.cells())
                .map(|cell| CellGradients {
                    dh0: to(cell_field(cell, 0)),
                    dc0: to(cell_field(cell, 1)),
                    dkernel: to(cell_field(cell, 2)),
                    drecurrent: to(cell_field(cell, 3)),
                    dbias: to(cell_field(cell, 4)),
                    drecurrent_bias: to(cell_field(cell, 5)),
                })
                .collect(),
        };
        let [dy, dh, dc, da] = &self.d;
        let above = self.output_gradients_above();
        let d = AttentiveOutputGradients {
            dy: Some(dy),
            dh: Some(dh),
            dc: lstm.then_some(dc),
            da: after.then_some(da),
            above: &above,
        };
        let saved = saved.expect("kept");
        backward(context, self.variant.cell, self.shape, own_weights, own_inputs, saved, d, gradients_to);
        results.extend(gradients);
        results.extend(states);
        results
    }

    /// Whether there is a gradient of a field: of initial states also if they are left out.
    fn wants(&self, field: usize) -> bool {
        let of_cell = field.checked_sub(FIELDS.len()).map(|field| cell_field(0, field % CELL_FIELDS.len()));
        match of_cell.unwrap_or(field) {
            3 => true,
            4 => self.variant.lstm(),
            5 => !self.variant.before,
            _ => self.variant.has(field),
        }
    }

    /// What the gradients are of.
    pub(super) fn value(&self, reference: &Reference) -> f64 {
        let outputs = reference.forward();
        let lstm = self.variant.lstm();
        let above = self.d_above.iter().flatten().zip([true, lstm].into_iter().cycle());
        let d = self.d.iter().zip([true, true, lstm, !self.variant.before]).chain(above);
        let terms = outputs[..4].iter().chain(&outputs[5..]).zip(d).filter(|&(_, (_, wanted))| wanted);
        terms.map(|(a, (b, _))| a.iter().zip(b).map(|(a, &b)| a * f64::from(b)).sum::<f64>()).sum()
    }

    pub(super) fn check(&self, found: &[Vec<f32>]) {
        let (lstm, after) = (self.variant.lstm(), !self.variant.before);
        let expected = self.reference().forward();
        let wanted = [true, true, lstm, after, true];
        for (index, expected) in expected.iter().enumerate() {
            let (name, place) = match index.checked_sub(5) {
                Some(state) if state % 2 == 0 => ("h above", 5 + self.fields.len() + state),
                Some(state) if lstm => ("c above", 5 + self.fields.len() + state),
                None if wanted[index] => (["y", "h", "c", "a", "weights"][index], index),
                _ => continue,
            };
            assert_close(&found[place], expected, &format!("{name}, {:?} {:?}", self.shape, self.variant));
        }
    }

    /// Compares elements of all gradients with differences of the reference: `count` of each, or all.
    pub(super) fn check_gradients(&self, random: &mut Random, found: &[Vec<f32>], count: usize) {
        let reference = self.reference();
        let start = if self.variant.accumulate { 0.5 } else { 0.0 };
        for field in 0..self.fields.len() {
            let (gradient, name) = (&found[5 + field], field_name(field));
            if !self.wants(field) || gradient.is_empty() {
                continue;
            }
            let masked = |index: usize| match field {
                0 => self.mask.as_ref().is_some_and(|mask| mask[index / self.shape.input] == 0),
                1 => self.memory_mask.as_ref().is_some_and(|mask| mask[index / self.shape.keys] == 0),
                2 => self.memory_mask.as_ref().is_some_and(|mask| mask[index / self.shape.memory] == 0),
                _ => false,
            };
            let indices: Vec<usize> = if gradient.len() <= count {
                (0..gradient.len()).collect()
            } else {
                (0..count).map(|_| random.below(gradient.len())).collect()
            };
            let (mut part, mut expected) = (Vec::new(), Vec::new());
            for index in indices {
                let moved = |by: f64| {
                    let mut moved = reference.clone();
                    moved.fields[field][index] += by;
                    self.value(&moved)
                };
                let difference = if masked(index) { 0.0 } else { (moved(1e-4) - moved(-1e-4)) / 2e-4 };
                part.push(gradient[index]);
                expected.push(start + difference);
            }
            // The scale of the errors is that of the whole gradient.
            part.push(1.0 + gradient.iter().fold(0.0f32, |largest, x| largest.max(x.abs())));
            expected.push(f64::from(*part.last().expect("pushed")));
            assert_close(&part, &expected, &format!("d{name}, {:?} {:?}", self.shape, self.variant));
        }
    }
}
