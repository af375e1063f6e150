//! A file of SentencePiece as `tokenizer.json`, for the `tokenizers` library of Hugging Face.
use ahash::AHashMap;
use serde_json::{Value, json};

use super::{
    super::{base64, error::Result},
    file::{Algorithm, File, PieceType, damaged},
    normalizer::SPACE,
};

/// The text of a `tokenizer.json` that encodes ordinary texts the same there, and that holds the whole file for this library.
pub(super) fn write(file: &File, bytes: &[u8]) -> Result<String> {
    let mut normalizers = Vec::new();
    if !file.charsmap.is_empty() {
        normalizers.push(json!({ "type": "Precompiled", "precompiled_charsmap": base64::encode(&file.charsmap) }));
    }
    if file.remove_extra_spaces {
        normalizers.push(json!({ "type": "Strip", "strip_left": true, "strip_right": true }));
        normalizers.push(json!({ "type": "Replace", "pattern": { "Regex": " {2,}" }, "content": " " }));
    }
    let scheme = if file.dummy_prefix && !file.suffix { "always" } else { "never" };
    let spaces = json!({ "type": "Metaspace", "replacement": SPACE, "prepend_scheme": scheme, "split": false });
    let mut pre_tokenizer = spaces.clone();
    pre_tokenizer[super::KEY] = base64::encode(bytes).into();
    let added =
        (0..).zip(&file.pieces).filter(|(_, piece)| piece.kind != PieceType::Normal).filter_map(|(id, piece)| {
            let special = match piece.kind {
                PieceType::Unknown | PieceType::Control => true,
                PieceType::UserDefined => false,
                _ => return None,
            };
            let id: u32 = id;
            Some(json!({
                "id": id, "content": &*piece.text, "single_word": false, "lstrip": false, "rstrip": false,
                "normalized": false, "special": special,
            }))
        });
    let decoder = if file.byte_fallback {
        json!({ "type": "Sequence", "decoders": [{ "type": "ByteFallback" }, spaces] })
    } else {
        spaces
    };
    let document = json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": added.collect::<Vec<Value>>(),
        "normalizer": if normalizers.is_empty() { Value::Null } else { json!({ "type": "Sequence", "normalizers": normalizers }) },
        "pre_tokenizer": pre_tokenizer,
        "post_processor": null,
        "decoder": decoder,
        "model": match file.algorithm {
            Algorithm::Unigram => unigram(file),
            Algorithm::Bpe => pairs(file),
        },
    });
    serde_json::to_string(&document).map_err(damaged)
}

fn unigram(file: &File) -> Value {
    let vocabulary: Vec<(&str, f64)> = file.pieces.iter().map(|piece| (&*piece.text, f64::from(piece.score))).collect();
    json!({ "type": "Unigram", "unk_id": file.unknown, "vocab": vocabulary, "byte_fallback": file.byte_fallback })
}

fn pairs(file: &File) -> Value {
    let ids: AHashMap<&str, usize> = file.pieces.iter().enumerate().map(|(id, piece)| (&*piece.text, id)).collect();
    let mut merges = Vec::new();
    for piece in file.pieces.iter().filter(|piece| piece.kind == PieceType::Normal) {
        let cuts = piece.text.char_indices().skip(1).map(|(cut, _)| piece.text.split_at(cut));
        let mut own: Vec<(usize, usize)> =
            cuts.filter_map(|(left, right)| Some((*ids.get(left)?, *ids.get(right)?))).collect();
        own.sort_unstable();
        merges.extend(own.into_iter().map(|pair| (piece.score, pair)));
    }
    // Of equal scores those of the earlier piece first.
    merges.sort_by(|a, b| b.0.total_cmp(&a.0));
    let text = |id: usize| &*file.pieces[id].text;
    let merges: Vec<(&str, &str)> = merges.into_iter().map(|(_, (left, right))| (text(left), text(right))).collect();
    let vocabulary: serde_json::Map<String, Value> =
        ids.iter().map(|(text, id)| ((*text).to_owned(), (*id).into())).collect();
    json!({
        "type": "BPE", "dropout": null, "unk_token": text(file.unknown as usize), "continuing_subword_prefix": null,
        "end_of_word_suffix": null, "fuse_unk": true, "byte_fallback": file.byte_fallback, "ignore_merges": false,
        "vocab": vocabulary, "merges": merges,
    })
}
