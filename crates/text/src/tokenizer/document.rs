//! `tokenizer.json` in the format of Hugging Face: what is read of it, checked, and written.
use ahash::AHashMap;
use serde::{Serialize, Serializer, ser::SerializeMap};
use serde_json::{Value, json};

use super::{
    cutter::Cut,
    error::{Fault, Result, TokenizerError},
    normalize::{self, Step},
    word_piece,
};

/// The largest file accepted, in bytes.
pub const LARGEST_DOCUMENT: usize = 64 << 20;
/// Most entries of a vocabulary.
const MOST_TOKENS: usize = 1 << 22;
/// Ids without a token that are accepted.
const MOST_HOLES: usize = 1 << 16;
/// Bytes of all tokens of a unigram model: the crate keeps them as a tree that needs some 100 bytes each.
const UNIGRAM_BYTES: usize = 8 << 20;
/// Most normalisers, pre-tokenisers and decoders, those in sequences counted one by one.
const MOST_PARTS: usize = 64;

/// Names of the special tokens that training gives, in the order of their ids.
pub const SPECIALS: [&str; 4] = ["<pad>", "<unk>", "<s>", "</s>"];

/// An entry of `added_tokens`.
pub(super) struct Added {
    pub(super) content: String,
    pub(super) id: u32,
    /// Whether it is found in raw text, whatever is around it.
    pub(super) plain: bool,
}

/// A checked document.
pub(super) struct Document {
    pub(super) value: Value,
    pub(super) model: String,
    /// Tokens by id; empty where there is none.
    pub(super) tokens: Vec<Box<str>>,
    pub(super) ids: AHashMap<Box<str>, u32>,
    pub(super) added: Vec<Added>,
}

impl Document {
    /// Reads a text that may come from anywhere.
    pub(super) fn parse(text: &str) -> Result<Self> {
        if text.len() > LARGEST_DOCUMENT {
            let message = format!("tokenizer.json: more than {} MiB", LARGEST_DOCUMENT >> 20);
            return Err(TokenizerError::new(Fault::Limit, message));
        }
        let value: Value = serde_json::from_str(text).map_err(TokenizerError::format)?;
        let version = value.get("version");
        if version.is_some_and(|version| version != "1.0") {
            return Err(TokenizerError::format(format!("version {} is not known, only 1.0", value["version"])));
        }
        let Some(model) = value.get("model").filter(|model| model.is_object()) else {
            return Err(TokenizerError::format("there is no model"));
        };
        let kind = model_type(model)?;
        let mut vocabulary = Vocabulary::default();
        read_vocabulary(model, &kind, &mut vocabulary)?;
        let added = read_added(&value, &mut vocabulary)?;
        let tokens = vocabulary.by_id()?;
        check_parts(&value)?;
        check_model(model, &kind, &tokens)?;
        Ok(Self { model: kind, tokens, ids: vocabulary.ids, added, value })
    }

    pub(super) fn part(&self, name: &str) -> &Value {
        self.value.get(name).unwrap_or(&Value::Null)
    }

    /// The id of a name that stands in the model, if it is a token.
    pub(super) fn id(&self, name: &str) -> Option<u32> {
        self.ids.get(name).copied()
    }
}

/// Some old files leave the type out.
fn model_type(model: &Value) -> Result<String> {
    let name = match model.get("type") {
        Some(name) => name.as_str().unwrap_or_default(),
        None if model.get("merges").is_some() => "BPE",
        None if model.get("vocab").is_some_and(Value::is_array) => "Unigram",
        None if model.get("continuing_subword_prefix").is_some() => "WordPiece",
        None => "WordLevel",
    };
    if ["BPE", "WordPiece", "WordLevel", "Unigram"].contains(&name) {
        return Ok(name.to_owned());
    }
    Err(TokenizerError::format(format!(
        "model type {} is not known, only BPE, WordPiece, WordLevel and Unigram",
        model["type"]
    )))
}

#[derive(Default)]
struct Vocabulary {
    ids: AHashMap<Box<str>, u32>,
    largest: u32,
}

