//! A recurrent layer that attends over the steps of another sequence, forward and backward.
//!
//! With the memory `m_1 .. m_S` (an encoder's outputs) and its keys `k_1 .. k_S` (the memory itself or a projection of it,
//! computed once), each step attends with the query `h`:
//!
//! `e_s = score(h, k_s)`, `w = softmax(e)` over the positions that are not masked, `c = sum_s w_s m_s`
//!
//! - [`Score::Dot`]: `score(h, k) = h . k`. With `k = m` this is *dot*, with `k = W_a m` it is *general* of Luong et al. 2015
//!   (eq. 8).
//! - [`Score::Additive`]: `score(h, k) = v . tanh(W_q h + k)`. With `k = W_k m` this is Bahdanau et al. 2015 (A.1.2), and
//!   *concat* of Luong et al. (eq. 8), whose `W_a [h; m]` is `W_q h + W_k m`.
//!
//! A step computes in one of two orders:
//!
//! - [`Order::Before`] (Bahdanau et al. 2015, eq. 4 to 6): `c_t` from the query `h_{t-1}`, then
//!   `h_t = cell([x_t; c_t], h_{t-1})`, and the output is `h_t`.
//! - [`Order::After`] (Luong et al. 2015, section 3): `h_t = cell([x_t; a_{t-1}], h_{t-1})`, or `cell(x_t, h_{t-1})` without
//!   input feeding (section 3.3), then `c_t` from the query `h_t`, and the output is `a_t = tanh(W_c [c_t; h_t])` (eq. 5).
//!
//! With input feeding there may be more cells, one above the other: in each step the first takes `[x_t; a_{t-1}]`, each other the
//! output of the one below, and the last one's output is the query, as in the stacked LSTMs of Luong et al. 2015.
//!
//! Dropout is that of the cell: one choice of features for all steps, of all that goes into it (what is fed too) and of `h_{t-1}`.
//!
//! A row whose positions are all masked has weights and a context of 0. The lanes are rows of the batch as in
//! `crate::recurrent`; a position of the memory is left out where it is masked in all rows of a block. Kept for the backward
//! pass are the weights and queries; the `tanh` of additive scores is computed again.
mod backward;
mod forward;
mod gradients;
mod kept;
mod layer;
mod memory;
mod operands;
mod panel;
#[cfg(test)]
mod reference;
#[cfg(test)]
mod tests;

use crate::{
    Context, Destination,
    buffer::Buffer,
    gru::{GruBackward, GruForward, GruSaved},
    lstm::{LstmBackward, LstmForward, LstmSaved},
    recurrent::{LayerGradients, LayerOutputGradients, LayerOutputs, To},
    shared::Shared,
    simd::LANES,
};
pub use kept::AttentiveSaved;
use kept::{CellsSaved, Kept, KeptParts};
use layer::Layer;
use memory::Positions;
pub use operands::{
    AttentiveGradients, AttentiveInputs, AttentiveOutputGradients, AttentiveOutputs, AttentiveShape, AttentiveWeights,
    Cell, CellGradients, CellInputs, CellOutputGradients, CellOutputs, CellWeights, Order, Score,
};

/// Panics unless a slice, if there is one, has a length.
fn fits<T>(what: &str, slice: Option<&[T]>, length: usize) {
    if let Some(slice) = slice {
        assert_eq!(slice.len(), length, "attentive_rnn: length of {what}");
    }
}

/// Sets features `first ..` of the rows of a wider matrix to `width` features, `group` rows in a piece of work.
fn rows_into(context: &Context, group: usize, from: &[f32], to: &mut [f32], (first, width): (usize, usize)) {
    let Some(rows) = from.len().checked_div(width) else {
        return;
    };
    let stride = to.len().checked_div(rows).unwrap_or_default();
    let to = Shared::new(to);
    context.pool.run(rows.div_ceil(group.max(1)), &|piece| {
        for row in piece * group..rows.min((piece + 1) * group) {
            // SAFETY: rows belong to one piece each.
            let to = unsafe { to.part(row * stride + first, width) };
            to.copy_from_slice(&from[row * width..][..width]);
        }
    });
}

