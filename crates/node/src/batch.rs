//! Typed arrays with shapes: copied when a call is made, and copied into arrays of JavaScript when it ends.
use napi::{
    Env, ValueType,
    bindgen_prelude::{
        Either, Float32Array, Float32ArraySlice, Float64ArraySlice, Int32Array, Int32ArraySlice, ToNapiValue, TypeName,
        Uint8ArraySlice,
    },
    sys,
};
use napi_derive::napi;
use sconce_engine::{
    Code, Error,
    shape::count,
    tensor::{Data, Tensor},
};
use sconce_kernels::buffer::Buffer;

/// A typed array with its shape.
#[napi(object, object_to_js = false)]
pub struct Batch {
    /// The values, the last axis fastest.
    pub data: Either<Float32Array, Int32Array>,
    /// Sizes of the axes.
    pub shape: Vec<u32>,
}

impl Batch {
    /// A copy as the engine takes it.
    pub fn tensor(&self) -> sconce_engine::Result<Tensor> {
        let shape: Vec<usize> = self.shape.iter().map(|&size| size as usize).collect();
        let length = match &self.data {
            Either::A(data) => data.len(),
            Either::B(data) => data.len(),
        };
        if count(&shape)? != length {
            return Err(Error::new(Code::Data, format!("an array of shape {shape:?} has {length} values")));
        }
        Ok(match &self.data {
            Either::A(data) => {
                let mut copy = Buffer::new(length);
                copy.copy_from_slice(data);
                Tensor::float(shape, copy)
            }
            Either::B(data) => Tensor::ids(shape, data.to_vec()),
        })
    }
}

/// Tensors of several batches.
pub fn tensors(batches: &[Batch]) -> sconce_engine::Result<Vec<Tensor>> {
    batches.iter().map(Batch::tensor).collect()
}

macro_rules! array {
    ($name:ident, $inner:ty, $slice:ident, $doc:literal) => {
        #[doc = $doc]
        pub struct $name(pub $inner);

        impl TypeName for $name {
            fn type_name() -> &'static str {
                stringify!($slice)
            }

            fn value_type() -> ValueType {
                ValueType::Object
            }
        }

        impl ToNapiValue for $name {
            unsafe fn to_napi_value(env: sys::napi_env, value: Self) -> napi::Result<sys::napi_value> {
                let slice = $slice::copy_from(&Env::from_raw(env), &value.0[..])?;
                // SAFETY: `env` is the caller's, and the slice was made in it just now.
                unsafe { ToNapiValue::to_napi_value(env, slice) }
            }
        }
    };
}

array!(Floats, Buffer, Float32ArraySlice, "Floats on their way to a `Float32Array`.");
array!(FloatVector, Vec<f32>, Float32ArraySlice, "Floats on their way to a `Float32Array`.");
array!(Doubles, Vec<f64>, Float64ArraySlice, "Numbers on their way to a `Float64Array`.");
array!(Integers, Vec<i32>, Int32ArraySlice, "Integers on their way to an `Int32Array`.");
array!(Bytes, Vec<u8>, Uint8ArraySlice, "Bytes on their way to a `Uint8Array`.");

/// A typed array with its shape, as a result.
#[napi(object, object_from_js = false)]
pub struct BatchResult {
    /// The values.
    #[napi(ts_type = "Float32Array")]
    pub data: Floats,
    /// Sizes of the axes.
    pub shape: Vec<u32>,
}

impl BatchResult {
    /// The result for a tensor of floats.
    pub fn new(tensor: Tensor) -> sconce_engine::Result<Self> {
        let shape = tensor.shape.iter().map(|&size| size as u32).collect();
        match tensor.data {
            Data::Float(data) => Ok(Self { data: Floats(data), shape }),
            Data::Ids(ids) => {
                let mut data = Buffer::new(ids.len());
                data.iter_mut().zip(ids.iter()).for_each(|(to, &from)| *to = from as f32);
                Ok(Self { data: Floats(data), shape })
            }
        }
    }
}
