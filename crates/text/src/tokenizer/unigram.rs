//! Pieces with scores, as the unigram model of the `tokenizers` crate finds them.
use super::{
    lattice::{Lattice, Node},
    random::Random,
    trie::Trie,
};

/// What an unknown character costs more than the least probable piece.
const UNKNOWN_PENALTY: f64 = 10.0;

/// Pieces and the logarithms of their probabilities.
pub(super) struct Unigram {
    trie: Trie,
    scores: Vec<f64>,
    /// The piece for what is unknown.
    pub(super) unknown: u32,
    unknown_score: f64,
}

/// What finding pieces needs between texts.
#[derive(Default)]
pub(super) struct UnigramRoom {
    lattice: Lattice,
    way: Vec<Node>,
}

impl UnigramRoom {
    pub(super) fn shrink(&mut self, most: usize) {
        self.lattice.shrink(most);
        self.way.shrink_to(most);
    }
}

impl Unigram {
    /// Of pieces by id; what is not among them becomes the piece `unknown`.
    pub(super) fn new<'a>(pieces: impl Iterator<Item = (&'a str, f64)>, unknown: u32) -> Self {
        let (tokens, scores): (Vec<&str>, Vec<f64>) = pieces.unzip();
        let trie = Trie::new(tokens.iter().map(|token| token.as_bytes()).zip(0..).collect());
        let least = scores.iter().copied().fold(f64::INFINITY, f64::min);
        Self { trie, scores, unknown, unknown_score: least - UNKNOWN_PENALTY }
    }

    /// All pieces that may stand in a text.
    fn fill(&self, text: &str, lattice: &mut Lattice) {
        lattice.clear();
        let bytes = text.as_bytes();
        for (start, character) in text.char_indices() {
            let width = character.len_utf8();
            let mut has_single = false;
            let mut push = |length: usize, id: u32, score: f64| {
                lattice.nodes.push(Node { start: start as u32, end: (start + length) as u32, id, score });
            };
            self.trie.each_prefix(&bytes[start..], |length, id| {
                has_single |= length == width;
                push(length, id, self.scores[id as usize]);
            });
            if !has_single {
                push(width, self.unknown, self.unknown_score);
            }
        }
    }

    /// The ids of a text: the best ones, or drawn with the exponent `alpha`. Unknown characters in a row are one token.
    pub(super) fn encode(
        &self,
        text: &str,
        draw: Option<(f64, &mut Random)>,
        room: &mut UnigramRoom,
        ids: &mut Vec<u32>,
    ) {
        ids.clear();
        let UnigramRoom { lattice, way } = room;
        self.fill(text, lattice);
        match draw {
            Some((alpha, random)) => lattice.sample(text.len(), alpha, random, way),
            None => {
                lattice.best(text.len(), |sum| sum, |_| false, way);
            }
        }
        let mut index = 0;
        while let Some(node) = way.get(index) {
            let run = way[index..].iter().take_while(|node| node.id == self.unknown).count();
            match run {
                0 | 1 => ids.push(node.id),
                _ => {
                    let end = way[index + run - 1].end as usize;
                    let whole = self.trie.get(&text.as_bytes()[node.start as usize..end]);
                    ids.push(whole.unwrap_or(self.unknown));
                }
            }
            index += run.max(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tokenizers::{Model, models::unigram};

    use super::*;

    fn pieces() -> Vec<(String, f64)> {
        [("<unk>", 0.0), ("a", -2.0), ("b", -2.5), ("ab", -3.0), ("é", -4.0), ("aba", -4.5), ("bé", -6.0), ("xy", -9.0)]
            .map(|(piece, score)| (piece.to_owned(), score))
            .to_vec()
    }

    fn made() -> Unigram {
        Unigram::new(pieces().iter().map(|(piece, score)| (piece.as_str(), *score)), 0)
    }

    proptest! {
        #[test]
        fn pieces_are_those_of_the_crate(text in "[ab\u{e9}xyz]{1,20}") {
            let oracle = unigram::Unigram::from(pieces(), Some(0), false).unwrap();
            let expected: Vec<u32> = oracle.tokenize(&text).unwrap().iter().map(|token| token.id).collect();
            let mut ids = Vec::new();
            made().encode(&text, None, &mut UnigramRoom::default(), &mut ids);
            prop_assert_eq!(ids, expected);
        }
    }

    #[test]
    fn ways_are_drawn_as_often_as_they_are_probable() {
        let model = made();
        let ways: [(&[u32], f64); 4] = [(&[1, 2, 1], -6.5), (&[3, 1], -5.0), (&[5], -4.5), (&[], 0.0)];
        for alpha in [0.0, 0.3, 1.0] {
            let all: f64 = ways[..3].iter().map(|(_, score)| (alpha * score).exp()).sum();
            let mut room = UnigramRoom::default();
            let mut ids = Vec::new();
            let mut counts = [0; 3];
            let rounds = 6000;
            for text in 0..rounds {
                model.encode("aba", Some((alpha, &mut Random::new(3, text))), &mut room, &mut ids);
                counts[ways.iter().position(|(way, _)| **way == *ids).unwrap()] += 1;
            }
            for (count, (_, score)) in counts.iter().zip(&ways) {
                let (found, expected) = (f64::from(*count) / rounds as f64, (alpha * score).exp() / all);
                assert!((found - expected).abs() < 0.03, "{alpha}: {found} {expected}");
            }
        }
    }
}
