//! Safetensors files: written whole or not at all, read with suspicion.
use std::{
    collections::{BTreeMap, HashMap},
    fs::{self, File},
    io::{Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use safetensors::{
    Dtype,
    tensor::{Metadata, TensorView},
};

use crate::error::{Code, Error, Result};

/// Name of the header's entry that holds our own metadata as a JSON object.
const METADATA: &str = "sconce";

/// Bytes of the header that a file may have beyond its tensors.
const LARGEST_HEADER: u64 = 64 << 20;

/// Bytes that are read at once.
const BLOCK: usize = 1 << 20;

fn failed(action: &str, path: &Path, error: &std::io::Error) -> Error {
    Error::new(Code::File, format!("cannot {action} {}: {error}", path.display()))
}

/// Makes a file's content, or a folder's entries, durable.
///
/// # Errors
/// `File` if the system refuses.
pub fn sync(path: &Path) -> Result<()> {
    let file = File::open(path).map_err(|error| failed("open", path, &error))?;
    match file.sync_all() {
        // Windows cannot sync folders, and some network file systems neither.
        Err(_) if path.is_dir() => Ok(()),
        result => result.map_err(|error| failed("sync", path, &error)),
    }
}

/// Writes a file so that it holds all of `bytes` or what it held before, whatever happens.
///
/// # Errors
/// `File` if the system refuses; the file is unchanged then.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<()> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_path_buf(),
        _ => PathBuf::from("."),
    };
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or("file");
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let temporary = folder.join(format!(".{name}.{}-{number}.tmp", std::process::id()));
    let written = (|| {
        let mut file = File::create(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&temporary, path)
    })();
    if let Err(error) = written {
        // The first failure is the one to report.
        let _ = fs::remove_file(&temporary);
        return Err(failed("write", path, &error));
    }
    sync(&folder)
}

/// A tensor to write: name, shape, type, bytes in little-endian order.
pub struct Entry {
    /// Unique name.
    pub name: String,
    /// Sizes.
    pub shape: Vec<usize>,
    /// Type.
    pub dtype: Dtype,
    /// `shape` elements of `dtype`.
    pub bytes: Vec<u8>,
}

impl Entry {
    /// A tensor of floats.
    #[must_use]
    pub fn float(name: String, shape: Vec<usize>, values: &[f32]) -> Self {
        Self { name, shape, dtype: Dtype::F32, bytes: values.iter().flat_map(|value| value.to_le_bytes()).collect() }
    }

    /// A tensor of unsigned integers.
    #[must_use]
    pub fn unsigned(name: String, values: &[u32]) -> Self {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        Self { name, shape: vec![values.len()], dtype: Dtype::U32, bytes }
    }
}

/// Writes a safetensors file atomically.
///
/// # Errors
/// `File` if the system refuses.
pub fn write(path: &Path, entries: &[Entry], metadata: HashMap<String, String>) -> Result<()> {
    let internal = |error: safetensors::SafeTensorError| {
        Error::new(Code::Internal, format!("cannot write {}: {error}", path.display()))
    };
    let views = entries
        .iter()
        .map(|entry| {
            TensorView::new(entry.dtype, entry.shape.clone(), &entry.bytes).map(|view| (entry.name.clone(), view))
        })
        .collect::<std::result::Result<Vec<_>, _>>()
        .map_err(internal)?;
    // One entry with sorted keys: a map of several would be written in an order that changes from run to run.
    let sorted: BTreeMap<_, _> = metadata.into_iter().collect();
    let text = serde_json::to_string(&sorted).map_err(|error| Error::new(Code::Internal, error.to_string()))?;
    let header = HashMap::from([(METADATA.to_owned(), text)]);
    let bytes = safetensors::serialize(views, Some(header)).map_err(internal)?;
    write_atomically(path, &bytes)
}

/// A safetensors file whose tensors are read when they are asked for: at most one of them is in memory twice.
#[derive(Debug)]
pub struct Contents {
    path: PathBuf,
    file: File,
    /// Text beside the tensors.
    pub metadata: HashMap<String, String>,
    tensors: HashMap<String, Place>,
}

/// A tensor of a file.
#[derive(Debug)]
struct Place {
    shape: Vec<usize>,
    dtype: Dtype,
    /// Bytes from the beginning of the file.
    start: u64,
    length: usize,
}