impl Vocabulary {
    fn insert(&mut self, token: &str, id: u64) -> Result<u32> {
        if self.ids.len() >= MOST_TOKENS {
            return Err(TokenizerError::new(Fault::Limit, format!("tokenizer.json: more than {MOST_TOKENS} tokens")));
        }
        let Some(id) = u32::try_from(id).ok().filter(|&id| (id as usize) < MOST_TOKENS + MOST_HOLES) else {
            return Err(TokenizerError::format(format!("token {}: id {id} is too large", shown(token))));
        };
        self.ids.insert(token.into(), id);
        self.largest = self.largest.max(id);
        Ok(id)
    }

    fn by_id(&self) -> Result<Vec<Box<str>>> {
        if self.ids.is_empty() {
            return Err(TokenizerError::format("the vocabulary is empty"));
        }
        if self.largest as usize >= self.ids.len() + MOST_HOLES {
            let message =
                format!("{} tokens with ids up to {}: too many without a token", self.ids.len(), self.largest);
            return Err(TokenizerError::format(message));
        }
        let mut tokens: Vec<Box<str>> = vec![Box::default(); self.largest as usize + 1];
        for (token, &id) in &self.ids {
            if !tokens[id as usize].is_empty() {
                return Err(TokenizerError::format(format!(
                    "tokens {} and {} have the same id {id}",
                    shown(&tokens[id as usize].to_string().min(token.to_string())),
                    shown(&tokens[id as usize].to_string().max(token.to_string())),
                )));
            }
            tokens[id as usize] = token.clone();
        }
        Ok(tokens)
    }
}

/// The beginning of a token, for messages.
fn shown(token: &str) -> String {
    format!("{:?}", token.chars().take(40).collect::<String>())
}

fn read_vocabulary(model: &Value, kind: &str, vocabulary: &mut Vocabulary) -> Result<()> {
    if kind == "Unigram" {
        let Some(entries) = model.get("vocab").and_then(Value::as_array) else {
            return Err(TokenizerError::format("the vocabulary of a unigram model must be a list"));
        };
        let mut bytes = 0;
        for (id, entry) in (0..).zip(entries) {
            let token = entry.get(0).and_then(Value::as_str);
            let score = entry.get(1).and_then(Value::as_f64).filter(|score| score.is_finite());
            let (Some(token), Some(_), Some(2)) = (token, score, entry.as_array().map(Vec::len)) else {
                return Err(TokenizerError::format(format!("entry {id} of the vocabulary is no token with its score")));
            };
            bytes += token.len();
            vocabulary.insert(token, id)?;
        }
        if bytes > UNIGRAM_BYTES {
            let message = format!("tokenizer.json: more than {} MiB of tokens", UNIGRAM_BYTES >> 20);
            return Err(TokenizerError::new(Fault::Limit, message));
        }
        if vocabulary.ids.len() != entries.len() {
            return Err(TokenizerError::format("a token occurs twice"));
        }
        let unknown = &model["unk_id"];
        if !unknown.is_null() && unknown.as_u64().is_none_or(|id| id as usize >= entries.len()) {
            return Err(TokenizerError::format("unk_id is no id of the vocabulary"));
        }
        return Ok(());
    }
    let Some(entries) = model.get("vocab").and_then(Value::as_object) else {
        return Err(TokenizerError::format("the vocabulary must be an object of tokens and ids"));
    };
    for (token, id) in entries {
        let Some(id) = id.as_u64() else {
            return Err(TokenizerError::format(format!("token {}: the id must be an integer", shown(token))));
        };
        vocabulary.insert(token, id)?;
    }
    Ok(())
}

fn read_added(value: &Value, vocabulary: &mut Vocabulary) -> Result<Vec<Added>> {
    let entries = match value.get("added_tokens") {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(entries) => entries.as_array().ok_or_else(|| TokenizerError::format("added_tokens must be a list"))?,
    };
    let mut added = Vec::with_capacity(entries.len());
    for (index, entry) in entries.iter().enumerate() {
        let content = entry.get("content").and_then(Value::as_str).filter(|content| !content.is_empty());
        let (Some(content), Some(id)) = (content, entry.get("id").and_then(Value::as_u64)) else {
            return Err(TokenizerError::format(format!("added token {index} must have content and id")));
        };
        for flag in ["single_word", "lstrip", "rstrip", "normalized", "special"] {
            if !entry.get(flag).is_some_and(Value::is_boolean) {
                return Err(TokenizerError::format(format!("added token {index}: {flag} must be true or false")));
            }
        }
        let known = vocabulary.ids.get(content).copied();
        if known.is_some_and(|known| u64::from(known) != id) {
            return Err(TokenizerError::format(format!("added token {} has two ids", shown(content))));
        }
        let id = vocabulary.insert(content, id)?;
        let plain = ["single_word", "lstrip", "rstrip", "normalized"].iter().all(|flag| entry[*flag] == false);
        added.push(Added { content: content.to_owned(), id, plain });
    }
    Ok(added)
}

