//! Porter's suffixes, with the changes that NLTK made, since rouge-score stems with NLTK.
//!
//! Words are of `a` to `z` and digits, which count as consonants.
//!
//! # Source
//! Porter, "An algorithm for suffix stripping" (1980); `nltk.stem.porter` in its mode `NLTK_EXTENSIONS`.

/// Words that the rules would get wrong.
const IRREGULAR: [(&str, &str); 16] = [
    ("sky", "sky"),
    ("skies", "sky"),
    ("dying", "die"),
    ("lying", "lie"),
    ("tying", "tie"),
    ("news", "news"),
    ("innings", "inning"),
    ("inning", "inning"),
    ("outings", "outing"),
    ("outing", "outing"),
    ("cannings", "canning"),
    ("canning", "canning"),
    ("howe", "howe"),
    ("proceed", "proceed"),
    ("exceed", "exceed"),
    ("succeed", "succeed"),
];

/// For each letter whether it is a consonant: no vowel, and no `y` after a consonant.
fn consonants(word: &str) -> Vec<bool> {
    let mut flags: Vec<bool> = Vec::with_capacity(word.len());
    for letter in word.bytes() {
        flags.push(match letter {
            b'a' | b'e' | b'i' | b'o' | b'u' => false,
            b'y' => flags.last().is_none_or(|before| !before),
            _ => true,
        });
    }
    flags
}

/// How often a vowel is followed by a consonant: m.
fn measure(stem: &str) -> usize {
    consonants(stem).windows(2).filter(|pair| !pair[0] && pair[1]).count()
}

fn is_long(stem: &str) -> bool {
    measure(stem) > 0
}

fn is_longer(stem: &str) -> bool {
    measure(stem) > 1
}

fn has_vowel(stem: &str) -> bool {
    consonants(stem).contains(&false)
}

/// Ends with consonant, vowel and consonant, the last none of w, x and y; or is a vowel and a consonant.
fn ends_short(word: &str) -> bool {
    match consonants(word)[..] {
        [false, true] => true,
        [.., true, false, true] => !word.ends_with(['w', 'x', 'y']),
        _ => false,
    }
}

/// Applies the first rule whose suffix the word has, if the condition holds for what is before it.
fn replaced(word: String, rules: &[(&str, &str)], condition: impl Fn(&str) -> bool) -> String {
    for (suffix, replacement) in rules {
        if let Some(stem) = word.strip_suffix(suffix) {
            return if condition(stem) { format!("{stem}{replacement}") } else { word };
        }
    }
    word
}

fn plurals(word: String) -> String {
    if word.len() == 4 && word.ends_with("ies") {
        return replaced(word, &[("ies", "ie")], |_| true);
    }
    replaced(word, &[("sses", "ss"), ("ies", "i"), ("ss", "ss"), ("s", "")], |_| true)
}

fn past_and_progressive(word: String) -> String {
    if word.ends_with("ied") {
        let short = word.len() == 4;
        return replaced(word, &[("ied", if short { "ie" } else { "i" })], |_| true);
    }
    if word.ends_with("eed") {
        return replaced(word, &[("eed", "ee")], is_long);
    }
    let cut = ["ed", "ing"].iter().find_map(|suffix| word.strip_suffix(suffix).filter(|stem| has_vowel(stem)));
    let Some(stem) = cut.map(str::to_owned) else { return word };
    for (suffix, replacement) in [("at", "ate"), ("bl", "ble"), ("iz", "ize")] {
        if stem.ends_with(suffix) {
            return replaced(stem, &[(suffix, replacement)], |_| true);
        }
    }
    if let [.., before, last] = *stem.as_bytes()
        && before == last
        && consonants(&stem).last() == Some(&true)
    {
        let kept = if matches!(last, b'l' | b's' | b'z') { stem.len() } else { stem.len() - 1 };
        return stem[..kept].to_owned();
    }
    if measure(&stem) == 1 && ends_short(&stem) { stem + "e" } else { stem }
}

fn final_y(word: String) -> String {
    replaced(word, &[("y", "i")], |stem| stem.len() > 1 && consonants(stem).last() == Some(&true))
}

fn double_suffixes(word: String) -> String {
    if let Some(stem) = word.strip_suffix("alli").filter(|stem| is_long(stem)) {
        return double_suffixes(format!("{stem}al"));
    }
    const RULES: [(&str, &str); 21] = [
        ("ational", "ate"),
        ("tional", "tion"),
        ("enci", "ence"),
        ("anci", "ance"),
        ("izer", "ize"),
        ("bli", "ble"),
        ("alli", "al"),
        ("entli", "ent"),
        ("eli", "e"),
        ("ousli", "ous"),
        ("ization", "ize"),
        ("ation", "ate"),
        ("ator", "ate"),
        ("alism", "al"),
        ("iveness", "ive"),
        ("fulness", "ful"),
        ("ousness", "ous"),
        ("aliti", "al"),
        ("iviti", "ive"),
        ("biliti", "ble"),
        ("fulli", "ful"),
    ];
    if word.ends_with("logi") {
        // The l belongs to the stem that is measured.
        return replaced(word, &[("ogi", "og")], is_long);
    }
    replaced(word, &RULES, is_long)
}

fn derivations(word: String) -> String {
    const RULES: [(&str, &str); 7] =
        [("icate", "ic"), ("ative", ""), ("alize", "al"), ("iciti", "ic"), ("ical", "ic"), ("ful", ""), ("ness", "")];
    replaced(word, &RULES, is_long)
}

fn suffixes(word: String) -> String {
    const BEFORE: [&str; 11] = ["al", "ance", "ence", "er", "ic", "able", "ible", "ant", "ement", "ment", "ent"];
    const AFTER: [&str; 7] = ["ou", "ism", "ate", "iti", "ous", "ive", "ize"];
    let known = BEFORE.iter().chain(&["ion"]).chain(&AFTER);
    let Some((suffix, stem)) = known.into_iter().find_map(|suffix| Some((*suffix, word.strip_suffix(suffix)?))) else {
        return word;
    };
    let fits = is_longer(stem) && (suffix != "ion" || stem.ends_with(['s', 't']));
    if fits { stem.to_owned() } else { word }
}

fn final_e(word: String) -> String {
    replaced(word, &[("e", "")], |stem| match measure(stem) {
        0 => false,
        1 => !ends_short(stem),
        _ => true,
    })
}

fn final_double_l(mut word: String) -> String {
    if word.ends_with("ll") && is_longer(&word[..word.len() - 1]) {
        word.pop();
    }
    word
}

/// The stem of a word of ASCII letters in lower case and digits.
pub(super) fn stem(word: &str) -> String {
    if let Some((_, stem)) = IRREGULAR.iter().find(|(irregular, _)| *irregular == word) {
        return (*stem).to_owned();
    }
    if word.len() <= 2 {
        return word.to_owned();
    }
    let steps =
        [plurals, past_and_progressive, final_y, double_suffixes, derivations, suffixes, final_e, final_double_l];
    steps.into_iter().fold(word.to_owned(), |word, step| step(word))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::stem;

    #[test]
    fn words_have_the_stems_of_nltk() {
        let golden = include_str!("../../../../../__test__/golden/metrics/porter-stems.json");
        let stems: BTreeMap<String, String> = serde_json::from_str(golden).unwrap();
        assert!(stems.len() > 1000);
        for (word, expected) in stems {
            assert_eq!(stem(&word), expected, "{word}");
        }
    }
}
