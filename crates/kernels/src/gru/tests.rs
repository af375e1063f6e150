use super::{
    GruGradients, GruInputs, GruOptions, GruOutputGradients, GruOutputs, GruShape, GruWeights, backward, forward,
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
    reset_after: bool,
    /// 0: none, 1: left, 2: right, 3: with holes, 4: right, some rows wholly masked, the last steps for all rows.
    mask: usize,
    reverse: bool,
    zero_output: bool,
    /// 0: none, 1: one for all gates, 3: one each.
    dropout: usize,
    recurrent_dropout: usize,
    /// Other activations than the usual ones.
    other: bool,
    accumulate: bool,
}

#[derive(Clone, Debug)]
struct Case {
    shape: GruShape,
    variant: Variant,
    kernel: Vec<f32>,
    recurrent: Vec<f32>,
    bias: Vec<f32>,
    recurrent_bias: Vec<f32>,
    x: Vec<f32>,
    h0: Vec<f32>,
    mask: Option<Vec<u8>>,
    dropout: Option<Vec<f32>>,
    recurrent_dropout: Option<Vec<f32>>,
    dy: Vec<f32>,
    dh: Vec<f32>,
}

impl Case {
    fn new(random: &mut Random, shape: GruShape, variant: Variant) -> Self {
        let GruShape { batch, steps, input, units } = shape;
        let mut case = Self {
            shape,
            variant,
            kernel: scaled(random, 3 * units * input, 1.0),
            recurrent: scaled(random, 3 * units * units, 1.5 / (units as f32).sqrt()),
            bias: random.floats(if variant.bias { 3 * units } else { 0 }),
            recurrent_bias: random.floats(if variant.bias && variant.reset_after { 3 * units } else { 0 }),
            x: random.floats(batch * steps * input),
            h0: random.floats(if variant.states { batch * units } else { 0 }),
            mask: mask(random, variant.mask, batch, steps),
            dropout: factors(random, variant.dropout, batch * input),
            recurrent_dropout: factors(random, variant.recurrent_dropout, batch * units),
            dy: random.floats(batch * steps * units),
            dh: random.floats(batch * units),
        };
        spoil(&mut case.x, case.mask.as_deref(), input);
        case
    }

    fn options(&self) -> GruOptions<'_> {
        let variant = self.variant;
        GruOptions {
            reset_after: variant.reset_after,
            reverse: variant.reverse,
            activation: if variant.other { Activation::Silu } else { Activation::Tanh },
            recurrent_activation: if variant.other { Activation::HardSigmoid } else { Activation::Sigmoid },
            zero_output_for_mask: variant.zero_output,
            dropout: self.dropout.as_deref(),
            recurrent_dropout: self.recurrent_dropout.as_deref(),
        }
    }

    fn weights(&self) -> GruWeights<'_> {
        let variant = self.variant;
        let bias = variant.bias.then_some(&self.bias[..]);
        let recurrent_bias = (variant.bias && variant.reset_after).then_some(&self.recurrent_bias[..]);
        GruWeights { kernel: &self.kernel, recurrent: &self.recurrent, bias, recurrent_bias }
    }

    fn inputs(&self) -> GruInputs<'_> {
        let h0 = self.variant.states.then_some(&self.h0[..]);
        GruInputs { x: &self.x, h0, mask: self.mask.as_deref() }
    }

    fn reference(&self) -> Reference<'_> {
        let GruShape { batch, units, .. } = self.shape;
        let or_zeros = |values: &[f32], length| if values.is_empty() { vec![0.0; length] } else { widen(values) };
        Reference {
            shape: self.shape,
            kernel: widen(&self.kernel),
            recurrent: widen(&self.recurrent),
            bias: or_zeros(&self.bias, 3 * units),
            recurrent_bias: or_zeros(&self.recurrent_bias, 3 * units),
            x: self.x.iter().map(|&x| if x.is_nan() { 0.0 } else { f64::from(x) }).collect(),
            h0: or_zeros(&self.h0, batch * units),
            mask: self.mask.clone(),
            options: self.options(),
        }
    }

    fn output_gradients(&self) -> Outputs {
        Outputs { y: widen(&self.dy), h: widen(&self.dh) }
    }

    /// y, h, dx, dh0, dkernel, drecurrent, dbias, drecurrent_bias (empty with the reset gate before the product).
    fn run(&self, context: &Context) -> [Vec<f32>; 8] {
        let GruShape { batch, steps, units, .. } = self.shape;
        let mut y = vec![f32::NAN; batch * steps * units];
        let mut h = vec![f32::NAN; batch * units];
        let mut saved = None;
        for keep in [None, Some(&mut saved)] {
            let before = keep.as_ref().map(|_| bits(&y));
            let outputs = GruOutputs { y: Some(&mut y), h: Some(&mut h) };
            forward(context, self.shape, self.weights(), self.inputs(), self.options(), outputs, keep);
            if let Some(before) = before {
                assert_eq!(bits(&y), before, "training and inference differ");
            }
        }
        let start = if self.variant.accumulate { 0.5 } else { f32::NAN };
        let GruShape { input, .. } = self.shape;
        let after = if self.variant.reset_after { 3 * units } else { 0 };
        let lengths = [batch * steps * input, batch * units, 3 * units * input, 3 * units * units, 3 * units, after];
        let [mut dx, mut dh0, mut dkernel, mut drecurrent, mut dbias, mut drecurrent_bias] =
            lengths.map(|length| vec![start; length]);
        let accumulate = self.variant.accumulate;
        let to = |data| Some(Destination { data, accumulate });
        let gradients = GruGradients {
            dx: to(&mut dx),
            dh0: to(&mut dh0),
            dkernel: to(&mut dkernel),
            drecurrent: to(&mut drecurrent),
            dbias: to(&mut dbias),
            drecurrent_bias: if self.variant.reset_after { to(&mut drecurrent_bias) } else { None },
        };
        let outputs = GruOutputGradients { dy: Some(&self.dy), dh: Some(&self.dh) };
        let saved = saved.expect("kept");
        backward(context, self.shape, self.weights(), self.inputs(), self.options(), saved, outputs, gradients);
        [y, h, dx, dh0, dkernel, drecurrent, dbias, drecurrent_bias]
    }

    fn expected(&self) -> [Vec<f64>; 8] {
        let reference = self.reference();
        let Outputs { y, h } = reference.forward();
        let Gradients { x, h0, kernel, recurrent, bias, mut recurrent_bias } =
            reference.backward(&self.output_gradients());
        if !self.variant.reset_after {
            recurrent_bias.clear();
        }
        let start = if self.variant.accumulate { 0.5 } else { 0.0 };
        let added = |gradient: Vec<f64>| gradient.into_iter().map(|x| x + start).collect();
        [y, h, added(x), added(h0), added(kernel), added(recurrent), added(bias), added(recurrent_bias)]
    }
}

