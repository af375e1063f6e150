use super::{
    LstmGradients, LstmInputs, LstmOptions, LstmOutputGradients, LstmOutputs, LstmShape, LstmWeights, backward,
    forward,
    reference::{Gradients, Outputs, Reference},
    step,
};
use crate::{
    Context, Destination,
    activation::Activation,
    recurrent::testing::{factors, mask, rows, scaled, spoil},
    testing::{Random, assert_close, bits, contexts, widen},
};

/// Which inputs a case has.
#[derive(Clone, Copy, Debug, Default)]
struct Variant {
    bias: bool,
    states: bool,
    /// 0: none, 1: left, 2: right, 3: with holes, 4: right, some rows wholly masked, the last steps for all rows.
    mask: usize,
    reverse: bool,
    zero_output: bool,
    /// 0: none, 1: one for all gates, 4: one each.
    dropout: usize,
    recurrent_dropout: usize,
    /// Other activations than the usual ones.
    other: bool,
    accumulate: bool,
}

#[derive(Clone, Debug)]
struct Case {
    shape: LstmShape,
    variant: Variant,
    kernel: Vec<f32>,
    recurrent: Vec<f32>,
    bias: Vec<f32>,
    x: Vec<f32>,
    h0: Vec<f32>,
    c0: Vec<f32>,
    mask: Option<Vec<u8>>,
    dropout: Option<Vec<f32>>,
    recurrent_dropout: Option<Vec<f32>>,
    dy: Vec<f32>,
    dh: Vec<f32>,
    dc: Vec<f32>,
}

impl Case {
    fn new(random: &mut Random, shape: LstmShape, variant: Variant) -> Self {
        let LstmShape { batch, steps, input, units } = shape;
        let mut case = Self {
            shape,
            variant,
            kernel: scaled(random, 4 * units * input, 1.0),
            recurrent: scaled(random, 4 * units * units, 1.5 / (units as f32).sqrt()),
            bias: random.floats(if variant.bias { 4 * units } else { 0 }),
            x: random.floats(batch * steps * input),
            h0: random.floats(if variant.states { batch * units } else { 0 }),
            c0: random.floats(if variant.states { batch * units } else { 0 }),
            mask: mask(random, variant.mask, batch, steps),
            dropout: factors(random, variant.dropout, batch * input),
            recurrent_dropout: factors(random, variant.recurrent_dropout, batch * units),
            dy: random.floats(batch * steps * units),
            dh: random.floats(batch * units),
            dc: random.floats(batch * units),
        };
        spoil(&mut case.x, case.mask.as_deref(), input);
        case
    }

