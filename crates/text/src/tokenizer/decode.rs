//! From ids back to text.
use std::borrow::Cow;

use super::{
    Kind, Specials, Tokenizer,
    cutter::Cut,
    encoder::Encoder,
    error::{Fault, Result, TokenizerError},
    parallel::{Row, in_parallel},
    pieces, word_piece, words,
};
use crate::{
    Run,
    detokenize::{Language, detokenize},
};

impl Tokenizer {
    /// The text of ids. Padding, begin and end leave no trace.
    ///
    /// # Errors
    /// `Data` if there is no such id.
    pub fn decode(&self, ids: &[i32]) -> Result<String> {
        self.decode_as(ids, None)
    }

    /// Whether tokens are words, or parts that are joined to words.
    #[must_use]
    pub fn has_words(&self) -> bool {
        matches!(self.kind, Kind::Word | Kind::WordPiece)
    }

    /// The same, of which words are joined by the rules of a language.
    ///
    /// # Errors
    /// As [`Tokenizer::decode`]; `Option` if tokens are no words.
    pub fn decode_as(&self, ids: &[i32], language: Option<Language>) -> Result<String> {
        if language.is_some() && !self.has_words() {
            let message = format!("a tokenizer of type {} has no words to join", self.kind.name());
            return Err(TokenizerError::new(Fault::Option, message));
        }
        if let Encoder::SentencePiece(model) = &self.encoder {
            for &id in ids {
                self.token(id)?;
            }
            let silent = [self.specials.padding, self.specials.begin, self.specials.end];
            let heard = ids.iter().map(|&id| id as u32).filter(|&id| !silent.contains(&Some(id)));
            return Ok(model.decode(heard));
        }
        let Specials { padding, begin, end, .. } = self.specials;
        let silent = [padding, begin, end].map(|id| id.map_or(-1, |id| id as i32));
        let mut tokens = Vec::with_capacity(ids.len());
        for id in ids.iter().filter(|&id| !silent.contains(id)) {
            tokens.push(self.token(*id)?);
        }
        if let Some(language) = language {
            return Ok(if self.kind == Kind::WordPiece {
                detokenize(whole_words(&tokens).iter().map(|word| &**word), language, false)
            } else {
                detokenize(tokens.into_iter(), language, false)
            });
        }
        if let Encoder::General(general) = &self.encoder {
            return general.decode(tokens.into_iter().map(str::to_owned).collect());
        }
        if self.cut == Some(Cut::Bert) {
            return self.general()?.decode(tokens.into_iter().map(str::to_owned).collect());
        }
        Ok(match self.cut {
            Some(Cut::Words(_)) => words::join(tokens.into_iter()),
            Some(Cut::WordParts(_)) => {
                let joined = whole_words(&tokens);
                words::join(joined.iter().map(|word| &**word))
            }
            Some(Cut::Marked(_)) => {
                let mut text = String::new();
                for (index, token) in tokens.into_iter().enumerate() {
                    let space = if index == 0 { "" } else { " " };
                    for (index, part) in token.split(pieces::WORD_START).enumerate() {
                        text.push_str(if index > 0 { space } else { "" });
                        text.push_str(part);
                    }
                }
                text
            }
            Some(Cut::Bytes) => {
                let mut bytes = Vec::new();
                for token in tokens {
                    match token.chars().map(pieces::byte_of).collect::<Option<Vec<u8>>>() {
                        Some(own) => bytes.extend(own),
                        None => bytes.extend(token.bytes()),
                    }
                }
                String::from_utf8_lossy(&bytes).into_owned()
            }
            Some(Cut::Characters | Cut::Bert) | None => tokens.concat(),
        })
    }

    fn token(&self, id: i32) -> Result<&str> {
        let token = usize::try_from(id).ok().and_then(|id| self.tokens.get(id)).filter(|token| !token.is_empty());
        token.map(|token| &**token).ok_or_else(|| {
            let message = format!("id {id} is not in a vocabulary of {} tokens", self.tokens.len());
            TokenizerError::new(Fault::Data, message)
        })
    }

    /// The texts of many rows of ids; row `r` is `ids[offsets[r]..offsets[r + 1]]`.
    ///
    /// # Errors
    /// As [`Tokenizer::decode`]; `Data` if the offsets do not fit; `Cancelled` if `cancelled` gives true.
    pub fn decode_batch(
        &self,
        ids: &[i32],
        offsets: &[i32],
        language: Option<Language>,
        run: Run<'_>,
        cancelled: &(dyn Fn() -> bool + Sync),
    ) -> Result<Vec<String>> {
        let mut rows = Vec::with_capacity(offsets.len());
        for (row, pair) in offsets.windows(2).enumerate() {
            let range = usize::try_from(pair[0]).ok().zip(usize::try_from(pair[1]).ok());
            let Some(ids) = range.and_then(|(start, end)| ids.get(start..end)) else {
                let message = format!("row {row} from {} to {} is not within {} ids", pair[0], pair[1], ids.len());
                return Err(TokenizerError::new(Fault::Data, message));
            };
            rows.push(Row(ids));
        }
        let parts = in_parallel(&rows, run, cancelled, |_, rows| {
            rows.iter().map(|row| self.decode_as(row.0, language)).collect()
        })?;
        Ok(parts.into_iter().flat_map(|part: Vec<String>| part).collect())
    }
}

/// Tokens with the parts that continue them.
fn whole_words<'token>(tokens: &[&'token str]) -> Vec<Cow<'token, str>> {
    let mut words: Vec<Cow<'token, str>> = Vec::with_capacity(tokens.len());
    for &token in tokens {
        match (token.strip_prefix(word_piece::PREFIX), words.last_mut()) {
            (Some(rest), Some(word)) => word.to_mut().push_str(rest),
            _ => words.push(Cow::Borrowed(token)),
        }
    }
    words
}
