//! Tokenizers as JavaScript holds them: single texts at once, many on the compute threads.
use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError, atomic::Ordering},
    time::{Duration, Instant},
};

use napi::{
    Env,
    bindgen_prelude::{ClassInstance, Int32Array, Int32ArraySlice, Object},
};
use napi_derive::napi;
use sconce_engine::{Code, Error, family::Family};
use sconce_text::tokenizer::{
    Encoded, Encoding, Fault, LARGEST_DOCUMENT, Sampling, SpecialNames, Tokenizer, TokenizerError,
    training::{Counting, Learning, Progress, TrainingOptions},
};
use sconce_text::{
    chinese,
    detokenize::{Language, detokenize},
};

use crate::{
    allocator::give_back,
    batch::Integers,
    error::{Result, thrown},
    layer::NativeCancel,
    settle::{flag, queue, queue_once, run, spawn, watch_panics},
};

/// How long learning goes on before other calls get a turn.
const TURN: Duration = Duration::from_millis(20);

fn tokenizer_error(error: TokenizerError) -> Error {
    let code = match error.fault {
        Fault::Option => Code::Option,
        Fault::Data => Code::Data,
        Fault::Format => Code::Format,
        Fault::File => Code::File,
        Fault::Limit => Code::Limit,
        Fault::Cancelled => Code::Cancelled,
    };
    Error::new(code, error.message)
}

/// Tokens that stand for padding, unknown, begin and end, as JSON.
fn names(json: &str) -> sconce_engine::Result<SpecialNames> {
    let names: serde_json::Value =
        serde_json::from_str(json).map_err(|error| Error::new(Code::Option, format!("special tokens: {error}")))?;
    let name = |key: &str| names.get(key).and_then(|name| name.as_str()).map(str::to_owned);
    Ok(SpecialNames { padding: name("padding"), unknown: name("unknown"), begin: name("begin"), end: name("end") })
}

fn training_options(json: &str) -> sconce_engine::Result<TrainingOptions> {
    serde_json::from_str(json).map_err(|error| Error::new(Code::Option, format!("Tokenizer.train: {error}")))
}

/// The content of a file that is not too large.
fn bytes_of(path: &str) -> sconce_engine::Result<Vec<u8>> {
    let file = |error: std::io::Error| Error::new(Code::File, format!("cannot read {path}: {error}"));
    let size = std::fs::metadata(PathBuf::from(path)).map_err(file)?.len();
    if size > LARGEST_DOCUMENT as u64 {
        return Err(Error::new(Code::Limit, format!("{path} has {size} bytes, more than {LARGEST_DOCUMENT}")));
    }
    std::fs::read(PathBuf::from(path)).map_err(file)
}

fn text_of(path: &str) -> sconce_engine::Result<String> {
    String::from_utf8(bytes_of(path)?).map_err(|_| Error::new(Code::Format, format!("{path} is not valid UTF-8")))
}

/// Ids of several texts, one after the other.
#[napi(object, object_from_js = false)]
pub struct EncodedResult {
    /// All ids.
    #[napi(ts_type = "Int32Array")]
    pub ids: Integers,
    /// Where each text begins, and the end of the last.
    #[napi(ts_type = "Int32Array")]
    pub offsets: Integers,
}

/// How texts are encoded.
#[napi(object, object_to_js = false)]
pub struct EncodeSettings {
    /// The id before each text; -1 for none.
    pub begin: i32,
    /// The id after each text; -1 for none.
    pub end: i32,
    /// Most ids of a text, begin and end included; -1 for no limit.
    pub longest: i32,
    /// Whether what is too many is taken from the beginning.
    pub keep_end: bool,
    /// Probability or exponent of cutting at random; -1 for none.
    pub amount: f64,
    /// Seed of the random numbers.
    pub seed: f64,
    /// Number of the first text.
    pub first: f64,
}

impl EncodeSettings {
    fn encoding(&self) -> Encoding {
        let Self { begin, end, longest, keep_end, amount, seed, first } = *self;
        let id = |id: i32| Some(id).filter(|&id| id >= 0);
        Encoding {
            begin: id(begin),
            end: id(end),
            longest: usize::try_from(longest).ok(),
            keep_end,
            sampling: (amount >= 0.0).then_some(Sampling { amount, seed: seed as u64, first: first as u64 }),
        }
    }
}

/// Turns text into ids and ids into text.
#[napi]
pub struct NativeTokenizer {
    tokenizer: Arc<Tokenizer>,
    /// Calls on one tokenizer run in order.
    family: Arc<Family>,
}

impl NativeTokenizer {
    fn wrap(tokenizer: Tokenizer) -> Self {
        // Its document was far larger.
        give_back();
        Self { tokenizer: Arc::new(tokenizer), family: Family::new() }
    }
}

#[napi]
impl NativeTokenizer {
    /// The tokenizer of the text of a `tokenizer.json`; JSON of the names of special tokens.
    #[napi(constructor, catch_unwind)]
    pub fn new(document: String, names_json: String) -> Result<Self> {
        watch_panics();
        let tokenizer = names(&names_json)
            .and_then(|names| Tokenizer::parse(document, &names).map_err(tokenizer_error))
            .map_err(thrown)?;
        Ok(Self::wrap(tokenizer))
    }

