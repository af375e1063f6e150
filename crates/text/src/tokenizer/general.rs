//! Tokenizers that only the `tokenizers` crate knows how to run, kept from growing without bound.
use std::{
    cell::Cell,
    panic::{AssertUnwindSafe, catch_unwind},
};

use serde_json::Value;
use tokenizers::{
    AddedToken, DecoderWrapper, Encoding, ModelWrapper, NormalizedString, Normalizer, NormalizerWrapper, Offsets,
    PostProcessorWrapper, PreTokenizedString, PreTokenizer, PreTokenizerWrapper, SplitDelimiterBehavior, TokenizerImpl,
    tokenizer::{Decoder, pattern::Pattern},
};

use super::{
    base64,
    cutter::CHINESE,
    document::Document,
    error::{Fault, Result, TokenizerError},
    ideographs, pieces,
};

/// What a text of `length` bytes may become at most.
fn bound(length: usize) -> usize {
    (4 << 20) + 32 * length
}

thread_local! {
    /// The crate drops errors of normalisers: the last one is kept here.
    static FAILURE: Cell<Option<String>> = const { Cell::new(None) };
}

/// Normalisers one by one, with a look at the length before each.
#[derive(Clone, Debug)]
struct Chain {
    steps: Vec<(NormalizerWrapper, usize)>,
}

impl Normalizer for Chain {
    fn normalize(&self, text: &mut NormalizedString) -> tokenizers::Result<()> {
        let most = bound(text.get().len());
        for (step, growth) in &self.steps {
            let result = match (text.get().len() + 1).checked_mul(*growth) {
                Some(size) if size <= most => step.normalize(text),
                _ => Err("normalising makes the text too long".into()),
            };
            if let Err(error) = result {
                FAILURE.set(Some(error.to_string()));
                return Err(error);
            }
        }
        Ok(())
    }
}

fn from_value<T: serde::de::DeserializeOwned>(what: &str, value: &Value) -> Result<T> {
    serde_json::from_value(value.clone()).map_err(|error| TokenizerError::format(format!("{what}: {error}")))
}

/// The steps of a normaliser, sequences opened, each with the factor by which it can lengthen a text.
fn chain(value: &Value, steps: &mut Vec<(NormalizerWrapper, usize)>) -> Result<()> {
    if value.get("type").is_some_and(|name| name == "Sequence") {
        let Some(inner) = value.get("normalizers").and_then(Value::as_array) else {
            return Err(TokenizerError::format("normalizer: a sequence without normalizers"));
        };
        return inner.iter().try_for_each(|part| chain(part, steps));
    }
    let step: NormalizerWrapper = from_value("normalizer", value)?;
    let growth = match &step {
        NormalizerWrapper::Replace(replace) => replace.content.len().max(1),
        NormalizerWrapper::Precompiled(_) => {
            let text = value.get("precompiled_charsmap").and_then(Value::as_str).unwrap_or_default();
            longest_replacement(text)
                .ok_or_else(|| TokenizerError::format("normalizer: precompiled_charsmap is damaged"))?
        }
        NormalizerWrapper::Prepend(_) => {
            value.get("prepend").and_then(Value::as_str).map_or(1, |text| text.len().max(1))
        }
        _ => 1,
    };
    steps.push((step, growth));
    Ok(())
}

/// The longest text that a compiled map of SentencePiece can put in a character's place, in bytes: after the size of its
/// tree and the tree come the texts, each ended by a zero.
fn longest_replacement(charsmap: &str) -> Option<usize> {
    let bytes = base64::decode(charsmap)?;
    let size = u32::from_le_bytes(bytes.first_chunk().copied()?) as usize;
    let texts = bytes.get(4..)?.get(size..)?;
    texts.split(|&byte| byte == 0).map(<[u8]>::len).max().map(|longest| longest.max(1))
}

fn decoders(value: &Value, steps: &mut Vec<(DecoderWrapper, usize)>) -> Result<()> {
    if value.is_null() {
        return Ok(());
    }
    if value.get("type").is_some_and(|name| name == "Sequence") {
        let Some(inner) = value.get("decoders").and_then(Value::as_array) else {
            return Err(TokenizerError::format("decoder: a sequence without decoders"));
        };
        return inner.iter().try_for_each(|part| decoders(part, steps));
    }
    let step: DecoderWrapper = from_value("decoder", value)?;
    let growth = value.get("content").and_then(Value::as_str).map_or(1, |content| content.len().max(1));
    steps.push((step, growth));
    Ok(())
}

/// A pre-tokeniser, and whether it leaves runs of Chinese characters to be cut into words.
#[derive(Debug)]
struct Cutting {
    inner: PreTokenizerWrapper,
    chinese: bool,
}

impl Cutting {
    fn new(value: &Value) -> Result<Self> {
        let (key, known) = CHINESE;
        let chinese = match value.get(key) {
            None => false,
            Some(name) if name == known => true,
            Some(name) => {
                return Err(TokenizerError::format(format!(
                    "pre_tokenizer: {key} {name} is not known, only {known:?}"
                )));
            }
        };
        Ok(Self { inner: from_value("pre_tokenizer", value)?, chinese })
    }
}

impl PreTokenizer for Cutting {
    fn pre_tokenize(&self, text: &mut PreTokenizedString) -> tokenizers::Result<()> {
        self.inner.pre_tokenize(text)?;
        if self.chinese {
            text.split(|_, piece| piece.split(ChineseWords, SplitDelimiterBehavior::Isolated))?;
        }
        Ok(())
    }
}

