//! Rules of normalisation as SentencePiece compiles them: a double array of strings, and what they become.

/// What strings become.
#[derive(Debug)]
pub(super) struct Charsmap {
    units: Vec<u32>,
    texts: String,
}

/// A unit of a double array: where its children lie, which byte leads to it, and whether a string ends there.
#[derive(Clone, Copy)]
struct Unit(u32);

impl Unit {
    fn offset(self) -> usize {
        ((self.0 >> 10) << ((self.0 & 1 << 9) >> 6)) as usize
    }

    fn is(self, label: u8) -> bool {
        self.0 & (1 << 31 | 0xff) == u32::from(label)
    }

    fn ends(self) -> bool {
        self.0 >> 8 & 1 == 1
    }

    fn value(self) -> usize {
        (self.0 & !(1 << 31)) as usize
    }
}

impl Charsmap {
    /// Of the bytes in a file: size of the array, the array, and texts that are each ended by a zero.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let (size, rest) = bytes.split_first_chunk()?;
        let (units, texts) = rest.split_at_checked(u32::from_le_bytes(*size) as usize)?;
        let (units, []) = units.as_chunks() else { return None };
        let units: Vec<u32> = units.iter().map(|unit| u32::from_le_bytes(*unit)).collect();
        (!units.is_empty()).then_some(())?;
        Some(Self { units, texts: String::from_utf8(texts.to_vec()).ok()? })
    }

    /// The length of the longest string with a rule that `text` begins with, and what it becomes.
    pub(super) fn longest(&self, text: &str) -> Option<(usize, &str)> {
        let unit = |place: usize| self.units.get(place).copied().map(Unit);
        let mut place = unit(0)?.offset();
        let mut longest = None;
        for (index, &byte) in text.as_bytes().iter().enumerate() {
            place ^= usize::from(byte);
            let Some(next) = unit(place).filter(|next| next.is(byte)) else { break };
            place ^= next.offset();
            if next.ends() {
                longest = unit(place).map(|end| (index + 1, end.value()));
            }
        }
        let (length, value) = longest.filter(|(length, _)| text.is_char_boundary(*length))?;
        let rest = self.texts.get(value..)?;
        Some((length, rest.split_once('\0').map_or(rest, |(text, _)| text)))
    }
}
