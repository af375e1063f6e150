//! Tokenizers: text to ids and back, trained here or read from `tokenizer.json`.
//!
//! What training gives, and vocabularies of BERT, are run by own code, everything else by the `tokenizers` crate; on what both can run they agree.
use std::sync::{Mutex, OnceLock, PoisonError};

use ahash::AHashMap;

mod base64;
mod bert;
mod cutter;
mod decode;
mod document;
mod encoder;
mod encoding;
mod error;
mod formats;
mod general;
mod ideographs;
mod lattice;
mod merges;
mod normalize;
mod parallel;
mod pieces;
mod plain_spans;
mod random;
mod sentencepiece;
mod spans;
mod specials;
pub mod training;
mod trie;
mod unigram;
mod word_piece;
mod words;

use crate::Run;
pub use document::{LARGEST_DOCUMENT, SPECIALS};
pub use encoding::{Encoded, Encoding, Sampling};
pub use error::{Fault, Result, TokenizerError};
pub use normalize::Step;
pub use specials::{SpecialNames, Specials};

use cutter::{Cut, Part};
use document::Document;
use encoder::{Encoder, PieceModel, own_encoder};
use general::General;
use parallel::{WORK, in_parallel};
use random::Random;
use sentencepiece::{PieceRoom, SentencePiece};
use unigram::UnigramRoom;

/// Most words whose ids a worker remembers, and the longest such word in bytes.
const REMEMBERED: usize = 1 << 16;
const LONGEST_REMEMBERED: usize = 64;

/// How a tokenizer makes tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Words and punctuation marks, or whatever else a file of whole words says.
    Word,
    /// Code points.
    Character,
    /// Byte pairs.
    Bpe,
    /// WordPiece, as in BERT.
    WordPiece,
    /// Unigram language model, as in SentencePiece.
    Unigram,
}

impl Kind {
    /// Its name in JavaScript.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Word => "word",
            Self::Character => "character",
            Self::Bpe => "bpe",
            Self::WordPiece => "wordPiece",
            Self::Unigram => "unigram",
        }
    }
}

/// What a worker keeps between texts.
#[derive(Default)]
struct Room {
    buffer: String,
    bytes: String,
    symbols: Vec<u32>,
    unigram: UnigramRoom,
    pieces: PieceRoom,
    /// Words and where their ids lie in `known`.
    words: AHashMap<Box<str>, (u32, u32)>,
    known: Vec<i32>,
}

/// Turns text into ids and ids into text.
pub struct Tokenizer {
    kind: Kind,
    lowercase: bool,
    tokens: Vec<Box<str>>,
    ids: AHashMap<Box<str>, u32>,
    specials: Specials,
    /// Ids of tokens that are found in raw text, in the order in which the cutter knows them.
    added: Vec<i32>,
    encoder: Encoder,
    /// How tokens are joined, where the document does not tell.
    cut: Option<Cut>,
    text: String,
    /// The same by the crate, if it was needed.
    general: OnceLock<Result<Box<General>>>,
    rooms: Mutex<Vec<Room>>,
}

impl std::fmt::Debug for Tokenizer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Tokenizer").field("kind", &self.kind).field("tokens", &self.tokens.len()).finish()
    }
}

impl Tokenizer {
    /// Reads the text of a `tokenizer.json`, which may come from anywhere. Truncation, padding and the post-processor
    /// have no effect here.
    ///
    /// # Errors
    /// `Format` if it is damaged or of an unknown kind, `Limit` if it is too large, `Option` if a name is no token.
    pub fn parse(text: String, names: &SpecialNames) -> Result<Self> {
        let document = Document::parse(&text)?;
        let sentencepiece = SentencePiece::find(document.part("pre_tokenizer"), &document.tokens)?;
        let own_names = sentencepiece.as_ref().map(|own| own.names(names));
        let specials = specials::find(&document, own_names.as_ref().unwrap_or(names))?;
        let cut = Cut::recognize(document.part("pre_tokenizer"), document.part("decoder"));
        let steps = normalize::recognize(document.part("normalizer"));
        let kind = match document.model.as_str() {
            "BPE" => Kind::Bpe,
            "WordPiece" => Kind::WordPiece,
            "Unigram" => Kind::Unigram,
            _ if cut == Some(Cut::Characters) => Kind::Character,
            _ => Kind::Word,
        };
        let controls = [specials.padding, specials.unknown, specials.begin, specials.end];
        let controls: Vec<u32> = controls.into_iter().flatten().collect();
        let is_control = |id: u32| controls.contains(&id);
        let own = match (&steps, cut) {
            _ if sentencepiece.is_some() => sentencepiece.map(|own| Encoder::SentencePiece(Box::new(own))),
            (Some(steps), Some(cut)) => own_encoder(&document, steps, cut, &is_control)?,
            _ => None,
        };
        let (encoder, cut) = match own {
            Some(encoder) => (encoder, cut),
            None => (Encoder::General(Box::new(General::new(&document, &controls)?)), None),
        };
        let lowercase = match &steps {
            Some(steps) => steps.contains(&Step::Lowercase),
            None => document.part("normalizer").get("lowercase").is_some_and(|lowercase| lowercase == true),
        };
        let added = document.added.iter().filter(|added| !is_control(added.id)).map(|added| added.id as i32).collect();
        let Document { tokens, ids, .. } = document;
        Ok(Self {
            kind,
            lowercase,
            tokens,
            ids,
            specials,
            added,
            encoder,
            cut,
            text,
            general: OnceLock::new(),
            rooms: Mutex::default(),
        })
    }