/// Names of all parts, those in sequences one by one.
fn parts<'a>(value: &'a Value, list: &str, found: &mut Vec<&'a Value>) -> Result<()> {
    if value.is_null() {
        return Ok(());
    }
    if found.len() >= MOST_PARTS {
        return Err(TokenizerError::new(Fault::Limit, format!("tokenizer.json: more than {MOST_PARTS} parts")));
    }
    found.push(value);
    if let Some(inner) = value.get(list).and_then(Value::as_array) {
        inner.iter().try_for_each(|part| parts(part, list, found))?;
    }
    Ok(())
}

/// What the crate would not survive.
fn check_parts(value: &Value) -> Result<()> {
    let mut found = Vec::new();
    parts(value.get("normalizer").unwrap_or(&Value::Null), "normalizers", &mut found)?;
    parts(value.get("decoder").unwrap_or(&Value::Null), "decoders", &mut found)?;
    let others = found.len();
    parts(value.get("pre_tokenizer").unwrap_or(&Value::Null), "pretokenizers", &mut found)?;
    let is = |part: &&Value, name: &str| part.get("type").is_some_and(|kind| kind == name);
    if found[others..].iter().filter(|part| is(part, "ByteLevel")).count() > 2 {
        return Err(TokenizerError::format("more than 2 pre-tokenisers of type ByteLevel"));
    }
    if found.iter().any(|part| is(part, "FixedLength") && part.get("length").is_some_and(|length| length == 0)) {
        return Err(TokenizerError::format("a pre-tokeniser cuts pieces of length 0"));
    }
    Ok(())
}

fn check_model(model: &Value, kind: &str, tokens: &[Box<str>]) -> Result<()> {
    if kind == "WordPiece"
        && model.get("max_input_chars_per_word").and_then(Value::as_u64).is_some_and(|most| most > 10_000)
    {
        return Err(TokenizerError::format("max_input_chars_per_word must be at most 10000"));
    }
    if kind != "BPE" {
        return Ok(());
    }
    // The crate cuts the prefix off without looking.
    let prefix = model.get("continuing_subword_prefix").and_then(Value::as_str).unwrap_or("");
    if prefix.is_empty() {
        return Ok(());
    }
    let merges = model.get("merges").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    for (index, merge) in merges.iter().enumerate() {
        let right = match merge {
            Value::String(line) if line.starts_with("#version") => continue,
            Value::String(line) => line.split_once(' ').map(|(_, right)| right),
            other => other.get(1).and_then(Value::as_str),
        };
        if !right.is_some_and(|right| right.starts_with(prefix)) {
            return Err(TokenizerError::format(format!(
                "merge {index}: the second part does not begin with {prefix:?}"
            )));
        }
    }
    debug_assert!(!tokens.is_empty());
    Ok(())
}

/// The pairs of a BPE model, as ids of their parts and of what they become.
pub(super) fn merges(document: &Document) -> Result<Vec<(u32, u32, u32)>> {
    let Some(entries) = document.part("model").get("merges").and_then(Value::as_array) else {
        return Err(TokenizerError::format("the model has no merges"));
    };
    let mut merges = Vec::with_capacity(entries.len());
    let mut joined = String::new();
    for (index, entry) in entries.iter().enumerate() {
        let pair = match entry {
            Value::String(line) if line.starts_with("#version") => continue,
            Value::String(line) => line.split_once(' ').filter(|(_, right)| !right.contains(' ')),
            Value::Array(pair) if pair.len() == 2 => pair[0].as_str().zip(pair[1].as_str()),
            _ => None,
        };
        let Some((left, right)) = pair else {
            return Err(TokenizerError::format(format!("merge {index} is no pair of tokens")));
        };
        joined.clear();
        joined.push_str(left);
        joined.push_str(right);
        let (Some(a), Some(b), Some(merged)) = (document.id(left), document.id(right), document.id(&joined)) else {
            return Err(TokenizerError::format(format!("merge {index}: a token is not in the vocabulary")));
        };
        merges.push((a, b, merged));
    }
    Ok(merges)
}

