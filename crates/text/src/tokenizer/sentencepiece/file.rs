//! What a file of SentencePiece says.
use ahash::AHashSet;

use super::{
    super::error::{Fault, Result, TokenizerError},
    protobuf::{Fields, Value},
};

/// The largest file accepted, in bytes.
pub(super) const LARGEST: usize = 16 << 20;
/// The longest piece accepted, in bytes.
const LONGEST_PIECE: usize = 1024;

/// What a piece is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PieceType {
    Normal,
    /// What is not in the vocabulary.
    Unknown,
    /// Never found in text, and invisible.
    Control,
    /// Found in text before anything else.
    UserDefined,
    /// Has an id, but no text becomes it.
    Unused,
    /// A byte of an unknown character.
    Byte,
}

/// An entry of the vocabulary.
#[derive(Clone, Debug)]
pub(super) struct Piece {
    pub(super) text: Box<str>,
    pub(super) score: f32,
    pub(super) kind: PieceType,
}

/// How pieces are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Algorithm {
    Unigram,
    Bpe,
}

/// A checked file.
#[derive(Debug)]
pub(super) struct File {
    pub(super) pieces: Vec<Piece>,
    pub(super) algorithm: Algorithm,
    pub(super) unknown: u32,
    pub(super) byte_fallback: bool,
    /// Whether the space of a word stands after it.
    pub(super) suffix: bool,
    /// What an unknown piece becomes when decoding.
    pub(super) unknown_surface: String,
    /// Names of padding, begin and end.
    pub(super) padding: String,
    pub(super) begin: String,
    pub(super) end: String,
    pub(super) charsmap: Vec<u8>,
    pub(super) dummy_prefix: bool,
    pub(super) remove_extra_spaces: bool,
    pub(super) escape_spaces: bool,
}

pub(super) fn damaged(message: impl std::fmt::Display) -> TokenizerError {
    TokenizerError::new(Fault::Format, format!("SentencePiece model: {message}"))
}

fn fields<'a>(message: &'a [u8], mut each: impl FnMut(u64, Value<'a>) -> Result<()>) -> Result<()> {
    for field in Fields::new(message) {
        let (number, value) = field.ok_or_else(|| damaged("it is cut off or no such file"))?;
        each(number, value)?;
    }
    Ok(())
}

fn text(value: Value<'_>) -> Result<String> {
    let Value::Bytes(bytes) = value else { return Err(damaged("a text is no text")) };
    String::from_utf8(bytes.to_vec()).map_err(|_| damaged("a text is not valid UTF-8"))
}

fn message(value: Value<'_>) -> Result<&[u8]> {
    match value {
        Value::Bytes(bytes) => Ok(bytes),
        _ => Err(damaged("a message is no message")),
    }
}

