//! Single layers against the numbers of Keras in `__test__/golden/keras/layers-*.json`, on all backends.
mod common;

use std::path::Path;

use common::{Model, backends, buffer, error, floats};
use sconce_engine::{
    Code,
    backend::{LossInput, Program, StepRequest, TargetData},
    plan::{CrossEntropy, OutputPlan, Roots, Schedule, TrainingPlan},
    tensor::Tensor,
};
use serde::Deserialize;

/// Of the largest value of a tensor.
const TOLERANCE: f64 = 1e-5;

#[derive(Deserialize)]
struct File {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    document: serde_json::Value,
    weights: Vec<Weight>,
    inputs: Vec<Input>,
    outputs: Vec<Output>,
}

#[derive(Deserialize)]
struct Weight {
    layer: String,
    name: String,
    shape: Vec<usize>,
    seed: u32,
    scale: f64,
    gradient: Vec<f64>,
}

#[derive(Deserialize)]
struct Input {
    shape: Vec<usize>,
    data: Option<Vec<i32>>,
    #[serde(default)]
    seed: u32,
    #[serde(default)]
    scale: f64,
    #[serde(default)]
    rounded: bool,
    #[serde(default)]
    shift: f32,
    gradient: Option<Vec<f64>>,
}

#[derive(Deserialize)]
struct Output {
    shape: Vec<usize>,
    seed: u32,
    data: Vec<f64>,
    mask: Option<Vec<u8>>,
    /// Masked positions have no gradient.
    #[serde(default)]
    silent: bool,
}

impl Output {
    fn slopes(&self) -> Vec<f32> {
        let mut slopes = floats(self.seed, self.data.len(), 1.0);
        if let Some(mask) = self.mask.as_ref().filter(|_| self.silent) {
            let width = slopes.len() / mask.len().max(1);
            for (slopes, counts) in slopes.chunks_exact_mut(width.max(1)).zip(mask) {
                slopes.iter_mut().for_each(|slope| *slope *= f32::from(*counts));
            }
        }
        slopes
    }
}

impl Input {
    fn tensor(&self) -> Tensor {
        match &self.data {
            Some(data) => Tensor::ids(self.shape.clone(), data.clone()),
            None => {
                let mut values = floats(self.seed, self.shape.iter().product(), self.scale);
                if self.rounded {
                    values.iter_mut().for_each(|value| *value = value.round_ties_even());
                }
                values.iter_mut().for_each(|value| *value += self.shift);
                Tensor::float(self.shape.clone(), buffer(&values))
            }
        }
    }
}

fn assert_near(what: &str, found: &[f32], expected: &[f64]) {
    // What is small beside the values that it is made of has no digits of its own.
    let mut differences = found.iter().zip(expected).map(|(&found, expected)| (f64::from(found) - expected).abs());
    if found.len() == expected.len() && differences.all(|difference| difference <= 5e-7) {
        return;
    }
    let error = error(found, expected);
    assert!(error <= TOLERANCE, "{what}: error {error}\nfound    {found:?}\nexpected {expected:?}");
}

impl Case {
    fn model(&self) -> Model {
        let model = Model::new(&self.document.to_string()).unwrap_or_else(|error| panic!("{}: {error}", self.name));
        assert_eq!(model.plan.weights.len(), self.weights.len(), "{}: number of weights", self.name);
        for (index, weight) in self.weights.iter().enumerate() {
            assert_eq!(model.name(index), format!("{}.{}", weight.layer, weight.name), "{}", self.name);
            assert_eq!(model.plan.weights[index].specification.shape, weight.shape, "{}", self.name);
            model.set(index, &floats(weight.seed, weight.shape.iter().product(), weight.scale));
        }
        model
    }

    fn check(&self, what: &str, model: &Model, program: &dyn Program) {
        let plan = &model.plan;
        let inputs: Vec<Tensor> = self.inputs.iter().map(Input::tensor).collect();
        let schedule = Schedule::new(plan, Roots::Values(&plan.outputs), None);
        let outputs = model
            .forward(&inputs, |forward| program.values(&schedule, forward, &plan.outputs))
            .unwrap_or_else(|error| panic!("{what}: {error}"));
        for (number, (found, expected)) in outputs.iter().zip(&self.outputs).enumerate() {
            let what = format!("{what}: output {number}");
            assert_eq!(found.shape, expected.shape, "{what}");
            assert_near(&what, found.floats().unwrap_or(&[]), &expected.data);
        }
        let mut trainable = vec![true; plan.weights.len()];
        self.check_gradients(what, model, program, &inputs, &trainable);
        // Nothing but the last weight and the inputs.
        if trainable.len() > 1 {
            trainable.fill(false);
            trainable[self.weights.len() - 1] = true;
            self.check_gradients(what, model, program, &inputs, &trainable);
        }
        self.check_masks(what, model, program, &inputs);
    }