/// What training gives, to be written.
pub(super) struct Trained<'a> {
    pub(super) cut: Cut,
    pub(super) steps: &'a [Step],
    /// By id, the special ones first.
    pub(super) tokens: &'a [String],
    /// How many of the tokens are special.
    pub(super) specials: usize,
    pub(super) model: TrainedModel<'a>,
}

/// What a model has beside its tokens.
pub(super) enum TrainedModel<'a> {
    /// Tokens alone.
    Words,
    /// Parts of words.
    WordPiece,
    /// Pairs of ids.
    Pairs(&'a [(u32, u32)]),
    /// The scores of tokens.
    Unigram(&'a [f64]),
}

#[derive(Serialize)]
struct File<'a> {
    version: &'static str,
    truncation: (),
    padding: (),
    added_tokens: Vec<Value>,
    normalizer: Value,
    pre_tokenizer: Value,
    post_processor: (),
    decoder: Value,
    model: Model<'a>,
}

#[derive(Serialize)]
#[serde(tag = "type")]
enum Model<'a> {
    #[serde(rename = "BPE")]
    Bpe {
        dropout: (),
        unk_token: Option<&'static str>,
        continuing_subword_prefix: (),
        end_of_word_suffix: (),
        fuse_unk: bool,
        byte_fallback: bool,
        ignore_merges: bool,
        vocab: ById<'a>,
        merges: Vec<(&'a str, &'a str)>,
    },
    WordLevel {
        vocab: ById<'a>,
        unk_token: &'static str,
    },
    WordPiece {
        unk_token: &'static str,
        continuing_subword_prefix: &'static str,
        max_input_chars_per_word: usize,
        vocab: ById<'a>,
    },
    Unigram {
        unk_id: usize,
        vocab: Vec<(&'a str, f64)>,
        byte_fallback: bool,
    },
}

/// An object of tokens and ids, in the order of ids.
struct ById<'a>(&'a [String]);

impl Serialize for ById<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (id, token) in self.0.iter().enumerate() {
            map.serialize_entry(token, &id)?;
        }
        map.end()
    }
}

/// The text of `tokenizer.json`.
pub(super) fn write(trained: &Trained<'_>) -> Result<String> {
    let Trained { cut, steps, tokens, specials, model } = trained;
    let added_tokens = tokens[..*specials].iter().enumerate().map(|(id, content)| {
        json!({
            "id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false,
            "normalized": false, "special": true,
        })
    });
    let vocab = ById(tokens);
    let model = match model {
        TrainedModel::Pairs(merges) => Model::Bpe {
            dropout: (),
            // Every text consists of known bytes.
            unk_token: (*cut != Cut::Bytes).then_some(SPECIALS[1]),
            continuing_subword_prefix: (),
            end_of_word_suffix: (),
            fuse_unk: false,
            byte_fallback: false,
            ignore_merges: false,
            vocab,
            merges: merges
                .iter()
                .map(|&(left, right)| (tokens[left as usize].as_str(), tokens[right as usize].as_str()))
                .collect(),
        },
        TrainedModel::Words => Model::WordLevel { vocab, unk_token: SPECIALS[1] },
        TrainedModel::WordPiece => Model::WordPiece {
            unk_token: SPECIALS[1],
            continuing_subword_prefix: word_piece::PREFIX,
            max_input_chars_per_word: word_piece::LONGEST_WORD,
            vocab,
        },
        TrainedModel::Unigram(scores) => Model::Unigram {
            unk_id: 1,
            vocab: tokens.iter().map(String::as_str).zip(scores.iter().copied()).collect(),
            byte_fallback: false,
        },
    };
    let file = File {
        version: "1.0",
        truncation: (),
        padding: (),
        added_tokens: added_tokens.collect(),
        normalizer: normalize::document(steps),
        pre_tokenizer: cut.document(),
        post_processor: (),
        decoder: cut.decoder(),
        model,
    };
    serde_json::to_string(&file).map_err(TokenizerError::format)
}
