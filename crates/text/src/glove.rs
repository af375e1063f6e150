//! Pre-trained word vectors in GloVe's text format: a word and its numbers on each line.
use std::{collections::HashMap, path::Path};

use crate::{TextError, lines::Lines};

/// Lines read between two looks at the caller's wish to stop.
const LINES_PER_CHECK: usize = 1024;

/// Vectors of chosen words.
#[derive(Debug)]
pub struct Glove {
    /// One row for each word asked for, in that order; zeros where the file has no such word.
    pub matrix: Vec<f32>,
    /// For each word asked for, whether the file has it.
    pub found: Vec<bool>,
    /// Numbers in a row.
    pub dimension: usize,
}

/// Reads the vectors of `words` from a plain or gzip text file, one line at a time.
///
/// Words are compared exactly. Of a word that the file holds twice, the first line counts; a word that is asked for
/// twice gets its row twice. `dimension` 0 takes the count of the file's first line. A first line of two whole
/// numbers is the header of the word2vec format and is skipped. Reading stops when every word is found.
///
/// # Shapes
/// `matrix` is `[words.len(), dimension]`, row by row.
///
/// # Errors
/// A missing or unreadable file, a line that is not UTF-8, without numbers, with another count of numbers, or longer
/// than any vector; a number of a wanted word that is not finite; a matrix that does not fit into memory.
///
/// # Source
/// <https://nlp.stanford.edu/projects/glove/>
pub fn read<W: AsRef<str>>(path: &Path, words: &[W], dimension: usize) -> Result<Glove, TextError> {
    read_until(path, words, dimension, || false)
}

/// As [`read`], and ends with [`TextError::Cancelled`] soon after `cancelled` gives true.
///
/// # Errors
/// Those of [`read`], and [`TextError::Cancelled`].
pub fn read_until<W: AsRef<str>>(
    path: &Path,
    words: &[W],
    dimension: usize,
    mut cancelled: impl FnMut() -> bool,
) -> Result<Glove, TextError> {
    let mut first: HashMap<&str, usize> = HashMap::with_capacity(words.len());
    for (index, word) in words.iter().enumerate() {
        first.entry(word.as_ref()).or_insert(index);
    }
    let mut missing = first.len();
    let mut seen = false;
    let mut lines = Lines::open(path)?;
    let mut glove: Option<Glove> = None;
    if dimension != 0 {
        glove = Some(Glove::zeros(words.len(), dimension)?);
    }

    loop {
        if lines.number % LINES_PER_CHECK == 0 && cancelled() {
            return Err(TextError::Cancelled);
        }
        let number = lines.number + 1;
        let Some(line) = lines.next()? else { break };
        let line = line.trim_matches(SEPARATORS);
        if line.is_empty() || (number == 1 && is_header(line, dimension)) {
            continue;
        }
        seen = true;
        let glove = match &mut glove {
            Some(glove) => glove,
            empty => empty.insert(Glove::zeros(words.len(), count_numbers(line, path, number)?)?),
        };
        let (word, numbers) = split(line, glove.dimension, path, number)?;
        let Some(&index) = first.get(word) else {
            continue;
        };
        if glove.found[index] {
            continue;
        }
        let row = &mut glove.matrix[index * glove.dimension..][..glove.dimension];
        for (value, field) in row.iter_mut().zip(fields(numbers)) {
            *value = parse(field).ok_or_else(|| TextError::BadNumber {
                path: path.to_path_buf(),
                line: number,
                field: field.chars().take(40).collect(),
            })?;
        }
        glove.found[index] = true;
        missing -= 1;
        if missing == 0 {
            break;
        }
    }

    let mut glove = match glove {
        Some(glove) if seen => glove,
        _ => {
            return Err(TextError::Empty { path: path.to_path_buf() });
        }
    };
    for (index, word) in words.iter().enumerate() {
        let source = first.get(word.as_ref()).copied().unwrap_or(index);
        if source != index && glove.found[source] {
            let start = source * glove.dimension;
            glove.matrix.copy_within(start..start + glove.dimension, index * glove.dimension);
            glove.found[index] = true;
        }
    }
    Ok(glove)
}

impl Glove {
    /// Zeros of checked size.
    fn zeros(words: usize, dimension: usize) -> Result<Self, TextError> {
        let too_large = TextError::TooLarge { words, dimension };
        let mut matrix = Vec::new();
        match words.checked_mul(dimension) {
            Some(size) if matrix.try_reserve_exact(size).is_ok() => matrix.resize(size, 0.0),
            _ => return Err(too_large),
        }
        Ok(Self { matrix, found: vec![false; words], dimension })
    }
}

/// Only these separate fields: words of the large GloVe files contain other white space of Unicode.
const SEPARATORS: [char; 2] = [' ', '\t'];

fn fields(text: &str) -> impl DoubleEndedIterator<Item = &str> {
    text.split(SEPARATORS).filter(|field| !field.is_empty())
}

fn parse(field: &str) -> Option<f32> {
    field.parse().ok().filter(|value: &f32| value.is_finite())
}

fn is_header(line: &str, dimension: usize) -> bool {
    let mut whole = fields(line).map(|field| field.bytes().all(|byte| byte.is_ascii_digit()));
    dimension != 1 && whole.next() == Some(true) && whole.next() == Some(true) && whole.next().is_none()
}

/// Numbers at the end of the line; the word itself may be one.
fn count_numbers(line: &str, path: &Path, number: usize) -> Result<usize, TextError> {
    let count = fields(line).rev().take_while(|field| parse(field).is_some()).count().min(fields(line).count() - 1);
    if count == 0 {
        return Err(TextError::NoNumbers { path: path.to_path_buf(), line: number });
    }
    Ok(count)
}

/// The word and the text of its numbers. The words of the 840B file may contain spaces: what stands before the last
/// `dimension` fields is the word, unless it ends in a number, which makes the line too long instead.
fn split<'line>(
    line: &'line str,
    dimension: usize,
    path: &Path,
    number: usize,
) -> Result<(&'line str, &'line str), TextError> {
    let Some((word, numbers)) = line.split_once(SEPARATORS) else {
        return Err(TextError::NoNumbers { path: path.to_path_buf(), line: number });
    };
    let count = fields(numbers).count();
    if count == dimension {
        return Ok((word, numbers));
    }
    let extra = count.saturating_sub(dimension);
    if count < dimension || fields(numbers).take(extra).any(|field| parse(field).is_some()) {
        let found = count_numbers(line, path, number)?;
        return Err(TextError::WrongDimension { path: path.to_path_buf(), line: number, expected: dimension, found });
    }
    let start = fields(numbers).nth(extra).map_or(line.len(), |field| field.as_ptr() as usize - line.as_ptr() as usize);
    Ok((line[..start].trim_end_matches(SEPARATORS), &line[start..]))
}

#[cfg(test)]
mod tests;