/// Opens a file whose tensors take at most `expected` bytes.
///
/// # Errors
/// `File` if it cannot be read; `Format` if it is no safetensors file or larger than expected.
pub fn read(path: &Path, expected: u64) -> Result<Contents> {
    let format = |reason: String| Error::new(Code::Format, format!("{}: {reason}", path.display()));
    let mut file = File::open(path).map_err(|error| failed("read", path, &error))?;
    let metadata = file.metadata().map_err(|error| failed("read", path, &error))?;
    if !metadata.is_file() {
        return Err(Error::new(Code::File, format!("cannot read {}: it is not a file", path.display())));
    }
    let size = metadata.len();
    let limit = expected.saturating_add(LARGEST_HEADER);
    if size > limit {
        return Err(format(format!("has {size} bytes, expected at most {limit}: it belongs to another model")));
    }
    let damaged = |reason: &dyn std::fmt::Display| format(format!("damaged safetensors file ({reason})"));
    let mut length = [0; 8];
    if size < 8 {
        return Err(damaged(&"it has fewer than 8 bytes"));
    }
    file.read_exact(&mut length).map_err(|error| failed("read", path, &error))?;
    let length = u64::from_le_bytes(length);
    if length > LARGEST_HEADER || length > size - 8 {
        return Err(damaged(&format!("its header would have {length} bytes")));
    }
    let mut header = vec![0; length as usize];
    file.read_exact(&mut header).map_err(|error| failed("read", path, &error))?;
    // Names the tensors in the order of their bytes, which follow one another without a gap.
    let header: Metadata = serde_json::from_slice(&header).map_err(|error| damaged(&error))?;
    let start = 8 + length;
    if start + header.data_len() as u64 != size {
        return Err(damaged(&format!("its tensors take {} bytes, it has {}", header.data_len(), size - start)));
    }
    let texts = header.metadata().as_ref().and_then(|entries| entries.get(METADATA));
    let texts = texts.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    let tensors = header
        .tensors()
        .into_iter()
        .map(|(name, info)| {
            let (first, end) = info.data_offsets;
            let place = Place {
                shape: info.shape.clone(),
                dtype: info.dtype,
                start: start + first as u64,
                length: end - first,
            };
            (name, place)
        })
        .collect();
    Ok(Contents { path: path.to_path_buf(), file, metadata: texts, tensors })
}

impl Contents {
    fn format(&self, reason: String) -> Error {
        Error::new(Code::Format, format!("{}: {reason}", self.path.display()))
    }

    /// Names of all tensors.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// Gives the words of a tensor block by block to `take`, with the number of those before; a block is some rows of `row` words.
    fn blocks(
        &self,
        name: &str,
        shape: &[usize],
        dtype: Dtype,
        row: usize,
        mut take: impl FnMut(usize, &[[u8; 4]]),
    ) -> Result<()> {
        let place = self.tensors.get(name).ok_or_else(|| self.format(format!("lacks the tensor {name}")))?;
        let Place { shape: found, dtype: kind, start, length } = place;
        if found != shape || *kind != dtype {
            return Err(self.format(format!(
                "tensor {name}: expected {dtype:?} of shape {shape:?}, got {kind:?} of shape {found:?}"
            )));
        }
        let cannot = |error: std::io::Error| failed("read", &self.path, &error);
        let mut file = &self.file;
        file.seek(SeekFrom::Start(*start)).map_err(cannot)?;
        let row = 4 * row.max(1);
        let size = ((BLOCK / row).max(1) * row).min(*length);
        let mut bytes = vec![0; size];
        let mut done = 0;
        while done < *length {
            let block = &mut bytes[..size.min(length - done)];
            file.read_exact(block).map_err(cannot)?;
            take(done / 4, block.as_chunks::<4>().0);
            done += block.len();
        }
        Ok(())
    }

    fn words<T>(&self, name: &str, shape: &[usize], dtype: Dtype, of: fn([u8; 4]) -> T) -> Result<Vec<T>> {
        let mut values = Vec::new();
        self.blocks(name, shape, dtype, 1, |_, words| values.extend(words.iter().map(|&word| of(word))))?;
        Ok(values)
    }

    /// The floats of a tensor.
    ///
    /// # Errors
    /// `Format` if it is missing or has another shape or type; `File` if it cannot be read.
    pub fn floats(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
        self.words(name, shape, Dtype::F32, f32::from_le_bytes)
    }

    /// Gives the floats of a tensor block by block to `take`, with the number of those before: always whole rows of `row` floats.
    ///
    /// # Errors
    /// As for [`Contents::floats`].
    pub fn each_block(
        &self,
        name: &str,
        shape: &[usize],
        row: usize,
        mut take: impl FnMut(usize, &[f32]),
    ) -> Result<()> {
        let mut floats = Vec::new();
        self.blocks(name, shape, Dtype::F32, row, |first, words| {
            floats.clear();
            floats.extend(words.iter().map(|&word| f32::from_le_bytes(word)));
            take(first, &floats);
        })
    }

    /// The integers of a tensor, if it is there.
    ///
    /// # Errors
    /// `Format` if it has another shape or type; `File` if it cannot be read.
    pub fn optional_unsigned(&self, name: &str, length: usize) -> Result<Option<Vec<u32>>> {
        if !self.tensors.contains_key(name) {
            return Ok(None);
        }
        Ok(Some(self.words(name, &[length], Dtype::U32, u32::from_le_bytes)?))
    }

    /// Whether there is a tensor of that name.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    /// # Errors
    /// `Format` if there is a tensor that `known` does not accept.
    pub fn only(&self, known: impl Fn(&str) -> bool) -> Result<()> {
        match self.names().find(|name| !known(name)) {
            Some(name) => Err(self.format(format!("has a tensor {name} that the model lacks"))),
            None => Ok(()),
        }
    }

    /// An integer of the metadata.
    ///
    /// # Errors
    /// `Format` if it is missing or no integer.
    pub fn integer(&self, name: &str) -> Result<u64> {
        self.metadata
            .get(name)
            .and_then(|text| text.parse().ok())
            .ok_or_else(|| self.format(format!("lacks the number {name} in its metadata")))
    }
}
