use proptest::prelude::*;
use tokenizers::{
    AddedToken, DecoderWrapper, ModelWrapper, NormalizerWrapper, PostProcessorWrapper, PreTokenizerWrapper,
    TokenizerImpl, models::bpe::BpeTrainer,
};

use super::{
    training::{Counting, Normalization, Progress, TrainedKind, TrainingOptions},
    *,
};

const TEXTS: [&str; 8] = [
    "I don't know, Tom's here. It’s well-known!",
    "At 9:30 p.m. it cost $1,000.50... wasn't it?",
    "我在用Python 3。 すしを食べる ガガ",
    "L'été à Zürich, Ünïcode e\u{301}\u{302} straße ΟΔΟΣ İstanbul",
    "  two  spaces\tand\n\nlines \u{3000} end ",
    "👍🏽 a_b c__d <s> </s> <pad> ▁▁x ▁",
    "aaaa aaa aa a ababab ...... --- !?!?",
    "the cat the cats the catalogue concatenates",
];

fn serial(pieces: usize, work: &(dyn Fn(usize) + Sync)) {
    (0..pieces).for_each(work);
}

fn threaded(pieces: usize, work: &(dyn Fn(usize) + Sync)) {
    std::thread::scope(|scope| {
        for piece in (0..pieces).rev() {
            scope.spawn(move || work(piece));
        }
    });
}

fn options(kind: TrainedKind) -> TrainingOptions {
    TrainingOptions {
        kind,
        vocabulary_size: None,
        minimum_count: 1,
        special_tokens: Vec::new(),
        lowercase: false,
        normalization: Normalization::Nfc,
        byte_level: false,
    }
}

fn pairs(size: usize) -> TrainingOptions {
    TrainingOptions { vocabulary_size: Some(size), ..options(TrainedKind::Bpe) }
}

fn train(options: TrainingOptions, texts: &[&str], run: Run<'_>) -> Tokenizer {
    let counting = Counting::new(options).unwrap();
    counting.add(texts, run, &|| false).unwrap();
    let mut learning = counting.end().unwrap();
    while !learning.advance(&Progress::default(), &mut || true) {}
    learning.end().unwrap()
}

type Crate = TokenizerImpl<ModelWrapper, NormalizerWrapper, PreTokenizerWrapper, PostProcessorWrapper, DecoderWrapper>;

/// What the crate makes of the same document, the special tokens being ordinary text.
fn oracle(tokenizer: &Tokenizer) -> Crate {
    let mut oracle: Crate = serde_json::from_str(tokenizer.document()).unwrap();
    oracle.set_encode_special_tokens(true);
    oracle
}

fn all() -> Vec<Tokenizer> {
    let options = [
        options(TrainedKind::Word),
        TrainingOptions { lowercase: true, ..options(TrainedKind::Word) },
        options(TrainedKind::Character),
        TrainingOptions { normalization: Normalization::Nfkd, ..options(TrainedKind::Character) },
        pairs(160),
        TrainingOptions { lowercase: true, normalization: Normalization::Nfkc, ..pairs(200) },
        TrainingOptions { byte_level: true, normalization: Normalization::None, ..pairs(320) },
    ];
    options.into_iter().map(|options| train(options, &TEXTS, &serial)).collect()
}

#[track_caller]
fn agrees(tokenizer: &Tokenizer, oracle: &Crate, text: &str) {
    let ids = tokenizer.encode(text).unwrap();
    let expected: Vec<i32> = oracle.encode_fast(text, false).unwrap().get_ids().iter().map(|&id| id as i32).collect();
    assert_eq!(ids, expected, "{text:?} {:?} {:?}", tokenizer.kind(), tokenizer.tokenize(text));
    if tokenizer.cut != Some(Cut::Words) && !ids.contains(&1) {
        let raw: Vec<u32> = ids.iter().map(|&id| id as u32).collect();
        assert_eq!(tokenizer.decode(&ids).unwrap(), oracle.decode(&raw, false).unwrap(), "{text:?}");
    }
}

#[test]
fn own_encoders_are_taken_and_agree_with_the_crate() {
    for tokenizer in all() {
        assert!(!matches!(tokenizer.encoder, Encoder::General(_)), "{tokenizer:?}");
        let oracle = oracle(&tokenizer);
        for text in TEXTS.iter().chain(&["", " ", "▁", "\u{feff}x\u{85}y"]) {
            agrees(&tokenizer, &oracle, text);
        }
    }
}

#[test]
fn random_texts_agree_with_the_crate() {
    let tokenizers: Vec<_> = all().into_iter().map(|tokenizer| (oracle(&tokenizer), tokenizer)).collect();
    let letters = "aAbB.,'’-_ 1½我すガ▁\t\u{301}\u{3099}\u{16ff0}〇éßİΣſnNtTsd👍\u{200d}<s>/";
    let random = prop_oneof![
        prop::collection::vec(prop::sample::select(letters.chars().collect::<Vec<_>>()), 0..24)
            .prop_map(|characters| characters.into_iter().collect::<String>()),
        any::<String>(),
    ];
    proptest!(|(text in random)| {
        for (oracle, tokenizer) in &tokenizers {
            agrees(tokenizer, oracle, &text);
        }
    });
}

