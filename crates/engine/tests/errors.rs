//! What goes wrong is said, by every backend in the same words.
mod common;

use std::sync::Arc;

use common::{Model, backends, models::textbook};
use sconce_engine::{
    Code, Error,
    backend::{LossInput, StepRequest, TargetData},
    interrupt::Interrupt,
    plan::{CrossEntropy, OutputPlan, TrainingPlan},
    tensor::Tensor,
};

/// The error of a step of the textbook model on every backend.
fn errors(source: Vec<i32>, targets: Vec<i32>, interrupt: &Interrupt) -> Vec<Error> {
    let model = Model::new(&textbook(5, 3, 2)).unwrap_or_else(|error| panic!("{error}"));
    model.fill(1, 0.5);
    let outputs = [OutputPlan { loss: Some(CrossEntropy::plain(false).into()), ..OutputPlan::default() }];
    let training = TrainingPlan::new(&model.plan, &outputs, &vec![true; model.plan.weights.len()])
        .unwrap_or_else(|error| panic!("{error}"));
    let inputs = [Tensor::ids(vec![2, 3], source), Tensor::ids(vec![2, 2], vec![1, 2, 3, 0])];
    let losses = [LossInput { target: TargetData::Ids(Arc::new(targets)), sample_weights: None }];
    let errors: Vec<Error> = backends()
        .iter()
        .filter_map(|(_, backend)| {
            let program = model.lower(&**backend).ok()?;
            let mut gradients = model.no_gradients();
            let result = model.forward_until(&inputs, interrupt, |forward| {
                let request = StepRequest {
                    forward,
                    losses: &losses,
                    random: None,
                    gradient_scale: 1.0,
                    gradients: Some(&mut gradients),
                };
                program.step(&training.train, &training.losses, request)
            });
            result.err()
        })
        .collect();
    assert!(errors.is_empty() || errors.len() == backends().len(), "some backends fail: {errors:?}");
    errors
}

fn assert_error(errors: &[Error], code: Code, words: &[&str]) {
    assert!(!errors.is_empty(), "no error");
    for error in errors {
        assert_eq!(error.code, code, "{error}");
        assert!(words.iter().all(|word| error.message.contains(word)), "{error}");
    }
}

#[test]
fn good_data_give_no_error() {
    assert!(errors(vec![1, 2, 3, 4, 0, 0], vec![1, 2, 3, 4], &Interrupt::default()).is_empty());
}

#[test]
fn an_id_outside_the_table_names_layer_row_and_column() {
    for id in [5, -1] {
        let found = errors(vec![1, 2, 3, 4, id, 0], vec![1, 2, 3, 4], &Interrupt::default());
        assert_error(&found, Code::Data, &["embedding2", &id.to_string(), "row 1, column 1", "0..5"]);
    }
}

#[test]
fn a_target_outside_the_classes_names_output_row_and_column() {
    let found = errors(vec![1, 2, 3, 4, 0, 0], vec![1, 2, 5, 0], &Interrupt::default());
    assert_error(&found, Code::Data, &["dense5", "id 5", "row 1, column 0", "0..5"]);
    // In a masked position it does not matter.
    assert!(errors(vec![1, 2, 3, 4, 0, 0], vec![1, 2, 0, 5], &Interrupt::default()).is_empty());
}

#[test]
fn cancelled_and_disposed_runs_stop() {
    let interrupt = Interrupt::default();
    interrupt.cancelled.raise();
    assert_error(&errors(vec![1; 6], vec![1; 4], &interrupt), Code::Cancelled, &["cancelled"]);
    let interrupt = Interrupt::default();
    interrupt.disposed.raise();
    assert_error(&errors(vec![1; 6], vec![1; 4], &interrupt), Code::State, &["disposed"]);
}

#[test]
fn weights_without_values_and_wrong_shapes_are_errors() {
    let model = Model::new(&textbook(5, 3, 2)).unwrap_or_else(|error| panic!("{error}"));
    let inputs = [Tensor::ids(vec![2, 3], vec![1; 6]), Tensor::ids(vec![2, 2], vec![1; 4])];
    let missing = model.forward(&inputs, |_| Ok(())).err();
    assert_error(missing.as_slice(), Code::State, &["embedding2", "build"]);
    model.fill(1, 0.5);
    let uneven = [Tensor::ids(vec![2, 3], vec![1; 6]), Tensor::ids(vec![3, 2], vec![1; 6])];
    let wrong = model.forward(&uneven, |_| Ok(())).err();
    assert_error(wrong.as_slice(), Code::Shape, &["batch", "2"]);
}
