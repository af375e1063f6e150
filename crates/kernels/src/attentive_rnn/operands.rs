//! What goes into a layer and comes out of it, with its shapes.
use crate::Destination;
#[cfg(doc)]
use crate::{
    gru::{self, GruOptions},
    lstm,
};

/// Sizes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttentiveShape {
    /// Sequences.
    pub batch: usize,
    /// Time steps.
    pub steps: usize,
    /// Positions of the memory.
    pub sources: usize,
    /// Features of `x`.
    pub input: usize,
    /// Features of the state and of the output.
    pub units: usize,
    /// Features of the memory.
    pub memory: usize,
    /// Features of the keys.
    pub keys: usize,
}

/// What a step computes besides the attention.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cell {
    /// An LSTM.
    Lstm,
    /// A GRU.
    Gru {
        /// As [`GruOptions::reset_after`].
        reset_after: bool,
    },
}

impl Cell {
    /// Blocks of the kernel.
    #[must_use]
    pub fn gates(self) -> usize {
        match self {
            Self::Lstm => 4,
            Self::Gru { .. } => 3,
        }
    }
}

/// When a step attends, see the module.
#[derive(Clone, Copy, Debug)]
pub enum Order<'a> {
    /// Before the cell, whose input the context completes.
    Before,
    /// After it.
    After {
        /// `W_c`, `[units, memory + units]`: the columns of the context come first.
        combine: &'a [f32],
        /// Whether the output before completes the input of the cell.
        feed: bool,
    },
}

/// How well a query and a key agree, see the module.
#[derive(Clone, Copy, Debug)]
pub enum Score<'a> {
    /// Their inner product; `keys` is `units`.
    Dot,
    /// A layer with one hidden layer.
    Additive {
        /// `W_q`, `[keys, units]`.
        query: &'a [f32],
        /// `v`, `[keys]`.
        scale: &'a [f32],
    },
}

/// Weights of a cell above the first, in the layouts of [`gru`] and [`lstm`].
#[derive(Clone, Copy, Debug)]
pub struct CellWeights<'a> {
    /// `[gates * units, units]`.
    pub kernel: &'a [f32],
    /// `[gates * units, units]`.
    pub recurrent: &'a [f32],
    /// `[gates * units]`.
    pub bias: Option<&'a [f32]>,
    /// `[gates * units]`, of a GRU with `reset_after`.
    pub recurrent_bias: Option<&'a [f32]>,
}

/// What goes into a cell above the first besides the output of the one below.
#[derive(Clone, Copy, Debug, Default)]
pub struct CellInputs<'a> {
    /// Initial output, `[batch, units]`; zeros if left out.
    pub h0: Option<&'a [f32]>,
    /// Initial cell state of an LSTM, `[batch, units]`; zeros if left out.
    pub c0: Option<&'a [f32]>,
    /// Factors of dropout for the outputs of the cell below, `units` features, as [`lstm::LstmOptions::dropout`].
    pub dropout: Option<&'a [f32]>,
    /// As [`AttentiveInputs::recurrent_dropout`].
    pub recurrent_dropout: Option<&'a [f32]>,
}

/// Last states of a cell above the first.
#[derive(Debug, Default)]
pub struct CellOutputs<'a> {
    /// Its output, `[batch, units]`.
    pub h: Option<&'a mut [f32]>,
    /// Its cell state, of an LSTM, `[batch, units]`.
    pub c: Option<&'a mut [f32]>,
}

/// Gradients of the last states of a cell above the first.
#[derive(Clone, Copy, Debug, Default)]
pub struct CellOutputGradients<'a> {
    /// `[batch, units]`.
    pub dh: Option<&'a [f32]>,
    /// `[batch, units]`.
    pub dc: Option<&'a [f32]>,
}

/// Gradients of a cell above the first, with the shapes of what they belong to.
#[derive(Debug, Default)]
pub struct CellGradients<'a> {
    /// Of its initial output.
    pub dh0: Option<Destination<'a>>,
    /// Of its initial cell state.
    pub dc0: Option<Destination<'a>>,
    /// Of its kernel.
    pub dkernel: Option<Destination<'a>>,
    /// Of its recurrent kernel.
    pub drecurrent: Option<Destination<'a>>,
    /// Of its bias.
    pub dbias: Option<Destination<'a>>,
    /// Of its recurrent bias.
    pub drecurrent_bias: Option<Destination<'a>>,
}

