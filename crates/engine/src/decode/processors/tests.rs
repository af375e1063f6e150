//! Each processor against its rule; whole searches are compared with Hugging Face's in `__test__/decoding`.
use super::{Chain, History};
use crate::decode::request::{GenerationRequest, ProcessorOptions, Sampling};

const OUT: f32 = f32::NEG_INFINITY;

fn processed(options: ProcessorOptions, tokens: &[i32], sources: Vec<Vec<i32>>) -> Vec<f32> {
    let request = GenerationRequest {
        max_new_tokens: 5,
        end_id: vec![4],
        processors: options,
        sources,
        ..GenerationRequest::default()
    };
    let mut scores = vec![-2.0, -1.0, 0.5, 1.0, 2.0, 4.0];
    let history = History { tokens, given: 1, sentence: 0, allowed: None, is_forced: true };
    Chain::processors(&request, false).process(&history, &mut scores);
    scores
}

fn options() -> ProcessorOptions {
    ProcessorOptions::default()
}

#[test]
fn nothing_is_changed_without_options() {
    assert_eq!(processed(options(), &[0, 1, 2], Vec::new()), [-2.0, -1.0, 0.5, 1.0, 2.0, 4.0]);
}

#[test]
fn tokens_that_are_there_are_penalised_once() {
    let found = processed(ProcessorOptions { repetition_penalty: 2.0, ..options() }, &[0, 0, 5, 77, -1], Vec::new());
    assert_eq!(found, [-4.0, -1.0, 0.5, 1.0, 2.0, 2.0]);
}

#[test]
fn sequences_do_not_come_again() {
    let size = |no_repeat_ngram_size| ProcessorOptions { no_repeat_ngram_size, ..options() };
    assert_eq!(processed(size(2), &[0, 1, 2, 1], Vec::new()), [-2.0, -1.0, OUT, 1.0, 2.0, 4.0]);
    assert_eq!(processed(size(1), &[0, 1], Vec::new()), [OUT, OUT, 0.5, 1.0, 2.0, 4.0]);
    assert_eq!(processed(size(4), &[0, 1], Vec::new()), [-2.0, -1.0, 0.5, 1.0, 2.0, 4.0]);
    let encoder = ProcessorOptions { encoder_no_repeat_ngram_size: 3, ..options() };
    let source = vec![vec![1, 2, 3, 1, 2, 5]];
    assert_eq!(processed(encoder.clone(), &[0, 1, 2], source.clone()), [-2.0, -1.0, 0.5, OUT, 2.0, OUT]);
    assert_eq!(processed(encoder, &[2], source), [-2.0, -1.0, 0.5, 1.0, 2.0, 4.0]);
}

#[test]
fn bad_words_are_not_finished() {
    let bad_words_ids = vec![vec![0], vec![1, 5], vec![2, 3], vec![4], vec![9, 9, 9, 9, 1]];
    let found = processed(ProcessorOptions { bad_words_ids, ..options() }, &[3, 1], Vec::new());
    assert_eq!(found, [OUT, -1.0, 0.5, 1.0, 2.0, OUT]);
}

#[test]
fn places_force_and_forbid_tokens() {
    let all = ProcessorOptions {
        min_new_tokens: 2,
        forced_bos_token_id: Some(2),
        forced_eos_token_id: vec![4, 5],
        suppress_tokens: vec![3],
        ..options()
    };
    let found = |tokens: &[i32]| processed(all.clone(), tokens, Vec::new());
    assert_eq!(found(&[0]), [OUT, OUT, 0.0, OUT, OUT, OUT]);
    assert_eq!(found(&[0, 2]), [-2.0, -1.0, 0.5, OUT, OUT, 4.0]);
    assert_eq!(found(&[0, 2, 1]), [-2.0, -1.0, 0.5, OUT, 2.0, 4.0]);
    assert_eq!(found(&[0, 2, 1, 1, 1]), [OUT, OUT, OUT, OUT, 0.0, 0.0]);
}

#[test]
fn only_allowed_tokens_are_left() {
    let mut scores = vec![1.0, 2.0, 3.0];
    let history = History { tokens: &[0], given: 1, sentence: 0, allowed: Some(&[2, 0, 9, -3]), is_forced: true };
    Chain::processors(&GenerationRequest::default(), true).process(&history, &mut scores);
    assert_eq!(scores, [1.0, OUT, 3.0]);
    // What was excluded comes all the same if nothing else may.
    let mut scores = vec![OUT, 2.0, 3.0];
    let history = History { allowed: Some(&[0]), ..history };
    Chain::processors(&GenerationRequest::default(), true).process(&history, &mut scores);
    assert_eq!(scores, [0.0, OUT, OUT]);
    // Not where other beams may go on.
    let mut scores = vec![OUT, 2.0, 3.0];
    let history = History { is_forced: false, ..history };
    Chain::processors(&GenerationRequest::default(), true).process(&history, &mut scores);
    assert_eq!(scores, [OUT; 3]);
}

