//! The part of a step that is done unit by unit.
#![allow(unsafe_op_in_unsafe_fn, reason = "every line works on panels under the contract of its function")]
use crate::{
    math,
    recurrent::{Activations, value, value_and_slope},
    simd::{LANES, Lanes},
};

/// Units of one block in a forward step.
#[derive(Clone, Copy)]
pub(super) struct ForwardGates {
    pub activations: Activations,
    /// Sums of the gates at the first of the units; replaced by the gates if the activations are the usual ones.
    pub gates: *mut f32,
    /// From one gate to the next.
    pub stride: usize,
    pub cell_before: *const f32,
    pub cell: *mut f32,
    pub hidden_before: *const f32,
    pub hidden: *mut f32,
    pub units: usize,
    pub valid: u16,
}

impl ForwardGates {
    /// # Safety
    /// Addresses have panels of `units`, and the path `L` is available.
    #[inline(always)]
    pub(super) unsafe fn run<L: Lanes>(self) {
        let valid = L::mask_from_bits(self.valid);
        let sum = |index: usize, at: usize| L::load(self.gates.add(index * self.stride + at));
        let Activations { usual, activation, recurrent } = self.activations;
        // The outputs wait for all cell states: one after the other they would wait for each other.
        for at in (0..self.units * LANES).step_by(LANES) {
            let [i, f, g] = [0, 1, 2].map(|index| sum(index, at));
            let before = L::load(self.cell_before.add(at));
            let cell = if usual {
                let gates = [math::sigmoid(i), math::sigmoid(f), math::tanh(g), math::sigmoid(sum(3, at))];
                for (index, gate) in gates.into_iter().enumerate() {
                    gate.store(self.gates.add(index * self.stride + at));
                }
                let [i, f, g, _] = gates;
                f.fma(before, i.mul(g))
            } else {
                let (i, f) = (value(recurrent, i), value(recurrent, f));
                f.fma(before, i.mul(value(activation, g)))
            };
            cell.select(valid, before).store(self.cell.add(at));
        }
        for at in (0..self.units * LANES).step_by(LANES) {
            let (o, cell) = (sum(3, at), L::load(self.cell.add(at)));
            let hidden = if usual { o.mul(math::tanh(cell)) } else { value(recurrent, o).mul(value(activation, cell)) };
            hidden.select(valid, L::load(self.hidden_before.add(at))).store(self.hidden.add(at));
        }
    }
}

/// All units of one block in a backward step.
#[derive(Clone, Copy)]
pub(super) struct BackwardGates {
    pub activations: Activations,
    /// What the forward step left there; replaced by the gradients of the sums.
    pub gates: *mut f32,
    pub cell_before: *const f32,
    pub cell: *const f32,
    /// Gradient of the output; 0 afterwards, but as it was in masked lanes.
    pub dhidden: *mut f32,
    /// Gradient of the cell state after the step, then of that before it.
    pub dcell: *mut f32,
    pub units: usize,
    pub valid: u16,
}

impl BackwardGates {
    /// # Safety
    /// As for [`ForwardGates::run`].
    #[inline(always)]
    pub(super) unsafe fn run<L: Lanes>(self) {
        let valid = L::mask_from_bits(self.valid);
        let zero = L::splat(0.0);
        let one = L::splat(1.0);
        for unit in 0..self.units {
            let at = unit * LANES;
            let gate = |index: usize| self.gates.add((index * self.units) * LANES + at);
            let [i, f, g, o] = [0, 1, 2, 3].map(|index| L::load(gate(index)));
            let before = L::load(self.cell_before.add(at));
            let cell = L::load(self.cell.add(at));
            let dhidden = L::load(self.dhidden.add(at));
            let dcell = L::load(self.dcell.add(at));
            let (deltas, dbefore);
            if self.activations.usual {
                let output = math::tanh(cell);
                let through = dhidden.mul(o);
                let d = through.mul(output).fma(zero.sub(output), through).add(dcell);
                let dsigmoid = |y: L| y.mul(one.sub(y));
                deltas = [
                    d.mul(g).mul(dsigmoid(i)),
                    d.mul(before).mul(dsigmoid(f)),
                    d.mul(i).mul(one.sub(g.mul(g))),
                    dhidden.mul(output).mul(dsigmoid(o)),
                ];
                dbefore = d.mul(f);
            } else {
                let Activations { activation, recurrent, .. } = self.activations;
                let (i, di) = value_and_slope(recurrent, i);
                let (f, df) = value_and_slope(recurrent, f);
                let (g, dg) = value_and_slope(activation, g);
                let (o, d_o) = value_and_slope(recurrent, o);
                let (output, doutput) = value_and_slope(activation, cell);
                let d = dhidden.mul(o).fma(doutput, dcell);
                deltas = [d.mul(g).mul(di), d.mul(before).mul(df), d.mul(i).mul(dg), dhidden.mul(output).mul(d_o)];
                dbefore = d.mul(f);
            }
            for (index, delta) in deltas.into_iter().enumerate() {
                delta.select(valid, zero).store(gate(index));
            }
            dbefore.select(valid, dcell).store(self.dcell.add(at));
            zero.select(valid, dhidden).store(self.dhidden.add(at));
        }
    }
}
