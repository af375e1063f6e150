//! Stateful recurrent layers: what they carry from batch to batch.
mod common;

use common::{
    Model, backends, bits, buffer, error, floats,
    models::{Document, Reference},
    widen,
};
use sconce_engine::{
    Code, Result,
    backend::{CarriedStates, Forward, Program, WeightGradient},
    interrupt::{Flag, Interrupt},
    plan::{Roots, Schedule},
    tensor::Tensor,
};
use serde_json::{Value, json};

const BATCH: usize = 3;
const STEPS: usize = 7;
/// Steps of the first of two blocks.
const FIRST: usize = 4;
const FEATURES: usize = 2;
const UNITS: usize = 5;
const KINDS: [(&str, usize); 3] = [("lstm", 2), ("gru", 1), ("simpleRnn", 1)];

/// A sequence with masked steps behind a masking layer.
fn model(kind: &str, changed: Value, initial: usize) -> Model {
    let mut document = Document::default();
    let x = document.input(json!(["batch", "time", FEATURES]), "float32");
    let states: Vec<Reference> = (0..initial).map(|_| document.input(json!(["batch", UNITS]), "float32")).collect();
    let masking = document.layer("masking", json!({ "maskValue": 0.0 }));
    let masked = document.call(masking, &[x]);
    let inputs: Vec<Reference> = std::iter::once(masked).chain(states).collect();
    let y = document.recurrent(kind, UNITS, changed, &inputs);
    let last: Vec<Reference> = (0..=KINDS.iter().find(|(name, _)| *name == kind).map_or(0, |(_, states)| *states))
        .map(|output| (y.0, output))
        .collect();
    let model = Model::new(&document.finish(&last)).expect("the document is right");
    model.fill(3, 0.6);
    model
}

/// Some rows end early, or begin late.
fn sequence() -> Tensor {
    let mut x = floats(1, BATCH * STEPS * FEATURES, 1.0);
    for (row, step) in [(0, 3), (0, 4), (1, 0), (2, 5), (2, 6)] {
        x[(row * STEPS + step) * FEATURES..][..FEATURES].fill(0.0);
    }
    Tensor::float(vec![BATCH, STEPS, FEATURES], buffer(&x))
}

/// Steps of `[B, T, ...]`.
fn steps(tensor: &Tensor, range: std::ops::Range<usize>) -> Tensor {
    let (count, width) = (tensor.shape[1], tensor.shape[2]);
    let x = tensor.floats().expect("floats");
    let rows = (0..tensor.shape[0]).flat_map(|row| &x[(row * count + range.start) * width..][..range.len() * width]);
    let data: Vec<f32> = rows.copied().collect();
    Tensor::float(vec![tensor.shape[0], range.len(), width], buffer(&data))
}

fn values(model: &Model, program: &dyn Program, inputs: &[Tensor], states: &CarriedStates) -> Result<Vec<Tensor>> {
    let schedule = Schedule::new(&model.plan, Roots::Values(&model.plan.outputs), None);
    model.forward(inputs, |forward| {
        program.values(&schedule, Forward { states: Some(states), ..forward }, &model.plan.outputs)
    })
}

fn gradients(
    model: &Model,
    program: &dyn Program,
    inputs: &[Tensor],
    states: Option<&CarriedStates>,
) -> Vec<Option<WeightGradient>> {
    let trainable = vec![true; model.plan.weights.len()];
    let outputs = &model.plan.outputs[..1];
    let schedule = Schedule::new(&model.plan, Roots::Values(outputs), Some(&trainable));
    let slope = buffer(&floats(7, BATCH * inputs[0].shape[1] * UNITS, 1.0));
    let mut found = model.no_gradients();
    model
        .forward(inputs, |forward| {
            let forward = Forward { states, ..forward };
            program.gradients(&schedule, forward, None, vec![(outputs[0], slope)], &mut found)
        })
        .expect("a backward pass");
    found
}

fn same(one: &Tensor, other: &Tensor) -> bool {
    bits(one.floats().expect("floats")) == bits(other.floats().expect("floats"))
}

fn close(what: &str, found: &[f32], expected: &[f32]) {
    let worst = error(found, &widen(expected));
    assert!(worst < 2e-6, "{what}: {worst}");
}

