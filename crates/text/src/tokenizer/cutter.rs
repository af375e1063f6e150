//! From a text to the pieces that have ids: added tokens, normalisation, cutting.
use aho_corasick::{AhoCorasick, MatchKind};
use serde_json::{Value, json};

use super::{
    bert,
    error::{Result, TokenizerError},
    ideographs::Ideographs,
    normalize::{Step, normalize},
    pieces, word_piece, words,
};

/// The key of a pre-tokeniser that says how Chinese words are found, and its only value.
pub(super) const CHINESE: (&str, &str) = ("chinese_words", "jieba");

/// How text is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    /// Words and punctuation marks.
    Words(Ideographs),
    /// Code points.
    Characters,
    /// Words, each in parts.
    WordParts(Ideographs),
    /// Words with their spaces before them, for byte pairs of characters and for pieces.
    Marked(Ideographs),
    /// As GPT-2, for byte pairs of bytes.
    Bytes,
    /// Words and punctuation marks as BERT has them, each in parts.
    Bert,
}

/// A part of a text.
pub(super) enum Part<'text> {
    /// The added token of this place in the list.
    Added(usize),
    /// A piece to be looked up or merged.
    Piece(&'text str),
}

/// Cuts texts.
#[derive(Debug)]
pub(super) struct Cutter {
    /// Normalisation.
    pub(super) steps: Vec<Step>,
    /// How normalised text is cut.
    pub(super) cut: Cut,
    added: Option<AhoCorasick>,
}

impl Cutter {
    pub(super) fn new(steps: Vec<Step>, cut: Cut, added: &[impl AsRef<[u8]>]) -> Result<Self> {
        let added = if added.is_empty() {
            None
        } else {
            let built = AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).build(added);
            Some(built.map_err(|error| TokenizerError::format(format!("added tokens: {error}")))?)
        };
        Ok(Self { steps, cut, added })
    }

    /// Calls `part` for each part of a text; `buffer` is room to work in.
    pub(super) fn each(&self, text: &str, buffer: &mut String, part: &mut dyn FnMut(Part<'_>)) {
        let Some(added) = &self.added else {
            self.section(text, true, buffer, part);
            return;
        };
        let mut start = 0;
        for found in added.find_iter(text) {
            if start < found.start() {
                self.section(&text[start..found.start()], start == 0, buffer, part);
            }
            part(Part::Added(found.pattern().as_usize()));
            start = found.end();
        }
        if start < text.len() {
            self.section(&text[start..], start == 0, buffer, part);
        }
    }

    fn section(&self, text: &str, first: bool, buffer: &mut String, part: &mut dyn FnMut(Part<'_>)) {
        let text = normalize(&self.steps, text);
        let mut piece = |piece: &str| part(Part::Piece(piece));
        match self.cut {
            Cut::Words(ideographs) | Cut::WordParts(ideographs) => words::split(&text, ideographs, &mut piece),
            Cut::Characters => text.char_indices().for_each(|(start, character)| {
                piece(&text[start..start + character.len_utf8()]);
            }),
            Cut::Marked(ideographs) => {
                pieces::mark_words(&text, first, buffer);
                pieces::split(buffer, ideographs, &mut piece);
            }
            Cut::Bytes => pieces::split_bytes(&text, &mut piece),
            Cut::Bert => bert::split(&text, &mut piece),
        }
    }
}

fn split(pattern: &str, behavior: &str) -> Value {
    json!({ "type": "Split", "pattern": { "Regex": pattern }, "behavior": behavior, "invert": false })
}

impl Cut {
    pub(super) const ALL: [Self; 10] = [
        Self::Bert,
        Self::Words(Ideographs::Single),
        Self::Words(Ideographs::Words),
        Self::Characters,
        Self::WordParts(Ideographs::Single),
        Self::WordParts(Ideographs::Words),
        Self::Marked(Ideographs::Single),
        Self::Marked(Ideographs::Runs),
        Self::Marked(Ideographs::Words),
        Self::Bytes,
    ];

    fn ideographs(self) -> Ideographs {
        match self {
            Self::Words(ideographs) | Self::WordParts(ideographs) | Self::Marked(ideographs) => ideographs,
            Self::Characters | Self::Bytes | Self::Bert => Ideographs::Single,
        }
    }

    /// The same as a pre-tokeniser of `tokenizer.json`.
    pub(super) fn document(self) -> Value {
        let parts = match self {
            Self::Words(ideographs) | Self::WordParts(ideographs) => vec![
                split(&words::pattern(ideographs), "Isolated"),
                split(r"\s+", "Removed"),
                split(words::CONTRACTION, "Isolated"),
            ],
            Self::Characters => return split(r"[\s\S]", "Isolated"),
            Self::Bert => return json!({ "type": "BertPreTokenizer" }),
            Self::Marked(ideographs) => {
                let start = pieces::WORD_START;
                let spaces =
                    json!({ "type": "Metaspace", "replacement": start, "prepend_scheme": "first", "split": false });
                vec![spaces, split(&pieces::pattern(ideographs), "Isolated")]
            }
            Self::Bytes => {
                return json!({ "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true });
            }
        };
        let mut document = json!({ "type": "Sequence", "pretokenizers": parts });
        if self.ideographs() == Ideographs::Words {
            let (key, value) = CHINESE;
            document[key] = value.into();
        }
        document
    }

    /// The decoder that joins its tokens; words are joined by rules that `tokenizer.json` has none for.
    pub(super) fn decoder(self) -> Value {
        match self {
            Self::Words(_) => Value::Null,
            Self::Characters => json!({ "type": "Fuse" }),
            Self::WordParts(_) => json!({ "type": "WordPiece", "prefix": word_piece::PREFIX, "cleanup": false }),
            Self::Bert => json!({ "type": "WordPiece", "prefix": word_piece::PREFIX, "cleanup": true }),
            Self::Marked(_) => json!({
                "type": "Metaspace", "replacement": pieces::WORD_START, "prepend_scheme": "first", "split": false,
            }),
            Self::Bytes => {
                json!({ "type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true })
            }
        }
    }

    /// How a pre-tokeniser and a decoder cut and join, or `None` if these are others.
    pub(super) fn recognize(pre_tokenizer: &Value, decoder: &Value) -> Option<Self> {
        Self::ALL.into_iter().find(|cut| {
            if *cut == Self::Bytes {
                let is = |value: &Value| value.get("type").is_some_and(|name| name == "ByteLevel");
                let flag = |name| pre_tokenizer.get(name).and_then(Value::as_bool);
                return is(pre_tokenizer)
                    && is(decoder)
                    && flag("add_prefix_space") == Some(false)
                    && flag("use_regex").unwrap_or(true);
            }
            *pre_tokenizer == cut.document() && *decoder == cut.decoder()
        })
    }
}
