use std::path::Path;

use proptest::prelude::*;
use serde_json::Value;
use tokenizers::{
    DecoderWrapper, ModelWrapper, NormalizerWrapper, PostProcessorWrapper, PreTokenizerWrapper, TokenizerImpl,
};

use super::super::{Encoding, Fault, Sampling, SpecialNames, Tokenizer};

const GOLDEN: &str = "../../__test__/golden/tokenizers";
const NAMES: [&str; 6] = ["unigram", "bpe", "unigram-bytes", "bpe-bytes", "unigram-spaces", "bpe-suffix"];

fn bytes(name: &str) -> Vec<u8> {
    std::fs::read(Path::new(GOLDEN).join(format!("sentencepiece/{name}.model"))).unwrap()
}

fn read(name: &str) -> Tokenizer {
    Tokenizer::parse_sentencepiece(&bytes(name), &SpecialNames::default()).unwrap()
}

fn golden() -> Value {
    serde_json::from_str(&std::fs::read_to_string(Path::new(GOLDEN).join("sentencepiece.json")).unwrap()).unwrap()
}

fn integers(value: &Value) -> Vec<i32> {
    value.as_array().unwrap().iter().map(|id| id.as_i64().unwrap() as i32).collect()
}

#[test]
fn ids_texts_and_spans_are_those_of_sentencepiece() {
    let golden = golden();
    let texts: Vec<&str> = golden["texts"].as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect();
    for name in NAMES {
        let model = &golden["models"][name];
        let tokenizer = read(name);
        assert_eq!(tokenizer.tokens().len() as u64, model["size"].as_u64().unwrap());
        let specials = tokenizer.specials();
        for (found, key) in [
            (specials.padding, "padding"),
            (specials.unknown, "unknown"),
            (specials.begin, "begin"),
            (specials.end, "end"),
        ] {
            assert_eq!(found.map_or(-1, i64::from), model["specials"][key].as_i64().unwrap(), "{name} {key}");
        }
        for (text, row) in texts.iter().zip(model["encoded"].as_array().unwrap()) {
            let expected = integers(&row["ids"]);
            let ids = tokenizer.encode(text).unwrap();
            assert_eq!(ids, expected, "{name} {text:?}");
            assert_eq!(tokenizer.decode(&ids).unwrap(), row["text"].as_str().unwrap(), "{name} {text:?}");
            let (ids, spans) = tokenizer.encode_spans(text, &Encoding::default()).unwrap();
            assert_eq!(ids, expected);
            let units = |byte: i32| text[..byte as usize].encode_utf16().count() as i32;
            let expected: Vec<i32> = integers(&row["spans"]).into_iter().map(units).collect();
            assert_eq!(spans, expected, "{name} {text:?}");
        }
    }
}

type Crate = TokenizerImpl<ModelWrapper, NormalizerWrapper, PreTokenizerWrapper, PostProcessorWrapper, DecoderWrapper>;

#[test]
fn what_is_saved_comes_back_and_is_read_by_the_crate() {
    for name in NAMES {
        let tokenizer = read(name);
        let again = Tokenizer::parse(tokenizer.document().to_owned(), &SpecialNames::default()).unwrap();
        assert_eq!(again.document(), tokenizer.document());
        assert_eq!(again.kind(), tokenizer.kind());
        assert_eq!(again.specials(), tokenizer.specials());
        let text = "Don't ①  é <sep>中文 new york abc👍";
        assert_eq!(again.encode(text).unwrap(), tokenizer.encode(text).unwrap());
        let oracle: Crate = serde_json::from_str(tokenizer.document()).unwrap();
        // The crate has no spaces after words, and keeps spaces that begin a text.
        if name == "bpe-suffix" {
            continue;
        }
        for text in ["I don't know", "hello there", "We are fine", "il est ici"] {
            let expected: Vec<i32> =
                oracle.encode_fast(text, false).unwrap().get_ids().iter().map(|&id| id as i32).collect();
            assert_eq!(tokenizer.encode(text).unwrap(), expected, "{name} {text}");
        }
    }
}

#[test]
fn texts_are_cut_at_random() {
    for (name, amount) in [("unigram", 0.2), ("bpe-bytes", 0.2)] {
        let tokenizer = read(name);
        assert!(tokenizer.can_sample());
        let text = "we are not there";
        let encode = |seed| {
            let sampling = Some(Sampling { amount, seed, first: 0 });
            tokenizer.encode_as(text, &Encoding { sampling, ..Encoding::default() }).unwrap()
        };
        let ways: std::collections::BTreeSet<Vec<i32>> = (0..40).map(encode).collect();
        assert!(ways.len() > 5, "{name}");
        assert_eq!(encode(3), encode(3));
        for way in &ways {
            assert_eq!(tokenizer.decode(way).unwrap(), text);
        }
    }
}

