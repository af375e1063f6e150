//! Models that choose tokens together: alone, with themselves, and against their mean computed by hand.
use std::sync::Arc;

use super::{CLASSES, cpu, model, model_of, rows, searched, stacked};
use crate::{
    decode::{
        EnsembleOptions, Feed, Generated, Generation, GenerationRequest, Mean, Reading, SearchOptions, target_scores,
    },
    error::{Code, Result},
    interrupt::Interrupt,
    model::Model,
    tensor::Tensor,
};

fn source() -> Tensor {
    let length = rows().iter().map(Vec::len).max().unwrap();
    let ids = rows().iter().flat_map(|row| row.iter().copied().chain(vec![0; length - row.len()])).collect();
    Tensor::ids(vec![rows().len(), length], ids)
}

fn request(options: EnsembleOptions, search: SearchOptions) -> GenerationRequest {
    GenerationRequest {
        decoder_input: 1,
        begin_id: 1,
        end_id: vec![2],
        max_new_tokens: 9,
        ensemble: Some(options),
        search,
        ..GenerationRequest::default()
    }
}

fn ensemble(count: usize, weights: &[f64], mean: Mean) -> EnsembleOptions {
    let reading = Reading { decoder_input: 1, output: 0, feed: Feed::Ids };
    EnsembleOptions { others: vec![reading; count - 1], weights: weights.to_vec(), mean }
}

fn found(models: &[Arc<Model>], request: GenerationRequest) -> Result<Generated> {
    let inputs = vec![source(); models.len()];
    let mut generation = Generation::together(models, request, inputs, Interrupt::default(), false)?;
    loop {
        if let Some(found) = generation.advance()? {
            return Ok(found);
        }
    }
}

fn two() -> [Arc<Model>; 2] {
    [model(&stacked(false), cpu()), model_of(&stacked(false), cpu(), 8)]
}

fn beams() -> SearchOptions {
    SearchOptions { num_beams: 4, num_return_sequences: 2, ..SearchOptions::default() }
}

/// The log-probabilities of the first token of the first row.
fn first(model: &Arc<Model>) -> Vec<f64> {
    let request = GenerationRequest { decoder_input: 1, begin_id: 1, ..GenerationRequest::default() };
    let targets: Vec<Vec<i32>> = (0..CLASSES as i32).map(|id| vec![id]).collect();
    let length = source().shape[1];
    let ids = source().as_ids().unwrap()[..length].repeat(CLASSES);
    let inputs = vec![Tensor::ids(vec![CLASSES, length], ids)];
    let scores = target_scores(&[Arc::clone(model)], &request, inputs, &targets, Interrupt::default()).unwrap();
    scores.log_probabilities.into_iter().map(f64::from).collect()
}

#[test]
fn a_model_with_itself_is_the_model() {
    let [model, _] = two();
    for search in [SearchOptions::default(), beams()] {
        let alone = searched(&model, &rows(), |request| {
            request.search = search.clone();
            request.max_new_tokens = 9;
        });
        for (count, weights) in [(2, vec![]), (3, vec![1.0, 5.0, 0.1])] {
            for mean in [Mean::Arithmetic, Mean::Geometric] {
                let models = vec![Arc::clone(&model); count];
                let together = found(&models, request(ensemble(count, &weights, mean), search.clone())).unwrap();
                assert_eq!(together.ids, alone.ids);
                for (together, alone) in together.log_probabilities.iter().zip(&alone.log_probabilities) {
                    assert!((together - alone).abs() < 1e-5, "{together} {alone}");
                }
            }
        }
    }
}

#[test]
fn probabilities_are_the_mean_of_those_of_the_models() {
    let models = two();
    let [a, b] = [first(&models[0]), first(&models[1])];
    for (mean, weights) in
        [(Mean::Arithmetic, [0.5, 0.5]), (Mean::Arithmetic, [0.8, 0.2]), (Mean::Geometric, [0.25, 0.75])]
    {
        let mut expected: Vec<f64> = a
            .iter()
            .zip(&b)
            .map(|(a, b)| match mean {
                Mean::Arithmetic => (weights[0] * a.exp() + weights[1] * b.exp()).ln(),
                Mean::Geometric => weights[0] * a + weights[1] * b,
            })
            .collect();
        let total = expected.iter().map(|score| score.exp()).sum::<f64>().ln();
        expected.iter_mut().for_each(|score| *score -= total);
        // Only the ratio of the weights counts.
        let options = ensemble(2, &weights.map(|weight| 3.0 * weight), mean);
        let search =
            SearchOptions { num_return_sequences: CLASSES - 1, return_alternatives: true, ..SearchOptions::default() };
        let request = GenerationRequest { max_new_tokens: 1, ..request(options, search) };
        let found = found(&models, request).unwrap();
        assert_eq!(found.counts[0] as usize, CLASSES - 1);
        for (&id, &score) in found.ids.iter().zip(&found.scores).take(CLASSES - 1) {
            assert!((f64::from(score) - expected[id as usize]).abs() < 1e-5, "{mean:?} {id}");
        }
        assert!(found.scores[..CLASSES - 1].is_sorted_by(|a, b| a >= b));
    }
}

