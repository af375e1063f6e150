//! White space as Python has it, which all reference implementations split at.

/// Whether Python's `str.split` splits at a character.
pub(crate) fn is_space(character: char) -> bool {
    match character {
        '\x21'..='\u{84}' => false,
        '\t'..='\r' | '\x1c'..='\x20' | '\u{85}' | '\u{a0}' | '\u{1680}' | '\u{2000}'..='\u{200a}' => true,
        '\u{2028}' | '\u{2029}' | '\u{202f}' | '\u{205f}' | '\u{3000}' => true,
        _ => false,
    }
}

/// What lies between white space, without empty pieces.
pub(crate) fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(is_space).filter(|word| !word.is_empty())
}
