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
}

#[derive(Clone, Debug)]
pub(super) struct Case {
    pub(super) shape: AttentiveShape,
    pub(super) variant: Variant,
    /// As `Reference::fields`; states that are left out are zeros.
    pub(super) fields: [Vec<f32>; 13],
    pub(super) memory_mask: Option<Vec<u8>>,
    pub(super) mask: Option<Vec<u8>>,
    /// Of y, h, c, a.
    pub(super) d: [Vec<f32>; 4],
    pub(super) dropout: Option<Vec<f32>>,
    pub(super) recurrent_dropout: Option<Vec<f32>>,
}

/// What a run gives: y, h, c, a, weights, then the gradients in the order of `FIELDS`.
pub(super) type Results = Vec<Vec<f32>>;

pub(super) fn variant(random: &mut Random) -> Variant {
    let cell = [Cell::Lstm, Cell::Gru { reset_after: true }, Cell::Gru { reset_after: false }][random.below(3)];
    let mut flag = || random.below(2) == 1;
    let [before, feed, additive, bias, states, shared, accumulate] = [(); 7].map(|()| flag());
    let [mask, memory_mask] = [(); 2].map(|()| random.below(5));
    let [dropout, recurrent_dropout] = [(); 2].map(|()| random.below(3) == 0);
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

    /// Whether a field exists.
    pub(super) fn has(&self, field: usize) -> bool {
        match field {
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
        let mut fields: [Vec<f32>; 13] = std::array::from_fn(|field| {
            let scale = if field > 5 { 1.2 / (units as f32).sqrt() } else { 1.0 };
            scaled(random, lengths[field], scale)
        });
        for (index, field) in fields.iter_mut().enumerate().filter(|&(index, _)| !variant.has(index)) {
            // Initial states are zeros if left out, weights are empty.
            if (3..6).contains(&index) {
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
        let into = batch * (input + variant.fed(shape));
        let mut case = Self {
            shape,
            variant,
            fields,
            dropout: factors(random, if variant.dropout { variants } else { 0 }, into),
            recurrent_dropout: factors(random, if variant.recurrent_dropout { variants } else { 0 }, batch * units),
            memory_mask: mask(random, variant.memory_mask, batch, sources),
            mask: mask(random, variant.mask, batch, steps),
            d: [batch * steps * units, batch * units, batch * units, batch * units].map(|length| random.floats(length)),
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
            fields: std::array::from_fn(|field| self.fields[field].iter().map(clean).collect()),
            memory_mask: self.memory_mask.clone(),
            mask: self.mask.clone(),
            dropout: self.dropout.clone(),
            recurrent_dropout: self.recurrent_dropout.clone(),
        }
    }

    pub(super) fn some(&self, field: usize) -> Option<&[f32]> {
        self.variant.has(field).then_some(&self.fields[field][..])
    }

    pub(super) fn weights(&self) -> AttentiveWeights<'_> {
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
        }
    }

    pub(super) fn inputs(&self) -> AttentiveInputs<'_> {
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
            dropout: self.dropout.as_deref(),
            recurrent_dropout: self.recurrent_dropout.as_deref(),
        }
    }

    pub(super) fn run(&self, context: &Context) -> Results {
        let AttentiveShape { batch, steps, sources, units, .. } = self.shape;
        let lengths = [batch * steps * units, batch * units, batch * units, batch * units, batch * steps * sources];
        let mut results: Results = lengths.iter().map(|&length| vec![f32::NAN; length]).collect();
        let lstm = self.variant.lstm();
        let after = !self.variant.before;
        let mut saved = None;
        for keep in [None, Some(&mut saved)] {
            let earlier = keep.as_ref().map(|_| results.iter().map(|values| bits(values)).collect::<Vec<_>>());
            let [y, h, c, a, weights] = &mut results[..] else { unreachable!() };
            let outputs = AttentiveOutputs {
                y: Some(y),
                h: Some(h),
                c: lstm.then_some(c),
                a: after.then_some(a),
                weights: Some(weights),
            };
            forward(context, self.variant.cell, self.shape, self.weights(), self.inputs(), outputs, keep);
            if let Some(earlier) = earlier {
                let found: Vec<_> = results.iter().map(|values| bits(values)).collect();
                assert_eq!(found, earlier, "training and inference differ");
            }
        }
        let start = if self.variant.accumulate { 0.5 } else { f32::NAN };
        let mut gradients: Results = self.fields.iter().map(|field| vec![start; field.len()]).collect();
        let mut to: Vec<Option<Destination<'_>>> = gradients
            .iter_mut()
            .enumerate()
            .map(|(field, data)| {
                let wanted = self.variant.has(field) || field == 3 || field == 4 && lstm || field == 5 && after;
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
        };
        let [dy, dh, dc, da] = &self.d;
        let d =
            AttentiveOutputGradients { dy: Some(dy), dh: Some(dh), dc: lstm.then_some(dc), da: after.then_some(da) };
        let saved = saved.expect("kept");
        backward(context, self.variant.cell, self.shape, self.weights(), self.inputs(), saved, d, gradients_to);
        results.extend(gradients);
        results
    }

    /// What the gradients are of.
    pub(super) fn value(&self, reference: &Reference) -> f64 {
        let outputs = reference.forward();
        let wanted = [true, true, self.variant.lstm(), !self.variant.before];
        let terms = outputs.iter().zip(&self.d).zip(wanted).filter(|&(_, wanted)| wanted);
        terms.map(|((a, b), _)| a.iter().zip(b).map(|(a, &b)| a * f64::from(b)).sum::<f64>()).sum()
    }

    pub(super) fn check(&self, found: &[Vec<f32>]) {
        let (lstm, after) = (self.variant.lstm(), !self.variant.before);
        let expected = self.reference().forward();
        let wanted = [true, true, lstm, after, true];
        for (index, expected) in expected.iter().enumerate().filter(|&(index, _)| wanted[index]) {
            let name = ["y", "h", "c", "a", "weights"][index];
            assert_close(&found[index], expected, &format!("{name}, {:?} {:?}", self.shape, self.variant));
        }
    }

    /// Compares elements of all gradients with differences of the reference: `count` of each, or all.
    pub(super) fn check_gradients(&self, random: &mut Random, found: &[Vec<f32>], count: usize) {
        let reference = self.reference();
        let start = if self.variant.accumulate { 0.5 } else { 0.0 };
        for (field, name) in FIELDS.iter().enumerate() {
            let gradient = &found[5 + field];
            let exists = self.variant.has(field)
                || field == 3
                || field == 4 && self.variant.lstm()
                || field == 5 && !self.variant.before;
            if !exists || gradient.is_empty() {
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