#[test]
fn cached_steps_and_given_targets_have_the_probabilities_of_whole_graphs() {
    let models = two();
    for search in [SearchOptions::default(), beams()] {
        let options = ensemble(2, &[2.0, 1.0], Mean::Arithmetic);
        let step = found(&models, request(options.clone(), search.clone())).unwrap();
        let whole =
            found(&models, GenerationRequest { recompute: true, ..request(options.clone(), search.clone()) }).unwrap();
        assert_eq!(step.ids, whole.ids);
        for (step, whole) in step.scores.iter().zip(&whole.scores) {
            assert!((step - whole).abs() < 1e-4, "{step} {whole}");
        }
        let alone = searched(&models[0], &rows(), |request| {
            request.search = search.clone();
            request.max_new_tokens = 9;
        });
        assert_ne!(step.ids, alone.ids);
        if search.num_beams == 1 {
            let targets: Vec<Vec<i32>> = step
                .ids
                .chunks(step.length)
                .zip(&step.lengths)
                .map(|(ids, &length)| ids[..length as usize].to_vec())
                .collect();
            let request = request(options, search);
            let inputs = vec![source(); 2];
            let scored = target_scores(&models, &request, inputs, &targets, Interrupt::default()).unwrap();
            // What a greedy search chose are the most probable tokens but for padding, which it never writes.
            let chosen = targets.concat();
            assert_eq!(scored.best.len(), chosen.len());
            assert!(scored.best.iter().zip(&chosen).all(|(&best, &chosen)| best == chosen || best == 0));
            let mut scored = scored.log_probabilities.into_iter();
            for (row, &length) in step.lengths.iter().enumerate() {
                for &expected in &step.log_probabilities[row * step.length..][..length as usize] {
                    assert!((scored.next().unwrap() - expected).abs() < 1e-4);
                }
            }
        }
    }
}

#[test]
fn ensembles_that_do_not_fit_are_refused() {
    let models = two();
    let refused = |models: &[Arc<Model>], options: EnsembleOptions| {
        found(models, request(options, SearchOptions::default())).unwrap_err()
    };
    for (options, named) in [
        (ensemble(3, &[], Mean::Arithmetic), "2 models, of which 3"),
        (ensemble(2, &[1.0], Mean::Arithmetic), "weights must be 2 numbers"),
        (ensemble(2, &[1.0, 0.0], Mean::Arithmetic), "weights must be 2 numbers"),
        (ensemble(2, &[1.0, f64::NAN], Mean::Arithmetic), "weights must be 2 numbers"),
    ] {
        let error = refused(&models, options);
        assert_eq!(error.code, Code::Option);
        assert!(error.message.contains(named), "{error}");
    }
    let mut document = stacked(false);
    document["layers"][10]["options"]["units"] = 24.into();
    let other = model(&document, cpu());
    let error = refused(&[Arc::clone(&models[0]), other], ensemble(2, &[], Mean::Arithmetic));
    assert_eq!(error.code, Code::Shape);
    assert!(error.message.contains("23 and 24 tokens"), "{error}");
    // The end of one is the end of the search.
    models[1].disposed.raise();
    let error = refused(&models, ensemble(2, &[], Mean::Arithmetic));
    assert_eq!(error.code, Code::State);
}

#[test]
fn models_take_turns_as_one_once_they_are_joined() {
    let models = two();
    assert_ne!(models[0].family(), models[1].family());
    models[0].join(&models[1]);
    assert_eq!(models[0].family(), models[1].family());
    models[1].join(&models[0]);
    assert_eq!(models[0].family(), models[1].family());
}
