//! What a kernel runs on: a compute pool, a SIMD path and a precision.
use std::sync::{Arc, OnceLock};

use crate::{pool::Pool, precision::Precision, simd::Simd};

/// Compute pool, SIMD path and precision of a kernel call. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Context {
    /// Threads that share the pieces of a kernel.
    pub pool: Arc<Pool>,
    /// Instruction set that the kernels use.
    pub simd: Simd,
    /// What the factors of large products are rounded to.
    pub precision: Precision,
}

impl Context {
    /// A context with its own pool of `threads` threads (at least 1, the caller included), in `f32`.
    #[must_use]
    pub fn new(threads: usize, simd: Simd) -> Self {
        Self { pool: Arc::new(Pool::new(threads)), simd, precision: Precision::Float32 }
    }

    /// The same pool and path with another precision.
    #[must_use]
    pub fn with_precision(&self, precision: Precision) -> Self {
        Self { precision, ..self.clone() }
    }

    /// The process-wide context: `SCONCE_THREADS` threads (default: all available cores) and the best SIMD path, or the
    /// one that `SCONCE_SIMD` forces.
    pub fn global() -> &'static Self {
        static GLOBAL: OnceLock<Context> = OnceLock::new();
        GLOBAL.get_or_init(|| {
            let available = std::thread::available_parallelism().map_or(1, usize::from);
            let threads = std::env::var("SCONCE_THREADS")
                .ok()
                .and_then(|text| text.parse().ok())
                .filter(|threads| (1..=1024).contains(threads))
                .unwrap_or(available);
            Self::new(threads, Simd::from_environment())
        })
    }
}