    /// Reads the file, or the two files, of a format: `tokenizerJson`, `sentencePiece`, `wordPiece`, or `wordPieceCased`, or
    /// `gpt2`.
    #[napi(catch_unwind, ts_return_type = "Promise<NativeTokenizer>")]
    pub fn load<'env>(env: &'env Env, paths: Vec<String>, format: String, names_json: String) -> Result<Object<'env>> {
        spawn(env, move || {
            let names = names(&names_json)?;
            let read = match (format.as_str(), paths.as_slice()) {
                ("tokenizerJson", [path]) => Tokenizer::parse(text_of(path)?, &names),
                ("sentencePiece", [path]) => Tokenizer::parse_sentencepiece(&bytes_of(path)?, &names),
                ("wordPiece", [path]) => Tokenizer::parse_vocabulary(&text_of(path)?, true, &names),
                ("wordPieceCased", [path]) => Tokenizer::parse_vocabulary(&text_of(path)?, false, &names),
                ("gpt2", [vocabulary, merges]) => {
                    Tokenizer::parse_merges(&text_of(vocabulary)?, &text_of(merges)?, &names)
                }
                _ => return Err(Error::new(Code::Internal, format!("format {format} of {} files", paths.len()))),
            };
            let tokenizer = read.map_err(|error| {
                let mut error = tokenizer_error(error);
                error.message = format!("{}: {}", paths.join(", "), error.message);
                error
            })?;
            Ok(Self::wrap(tokenizer))
        })
    }

    /// A word or character tokenizer of all its tokens by id; JSON of options as for training.
    #[napi(factory, catch_unwind)]
    pub fn of_tokens(options_json: String, tokens: Vec<String>) -> Result<Self> {
        watch_panics();
        let options = training_options(&options_json).map_err(thrown)?;
        let tokenizer = Learning::of_tokens(options, tokens).map_err(|error| thrown(tokenizer_error(error)))?;
        Ok(Self::wrap(tokenizer))
    }

    /// Kind, tokens and ids of special tokens (-1: none), as JSON.
    #[napi(catch_unwind)]
    pub fn describe(&self) -> String {
        let specials = self.tokenizer.specials();
        let id = |id: Option<u32>| id.map_or(-1, i64::from);
        serde_json::json!({
            "type": self.tokenizer.kind().name(),
            "lowercase": self.tokenizer.lowercase(),
            "tokens": self.tokenizer.tokens(),
            "padding": id(specials.padding),
            "unknown": id(specials.unknown),
            "begin": id(specials.begin),
            "end": id(specials.end),
            "canSample": self.tokenizer.can_sample(),
        })
        .to_string()
    }

    /// The text of its `tokenizer.json`.
    #[napi(catch_unwind)]
    pub fn document(&self) -> String {
        self.tokenizer.document().to_owned()
    }

    /// The tokens of a text.
    #[napi(catch_unwind)]
    pub fn tokenize(&self, text: String) -> Result<Vec<String>> {
        self.tokenizer.tokenize(&text).map_err(|error| thrown(tokenizer_error(error)))
    }

    /// The ids of a text.
    #[napi(catch_unwind, ts_return_type = "Int32Array")]
    pub fn encode<'env>(
        &self,
        env: &'env Env,
        text: String,
        settings: EncodeSettings,
    ) -> Result<Int32ArraySlice<'env>> {
        let ids =
            self.tokenizer.encode_as(&text, &settings.encoding()).map_err(|error| thrown(tokenizer_error(error)))?;
        Int32ArraySlice::copy_from(env, &ids[..])
            .map_err(|error| thrown(Error::new(Code::Internal, error.reason.clone())))
    }

    /// The ids of a text, then where the part that each stands for begins and ends, in units of UTF-16.
    #[napi(catch_unwind, ts_return_type = "Int32Array")]
    pub fn encode_spans<'env>(
        &self,
        env: &'env Env,
        text: String,
        settings: EncodeSettings,
    ) -> Result<Int32ArraySlice<'env>> {
        let encoded = self.tokenizer.encode_spans(&text, &settings.encoding());
        let (mut ids, spans) = encoded.map_err(|error| thrown(tokenizer_error(error)))?;
        ids.extend(spans);
        Int32ArraySlice::copy_from(env, &ids[..])
            .map_err(|error| thrown(Error::new(Code::Internal, error.reason.clone())))
    }

    /// The text of ids; words are joined by the rules of a language, if one is given.
    #[napi(catch_unwind)]
    pub fn decode(&self, ids: Int32Array, language: Option<String>) -> Result<String> {
        let language = language.as_deref().map(Language::of);
        self.tokenizer.decode_as(&ids, language).map_err(|error| thrown(tokenizer_error(error)))
    }

    /// The ids of many texts.
    #[napi(catch_unwind, ts_return_type = "Promise<EncodedResult>")]
    pub fn encode_batch<'env>(
        &self,
        env: &'env Env,
        texts: Vec<String>,
        settings: EncodeSettings,
        cancel: Option<ClassInstance<'_, NativeCancel>>,
    ) -> Result<Object<'env>> {
        let (tokenizer, flag) = (Arc::clone(&self.tokenizer), flag(cancel));
        queue_once(env, self.family.number(), move || {
            let Encoded { ids, offsets } = tokenizer
                .encode_batch(&texts, &settings.encoding(), &run, &|| flag.is_raised())
                .map_err(tokenizer_error)?;
            Ok(EncodedResult { ids: Integers(ids), offsets: Integers(offsets) })
        })
    }

    /// The texts of many rows of ids.
    #[napi(catch_unwind, ts_return_type = "Promise<string[]>")]
    pub fn decode_batch<'env>(
        &self,
        env: &'env Env,
        ids: Int32Array,
        offsets: Int32Array,
        language: Option<String>,
        cancel: Option<ClassInstance<'_, NativeCancel>>,
    ) -> Result<Object<'env>> {
        let (tokenizer, flag) = (Arc::clone(&self.tokenizer), flag(cancel));
        let (ids, offsets) = (ids.to_vec(), offsets.to_vec());
        let language = language.as_deref().map(Language::of);
        queue_once(env, self.family.number(), move || {
            tokenizer.decode_batch(&ids, &offsets, language, &run, &|| flag.is_raised()).map_err(tokenizer_error)
        })
    }
}

