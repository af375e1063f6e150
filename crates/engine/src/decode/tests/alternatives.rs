//! The best tokens at a place with what follows each, against searches that are made to begin with it.
use std::sync::Arc;

use serde_json::{Value, json};

use super::{cpu, layer, model, rows, searched, stacked, transformer};
use crate::{
    decode::{EarlyStopping, Generated, Generation, GenerationRequest, ProcessorOptions, Sampling, SearchOptions},
    error::Code,
    interrupt::Interrupt,
    model::Model,
    tensor::Tensor,
};

const COUNT: usize = 5;

fn attending() -> Value {
    let mut document = stacked(false);
    document["layers"][5] = layer("through", "transformerDecoder", transformer("halves", true));
    document["nodes"][6]["inputs"] = json!([[5, 0], [1, 0]]);
    document
}

/// Ids, log-probabilities and score of each sequence of each row.
type Sequence = (Vec<i32>, Vec<f32>, f32);

fn split(found: &Generated) -> Vec<Vec<Sequence>> {
    let mut sequences = (0..found.lengths.len()).map(|number| {
        let range = number * found.length..number * found.length + found.lengths[number] as usize;
        (found.ids[range.clone()].to_vec(), found.log_probabilities[range].to_vec(), found.scores[number])
    });
    found.counts.iter().map(|&count| sequences.by_ref().take(count as usize).collect()).collect()
}

fn beams(length_penalty: f64, early_stopping: EarlyStopping) -> SearchOptions {
    SearchOptions { num_beams: 3, length_penalty, early_stopping, ..SearchOptions::default() }
}

fn alternatives(search: &SearchOptions) -> SearchOptions {
    SearchOptions { num_return_sequences: COUNT, return_alternatives: true, ..search.clone() }
}

fn prompts() -> Vec<Vec<i32>> {
    (0..9).map(|row| (0..row % 4).map(|step| 4 + row + step).collect()).collect()
}

/// The best sequences of a row whose first token behind the prompt is one of those that are allowed.
fn constrained(model: &Arc<Model>, row: usize, search: &SearchOptions, token: i32) -> Sequence {
    let request = GenerationRequest {
        decoder_input: 1,
        begin_id: 1,
        end_id: vec![2],
        max_new_tokens: 8,
        prompts: vec![prompts()[row].clone()],
        search: search.clone(),
        ..GenerationRequest::default()
    };
    let source = rows()[row].clone();
    let inputs = vec![Tensor::ids(vec![1, source.len()], source)];
    let made = Generation::together(&[Arc::clone(model)], request, inputs, Interrupt::default(), true);
    let mut generation = made.unwrap();
    loop {
        let lists = generation
            .prefixes()
            .into_iter()
            .map(|(_, prefix)| if prefix.len() == prompts()[row].len() { vec![token] } else { (0..23).collect() });
        let lists: Vec<Vec<i32>> = lists.collect();
        if let Some(found) = generation.advance_within(&lists).unwrap() {
            return split(&found)[0][0].clone();
        }
    }
}

#[test]
fn each_of_the_best_tokens_goes_on_as_a_search_that_must_begin_with_it() {
    let searches = [
        SearchOptions::default(),
        beams(1.0, EarlyStopping::Heuristic),
        beams(0.0, EarlyStopping::Full),
        beams(-1.0, EarlyStopping::Never),
    ];
    for document in [stacked(false), attending()] {
        let model = model(&document, cpu());
        for search in &searches {
            let with = |search: &SearchOptions, recompute: bool| {
                searched(&model, &rows(), |request| {
                    request.search = search.clone();
                    request.prompts = prompts();
                    request.max_new_tokens = 8;
                    request.recompute = recompute;
                })
            };
            let found = with(&alternatives(search), false);
            assert_eq!(found.ids, with(&alternatives(search), true).ids);
            let greedy = split(&with(&SearchOptions::default(), false));
            for (row, sequences) in split(&found).into_iter().enumerate() {
                assert_eq!(sequences.len(), COUNT);
                // From probable to improbable, the first that of greedy search, none twice.
                let firsts: Vec<f32> = sequences.iter().map(|(_, parts, _)| parts[0]).collect();
                assert!(firsts.is_sorted_by(|a, b| a >= b), "{firsts:?}");
                assert_eq!(sequences[0].0[0], greedy[row][0].0[0]);
                let mut tokens: Vec<i32> = sequences.iter().map(|(ids, ..)| ids[0]).collect();
                tokens.sort_unstable();
                tokens.dedup();
                assert_eq!(tokens.len(), COUNT);
                for (ids, parts, score) in sequences {
                    let (expected, expected_parts, expected_score) = constrained(&model, row, search, ids[0]);
                    assert_eq!(ids, expected, "{search:?}");
                    assert_eq!(parts[1..], expected_parts[1..]);
                    // Greedy search gives what must come all of the probability.
                    let first = if search.num_beams == 1 { parts[0] } else { 0.0 };
                    assert!((score - first - expected_score).abs() < 1e-4, "{score} {first} {expected_score}");
                    let power = if search.num_beams == 1 { 0.0 } else { search.length_penalty };
                    let sum: f32 = parts.iter().sum();
                    assert!((f64::from(score) - f64::from(sum) / (parts.len() as f64).powf(power)).abs() < 1e-4);
                }
            }
        }
    }
}

#[test]
fn alternatives_of_a_sentence_are_in_any_batch_what_they_are_alone() {
    let model = model(&attending(), cpu());
    for search in [SearchOptions::default(), beams(1.0, EarlyStopping::Heuristic)] {
        let with = |rows: &[Vec<i32>], prompts: Vec<Vec<i32>>| {
            split(&searched(&model, rows, |request| {
                request.search = alternatives(&search);
                request.prompts = prompts;
            }))
        };
        let together = with(&rows(), prompts());
        for (place, row) in rows().iter().enumerate() {
            assert_eq!(with(std::slice::from_ref(row), vec![prompts()[place].clone()])[0], together[place]);
        }
    }
}

#[test]
fn there_are_as_many_alternatives_as_the_options_leave() {
    let model = model(&stacked(false), cpu());
    for search in [SearchOptions::default(), beams(1.0, EarlyStopping::Heuristic)] {
        let found = searched(&model, &rows(), |request| {
            request.search = alternatives(&search);
            request.processors = ProcessorOptions {
                suppress_tokens: (0..23).filter(|id| ![2, 7, 9].contains(id)).collect(),
                ..Default::default()
            };
        });
        for sequences in split(&found) {
            let mut firsts: Vec<i32> = sequences.iter().map(|(ids, ..)| ids[0]).collect();
            firsts.sort_unstable();
            assert_eq!(firsts, [2, 7, 9]);
        }
    }
    let request = GenerationRequest {
        decoder_input: 1,
        begin_id: 1,
        end_id: vec![2],
        max_new_tokens: 4,
        search: SearchOptions { sampling: Some(Sampling::default()), ..alternatives(&SearchOptions::default()) },
        ..GenerationRequest::default()
    };
    let inputs = vec![Tensor::ids(vec![1, 2], vec![3, 4])];
    let error = Generation::new(Arc::clone(&model), request, inputs, Interrupt::default()).unwrap_err();
    assert_eq!(error.code, Code::Option);
    assert!(error.message.contains("returnAlternatives"), "{error}");
    // All tokens but the padding.
    let all = searched(&model, &rows(), |request| {
        request.search = SearchOptions { num_return_sequences: usize::MAX, ..alternatives(&SearchOptions::default()) };
    });
    assert!(all.counts.iter().all(|&count| count == 22), "{:?}", all.counts);
}
