//! Files of SentencePiece (`.model`, `.spm`), run as the library of that name runs them.
//!
//! # Source
//! Kudo and Richardson, "SentencePiece: A simple and language independent subword tokenizer and detokenizer" (2018), and the
//! messages of its `sentencepiece_model.proto`. Texts are normalised, cut and decoded as by version 0.2.
use serde_json::Value;

mod charsmap;
mod document;
mod file;
mod normalizer;
mod pieces;
mod protobuf;

use super::{base64, error::Result, lattice::Lattice, random::Random, specials::SpecialNames, trie::Trie};
use charsmap::Charsmap;
use file::{File, PieceType, byte_of, damaged};
use normalizer::{Normalized, Normalizer, SPACE};
use pieces::{Found, Pieces};

/// Where the pre-tokeniser of a `tokenizer.json` holds the file, in base 64.
const KEY: &str = "sentencepiece";

/// What a worker keeps between texts.
#[derive(Default)]
pub(super) struct PieceRoom {
    normalized: Normalized,
    lattice: Lattice,
    found: Vec<Found>,
}

impl PieceRoom {
    pub(super) fn shrink(&mut self, most: usize) {
        self.normalized.text.shrink_to(most);
        self.normalized.origins.shrink_to(most);
        self.lattice.shrink(most);
        self.found.shrink_to(most);
    }
}

/// A file, ready to run.
pub(super) struct SentencePiece {
    normalizer: Normalizer,
    pieces: Pieces,
    file: File,
    /// The pieces of bytes, by byte.
    bytes: Option<Box<[u32; 256]>>,
}

/// The text of the `tokenizer.json` of a file that may come from anywhere.
pub(super) fn document(bytes: &[u8]) -> Result<String> {
    document::write(&File::parse(bytes)?, bytes)
}

impl SentencePiece {
    /// The file in a pre-tokeniser, if there is one; its pieces must be `tokens`.
    pub(super) fn find(pre_tokenizer: &Value, tokens: &[Box<str>]) -> Result<Option<Self>> {
        let Some(text) = pre_tokenizer.get(KEY) else { return Ok(None) };
        let bytes = text.as_str().and_then(base64::decode).ok_or_else(|| damaged("it is not in base 64"))?;
        let made = Self::new(File::parse(&bytes)?)?;
        let pieces = made.file.pieces.iter().map(|piece| &piece.text);
        if !pieces.eq(tokens) {
            return Err(damaged("its pieces are not those of the tokenizer.json around it"));
        }
        Ok(Some(made))
    }

    fn new(file: File) -> Result<Self> {
        let charsmap = if file.charsmap.is_empty() {
            None
        } else {
            Some(Charsmap::parse(&file.charsmap).ok_or_else(|| damaged("the rules of normalisation are damaged"))?)
        };
        let symbols: Vec<(&[u8], u32)> = (0..)
            .zip(&file.pieces)
            .filter(|(_, piece)| piece.kind == PieceType::UserDefined)
            .map(|(id, piece)| (piece.text.as_bytes(), id))
            .collect();
        let normalizer = Normalizer {
            charsmap,
            symbols: (!symbols.is_empty()).then(|| Trie::new(symbols)),
            dummy_prefix: file.dummy_prefix,
            remove_extra_spaces: file.remove_extra_spaces,
            escape_spaces: file.escape_spaces,
            suffix: file.suffix,
        };
        let bytes = file.byte_fallback.then(|| {
            let mut ids = Box::new([file.unknown; 256]);
            for (id, piece) in (0..).zip(&file.pieces).filter(|(_, piece)| piece.kind == PieceType::Byte) {
                if let Some(byte) = byte_of(&piece.text) {
                    ids[usize::from(byte)] = id;
                }
            }
            ids
        });
        Ok(Self { normalizer, pieces: Pieces::new(&file), bytes, file })
    }