impl File {
    /// Reads a file that may come from anywhere.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self> {
        if bytes.len() > LARGEST {
            let message = format!("SentencePiece model: more than {} MiB", LARGEST >> 20);
            return Err(TokenizerError::new(Fault::Limit, message));
        }
        let mut file = Self {
            pieces: Vec::new(),
            algorithm: Algorithm::Unigram,
            unknown: 0,
            byte_fallback: false,
            suffix: false,
            unknown_surface: " \u{2047} ".to_owned(),
            padding: "<pad>".to_owned(),
            begin: "<s>".to_owned(),
            end: "</s>".to_owned(),
            charsmap: Vec::new(),
            dummy_prefix: true,
            remove_extra_spaces: true,
            escape_spaces: true,
        };
        fields(bytes, |number, value| match number {
            1 => {
                let piece = piece(message(value)?, file.pieces.len())?;
                file.pieces.push(piece);
                Ok(())
            }
            2 => file.read_trainer(message(value)?),
            3 => file.read_normalizer(message(value)?),
            5 => fields(message(value)?, |number, value| match (number, value) {
                (2, Value::Bytes([_, ..])) => Err(damaged("rules for what is decoded are not supported")),
                _ => Ok(()),
            }),
            _ => Ok(()),
        })?;
        file.check()?;
        Ok(file)
    }

    fn read_trainer(&mut self, bytes: &[u8]) -> Result<()> {
        fields(bytes, |number, value| {
            match (number, value) {
                (3, Value::Integer(1)) => self.algorithm = Algorithm::Unigram,
                (3, Value::Integer(2)) => self.algorithm = Algorithm::Bpe,
                (3, _) => {
                    return Err(damaged("only unigram models and byte pairs are supported, not words and characters"));
                }
                (24, Value::Integer(flag)) => self.suffix = flag != 0,
                (35, Value::Integer(flag)) => self.byte_fallback = flag != 0,
                (44, _) => self.unknown_surface = text(value)?,
                (46, _) => self.begin = text(value)?,
                (47, _) => self.end = text(value)?,
                (48, _) => self.padding = text(value)?,
                _ => {}
            }
            Ok(())
        })
    }

    fn read_normalizer(&mut self, bytes: &[u8]) -> Result<()> {
        fields(bytes, |number, value| {
            match (number, value) {
                (2, Value::Bytes(bytes)) => self.charsmap = bytes.to_vec(),
                (3, Value::Integer(flag)) => self.dummy_prefix = flag != 0,
                (4, Value::Integer(flag)) => self.remove_extra_spaces = flag != 0,
                (5, Value::Integer(flag)) => self.escape_spaces = flag != 0,
                _ => {}
            }
            Ok(())
        })
    }

    fn check(&mut self) -> Result<()> {
        let mut seen = AHashSet::with_capacity(self.pieces.len());
        if let Some(twice) = self.pieces.iter().find(|piece| !seen.insert(&*piece.text)) {
            return Err(damaged(format!("piece {:?} occurs twice", twice.text.chars().take(40).collect::<String>())));
        }
        let mut unknown = (0..).zip(&self.pieces).filter(|(_, piece)| piece.kind == PieceType::Unknown);
        match (unknown.next(), unknown.next()) {
            (Some((id, _)), None) => self.unknown = id,
            _ => return Err(damaged("there must be one piece for what is unknown")),
        }
        let bytes = || self.pieces.iter().filter(|piece| piece.kind == PieceType::Byte);
        if self.byte_fallback && bytes().count() != 256 {
            return Err(damaged(format!("there are {} of 256 pieces for bytes", bytes().count())));
        }
        if let Some(wrong) = bytes().find(|piece| byte_of(&piece.text).is_none()) {
            return Err(damaged(format!("{:?} is no piece for a byte", wrong.text)));
        }
        Ok(())
    }
}

/// The byte that a piece such as `<0x0A>` stands for.
pub(super) fn byte_of(text: &str) -> Option<u8> {
    let digits = text.strip_prefix("<0x")?.strip_suffix('>')?;
    let is_hex = |byte: u8| byte.is_ascii_digit() || (b'A'..=b'F').contains(&byte);
    (digits.len() == 2 && digits.bytes().all(is_hex)).then(|| u8::from_str_radix(digits, 16).ok())?
}

fn piece(bytes: &[u8], index: usize) -> Result<Piece> {
    let mut piece = Piece { text: Box::default(), score: 0.0, kind: PieceType::Normal };
    fields(bytes, |number, value| {
        match (number, value) {
            (1, _) => piece.text = text(value)?.into(),
            (2, Value::Four(bytes)) => piece.score = f32::from_le_bytes(bytes),
            (3, Value::Integer(kind)) => {
                piece.kind = match kind {
                    1 => PieceType::Normal,
                    2 => PieceType::Unknown,
                    3 => PieceType::Control,
                    4 => PieceType::UserDefined,
                    5 => PieceType::Unused,
                    6 => PieceType::Byte,
                    _ => return Err(damaged(format!("piece {index} has the unknown type {kind}"))),
                }
            }
            _ => {}
        }
        Ok(())
    })?;
    if piece.text.is_empty() || piece.text.len() > LONGEST_PIECE || !piece.score.is_finite() {
        return Err(damaged(format!(
            "piece {index} has no text, a text of more than {LONGEST_PIECE} bytes, or no score"
        )));
    }
    Ok(piece)
}