    fn options(&self) -> LstmOptions<'_> {
        let variant = self.variant;
        LstmOptions {
            reverse: variant.reverse,
            activation: if variant.other { Activation::Silu } else { Activation::Tanh },
            recurrent_activation: if variant.other { Activation::HardSigmoid } else { Activation::Sigmoid },
            zero_output_for_mask: variant.zero_output,
            dropout: self.dropout.as_deref(),
            recurrent_dropout: self.recurrent_dropout.as_deref(),
        }
    }

    fn weights(&self) -> LstmWeights<'_> {
        let bias = self.variant.bias.then_some(&self.bias[..]);
        LstmWeights { kernel: &self.kernel, recurrent: &self.recurrent, bias }
    }

    fn inputs(&self) -> LstmInputs<'_> {
        let states = self.variant.states;
        let (h0, c0) = (states.then_some(&self.h0[..]), states.then_some(&self.c0[..]));
        LstmInputs { x: &self.x, h0, c0, mask: self.mask.as_deref() }
    }

    fn reference(&self) -> Reference<'_> {
        let LstmShape { batch, units, .. } = self.shape;
        let or_zeros = |values: &[f32], length| if values.is_empty() { vec![0.0; length] } else { widen(values) };
        Reference {
            shape: self.shape,
            kernel: widen(&self.kernel),
            recurrent: widen(&self.recurrent),
            bias: or_zeros(&self.bias, 4 * units),
            x: self.x.iter().map(|&x| if x.is_nan() { 0.0 } else { f64::from(x) }).collect(),
            h0: or_zeros(&self.h0, batch * units),
            c0: or_zeros(&self.c0, batch * units),
            mask: self.mask.clone(),
            options: self.options(),
        }
    }

    fn output_gradients(&self) -> Outputs {
        Outputs { y: widen(&self.dy), h: widen(&self.dh), c: widen(&self.dc) }
    }

    /// y, h, c, dx, dh0, dc0, dkernel, drecurrent, dbias.
    fn run(&self, context: &Context) -> [Vec<f32>; 9] {
        let LstmShape { batch, steps, units, .. } = self.shape;
        let mut y = vec![f32::NAN; batch * steps * units];
        let (mut h, mut c) = (vec![f32::NAN; batch * units], vec![f32::NAN; batch * units]);
        let mut saved = None;
        for keep in [None, Some(&mut saved)] {
            let keeping = keep.is_some();
            let outputs = LstmOutputs { y: Some(&mut y), h: Some(&mut h), c: Some(&mut c) };
            let before = if keeping { Some((bits(outputs.y.as_deref().unwrap_or(&[])), ())) } else { None };
            forward(context, self.shape, self.weights(), self.inputs(), self.options(), outputs, keep);
            if let Some((before, ())) = before {
                assert_eq!(bits(&y), before, "training and inference differ");
            }
        }
        let start = if self.variant.accumulate { 0.5 } else { f32::NAN };
        let LstmShape { input, .. } = self.shape;
        let lengths =
            [batch * steps * input, batch * units, batch * units, 4 * units * input, 4 * units * units, 4 * units];
        let [mut dx, mut dh0, mut dc0, mut dkernel, mut drecurrent, mut dbias] =
            lengths.map(|length| vec![start; length]);
        let accumulate = self.variant.accumulate;
        let to = |data| Some(Destination { data, accumulate });
        let gradients = LstmGradients {
            dx: to(&mut dx),
            dh0: to(&mut dh0),
            dc0: to(&mut dc0),
            dkernel: to(&mut dkernel),
            drecurrent: to(&mut drecurrent),
            dbias: to(&mut dbias),
        };
        let outputs = LstmOutputGradients { dy: Some(&self.dy), dh: Some(&self.dh), dc: Some(&self.dc) };
        let saved = saved.expect("kept");
        backward(context, self.shape, self.weights(), self.inputs(), self.options(), saved, outputs, gradients);
        [y, h, c, dx, dh0, dc0, dkernel, drecurrent, dbias]
    }

    fn expected(&self) -> [Vec<f64>; 9] {
        let reference = self.reference();
        let Outputs { y, h, c } = reference.forward();
        let Gradients { x, h0, c0, kernel, recurrent, bias } = reference.backward(&self.output_gradients());
        let start = if self.variant.accumulate { 0.5 } else { 0.0 };
        let added = |gradient: Vec<f64>| gradient.into_iter().map(|x| x + start).collect();
        [y, h, c, added(x), added(h0), added(c0), added(kernel), added(recurrent), added(bias)]
    }
}

const NAMES: [&str; 9] = ["y", "h", "c", "dx", "dh0", "dc0", "dkernel", "drecurrent", "dbias"];

fn variant(random: &mut Random) -> Variant {
    let mut flag = || random.below(2) == 1;
    let [bias, states, reverse, zero_output, other, accumulate] = [(); 6].map(|()| flag());
    let mut dropout = || [0, 0, 1, 4][random.below(4)];
    let (dropout, recurrent_dropout) = (dropout(), dropout());
    Variant {
        bias,
        states,
        mask: random.below(5),
        reverse,
        zero_output,
        dropout,
        recurrent_dropout,
        other: other && random.below(2) == 1,
        accumulate,
    }
}

