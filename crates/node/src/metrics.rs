//! Counts of what generated texts have in common with references: small ones at once, others on the compute threads.
use napi::{
    Env,
    bindgen_prelude::{ClassInstance, Float64Array, Object, Uint32Array},
};
use napi_derive::napi;
use sconce_engine::{Code, Error, family::Family};
use sconce_kernels::{Context, resampling::sample_sums as sample_sums_of};
use sconce_text::metrics::{Chrf, Metric, MetricError, Tables, statistics};

use crate::{
    batch::Doubles,
    error::{Result, thrown},
    layer::NativeCancel,
    settle::{flag, queue, queue_once, run, watch_panics},
};

fn metric_error(error: MetricError) -> Error {
    let code = match error {
        MetricError::Option(_) => Code::Option,
        MetricError::Counts { .. } | MetricError::NoReference { .. } => Code::Data,
        MetricError::TooLong { .. } => Code::Limit,
        MetricError::Cancelled => Code::Cancelled,
    };
    Error::new(code, error.to_string())
}

fn parsed<T: serde::de::DeserializeOwned>(json: &str) -> sconce_engine::Result<T> {
    serde_json::from_str(json).map_err(|error| Error::new(Code::Option, format!("metrics: {error}")))
}

/// The lists of texts that systems gave, as slices.
fn slices(systems: &[Vec<String>]) -> Vec<&[String]> {
    systems.iter().map(Vec::as_slice).collect()
}

fn flat(tables: Tables) -> Vec<Doubles> {
    tables.into_iter().flatten().map(Doubles).collect()
}

/// Statistics of each segment, for each metric and of it for each system: `[hypotheses, width]`, row by row. Hypothesis i has the next
/// `counts[i]` references. JSON: a list of metrics with their options.
#[napi(catch_unwind, ts_return_type = "Float64Array[]")]
pub fn count_texts(
    metrics_json: String,
    systems: Vec<Vec<String>>,
    references: Vec<String>,
    counts: Uint32Array,
) -> Result<Vec<Doubles>> {
    watch_panics();
    let serial = |pieces: usize, work: &(dyn Fn(usize) + Sync)| (0..pieces).for_each(work);
    let made = parsed::<Vec<Metric>>(&metrics_json).and_then(|metrics| {
        statistics(&metrics, &slices(&systems), &references, &counts, &serial, &|| false).map_err(metric_error)
    });
    made.map(flat).map_err(thrown)
}

/// The same on the compute threads.
#[napi(catch_unwind, ts_return_type = "Promise<Float64Array[]>")]
pub fn queue_texts<'env>(
    env: &'env Env,
    metrics_json: String,
    systems: Vec<Vec<String>>,
    references: Vec<String>,
    counts: Uint32Array,
    cancel: Option<ClassInstance<'_, NativeCancel>>,
) -> Result<Object<'env>> {
    let flag = flag(cancel);
    let counts = counts.to_vec();
    let family = Family::new();
    queue_once(env, family.number(), move || {
        let metrics: Vec<Metric> = parsed(&metrics_json)?;
        let cancelled = || flag.is_raised();
        let tables =
            statistics(&metrics, &slices(&systems), &references, &counts, &run, &cancelled).map_err(metric_error)?;
        Ok(flat(tables))
    })
}

/// Sums of the rows `[segments, width]` of each sample, of as many segments as there are drawn with replacement, `[samples, width]`; samples
/// have numbers from `first` on.
#[napi(catch_unwind, ts_return_type = "Float64Array")]
pub fn sample_sums(rows: Float64Array, width: u32, seed: f64, first: u32, samples: u32) -> Result<Doubles> {
    watch_panics();
    sums(None, &rows, width, seed, [first, samples]).map(Doubles).map_err(thrown)
}

/// The same on the compute threads.
#[napi(catch_unwind, ts_return_type = "Promise<Float64Array>")]
pub fn queue_sample_sums<'env>(
    env: &'env Env,
    rows: Float64Array,
    width: u32,
    seed: f64,
    first: u32,
    samples: u32,
    cancel: Option<ClassInstance<'_, NativeCancel>>,
) -> Result<Object<'env>> {
    let flag = flag(cancel);
    let rows = rows.to_vec();
    let family = Family::new();
    // Some samples a turn, so that others get theirs.
    let most = (TURN_WORK / rows.len().max(1)).max(16);
    let mut all = Vec::new();
    let mut done = 0;
    queue(
        env,
        move || family.number(),
        move || {
            if flag.is_raised() {
                return Err(metric_error(MetricError::Cancelled));
            }
            let count = (samples - done).min(u32::try_from(most).unwrap_or(u32::MAX));
            all.extend(sums(Some(Context::global()), &rows, width, seed, [first.saturating_add(done), count])?);
            done += count;
            Ok((done == samples).then(|| Doubles(std::mem::take(&mut all))))
        },
    )
}

/// Numbers that a turn adds up.
const TURN_WORK: usize = 1 << 23;

fn sums(
    context: Option<&Context>,
    rows: &[f64],
    width: u32,
    seed: f64,
    [first, samples]: [u32; 2],
) -> sconce_engine::Result<Vec<f64>> {
    let width = width as usize;
    if width == 0 || rows.is_empty() || !rows.len().is_multiple_of(width) || first.checked_add(samples).is_none() {
        let message = format!("{samples} samples from {first} on of {} numbers, {width} a segment", rows.len());
        return Err(Error::new(Code::Data, message));
    }
    let mut sums = vec![0.0; samples as usize * width];
    sample_sums_of(context, rows, width, seed as u64, first, &mut sums);
    Ok(sums)
}

/// chrF from 0 to 100 of summed statistics; JSON of its options.
#[napi(catch_unwind)]
pub fn chrf_score(options_json: String, sums: Float64Array) -> Result<f64> {
    watch_panics();
    parsed::<Chrf>(&options_json).map(|options| options.score(&sums)).map_err(thrown)
}
