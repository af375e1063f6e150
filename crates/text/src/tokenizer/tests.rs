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
        chinese_words: false,
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
        TrainingOptions { kind: TrainedKind::WordPiece, lowercase: true, ..pairs(220) },
        TrainingOptions { kind: TrainedKind::Unigram, ..pairs(150) },
        TrainingOptions {
            kind: TrainedKind::Unigram,
            normalization: Normalization::Nfkc,
            minimum_count: 2,
            ..pairs(90)
        },
    ];
    options.into_iter().map(|options| train(options, &TEXTS, &serial)).collect()
}

#[track_caller]
fn agrees(tokenizer: &Tokenizer, oracle: &Crate, text: &str) {
    let ids = tokenizer.encode(text).unwrap();
    let expected: Vec<i32> = oracle.encode_fast(text, false).unwrap().get_ids().iter().map(|&id| id as i32).collect();
    assert_eq!(ids, expected, "{text:?} {:?} {:?}", tokenizer.kind(), tokenizer.tokenize(text));
    if !matches!(tokenizer.cut, Some(Cut::Words(_) | Cut::WordParts(_))) && !ids.contains(&1) {
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
fn chinese_words_are_pieces_by_own_code_and_by_the_crate() {
    let texts = [
        "我来到北京清华大学",
        "他来到了网易杭研大厦 3",
        "我们 在 北京大学，喝咖啡。Tom's 好!",
        "すしを食べる 我\u{301}们",
    ];
    let kinds = [TrainedKind::Word, TrainedKind::WordPiece, TrainedKind::Bpe, TrainedKind::Unigram];
    let made = kinds.map(|kind| {
        let options = TrainingOptions { chinese_words: true, special_tokens: vec!["<2zh>".into()], ..options(kind) };
        let size = if kind == TrainedKind::Word { None } else { Some(120) };
        train(TrainingOptions { vocabulary_size: size, ..options }, &texts, &serial)
    });
    let general = made.each_ref().map(|tokenizer| {
        assert!(!matches!(tokenizer.encoder, Encoder::General(_)), "{tokenizer:?}");
        let document = Document::parse(tokenizer.document()).unwrap();
        General::new(&document, &[0, 1, 2, 3]).unwrap()
    });
    let words = made[0].tokenize("我来到北京清华大学, Tom's").unwrap();
    assert_eq!(words, ["我", "来到", "北京", "清华大学", ",", "Tom", "'s"]);
    for tokenizer in &made[..2] {
        let text = "我来到北京清华大学";
        assert_eq!(tokenizer.decode(&tokenizer.encode(text).unwrap()).unwrap(), text);
    }
    for tokenizer in &made[2..] {
        for text in texts {
            assert_eq!(tokenizer.decode(&tokenizer.encode(text).unwrap()).unwrap(), text.replace("e\u{301}", "é"));
        }
    }
    let letters = "我们在北京大学清华来到喝咖啡すガ▁ \u{301}a1.<2zh>";
    let random = prop::collection::vec(prop::sample::select(letters.chars().collect::<Vec<_>>()), 0..24)
        .prop_map(|characters| characters.into_iter().collect::<String>());
    proptest!(|(text in random)| {
        for (tokenizer, general) in made.iter().zip(&general) {
            let mut expected = Vec::new();
            general.encode(&text, &mut expected).unwrap();
            prop_assert_eq!(tokenizer.encode(&text).unwrap(), expected, "{:?} {:?}", tokenizer.kind(), tokenizer.tokenize(&text));
            let (ids, spans) = tokenizer.encode_spans(&text, &Encoding::default()).unwrap();
            prop_assert_eq!(ids.len() * 2, spans.len());
            let again = Tokenizer::parse(tokenizer.document().to_owned(), &SpecialNames::default()).unwrap();
            prop_assert_eq!(again.encode(&text).unwrap(), ids);
        }
    });
    let wrong = made[0].document().replace("\"jieba\"", "\"other\"");
    assert_eq!(Tokenizer::parse(wrong, &SpecialNames::default()).unwrap_err().fault, Fault::Format);
    for wrong in [TrainingOptions { byte_level: true, ..pairs(300) }, options(TrainedKind::Character)] {
        let error = Counting::new(TrainingOptions { chinese_words: true, ..wrong }).unwrap_err();
        assert_eq!(error.fault, Fault::Option);
    }
}

#[test]
fn spans_of_plain_texts_are_those_of_the_crate() {
    let vocabulary = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n[\n]\n.\n'\nthe\ncat\n##s\n##at\nc\na\nb\n##b\n##a\ni\n##i";
    let mut made = all();
    made.push(Tokenizer::parse_vocabulary(vocabulary, true, &SpecialNames::default()).unwrap());
    made.push(train(
        TrainingOptions { special_tokens: vec!["<2 zh>".into(), " b".into()], ..pairs(160) },
        &TEXTS,
        &serial,
    ));
    made.push(train(TrainingOptions { chinese_words: true, ..options(TrainedKind::Word) }, &TEXTS, &serial));
    let letters = "aAbBcCtThHeEsS.,'-_ 129\t\n\r#<2 zh>/[MASK]";
    let random = prop::collection::vec(prop::sample::select(letters.chars().collect::<Vec<_>>()), 0..24)
        .prop_map(|characters| characters.into_iter().collect::<String>());
    let words = prop::collection::vec(
        prop::sample::select(vec!["the", " cat", "s", " ", "<2 zh>", " b", "don't", "[MASK]", "q"]),
        0..9,
    )
    .prop_map(|words| words.concat());
    let counts: Vec<std::cell::Cell<u32>> = made.iter().map(|_| std::cell::Cell::new(0)).collect();
    proptest!(|(text in prop_oneof![random, words])| {
        for (tokenizer, count) in made.iter().zip(&counts) {
            let Some(found) = tokenizer.plain_spans(&text, &mut Room::default()) else { continue };
            count.set(count.get() + 1);
            prop_assert_eq!(found, tokenizer.general().unwrap().encode_spans(&text).unwrap(), "{:?} {:?}", text, tokenizer);
        }
    });
    assert!(counts.iter().all(|count| count.get() > 50), "{counts:?}");
    assert!(made[0].plain_spans("é", &mut Room::default()).is_none());
}

#[test]
fn vocabularies_of_bert_are_run_by_own_code_as_by_the_crate() {
    let vocabulary = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n[\n]\n.\n'\nthe\ncat\n##s\n##at\nc\na\nb\n##b\n##a\nÀ\n我\n们\ni\n##i\n，\n🙂";
    let all = [true, false].map(|lowercase| {
        let tokenizer = Tokenizer::parse_vocabulary(vocabulary, lowercase, &SpecialNames::default()).unwrap();
        assert!(!matches!(tokenizer.encoder, Encoder::General(_)));
        let document = Document::parse(tokenizer.document()).unwrap();
        (General::new(&document, &[0, 1, 2, 3]).unwrap(), tokenizer)
    });
    let same = |text: &str| {
        for (general, tokenizer) in &all {
            let mut expected = Vec::new();
            general.encode(text, &mut expected).unwrap();
            assert_eq!(tokenizer.encode(text).unwrap(), expected, "{text:?}");
            let tokens = expected.iter().map(|&id| tokenizer.tokens()[id as usize].to_string()).collect();
            assert_eq!(tokenizer.decode(&expected).unwrap(), general.decode(tokens).unwrap());
        }
    };
    for character in ('\0'..='\u{ffff}').chain(('\u{10000}'..=char::MAX).step_by(37)) {
        // What is dropped joins a and b, what is a space or a mark parts them.
        same(&format!("a{character}b"));
    }
    for text in TEXTS {
        same(text);
    }
    let letters = "abct'the s[MASK]我们ÀàİΣ\u{301}\u{0} \t\u{3000}，.🙂🙃";
    let random = prop::collection::vec(prop::sample::select(letters.chars().collect::<Vec<_>>()), 0..24)
        .prop_map(|characters| characters.into_iter().collect::<String>());
    proptest!(|(text in prop_oneof![random, any::<String>()])| same(&text));
    same("a[MASK]b [CLS] cats");
    same(&"a".repeat(101));
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
    let framed = Encoding { begin: Some(2), end: Some(3), ..Encoding::default() };
    let encoded = one.encode_batch(&texts, &framed, &threaded, &|| false).unwrap();
    assert_eq!(encoded, one.encode_batch(&texts, &framed, &serial, &|| false).unwrap());
    assert_eq!(encoded.offsets.len(), texts.len() + 1);
    let mut expected = vec![2];
    expected.extend(one.encode(texts[9]).unwrap());
    expected.push(3);
    assert_eq!(encoded.ids[encoded.offsets[9] as usize..encoded.offsets[10] as usize], expected);
    let decoded = one.decode_batch(&encoded.ids, &encoded.offsets, None, &threaded, &|| false).unwrap();
    assert_eq!(decoded[9], one.decode(&expected).unwrap());
    let stopped = one.encode_batch(&texts, &Encoding::default(), &serial, &|| true);
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

#[test]
fn parts_of_words_are_those_of_the_crate() {
    use tokenizers::models::wordpiece::WordPieceTrainer;
    // Every count differs, so that no choice is left open.
    let texts = ["lowest ".repeat(5), "newer ".repeat(11), "wider ".repeat(24), "news ".repeat(50), "low ".repeat(101)];
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    for size in [22, 26, 30] {
        let tokenizer = train(TrainingOptions { kind: TrainedKind::WordPiece, ..pairs(size) }, &texts, &serial);
        let mut document: serde_json::Value = serde_json::from_str(tokenizer.document()).unwrap();
        document["added_tokens"] = serde_json::json!([]);
        let mut own: Crate = serde_json::from_value(document).unwrap();
        let trainer = WordPieceTrainer::builder()
            .vocab_size(size)
            .show_progress(false)
            .special_tokens(SPECIALS.iter().map(|name| AddedToken::from(*name, true)).collect());
        let mut trainer: tokenizers::models::TrainerWrapper = trainer.build().into();
        own.train(&mut trainer, texts.iter().copied()).unwrap();
        let mut expected: Vec<String> = own.get_vocab(false).into_keys().collect();
        let mut found: Vec<String> = tokenizer.tokens().iter().map(ToString::to_string).collect();
        expected.sort_unstable();
        found.sort_unstable();
        assert_eq!(found, expected, "{size}");
    }
    let tokenizer = train(TrainingOptions { kind: TrainedKind::WordPiece, ..pairs(30) }, &texts, &serial);
    assert_eq!(tokenizer.decode(&tokenizer.encode("lower news").unwrap()).unwrap(), "lower news");
    assert_eq!(tokenizer.encode("x").unwrap(), [1]);
    assert_eq!(tokenizer.encode(&"low".repeat(40)).unwrap(), [1]);
}

#[test]
fn pieces_of_unigram_models_do_not_depend_on_threads_and_come_back() {
    let mut texts = TEXTS.repeat(300);
    let options = TrainingOptions { kind: TrainedKind::Unigram, ..pairs(200) };
    let one = train(options.clone(), &texts, &serial);
    texts.reverse();
    assert_eq!(train(options, &texts, &threaded).document(), one.document());
    assert!(one.tokens().len() > 150 && one.tokens().len() <= 200);
    for text in &TEXTS[..4] {
        let text: String = text.chars().filter(|character| *character != '▁').collect();
        assert_eq!(one.decode(&one.encode(&text).unwrap()).unwrap(), text.replace("e\u{301}", "é"));
    }
    let controls = one.encode("<s></s><pad><unk>").unwrap();
    assert!(controls.iter().all(|&id| id > 3), "{controls:?}");
    let read = Tokenizer::parse(one.document().to_owned(), &SpecialNames::default()).unwrap();
    assert_eq!(read.encode(TEXTS[5]).unwrap(), one.encode(TEXTS[5]).unwrap());
}

#[test]
fn texts_are_truncated_at_either_end() {
    let tokenizer = train(options(TrainedKind::Character), &["abcdef"], &serial);
    let all = tokenizer.encode("abcdef").unwrap();
    let encode = |longest, keep_end, begin, end| {
        let encoding = Encoding { begin, end, longest: Some(longest), keep_end, sampling: None };
        tokenizer.encode_as("abcdef", &encoding).unwrap()
    };
    assert_eq!(encode(6, false, None, None), all);
    assert_eq!(encode(4, false, None, None), all[..4]);
    assert_eq!(encode(4, true, None, None), all[2..]);
    assert_eq!(encode(4, false, Some(2), Some(3)), [&[2], &all[..2], &[3]].concat());
    assert_eq!(encode(4, true, Some(2), Some(3)), [&[2], &all[4..], &[3]].concat());
    assert_eq!(encode(2, true, Some(2), Some(3)), [2, 3]);
}

#[test]
fn what_is_drawn_follows_from_seed_and_number() {
    let unigram = TrainingOptions { kind: TrainedKind::Unigram, ..pairs(200) };
    for (options, amount) in [(pairs(250), 0.3), (unigram, 0.2)] {
        let tokenizer = train(options, &TEXTS, &serial);
        let texts = TEXTS.repeat(800);
        let encode = |texts: &[&str], seed, first, run: Run<'_>| {
            let sampling = Some(Sampling { amount, seed, first });
            tokenizer.encode_batch(texts, &Encoding { sampling, ..Encoding::default() }, run, &|| false).unwrap()
        };
        let all = encode(&texts, 1, 0, &serial);
        assert_eq!(all, encode(&texts, 1, 0, &threaded));
        assert_ne!(all.ids, encode(&texts, 2, 0, &serial).ids);
        let row = |encoded: &Encoded, row: usize| {
            encoded.ids[encoded.offsets[row] as usize..encoded.offsets[row + 1] as usize].to_vec()
        };
        assert_eq!(row(&all, 3001), row(&encode(&texts[3000..3010], 1, 3000, &serial), 1));
        assert_ne!(row(&all, 0), row(&all, 8));
        for number in [0, 9, 15] {
            let text = tokenizer.decode(&tokenizer.encode(texts[number]).unwrap()).unwrap();
            assert_eq!(tokenizer.decode(&row(&all, number)).unwrap(), text);
        }
    }
    let words = train(options(TrainedKind::Word), &TEXTS, &serial);
    let sampling = Some(Sampling { amount: 0.1, seed: 0, first: 0 });
    let error = words.encode_as("a", &Encoding { sampling, ..Encoding::default() }).unwrap_err();
    assert_eq!(error.fault, Fault::Option);
}