/// The words of a run of Chinese characters, with a space before it.
struct ChineseWords;

impl Pattern for ChineseWords {
    fn find_matches(&self, piece: &str) -> tokenizers::Result<Vec<(Offsets, bool)>> {
        let mut matches = Vec::new();
        let mut start = 0;
        ideographs::each_word(piece, Some(pieces::WORD_START), &mut |word| {
            matches.push(((start, start + word.len()), true));
            start += word.len();
        });
        Ok(matches)
    }
}

type Pipeline = TokenizerImpl<ModelWrapper, Chain, Cutting, PostProcessorWrapper, DecoderWrapper>;

/// A tokenizer of the crate.
pub(super) struct General {
    pipeline: Pipeline,
    decoders: Vec<(DecoderWrapper, usize)>,
    has_decoder: bool,
}

/// Runs what may panic in the crate.
fn guarded<T>(fault: Fault, work: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|_| Err(TokenizerError::new(fault, "tokenizer.json: its parts do not fit together")))
}

impl General {
    /// The tokenizer of a document. The texts of the tokens `ordinary` are not looked for when encoding.
    pub(super) fn new(document: &Document, ordinary: &[u32]) -> Result<Self> {
        guarded(Fault::Format, || Self::build(document, ordinary))
    }

    fn build(document: &Document, ordinary: &[u32]) -> Result<Self> {
        let names: Vec<&str> = ordinary.iter().filter_map(|&id| Some(&**document.tokens.get(id as usize)?)).collect();
        let mut model: ModelWrapper = from_value("model", document.part("model"))?;
        if let ModelWrapper::BPE(bpe) = &mut model {
            // The caches of the crate stay with their threads when a tokenizer is gone.
            bpe.resize_cache(0);
        }
        let mut pipeline = Pipeline::new(model);
        let normalizer = document.part("normalizer");
        if !normalizer.is_null() {
            let mut steps = Vec::new();
            chain(normalizer, &mut steps)?;
            pipeline.with_normalizer(Some(Chain { steps })).map_err(TokenizerError::format)?;
        }
        let pre_tokenizer = document.part("pre_tokenizer");
        if !pre_tokenizer.is_null() {
            pipeline.with_pre_tokenizer(Some(Cutting::new(pre_tokenizer)?));
        }
        let mut steps = Vec::new();
        decoders(document.part("decoder"), &mut steps)?;
        let entries = document.part("added_tokens").as_array().map_or(&[][..], Vec::as_slice);
        let added = entries.iter().map(|entry| {
            let mut token: AddedToken = from_value("added_tokens", entry)?;
            // Special tokens are the ones that `encode_special_tokens` makes ordinary text.
            token.special = names.contains(&token.content.as_str());
            Ok(token)
        });
        pipeline.add_tokens(added.collect::<Result<Vec<_>>>()?).map_err(TokenizerError::format)?;
        pipeline.set_encode_special_tokens(true);
        for added in &document.added {
            if pipeline.token_to_id(&added.content) != Some(added.id) {
                let message = format!("added token {:?} cannot have id {}", added.content, added.id);
                return Err(TokenizerError::format(message));
            }
        }
        Ok(Self { pipeline, decoders: steps, has_decoder: !document.part("decoder").is_null() })
    }

    /// Adds the ids of a text.
    pub(super) fn encode(&self, text: &str, ids: &mut Vec<i32>) -> Result<()> {
        let encoding = self.run(|| self.pipeline.encode_fast(text, false))?;
        ids.extend(encoding.get_ids().iter().map(|&id| id as i32));
        Ok(())
    }

    /// The ids of a text, with the bytes of the text that each stands for.
    pub(super) fn encode_spans(&self, text: &str) -> Result<Vec<(i32, (usize, usize))>> {
        let encoding = self.run(|| self.pipeline.encode(text, false))?;
        Ok(encoding.get_ids().iter().map(|&id| id as i32).zip(encoding.get_offsets().iter().copied()).collect())
    }

    fn run(&self, encode: impl FnOnce() -> tokenizers::Result<Encoding>) -> Result<Encoding> {
        let failed =
            |message: String| TokenizerError::new(Fault::Data, format!("the text cannot be encoded: {message}"));
        guarded(Fault::Data, || {
            FAILURE.set(None);
            let encoding = encode();
            if let Some(message) = FAILURE.take() {
                return Err(failed(message));
            }
            encoding.map_err(|error| failed(error.to_string()))
        })
    }

    /// The text of tokens.
    pub(super) fn decode(&self, tokens: Vec<String>) -> Result<String> {
        if !self.has_decoder {
            return Ok(tokens.join(" "));
        }
        let failed =
            |message: String| TokenizerError::new(Fault::Data, format!("the ids cannot be decoded: {message}"));
        guarded(Fault::Data, || {
            let length = |tokens: &[String]| tokens.iter().map(|token| token.len() + 1).sum::<usize>();
            let most = bound(length(&tokens));
            let mut tokens = tokens;
            for (step, growth) in &self.decoders {
                if length(&tokens).checked_mul(*growth).is_none_or(|size| size > most) {
                    return Err(failed("decoding makes the text too long".to_owned()));
                }
                tokens = step.decode_chain(tokens).map_err(|error| failed(error.to_string()))?;
            }
            Ok(tokens.concat())
        })
    }
}