    /// How tokens are made.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Whether text becomes lower case first.
    #[must_use]
    pub fn lowercase(&self) -> bool {
        self.lowercase
    }

    /// Tokens by id; empty where there is none.
    #[must_use]
    pub fn tokens(&self) -> &[Box<str>] {
        &self.tokens
    }

    /// Ids of special tokens.
    #[must_use]
    pub fn specials(&self) -> Specials {
        self.specials
    }

    /// The text of its `tokenizer.json`.
    #[must_use]
    pub fn document(&self) -> &str {
        &self.text
    }

    /// The tokens of a text, known or not; of byte pairs and other kinds of parts of words those that have ids.
    ///
    /// # Errors
    /// `Data` if the rules of a file cannot be applied to the text.
    pub fn tokenize(&self, text: &str) -> Result<Vec<String>> {
        if let Encoder::Table { cutter, .. } = &self.encoder {
            let mut tokens = Vec::new();
            cutter.each(text, &mut String::new(), &mut |part| match part {
                Part::Added(index) => tokens.push(self.tokens[self.added[index] as usize].to_string()),
                Part::Piece(piece) => tokens.push(piece.to_owned()),
            });
            return Ok(tokens);
        }
        let ids = self.encode(text)?;
        Ok(ids.iter().filter_map(|&id| self.tokens.get(id as usize)).map(ToString::to_string).collect())
    }

    /// Whether texts can be cut at random.
    #[must_use]
    pub fn can_sample(&self) -> bool {
        match &self.encoder {
            Encoder::Pieces { model, .. } => matches!(model, PieceModel::Pairs { .. } | PieceModel::Unigram(_)),
            Encoder::SentencePiece(_) => true,
            Encoder::Table { .. } | Encoder::General(_) => false,
        }
    }

    /// The ids of one text.
    ///
    /// # Errors
    /// `Data` if the rules of a file cannot be applied to the text.
    pub fn encode(&self, text: &str) -> Result<Vec<i32>> {
        self.encode_as(text, &Encoding::default())
    }

    /// The ids of one text, framed, truncated or cut at random.
    ///
    /// # Errors
    /// As [`Tokenizer::encode`]; `Option` if texts cannot be cut at random.
    pub fn encode_as(&self, text: &str, encoding: &Encoding) -> Result<Vec<i32>> {
        self.check_sampling(encoding)?;
        let mut ids = Vec::new();
        self.with_room(|room| self.append_framed(text, 0, encoding, room, &mut ids))?;
        Ok(ids)
    }

    fn check_sampling(&self, encoding: &Encoding) -> Result<()> {
        if encoding.sampling.is_none() || self.can_sample() {
            return Ok(());
        }
        let message = format!("a tokenizer of type {} cannot cut texts at random", self.kind.name());
        Err(TokenizerError::new(Fault::Option, message))
    }

    /// Adds the ids of the text of a number.
    fn append_framed(
        &self,
        text: &str,
        number: usize,
        encoding: &Encoding,
        room: &mut Room,
        ids: &mut Vec<i32>,
    ) -> Result<()> {
        ids.extend(encoding.begin);
        let start = ids.len();
        let draw = encoding
            .sampling
            .map(|Sampling { amount, seed, first }| (amount, Random::new(seed, first.wrapping_add(number as u64))));
        self.append(text, draw, room, ids)?;
        encoding.truncate(ids, start, 1);
        ids.extend(encoding.end);
        Ok(())
    }

