//! Values within marked layers are made again for the backward pass: no bit changes by that, and less is kept.
mod common;

use std::sync::Arc;

use common::{
    along_time::{call, inner, pooling},
    bits, buffer,
    case::{Case, PLAIN},
    cpus, floats, integers,
    models::{Document, Reference},
};
use sconce_engine::{
    backend::{Backend, LossInput, TargetData},
    plan::{Metric, OutputPlan, Schedule},
    tensor::Tensor,
};
use sconce_kernels::Precision;
use serde_json::{Value, json};

const ROWS: usize = 13;
const WIDTH: usize = 12;
const BATCH: usize = 8;
const SOURCE: usize = 9;
const TARGET: usize = 7;

fn transformer(recompute: bool, changed: &[(&str, Value)]) -> Value {
    let start = json!({ "type": "zeros" });
    let mut options = json!({
        "intermediateDim": 20, "numHeads": 2, "keyDim": null, "activation": "relu", "dropout": 0.2,
        "attentionDropout": 0.1, "activationDropout": 0.1, "layerNormEpsilon": 1e-5, "normalizeFirst": true,
        "useBias": true, "rotary": null, "kernelInitializer": start, "biasInitializer": start
    });
    if recompute {
        options["recompute"] = json!(true);
    }
    changed.iter().for_each(|(name, value)| options[*name] = value.clone());
    options
}

fn embedded(document: &mut Document, time: &str, width: usize) -> Reference {
    let ids = document.input(json!(["batch", time]), "int32");
    let table = document.embedding_layer(ROWS, width);
    let x = document.call(table, &[ids]);
    document.dropout(0.1, x)
}

/// Encoders and decoders of all kinds: each activation is another node, both places of the normalisation another end.
fn translator(recompute: bool) -> String {
    let mut document = Document::default();
    let after = ("normalizeFirst", json!(false));
    let mut read = embedded(&mut document, "source", WIDTH);
    let changes: [&[(&str, Value)]; 4] = [
        &[after.clone(), ("rotary", json!("halves"))],
        &[
            ("activation", json!("gelu")),
            ("useBias", json!(false)),
            ("useGate", json!(true)),
            ("slidingWindow", json!(3)),
        ],
        &[("activation", json!("tanh")), ("keyDim", json!(4)), ("rotary", json!("interleaved"))],
        &[after.clone(), ("activation", json!("linear")), ("activationDropout", json!(0.0))],
    ];
    for changed in changes {
        read = call(&mut document, "transformerEncoder", transformer(recompute, changed), &[read]);
    }
    let mut written = embedded(&mut document, "target", WIDTH);
    let silu = [("activation", json!("silu")), ("dropout", json!(0.0)), ("logitSoftCap", json!(0.5))];
    let gated = [after, ("useGate", json!(true)), ("slidingWindow", json!(2))];
    written = call(&mut document, "transformerDecoder", transformer(recompute, &gated), &[written, read]);
    // One that is not marked between two that are.
    written = call(&mut document, "transformerDecoder", transformer(false, &[]), &[written, read]);
    written = call(&mut document, "transformerDecoder", transformer(recompute, &silu), &[written]);
    let output = document.dense(ROWS, "softmax", true, written);
    document.finish(&[output])
}

/// A layer that is called three times, on two sequences, and one that is called twice with one memory.
fn shared(recompute: bool) -> String {
    let mut document = Document::default();
    let (read, written) = (embedded(&mut document, "source", WIDTH), embedded(&mut document, "target", WIDTH));
    let encoder = document.layer("transformerEncoder", transformer(recompute, &[]));
    let once = document.call(encoder, &[read]);
    let memory = document.call(encoder, &[once]);
    let own = document.call(encoder, &[written]);
    let decoder = document.layer("transformerDecoder", transformer(recompute, &[("normalizeFirst", json!(false))]));
    let first = document.call(decoder, &[own, memory]);
    let second = document.call(decoder, &[first, memory]);
    // What goes into a block and comes out of it has other readers too.
    let sum = document.add(&[second, first, own]);
    let output = document.dense(ROWS, "softmax", true, sum);
    document.finish(&[output])
}

