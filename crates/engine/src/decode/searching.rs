//! Beam search and sampling with whole models: cached steps against the whole graph, batches against single sentences.
use std::sync::Arc;

use serde_json::{Value, json};

use super::{
    EarlyStopping, Generated, GenerationRequest, Incremental, Sampling, SearchOptions, target_scores,
    tests::{cpu, layer, model, rows, searched, stacked, transformer},
};
use crate::{backend::candle::Candle, error::Code, interrupt::Interrupt, model::Model, tensor::Tensor};

/// A decoder layer that attends to the encoder's steps, behind a recurrent one.
fn attending() -> Value {
    let mut document = stacked(false);
    document["layers"][5] = layer("through", "transformerDecoder", transformer("halves", true));
    document["nodes"][6]["inputs"] = json!([[5, 0], [1, 0]]);
    document
}

fn beams(count: usize) -> SearchOptions {
    SearchOptions { num_beams: count, num_return_sequences: count.min(3), ..SearchOptions::default() }
}

fn drawn(count: usize) -> SearchOptions {
    let sampling = Sampling { seed: 11, temperature: 1.5, top_k: 12, ..Sampling::default() };
    SearchOptions { num_return_sequences: count, sampling: Some(sampling), ..SearchOptions::default() }
}

fn drawn_beams(count: usize) -> SearchOptions {
    SearchOptions { sampling: drawn(1).sampling, ..beams(count) }
}

fn all() -> Vec<SearchOptions> {
    let never = EarlyStopping::Never;
    vec![
        beams(2),
        SearchOptions { length_penalty: -0.5, early_stopping: EarlyStopping::Full, ..beams(5) },
        SearchOptions { length_penalty: 2.0, early_stopping: never, ..beams(3) },
        drawn(1),
        drawn(4),
        drawn_beams(3),
    ]
}

/// The sequences of each sentence with their scores.
fn split(generated: &Generated) -> Vec<Vec<(Vec<i32>, u32)>> {
    let mut sequences = generated.ids.chunks(generated.length).zip(&generated.lengths).zip(&generated.scores);
    let one = |((ids, &length), score): ((&[i32], &i32), &f32)| (ids[..length as usize].to_vec(), score.to_bits());
    generated.counts.iter().map(|&count| sequences.by_ref().take(count as usize).map(one).collect()).collect()
}

fn found(model: &Arc<Model>, rows: &[Vec<i32>], search: &SearchOptions) -> Generated {
    searched(model, rows, |request| request.search = search.clone())
}

#[test]
fn cached_steps_search_as_the_whole_graph_does() {
    for document in [stacked(false), attending()] {
        for backend in [cpu(), Box::new(Candle::default())] {
            let model = model(&document, backend);
            for search in all() {
                let step = found(&model, &rows(), &search);
                let whole = searched(&model, &rows(), |request| {
                    request.search = search.clone();
                    request.recompute = true;
                });
                assert_eq!(step.ids, whole.ids, "{search:?}");
                assert_eq!(step.counts, whole.counts);
                for (step, whole) in step.scores.iter().zip(&whole.scores) {
                    assert!((step - whole).abs() < 1e-4 * whole.abs().max(1.0), "{step} {whole}");
                }
            }
        }
    }
}

#[test]
fn rows_of_a_sentence_share_the_keys_and_values_of_its_encoder() {
    let shared = |document: &Value| {
        let model = model(document, cpu());
        let incremental = Incremental::new(&model.plan, 1, 0).unwrap();
        incremental.shared.iter().filter(|&&shared| shared).count()
    };
    assert_eq!(shared(&attending()), 2);
    assert_eq!(shared(&stacked(false)), 0);
}

#[test]
fn a_sentence_finds_in_any_batch_what_it_finds_alone() {
    for document in [stacked(false), attending()] {
        let model = model(&document, cpu());
        for search in all() {
            let together = split(&found(&model, &rows(), &search));
            for (place, row) in rows().iter().enumerate() {
                let alone = searched(&model, std::slice::from_ref(row), |request| {
                    request.search = search.clone();
                    request.streams = vec![place as u32];
                });
                assert_eq!(split(&alone)[0], together[place], "{search:?}");
            }
        }
    }
}

