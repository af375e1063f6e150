//! Rules of mteval-v13a for western punctuation, which BLEU and TER share.
//!
//! Every rule is about ASCII characters and their neighbours, so that bytes of UTF-8 can be looked at one by one: all bytes of
//! other characters count as neighbours that are no digits.

/// ASCII punctuation that always stands alone: all but apostrophe, comma, hyphen and full stop. The space is among it, as there.
fn stands_alone(byte: u8) -> bool {
    matches!(byte, b'{'..=b'~' | b'['..=b'`' | b' '..=b'&' | b'('..=b'+' | b':'..=b'@' | b'/')
}

fn is_mark(byte: u8) -> bool {
    byte == b'.' || byte == b','
}

/// Puts spaces around punctuation; apostrophes, commas, hyphens and full stops are left alone.
pub(super) fn punctuation(input: &[u8], output: &mut Vec<u8>) {
    output.clear();
    for &byte in input {
        if stands_alone(byte) {
            output.extend_from_slice(&[b' ', byte, b' ']);
        } else {
            output.push(byte);
        }
    }
}

/// Replaces pairs of neighbours for which `rule` gives something, from left to right; each byte is in one pair at most.
fn pairs<const N: usize>(input: &[u8], output: &mut Vec<u8>, rule: impl Fn(u8, u8) -> Option<[u8; N]>) {
    output.clear();
    let mut at = 0;
    while let Some(&first) = input.get(at) {
        match input.get(at + 1).and_then(|&second| rule(first, second)) {
            Some(made) => {
                output.extend_from_slice(&made);
                at += 2;
            }
            None => {
                output.push(first);
                at += 1;
            }
        }
    }
}

/// Cuts full stops and commas off unless they are within a number, and hyphens off the number before them.
///
/// `text` holds what is cut, and afterwards the result; `spare` is overwritten.
pub(super) fn marks(text: &mut Vec<u8>, spare: &mut Vec<u8>) {
    pairs(text, spare, |before, mark| {
        (is_mark(mark) && !before.is_ascii_digit()).then_some([before, b' ', mark, b' '])
    });
    pairs(spare, text, |mark, after| (is_mark(mark) && !after.is_ascii_digit()).then_some([b' ', mark, b' ', after]));
    pairs(text, spare, |before, mark| (mark == b'-' && before.is_ascii_digit()).then_some([before, b' ', mark, b' ']));
    std::mem::swap(text, spare);
}

/// What XML writes for quotation marks and the like, replaced one after the other.
pub(super) fn without_entities(text: &str) -> String {
    text.replace("&quot;", "\"").replace("&amp;", "&").replace("&lt;", "<").replace("&gt;", ">")
}
