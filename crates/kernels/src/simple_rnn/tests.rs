use super::{
    SimpleRnnGradients, SimpleRnnInputs, SimpleRnnOptions, SimpleRnnOutputGradients, SimpleRnnOutputs, SimpleRnnShape,
    SimpleRnnWeights, backward, forward,
    reference::{Gradients, Outputs, Reference},
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
    state: bool,
    /// As [`mask`].
    mask: usize,
    reverse: bool,
    zero_output: bool,
    dropout: bool,
    recurrent_dropout: bool,
    activation: Activation,
    accumulate: bool,
}

#[derive(Clone, Debug)]
struct Case {
    shape: SimpleRnnShape,
    variant: Variant,
    kernel: Vec<f32>,
    recurrent: Vec<f32>,
    bias: Vec<f32>,
    x: Vec<f32>,
    h0: Vec<f32>,
    mask: Option<Vec<u8>>,
    dropout: Option<Vec<f32>>,
    recurrent_dropout: Option<Vec<f32>>,
    dy: Vec<f32>,
    dh: Vec<f32>,
}

impl Case {
    fn new(random: &mut Random, shape: SimpleRnnShape, variant: Variant) -> Self {
        let SimpleRnnShape { batch, steps, input, units } = shape;
        let mut case = Self {
            shape,
            variant,
            kernel: scaled(random, units * input, 1.0),
            recurrent: scaled(random, units * units, 1.0 / (units as f32).sqrt()),
            bias: random.floats(if variant.bias { units } else { 0 }),
            x: random.floats(batch * steps * input),
            h0: random.floats(if variant.state { batch * units } else { 0 }),
            mask: mask(random, variant.mask, batch, steps),
            dropout: factors(random, variant.dropout.into(), batch * input),
            recurrent_dropout: factors(random, variant.recurrent_dropout.into(), batch * units),
            dy: random.floats(batch * steps * units),
            dh: random.floats(batch * units),
        };
        spoil(&mut case.x, case.mask.as_deref(), input);
        case
    }

    fn options(&self) -> SimpleRnnOptions<'_> {
        SimpleRnnOptions {
            reverse: self.variant.reverse,
            activation: self.variant.activation,
            zero_output_for_mask: self.variant.zero_output,
            dropout: self.dropout.as_deref(),
            recurrent_dropout: self.recurrent_dropout.as_deref(),
        }
    }

    fn weights(&self) -> SimpleRnnWeights<'_> {
        let bias = self.variant.bias.then_some(&self.bias[..]);
        SimpleRnnWeights { kernel: &self.kernel, recurrent: &self.recurrent, bias }
    }

    fn inputs(&self) -> SimpleRnnInputs<'_> {
        let h0 = self.variant.state.then_some(&self.h0[..]);
        SimpleRnnInputs { x: &self.x, h0, mask: self.mask.as_deref() }
    }

    fn reference(&self) -> Reference<'_> {
        let SimpleRnnShape { batch, units, .. } = self.shape;
        let or_zeros = |values: &[f32], length| if values.is_empty() { vec![0.0; length] } else { widen(values) };
        Reference {
            shape: self.shape,
            kernel: widen(&self.kernel),
            recurrent: widen(&self.recurrent),
            bias: or_zeros(&self.bias, units),
            x: self.x.iter().map(|&x| if x.is_nan() { 0.0 } else { f64::from(x) }).collect(),
            h0: or_zeros(&self.h0, batch * units),
            mask: self.mask.clone(),
            options: self.options(),
        }
    }

    fn output_gradients(&self) -> Outputs {
        Outputs { y: widen(&self.dy), h: widen(&self.dh) }
    }

    /// y, h, dx, dh0, dkernel, drecurrent, dbias.
    fn run(&self, context: &Context) -> [Vec<f32>; 7] {
        let SimpleRnnShape { batch, steps, input, units } = self.shape;
        let (mut y, mut h) = (vec![f32::NAN; batch * steps * units], vec![f32::NAN; batch * units]);
        let run = |y: &mut [f32], h: &mut [f32], keep| {
            let outputs = SimpleRnnOutputs { y: Some(y), h: Some(h) };
            forward(context, self.shape, self.weights(), self.inputs(), self.options(), outputs, keep);
        };
        run(&mut y, &mut h, None);
        let before = (bits(&y), bits(&h));
        let mut saved = None;
        run(&mut y, &mut h, Some(&mut saved));
        assert_eq!((bits(&y), bits(&h)), before, "training and inference differ");
        let accumulate = self.variant.accumulate;
        let lengths = [batch * steps * input, batch * units, units * input, units * units, units];
        let [mut dx, mut dh0, mut dkernel, mut drecurrent, mut dbias] =
            lengths.map(|length| vec![if accumulate { 0.5 } else { f32::NAN }; length]);
        let to = |data| Some(Destination { data, accumulate });
        let gradients = SimpleRnnGradients {
            dx: to(&mut dx),
            dh0: to(&mut dh0),
            dkernel: to(&mut dkernel),
            drecurrent: to(&mut drecurrent),
            dbias: to(&mut dbias),
        };
        let outputs = SimpleRnnOutputGradients { dy: Some(&self.dy), dh: Some(&self.dh) };
        let saved = saved.expect("kept");
        backward(context, self.shape, self.weights(), self.inputs(), self.options(), saved, outputs, gradients);
        [y, h, dx, dh0, dkernel, drecurrent, dbias]
    }

    fn expected(&self) -> [Vec<f64>; 7] {
        let reference = self.reference();
        let Outputs { y, h } = reference.forward();
        let Gradients { x, h0, kernel, recurrent, bias } = reference.backward(&self.output_gradients());
        let start = if self.variant.accumulate { 0.5 } else { 0.0 };
        let added = |gradient: Vec<f64>| gradient.into_iter().map(|x| x + start).collect();
        [y, h, added(x), added(h0), added(kernel), added(recurrent), added(bias)]
    }
}