const NAMES: [&str; 8] = ["y", "h", "dx", "dh0", "dkernel", "drecurrent", "dbias", "drecurrent_bias"];

fn variant(random: &mut Random) -> Variant {
    let mut flag = || random.below(2) == 1;
    let [bias, states, reset_after, reverse, zero_output, other, accumulate] = [(); 7].map(|()| flag());
    let mut dropout = || [0, 0, 1, 3][random.below(4)];
    let (dropout, recurrent_dropout) = (dropout(), dropout());
    Variant {
        bias,
        states,
        reset_after,
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
        let shape = GruShape {
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
    for (mask, reset_after) in [(0, true), (3, true), (0, false), (3, false)] {
        let variant = Variant { bias: true, states: true, reset_after, mask, ..Variant::default() };
        let shape = GruShape { batch: 40, steps: 9, input: 20, units: 117 };
        let case = Case::new(&mut random, shape, variant);
        let expected = case.expected();
        for context in contexts() {
            for ((found, expected), name) in case.run(&context).iter().zip(&expected).zip(NAMES) {
                assert_close(found, expected, &format!("{name}, {:?}, {variant:?}", context.simd));
            }
        }
    }
}

#[test]
fn backward_of_the_reference_equals_differences() {
    let mut random = Random::new(29);
    for round in 0..40 {
        let shape = GruShape { batch: 2, steps: 3, input: 2, units: 2 };
        let case = Case::new(&mut random, shape, variant(&mut random_for(round)));
        let reference = case.reference();
        let d = case.output_gradients();
        let gradients = reference.backward(&d);
        let value = |reference: &Reference<'_>| -> f64 {
            let Outputs { y, h } = reference.forward();
            let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
            dot(&y, &d.y) + dot(&h, &d.h)
        };
        // With the reset gate before the product there is no such bias.
        let recurrent_bias = if case.variant.reset_after { &gradients.recurrent_bias[..] } else { &[] };
        type Field = for<'a> fn(&'a mut Reference<'_>) -> &'a mut Vec<f64>;
        let fields: [(Field, &[f64]); 6] = [
            (|reference| &mut reference.x, &gradients.x),
            (|reference| &mut reference.h0, &gradients.h0),
            (|reference| &mut reference.kernel, &gradients.kernel),
            (|reference| &mut reference.recurrent, &gradients.recurrent),
            (|reference| &mut reference.bias, &gradients.bias),
            (|reference| &mut reference.recurrent_bias, recurrent_bias),
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
    for reset_after in [true, false] {
        check_rows(reset_after);
    }
}

fn check_rows(reset_after: bool) {
    let mut random = Random::new(31);
    let shape = GruShape { batch: 20, steps: 6, input: 5, units: 19 };
    let GruShape { steps, input, units, .. } = shape;
    let variant = Variant { bias: true, states: true, reset_after, mask: 2, ..Variant::default() };
    let case = Case::new(&mut random, shape, variant);
    let mask = case.mask.clone().unwrap_or_default();
    let chosen = [13, 2, 7];
    let few = Case {
        shape: GruShape { batch: chosen.len(), ..shape },
        x: rows(&case.x, steps * input, &chosen),
        h0: rows(&case.h0, units, &chosen),
        mask: Some(chosen.iter().flat_map(|&row| &mask[row * steps..][..steps]).copied().collect()),
        dy: rows(&case.dy, steps * units, &chosen),
        dh: rows(&case.dh, units, &chosen),
        ..case.clone()
    };
    // Two more masked steps at the end, without gradients of their own.
    let longer = |matrix: &[f32], width: usize, value: f32| -> Vec<f32> {
        matrix.chunks_exact(steps * width).flat_map(|row| [row, &vec![value; 2 * width]].concat()).collect()
    };
    let padded = Case {
        shape: GruShape { steps: steps + 2, ..shape },
        x: longer(&case.x, input, f32::NAN),
        mask: Some(mask.chunks_exact(steps).flat_map(|row| [row, &[0, 0]].concat()).collect()),
        dy: longer(&case.dy, units, 0.0),
        ..case.clone()
    };
    for context in contexts() {
        let all = case.run(&context);
        let widths = [steps * units, units, steps * input, units];
        for ((found, all), width) in few.run(&context).iter().zip(&all).zip(widths) {
            assert_eq!(bits(found), bits(&rows(all, width, &chosen)));
        }
        for ((index, found), all) in padded.run(&context).iter().enumerate().zip(&all) {
            match index {
                0 => {
                    let shorter = found.chunks_exact((steps + 2) * units).flat_map(|row| &row[..steps * units]);
                    assert_eq!(bits(&shorter.copied().collect::<Vec<_>>()), bits(all));
                }
                2 => {
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
    let shape = GruShape { batch: 18, steps: 4, input: 7, units: 21 };
    let GruShape { batch, steps, input, units } = shape;
    for reset_after in [true, false] {
        let variant = Variant { bias: true, states: true, reset_after, ..Variant::default() };
        let case = Case::new(&mut random, shape, variant);
        for context in contexts() {
            let [y, last, ..] = case.run(&context);
            let mut h = case.h0.clone();
            for time in 0..steps {
                let of_step = |matrix: &[f32], width: usize| -> Vec<f32> {
                    (0..batch).flat_map(|row| &matrix[(row * steps + time) * width..][..width]).copied().collect()
                };
                step(&context, shape, case.weights(), case.options(), &of_step(&case.x, input), &mut h);
                assert_eq!(bits(&h), bits(&of_step(&y, units)));
            }
            assert_eq!(bits(&h), bits(&last));
        }
    }
}

#[test]
fn gradients_can_be_left_out() {
    let mut random = Random::new(41);
    let shape = GruShape { batch: 18, steps: 4, input: 7, units: 21 };
    let context = Context::new(2, crate::simd::Simd::best());
    for (reset_after, recurrent_dropout) in [(true, 0), (true, 3), (false, 0), (false, 3)] {
        let variant = Variant { bias: true, mask: 3, reset_after, recurrent_dropout, ..Variant::default() };
        let case = Case::new(&mut random, shape, variant);
        let all = case.run(&context);
        let run = |gradients: GruGradients<'_>| {
            let mut saved = None;
            let (weights, inputs, options) = (case.weights(), case.inputs(), case.options());
            forward(&context, shape, weights, inputs, options, GruOutputs::default(), Some(&mut saved));
            let outputs = GruOutputGradients { dy: Some(&case.dy), dh: Some(&case.dh) };
            let saved = saved.expect("kept");
            backward(&context, shape, weights, inputs, options, saved, outputs, gradients);
        };
        run(GruGradients::default());
        let mut found = all.clone();
        found[2..].iter_mut().for_each(|values| values.fill(f32::NAN));
        let [_, _, dx, dh0, dkernel, drecurrent, dbias, drecurrent_bias] = &mut found;
        let to = |data| Some(Destination { data, accumulate: false });
        run(GruGradients { dx: to(dx), ..GruGradients::default() });
        run(GruGradients { dh0: to(dh0), ..GruGradients::default() });
        run(GruGradients { dkernel: to(dkernel), ..GruGradients::default() });
        run(GruGradients { drecurrent: to(drecurrent), ..GruGradients::default() });
        run(GruGradients { dbias: to(dbias), ..GruGradients::default() });
        if reset_after {
            run(GruGradients { drecurrent_bias: to(drecurrent_bias), ..GruGradients::default() });
        }
        for ((found, all), name) in found.iter().zip(&all).zip(NAMES) {
            assert_eq!(bits(found), bits(all), "{name}, {variant:?}");
        }
    }
}

#[test]
#[should_panic(expected = "recurrent_bias without reset_after")]
fn the_reset_gate_before_the_product_has_no_recurrent_bias() {
    let mut random = Random::new(43);
    let shape = GruShape { batch: 1, steps: 1, input: 1, units: 1 };
    let case = Case::new(&mut random, shape, Variant { bias: true, reset_after: true, ..Variant::default() });
    let options = GruOptions { reset_after: false, ..case.options() };
    let context = Context::new(1, crate::simd::Simd::best());
    forward(&context, shape, case.weights(), case.inputs(), options, GruOutputs::default(), None);
}