/// Weights, in the layouts of [`gru`] and [`lstm`].
#[derive(Clone, Copy, Debug)]
pub struct AttentiveWeights<'a> {
    /// `[gates * units, input + fed]`; fed are the `memory` features of the context, the `units` of the output before, or
    /// none.
    pub kernel: &'a [f32],
    /// `[gates * units, units]`.
    pub recurrent: &'a [f32],
    /// `[gates * units]`.
    pub bias: Option<&'a [f32]>,
    /// `[gates * units]`, of a GRU with `reset_after`.
    pub recurrent_bias: Option<&'a [f32]>,
    /// How queries and keys are compared.
    pub score: Score<'a>,
    /// When a step attends.
    pub order: Order<'a>,
    /// Cells above the one of these weights, upwards: each takes the output of the one below, and the last one attends. Only
    /// with an output that is fed.
    pub above: &'a [CellWeights<'a>],
}

/// Inputs.
#[derive(Clone, Copy, Debug)]
pub struct AttentiveInputs<'a> {
    /// `[batch, steps, input]`.
    pub x: &'a [f32],
    /// `[batch, sources, keys]`; may be the memory itself.
    pub keys: &'a [f32],
    /// `[batch, sources, memory]`.
    pub memory: &'a [f32],
    /// `[batch, sources]`, not 0 where the position counts.
    pub memory_mask: Option<&'a [u8]>,
    /// `[batch, steps]`, not 0 where the step counts.
    pub mask: Option<&'a [u8]>,
    /// Initial output of the cell, `[batch, units]`; zeros if left out.
    pub h0: Option<&'a [f32]>,
    /// Initial cell state of an LSTM, `[batch, units]`; zeros if left out.
    pub c0: Option<&'a [f32]>,
    /// What is fed to the first step instead of an output, `[batch, units]`; zeros if left out. Only with
    /// [`Order::After`].
    pub a0: Option<&'a [f32]>,
    /// Factors of dropout for all that goes into the cell, `input + fed` features, as [`lstm::LstmOptions::dropout`].
    pub dropout: Option<&'a [f32]>,
    /// Factors for the outputs of the cell that go into the next step, as [`lstm::LstmOptions::recurrent_dropout`].
    pub recurrent_dropout: Option<&'a [f32]>,
    /// For each cell above the first.
    pub above: &'a [CellInputs<'a>],
}

/// The results that are asked for.
#[derive(Debug, Default)]
pub struct AttentiveOutputs<'a> {
    /// `[batch, steps, units]`. A masked step repeats the output before it (0 if there is none).
    pub y: Option<&'a mut [f32]>,
    /// Last output of the cell, `[batch, units]`.
    pub h: Option<&'a mut [f32]>,
    /// Last cell state of an LSTM, `[batch, units]`.
    pub c: Option<&'a mut [f32]>,
    /// Last output `a`, `[batch, units]`. Only with [`Order::After`].
    pub a: Option<&'a mut [f32]>,
    /// Weights of the positions, `[batch, steps, sources]`; 0 at masked steps.
    pub weights: Option<&'a mut [f32]>,
    /// Of each cell above the first; empty if none of them is wanted.
    pub above: Vec<CellOutputs<'a>>,
}

/// Gradients of the results; what is left out counts as zeros. The weights of the positions have none.
#[derive(Clone, Copy, Debug, Default)]
pub struct AttentiveOutputGradients<'a> {
    /// `[batch, steps, units]`.
    pub dy: Option<&'a [f32]>,
    /// `[batch, units]`.
    pub dh: Option<&'a [f32]>,
    /// `[batch, units]`.
    pub dc: Option<&'a [f32]>,
    /// `[batch, units]`.
    pub da: Option<&'a [f32]>,
    /// Of each cell above the first; empty if there are none.
    pub above: &'a [CellOutputGradients<'a>],
}

/// The gradients that are asked for, with the shapes of what they belong to.
#[derive(Debug, Default)]
pub struct AttentiveGradients<'a> {
    /// Of `x`.
    pub dx: Option<Destination<'a>>,
    /// Of the keys.
    pub dkeys: Option<Destination<'a>>,
    /// Of the memory, without what goes through the keys.
    pub dmemory: Option<Destination<'a>>,
    /// Of the initial output of the cell.
    pub dh0: Option<Destination<'a>>,
    /// Of the initial cell state.
    pub dc0: Option<Destination<'a>>,
    /// Of what is fed to the first step.
    pub da0: Option<Destination<'a>>,
    /// Of the kernel.
    pub dkernel: Option<Destination<'a>>,
    /// Of the recurrent kernel.
    pub drecurrent: Option<Destination<'a>>,
    /// Of the bias.
    pub dbias: Option<Destination<'a>>,
    /// Of the recurrent bias.
    pub drecurrent_bias: Option<Destination<'a>>,
    /// Of `W_q`.
    pub dquery: Option<Destination<'a>>,
    /// Of `v`.
    pub dscale: Option<Destination<'a>>,
    /// Of `W_c`.
    pub dcombine: Option<Destination<'a>>,
    /// Of each cell above the first; empty if none of them is wanted.
    pub above: Vec<CellGradients<'a>>,
}
