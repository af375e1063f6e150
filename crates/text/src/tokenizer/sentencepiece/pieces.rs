//! Finding pieces as SentencePiece does, in numbers of 32 bits as there.
use std::{cmp::Ordering, collections::BinaryHeap};

use ahash::AHashMap;

use super::{
    super::{
        lattice::{Lattice, Node},
        random::Random,
        trie::Trie,
    },
    file::{Algorithm, File, PieceType},
};

const UNKNOWN_PENALTY: f32 = 10.0;
const NONE: usize = usize::MAX;

/// The pieces of a file.
pub(super) struct Pieces {
    algorithm: Algorithm,
    /// Pieces that can stand in a text, also those that are unused.
    trie: Trie,
    scores: Vec<f32>,
    kinds: Vec<PieceType>,
    symbols: Option<Trie>,
    unknown: u32,
    unknown_score: f32,
    largest: f32,
    has_unused: bool,
}

/// A piece at a place of the text.
pub(super) type Found = Node;

/// Two neighbours that could become one piece.
#[derive(PartialEq)]
struct Pair {
    score: f32,
    left: usize,
    right: usize,
    length: usize,
}

impl Eq for Pair {}

impl Ord for Pair {
    /// The larger score first, of equal ones the left one.
    fn cmp(&self, other: &Self) -> Ordering {
        self.score.partial_cmp(&other.score).unwrap_or(Ordering::Equal).then(other.left.cmp(&self.left))
    }
}

impl PartialOrd for Pair {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// A run of characters; its neighbours.
struct Symbol {
    start: usize,
    end: usize,
    before: usize,
    after: usize,
    /// Whether it stays as it is.
    frozen: bool,
}

impl Pieces {
    pub(super) fn new(file: &File) -> Self {
        let inside = [PieceType::Normal, PieceType::UserDefined, PieceType::Unused];
        let keys = |kinds: &[PieceType]| {
            let chosen = (0..).zip(&file.pieces).filter(|(_, piece)| kinds.contains(&piece.kind));
            chosen.map(|(id, piece)| (piece.text.as_bytes(), id)).collect::<Vec<(&[u8], u32)>>()
        };
        let symbols = keys(&[PieceType::UserDefined]);
        let normal = || file.pieces.iter().filter(|piece| piece.kind == PieceType::Normal).map(|piece| piece.score);
        Self {
            algorithm: file.algorithm,
            trie: Trie::new(keys(&inside)),
            scores: file.pieces.iter().map(|piece| piece.score).collect(),
            kinds: file.pieces.iter().map(|piece| piece.kind).collect(),
            symbols: (!symbols.is_empty()).then(|| Trie::new(symbols)),
            unknown: file.unknown,
            unknown_score: normal().fold(f32::MAX, f32::min) - UNKNOWN_PENALTY,
            largest: normal().fold(f32::MIN_POSITIVE, f32::max),
            has_unused: file.pieces.iter().any(|piece| piece.kind == PieceType::Unused),
        }
    }

    /// The pieces of a normalised text, the best ones or drawn at random.
    pub(super) fn find(
        &self,
        text: &str,
        draw: Option<(f64, &mut Random)>,
        lattice: &mut Lattice,
        found: &mut Vec<Found>,
    ) {
        found.clear();
        if text.is_empty() {
            return;
        }
        match self.algorithm {
            Algorithm::Unigram => {
                self.fill(text, lattice);
                match draw {
                    Some((alpha, random)) => lattice.sample(text.len(), alpha, random, found),
                    None => {
                        lattice.best(text.len(), |sum| f64::from(sum as f32), |_| false, found);
                    }
                }
            }
            Algorithm::Bpe => self.merge(text, draw, found),
        }
    }

