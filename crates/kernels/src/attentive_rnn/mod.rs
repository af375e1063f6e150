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
    gru::{self, GruGradients, GruOutputGradients, GruOutputs},
    lstm::{self, LstmGradients, LstmOutputGradients, LstmOutputs},
    recurrent::To,
    shared::Shared,
    simd::LANES,
};
pub use kept::AttentiveSaved;
use kept::{CellSaved, Kept, KeptParts};
use layer::Layer;
use memory::Positions;
pub use operands::{
    AttentiveGradients, AttentiveInputs, AttentiveOutputGradients, AttentiveOutputs, AttentiveShape, AttentiveWeights,
    Cell, Order, Score,
};

/// Panics unless a slice, if there is one, has a length.
fn fits<T>(what: &str, slice: Option<&[T]>, length: usize) {
    if let Some(slice) = slice {
        assert_eq!(slice.len(), length, "attentive_rnn: length of {what}");
    }
}

/// Sets features `first ..` of the rows of a wider matrix to `width` features, `group` rows in a piece of work.
fn rows_into(context: &Context, group: usize, from: &[f32], to: &mut [f32], (first, width): (usize, usize)) {
    let Some(rows) = from.len().checked_div(width) else { return };
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
/// [`lstm`] and [`gru`] with the usual activations, and their dropout as in Keras.
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
    let AttentiveOutputs { y, h, c, a, weights: shown } = outputs;
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
    let (y_cell, y_own) = if before { (y, None) } else { (None, y) };
    let around = forward::Attend {
        layer,
        positions: &positions,
        y: y_own.map(Shared::new),
        a: a.map(Shared::new),
        shown: shown.map(Shared::new),
        fed: (!fed.is_empty()).then(|| Shared::new(&mut fed)),
        kept: kept.as_mut().map(Kept::share),
    };
    let cell_shape = layer.cell_shape();
    let cell_saved = match cell {
        Cell::Lstm => {
            let (weights, inputs) = layer.lstm(x);
            let outputs = LstmOutputs { y: y_cell, h, c };
            let (options, mut own) = (layer.lstm_options(), None);
            let keep = saved.as_ref().map(|_| &mut own);
            lstm::forward_around(context, cell_shape, weights, inputs, options, outputs, keep, &around);
            own.map(|own| CellSaved::Lstm(Box::new(own)))
        }
        Cell::Gru { .. } => {
            assert!(inputs.c0.is_none() && c.is_none(), "attentive_rnn: a GRU has no cell state");
            let (weights, inputs) = layer.gru(x);
            let outputs = GruOutputs { y: y_cell, h };
            let (options, mut own) = (layer.gru_options(), None);
            let keep = saved.as_ref().map(|_| &mut own);
            gru::forward_around(context, cell_shape, weights, inputs, options, outputs, keep, &around);
            own.map(|own| CellSaved::Gru(Box::new(own)))
        }
    };
    if let (Some(saved), Some(cell), Some(kept)) = (saved, cell_saved, kept) {
        rows_into(context, steps, &fed, &mut joined, (shape.input, layer.fed()));
        *saved = Some(AttentiveSaved { cell, positions, slots: plan.slots(), inputs: joined, kept });
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
    let AttentiveSaved { cell: cell_saved, positions, slots, inputs: joined, mut kept } = saved;
    let AttentiveOutputGradients { dy, dh, dc, da } = output_gradients;
    fits("dy", dy, batch * steps * units);
    fits("da", da, batch * units);
    assert_eq!(kept.weights.len(), slots * sources * LANES, "attentive_rnn: saved for other sizes");
    let AttentiveGradients { dx, dkeys, dmemory, dh0, dc0, da0, dkernel, drecurrent, dbias, drecurrent_bias, .. } =
        gradients;
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
    let around = backward::Attend {
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
    let dy = if before { dy } else { None };
    let cell_shape = layer.cell_shape();
    match cell_saved {
        CellSaved::Lstm(saved) => {
            let (weights, inputs) = layer.lstm(x);
            let outputs = LstmOutputGradients { dy, dh, dc };
            let gradients = LstmGradients { dx: cell_dx, dh0, dc0, dkernel, drecurrent, dbias };
            let options = layer.lstm_options();
            lstm::backward_around(context, cell_shape, weights, inputs, options, *saved, outputs, gradients, &around);
        }
        CellSaved::Gru(saved) => {
            assert!(dc.is_none() && dc0.is_none(), "attentive_rnn: a GRU has no cell state");
            let (weights, inputs) = layer.gru(x);
            let outputs = GruOutputGradients { dy, dh };
            let gradients = GruGradients { dx: cell_dx, dh0, dkernel, drecurrent, dbias, drecurrent_bias };
            let options = layer.gru_options();
            gru::backward_around(context, cell_shape, weights, inputs, options, *saved, outputs, gradients, &around);
        }
    }
    if let Some(dx) = own_dx {
        gradients::first_features(context, &djoined, input + fed, dx, input);
    }
    let AttentiveGradients { dquery, dscale, dcombine, .. } = gradients;
    gradients::Own { layer, slots, kept: &kept, dscale: &dscale_blocks, to: [dquery, dscale, dcombine] }.run(context);
}