#[test]
fn merges_are_those_of_the_crate() {
    let texts = TEXTS[..7].repeat(3);
    for byte_level in [false, true] {
        let tokenizer = train(TrainingOptions { byte_level, ..pairs(400) }, &texts, &serial);
        let mut document: serde_json::Value = serde_json::from_str(tokenizer.document()).unwrap();
        document["added_tokens"] = serde_json::json!([]);
        let mut own: Crate = serde_json::from_value(document).unwrap();
        let mut trainer = BpeTrainer::builder()
            .vocab_size(400)
            .show_progress(false)
            .special_tokens(SPECIALS.iter().map(|name| AddedToken::from(*name, true)).collect());
        if byte_level {
            trainer = trainer.initial_alphabet(pieces::BYTES.iter().copied().collect());
        }
        own.with_model(tokenizers::models::bpe::BPE::default());
        let mut trainer: tokenizers::models::TrainerWrapper = trainer.build().into();
        own.train(&mut trainer, texts.iter().copied()).unwrap();
        let expected = serde_json::to_value(&own).unwrap();
        let found: serde_json::Value = serde_json::from_str(tokenizer.document()).unwrap();
        assert_eq!(found["model"]["merges"], expected["model"]["merges"]);
        assert_eq!(found["model"]["vocab"], expected["model"]["vocab"]);
    }
}

#[test]
fn threads_and_order_of_texts_do_not_matter() {
    let mut texts = TEXTS.repeat(2000);
    let one = train(pairs(250), &texts, &serial);
    texts.reverse();
    assert_eq!(train(pairs(250), &texts, &threaded).document(), one.document());
    let encoded = one.encode_batch(&texts, (Some(2), Some(3)), &threaded, &|| false).unwrap();
    assert_eq!(encoded, one.encode_batch(&texts, (Some(2), Some(3)), &serial, &|| false).unwrap());
    assert_eq!(encoded.offsets.len(), texts.len() + 1);
    let mut expected = vec![2];
    expected.extend(one.encode(texts[9]).unwrap());
    expected.push(3);
    assert_eq!(encoded.ids[encoded.offsets[9] as usize..encoded.offsets[10] as usize], expected);
    let decoded = one.decode_batch(&encoded.ids, &encoded.offsets, &threaded, &|| false).unwrap();
    assert_eq!(decoded[9], one.decode(&expected).unwrap());
    let stopped = one.encode_batch(&texts, (None, None), &serial, &|| true);
    assert_eq!(stopped.unwrap_err().fault, Fault::Cancelled);
}

#[test]
fn special_tokens_are_found_in_text_but_not_the_usual_ones() {
    let special = vec!["<2zh>".to_owned(), "<2z".to_owned()];
    for kind in [TrainedKind::Word, TrainedKind::Character, TrainedKind::Bpe] {
        let options = TrainingOptions { special_tokens: special.clone(), ..options(kind) };
        let tokenizer = train(options, &["hello <2zh> </s>"], &serial);
        assert_eq!(&*tokenizer.tokens()[4], "<2zh>");
        let ids = tokenizer.encode("<2zh>hello</s>").unwrap();
        assert_eq!((ids[0], ids.contains(&3)), (4, false), "{kind:?}");
        assert_eq!(tokenizer.encode("h<2z").unwrap().last(), Some(&5));
    }
}

#[test]
fn rare_characters_and_small_vocabularies_leave_gaps() {
    let texts = ["abab abab abab xyz"];
    let tokenizer = train(TrainingOptions { minimum_count: 2, ..pairs(9) }, &texts, &serial);
    assert_eq!(tokenizer.tokens().iter().map(|token| &**token).collect::<Vec<_>>()[4..], ["a", "b", "▁", "ab", "▁ab"]);
    assert_eq!(tokenizer.encode("axb").unwrap(), [6, 4, 1, 5]);
    let error = Counting::new(pairs(4)).unwrap_err();
    assert_eq!(error.fault, Fault::Option);
    let counting = Counting::new(TrainingOptions { minimum_count: 50, ..pairs(9) }).unwrap();
    counting.add(&texts, &serial, &|| false).unwrap();
    assert_eq!(counting.end().unwrap().end().unwrap_err().fault, Fault::Data);
    assert_eq!(Counting::new(pairs(9)).unwrap().end().unwrap_err().fault, Fault::Data);
}

#[test]
fn long_texts_take_no_long_time() {
    let tokenizer = train(pairs(250), &TEXTS, &serial);
    for text in ["a".repeat(1 << 20), "a-".repeat(1 << 19), "'".repeat(1 << 19), " ".repeat(1 << 20)] {
        let ids = tokenizer.encode(&text).unwrap();
        assert!(!ids.is_empty());
    }
}
