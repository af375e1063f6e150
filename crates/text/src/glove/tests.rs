use std::{fs, io::Write, path::PathBuf};

use flate2::{Compression, write::GzEncoder};

use super::*;

/// A file that is removed with the value.
struct Temporary(PathBuf);

impl Temporary {
    fn new(name: &str, content: &[u8]) -> Self {
        let path = std::env::temp_dir().join(format!("sconce-glove-{}-{name}", std::process::id()));
        fs::write(&path, content).expect("temporary file");
        Self(path)
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(content).expect("in memory");
    encoder.finish().expect("in memory")
}

const SMALL: &[u8] = b"the 1 2.5 -3\r\ncat 4e-1 5 6\nthe 9 9 9\n\n7 7 8 9\n. . 0.5 0.25 0.125\n";

fn read_bytes(name: &str, content: &[u8], words: &[&str], dimension: usize) -> Result<Glove, TextError> {
    let file = Temporary::new(name, content);
    read(&file.0, words, dimension)
}

#[test]
fn words_asked_for_get_their_rows_in_order() {
    for (name, bytes) in [("plain", SMALL.to_vec()), ("gzip", gzip(SMALL))] {
        for dimension in [0, 3] {
            let words = ["cat", "dog", "the", "7", ". .", "cat"];
            let glove = read_bytes(&format!("{name}{dimension}"), &bytes, &words, dimension).expect("reads");
            assert_eq!(glove.dimension, 3);
            assert_eq!(glove.found, [true, false, true, true, true, true]);
            assert_eq!(glove.matrix[..3], [0.4, 5.0, 6.0]);
            assert_eq!(glove.matrix[3..6], [0.0; 3]);
            assert_eq!(glove.matrix[6..9], [1.0, 2.5, -3.0], "the first of two lines counts");
            assert_eq!(glove.matrix[9..12], [7.0, 8.0, 9.0]);
            assert_eq!(glove.matrix[12..15], [0.5, 0.25, 0.125]);
            assert_eq!(glove.matrix[15..], [0.4, 5.0, 6.0]);
        }
    }
}

#[test]
fn several_gzip_members_are_one_file() {
    let mut bytes = gzip(b"a 1 2\n");
    bytes.extend(gzip(b"b 3 4\n"));
    let glove = read_bytes("members", &bytes, &["b"], 0).expect("reads");
    assert_eq!(glove.matrix, [3.0, 4.0]);
}

#[test]
fn the_header_of_word2vec_is_skipped() {
    let glove = read_bytes("header", b"2 2\na 1 2\nb 3 4\n", &["a", "2"], 0).expect("reads");
    assert_eq!(glove.matrix, [1.0, 2.0, 0.0, 0.0]);
    let single = read_bytes("single", b"2 2\n", &["2"], 1).expect("a word and one number");
    assert_eq!(single.matrix, [2.0]);
}

#[test]
fn no_words_give_an_empty_matrix_with_the_dimension() {
    let glove = read_bytes("none", SMALL, &[], 0).expect("reads");
    assert_eq!((glove.matrix.len(), glove.found.len(), glove.dimension), (0, 0, 3));
}

#[test]
fn a_missing_file_and_a_folder_are_named() {
    let path = std::env::temp_dir().join("sconce-glove-that-is-not-there");
    let error = read(&path, &["a"], 0).expect_err("missing");
    assert!(matches!(error, TextError::Open { .. }));
    assert!(error.to_string().contains("sconce-glove-that-is-not-there"));
    let error = read(&std::env::temp_dir(), &["a"], 0).expect_err("a folder");
    assert!(matches!(error, TextError::Open { .. }));
}

#[test]
fn a_wrong_dimension_names_its_line() {
    let check = |name: &str, content: &[u8], dimension: usize, at: usize, want: usize, has: usize| match read_bytes(
        name,
        content,
        &["zebra"],
        dimension,
    )
    .expect_err("wrong dimension")
    {
        TextError::WrongDimension { line, expected, found, .. } => {
            assert_eq!((line, expected, found), (at, want, has));
        }
        other => panic!("{other}"),
    };
    check("short", b"a 1 2 3\nb 1 2\n", 0, 2, 3, 2);
    check("long", b"a 1 2 3\nb 1 2 3 4\n", 0, 2, 3, 4);
    check("asked-less", b"a 1 2 3\n", 2, 1, 2, 3);
    check("asked-more", b"a 1 2 3\n", 4, 1, 4, 3);
}

#[test]
fn what_is_no_vector_file_is_refused() {
    for (name, content) in [("page", &b"<!DOCTYPE html>\n"[..]), ("words", b"a\nb\n"), ("text", b"some text here\n")] {
        let error = read_bytes(name, content, &["a"], 0).expect_err("no numbers");
        assert!(matches!(error, TextError::NoNumbers { line: 1, .. }), "{error}");
    }
    for (name, content) in [("empty", &b""[..]), ("blank", b"\n\n")] {
        let error = read_bytes(name, content, &["a"], 0).expect_err("empty");
        assert!(matches!(error, TextError::Empty { .. }), "{error}");
    }
    let error = read_bytes("empty3", b"", &["a"], 3).expect_err("empty");
    assert!(matches!(error, TextError::Empty { .. }), "{error}");
}

#[test]
fn bad_bytes_and_bad_numbers_name_their_line() {
    let error = read_bytes("bytes", b"a 1\n\xff\xfe 2\n", &["b"], 0).expect_err("not UTF-8");
    assert!(matches!(error, TextError::NotUtf8 { line: 2, .. }), "{error}");
    for field in ["x", "nan", "inf", "1e99"] {
        let content = format!("a 1 2\nb 1 {field}\n");
        let error = read_bytes(field, content.as_bytes(), &["b"], 0).expect_err("bad number");
        assert!(matches!(error, TextError::BadNumber { line: 2, .. }), "{error}");
        assert!(error.to_string().contains(field));
    }
}

#[test]
fn a_truncated_gzip_file_and_an_endless_line_end_in_errors() {
    let whole = gzip(&SMALL.repeat(1000));
    let error = read_bytes("cut", &whole[..whole.len() / 2], &["zebra"], 0).expect_err("truncated");
    assert!(matches!(error, TextError::Read { .. }), "{error}");
    let error = read_bytes("endless", &vec![b'a'; 3 << 20], &["a"], 0).expect_err("no line end");
    assert!(matches!(error, TextError::LineTooLong { line: 1, .. }), "{error}");
}

#[test]
fn a_matrix_beyond_memory_is_refused() {
    let error = read_bytes("huge", SMALL, &["a", "b"], usize::MAX).expect_err("overflow");
    assert!(matches!(error, TextError::TooLarge { .. }), "{error}");
}

#[test]
fn reading_can_be_cancelled() {
    let file = Temporary::new("cancel", &SMALL.repeat(2000));
    let mut looks = 0;
    let error = read_until(&file.0, &["zebra"], 0, || {
        looks += 1;
        looks == 3
    })
    .expect_err("cancelled");
    assert!(matches!(error, TextError::Cancelled));
}
