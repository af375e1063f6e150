//! Steps of the optimisers with regularisers and constraints: against Keras (`__test__/golden/keras/optimizers.json`), by
//! rows and dense, and resumed from a file.
mod common;

use std::path::{Path, PathBuf};

use common::{Model, bits, buffer, error, floats};
use sconce_engine::{
    Code,
    backend::WeightGradient,
    training::{OptimizerDocument, OptimizerState, Penalties},
    weights::{WeightView, from_keras, to_keras},
};
use sconce_kernels::{Context, embedding, embedding::Source, simd::Simd};
use serde::Deserialize;
use serde_json::{Value, json};

const ROWS: usize = 7;
const WIDTH: usize = 3;
const UNITS: usize = 4;

/// Of the largest value of a tensor.
const TOLERANCE: f64 = 1e-6;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct File {
    snapshot_steps: Vec<usize>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    optimizer: Value,
    rules: serde_json::Map<String, Value>,
    seed: u32,
    scale: f64,
    rates: Vec<f32>,
    ids: Vec<Vec<i32>>,
    penalties: Vec<f64>,
    snapshots: Vec<Vec<Vec<f64>>>,
    r#final: Vec<Vec<f64>>,
}

/// How the gradient of the table comes.
#[derive(Clone, Copy, PartialEq)]
enum Form {
    Rows,
    Dense,
}

fn read() -> File {
    let path = Path::new("../../__test__/golden/keras/optimizers.json");
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("optimizers.json: {error}"))
}

/// An embedding and a linear layer with regularisers and constraints.
fn document(rules: &serde_json::Map<String, Value>) -> String {
    let provided = json!({ "type": "provided" });
    let with = |mut options: Value, weights: &[&str]| {
        for (name, rule) in rules.iter().filter(|(name, _)| weights.iter().any(|weight| name.starts_with(weight))) {
            options[name] = rule.clone();
        }
        options
    };
    let embedding =
        json!({ "inputDim": ROWS, "outputDim": WIDTH, "maskZero": false, "embeddingsInitializer": provided });
    let dense = json!({
        "units": UNITS, "activation": "linear", "useBias": true, "kernelInitializer": provided, "biasInitializer": provided,
    });
    json!({
        "format": "sconce-graph",
        "version": 1,
        "layers": [
            { "name": "input", "type": "input", "options": { "shape": ["batch"], "dtype": "int32" } },
            { "name": "embedding", "type": "embedding", "options": with(embedding, &["embeddings"]) },
            { "name": "dense", "type": "dense", "options": with(dense, &["kernel", "bias"]) },
        ],
        "nodes": [
            { "layer": 0, "inputs": [] },
            { "layer": 1, "inputs": [[0, 0]] },
            { "layer": 2, "inputs": [[1, 0]] },
        ],
        "inputs": [[0, 0]],
        "outputs": [[2, 0]],
    })
    .to_string()
}

/// A model in training.
struct Run {
    model: Model,
    penalties: Penalties,
    state: OptimizerState,
}

impl Run {
    fn new(case: &Case) -> Self {
        let model = Model::new(&document(&case.rules)).unwrap_or_else(|error| panic!("{}: {error}", case.name));
        model.fill(case.seed, 0.6);
        let count = model.plan.weights.len();
        let penalties = Penalties::new(&model.plan, &vec![true; count]);
        Self { penalties, state: OptimizerState::new(case.optimizer(), count), model }
    }

    /// Step `number`; gives the penalty before it.
    fn step(&mut self, context: &Context, case: &Case, number: usize, form: Form) -> f64 {
        let plan = &self.model.plan;
        let seed = |base: u32| base + number as u32;
        let ids = &case.ids[number];
        let dy = floats(seed(1000), ids.len() * WIDTH, case.scale);
        let table = embedding::backward(context, &[Source { ids, skip: None, dy: &dy }], ROWS, WIDTH);
        let table = match form {
            Form::Rows => WeightGradient::Rows(table),
            Form::Dense => {
                let mut dense = vec![0.0; ROWS * WIDTH];
                let destination = sconce_kernels::Destination { data: &mut dense, accumulate: false };
                table.to_dense(context, destination, WIDTH);
                WeightGradient::Dense(buffer(&dense))
            }
        };
        let dense = |index: usize, base: u32| {
            let specification = &plan.weights[index].specification;
            let values = floats(seed(base), specification.shape.iter().product(), case.scale);
            Some(WeightGradient::Dense(from_keras(specification, &values)))
        };
        let mut gradients = vec![Some(table), dense(1, 2000), dense(2, 3000)];
        let penalty = {
            let view = WeightView::new(&self.model.weights).expect("weights");
            self.penalties.value(context, plan, &view, Some((1.0, &mut gradients))).expect("penalties")
        };
        self.state.update(context, plan, &self.model.weights, &mut gradients, case.rates[number]).expect("update");
        assert!(gradients.iter().all(Option::is_none), "{}: gradients are used up", case.name);
        penalty
    }