/// A model of two outputs, the first of which is what a marked layer gives; its sizes are penalised. A second one follows it.
fn looked_at(recompute: bool) -> String {
    let mut document = Document::default();
    let x = embedded(&mut document, "source", ROWS);
    let penalty = json!({ "type": "l1l2", "l1": 0.01, "l2": 0.02 });
    let one = [("numHeads", json!(1)), ("normalizeFirst", json!(false)), ("activityRegularizer", penalty)];
    let first = call(&mut document, "transformerEncoder", transformer(recompute, &one), &[x]);
    let second = call(&mut document, "transformerEncoder", transformer(recompute, &one[..2]), &[first]);
    let scores = call(&mut document, "activation", json!({ "activation": "softmax" }), &[first]);
    let mean = call(&mut document, "globalAveragePooling1d", pooling(false), &[second]);
    let class = document.dense(ROWS, "softmax", true, mean);
    document.finish(&[scores, class])
}

/// A layer at each step of something else.
fn folded(recompute: bool) -> String {
    let mut document = Document::default();
    let x = document.input(json!(["batch", "paragraphs", 4, WIDTH]), "float32");
    let layer = inner("transformerEncoder", transformer(recompute, &[]));
    let first = call(&mut document, "timeDistributed", layer.clone(), &[x]);
    let second = call(&mut document, "timeDistributed", layer, &[first]);
    let output = document.dense(ROWS, "softmax", true, second);
    document.finish(&[output])
}

/// Encoders, one after the other.
fn stacked(recompute: bool, layers: usize, width: usize, changed: &[(&str, Value)]) -> String {
    let mut document = Document::default();
    let mut x = embedded(&mut document, "source", width);
    for _ in 0..layers {
        x = call(&mut document, "transformerEncoder", transformer(recompute, changed), &[x]);
    }
    let output = document.dense(ROWS, "softmax", true, x);
    document.finish(&[output])
}

/// Ids, with padding before, behind and within sequences, of which one has nothing else, if some are masked.
fn ids(seed: u32, steps: usize, masked: bool) -> Tensor {
    let mut ids = integers(seed, BATCH * steps, 1, ROWS as i32);
    for (row, ids) in ids.chunks_exact_mut(steps).enumerate().filter(|_| masked) {
        match row {
            0 => ids[steps - 3..].fill(0),
            1 => ids[..4].fill(0),
            2 => ids.fill(0),
            3 => ids.iter_mut().step_by(2).for_each(|id| *id = 0),
            4 => ids[1..].fill(0),
            _ => {}
        }
    }
    Tensor::ids(vec![BATCH, steps], ids)
}

fn classes(count: usize) -> LossInput {
    LossInput { target: TargetData::Ids(Arc::new(integers(5, count, 0, ROWS as i32))), sample_weights: None }
}

fn outputs(count: usize) -> Vec<OutputPlan> {
    let metrics = vec![Metric::Accuracy];
    vec![OutputPlan { loss: Some(PLAIN.into()), metrics, ..OutputPlan::default() }; count]
}

/// The same model without and with recomputation.
fn pair(document: impl Fn(bool) -> String, inputs: &[Tensor], losses: &[LossInput], frozen: &[&str]) -> [Case; 2] {
    let outputs = outputs(losses.len());
    [false, true].map(|recompute| Case::new(&document(recompute), inputs.to_vec(), losses.to_vec(), &outputs, frozen))
}

/// Nodes that run forward a second time.
fn again(schedule: &Schedule) -> usize {
    schedule.recomputation.again.iter().filter(|again| **again).count()
}

