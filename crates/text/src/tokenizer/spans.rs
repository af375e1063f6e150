//! Which part of a text each id stands for.
use super::{Encoder, Encoding, Fault, Result, Tokenizer, TokenizerError, document::Document, general::General};

impl Tokenizer {
    /// The ids of a text and, two numbers for each, where the part of the text begins and ends that it stands for, in units of
    /// UTF-16. Begin and end stand for nothing, at the beginning and the end of the text.
    ///
    /// # Errors
    /// As [`Tokenizer::encode_as`]; `Option` if texts are to be cut at random.
    pub fn encode_spans(&self, text: &str, encoding: &Encoding) -> Result<(Vec<i32>, Vec<i32>)> {
        if encoding.sampling.is_some() {
            return Err(TokenizerError::new(Fault::Option, "spans are those of the best way, not of one at random"));
        }
        let units = Units::new(text)?;
        let mut ids = Vec::new();
        let mut spans = Vec::new();
        let mut push = |id: i32, start: usize, end: usize| {
            ids.push(id);
            spans.extend([units.at(start), units.at(end)]);
        };
        match &self.encoder {
            Encoder::SentencePiece(model) => {
                self.with_room(|room| {
                    model.encode(text, None, &mut room.pieces, |id, start, end| push(id as i32, start, end))
                })?;
            }
            Encoder::General(general) => {
                general.encode_spans(text)?.into_iter().for_each(|(id, (start, end))| push(id, start, end));
            }
            _ => {
                let found = match self.with_room(|room| self.plain_spans(text, room)) {
                    Some(found) => found,
                    None => self.general()?.encode_spans(text)?,
                };
                found.into_iter().for_each(|(id, (start, end))| push(id, start, end));
                debug_assert_eq!(ids, self.encode(text)?);
            }
        }
        encoding.truncate(&mut ids, 0, 1);
        encoding.truncate(&mut spans, 0, 2);
        if let Some(begin) = encoding.begin {
            ids.insert(0, begin);
            spans.splice(0..0, [0, 0]);
        }
        if let Some(end) = encoding.end {
            ids.push(end);
            spans.extend([units.at(text.len()); 2]);
        }
        Ok((ids, spans))
    }

    /// The same tokenizer as the crate runs it, which follows each character through all rules.
    pub(super) fn general(&self) -> Result<&General> {
        self.general.get_or_init(|| self.make_general()).as_deref().map_err(Clone::clone)
    }

    fn make_general(&self) -> Result<Box<General>> {
        let document = Document::parse(&self.text)?;
        let specials = self.specials;
        let controls = [specials.padding, specials.unknown, specials.begin, specials.end];
        Ok(Box::new(General::new(&document, &controls.into_iter().flatten().collect::<Vec<u32>>())?))
    }
}

/// Places of a text in units of UTF-16.
struct Units {
    /// By byte, with the end; `None` if both are the same.
    places: Option<Vec<i32>>,
    length: i32,
}

impl Units {
    fn new(text: &str) -> Result<Self> {
        let length = i32::try_from(text.len())
            .map_err(|_| TokenizerError::new(Fault::Limit, "a text of more than 2^31 bytes has no spans"))?;
        if text.is_ascii() {
            return Ok(Self { places: None, length });
        }
        let mut places = Vec::with_capacity(text.len() + 1);
        let mut place = 0;
        for character in text.chars() {
            places.resize(places.len() + character.len_utf8(), place);
            place += character.len_utf16() as i32;
        }
        places.push(place);
        Ok(Self { places: Some(places), length: place })
    }

    fn at(&self, byte: usize) -> i32 {
        match &self.places {
            Some(places) => places.get(byte).copied().unwrap_or(self.length),
            None => self.length.min(byte as i32),
        }
    }
}