#[test]
fn layer_equals_the_reference_on_every_path() {
    let mut random = Random::new(17);
    let contexts = contexts();
    for round in 0..120 {
        let mut one_of = |sizes: &[usize]| sizes[random.below(sizes.len())];
        let shape = LstmShape {
            batch: one_of(&[0, 1, 3, 17, 33, 64]),
            steps: one_of(&[0, 1, 2, 7, 7]),
            input: one_of(&[0, 1, 5, 16, 50]),
            units: one_of(&[1, 5, 16, 50]),
        };
        let case = Case::new(&mut random, shape, variant(&mut random_for(round)));
        let expected = case.expected();
        let mut last: Option<(crate::simd::Simd, Vec<Vec<u32>>)> = None;
        for context in &contexts {
            let found = case.run(context);
            for ((found, expected), name) in found.iter().zip(&expected).zip(NAMES) {
                assert_close(found, expected, &format!("{name}, {:?}, {shape:?}, {:?}", context.simd, case.variant));
            }
            let found = (context.simd, found.iter().map(|values| bits(values)).collect());
            if let Some(last) = &last
                && last.0 == found.0
            {
                assert!(last.1 == found.1, "bits depend on the threads: {shape:?}, {:?}", case.variant);
            }
            last = Some(found);
        }
    }
}

fn random_for(round: usize) -> Random {
    Random::new(1000 + round as u64)
}

/// Many units, so that all tile heights and several chunks and row blocks are used, and long sums.
#[test]
fn a_wide_layer_equals_the_reference() {
    let mut random = Random::new(23);
    for mask in [0, 3] {
        let variant = Variant { bias: true, states: true, mask, ..Variant::default() };
        let shape = LstmShape { batch: 40, steps: 9, input: 20, units: 117 };
        let case = Case::new(&mut random, shape, variant);
        let expected = case.expected();
        for context in contexts() {
            for ((found, expected), name) in case.run(&context).iter().zip(&expected).zip(NAMES) {
                assert_close(found, expected, &format!("{name}, {:?}, mask {mask}", context.simd));
            }
        }
    }
}

#[test]
fn backward_of_the_reference_equals_differences() {
    let mut random = Random::new(29);
    for round in 0..40 {
        let shape = LstmShape { batch: 2, steps: 3, input: 2, units: 2 };
        let case = Case::new(&mut random, shape, variant(&mut random_for(round)));
        let reference = case.reference();
        let d = case.output_gradients();
        let gradients = reference.backward(&d);
        let value = |reference: &Reference<'_>| -> f64 {
            let Outputs { y, h, c } = reference.forward();
            let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
            dot(&y, &d.y) + dot(&h, &d.h) + dot(&c, &d.c)
        };
        type Field = for<'a> fn(&'a mut Reference<'_>) -> &'a mut Vec<f64>;
        let fields: [(Field, &[f64]); 6] = [
            (|reference| &mut reference.x, &gradients.x),
            (|reference| &mut reference.h0, &gradients.h0),
            (|reference| &mut reference.c0, &gradients.c0),
            (|reference| &mut reference.kernel, &gradients.kernel),
            (|reference| &mut reference.recurrent, &gradients.recurrent),
            (|reference| &mut reference.bias, &gradients.bias),
        ];
        for (field, gradient) in fields {
            for (index, &gradient) in gradient.iter().enumerate() {
                let moved = |by: f64| {
                    let mut moved = reference.clone();
                    field(&mut moved)[index] += by;
                    value(&moved)
                };
                let difference = (moved(1e-5) - moved(-1e-5)) / 2e-5;
                assert!((difference - gradient).abs() < 1e-6, "{difference} {gradient} {:?}", case.variant);
            }
        }
    }
}

