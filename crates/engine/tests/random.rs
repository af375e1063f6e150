//! Random graphs: whatever they are, the backends agree.
mod common;

use std::sync::Arc;

use common::{
    along_time, buffer,
    case::Case,
    floats, integers,
    models::{Document, MERGES, Reference},
};
use sconce_engine::{
    backend::{LossInput, TargetData},
    plan::{CrossEntropy, Metric, OutputLoss, OutputPlan},
    tensor::Tensor,
};
use sconce_kernels::smoothing::SmoothingDefinition;
use serde_json::json;

const WIDTH: usize = 4;
const IDS: i32 = 9;
const BATCH: usize = 5;
const STEPS: usize = 6;
const ACTIVATIONS: [&str; 9] = ["linear", "tanh", "sigmoid", "gelu", "silu", "softplus", "mish", "softsign", "softmax"];

/// A stream of small choices.
struct Choices(Vec<i32>);

impl Choices {
    fn below(&mut self, end: usize) -> usize {
        self.0.pop().map_or(0, |number| number as usize % end)
    }

    fn one<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }

    fn yes(&mut self) -> bool {
        self.below(2) == 1
    }
}

/// Sequences of [`WIDTH`] features, states of as many, and layers that can be called again.
struct Graph {
    document: Document,
    sequences: Vec<Reference>,
    states: Vec<Reference>,
    recurrent: Vec<usize>,
}

impl Graph {
    fn new(choices: &mut Choices) -> Self {
        let mut document = Document::default();
        let ids = document.input(json!(["batch", "time"]), "int32");
        let features = document.input(json!(["batch", "time", WIDTH]), "float32");
        let mut sequences = vec![features];
        // Two tables may look at the same ids, and one table twice at them.
        for _ in 0..1 + choices.below(2) {
            let table = document.embedding_layer(IDS as usize, WIDTH);
            for _ in 0..1 + choices.below(2) {
                sequences.push(document.call(table, &[ids]));
            }
        }
        Self { document, sequences, states: Vec::new(), recurrent: Vec::new() }
    }

    fn lstm(&mut self, choices: &mut Choices, input: Reference) {
        let sequences = choices.yes();
        let rate = choices.one(&[0.0, 0.0, 0.3]);
        let options = json!({
            "returnSequences": sequences, "returnState": true, "goBackwards": choices.yes(), "useBias": choices.yes(),
            "zeroOutputForMask": choices.yes(), "dropout": rate, "recurrentDropout": choices.one(&[0.0, rate]),
        });
        let mut inputs = vec![input];
        if !self.states.is_empty() && choices.yes() {
            inputs.extend([choices.one(&self.states), choices.one(&self.states)]);
        }
        let again = !self.recurrent.is_empty() && choices.yes();
        let layer = if again { choices.one(&self.recurrent) } else { self.document.lstm_layer(WIDTH, options) };
        let output = self.document.call(layer, &inputs);
        if !again && sequences {
            self.recurrent.push(layer);
        }
        // Layers that are called again return sequences.
        if again || sequences { &mut self.sequences } else { &mut self.states }.push(output);
        self.states.extend([(output.0, 1), (output.0, 2)]);
    }

    /// Any recurrent layer, in one direction or in both.
    fn recurrent(&mut self, choices: &mut Choices, input: Reference) {
        let kind = choices.one(&["lstm", "gru", "simpleRnn"]);
        let (sequences, both) = (choices.yes(), choices.yes());
        let rate = choices.one(&[0.0, 0.0, 0.3]);
        let mut options = json!({
            "returnSequences": sequences, "returnState": true, "goBackwards": !both && choices.yes(),
            "useBias": choices.yes(), "zeroOutputForMask": choices.yes(), "dropout": rate,
            "recurrentDropout": choices.one(&[0.0, rate]), "activation": choices.one(&["tanh", "silu", "softsign"]),
        });
        if kind == "gru" {
            options["resetAfter"] = json!(choices.yes());
        }
        let states = if kind == "lstm" { 2 } else { 1 } * if both { 2 } else { 1 };
        let mut inputs = vec![input];
        if !self.states.is_empty() && choices.yes() {
            inputs.extend((0..states).map(|_| choices.one(&self.states)));
        }
        let output = if both {
            let mode = choices.one(&["sum", "mul", "ave"]);
            self.document.bidirectional(kind, WIDTH, [options, json!({})], Some(mode), &inputs)
        } else {
            self.document.recurrent(kind, WIDTH, options, &inputs)
        };
        if sequences { &mut self.sequences } else { &mut self.states }.push(output);
        self.states.extend((1..=states).map(|state| (output.0, state)));
    }

