//! A layer with everything that goes in, as its kernels need it.
use super::{
    AttentiveInputs, AttentiveShape, AttentiveWeights, Cell, CellInputs, CellWeights, Order, Score, fits, rows_into,
};
use crate::{
    Context,
    buffer::Buffer,
    gru::{GruInputs, GruOptions, GruWeights},
    lstm::{LstmInputs, LstmOptions, LstmWeights},
    recurrent::{self, Plan},
};

/// Everything that goes in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layer<'a> {
    pub(super) cell: Cell,
    pub(super) shape: AttentiveShape,
    pub(super) weights: AttentiveWeights<'a>,
    pub(super) inputs: AttentiveInputs<'a>,
}

impl<'a> Layer<'a> {
    /// Features that complete the input of the cell.
    pub(super) fn fed(&self) -> usize {
        match self.weights.order {
            Order::Before => self.shape.memory,
            Order::After { feed: true, .. } => self.shape.units,
            Order::After { feed: false, .. } => 0,
        }
    }

    pub(super) fn check(&self) {
        let AttentiveShape { batch, steps, sources, input, units, memory, keys } = self.shape;
        fits("x", Some(self.inputs.x), batch * steps * input);
        fits("keys", Some(self.inputs.keys), batch * sources * keys);
        fits("memory", Some(self.inputs.memory), batch * sources * memory);
        fits("memory_mask", self.inputs.memory_mask, batch * sources);
        fits("a0", self.inputs.a0, batch * units);
        match self.weights.score {
            Score::Dot => assert_eq!(keys, units, "attentive_rnn: keys of inner products have the units as features"),
            Score::Additive { query, scale } => {
                fits("query", Some(query), keys * units);
                fits("scale", Some(scale), keys);
            }
        }
        match self.weights.order {
            Order::Before => assert!(self.inputs.a0.is_none(), "attentive_rnn: a0 without an output that is fed"),
            Order::After { combine, .. } => fits("combine", Some(combine), units * (memory + units)),
        }
        let (weights, inputs) = (self.weights.above.len(), self.inputs.above.len());
        assert_eq!(weights, inputs, "attentive_rnn: weights and inputs of the cells above");
        let feeds = matches!(self.weights.order, Order::After { feed: true, .. });
        assert!(weights == 0 || feeds, "attentive_rnn: cells above without an output that is fed");
    }

    /// The shape that the first cell sees.
    pub(super) fn cell_shape(&self) -> recurrent::Shape {
        let AttentiveShape { batch, steps, input, units, .. } = self.shape;
        recurrent::Shape { batch, steps, input: input + self.fed(), units }
    }

    pub(super) fn plan(&self, context: &Context) -> Plan {
        Plan::new(self.cell_shape(), false, self.inputs.mask, context.pool.threads())
    }

    /// How many cells there are.
    pub(super) fn cells(&self) -> usize {
        1 + self.weights.above.len()
    }

    /// The shape that a cell sees.
    pub(super) fn shape_of(&self, number: usize) -> recurrent::Shape {
        let shape = self.cell_shape();
        if number > 0 { recurrent::Shape { input: shape.units, ..shape } } else { shape }
    }

    fn weights_of(&self, number: usize) -> CellWeights<'a> {
        let AttentiveWeights { kernel, recurrent, bias, recurrent_bias, above, .. } = self.weights;
        let first = CellWeights { kernel, recurrent, bias, recurrent_bias };
        number.checked_sub(1).and_then(|place| above.get(place)).copied().unwrap_or(first)
    }

    pub(super) fn inputs_of(&self, number: usize) -> CellInputs<'a> {
        let AttentiveInputs { h0, c0, dropout, recurrent_dropout, above, .. } = self.inputs;
        let first = CellInputs { h0, c0, dropout, recurrent_dropout };
        number.checked_sub(1).and_then(|place| above.get(place)).copied().unwrap_or(first)
    }

    /// A cell with inputs as an LSTM.
    pub(super) fn lstm<'b>(&self, number: usize, x: &'b [f32]) -> (LstmWeights<'b>, LstmInputs<'b>, LstmOptions<'b>)
    where
        'a: 'b,
    {
        let CellWeights { kernel, recurrent, bias, recurrent_bias } = self.weights_of(number);
        let CellInputs { h0, c0, dropout, recurrent_dropout } = self.inputs_of(number);
        assert!(recurrent_bias.is_none(), "attentive_rnn: an LSTM has no recurrent bias");
        let options = LstmOptions { dropout, recurrent_dropout, ..LstmOptions::default() };
        (LstmWeights { kernel, recurrent, bias }, LstmInputs { x, h0, c0, mask: self.inputs.mask }, options)
    }

    /// A cell with inputs as a GRU.
    pub(super) fn gru<'b>(&self, number: usize, x: &'b [f32]) -> (GruWeights<'b>, GruInputs<'b>, GruOptions<'b>)
    where
        'a: 'b,
    {
        let CellWeights { kernel, recurrent, bias, recurrent_bias } = self.weights_of(number);
        let CellInputs { h0, c0, dropout, recurrent_dropout } = self.inputs_of(number);
        assert!(c0.is_none(), "attentive_rnn: a GRU has no cell state");
        let reset_after = self.cell != Cell::Gru { reset_after: false };
        let options = GruOptions { reset_after, dropout, recurrent_dropout, ..GruOptions::default() };
        let inputs = GruInputs { x, h0, mask: self.inputs.mask };
        (GruWeights { kernel, recurrent, bias, recurrent_bias }, inputs, options)
    }

    /// `[batch, steps, input + fed]` with `x`, and room for what is fed; empty if nothing is.
    pub(super) fn joined_inputs(&self, context: &Context) -> Buffer {
        let AttentiveShape { batch, steps, input, .. } = self.shape;
        let (fed, rows) = (self.fed(), batch * steps);
        if fed == 0 {
            return Buffer::new(0);
        }
        // What is fed is not read before it is set; zeros, so that it is no NaN of another use of the memory.
        let mut joined = Buffer::zeros(rows * (input + fed));
        rows_into(context, steps, self.inputs.x, &mut joined, (0, input));
        joined
    }
}
