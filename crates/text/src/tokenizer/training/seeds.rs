//! Pieces to begin with: strings that occur several times and cannot be lengthened without losing an occurrence.
use ahash::AHashMap;

/// Longest piece, in characters.
const LONGEST: usize = 16;
/// Most pieces beside single characters.
const MOST: usize = 1_000_000;

/// Searches the words of a corpus.
pub(super) struct Seeds {
    text: Vec<char>,
    /// For each character the number of its word.
    words: Vec<u32>,
    /// For each word its end in `text`, and how often it occurs.
    ends: Vec<(u32, u64)>,
    minimum: u64,
    /// Where strings begin, by their first character.
    places: Vec<Vec<u32>>,
    /// What is worth how much: occurrences times length.
    found: Vec<(u64, u32, u8)>,
}

impl Seeds {
    /// Of words with their counts; pieces must occur `minimum` times, and twice.
    pub(super) fn new(words: &[(Box<str>, u64)], minimum: u64) -> Self {
        let mut seeds = Self {
            text: Vec::new(),
            words: Vec::new(),
            ends: Vec::new(),
            minimum: minimum.max(2),
            places: Vec::new(),
            found: Vec::new(),
        };
        let mut by_first: AHashMap<char, Vec<u32>> = AHashMap::new();
        for (index, (word, count)) in (0..).zip(words) {
            for character in word.chars() {
                by_first.entry(character).or_default().push(seeds.text.len() as u32);
                seeds.text.push(character);
                seeds.words.push(index);
            }
            seeds.ends.push((seeds.text.len() as u32, *count));
        }
        let mut places: Vec<(char, Vec<u32>)> = by_first.into_iter().collect();
        places.sort_unstable_by_key(|(character, _)| *character);
        seeds.places = places.into_iter().map(|(_, places)| places).collect();
        seeds
    }

    /// The string from a place on, as long as a piece may be.
    fn at(&self, place: u32) -> &[char] {
        let (end, _) = self.ends[self.words[place as usize] as usize];
        &self.text[place as usize..(end as usize).min(place as usize + LONGEST)]
    }

    fn take(&mut self, place: u32, length: usize, count: u64) {
        if length >= 2 && count >= self.minimum {
            self.found.push((count.saturating_mul(length as u64), place, length as u8));
        }
    }

    /// Searches the strings with one more first character; whether all are done.
    pub(super) fn advance(&mut self) -> bool {
        let Some(mut places) = self.places.pop() else { return true };
        places.sort_unstable_by(|&a, &b| self.at(a).cmp(self.at(b)).then(a.cmp(&b)));
        // Strings that the last ones have in common: length and occurrences.
        let mut open: Vec<(usize, u64)> = vec![(0, 0)];
        let mut before = 0;
        for (index, &place) in places.iter().enumerate() {
            let own = self.at(place);
            let common = |other: &[char]| own.iter().zip(other).take_while(|(a, b)| a == b).count();
            let after = places.get(index + 1).map_or(0, |&next| common(self.at(next)));
            let length = own.len();
            let (_, count) = self.ends[self.words[place as usize] as usize];
            if length > before.max(after) {
                self.take(place, length, count);
            }
            let mut carried = count;
            while let Some(&(length, inside)) = open.last().filter(|(length, _)| *length > after) {
                open.pop();
                carried += inside;
                self.take(place, length, carried);
            }
            match open.last_mut() {
                Some((length, inside)) if *length == after => *inside += carried,
                _ => open.push((after, carried)),
            }
            before = after;
        }
        if self.found.len() > 2 * MOST {
            self.keep_best();
        }
        self.places.is_empty()
    }

    fn keep_best(&mut self) {
        let mut found = std::mem::take(&mut self.found);
        found.sort_unstable_by(|a, b| b.0.cmp(&a.0).then_with(|| self.piece(a).cmp(self.piece(b))));
        found.truncate(MOST);
        self.found = found;
    }

    fn piece(&self, &(_, place, length): &(u64, u32, u8)) -> &[char] {
        &self.text[place as usize..place as usize + usize::from(length)]
    }

    /// The pieces from worth most to worth least, with what they are worth.
    pub(super) fn end(mut self) -> Vec<(Box<str>, f64)> {
        self.keep_best();
        self.found.iter().map(|found| (self.piece(found).iter().collect::<String>().into(), found.0 as f64)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_counted_with_their_words() {
        let words = [("abab", 3), ("ab", 2), ("xyz", 1), ("zzzz", 4)].map(|(word, count)| (word.into(), count));
        let mut seeds = Seeds::new(&words, 1);
        while !seeds.advance() {}
        let mut found = seeds.end();
        found.sort_by(|a, b| a.0.cmp(&b.0));
        let expected = [("ab", 16.0), ("abab", 12.0), ("bab", 9.0), ("zz", 24.0), ("zzz", 24.0), ("zzzz", 16.0)];
        assert_eq!(found, expected.map(|(piece, worth)| (piece.into(), worth)));
    }

    #[test]
    fn counts_are_those_of_a_plain_search() {
        let words: Vec<(Box<str>, u64)> = ["banana", "bandana", "ananas", "aaaaaaaaaaaaaaaaaaaaaaaa", "nab"]
            .iter()
            .zip([2, 1, 3, 1, 5])
            .map(|(word, count)| ((*word).into(), count))
            .collect();
        let mut seeds = Seeds::new(&words, 1);
        while !seeds.advance() {}
        let found = seeds.end();
        let occurrences = |piece: &str| -> u64 {
            words
                .iter()
                .map(|(word, count)| count * (0..word.len()).filter(|&at| word[at..].starts_with(piece)).count() as u64)
                .sum()
        };
        for (piece, worth) in &found {
            assert_eq!(*worth, (occurrences(piece) * piece.len() as u64) as f64, "{piece}");
        }
        // What can be lengthened without losing an occurrence is left out, and nothing else.
        for (word, _) in &words {
            for start in 0..word.len() {
                for end in start + 2..=word.len().min(start + LONGEST) {
                    let piece = &word[start..end];
                    let count = occurrences(piece);
                    let loses = end - start == LONGEST
                        || "abnsd".chars().all(|next| occurrences(&format!("{piece}{next}")) < count);
                    assert_eq!(found.iter().any(|(other, _)| &**other == piece), count >= 2 && loses, "{piece}");
                }
            }
        }
    }
}