const NAMES: [&str; 7] = ["y", "h", "dx", "dh0", "dkernel", "drecurrent", "dbias"];

fn variant(random: &mut Random) -> Variant {
    let mut flag = || random.below(2) == 1;
    let [bias, state, reverse, zero_output, dropout, recurrent_dropout, accumulate] = [(); 7].map(|()| flag());
    // One whose slope is made of the result, one of what goes in.
    let activations = [Activation::Tanh, Activation::Tanh, Activation::Softsign, Activation::Silu];
    Variant {
        bias,
        state,
        mask: random.below(5),
        reverse,
        zero_output,
        dropout,
        recurrent_dropout,
        activation: activations[random.below(4)],
        accumulate,
    }
}

#[test]
fn layer_equals_the_reference_on_every_path() {
    let mut random = Random::new(47);
    let contexts = contexts();
    for round in 0..120 {
        let mut one_of = |sizes: &[usize]| sizes[random.below(sizes.len())];
        let shape = SimpleRnnShape {
            batch: one_of(&[0, 1, 3, 17, 33, 64]),
            steps: one_of(&[0, 1, 2, 7, 7]),
            input: one_of(&[0, 1, 5, 16, 50]),
            units: one_of(&[1, 5, 16, 50, 117]),
        };
        let case = Case::new(&mut random, shape, variant(&mut Random::new(1000 + round)));
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

#[test]
fn backward_of_the_reference_equals_differences() {
    let mut random = Random::new(53);
    for round in 0..40 {
        let shape = SimpleRnnShape { batch: 2, steps: 3, input: 2, units: 2 };
        let case = Case::new(&mut random, shape, variant(&mut Random::new(1000 + round)));
        let reference = case.reference();
        let d = case.output_gradients();
        let gradients = reference.backward(&d);
        let value = |reference: &Reference<'_>| -> f64 {
            let Outputs { y, h } = reference.forward();
            let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
            dot(&y, &d.y) + dot(&h, &d.h)
        };
        type Field = for<'a> fn(&'a mut Reference<'_>) -> &'a mut Vec<f64>;
        let fields: [(Field, &[f64]); 5] = [
            (|reference| &mut reference.x, &gradients.x),
            (|reference| &mut reference.h0, &gradients.h0),
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
fn a_row_does_not_depend_on_its_neighbours() {
    let mut random = Random::new(59);
    let shape = SimpleRnnShape { batch: 20, steps: 6, input: 5, units: 19 };
    let SimpleRnnShape { steps, input, units, .. } = shape;
    let variant = Variant { bias: true, state: true, mask: 2, activation: Activation::Tanh, ..Variant::default() };
    let case = Case::new(&mut random, shape, variant);
    let mask = case.mask.clone().unwrap_or_default();
    let chosen = [13, 2, 7];
    let few = Case {
        shape: SimpleRnnShape { batch: chosen.len(), ..shape },
        x: rows(&case.x, steps * input, &chosen),
        h0: rows(&case.h0, units, &chosen),
        mask: Some(chosen.iter().flat_map(|&row| &mask[row * steps..][..steps]).copied().collect()),
        dy: rows(&case.dy, steps * units, &chosen),
        dh: rows(&case.dh, units, &chosen),
        ..case.clone()
    };
    for context in contexts() {
        let all = case.run(&context);
        let widths = [steps * units, units, steps * input, units];
        for ((found, all), width) in few.run(&context).iter().zip(&all).zip(widths) {
            assert_eq!(bits(found), bits(&rows(all, width, &chosen)));
        }
    }
}

#[test]
fn gradients_can_be_left_out() {
    let mut random = Random::new(61);
    let shape = SimpleRnnShape { batch: 18, steps: 4, input: 7, units: 21 };
    let context = Context::new(2, crate::simd::Simd::best());
    let case = Case::new(&mut random, shape, Variant { bias: true, mask: 3, ..Variant::default() });
    let all = case.run(&context);
    let run = |gradients: SimpleRnnGradients<'_>| {
        let mut saved = None;
        let (weights, inputs, options) = (case.weights(), case.inputs(), case.options());
        forward(&context, shape, weights, inputs, options, SimpleRnnOutputs::default(), Some(&mut saved));
        let outputs = SimpleRnnOutputGradients { dy: Some(&case.dy), dh: Some(&case.dh) };
        backward(&context, shape, weights, inputs, options, saved.expect("kept"), outputs, gradients);
    };
    run(SimpleRnnGradients::default());
    let mut found = all.clone();
    found[2..].iter_mut().for_each(|values| values.fill(f32::NAN));
    let [_, _, dx, dh0, dkernel, drecurrent, dbias] = &mut found;
    let to = |data| Some(Destination { data, accumulate: false });
    run(SimpleRnnGradients { dx: to(dx), ..SimpleRnnGradients::default() });
    run(SimpleRnnGradients { dh0: to(dh0), ..SimpleRnnGradients::default() });
    run(SimpleRnnGradients { dkernel: to(dkernel), ..SimpleRnnGradients::default() });
    run(SimpleRnnGradients { drecurrent: to(drecurrent), ..SimpleRnnGradients::default() });
    run(SimpleRnnGradients { dbias: to(dbias), ..SimpleRnnGradients::default() });
    for ((found, all), name) in found.iter().zip(&all).zip(NAMES) {
        assert_eq!(bits(found), bits(all), "{name}");
    }
}

#[test]
#[should_panic(expected = "simple_rnn: length of recurrent")]
fn a_wrong_length_is_named() {
    let shape = SimpleRnnShape { batch: 1, steps: 1, input: 1, units: 2 };
    let weights = SimpleRnnWeights { kernel: &[0.0; 2], recurrent: &[0.0; 3], bias: None };
    let inputs = SimpleRnnInputs { x: &[0.0], h0: None, mask: None };
    let context = Context::new(1, crate::simd::Simd::best());
    forward(&context, shape, weights, inputs, SimpleRnnOptions::default(), SimpleRnnOutputs::default(), None);
}
