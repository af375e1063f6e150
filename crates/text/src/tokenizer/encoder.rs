//! The encoders, and which of them can do what a document says.
use super::{
    cutter::{Cut, Cutter},
    document::{self, Document},
    error::Result,
    general::General,
    ideographs::Ideographs,
    merges::Merges,
    normalize::Step,
    sentencepiece::SentencePiece,
    unigram::Unigram,
    word_piece::{self, WordPiece},
};

/// What turns a text into ids.
pub(super) enum Encoder {
    Table { cutter: Cutter, unknown: i32 },
    Pieces { cutter: Cutter, model: PieceModel },
    SentencePiece(Box<SentencePiece>),
    General(Box<General>),
}

/// How the pieces of a text become ids.
pub(super) enum PieceModel {
    Pairs { unknown: Option<u32>, fuse: bool, merges: Merges },
    WordPiece(WordPiece),
    Unigram(Unigram),
}

/// The encoder of this crate, if it can do what the document says.
pub(super) fn own_encoder(
    document: &Document,
    steps: &[Step],
    cut: Cut,
    is_control: &dyn Fn(u32) -> bool,
) -> Result<Option<Encoder>> {
    let model = document.part("model");
    let added: Vec<&document::Added> = document.added.iter().filter(|added| !is_control(added.id)).collect();
    if added.iter().any(|added| !added.plain) {
        return Ok(None);
    }
    let contents: Vec<&str> = added.iter().map(|added| added.content.as_str()).collect();
    let cutter = || Cutter::new(steps.to_vec(), cut, &contents);
    let unknown = match model.get("unk_token").and_then(|name| name.as_str()) {
        Some(name) => match document.id(name) {
            Some(id) => Some(id),
            None => return Ok(None),
        },
        None => None,
    };
    if document.model == "WordLevel" && matches!(cut, Cut::Words(_) | Cut::Characters) {
        return unknown.map(|id| Ok(Encoder::Table { cutter: cutter()?, unknown: id as i32 })).transpose();
    }
    if let ("WordPiece", Cut::WordParts(_) | Cut::Bert, Some(unknown)) = (document.model.as_str(), cut, unknown) {
        let prefix = model.get("continuing_subword_prefix").map_or(Some(word_piece::PREFIX), |prefix| prefix.as_str());
        let longest = model.get("max_input_chars_per_word").map_or(Some(100), |longest| longest.as_u64());
        let (Some(prefix), Some(longest)) = (prefix, longest) else { return Ok(None) };
        let model = WordPiece::new(&document.tokens, prefix, unknown, longest as usize);
        return Ok(Some(Encoder::Pieces { cutter: cutter()?, model: PieceModel::WordPiece(model) }));
    }
    if document.model == "Unigram" && matches!(cut, Cut::Marked(Ideographs::Runs | Ideographs::Words)) {
        return unigram_model(model).map(|model| Ok(Encoder::Pieces { cutter: cutter()?, model })).transpose();
    }
    let is_off = |name: &str| {
        model.get(name).is_none_or(|value| value.is_null() || value == false || value == "" || value == 0.0)
    };
    if document.model != "BPE"
        || !matches!(cut, Cut::Marked(Ideographs::Single | Ideographs::Words) | Cut::Bytes)
        || !["dropout", "continuing_subword_prefix", "end_of_word_suffix", "byte_fallback", "ignore_merges"]
            .into_iter()
            .all(is_off)
    {
        return Ok(None);
    }
    let merges = Merges::new(document::merges(document)?.into_iter());
    let model = PieceModel::Pairs { unknown, fuse: model["fuse_unk"] == true, merges };
    Ok(Some(Encoder::Pieces { cutter: cutter()?, model }))
}

/// The unigram model of a document that was checked, if bytes do not stand for unknown characters.
fn unigram_model(model: &serde_json::Value) -> Option<PieceModel> {
    let unknown = u32::try_from(model.get("unk_id")?.as_u64()?).ok()?;
    if model.get("byte_fallback").is_some_and(|fallback| fallback == true) {
        return None;
    }
    let entries = model.get("vocab")?.as_array()?;
    let pieces = entries.iter().filter_map(|entry| Some((entry.get(0)?.as_str()?, entry.get(1)?.as_f64()?)));
    Some(PieceModel::Unigram(Unigram::new(pieces, unknown)))
}