#[test]
fn scores_are_those_of_the_sequences() {
    let model = model(&attending(), cpu());
    for search in [SearchOptions::default(), SearchOptions { length_penalty: 0.7, ..beams(4) }] {
        let generated = found(&model, &rows(), &search);
        for (number, (&length, &score)) in generated.lengths.iter().zip(&generated.scores).enumerate() {
            let parts = &generated.log_probabilities[number * generated.length..][..generated.length];
            let sum: f32 = parts.iter().sum();
            let power = if search.num_beams > 1 { search.length_penalty } else { 0.0 };
            let expected = f64::from(sum) / f64::from(length).powf(power);
            assert!((f64::from(score) - expected).abs() < 1e-4, "{score} {expected}");
        }
        // What was generated has the log-probabilities that it has as a given target.
        let owners = generated.counts.iter().enumerate().flat_map(|(row, &count)| vec![row; count as usize]);
        let sources: Vec<Vec<i32>> = owners.map(|row| rows()[row].clone()).collect();
        let targets: Vec<Vec<i32>> = generated
            .ids
            .chunks(generated.length)
            .zip(&generated.lengths)
            .map(|(ids, &length)| ids[..length as usize].to_vec())
            .collect();
        let width = sources.iter().map(Vec::len).max().unwrap();
        let padded = sources.iter().flat_map(|row| row.iter().copied().chain(vec![0; width - row.len()])).collect();
        let request = GenerationRequest { decoder_input: 1, begin_id: 1, ..GenerationRequest::default() };
        let inputs = vec![Tensor::ids(vec![sources.len(), width], padded)];
        let scores = target_scores(&[Arc::clone(&model)], &request, inputs, &targets, Interrupt::default()).unwrap();
        let mut given = scores.log_probabilities.into_iter();
        for (number, &length) in generated.lengths.iter().enumerate() {
            let own = &generated.log_probabilities[number * generated.length..][..length as usize];
            for &log_probability in own {
                assert!((given.next().unwrap() - log_probability).abs() < 1e-4);
            }
        }
        assert_eq!(given.next(), None);
    }
}

#[test]
fn more_beams_find_better_sequences() {
    let model = model(&attending(), cpu());
    let total = |count: usize| {
        let search = SearchOptions { num_return_sequences: 1, length_penalty: 0.0, ..beams(count) };
        found(&model, &rows(), &search).scores.iter().sum::<f32>()
    };
    let greedy: f32 = found(&model, &rows(), &SearchOptions::default()).scores.iter().sum();
    assert!(total(8) > greedy, "{} {greedy}", total(8));
}

#[test]
fn sequences_come_best_first_and_differ() {
    let model = model(&stacked(false), cpu());
    for sentence in split(&found(&model, &rows(), &beams(6))) {
        assert_eq!(sentence.len(), 3);
        let scores: Vec<f32> = sentence.iter().map(|(_, score)| f32::from_bits(*score)).collect();
        assert!(scores.is_sorted_by(|a, b| a >= b), "{scores:?}");
        let mut ids: Vec<_> = sentence.into_iter().map(|(ids, _)| ids).collect();
        ids.dedup();
        assert_eq!(ids.len(), 3);
    }
}

#[test]
fn seeds_decide_on_what_is_drawn() {
    let model = model(&stacked(false), cpu());
    let with = |seed| {
        let mut search = drawn(3);
        search.sampling.as_mut().unwrap().seed = seed;
        split(&found(&model, &rows(), &search))
    };
    assert_eq!(with(1), with(1));
    assert_ne!(with(1), with(2));
    let sentence = &with(1)[2];
    assert!(sentence[0] != sentence[1] || sentence[1] != sentence[2]);
}

#[test]
fn sequences_begin_with_what_is_given() {
    for document in [stacked(false), attending()] {
        let model = model(&document, cpu());
        let prompts: Vec<Vec<i32>> = (0..9).map(|row| (0..row % 4).map(|step| 4 + row + step).collect()).collect();
        for search in [SearchOptions::default(), beams(3), drawn(2), drawn_beams(2)] {
            let change = |recompute: bool| {
                let (search, prompts) = (search.clone(), prompts.clone());
                move |request: &mut GenerationRequest| {
                    request.search = search;
                    request.prompts = prompts;
                    request.recompute = recompute;
                }
            };
            let together = searched(&model, &rows(), change(false));
            assert_eq!(searched(&model, &rows(), change(true)).ids, together.ids);
            for (place, row) in rows().iter().enumerate() {
                let alone = searched(&model, std::slice::from_ref(row), |request| {
                    request.search = search.clone();
                    request.prompts = vec![prompts[place].clone()];
                    request.streams = vec![place as u32];
                });
                assert_eq!(split(&alone)[0], split(&together)[place], "{search:?}");
            }
        }
    }
}

