//! Prediction: probabilities, and the most likely class, in `f32` whatever the precision of the context. The result of a row does not depend on the other rows.
use super::{
    LinearCrossEntropyShape,
    chunk::{Chunk, Linear},
    finish::RowSums,
    plan::Plan,
    softmax::{Softmax, Work},
};
use crate::{Context, panels::Unpack, shared::Shared, simd::LANES};

fn each_chunk(
    context: &Context,
    shape: LinearCrossEntropyShape,
    h: &[f32],
    kernel: &[f32],
    bias: Option<&[f32]>,
    work: impl Fn(&Chunk<'_>, &[usize]),
) {
    let LinearCrossEntropyShape { rows, features, classes } = shape;
    assert_eq!(h.len(), rows * features, "softmax: length of h");
    assert_eq!(kernel.len(), classes * features, "softmax: length of kernel");
    assert!(bias.is_none_or(|bias| bias.len() == classes), "softmax: length of bias");
    if rows == 0 {
        return;
    }
    assert!(classes > 0, "softmax: rows without classes");
    let plan = Plan::new(rows, features, classes);
    let mut buffers = plan.buffers(false);
    let rows: Vec<usize> = (0..rows).collect();
    for rows in rows.chunks(plan.tokens) {
        let chunk = Chunk::new(&plan, Linear { features, classes, kernel, bias }, rows.len(), &mut buffers, None);
        chunk.pack(context, h, rows);
        Softmax { chunk: &chunk, targets: None, work: Work::Exponentials }.run(context);
        work(&chunk, rows);
    }
}

/// `softmax(h W^T + b)`.
///
/// # Shapes
/// `h`: `[rows, features]`, `kernel`: `[classes, features]`, `bias`: `[classes]`, `probabilities`: `[rows, classes]`.
///
/// # Panics
/// If a slice has another length, or there are rows but no classes.
pub fn linear_softmax(
    context: &Context,
    shape: LinearCrossEntropyShape,
    h: &[f32],
    kernel: &[f32],
    bias: Option<&[f32]>,
    probabilities: &mut [f32],
) {
    let classes = shape.classes;
    assert_eq!(probabilities.len(), shape.rows * classes, "softmax: length of probabilities");
    let probabilities = Shared::new(probabilities);
    each_chunk(context, shape, h, kernel, bias, |chunk, rows| {
        context.pool.run(chunk.panels, &|panel| {
            let factor: [f32; LANES] = std::array::from_fn(|lane| {
                let sums = RowSums::new(chunk, panel, lane);
                if sums.is_sound() { (1.0 / sums.exponentials) as f32 } else { f32::NAN }
            });
            for block in 0..chunk.plan.blocks {
                let classes_of = chunk.block(block);
                let (first, count) = (classes_of.start, classes_of.len());
                // SAFETY: the panel and its rows belong to this piece.
                let (values, row) = unsafe {
                    let row = |row: &usize| probabilities.part(row * classes + first, count);
                    (chunk.values.part(chunk.values_of(panel, block), count * LANES), row)
                };
                for vector in values.as_chunks_mut::<LANES>().0 {
                    vector.iter_mut().zip(factor).for_each(|(value, factor)| *value *= factor);
                }
                context.simd.run(Unpack::new(values, |lane| rows.get(panel * LANES + lane).map(row), false));
            }
        });
    });
}

/// The most likely class of each row (the lowest of equals) and the logarithm of its probability.
///
/// # Shapes
/// `h`, `kernel`, `bias` as in [`linear_softmax`]; `ids` and `log_probabilities`: `[rows]`.
///
/// # Panics
/// If a slice has another length, or there are rows but no classes.
pub fn linear_argmax(
    context: &Context,
    shape: LinearCrossEntropyShape,
    h: &[f32],
    kernel: &[f32],
    bias: Option<&[f32]>,
    ids: &mut [u32],
    log_probabilities: &mut [f32],
) {
    assert_eq!(ids.len(), shape.rows, "argmax: length of ids");
    assert_eq!(log_probabilities.len(), shape.rows, "argmax: length of log_probabilities");
    let (ids, log_probabilities) = (Shared::new(ids), Shared::new(log_probabilities));
    each_chunk(context, shape, h, kernel, bias, |chunk, rows| {
        for (token, &row) in rows.iter().enumerate() {
            let sums = RowSums::new(chunk, token / LANES, token % LANES);
            // SAFETY: no job runs.
            unsafe {
                *ids.at(row) = sums.best;
                let log = f64::from(sums.largest) - sums.logsumexp;
                *log_probabilities.at(row) = if sums.is_sound() { log as f32 } else { f32::NAN };
            }
        }
    });
}
