//! Unicode normalisation and lower case, as the normalisers of the `tokenizers` crate do them.
use std::borrow::Cow;

use serde_json::{Value, json};
use unicode_normalization_alignments::{
    IsNormalized, UnicodeNormalization, is_nfc_quick, is_nfd_quick, is_nfkc_quick, is_nfkd_quick,
};

use super::bert;

/// One step of normalisation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Canonical composition.
    Nfc,
    /// Canonical decomposition.
    Nfd,
    /// Compatibility composition.
    Nfkc,
    /// Compatibility decomposition.
    Nfkd,
    /// Lower case, character by character.
    Lowercase,
    /// As BERT: no control characters, and plain spaces.
    Clean,
    /// As BERT: spaces around Chinese characters.
    SpaceIdeographs,
    /// As BERT: no marks that take no room of their own.
    StripMarks,
}

impl Step {
    /// Those that are normalisers of their own in `tokenizer.json`; the others are parts of `BertNormalizer`.
    const ALL: [(Self, &'static str); 5] = [
        (Self::Nfc, "NFC"),
        (Self::Nfd, "NFD"),
        (Self::Nfkc, "NFKC"),
        (Self::Nfkd, "NFKD"),
        (Self::Lowercase, "Lowercase"),
    ];

    /// Its name in `tokenizer.json`.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(step, _)| *step == self).map_or("", |(_, name)| name)
    }

    fn apply<'text>(self, text: Cow<'text, str>) -> Cow<'text, str> {
        use IsNormalized::Yes;
        match self {
            Self::Clean => return bert::clean(text),
            Self::SpaceIdeographs => return bert::space_ideographs(text),
            Self::StripMarks => return bert::strip_marks(text),
            _ => {}
        }
        if text.is_ascii() {
            return match self {
                Self::Lowercase if text.bytes().any(|byte| byte.is_ascii_uppercase()) => {
                    let mut owned = text.into_owned();
                    owned.make_ascii_lowercase();
                    Cow::Owned(owned)
                }
                _ => text,
            };
        }
        match self {
            Self::Nfc if is_nfc_quick(text.chars()) == Yes => text,
            Self::Nfd if is_nfd_quick(text.chars()) == Yes => text,
            Self::Nfkc if is_nfkc_quick(text.chars()) == Yes => text,
            Self::Nfkd if is_nfkd_quick(text.chars()) == Yes => text,
            Self::Nfc => text.chars().nfc().map(|(character, _)| character).collect(),
            Self::Nfd => text.chars().nfd().map(|(character, _)| character).collect(),
            Self::Nfkc => text.chars().nfkc().map(|(character, _)| character).collect(),
            Self::Nfkd => text.chars().nfkd().map(|(character, _)| character).collect(),
            Self::Lowercase => text.chars().flat_map(char::to_lowercase).collect(),
            Self::Clean | Self::SpaceIdeographs | Self::StripMarks => text,
        }
    }
}

/// The text after all steps.
pub(super) fn normalize<'text>(steps: &[Step], text: &'text str) -> Cow<'text, str> {
    steps.iter().fold(Cow::Borrowed(text), |text, step| step.apply(text))
}

/// The steps as a normaliser of `tokenizer.json`.
pub(super) fn document(steps: &[Step]) -> Value {
    let mut parts = steps.iter().map(|step| json!({ "type": step.name() }));
    match steps.len() {
        0 => Value::Null,
        1 => parts.next().unwrap_or_default(),
        _ => json!({ "type": "Sequence", "normalizers": parts.collect::<Vec<_>>() }),
    }
}

/// The steps of a normaliser, or `None` if it does something else.
pub(super) fn recognize(value: &Value) -> Option<Vec<Step>> {
    if value.is_null() {
        return Some(Vec::new());
    }
    let name = value.get("type")?.as_str()?;
    if name == "BertNormalizer" {
        return bert::steps(value);
    }
    if name == "Sequence" {
        let mut steps = Vec::new();
        for part in value.get("normalizers")?.as_array()? {
            // A sequence in a sequence is left to the crate.
            steps.push(Step::ALL.iter().find(|(_, name)| part.get("type").is_some_and(|part| part == name))?.0);
        }
        return Some(steps);
    }
    Some(vec![Step::ALL.iter().find(|(_, known)| *known == name)?.0])
}
