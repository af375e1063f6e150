//! The part of a step that is done unit by unit.
#![allow(unsafe_op_in_unsafe_fn, reason = "every line works on panels under the contract of its function")]
use crate::{
    math,
    recurrent::{Activations, value, value_and_slope},
    simd::{LANES, Lanes},
};

/// The reset gate in front of the recurrent product of the candidate.
#[derive(Clone, Copy)]
pub(super) struct ForwardReset {
    pub activations: Activations,
    /// Sums of the reset gate; replaced by the gate if the activations are the usual ones.
    pub reset: *mut f32,
    /// Output before the step, times its dropout factors.
    pub hidden: *const f32,
    /// Their product.
    pub product: *mut f32,
    pub units: usize,
}

impl ForwardReset {
    /// # Safety
    /// Addresses have panels of `units`, and the path `L` is available.
    #[inline(always)]
    pub(super) unsafe fn run<L: Lanes>(self) {
        for at in (0..self.units * LANES).step_by(LANES) {
            let mut r = L::load(self.reset.add(at));
            if self.activations.usual {
                r = math::sigmoid(r);
                r.store(self.reset.add(at));
            } else {
                r = value(self.activations.recurrent, r);
            }
            r.mul(L::load(self.hidden.add(at))).store(self.product.add(at));
        }
    }
}

/// Units of one block in a forward step.
#[derive(Clone, Copy)]
pub(super) struct ForwardGates {
    pub activations: Activations,
    /// Whether the reset gate still has to be applied to the recurrent sums of the candidate.
    pub reset_after: bool,
    /// Sums of update, reset, candidate (and its recurrent sums) at the first of the units; replaced by the gates if the
    /// activations are the usual ones, otherwise the sum of the candidate is completed.
    pub gates: *mut f32,
    /// From one gate to the next.
    pub stride: usize,
    pub hidden_before: *const f32,
    pub hidden: *mut f32,
    pub units: usize,
    pub valid: u16,
}

impl ForwardGates {
    /// # Safety
    /// As for [`ForwardReset::run`].
    #[inline(always)]
    pub(super) unsafe fn run<L: Lanes>(self) {
        let valid = L::mask_from_bits(self.valid);
        let Activations { usual, activation, recurrent } = self.activations;
        for at in (0..self.units * LANES).step_by(LANES) {
            let gate = |index: usize| self.gates.add(index * self.stride + at);
            let (mut z, mut g) = (L::load(gate(0)), L::load(gate(2)));
            let before = L::load(self.hidden_before.add(at));
            if self.reset_after {
                let mut r = L::load(gate(1));
                if usual {
                    r = math::sigmoid(r);
                    r.store(gate(1));
                } else {
                    r = value(recurrent, r);
                }
                g = r.fma(L::load(gate(3)), g);
            }
            if usual {
                (z, g) = (math::sigmoid(z), math::tanh(g));
                z.store(gate(0));
                g.store(gate(2));
            } else {
                g.store(gate(2));
                (z, g) = (value(recurrent, z), value(activation, g));
            }
            let hidden = z.fma(before, L::splat(1.0).sub(z).mul(g));
            hidden.select(valid, before).store(self.hidden.add(at));
        }
    }
}

/// Value and slope of the gate that a forward step left as `saved`.
#[inline(always)]
unsafe fn gate_and_slope<L: Lanes>(activations: Activations, saved: L) -> (L, L) {
    if activations.usual {
        (saved, saved.mul(L::splat(1.0).sub(saved)))
    } else {
        value_and_slope(activations.recurrent, saved)
    }
}

/// All units of one block in a backward step.
#[derive(Clone, Copy)]
pub(super) struct BackwardGates {
    pub activations: Activations,
    /// As [`ForwardGates::reset_after`]; otherwise the reset gate is left to [`BackwardReset`].
    pub reset_after: bool,
    /// What the forward step left there; replaced by the gradients of the sums.
    pub gates: *mut f32,
    pub hidden_before: *const f32,
    /// Gradient of the output, then the part of the gradient of the output before it that needs no product.
    pub dhidden: *mut f32,
    pub units: usize,
    pub valid: u16,
}

impl BackwardGates {
    /// # Safety
    /// As for [`ForwardReset::run`].
    #[inline(always)]
    pub(super) unsafe fn run<L: Lanes>(self) {
        let valid = L::mask_from_bits(self.valid);
        let zero = L::splat(0.0);
        let one = L::splat(1.0);
        for at in (0..self.units * LANES).step_by(LANES) {
            let gate = |index: usize| self.gates.add(index * self.units * LANES + at);
            let (z, z_slope) = gate_and_slope(self.activations, L::load(gate(0)));
            let g = L::load(gate(2));
            let (g, g_slope) = if self.activations.usual {
                (g, one.sub(g.mul(g)))
            } else {
                value_and_slope(self.activations.activation, g)
            };
            let dhidden = L::load(self.dhidden.add(at));
            let dz = dhidden.mul(L::load(self.hidden_before.add(at)).sub(g)).mul(z_slope);
            let dg = dhidden.mul(one.sub(z)).mul(g_slope).select(valid, zero);
            dz.select(valid, zero).store(gate(0));
            dg.store(gate(2));
            if self.reset_after {
                let (r, r_slope) = gate_and_slope(self.activations, L::load(gate(1)));
                dg.mul(L::load(gate(3))).mul(r_slope).select(valid, zero).store(gate(1));
                dg.mul(r).select(valid, zero).store(gate(3));
            }
            dhidden.mul(z).select(valid, dhidden).store(self.dhidden.add(at));
        }
    }
}

/// The reset gate, behind the recurrent product of the candidate.
#[derive(Clone, Copy)]
pub(super) struct BackwardReset {
    pub activations: Activations,
    /// What the forward step left there; replaced by the gradients of the sums.
    pub reset: *mut f32,
    pub hidden_before: *const f32,
    /// Dropout factors of the output before.
    pub factors: Option<*const f32>,
    /// Gradient of the product of the reset gate and the output before.
    pub dproduct: *const f32,
    /// Gradient of the output before; added to.
    pub dhidden: *mut f32,
    pub units: usize,
    pub valid: u16,
}

impl BackwardReset {
    /// # Safety
    /// As for [`ForwardReset::run`].
    #[inline(always)]
    pub(super) unsafe fn run<L: Lanes>(self) {
        let valid = L::mask_from_bits(self.valid);
        for at in (0..self.units * LANES).step_by(LANES) {
            let (r, r_slope) = gate_and_slope(self.activations, L::load(self.reset.add(at)));
            let mut dproduct = L::load(self.dproduct.add(at));
            if let Some(factors) = self.factors {
                dproduct = dproduct.mul(L::load(factors.add(at)));
            }
            let dr = dproduct.mul(L::load(self.hidden_before.add(at))).mul(r_slope);
            dr.select(valid, L::splat(0.0)).store(self.reset.add(at));
            let dhidden = L::load(self.dhidden.add(at));
            dproduct.fma(r, dhidden).select(valid, dhidden).store(self.dhidden.add(at));
        }
    }
}