    /// All weights in Keras' layout.
    fn weights(&self) -> Vec<Vec<f32>> {
        let view = WeightView::new(&self.model.weights).expect("weights");
        let plan = &self.model.plan;
        let of = |weight: &sconce_engine::plan::PlanWeight| {
            to_keras(&weight.specification, view.need(weight.layer, weight.index).expect("a weight"))
        };
        plan.weights.iter().map(of).collect()
    }

    fn bits(&self) -> Vec<Vec<u32>> {
        self.weights().iter().map(|weight| bits(weight)).collect()
    }
}

impl Case {
    fn optimizer(&self) -> OptimizerDocument {
        let document: OptimizerDocument =
            serde_json::from_value(self.optimizer.clone()).unwrap_or_else(|error| panic!("{}: {error}", self.name));
        document.check().unwrap_or_else(|error| panic!("{}: {error}", self.name));
        document
    }

    fn steps(&self) -> usize {
        self.rates.len()
    }

    fn compare(&self, when: &str, found: &[Vec<f32>], expected: &[Vec<f64>]) -> Vec<String> {
        let errors = ["embeddings", "kernel", "bias"].iter().zip(found).zip(expected);
        let errors = errors.map(|((name, found), expected)| (name, error(found, expected)));
        errors
            .filter(|(_, error)| *error > TOLERANCE)
            .map(|(name, error)| {
                format!("{} {when}: {name} is off by {error:.1e}: {} {:?}", self.name, self.optimizer, self.rules)
            })
            .collect()
    }
}

fn contexts() -> Vec<Context> {
    Simd::available().into_iter().flat_map(|simd| [1, 2].map(|threads| Context::new(threads, simd))).collect()
}

