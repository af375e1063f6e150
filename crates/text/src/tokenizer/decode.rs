//! From ids back to text.
use super::{
    Specials, Tokenizer,
    cutter::Cut,
    encoder::Encoder,
    error::{Fault, Result, TokenizerError},
    parallel::{Row, in_parallel},
    pieces, word_piece, words,
};
use crate::Run;

impl Tokenizer {
    /// The text of ids. Padding, begin and end leave no trace.
    ///
    /// # Errors
    /// `Data` if there is no such id.
    pub fn decode(&self, ids: &[i32]) -> Result<String> {
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
        if let Encoder::General(general) = &self.encoder {
            return general.decode(tokens.into_iter().map(str::to_owned).collect());
        }
        Ok(match self.cut {
            Some(Cut::Words) => words::join(tokens.into_iter()),
            Some(Cut::WordParts) => {
                let mut joined: Vec<String> = Vec::new();
                for token in tokens {
                    match (token.strip_prefix(word_piece::PREFIX), joined.last_mut()) {
                        (Some(rest), Some(word)) => word.push_str(rest),
                        _ => joined.push(token.to_owned()),
                    }
                }
                words::join(joined.iter().map(String::as_str))
            }
            Some(Cut::Marked | Cut::Runs) => {
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
            Some(Cut::Characters) | None => tokens.concat(),
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
        let parts = in_parallel(&rows, run, cancelled, |_, rows| rows.iter().map(|row| self.decode(row.0)).collect())?;
        Ok(parts.into_iter().flat_map(|part: Vec<String>| part).collect())
    }
}