/// Counts the words of texts, then learns a vocabulary.
#[napi]
pub struct NativeTokenizerTrainer {
    counting: Arc<Mutex<Option<Counting>>>,
    progress: Arc<Progress>,
    family: Arc<Family>,
}

fn ended() -> Error {
    Error::new(Code::State, "training has ended")
}

#[napi]
impl NativeTokenizerTrainer {
    /// Begins training with options as JSON.
    #[napi(constructor, catch_unwind)]
    pub fn new(options_json: String) -> Result<Self> {
        let options = training_options(&options_json).map_err(thrown)?;
        let counting = Counting::new(options).map_err(|error| thrown(tokenizer_error(error)))?;
        Ok(Self { counting: Arc::new(Mutex::new(Some(counting))), progress: Arc::default(), family: Family::new() })
    }

    /// Counts the words of more texts.
    #[napi(catch_unwind, ts_return_type = "Promise<void>")]
    pub fn add<'env>(
        &self,
        env: &'env Env,
        texts: Vec<String>,
        cancel: Option<ClassInstance<'_, NativeCancel>>,
    ) -> Result<Object<'env>> {
        let (counting, flag) = (Arc::clone(&self.counting), flag(cancel));
        queue_once(env, self.family.number(), move || {
            let counting = counting.lock().unwrap_or_else(PoisonError::into_inner);
            let counting = counting.as_ref().ok_or_else(ended)?;
            counting.add(&texts, &run, &|| flag.is_raised()).map_err(tokenizer_error)
        })
    }

    /// Tokens so far, and at most.
    #[napi(catch_unwind)]
    pub fn progress(&self) -> Vec<f64> {
        let Progress { tokens, total } = &*self.progress;
        [tokens, total].map(|number| number.load(Ordering::Relaxed) as f64).to_vec()
    }

    /// Learns from what was counted.
    #[napi(catch_unwind, ts_return_type = "Promise<NativeTokenizer>")]
    pub fn finish<'env>(
        &self,
        env: &'env Env,
        cancel: Option<ClassInstance<'_, NativeCancel>>,
    ) -> Result<Object<'env>> {
        let (counting, progress, flag) = (Arc::clone(&self.counting), Arc::clone(&self.progress), flag(cancel));
        let family = self.family.number();
        let mut learning: Option<Learning> = None;
        queue(
            env,
            move || family,
            move || {
                let mut current = match learning.take() {
                    Some(learning) => learning,
                    None => {
                        let counting = counting.lock().unwrap_or_else(PoisonError::into_inner).take();
                        counting.ok_or_else(ended)?.end().map_err(tokenizer_error)?
                    }
                };
                let start = Instant::now();
                let done = current.advance(&progress, &mut || flag.is_raised() || start.elapsed() > TURN);
                if flag.is_raised() {
                    return Err(Error::new(Code::Cancelled, "the call was cancelled"));
                }
                if done {
                    return current.end().map_err(tokenizer_error).map(|made| Some(NativeTokenizer::wrap(made)));
                }
                learning = Some(current);
                Ok(None)
            },
        )
    }
}

/// The words of a Chinese text.
#[napi(catch_unwind)]
pub fn segment_chinese(text: String, new_words: bool) -> Vec<String> {
    watch_panics();
    chinese::segment(&text, new_words).into_iter().map(str::to_owned).collect()
}

/// The text of words and marks by the rules of a language.
#[napi(catch_unwind)]
pub fn detokenize_words(tokens: Vec<String>, language: String, unescape: bool) -> String {
    watch_panics();
    detokenize(tokens.iter().map(String::as_str), Language::of(&language), unescape)
}