#[test]
fn steps_equal_those_of_keras() {
    let file = read();
    assert_eq!(file.cases.len(), 96);
    let mut wrong = Vec::new();
    for case in &file.cases {
        for context in contexts() {
            let mut run = Run::new(case);
            let mut snapshots = file.snapshot_steps.iter().zip(&case.snapshots);
            let mut next = snapshots.next();
            for number in 0..case.steps() {
                let penalty = run.step(&context, case, number, Form::Rows);
                let expected = case.penalties[number];
                if (penalty - expected).abs() > 5e-6 * expected.abs() {
                    wrong.push(format!("{}: penalty {number} is {penalty}, not {expected}", case.name));
                }
                if let Some((&step, expected)) = next.filter(|(step, _)| **step == number + 1) {
                    wrong.extend(case.compare(&format!("after {step} steps"), &run.weights(), expected));
                    next = snapshots.next();
                }
            }
            assert!(next.is_none(), "{}: every snapshot is looked at", case.name);
            run.state.finalize(&run.model.plan, &run.model.weights).expect("finalize");
            wrong.extend(case.compare("at the end", &run.weights(), &case.r#final));
        }
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn rows_give_what_the_dense_rule_gives() {
    let context = Context::new(2, Simd::best());
    for case in &read().cases {
        let (mut rows, mut dense) = (Run::new(case), Run::new(case));
        for number in 0..case.steps() {
            rows.step(&context, case, number, Form::Rows);
            dense.step(&context, case, number, Form::Dense);
        }
        for (rows, dense) in rows.weights().iter().zip(dense.weights()) {
            let difference = error(rows, &common::widen(&dense));
            assert!(difference <= TOLERANCE, "{}: rows are off by {difference}", case.name);
        }
    }
}

/// A file that is removed at the end.
struct Temporary(PathBuf);

impl Temporary {
    fn new(name: &str) -> Self {
        Self(std::env::temp_dir().join(format!("sconce-{}-{name}.safetensors", std::process::id())))
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[test]
fn a_resumed_run_ends_with_the_same_bits() {
    let context = Context::new(2, Simd::best());
    let file = Temporary::new("optimizer");
    for case in &read().cases {
        for cut in [0, 1, 6, 9] {
            let mut whole = Run::new(case);
            let mut resumed = Run::new(case);
            for number in 0..cut {
                whole.step(&context, case, number, Form::Rows);
            }
            whole.state.save(&whole.model.plan, &file.0, 5).expect("save");
            let (state, seed) = OptimizerState::load(case.optimizer(), &resumed.model.plan, &file.0).expect("load");
            assert_eq!((seed, state.iterations), (5, cut as u64));
            resumed.state = state;
            for (index, values) in whole.weights().iter().enumerate() {
                resumed.model.set(index, values);
            }
            for number in cut..case.steps() {
                whole.step(&context, case, number, Form::Rows);
                resumed.step(&context, case, number, Form::Rows);
            }
            for run in [&whole, &resumed] {
                run.state.finalize(&run.model.plan, &run.model.weights).expect("finalize");
            }
            assert_eq!(resumed.bits(), whole.bits(), "{} cut after {cut} steps", case.name);
        }
    }
}

#[test]
fn a_table_goes_on_dense_after_steps_by_rows() {
    let context = Context::new(2, Simd::best());
    for case in &read().cases {
        let (mut mixed, mut dense) = (Run::new(case), Run::new(case));
        for number in 0..case.steps() {
            mixed.step(&context, case, number, if number % 4 < 2 { Form::Rows } else { Form::Dense });
            dense.step(&context, case, number, Form::Dense);
        }
        for (mixed, dense) in mixed.weights().iter().zip(dense.weights()) {
            let difference = error(mixed, &common::widen(&dense));
            assert!(difference <= TOLERANCE, "{}: off by {difference}", case.name);
        }
    }
}

#[test]
fn a_state_of_another_optimiser_is_refused() {
    let context = Context::new(1, Simd::best());
    let file = Temporary::new("other");
    let cases = read().cases;
    let of = |name: &str| cases.iter().find(|case| case.name.starts_with(name)).expect("a case");
    let mut run = Run::new(of("ftrl"));
    run.step(&context, of("ftrl"), 0, Form::Rows);
    run.state.save(&run.model.plan, &file.0, 0).expect("save");
    let error = OptimizerState::load(of("lamb").optimizer(), &run.model.plan, &file.0).expect_err("another optimiser");
    assert_eq!(error.code, Code::Format, "{error}");
}

#[test]
fn bad_optimizers_are_refused() {
    for (document, wanted) in [
        (json!({ "type": "sgdd" }), "unknown variant"),
        (json!({ "type": "sgd", "rho": 1 }), "unknown field"),
        (json!({ "type": "lion", "beta1": -1.0 }), "beta1"),
        (json!({ "type": "ftrl", "learningRatePower": 0.5 }), "learningRatePower"),
        (json!({ "type": "adafactor", "beta2Decay": 0.5 }), "beta2Decay"),
        (json!({ "type": "sgd", "clipnorm": 1.0, "clipvalue": 1.0 }), "only one"),
        (json!({ "type": "sgd", "clipnorm": 0.0 }), "above 0"),
        (json!({ "type": "sgd", "useEma": true, "emaMomentum": 1.5 }), "emaMomentum"),
        (json!({ "type": "sgd", "useEma": true, "emaOverwriteFrequency": 0 }), "emaOverwriteFrequency"),
        (json!({ "type": "sgd", "gradientAccumulationSteps": 1 }), "gradientAccumulationSteps"),
        (json!({ "type": "sgd", "weightDecay": -1.0 }), "weightDecay"),
    ] {
        let message = match serde_json::from_value::<OptimizerDocument>(document.clone()) {
            Err(error) => error.to_string(),
            Ok(parsed) => parsed.check().expect_err("refused").to_string(),
        };
        assert!(message.contains(wanted), "{document}: {message}");
    }
}

#[test]
fn bad_rules_of_weights_are_refused_by_name() {
    for (name, rule, wanted) in [
        ("kernelRegularizer", json!({ "type": "l3" }), "layer dense: kernel: regularizer: unknown variant"),
        (
            "kernelRegularizer",
            json!({ "type": "l1l2", "l1": -1.0, "l2": 0.0 }),
            "l1 must be a finite number of at least 0",
        ),
        (
            "biasRegularizer",
            json!({ "type": "orthogonalRegularizer", "factor": 1.0, "mode": "rows" }),
            "layer dense: bias: regularizer: orthogonalRegularizer is for weights of 2 axes",
        ),
        (
            "embeddingsConstraint",
            json!({ "type": "maxNorm", "maxValue": 1.0 }),
            "layer embedding: embeddings: constraint",
        ),
        ("embeddingsConstraint", json!({ "type": "maxNorm", "maxValue": -1.0, "axis": 0 }), "maxValue"),
        ("biasConstraint", json!({ "type": "unitNorm", "axis": 1 }), "axis 1 does not exist in a weight of shape [4]"),
        ("biasConstraint", json!({ "type": "unitNorm", "axis": -2 }), "axis -2 does not exist"),
        (
            "kernelConstraint",
            json!({ "type": "minMaxNorm", "minValue": 0.0, "maxValue": 1.0, "rate": 2.0, "axis": 0 }),
            "rate must be from 0 to 1",
        ),
    ] {
        let rules = serde_json::Map::from_iter([(name.to_owned(), rule)]);
        let Err(error) = Model::new(&document(&rules)) else { panic!("{name}: accepted") };
        assert_eq!(error.code, Code::Option, "{error}");
        assert!(error.message.contains(wanted), "{name}: {error}");
    }
}