/// Which of the probabilities 0.4, 0.3, 0.15, 0.1, 0.05 are left.
fn left(sampling: Sampling, kept: usize) -> Vec<bool> {
    let mut scores: Vec<f32> = [0.15f32, 0.4, 0.05, 0.3, 0.1, 0.0].iter().map(|p| p.ln() + 2.0).collect();
    let history = History { tokens: &[0], given: 1, sentence: 0, allowed: None, is_forced: true };
    Chain::warpers(&sampling, kept).process(&history, &mut scores);
    [1, 3, 0, 4, 2].iter().map(|&id: &usize| scores[id] > OUT).collect()
}

#[test]
fn distributions_are_narrowed() {
    let plain = Sampling::default();
    assert_eq!(left(plain, 1), [true; 5]);
    assert_eq!(left(Sampling { top_k: 2, ..plain }, 1), [true, true, false, false, false]);
    assert_eq!(left(Sampling { top_k: 2, ..plain }, 3), [true, true, true, false, false]);
    assert_eq!(left(Sampling { top_k: 99, ..plain }, 3), [true; 5]);
    assert_eq!(left(Sampling { top_p: 0.75, ..plain }, 1), [true, true, true, false, false]);
    assert_eq!(left(Sampling { top_p: 0.0, ..plain }, 2), [true, true, false, false, false]);
    assert_eq!(left(Sampling { min_p: 0.5, ..plain }, 1), [true, true, false, false, false]);
    assert_eq!(left(Sampling { min_p: 1.0, ..plain }, 2), [true, true, false, false, false]);
    // The entropy is 1.39: 0.3 (information 1.20), 0.4 (0.92) and 0.15 (1.90) are nearest to it.
    assert_eq!(left(Sampling { typical_p: 0.2, ..plain }, 1), [false, true, false, false, false]);
    assert_eq!(left(Sampling { typical_p: 0.69, ..plain }, 1), [true, true, false, false, false]);
    assert_eq!(left(Sampling { typical_p: 0.75, ..plain }, 1), [true, true, true, false, false]);
    // Colder: 0.4 has 0.64 of the squares' sum, which is 0.2850... .
    assert_eq!(left(Sampling { temperature: 0.5, top_p: 0.55, ..plain }, 1), [true, false, false, false, false]);
}

/// A row of `processors.json`, which `generation.py` beside it wrote.
#[derive(serde::Deserialize)]
struct Case {
    scores: Vec<f32>,
    tokens: Vec<i32>,
    source: Vec<i32>,
    kept: usize,
    options: serde_json::Map<String, serde_json::Value>,
    probabilities: Vec<f64>,
}

#[test]
fn distributions_are_those_of_hugging_face() {
    let path = "../../__test__/golden/generation/processors.json";
    let cases: Vec<Case> = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    assert!(cases.len() > 300);
    for (number, case) in cases.into_iter().enumerate() {
        let drawing = ["temperature", "topK", "topP", "minP", "typicalP"];
        let (warping, processing): (serde_json::Map<_, _>, serde_json::Map<_, _>) =
            case.options.clone().into_iter().partition(|(name, _)| drawing.contains(&name.as_str()));
        let request = GenerationRequest {
            max_new_tokens: 99,
            end_id: vec![1],
            processors: serde_json::from_value(processing.into()).unwrap(),
            sources: vec![case.source],
            ..GenerationRequest::default()
        };
        let sampling: Sampling = serde_json::from_value(warping.into()).unwrap();
        let history = History { tokens: &case.tokens, given: 1, sentence: 0, allowed: None, is_forced: true };
        let mut scores = case.scores;
        Chain::processors(&request, false).process(&history, &mut scores);
        Chain::warpers(&sampling, case.kept).process(&history, &mut scores);
        let most = scores.iter().copied().fold(OUT, f32::max);
        let powers: Vec<f64> = scores.iter().map(|&score| f64::from(score - most).exp()).collect();
        let total: f64 = powers.iter().sum();
        for (power, expected) in powers.iter().zip(&case.probabilities) {
            assert!((power / total - expected).abs() < 1e-5, "case {number}: {:?}", case.options);
        }
    }
}