fn assert_same(what: &str, backend: &dyn Backend, [kept, made]: &[Case; 2]) {
    for times in [1, 2] {
        let (kept, found) = (kept.step(backend, 0.5, times), made.step(backend, 0.5, times));
        assert_eq!(found.results, kept.results, "{what}");
        for (weight, (found, kept)) in found.gradients.iter().zip(&kept.gradients).enumerate() {
            assert_eq!(bits(found), bits(kept), "{what}: gradient of {}", made.model.name(weight));
        }
    }
}

/// No bit differs, with dropout and without, with rows left out and with all; and all backends agree.
fn check(mut cases: [Case; 2], nodes: usize) {
    assert_eq!(cases.each_ref().map(|case| again(&case.training.train)), [0, nodes]);
    assert_eq!(cases.each_ref().map(|case| again(&case.training.test)), [0, 0], "a test has no backward pass");
    for random in [cases[0].random, None] {
        cases.iter_mut().for_each(|case| case.random = random);
        cases[1].check_backends();
        let packed = cases[0].training.train.packed.clone();
        for rows in ["some rows", "all rows"] {
            for (name, cpu) in cpus() {
                assert_same(&format!("{name}, {rows}, {random:?}"), &cpu, &cases);
            }
            cases.iter_mut().for_each(|case| case.training.train.packed.fill(None));
        }
        cases.iter_mut().for_each(|case| case.training.train.packed.clone_from(&packed));
    }
}

/// Of an encoder before whose parts it normalises, all nodes but the last linear part and the last sum run again; others
/// have a normalisation behind these, which must be made again.
const BEFORE: usize = 12;

#[test]
fn no_bit_of_a_translator_changes() {
    for masked in [true, false] {
        let inputs = [ids(3, SOURCE, masked), ids(4, TARGET, masked)];
        let cases = pair(translator, &inputs, &[classes(BATCH * TARGET)], &[]);
        let nodes: usize = cases[1].model.plan.recomputed.iter().map(ExactSizeIterator::len).sum();
        // Six blocks: two end with a normalisation, four with a sum that nobody needs again; before them a linear part, too.
        assert_eq!(cases[1].model.plan.recomputed.len(), 6);
        let left_out = 3 + 3 * 2;
        check(cases, nodes - left_out);
    }
}

#[test]
fn calls_of_a_shared_layer_are_blocks_of_their_own() {
    let inputs = [ids(3, SOURCE, true), ids(4, TARGET, true)];
    let cases = pair(shared, &inputs, &[classes(BATCH * TARGET)], &[]);
    let blocks = &cases[1].model.plan.recomputed;
    assert_eq!(blocks.len(), 5);
    let nodes: usize = blocks.iter().map(ExactSizeIterator::len).sum();
    check(cases, nodes - 3 * 2 - 2);
}

#[test]
fn what_others_read_is_kept() {
    let cases = pair(looked_at, &[ids(3, SOURCE, true)], &[classes(BATCH * SOURCE), classes(BATCH)], &[]);
    assert_eq!(cases[1].training.train.activities.len(), 1);
    let nodes: usize = cases[1].model.plan.recomputed.iter().map(ExactSizeIterator::len).sum();
    check(cases, nodes - 2);
}

#[test]
fn layers_at_each_step_are_blocks_too() {
    let x = Tensor::float(vec![2, 3, 4, WIDTH], buffer(&floats(3, 2 * 3 * 4 * WIDTH, 1.0)));
    let cases = pair(folded, &[x], &[classes(2 * 3 * 4)], &[]);
    check(cases, 2 * (BEFORE - 2));
}

#[test]
fn only_what_has_a_backward_pass_runs_again() {
    let document = |recompute: bool| stacked(recompute, 3, WIDTH, &[]);
    let inputs = [ids(3, SOURCE, true)];
    // Layers 0 and 1 are input and table, 2 is dropout, 3 to 5 are encoders.
    for (frozen, blocks) in [
        (&["embedding"][..], 3),
        (&["embedding", "transformerEncoder3"], 2),
        (&["transformerEncoder4"], 3),
        (&["dense"], 3),
    ] {
        let cases = pair(document, &inputs, &[classes(BATCH * SOURCE)], frozen);
        check(cases, blocks * (BEFORE - 2));
    }
    let last = ["embedding", "transformerEncoder"];
    check(pair(document, &inputs, &[classes(BATCH * SOURCE)], &last), 0);
}