    /// The ids of many texts, on many threads.
    ///
    /// # Errors
    /// As [`Tokenizer::encode_as`]; `Limit` if there are too many ids; `Cancelled` if `cancelled` gives true.
    pub fn encode_batch<T: AsRef<str> + Sync>(
        &self,
        texts: &[T],
        encoding: &Encoding,
        run: Run<'_>,
        cancelled: &(dyn Fn() -> bool + Sync),
    ) -> Result<Encoded> {
        self.check_sampling(encoding)?;
        let parts = in_parallel(texts, run, cancelled, |start, texts| {
            self.with_room(|room| {
                let mut part = Encoded::default();
                for (number, text) in (start..).zip(texts) {
                    self.append_framed(text.as_ref(), number, encoding, room, &mut part.ids)?;
                    part.offsets.push(i32::try_from(part.ids.len()).map_err(|_| too_many())?);
                }
                Ok(part)
            })
        })?;
        let total = parts.iter().map(|part| part.ids.len()).sum();
        i32::try_from(total).map_err(|_| too_many())?;
        let mut all = Encoded { ids: Vec::with_capacity(total), offsets: Vec::with_capacity(texts.len() + 1) };
        all.offsets.push(0);
        for part in parts {
            let start = all.ids.len() as i32;
            all.ids.extend(part.ids);
            all.offsets.extend(part.offsets.iter().map(|end| start + end));
        }
        Ok(all)
    }

    fn with_room<T>(&self, work: impl FnOnce(&mut Room) -> T) -> T {
        let rooms = || self.rooms.lock().unwrap_or_else(PoisonError::into_inner);
        let mut room = rooms().pop().unwrap_or_default();
        let result = work(&mut room);
        // A long text must not keep its room.
        room.buffer.shrink_to(WORK);
        room.bytes.shrink_to(WORK);
        room.symbols.shrink_to(WORK);
        room.unigram.shrink(WORK);
        room.pieces.shrink(WORK);
        rooms().push(room);
        result
    }

    fn append(&self, text: &str, mut draw: Option<(f64, Random)>, room: &mut Room, ids: &mut Vec<i32>) -> Result<()> {
        let Room { buffer, bytes, symbols, unigram, pieces, words, known } = room;
        match &self.encoder {
            Encoder::General(general) => return general.encode(text, ids),
            Encoder::SentencePiece(model) => {
                let draw = draw.as_mut().map(|(amount, random)| (*amount, random));
                return model.encode(text, draw, pieces, |id, _, _| ids.push(id as i32));
            }
            Encoder::Table { cutter, unknown } => cutter.each(text, buffer, &mut |part| {
                ids.push(match part {
                    Part::Added(index) => self.added[index],
                    Part::Piece(piece) => self.ids.get(piece).map_or(*unknown, |&id| id as i32),
                });
            }),
            Encoder::Pieces { cutter, model } => cutter.each(text, buffer, &mut |part| {
                let piece = match part {
                    Part::Added(index) => return ids.push(self.added[index]),
                    Part::Piece(piece) => piece,
                };
                if let Some(&(start, length)) = words.get(piece).filter(|_| draw.is_none()) {
                    let start = start as usize;
                    ids.extend_from_slice(&known[start..start + length as usize]);
                    return;
                }
                match model {
                    PieceModel::Pairs { unknown, fuse, merges } => {
                        let source = if cutter.cut == Cut::Bytes {
                            pieces::write_bytes(piece, bytes);
                            bytes.as_str()
                        } else {
                            piece
                        };
                        self.symbols(source, *unknown, *fuse, symbols);
                        match &mut draw {
                            Some((dropout, random)) => merges.apply_with_dropout(symbols, *dropout, random),
                            None => merges.apply(symbols),
                        }
                    }
                    PieceModel::WordPiece(model) => model.encode(piece, symbols),
                    PieceModel::Unigram(model) => {
                        let draw = draw.as_mut().map(|(alpha, random)| (*alpha, random));
                        model.encode(piece, draw, unigram, symbols);
                    }
                }
                ids.extend(symbols.iter().map(|&id| id as i32));
                if draw.is_none() && piece.len() <= LONGEST_REMEMBERED && words.len() < REMEMBERED {
                    words.insert(piece.into(), (known.len() as u32, symbols.len() as u32));
                    known.extend(symbols.iter().map(|&id| id as i32));
                }
            }),
        }
        Ok(())
    }

    /// The ids of the characters of a piece.
    fn symbols(&self, piece: &str, unknown: Option<u32>, fuse: bool, symbols: &mut Vec<u32>) {
        symbols.clear();
        let mut after_unknown = false;
        for (start, character) in piece.char_indices() {
            let id = self.ids.get(&piece[start..start + character.len_utf8()]).copied();
            match (id, unknown) {
                (Some(id), _) => symbols.push(id),
                (None, Some(unknown)) if !(fuse && after_unknown) => symbols.push(unknown),
                _ => {}
            }
            after_unknown = id.is_none();
        }
    }
}

fn too_many() -> TokenizerError {
    TokenizerError::new(Fault::Limit, "more than 2^31 ids at once: encode fewer texts")
}

#[cfg(test)]
mod tests;
