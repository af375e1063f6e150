//! Files of other libraries, as the `tokenizer.json` that does the same.
use serde_json::{Map, Value, json};

use super::{
    SpecialNames, Tokenizer,
    error::{Fault, Result, TokenizerError},
    sentencepiece, word_piece,
};

/// What BERT's vocabularies mark special.
const BERT_SPECIALS: [&str; 5] = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];
/// What stands between texts in GPT-2's vocabulary.
const GPT2_SPECIAL: &str = "<|endoftext|>";

fn wrong(file: &str, message: impl std::fmt::Display) -> TokenizerError {
    TokenizerError::new(Fault::Format, format!("{file}: {message}"))
}

fn special(content: &str, id: impl Into<Value>) -> Value {
    json!({
        "id": id.into(), "content": content, "single_word": false, "lstrip": false, "rstrip": false,
        "normalized": false, "special": true,
    })
}

impl Tokenizer {
    /// Reads a model of SentencePiece, which may come from anywhere.
    ///
    /// # Errors
    /// `Format` if it is damaged or not of a supported kind, `Limit` if it is too large, `Option` if a name is no token.
    pub fn parse_sentencepiece(bytes: &[u8], names: &SpecialNames) -> Result<Self> {
        Self::parse(sentencepiece::document(bytes)?, names)
    }

    /// Reads the `vocab.txt` of a BERT model: a token a line. Texts are cut as by BERT, in lower case without accents or
    /// as they are.
    ///
    /// # Errors
    /// `Format` if there is no `[UNK]`, `Limit` if it is too large, `Option` if a name is no token.
    pub fn parse_vocabulary(text: &str, lowercase: bool, names: &SpecialNames) -> Result<Self> {
        let mut vocabulary = Map::new();
        for (id, line) in text.lines().enumerate().filter(|(_, line)| !line.is_empty()) {
            vocabulary.insert(line.to_owned(), id.into());
        }
        if !vocabulary.contains_key(BERT_SPECIALS[1]) {
            return Err(wrong("vocab.txt", "there is no line [UNK]"));
        }
        let added = BERT_SPECIALS.iter().filter_map(|name| Some(special(name, vocabulary.get(*name)?.clone())));
        let document = json!({
            "version": "1.0",
            "truncation": null,
            "padding": null,
            "added_tokens": added.collect::<Vec<Value>>(),
            "normalizer": {
                "type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true, "strip_accents": null,
                "lowercase": lowercase,
            },
            "pre_tokenizer": { "type": "BertPreTokenizer" },
            "post_processor": null,
            "decoder": { "type": "WordPiece", "prefix": word_piece::PREFIX, "cleanup": true },
            "model": {
                "type": "WordPiece", "unk_token": BERT_SPECIALS[1], "continuing_subword_prefix": word_piece::PREFIX,
                "max_input_chars_per_word": word_piece::LONGEST_WORD, "vocab": vocabulary,
            },
        });
        Self::parse(document.to_string(), names)
    }

    /// Reads `vocab.json` and `merges.txt` of a model that cuts texts as GPT-2 does, into byte pairs of bytes.
    ///
    /// # Errors
    /// `Format` if they are damaged or do not fit together, `Limit` if they are too large, `Option` if a name is no token.
    pub fn parse_merges(vocabulary: &str, merges: &str, names: &SpecialNames) -> Result<Self> {
        let vocabulary: Value = serde_json::from_str(vocabulary).map_err(|error| wrong("vocab.json", error))?;
        let mut pairs = Vec::new();
        for (index, line) in merges.lines().enumerate() {
            if line.is_empty() || (index == 0 && line.starts_with("#version")) {
                continue;
            }
            let pair = line.split_once(' ').filter(|(left, right)| !left.is_empty() && !right.is_empty());
            pairs.push(pair.ok_or_else(|| wrong("merges.txt", format!("line {}: expected two tokens", index + 1)))?);
        }
        let added = vocabulary.get(GPT2_SPECIAL).map(|id| special(GPT2_SPECIAL, id.clone()));
        let bytes = json!({ "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true });
        let document = json!({
            "version": "1.0",
            "truncation": null,
            "padding": null,
            "added_tokens": added.into_iter().collect::<Vec<Value>>(),
            "normalizer": null,
            "pre_tokenizer": &bytes,
            "post_processor": null,
            "decoder": &bytes,
            "model": {
                "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
                "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false, "ignore_merges": false,
                "vocab": vocabulary, "merges": pairs,
            },
        });
        Self::parse(document.to_string(), names)
    }
}