#[test]
fn no_bit_of_mixed_precision_changes() {
    // Wide enough for products to be rounded.
    let changed = [("intermediateDim", json!(96)), ("numHeads", json!(4))];
    let document = |recompute: bool| stacked(recompute, 2, 48, &changed);
    let mut cases = pair(document, &[ids(3, SOURCE, true)], &[classes(BATCH * SOURCE)], &[]);
    for (name, cpu) in cpus() {
        if !cpu.offers(Precision::Bfloat16) {
            continue;
        }
        let exact = cases[1].step(&cpu, 0.5, 1);
        cases.iter_mut().for_each(|case| case.precision = Precision::Bfloat16);
        assert_same(&name, &cpu, &cases);
        assert_ne!(cases[1].step(&cpu, 0.5, 1).results[0].loss, exact.results[0].loss, "{name}");
        cases.iter_mut().for_each(|case| case.precision = Precision::Float32);
    }
}

/// Elements of the values that there are at the most expensive moment of a step, and of those at its end.
fn elements(case: &Case) -> (usize, usize) {
    let (plan, schedule) = (&case.model.plan, &case.training.train);
    let shapes: Vec<&[usize]> = case.inputs.iter().map(|input| input.shape.as_slice()).collect();
    let bindings = plan.bind(&shapes).expect("the sizes of the batch");
    let size = |value: usize| bindings.sizes(&plan.values[value].shape).expect("sizes").iter().product::<usize>();
    let mut there = vec![false; plan.values.len()];
    let mut most = 0;
    let mut run = |there: &mut Vec<bool>, position: usize, release: &[Vec<usize>]| {
        plan.nodes[schedule.order[position]].outputs.iter().for_each(|&value| there[value] = true);
        most = most.max((0..there.len()).filter(|&value| there[value]).map(size).sum());
        release[position].iter().for_each(|&value| there[value] = false);
    };
    for position in 0..schedule.order.len() {
        run(&mut there, position, &schedule.release);
    }
    for position in (0..schedule.order.len()).rev() {
        for &again in &schedule.recomputation.before[position] {
            run(&mut there, again, &schedule.recomputation.release);
        }
        schedule.release_backward[position].iter().for_each(|&value| there[value] = false);
    }
    (most, (0..there.len()).filter(|&value| there[value]).map(size).sum())
}

#[test]
fn only_the_values_of_one_layer_are_there_at_a_time() {
    for first in [true, false] {
        let document = |recompute: bool| {
            stacked(recompute, 6, WIDTH, &[("intermediateDim", json!(4 * WIDTH)), ("normalizeFirst", json!(first))])
        };
        let cases = pair(document, &[ids(3, SOURCE, false)], &[classes(BATCH * SOURCE)], &[]);
        let [(kept, kept_last), (made, made_last)] = cases.each_ref().map(elements);
        let sequence = BATCH * SOURCE * WIDTH;
        // Six layers of at least eleven sequences; or what comes into each, and the values of one.
        assert!(kept > 6 * 11 * sequence, "{kept} of {sequence}");
        assert!(made < (6 + 18) * sequence, "{made} of {sequence}");
        assert_eq!(made_last, kept_last, "something is left over");
        let [kept, made] = cases.each_ref().map(|case| {
            let shapes: Vec<&[usize]> = case.inputs.iter().map(|input| input.shape.as_slice()).collect();
            let bindings = case.model.plan.bind(&shapes).expect("the sizes of the batch");
            case.training.train.bytes(&case.model.plan, &bindings).expect("sizes")
        });
        assert!(3 * made < kept, "{made} of {kept} bytes");
    }
}
