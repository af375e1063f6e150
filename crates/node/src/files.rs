//! Files: word vectors, durability; and the order of shuffling.
use std::path::PathBuf;

use napi::{
    Env,
    bindgen_prelude::{ClassInstance, Object, Uint32Array},
};
use napi_derive::napi;
use sconce_engine::{Code, Error, checkpoint, interrupt::Flag};
use sconce_kernels::random::permutation;
use sconce_text::{TextError, glove};

use crate::{
    batch::{Bytes, FloatVector},
    error::{Result, thrown},
    layer::NativeCancel,
    settle::spawn,
};

/// Vectors of words.
#[napi(object, object_from_js = false)]
pub struct GloveResult {
    /// `[words, dimension]`; rows of words that were not found are 0.
    #[napi(ts_type = "Float32Array")]
    pub matrix: FloatVector,
    /// 1 for each word that was found.
    #[napi(ts_type = "Uint8Array")]
    pub found: Bytes,
    /// Numbers of a vector.
    pub dimension: u32,
}

/// The code of an error of the text crate.
fn text_error(error: &TextError) -> Error {
    let code = match error {
        TextError::Cancelled => Code::Cancelled,
        TextError::Open { .. } | TextError::Read { .. } => Code::File,
        TextError::TooLarge { .. } => Code::Limit,
        _ => Code::Format,
    };
    Error::new(code, error.to_string())
}

/// Reads the GloVe vectors of words from a plain or gzip text file; dimension 0 takes the file's.
#[napi(catch_unwind, ts_return_type = "Promise<GloveResult>")]
pub fn read_glove<'env>(
    env: &'env Env,
    path: String,
    words: Vec<String>,
    dimension: u32,
    cancel: Option<ClassInstance<'_, NativeCancel>>,
) -> Result<Object<'env>> {
    let flag = cancel.map_or_else(Flag::default, |cancel| cancel.flag.clone());
    spawn(env, move || {
        let found = glove::read_until(&PathBuf::from(path), &words, dimension as usize, || flag.is_raised())
            .map_err(|error| text_error(&error))?;
        Ok(GloveResult {
            matrix: FloatVector(found.matrix),
            found: Bytes(found.found.iter().map(|&found| u8::from(found)).collect()),
            dimension: found.dimension as u32,
        })
    })
}

/// Makes the content of a file, or the entries of a folder, durable.
#[napi(catch_unwind, ts_return_type = "Promise<void>")]
pub fn sync_file<'env>(env: &'env Env, path: String) -> Result<Object<'env>> {
    spawn(env, move || checkpoint::sync(&PathBuf::from(path)))
}

/// The permutation of `0..length` that belongs to a seed and an epoch.
#[napi(catch_unwind)]
pub fn shuffle(seed: f64, epoch: f64, length: u32) -> Result<Uint32Array> {
    if length > 1 << 28 {
        return Err(thrown(Error::new(Code::Limit, format!("{length} elements are too many to shuffle"))));
    }
    Ok(Uint32Array::new(permutation(seed as u64, epoch as u64, length as usize)))
}