#[test]
fn blocks_give_what_the_whole_sequence_gives() {
    for (kind, _) in KINDS {
        let stateful = model(kind, json!({ "returnSequences": true, "returnState": true, "stateful": true }), 0);
        let whole = model(kind, json!({ "returnSequences": true, "returnState": true }), 0);
        let x = sequence();
        for (name, backend) in backends() {
            let what = format!("{kind} on {name}");
            let program = whole.lower(&*backend).expect("a program");
            let expected =
                values(&whole, &*program, std::slice::from_ref(&x), &CarriedStates::default()).expect("values");
            let program = stateful.lower(&*backend).expect("a program");
            let states = CarriedStates::default();
            for _ in 0..2 {
                for range in [0..FIRST, FIRST..STEPS] {
                    let block = [steps(&x, range.clone())];
                    let found = values(&stateful, &*program, &block, &states).expect("values");
                    // An output that a masked step repeats is not carried: only steps that count are compared.
                    let (found_y, expected_y) = (&found[0], steps(&expected[0], range.clone()));
                    for row in 0..BATCH {
                        for step in range.clone() {
                            let at = (row * STEPS + step) * FEATURES;
                            if x.floats().expect("floats")[at] == 0.0 {
                                continue;
                            }
                            let place = (row * range.len() + step - range.start) * UNITS;
                            let of = |tensor: &Tensor| tensor.floats().expect("floats")[place..][..UNITS].to_vec();
                            close(&what, &of(found_y), &of(&expected_y));
                        }
                    }
                    if range.end == STEPS {
                        for (found, expected) in found.iter().zip(&expected).skip(1) {
                            close(&what, found.floats().expect("floats"), expected.floats().expect("floats"));
                        }
                    }
                }
                states.reset();
            }
        }
    }
}

#[test]
fn gradients_stop_between_blocks() {
    for (kind, count) in KINDS {
        let options = json!({ "returnSequences": true, "returnState": true, "stateful": true });
        let stateful = model(kind, options, 0);
        let given = model(kind, json!({ "returnSequences": true, "returnState": true }), count);
        let x = sequence();
        let blocks = [steps(&x, 0..FIRST), steps(&x, FIRST..STEPS)];
        for (name, backend) in backends() {
            let program = stateful.lower(&*backend).expect("a program");
            let states = CarriedStates::default();
            let first = values(&stateful, &*program, &blocks[..1], &states).expect("values");
            let found = gradients(&stateful, &*program, &blocks[1..], Some(&states));
            // The same with the states as constants.
            let program = given.lower(&*backend).expect("a program");
            let inputs: Vec<Tensor> = std::iter::once(blocks[1].clone()).chain(first[1..].iter().cloned()).collect();
            let expected = gradients(&given, &*program, &inputs, None);
            for index in 0..found.len() {
                let of =
                    |model: &Model, all: &[Option<WeightGradient>]| model.keras_gradient(index, all[index].as_ref());
                let what = format!("{kind} on {name}: {}", stateful.name(index));
                close(&what, &of(&stateful, &found), &of(&given, &expected));
            }
        }
    }
}

#[test]
fn a_run_that_fails_leaves_the_states_alone() {
    let stateful = model("gru", json!({ "returnSequences": true, "returnState": true, "stateful": true }), 0);
    let x = sequence();
    for (name, backend) in backends() {
        let program = stateful.lower(&*backend).expect("a program");
        let states = CarriedStates::default();
        let once = values(&stateful, &*program, std::slice::from_ref(&x), &states).expect("values");
        let smaller = Tensor::float(vec![1, 2, FEATURES], buffer(&floats(2, 2 * FEATURES, 1.0)));
        let failed = values(&stateful, &*program, &[smaller], &states).expect_err("another batch size");
        assert_eq!(failed.code, Code::Shape, "{name}");
        assert!(failed.message.contains("has states of 3 sequences, got a batch of 1"), "{name}: {failed}");
        let cancelled = Flag::default();
        cancelled.raise();
        let schedule = Schedule::new(&stateful.plan, Roots::Values(&stateful.plan.outputs), None);
        let interrupt = Interrupt { cancelled, ..Interrupt::default() };
        let failed = stateful.forward_until(std::slice::from_ref(&x), &interrupt, |forward| {
            program.values(&schedule, Forward { states: Some(&states), ..forward }, &stateful.plan.outputs)
        });
        assert_eq!(failed.expect_err("cancelled").code, Code::Cancelled, "{name}");
        let twice = values(&stateful, &*program, std::slice::from_ref(&x), &states).expect("values");
        let fresh = CarriedStates::default();
        let again = values(&stateful, &*program, std::slice::from_ref(&x), &fresh).expect("values");
        assert!(same(&again[0], &once[0]), "{name}");
        let second = values(&stateful, &*program, std::slice::from_ref(&x), &fresh).expect("values");
        assert!(same(&second[0], &twice[0]), "{name}");
        assert!(!same(&twice[0], &once[0]), "{name}");
    }
}

#[test]
fn layers_that_cannot_carry_states_are_refused() {
    let refused = |document: String| Model::new(&document).err().map(|error| error.message).unwrap_or_default();
    let stateful = json!({ "returnSequences": true, "stateful": true });
    let mut document = Document::default();
    let x = document.input(json!(["batch", "time", FEATURES]), "float32");
    let h = document.input(json!(["batch", UNITS]), "float32");
    let y = document.recurrent("gru", UNITS, stateful.clone(), &[x, h]);
    let message = refused(document.finish(&[y]));
    assert!(message.contains("leave initialState out"), "{message}");
    let mut document = Document::default();
    let x = document.input(json!(["batch", "time", FEATURES]), "float32");
    let backward = json!({ "returnSequences": true, "goBackwards": true });
    let y = document.bidirectional("gru", UNITS, [stateful, backward], Some("concat"), &[x]);
    let message = refused(document.finish(&[y]));
    assert!(message.contains("cannot be stateful"), "{message}");
}