/// Runs the layer, for inference, or for training if `saved` is given.
///
/// # Shapes
/// See [`AttentiveShape`] and the fields of the arguments. A row's results do not depend on the other rows.
///
/// A masked step carries all states over. `saved` is set to what [`backward`] needs.
///
/// # Panics
/// If a slice has another length, if the keys of inner products do not have `units` features, or if there is an `a0` or `a`
/// with [`Order::Before`] or a `c0` or `c` with a GRU.
///
/// # Source
/// Bahdanau, Cho, Bengio 2015, "Neural machine translation by jointly learning to align and translate"; Luong, Pham, Manning
/// 2015, "Effective approaches to attention-based neural machine translation", global attention. The cells are those of
/// [`crate::lstm`] and [`crate::gru`] with the usual activations, and their dropout as in Keras.
pub fn forward(
    context: &Context,
    cell: Cell,
    shape: AttentiveShape,
    weights: AttentiveWeights<'_>,
    inputs: AttentiveInputs<'_>,
    outputs: AttentiveOutputs<'_>,
    saved: Option<&mut Option<AttentiveSaved>>,
) {
    let layer = Layer { cell, shape, weights, inputs };
    layer.check();
    let AttentiveShape { batch, steps, sources, units, .. } = shape;
    let AttentiveOutputs { y, h, c, a, weights: shown, above } = outputs;
    fits("y", y.as_deref(), batch * steps * units);
    fits("a", a.as_deref(), batch * units);
    fits("weights", shown.as_deref(), batch * steps * sources);
    let plan = layer.plan(context);
    let positions = Positions::new(&plan, sources, inputs.memory_mask);
    let mut joined = layer.joined_inputs(context);
    let x = if layer.fed() == 0 { inputs.x } else { &joined[..] };
    let mut fed = Buffer::new(if saved.is_some() { batch * steps * layer.fed() } else { 0 });
    let mut kept = saved.as_ref().map(|_| Kept::new(&layer, plan.slots()));
    let before = matches!(weights.order, Order::Before);
    assert!(a.is_none() || !before, "attentive_rnn: a without an output that is fed");
    assert!(above.is_empty() || above.len() == weights.above.len(), "attentive_rnn: outputs of the cells above");
    let (y_cell, y_own) = if before { (y, None) } else { (None, y) };
    let keeps = saved.is_some();
    let rows = if keeps { batch * steps * units } else { 0 };
    let mut between: Vec<Buffer> = weights.above.iter().map(|_| Buffer::new(rows)).collect();
    let states = std::iter::once(CellOutputs { h, c }).chain(above).chain(std::iter::repeat_with(CellOutputs::default));
    let mut outputs: Vec<LayerOutputs<'_>> =
        (0..layer.cells()).zip(states).map(|(_, CellOutputs { h, c })| LayerOutputs { y: None, h, c }).collect();
    if let Some(last) = outputs.last_mut() {
        last.y = y_cell;
    }
    for (output, rows) in outputs.iter_mut().zip(between.iter_mut().filter(|_| keeps)) {
        output.y = Some(rows);
    }
    let around = forward::Around {
        layer,
        positions: &positions,
        y: y_own.map(Shared::new),
        a: a.map(Shared::new),
        shown: shown.map(Shared::new),
        fed: (!fed.is_empty()).then(|| Shared::new(&mut fed)),
        kept: kept.as_mut().map(Kept::share),
    };
    let inputs_of = |number: usize| if number == 0 { x } else { &[] };
    let numbers = 0..layer.cells();
    let cells = match cell {
        Cell::Lstm => {
            let prepare = |number: usize| {
                let (weights, inputs, options) = layer.lstm(number, inputs_of(number));
                LstmForward::new(context, (layer.shape_of(number), number > 0), weights, inputs, options, keeps)
            };
            CellsSaved::Lstm(forward::run(context, numbers.map(prepare).collect(), outputs, around))
        }
        Cell::Gru { .. } => {
            let prepare = |number: usize| {
                let (weights, inputs, options) = layer.gru(number, inputs_of(number));
                GruForward::new(context, (layer.shape_of(number), number > 0), weights, inputs, options, keeps)
            };
            CellsSaved::Gru(forward::run(context, numbers.map(prepare).collect(), outputs, around))
        }
    };
    if let (Some(saved), Some(kept)) = (saved, kept) {
        rows_into(context, steps, &fed, &mut joined, (shape.input, layer.fed()));
        *saved = Some(AttentiveSaved { cells, positions, slots: plan.slots(), inputs: joined, between, kept });
    }
}

