//! Tokens with a meaning of their own.
use super::{Fault, Result, TokenizerError, document::Document};

/// Ids of tokens with a meaning of their own, where there are any.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Specials {
    /// Padding.
    pub padding: Option<u32>,
    /// What is not in the vocabulary.
    pub unknown: Option<u32>,
    /// Before the first token of a target.
    pub begin: Option<u32>,
    /// After the last.
    pub end: Option<u32>,
}

/// Tokens that stand for padding, begin and end where their usual names do not tell.
#[derive(Clone, Debug, Default)]
pub struct SpecialNames {
    /// The padding token.
    pub padding: Option<String>,
    /// The unknown token.
    pub unknown: Option<String>,
    /// The begin token.
    pub begin: Option<String>,
    /// The end token.
    pub end: Option<String>,
}

/// The special tokens of a document: by the names given, its own, or the usual ones.
pub(super) fn find(document: &Document, names: &SpecialNames) -> Result<Specials> {
    let find = |what: &str, name: &Option<String>, own: Option<&str>, usual: &[&str]| match name {
        Some(name) => document.id(name).map(Some).ok_or_else(|| {
            TokenizerError::new(Fault::Option, format!("{what}: {name:?} is no token of the vocabulary"))
        }),
        None => Ok(own.into_iter().chain(usual.iter().copied()).find_map(|name| document.id(name))),
    };
    let model = document.part("model");
    let by_id = model.get("unk_id").and_then(|id| id.as_u64()).and_then(|id| document.tokens.get(id as usize));
    let unknown = model.get("unk_token").and_then(|name| name.as_str()).or(by_id.map(|token| &**token));
    let padding = document.part("padding").get("pad_token").and_then(|name| name.as_str());
    Ok(Specials {
        padding: find("padding", &names.padding, padding, &["<pad>", "[PAD]", "<|pad|>"])?,
        unknown: find("unknown", &names.unknown, unknown, &["<unk>", "[UNK]"])?,
        begin: find("begin", &names.begin, None, &["<s>", "[CLS]", "<bos>", "<|begin_of_text|>", "<|startoftext|>"])?,
        end: find("end", &names.end, None, &["</s>", "[SEP]", "<eos>", "<|end_of_text|>", "<|endoftext|>"])?,
    })
}