    fn fill(&self, text: &str, lattice: &mut Lattice) {
        lattice.clear();
        for (start, character) in text.char_indices() {
            let width = character.len_utf8();
            let mut has_single = false;
            let mut push = |length: usize, id: u32, score: f64| {
                lattice.nodes.push(Node { start: start as u32, end: (start + length) as u32, id, score });
            };
            self.trie.each_prefix(&text.as_bytes()[start..], |length, id| {
                let score = match self.kinds[id as usize] {
                    PieceType::Unused => return,
                    // Symbols of the user are taken wherever they can be.
                    PieceType::UserDefined => f64::from(length as f32 * self.largest) - 0.1,
                    _ => f64::from(self.scores[id as usize]),
                };
                has_single |= length == width;
                push(length, id, score);
            });
            if !has_single {
                push(width, self.unknown, f64::from(self.unknown_score));
            }
        }
    }

    fn merge(&self, text: &str, mut draw: Option<(f64, &mut Random)>, found: &mut Vec<Found>) {
        let mut symbols: Vec<Symbol> = Vec::new();
        let mut start = 0;
        while start < text.len() {
            let rest = &text[start..];
            let own = self.symbols.as_ref().and_then(|symbols| symbols.longest_prefix(rest.as_bytes()));
            let length = own.map_or_else(|| rest.chars().next().map_or(1, char::len_utf8), |(length, _)| length);
            let index = symbols.len();
            let before = index.checked_sub(1).unwrap_or(NONE);
            symbols.push(Symbol { start, end: start + length, before, after: index + 1, frozen: own.is_some() });
            start += length;
        }
        if let Some(last) = symbols.last_mut() {
            last.after = NONE;
        }
        let mut queue = BinaryHeap::new();
        // Where pieces that are unused must be cut again.
        let mut cuts: AHashMap<&str, usize> = AHashMap::new();
        let add =
            |symbols: &[Symbol], left: usize, right: usize, queue: &mut BinaryHeap<Pair>, cuts: &mut AHashMap<_, _>| {
                let (Some(first), Some(second)) = (symbols.get(left), symbols.get(right)) else { return };
                if first.frozen || second.frozen {
                    return;
                }
                let piece = &text[first.start..second.end];
                let Some(id) = self.trie.get(piece.as_bytes()) else { return };
                queue.push(Pair { score: self.scores[id as usize], left, right, length: piece.len() });
                if self.kinds[id as usize] == PieceType::Unused {
                    cuts.insert(piece, first.end - first.start);
                }
            };
        for right in 1..symbols.len() {
            add(&symbols, right - 1, right, &mut queue, &mut cuts);
        }
        while let Some(Pair { left, right, length, .. }) = queue.pop() {
            let is_empty = |symbol: &Symbol| symbol.start == symbol.end;
            let size = symbols[left].end - symbols[left].start + symbols[right].end - symbols[right].start;
            if is_empty(&symbols[left]) || is_empty(&symbols[right]) || size != length {
                continue;
            }
            if draw.as_mut().is_some_and(|(dropout, random)| random.next() < *dropout) {
                continue;
            }
            symbols[left].end = symbols[right].end;
            let after = symbols[right].after;
            symbols[left].after = after;
            if let Some(after) = symbols.get_mut(after) {
                after.before = left;
            }
            symbols[right].start = symbols[right].end;
            let before = symbols[left].before;
            add(&symbols, before, left, &mut queue, &mut cuts);
            add(&symbols, left, after, &mut queue, &mut cuts);
        }
        let mut index = 0;
        while let Some(symbol) = symbols.get(index) {
            self.push(text, symbol.start, symbol.end, &cuts, found);
            index = symbol.after;
        }
    }

    /// Adds a piece, or the pieces it is made of if it is unused.
    fn push(&self, text: &str, start: usize, end: usize, cuts: &AHashMap<&str, usize>, found: &mut Vec<Found>) {
        let piece = &text[start..end];
        let id = self.trie.get(piece.as_bytes());
        if self.has_unused
            && id.is_some_and(|id| self.kinds[id as usize] == PieceType::Unused)
            && let Some(&length) = cuts.get(piece)
        {
            self.push(text, start, start + length, cuts, found);
            self.push(text, start + length, end, cuts, found);
            return;
        }
        let id = id.unwrap_or(self.unknown);
        found.push(Found { start: start as u32, end: end as u32, id, score: 0.0 });
    }
}