    fn grow(&mut self, choices: &mut Choices) {
        let input = choices.one(&self.sequences);
        let others = [input, choices.one(&self.sequences), choices.one(&self.sequences)];
        let activation = choices.one(&ACTIVATIONS);
        let output = match choices.below(12) {
            0..=2 => return self.lstm(choices, input),
            7 | 8 => return self.recurrent(choices, input),
            3 => self.document.dense(WIDTH, activation, choices.yes(), input),
            4 => self.document.dropout(0.2, input),
            9 | 10 => along_time::any(&mut self.document, choices.below(7), WIDTH, input, others[1]),
            11 => {
                let pooled = along_time::call(
                    &mut self.document,
                    "globalAveragePooling1d",
                    along_time::pooling(false),
                    &[input],
                );
                return self.states.push(pooled);
            }
            5 => {
                let kind = choices.one(&MERGES);
                let count = if kind == "subtract" { 2 } else { 2 + choices.below(2) };
                self.document.merge(kind, &others[..count])
            }
            _ => {
                let joined = self.document.concatenate(&others[..2 + choices.below(2)]);
                self.document.dense(WIDTH, activation, true, joined)
            }
        };
        self.sequences.push(output);
    }
}

fn check(seed: u32) {
    let mut choices = Choices(integers(seed, 300, 0, 1 << 20));
    let mut graph = Graph::new(&mut choices);
    for _ in 0..3 + choices.below(7) {
        graph.grow(&mut choices);
    }
    let (mut outputs, mut losses, mut plans) = (Vec::new(), Vec::new(), Vec::new());
    for number in 0..1 + choices.below(3) {
        let state = !graph.states.is_empty() && choices.yes();
        let rows = if state { BATCH } else { BATCH * STEPS };
        let source = if state { choices.one(&graph.states) } else { choices.one(&graph.sequences) };
        let from_logits = choices.yes();
        let activation = if from_logits { "linear" } else { choices.one(&["softmax", "sigmoid"]) };
        outputs.push(graph.document.dense(IDS as usize, activation, choices.yes(), source));
        let loss = CrossEntropy {
            from_logits,
            label_smoothing: choices.one(&[0.0, 0.1]),
            definition: choices.one(&[
                SmoothingDefinition::Keras,
                SmoothingDefinition::Fairseq,
                SmoothingDefinition::JoeyNmt { padding: 1 },
            ]),
            ignore_class: choices.one(&[None, Some(2)]),
        };
        let loss = OutputLoss { weight: choices.one(&[1.0, 0.5]), ..loss.into() };
        let metrics = [
            vec![],
            vec![Metric::Accuracy, Metric::Perplexity { from_logits: false }],
            vec![Metric::BinaryAccuracy(0.3)],
        ];
        // Without a loss, metrics take the output for probabilities.
        let loss = if number > 0 && !from_logits && choices.below(4) == 0 { None } else { Some(loss) };
        plans.push(OutputPlan { loss, metrics: metrics[choices.below(3)].clone(), ..OutputPlan::default() });
        let seed = seed + 1000 + number as u32;
        let target = if choices.yes() {
            TargetData::Ids(Arc::new(integers(seed, rows, 0, IDS)))
        } else {
            TargetData::Probabilities(buffer(
                &floats(seed, rows * IDS as usize, 0.1).iter().map(|x| x + 0.1).collect::<Vec<_>>(),
            ))
        };
        let weights =
            choices.yes().then(|| buffer(&floats(seed, rows, 1.0).iter().map(|x| x + 1.1).collect::<Vec<_>>()));
        losses.push((LossInput { target, sample_weights: weights }, plans[number].clone()));
    }
    // Outputs without loss and metric have no data.
    let losses = losses.into_iter().filter(|(_, plan)| plan.loss.is_some() || !plan.metrics.is_empty());
    let losses = losses.map(|(input, _)| input).collect();
    let mut ids = integers(seed + 7, BATCH * STEPS, -IDS, IDS);
    ids.iter_mut().for_each(|id| *id = (*id).max(0));
    let inputs = vec![
        Tensor::ids(vec![BATCH, STEPS], ids),
        Tensor::float(vec![BATCH, STEPS, WIDTH], buffer(&floats(seed + 8, BATCH * STEPS * WIDTH, 1.0))),
    ];
    let frozen: &[&str] = choices.one(&[&[], &["embedding"], &["lstm"], &["dense"]]);
    let document = graph.document.finish(&outputs);
    println!("seed {seed}: {document}");
    Case::new(&document, inputs, losses, &plans, frozen).check_backends();
}

#[test]
fn backends_agree_on_random_graphs() {
    (0..60).for_each(|seed| check(seed * 10_000));
}