#[test]
fn a_row_depends_neither_on_its_neighbours_nor_on_padding() {
    let mut random = Random::new(31);
    let shape = LstmShape { batch: 20, steps: 6, input: 5, units: 19 };
    let LstmShape { steps, input, units, .. } = shape;
    let variant = Variant { bias: true, states: true, mask: 2, ..Variant::default() };
    let case = Case::new(&mut random, shape, variant);
    let mask = case.mask.clone().unwrap_or_default();
    let chosen = [13, 2, 7];
    let few = Case {
        shape: LstmShape { batch: chosen.len(), ..shape },
        x: rows(&case.x, steps * input, &chosen),
        h0: rows(&case.h0, units, &chosen),
        c0: rows(&case.c0, units, &chosen),
        mask: Some(chosen.iter().flat_map(|&row| &mask[row * steps..][..steps]).copied().collect()),
        dy: rows(&case.dy, steps * units, &chosen),
        dh: rows(&case.dh, units, &chosen),
        dc: rows(&case.dc, units, &chosen),
        ..case.clone()
    };
    // Two more masked steps at the end, without gradients of their own.
    let longer = |matrix: &[f32], width: usize, value: f32| -> Vec<f32> {
        matrix.chunks_exact(steps * width).flat_map(|row| [row, &vec![value; 2 * width]].concat()).collect()
    };
    let padded = Case {
        shape: LstmShape { steps: steps + 2, ..shape },
        x: longer(&case.x, input, f32::NAN),
        mask: Some(mask.chunks_exact(steps).flat_map(|row| [row, &[0, 0]].concat()).collect()),
        dy: longer(&case.dy, units, 0.0),
        ..case.clone()
    };
    for context in contexts() {
        let all = case.run(&context);
        let widths = [steps * units, units, units, steps * input, units, units];
        for ((found, all), width) in few.run(&context).iter().zip(&all).zip(widths) {
            assert_eq!(bits(found), bits(&rows(all, width, &chosen)));
        }
        for ((index, found), all) in padded.run(&context).iter().enumerate().zip(&all) {
            match index {
                0 => {
                    let shorter = found.chunks_exact((steps + 2) * units).flat_map(|row| &row[..steps * units]);
                    assert_eq!(bits(&shorter.copied().collect::<Vec<_>>()), bits(all));
                }
                3 => {
                    let zeros = longer(all, input, 0.0);
                    assert_eq!(found, &zeros);
                }
                _ => assert_eq!(bits(found), bits(all), "{}", NAMES[index]),
            }
        }
    }
}

#[test]
fn single_steps_equal_the_sequence() {
    let mut random = Random::new(37);
    let shape = LstmShape { batch: 18, steps: 4, input: 7, units: 21 };
    let LstmShape { batch, steps, input, units } = shape;
    let case = Case::new(&mut random, shape, Variant { bias: true, states: true, ..Variant::default() });
    for context in contexts() {
        let [y, last, cells, ..] = case.run(&context);
        let (mut h, mut c) = (case.h0.clone(), case.c0.clone());
        for time in 0..steps {
            let x: Vec<f32> =
                (0..batch).flat_map(|row| &case.x[(row * steps + time) * input..][..input]).copied().collect();
            step(&context, shape, case.weights(), case.options(), &x, &mut h, &mut c);
            let expected: Vec<f32> =
                (0..batch).flat_map(|row| &y[(row * steps + time) * units..][..units]).copied().collect();
            assert_eq!(bits(&h), bits(&expected));
        }
        assert_eq!((bits(&h), bits(&c)), (bits(&last), bits(&cells)));
    }
}

#[test]
fn gradients_can_be_left_out() {
    let mut random = Random::new(41);
    let shape = LstmShape { batch: 18, steps: 4, input: 7, units: 21 };
    let case = Case::new(&mut random, shape, Variant { bias: true, mask: 3, ..Variant::default() });
    let context = Context::new(2, crate::simd::Simd::best());
    let all = case.run(&context);
    let run = |gradients: LstmGradients<'_>| {
        let mut saved = None;
        let (weights, inputs, options) = (case.weights(), case.inputs(), case.options());
        forward(&context, shape, weights, inputs, options, LstmOutputs::default(), Some(&mut saved));
        let outputs = LstmOutputGradients { dy: Some(&case.dy), dh: Some(&case.dh), dc: Some(&case.dc) };
        let saved = saved.expect("kept");
        backward(&context, shape, weights, inputs, options, saved, outputs, gradients);
    };
    run(LstmGradients::default());
    let mut found = all.clone();
    let [.., dx, _, _, dkernel, _, dbias] = &mut found;
    for values in [&mut *dx, &mut *dkernel, &mut *dbias] {
        values.fill(f32::NAN);
    }
    run(LstmGradients { dx: Some(Destination { data: dx, accumulate: false }), ..LstmGradients::default() });
    run(LstmGradients { dkernel: Some(Destination { data: dkernel, accumulate: false }), ..LstmGradients::default() });
    run(LstmGradients { dbias: Some(Destination { data: dbias, accumulate: false }), ..LstmGradients::default() });
    for (found, all) in found.iter().zip(&all) {
        assert_eq!(bits(found), bits(all));
    }
}
