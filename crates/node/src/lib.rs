//! Node binding of sconce: conversion, queueing and error mapping, no arithmetic.
mod allocator;
pub mod batch;
pub mod error;
pub mod files;
pub mod infer;
pub mod layer;
pub mod metrics;
pub mod model;
pub mod search;
pub mod settle;
pub mod tokenizer;
pub mod trainer;

use napi_derive::napi;
use sconce_kernels::{Context, Precision, simd::Simd};

/// Facts about the native addon and the machine, as JSON.
#[napi(catch_unwind)]
#[must_use]
pub fn environment() -> String {
    let context = Context::global();
    let available: Vec<_> = Simd::available().into_iter().map(Simd::name).collect();
    serde_json::json!({
        "version": env!("CARGO_PKG_VERSION"),
        "simd": context.simd.name(),
        "simdAvailable": available,
        "bfloat16": Precision::Bfloat16.is_available(context.simd),
        "threads": context.pool.threads(),
        "allocator": "mimalloc",
    })
    .to_string()
}