    /// Names of special tokens, where neither the caller nor the file leaves them open.
    pub(super) fn names(&self, names: &SpecialNames) -> SpecialNames {
        let own = |name: &Option<String>, own: &str| {
            let is_control = |piece: &&file::Piece| *piece.text == *own && piece.kind == PieceType::Control;
            name.clone().or_else(|| self.file.pieces.iter().find(is_control).map(|piece| piece.text.to_string()))
        };
        SpecialNames {
            padding: own(&names.padding, &self.file.padding),
            unknown: names.unknown.clone(),
            begin: own(&names.begin, &self.file.begin),
            end: own(&names.end, &self.file.end),
        }
    }

    /// Calls `each` with the id of each piece of a text, and the bytes of the text that it stands for.
    pub(super) fn encode(
        &self,
        text: &str,
        draw: Option<(f64, &mut Random)>,
        room: &mut PieceRoom,
        mut each: impl FnMut(u32, usize, usize),
    ) -> Result<()> {
        let PieceRoom { normalized, lattice, found } = room;
        self.normalizer.run(text, normalized)?;
        self.pieces.find(&normalized.text, draw, lattice, found);
        let origin = |place: u32| normalized.origins.get(place as usize).map_or(0, |&origin| origin as usize);
        let mut index = 0;
        while let Some(&Found { start, end, id, .. }) = found.get(index) {
            index += 1;
            if id != self.file.unknown {
                each(id, origin(start), origin(end));
                continue;
            }
            if let Some(ids) = &self.bytes {
                // The last byte stands for the whole character.
                for place in start..end {
                    let byte = normalized.text.as_bytes()[place as usize];
                    let last = place + 1 == end;
                    each(ids[usize::from(byte)], origin(start), origin(if last { end } else { start }));
                }
                continue;
            }
            let run = found[index..].iter().take_while(|next| next.id == id).count();
            index += run;
            each(id, origin(start), origin(found[index - 1].end));
        }
        Ok(())
    }

    /// The text of ids, all of which are pieces.
    pub(super) fn decode(&self, ids: impl Iterator<Item = u32>) -> String {
        let File { pieces, dummy_prefix, remove_extra_spaces, unknown_surface, .. } = &self.file;
        let mut text = String::new();
        let mut bytes = Vec::new();
        let mut at_begin = true;
        let mut seen_space = false;
        for id in ids {
            let Some(piece) = pieces.get(id as usize) else { continue };
            if piece.kind == PieceType::Byte {
                bytes.extend(byte_of(&piece.text));
                continue;
            }
            push_bytes(&mut bytes, &mut text);
            at_begin &= !seen_space && text.is_empty();
            seen_space = false;
            match piece.kind {
                PieceType::Control => {}
                PieceType::Unknown => text.push_str(unknown_surface),
                _ => {
                    let mut rest = &*piece.text;
                    if let Some(after) =
                        rest.strip_prefix(SPACE).filter(|_| at_begin && (*dummy_prefix || *remove_extra_spaces))
                    {
                        rest = after;
                        seen_space = !remove_extra_spaces;
                    }
                    rest.split(SPACE).enumerate().for_each(|(index, part)| {
                        text.push_str(if index > 0 { " " } else { "" });
                        text.push_str(part);
                    });
                }
            }
        }
        push_bytes(&mut bytes, &mut text);
        text
    }
}

/// Adds bytes as text, each that belongs to no character as a replacement character.
fn push_bytes(bytes: &mut Vec<u8>, text: &mut String) {
    let mut rest = &bytes[..];
    while !rest.is_empty() {
        let valid = match std::str::from_utf8(rest) {
            Ok(valid) => valid,
            Err(error) => std::str::from_utf8(&rest[..error.valid_up_to()]).unwrap_or_default(),
        };
        text.push_str(valid);
        rest = &rest[valid.len()..];
        if !rest.is_empty() {
            text.push(char::REPLACEMENT_CHARACTER);
            rest = &rest[1..];
        }
    }
    bytes.clear();
}

#[cfg(test)]
mod tests;