#[test]
fn damaged_files_are_typed_errors() {
    let good = bytes("unigram");
    let fault = |bytes: &[u8]| {
        Tokenizer::parse_sentencepiece(bytes, &SpecialNames::default()).map_err(|error| (error.fault, error.message))
    };
    for length in 0..good.len() {
        if let Err((fault, _)) = fault(&good[..length]) {
            assert_eq!(fault, Fault::Format);
        }
    }
    let wrong = |bytes: &[u8], part: &str| {
        let (fault, message) = fault(bytes).unwrap_err();
        assert!(fault == Fault::Format && message.contains(part), "{message}");
    };
    wrong(b"", "unknown");
    wrong(b"{}", "cut off");
    wrong(&[0x0a, 0xff, 0xff, 0xff, 0xff, 0x7f], "cut off");
    wrong(&[0x0a, 3, 0x0a, 1, 0xff], "UTF-8");
    wrong(&[0x0a, 5, 0x0a, 1, b'a', 0x18, 9], "type 9");
    wrong(&[0x0a, 2, 0x18, 1], "no text");
    wrong(&[0x0a, 8, 0x0a, 1, b'a', 0x15, 0, 0, 0xc0, 0x7f], "no score");
    let unknown = [0x0a, 5, 0x0a, 1, b'u', 0x18, 2];
    let with = |more: &[u8]| [&unknown[..], more].concat();
    assert!(fault(&unknown).is_ok());
    wrong(&with(&unknown), "twice");
    wrong(&with(&[0x0a, 5, 0x0a, 1, b'v', 0x18, 2]), "one piece");
    wrong(&with(&[0x0a, 5, 0x0a, 1, b'v', 0x18, 6]), "piece for a byte");
    wrong(&with(&[0x12, 3, 0x98, 2, 1]), "0 of 256");
    wrong(&with(&[0x12, 2, 0x18, 3]), "words and characters");
    wrong(&with(&[0x1a, 4, 0x12, 2, 1, 2]), "rules of normalisation");
    wrong(&with(&[0x1a, 6, 0x12, 4, 0xff, 0xff, 0xff, 0xff]), "rules of normalisation");
    wrong(&with(&[0x2a, 4, 0x12, 2, 1, 2]), "decoded");
    let (limit, _) = fault(&vec![0; (16 << 20) + 1]).unwrap_err();
    assert_eq!(limit, Fault::Limit);
    // A file in a tokenizer.json must fit to it.
    let mut document: Value = serde_json::from_str(read("unigram").document()).unwrap();
    document["model"]["vocab"][20][0] = "another".into();
    let error = Tokenizer::parse(document.to_string(), &SpecialNames::default()).unwrap_err();
    assert!(error.message.contains("are not those"), "{error}");
    document["pre_tokenizer"][super::KEY] = "*".into();
    let error = Tokenizer::parse(document.to_string(), &SpecialNames::default()).unwrap_err();
    assert!(error.message.contains("base 64"), "{error}");
}

#[test]
fn rules_cannot_lengthen_a_text_without_bound() {
    // A double array in which "a" leads to 300,000 letters.
    let mut units = vec![0u32; 512];
    units[0] = 256 << 10;
    units[256 ^ usize::from(b'a')] = u32::from(b'a') | 1 << 8 | (1 << 10);
    units[256 ^ usize::from(b'a') ^ 1] = 1 << 31;
    let mut charsmap = 2048u32.to_le_bytes().to_vec();
    charsmap.extend(units.iter().flat_map(|unit| unit.to_le_bytes()));
    charsmap.extend("x".repeat(300_000).into_bytes());
    let varint = |mut value: usize| {
        let mut bytes = Vec::new();
        while value > 127 {
            bytes.push(value as u8 | 128);
            value >>= 7;
        }
        bytes.push(value as u8);
        bytes
    };
    let inner = [vec![0x12], varint(charsmap.len()), charsmap].concat();
    let file = [vec![0x0a, 5, 0x0a, 1, b'u', 0x18, 2, 0x1a], varint(inner.len()), inner].concat();
    let tokenizer = Tokenizer::parse_sentencepiece(&file, &SpecialNames::default()).unwrap();
    assert_eq!(tokenizer.encode("a").unwrap(), [0]);
    assert_eq!(tokenizer.encode(&"a".repeat(30)).unwrap_err().fault, Fault::Data);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn changed_files_are_read_or_refused(
        name in prop::sample::select(&NAMES[..4]),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        text in any::<String>(),
    ) {
        let mut bytes = bytes(name);
        for (place, byte) in changes {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        if let Ok(tokenizer) = Tokenizer::parse_sentencepiece(&bytes, &SpecialNames::default())
            && let Ok(ids) = tokenizer.encode(&text) {
            tokenizer.decode(&ids).unwrap();
        }
    }
}
