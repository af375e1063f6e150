//! Lines of a plain or gzip file, one at a time in one buffer.
use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read},
    path::{Path, PathBuf},
};

use flate2::bufread::MultiGzDecoder;

use crate::TextError;

/// The longest line accepted: a vector of 60,000 numbers fits, a binary file without line ends does not fill the memory.
pub(crate) const LONGEST_LINE: usize = 1 << 20;

/// A reader of lines that knows where it is.
pub(crate) struct Lines {
    reader: Box<dyn BufRead>,
    buffer: Vec<u8>,
    path: PathBuf,
    /// Number of the line read last, from 1.
    pub(crate) number: usize,
}

impl Lines {
    /// Opens a file; gzip is recognised by its first bytes, not by its name.
    pub(crate) fn open(path: &Path) -> Result<Self, TextError> {
        let open_error = |source| TextError::Open { path: path.to_path_buf(), source };
        let file = File::open(path).map_err(open_error)?;
        if file.metadata().map_err(open_error)?.is_dir() {
            return Err(open_error(io::Error::from(io::ErrorKind::IsADirectory)));
        }
        let mut raw = BufReader::with_capacity(1 << 16, file);
        let gzip = raw
            .fill_buf()
            .map_err(|source| TextError::Read { path: path.to_path_buf(), line: 1, source })?
            .starts_with(&[0x1f, 0x8b]);
        let reader: Box<dyn BufRead> =
            if gzip { Box::new(BufReader::with_capacity(1 << 16, MultiGzDecoder::new(raw))) } else { Box::new(raw) };
        Ok(Self { reader, buffer: Vec::new(), path: path.to_path_buf(), number: 0 })
    }

    /// The next line without its end (`\n` or `\r\n`), or `None` at the end of the file.
    pub(crate) fn next(&mut self) -> Result<Option<&str>, TextError> {
        self.number += 1;
        self.buffer.clear();
        let mut limited = (&mut self.reader).take(LONGEST_LINE as u64 + 1);
        let read = limited.read_until(b'\n', &mut self.buffer).map_err(|source| TextError::Read {
            path: self.path.clone(),
            line: self.number,
            source,
        })?;
        if read == 0 {
            return Ok(None);
        }
        if read > LONGEST_LINE {
            return Err(TextError::LineTooLong { path: self.path.clone(), line: self.number, limit: LONGEST_LINE });
        }
        let mut line = self.buffer.as_slice();
        line = line.strip_suffix(b"\n").unwrap_or(line);
        line = line.strip_suffix(b"\r").unwrap_or(line);
        match std::str::from_utf8(line) {
            Ok(text) => Ok(Some(text)),
            Err(_) => Err(TextError::NotUtf8 { path: self.path.clone(), line: self.number }),
        }
    }
}