/// The gradients that are asked for, of what [`forward`] computed with the same arguments.
///
/// # Gradient
/// Back-propagation through time and through the attention of each step.
///
/// # Panics
/// If a slice has another length, if `saved` belongs to other sizes, or for what [`forward`] panics.
#[allow(clippy::too_many_arguments, reason = "operands and destinations of one formula")]
pub fn backward(
    context: &Context,
    cell: Cell,
    shape: AttentiveShape,
    weights: AttentiveWeights<'_>,
    inputs: AttentiveInputs<'_>,
    saved: AttentiveSaved,
    output_gradients: AttentiveOutputGradients<'_>,
    gradients: AttentiveGradients<'_>,
) {
    let layer = Layer { cell, shape, weights, inputs };
    layer.check();
    let AttentiveShape { batch, steps, sources, input, units, memory, keys } = shape;
    let AttentiveSaved { cells, positions, slots, inputs: joined, between, mut kept } = saved;
    let AttentiveOutputGradients { dy, dh, dc, da, above: d_above } = output_gradients;
    fits("dy", dy, batch * steps * units);
    fits("da", da, batch * units);
    let same = kept.weights.len() == slots * sources * LANES && between.len() == weights.above.len();
    assert!(same, "attentive_rnn: saved for other sizes");
    for (what, count) in [("output gradients", d_above.len()), ("gradients", gradients.above.len())] {
        assert!(count == 0 || count == weights.above.len(), "attentive_rnn: {what} of the cells above");
    }
    let AttentiveGradients { dx, dkeys, dmemory, dh0, dc0, da0, dkernel, drecurrent, dbias, drecurrent_bias, .. } =
        gradients;
    let AttentiveGradients { above, .. } = gradients;
    let destination = |what: &str, to: &Option<Destination<'_>>, length: usize| {
        fits(what, to.as_ref().map(|to| &*to.data), length);
    };
    destination("dx", &dx, batch * steps * input);
    destination("dkeys", &dkeys, batch * sources * keys);
    destination("dmemory", &dmemory, batch * sources * memory);
    destination("da0", &da0, batch * units);
    destination("dquery", &gradients.dquery, keys * units);
    destination("dscale", &gradients.dscale, keys);
    destination("dcombine", &gradients.dcombine, units * (memory + units));
    let before = matches!(weights.order, Order::Before);
    assert!(da.is_none() && da0.is_none() || !before, "attentive_rnn: a gradient of an output that is not fed");
    let fed = layer.fed();
    let mut djoined = Buffer::new(if fed == 0 { 0 } else { batch * steps * (input + fed) });
    let additive = matches!(weights.score, Score::Additive { .. });
    let mut dscale_blocks = Buffer::zeros(if additive { positions.blocks() * keys * LANES } else { 0 });
    let around = backward::Around {
        layer,
        positions: &positions,
        dy: if before { None } else { dy },
        da,
        dkeys: dkeys.map(To::new),
        dmemory: dmemory.map(To::new),
        da0: da0.map(To::new),
        kept: kept.share(),
        dscale: Shared::new(&mut dscale_blocks),
    };
    let (x, cell_dx, own_dx) = if fed == 0 {
        (inputs.x, dx, None)
    } else {
        (&joined[..], Some(Destination { data: &mut djoined, accumulate: false }), dx)
    };
    let first = CellOutputGradients { dh, dc };
    let d =
        std::iter::once(first).chain(d_above.iter().copied()).chain(std::iter::repeat(CellOutputGradients::default()));
    let mut d: Vec<LayerOutputGradients<'_>> =
        d.take(layer.cells()).map(|CellOutputGradients { dh, dc }| LayerOutputGradients { dy: None, dh, dc }).collect();
    if let Some(last) = d.last_mut() {
        last.dy = if before { dy } else { None };
    }
    let first = CellGradients { dh0, dc0, dkernel, drecurrent, dbias, drecurrent_bias };
    let to = std::iter::once(first).chain(above).chain(std::iter::repeat_with(CellGradients::default));
    let mut to: Vec<LayerGradients<'_>> = to.take(layer.cells()).enumerate().map(backward::of_cell).collect();
    if let Some(first) = to.first_mut() {
        first.dx = cell_dx;
    }
    let inputs_of = |number: usize| number.checked_sub(1).and_then(|place| between.get(place)).map_or(x, |rows| rows);
    match cells {
        CellsSaved::Lstm(saved) => {
            let prepare = |(number, saved): (usize, LstmSaved)| {
                let (weights, inputs, options) = layer.lstm(number, inputs_of(number));
                LstmBackward::new(layer.shape_of(number), weights, inputs, options, saved)
            };
            backward::run(context, saved.into_iter().enumerate().map(prepare).collect(), d, to, around);
        }
        CellsSaved::Gru(saved) => {
            let prepare = |(number, saved): (usize, GruSaved)| {
                let (weights, inputs, options) = layer.gru(number, inputs_of(number));
                GruBackward::new(layer.shape_of(number), weights, inputs, options, saved)
            };
            backward::run(context, saved.into_iter().enumerate().map(prepare).collect(), d, to, around);
        }
    }
    if let Some(dx) = own_dx {
        gradients::first_features(context, &djoined, input + fed, dx, input);
    }
    let AttentiveGradients { dquery, dscale, dcombine, .. } = gradients;
    gradients::Own { layer, slots, kept: &kept, dscale: &dscale_blocks, to: [dquery, dscale, dcombine] }.run(context);
}
