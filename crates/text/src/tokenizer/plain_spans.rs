//! Spans of texts of plain ASCII by own encoders: no rule changes how long such a text is, so that pieces follow each other in it.
use super::{
    Room, Tokenizer,
    cutter::{Cut, Part},
    encoder::{Encoder, PieceModel},
    pieces::{self, WORD_START},
    word_piece,
};

/// Ids with the bytes of the text that each stands for.
type Spans = Vec<(i32, (usize, usize))>;

impl Tokenizer {
    /// The spans of a text, or `None` if it is not plain, or an unknown token does not tell how long it is.
    pub(super) fn plain_spans(&self, text: &str, room: &mut Room) -> Option<Spans> {
        if !text.bytes().all(|byte| matches!(byte, b' '..=b'~' | b'\t' | b'\n' | b'\r')) {
            return None;
        }
        let (Encoder::Table { cutter, .. } | Encoder::Pieces { cutter, .. }) = &self.encoder else { return None };
        let Room { buffer, bytes, symbols, unigram, .. } = room;
        let mut spans = Spans::with_capacity(text.len() / 4);
        let mut fits = true;
        let mut at = 0;
        cutter.each(text, buffer, &mut |part| {
            let piece = match part {
                Part::Added(index) => {
                    let id = self.added[index];
                    let content = &*self.tokens[id as usize];
                    at += text[at..].find(content).unwrap_or(0);
                    spans.push((id, (at, at + content.len())));
                    at += content.len();
                    return;
                }
                Part::Piece(piece) => piece,
            };
            // What is left out between words is white space; the mark before the first one stands for nothing.
            if matches!(cutter.cut, Cut::Words(_) | Cut::WordParts(_) | Cut::Bert) {
                at += text[at..].find(|character: char| !character.is_ascii_whitespace()).unwrap_or(0);
            }
            let is_marked = matches!(cutter.cut, Cut::Marked(_));
            let mut lead = usize::from(is_marked && at == 0 && piece.starts_with(WORD_START) && !text.starts_with(' '));
            let end = at + piece.chars().count() - lead;
            // The characters of an unknown token, if that is known, and what a token after the first begins with.
            let (mut unknown, mut prefix) = (None, "");
            match &self.encoder {
                Encoder::Table { unknown, .. } => {
                    symbols.clear();
                    symbols.push(self.ids.get(piece).map_or(*unknown as u32, |&id| id));
                }
                Encoder::Pieces { model: PieceModel::Pairs { unknown: id, fuse, merges }, .. } => {
                    let is_bytes = cutter.cut == Cut::Bytes;
                    if is_bytes {
                        pieces::write_bytes(piece, bytes);
                    }
                    self.symbols(if is_bytes { bytes } else { piece }, *id, *fuse, symbols);
                    merges.apply(symbols);
                    unknown = id.map(|id| (id, (!fuse).then_some(1)));
                }
                Encoder::Pieces { model: PieceModel::WordPiece(model), .. } => {
                    model.encode(piece, symbols);
                    prefix = word_piece::PREFIX;
                }
                Encoder::Pieces { model: PieceModel::Unigram(model), .. } => {
                    model.encode(piece, None, unigram, symbols);
                    unknown = Some((model.unknown, None));
                }
                Encoder::SentencePiece(_) | Encoder::General(_) => {}
            }
            // Alone, the mark before the first word has the span of the first character.
            let closed = |start: usize, end: usize, lead: usize| (start, if end == start { end + lead } else { end });
            if let [id] = symbols[..] {
                spans.push((id as i32, closed(at, end, lead)));
                at = end;
                return;
            }
            for (index, &id) in symbols.iter().enumerate() {
                let token = &*self.tokens[id as usize];
                let rest = if index > 0 { token.strip_prefix(prefix).unwrap_or(token) } else { token };
                let length = match unknown {
                    Some((unknown, length)) if unknown == id => length,
                    _ => Some(rest.chars().count()),
                };
                let Some(length) = length else {
                    fits = false;
                    return;
                };
                let next = at + length.saturating_sub(lead);
                spans.push((id as i32, closed(at, next, lead)));
                (at, lead) = (next, lead.saturating_sub(length));
            }
            fits &= at == end;
        });
        fits.then_some(spans)
    }
}