#[test]
fn options_that_contradict_each_other_are_refused() {
    let model = model(&stacked(false), cpu());
    let refused = |change: &dyn Fn(&mut GenerationRequest)| -> crate::error::Result<Generated> {
        let mut request = GenerationRequest {
            decoder_input: 1,
            begin_id: 1,
            end_id: vec![2],
            max_new_tokens: 4,
            ..GenerationRequest::default()
        };
        change(&mut request);
        let inputs = vec![Tensor::ids(vec![1, 2], vec![3, 4])];
        let mut generation = super::Generation::new(Arc::clone(&model), request, inputs, Interrupt::default())?;
        loop {
            if let Some(found) = generation.advance()? {
                return Ok(found);
            }
        }
    };
    let option = |change: &dyn Fn(&mut GenerationRequest), named: &str| {
        let error = refused(change).unwrap_err();
        assert_eq!(error.code, Code::Option, "{error}");
        assert!(error.message.contains(named), "{error}");
    };
    option(&|request| request.max_new_tokens = 0, "maxNewTokens");
    option(&|request| request.search.num_beams = 0, "numBeams");
    option(&|request| request.search.num_return_sequences = 2, "numReturnSequences");
    option(
        &|request| request.search = SearchOptions { num_return_sequences: 4, ..beams(3) },
        "numReturnSequences must be at most numBeams (3)",
    );
    option(&|request| request.search.length_penalty = f64::NAN, "lengthPenalty");
    option(&|request| request.processors.repetition_penalty = -1.0, "repetitionPenalty");
    option(&|request| request.processors.bad_words_ids = vec![vec![]], "badWordsIds");
    option(&|request| request.processors.bad_words_ids = vec![vec![23]], "badWordsIds");
    option(&|request| request.processors.suppress_tokens = vec![-1], "suppressTokens");
    option(&|request| request.processors.forced_bos_token_id = Some(99), "forcedBosTokenId");
    let sampling = |sampling: Sampling| move |request: &mut GenerationRequest| request.search.sampling = Some(sampling);
    option(&sampling(Sampling { temperature: 0.0, ..Sampling::default() }), "temperature");
    option(&sampling(Sampling { top_p: 1.5, ..Sampling::default() }), "topP");
    // Nothing is left to choose from.
    for search in [SearchOptions::default(), beams(3), drawn(2), drawn_beams(2)] {
        option(
            &|request| {
                request.search = search.clone();
                request.processors.suppress_tokens = (0..23).collect();
            },
            "no token may follow",
        );
    }
    assert!(refused(&|_| {}).is_ok());
    for search in [
        SearchOptions { num_beams: usize::MAX, ..SearchOptions::default() },
        SearchOptions { num_return_sequences: usize::MAX / 64, ..drawn(1) },
    ] {
        assert_eq!(refused(&|request| request.search = search.clone()).unwrap_err().code, Code::Limit);
    }
    // Powers of the length without bounds.
    for length_penalty in [1e300, -1e300, 1e4, -1e4] {
        let found = refused(&|request| request.search = SearchOptions { length_penalty, ..beams(3) });
        assert!(found.is_ok() || found.unwrap_err().code == Code::Option);
    }
}

#[test]
fn callers_say_which_tokens_are_allowed() {
    let model = model(&stacked(false), cpu());
    for search in [SearchOptions::default(), beams(3)] {
        let request = GenerationRequest {
            decoder_input: 1,
            begin_id: 1,
            end_id: vec![2],
            max_new_tokens: 6,
            search,
            ..GenerationRequest::default()
        };
        let inputs = vec![Tensor::ids(vec![2, 2], vec![3, 4, 5, 6])];
        let made = super::Generation::together(&[Arc::clone(&model)], request, inputs, Interrupt::default(), true);
        let mut generation = made.unwrap();
        let found = loop {
            // After an even token an odd one, the other way round in the second sentence.
            let allowed: Vec<Vec<i32>> = generation
                .prefixes()
                .into_iter()
                .map(|(sentence, prefix)| {
                    let wanted = (prefix.len() + sentence) % 2;
                    (3..23).filter(|id| *id as usize % 2 == wanted).collect()
                })
                .collect();
            if let Some(found) = generation.advance_within(&allowed).unwrap() {
                break found;
            }
            assert!(generation.stable(0).len() <= 6);
        };
        for (sentence, sequences) in split(&found).into_iter().enumerate() {
            for (ids, _) in sequences {
                assert_eq!(ids.len(), 6);
                assert!(
                    ids.iter().enumerate().all(|(place, id)| *id as usize % 2 == (place + sentence) % 2),
                    "{ids:?}"
                );
            }
        }
    }
}