    fn check_gradients(&self, what: &str, model: &Model, program: &dyn Program, inputs: &[Tensor], trainable: &[bool]) {
        let plan = &model.plan;
        let schedule = Schedule::with_inputs(plan, Roots::Values(&plan.outputs), trainable);
        let of_outputs =
            plan.outputs.iter().zip(&self.outputs).map(|(&value, output)| (value, buffer(&output.slopes())));
        let mut found = model.no_gradients();
        let of_inputs = model
            .forward(inputs, |forward| program.gradients(&schedule, forward, None, of_outputs.collect(), &mut found))
            .unwrap_or_else(|error| panic!("{what}: {error}"));
        for (index, weight) in self.weights.iter().enumerate() {
            let what = format!("{what}: gradient of {}", model.name(index));
            let nothing = weight.gradient.iter().all(|slope| slope.abs() <= 1e-6);
            if trainable[index] && nothing && weight.name.ends_with("key/bias") {
                // It adds the same to all scores of a query, unless they are capped: what is not 0 is rounding.
                let found = model.keras_gradient(index, found[index].as_ref());
                assert!(found.iter().all(|slope| slope.abs() <= 1e-5), "{what}: {found:?}");
            } else if trainable[index] {
                assert_near(&what, &model.keras_gradient(index, found[index].as_ref()), &weight.gradient);
            } else {
                assert!(found[index].is_none(), "{what}: not asked for");
            }
        }
        for (number, (input, found)) in self.inputs.iter().zip(of_inputs).enumerate() {
            let Some(expected) = &input.gradient else { continue };
            let Some(found) = found else {
                assert!(expected.iter().all(|&x| x == 0.0), "{what}: input {number} has no gradient");
                continue;
            };
            assert_near(&format!("{what}: gradient of input {number}"), &found, expected);
        }
    }

    /// A row that counts is one whose target is looked at.
    fn check_masks(&self, what: &str, model: &Model, program: &dyn Program, inputs: &[Tensor]) {
        for (number, expected) in self.outputs.iter().enumerate() {
            let masked = model.plan.values[model.plan.outputs[number]].masked;
            // Where one input of a concatenation has no mask, Keras makes a mask of ones and sconce none.
            let ones = expected.mask.as_ref().is_some_and(|mask| mask.iter().all(|&kept| kept != 0));
            assert!(masked == expected.mask.is_some() || (ones && !masked), "{what}: output {number}: masked {masked}");
            let Some(mask) = &expected.mask else { continue };
            let loss = CrossEntropy::plain(true).into();
            let outputs: Vec<OutputPlan> = (0..self.outputs.len())
                .map(|output| OutputPlan { loss: (output == number).then_some(loss), ..OutputPlan::default() })
                .collect();
            let training = TrainingPlan::new(&model.plan, &outputs, &vec![false; self.weights.len()])
                .unwrap_or_else(|error| panic!("{what}: {error}"));
            for row in 0..mask.len() {
                let mut targets = vec![0; mask.len()];
                targets[row] = -1;
                let target = LossInput { target: TargetData::Ids(targets.into()), sample_weights: None };
                let result = model.forward(inputs, |forward| {
                    let losses = std::slice::from_ref(&target);
                    let request = StepRequest { forward, losses, random: None, gradient_scale: 1.0, gradients: None };
                    program.step(&training.test, &training.losses, request)
                });
                match result {
                    Ok(results) => {
                        assert_eq!(mask[row], 0, "{what}: row {row} of output {number} counts");
                        assert_eq!(results[0].valid, mask.iter().filter(|&&kept| kept != 0).count(), "{what}");
                    }
                    Err(error) => {
                        assert_eq!(error.code, Code::Data, "{what}: {error}");
                        assert_eq!(mask[row], 1, "{what}: row {row} of output {number} is masked");
                    }
                }
            }
        }
    }
}

