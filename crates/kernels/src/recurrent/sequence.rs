//! What all recurrent layers take and give.
use super::{Operand, Plan, Shape, To, variants};
use crate::{Context, Destination};

/// What goes into a layer, with the name of its kind for messages.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sequence<'a> {
    pub name: &'static str,
    pub gates: usize,
    pub shape: Shape,
    /// `[gates * units, input]`.
    pub kernel: &'a [f32],
    /// `[gates * units, units]`.
    pub recurrent: &'a [f32],
    /// `[batch, steps, input]`.
    pub x: &'a [f32],
    /// There is no `x`: what is around the cell completes all of its inputs in each step.
    pub inner: bool,
    /// `[batch, units]`.
    pub h0: Option<&'a [f32]>,
    /// `[batch, steps]`.
    pub mask: Option<&'a [u8]>,
    /// Goes from the last step to the first.
    pub reverse: bool,
    /// The output of a masked step is 0.
    pub zero_output_for_mask: bool,
    /// Factors of the inputs, for all gates or for each.
    pub dropout: Option<&'a [f32]>,
    /// Factors of the outputs that go into the next step.
    pub recurrent_dropout: Option<&'a [f32]>,
}

impl<'a> Sequence<'a> {
    /// Panics unless a slice, if there is one, has a length.
    pub(crate) fn fits<T>(&self, what: &str, slice: Option<&[T]>, length: usize) {
        if let Some(slice) = slice {
            assert_eq!(slice.len(), length, "{}: length of {what}", self.name);
        }
    }

    /// As [`Sequence::fits`], of the destination of a gradient.
    pub(crate) fn destination_fits(&self, what: &str, to: Option<&Destination<'_>>, length: usize) {
        self.fits(what, to.map(|to| &*to.data), length);
    }

    pub(crate) fn check(&self) {
        let Shape { batch, steps, input, units } = self.shape;
        let rows = self.gates * units;
        self.fits("kernel", Some(self.kernel), rows * input);
        self.fits("recurrent", Some(self.recurrent), rows * units);
        self.fits("x", Some(self.x), if self.inner { 0 } else { batch * steps * input });
        self.fits("h0", self.h0, batch * units);
        self.fits("mask", self.mask, batch * steps);
        let factors = [("dropout", self.dropout, input), ("recurrent_dropout", self.recurrent_dropout, units)];
        for (what, factors, features) in factors {
            let single = batch * features;
            let fits = factors.is_none_or(|factors| [single, self.gates * single].contains(&factors.len()));
            assert!(fits, "{}: length of {what}", self.name);
        }
    }

    /// The inputs as an operand of the products; as many variants as gates if each has its own dropout.
    pub(crate) fn x_operand(&self) -> Operand<'a> {
        let features = self.shape.input;
        let variants = variants(self.dropout, self.shape.batch * features, self.gates);
        Operand { features, variants, factors: self.dropout }
    }

    /// The outputs before the steps as an operand of the products.
    pub(crate) fn hidden_operand(&self) -> Operand<'a> {
        let features = self.shape.units;
        let variants = variants(self.recurrent_dropout, self.shape.batch * features, self.gates);
        Operand { features, variants, factors: self.recurrent_dropout }
    }

    pub(crate) fn plan(&self, context: &Context) -> Plan {
        Plan::new(self.shape, self.reverse, self.mask, context.pool.threads())
    }
}

/// The gradients that all recurrent layers have.
pub(crate) struct Gradients<'a> {
    pub dx: Option<Destination<'a>>,
    pub dh0: Option<Destination<'a>>,
    pub dkernel: Option<Destination<'a>>,
    pub drecurrent: Option<Destination<'a>>,
    pub dbias: Option<Destination<'a>>,
    /// Of a bias that is added to the sums of the outputs.
    pub drecurrent_bias: Option<Destination<'a>>,
}

/// The same, for pieces to share.
#[derive(Clone, Copy)]
pub(crate) struct GradientsTo<'a> {
    pub dx: Option<To<'a>>,
    pub dh0: Option<To<'a>>,
    pub dkernel: Option<To<'a>>,
    pub drecurrent: Option<To<'a>>,
    pub dbias: Option<To<'a>>,
    pub drecurrent_bias: Option<To<'a>>,
}

impl<'a> Gradients<'a> {
    /// Panics if a slice has another length than what it is the gradient of.
    pub(crate) fn check(self, sequence: &Sequence<'_>) -> GradientsTo<'a> {
        let Shape { batch, steps, input, units } = sequence.shape;
        let rows = sequence.gates * units;
        let Self { dx, dh0, dkernel, drecurrent, dbias, drecurrent_bias } = self;
        let to = |what: &str, to: Option<Destination<'a>>, length: usize| {
            sequence.destination_fits(what, to.as_ref(), length);
            to.map(To::new)
        };
        GradientsTo {
            dx: to("dx", dx, batch * steps * input),
            dh0: to("dh0", dh0, batch * units),
            dkernel: to("dkernel", dkernel, rows * input),
            drecurrent: to("drecurrent", drecurrent, rows * units),
            dbias: to("dbias", dbias, rows),
            drecurrent_bias: to("drecurrent_bias", drecurrent_bias, rows),
        }
    }
}