fn check(file: &str, cases: usize) {
    let path = Path::new("../../__test__/golden/keras").join(file);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let parsed: File = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{file}: {error}"));
    assert_eq!(parsed.cases.len(), cases, "{file}: number of cases");
    for case in &parsed.cases {
        let model = case.model();
        for (name, backend) in backends() {
            let program = model.lower(&*backend).unwrap_or_else(|error| panic!("{name}: {error}"));
            case.check(&format!("{} on {name}", case.name), &model, &*program);
        }
    }
}

#[test]
fn dense_and_activation() {
    check("layers-dense.json", 34);
}

#[test]
fn embedding() {
    check("layers-embedding.json", 4);
}

#[test]
fn lstm() {
    check("layers-lstm.json", 32);
}

#[test]
fn masked_lstm() {
    check("layers-lstm-masked.json", 20);
}

#[test]
fn shapes_of_lstm() {
    check("layers-lstm-shapes.json", 11);
}

#[test]
fn gru_and_simple_rnn() {
    check("layers-recurrent.json", 52);
}

#[test]
fn masked_gru_and_simple_rnn() {
    check("layers-recurrent-masked.json", 40);
}

#[test]
fn bidirectional() {
    check("layers-bidirectional.json", 46);
}

#[test]
fn add_and_concatenate() {
    check("layers-joined.json", 10);
}

#[test]
fn merges() {
    check("layers-merged.json", 47);
}

#[test]
fn repeated_vectors() {
    check("layers-reshaped.json", 5);
}

#[test]
fn layer_normalization() {
    check("layers-normalized.json", 29);
}

#[test]
fn root_mean_square_normalization() {
    check("layers-root-mean-squares.json", 8);
}

#[test]
fn reversible_embedding() {
    check("layers-reversible.json", 4);
}

#[test]
fn positions() {
    check("layers-positions.json", 22);
}

#[test]
fn transformer_layers() {
    check("layers-transformers.json", 24);
}

#[test]
fn global_pooling() {
    check("layers-pooled.json", 22);
}

#[test]
fn masking() {
    check("layers-masked.json", 10);
}

#[test]
fn softmax_over_axes() {
    check("layers-softmaxes.json", 22);
}

#[test]
fn time_distributed() {
    check("layers-time-distributed.json", 23);
}

#[test]
fn shapes_of_tensors() {
    check("layers-ops-reshaping.json", 27);
}

#[test]
fn dot_products() {
    check("layers-ops-dotted.json", 29);
}

#[test]
fn matrix_products() {
    check("ops-matmul.json", 24);
}

#[test]
fn functions_of_elements() {
    check("layers-ops-elementwise.json", 98);
}

#[test]
fn reductions() {
    check("layers-ops-reduced.json", 54);
}

#[test]
fn parts_of_tensors() {
    check("layers-ops-parted.json", 46);
}

#[test]
fn attention_of_several_heads() {
    check("layers-attention-heads.json", 120);
}

/// Against PyTorch.
#[test]
fn recurrent_layers_with_attention() {
    check("../torch/attention-rnn.json", 60);
}

/// Against PyTorch.
#[test]
fn stacks_of_cells_with_attention() {
    check("../torch/attention-rnn-stacked.json", 36);
}

#[test]
fn attention_of_grouped_heads() {
    check("layers-attention-groups.json", 40);
}

#[test]
fn attention_with_windows_and_gates() {
    check("layers-attention-limited.json", 60);
}

#[test]
fn attention_over_axes() {
    check("layers-attention-axes.json", 100);
}

/// Against PyTorch.
#[test]
fn attention_with_capped_scores() {
    check("layers-attention-capped.json", 40);
}

/// Against PyTorch.
#[test]
fn layers_of_transformers_that_share_a_bias_by_distance() {
    check("layers-transformers-distant.json", 24);
}

/// Against PyTorch.
#[test]
fn layers_of_transformers_with_windows_caps_and_gates() {
    check("layers-transformers-limited.json", 60);
}

#[test]
fn attention_without_projections() {
    check("layers-attention-plain.json", 80);
}

#[test]
fn additive_attention() {
    check("layers-attention-additive.json", 40);
}
