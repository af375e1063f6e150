//! Initial values of weights, in Keras' layout and by Keras' rules (its numbers differ: the generator is another).
//!
//! # Source
//! `keras/src/initializers/{constant,random}_initializers.py` of Keras 3.15.
mod orthogonal;

use crate::{
    Context,
    random::{RandomKey, fill_normal, fill_truncated_normal, fill_uniform},
};

/// Which fan divides the scale of [`Initializer::VarianceScaling`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fan {
    /// Inputs of a unit.
    In,
    /// Outputs.
    Out,
    /// Their mean.
    Average,
}

/// What [`Initializer::VarianceScaling`] draws from. All have the same variance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Distribution {
    /// Normal, cut at two deviations.
    TruncatedNormal,
    /// Normal.
    UntruncatedNormal,
    /// Uniform.
    Uniform,
}

/// How the values of a weight begin. Names are Keras'.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Initializer {
    /// 0.
    Zeros,
    /// 1.
    Ones,
    /// One value.
    Constant(f32),
    /// Uniform between two values.
    RandomUniform {
        /// The smallest value.
        minval: f64,
        /// The largest value.
        maxval: f64,
    },
    /// Normal.
    RandomNormal {
        /// Mean.
        mean: f64,
        /// Standard deviation.
        stddev: f64,
    },
    /// Normal, never more than two deviations from the mean.
    TruncatedNormal {
        /// Mean.
        mean: f64,
        /// Standard deviation before values are cut off.
        stddev: f64,
    },
    /// Uniform within `sqrt(6 / (fan_in + fan_out))`.
    GlorotUniform,
    /// Truncated normal of variance `2 / (fan_in + fan_out)`.
    GlorotNormal,
    /// Uniform within `sqrt(6 / fan_in)`.
    HeUniform,
    /// Truncated normal of variance `2 / fan_in`.
    HeNormal,
    /// Uniform within `sqrt(3 / fan_in)`.
    LecunUniform,
    /// Truncated normal of variance `1 / fan_in`.
    LecunNormal,
    /// Variance `scale / fan`.
    VarianceScaling {
        /// Above 0.
        scale: f64,
        /// Which fan.
        mode: Fan,
        /// Which distribution.
        distribution: Distribution,
    },
    /// A random matrix with orthogonal rows or columns, whichever are fewer, each of length `gain`. Axes before the last
    /// are taken together as rows.
    Orthogonal {
        /// Factor of the orthonormal matrix.
        gain: f64,
    },
    /// The identity matrix times `gain`.
    Identity {
        /// Value on the diagonal.
        gain: f64,
    },
}

/// Why an initialiser does not fit a shape.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum InitializeError {
    /// [`Initializer::Orthogonal`] needs at least two axes; the shape has this many.
    OrthogonalRank(usize),
    /// [`Initializer::Identity`] needs two axes; the shape has this many.
    IdentityRank(usize),
    /// [`Initializer::VarianceScaling`] needs a scale above 0, not this one.
    Scale(f64),
}

impl std::fmt::Display for InitializeError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::OrthogonalRank(rank) => {
                write!(formatter, "orthogonal needs at least two axes, the weight has {rank}")
            }
            Self::IdentityRank(rank) => write!(formatter, "identity needs two axes, the weight has {rank}"),
            Self::Scale(scale) => write!(formatter, "varianceScaling needs a scale above 0, not {scale}"),
        }
    }
}

impl std::error::Error for InitializeError {}

/// Inputs and outputs of a unit, by Keras' rule.
#[must_use]
pub fn fans(shape: &[usize]) -> (usize, usize) {
    match *shape {
        [] => (1, 1),
        [size] => (size, size),
        [ref field @ .., inputs, outputs] => {
            let field: usize = field.iter().product();
            (inputs * field, outputs * field)
        }
    }
}

/// A distribution and its parameters.
#[derive(Clone, Copy, Debug)]
enum Draw {
    Uniform { low: f64, high: f64 },
    Normal { mean: f64, deviation: f64 },
    Truncated { mean: f64, deviation: f64 },
}

impl Draw {
    fn scaled(shape: &[usize], scale: f64, mode: Fan, distribution: Distribution) -> Self {
        /// Deviation of a standard normal that is cut at 2.
        const CUT_DEVIATION: f64 = 0.879_625_661_034_239_8;
        let (fan_in, fan_out) = fans(shape);
        let fan = match mode {
            Fan::In => fan_in as f64,
            Fan::Out => fan_out as f64,
            Fan::Average => (fan_in as f64 + fan_out as f64) / 2.0,
        };
        let variance = scale / fan.max(1.0);
        match distribution {
            Distribution::TruncatedNormal => Self::Truncated { mean: 0.0, deviation: variance.sqrt() / CUT_DEVIATION },
            Distribution::UntruncatedNormal => Self::Normal { mean: 0.0, deviation: variance.sqrt() },
            Distribution::Uniform => {
                let limit = (3.0 * variance).sqrt();
                Self::Uniform { low: -limit, high: limit }
            }
        }
    }

    fn fill(self, ctx: &Context, key: RandomKey, out: &mut [f32]) {
        match self {
            Self::Uniform { low, high } => {
                fill_uniform(ctx, key, 0, out);
                for value in out {
                    *value = (low + (high - low) * f64::from(*value)) as f32;
                }
            }
            Self::Normal { mean, deviation } => fill_normal(ctx, key, 0, mean, deviation, out),
            Self::Truncated { mean, deviation } => fill_truncated_normal(ctx, key, 0, mean, deviation, out),
        }
    }
}

impl Initializer {
    /// The distribution of the random initialisers but [`Self::Orthogonal`].
    fn draw(self, shape: &[usize]) -> Option<Draw> {
        use Distribution::{TruncatedNormal, Uniform};
        let scaled = |scale, mode, distribution| Some(Draw::scaled(shape, scale, mode, distribution));
        match self {
            Self::RandomUniform { minval, maxval } => Some(Draw::Uniform { low: minval, high: maxval }),
            Self::RandomNormal { mean, stddev } => Some(Draw::Normal { mean, deviation: stddev }),
            Self::TruncatedNormal { mean, stddev } => Some(Draw::Truncated { mean, deviation: stddev }),
            Self::GlorotUniform => scaled(1.0, Fan::Average, Uniform),
            Self::GlorotNormal => scaled(1.0, Fan::Average, TruncatedNormal),
            Self::HeUniform => scaled(2.0, Fan::In, Uniform),
            Self::HeNormal => scaled(2.0, Fan::In, TruncatedNormal),
            Self::LecunUniform => scaled(1.0, Fan::In, Uniform),
            Self::LecunNormal => scaled(1.0, Fan::In, TruncatedNormal),
            Self::VarianceScaling { scale, mode, distribution } => scaled(scale, mode, distribution),
            Self::Zeros | Self::Ones | Self::Constant(_) | Self::Orthogonal { .. } | Self::Identity { .. } => None,
        }
    }

    /// Whether the initialiser fits the shape of a weight.
    ///
    /// # Errors
    /// See [`InitializeError`].
    pub fn check(self, shape: &[usize]) -> Result<(), InitializeError> {
        match self {
            Self::Orthogonal { .. } if shape.len() < 2 => Err(InitializeError::OrthogonalRank(shape.len())),
            Self::Identity { .. } if shape.len() != 2 => Err(InitializeError::IdentityRank(shape.len())),
            // A NaN is not above 0 either.
            Self::VarianceScaling { scale, .. } if scale.is_nan() || scale <= 0.0 => Err(InitializeError::Scale(scale)),
            _ => Ok(()),
        }
    }

    /// Fills `out` with the initial values of a weight of Keras' shape (`[in, out]` for a matrix), row-major.
    ///
    /// # Errors
    /// Those of [`Self::check`]; `out` is unchanged then.
    pub fn fill(self, ctx: &Context, shape: &[usize], key: RandomKey, out: &mut [f32]) -> Result<(), InitializeError> {
        assert_eq!(out.len(), shape.iter().product::<usize>(), "initialize: the slice does not have the shape");
        self.check(shape)?;
        if let Some(draw) = self.draw(shape) {
            draw.fill(ctx, key, out);
            return Ok(());
        }
        match (self, shape) {
            (Self::Ones, _) => out.fill(1.0),
            (Self::Constant(value), _) => out.fill(value),
            (Self::Orthogonal { gain }, [.., columns]) => orthogonal::fill(ctx, *columns, gain, key, out),
            (Self::Identity { gain }, [_, columns]) => {
                out.fill(0.0);
                // The diagonal of a wide matrix ends before its last row would.
                out.iter_mut().step_by(columns + 1).take(*columns).for_each(|value| *value = gain as f32);
            }
            _ => out.fill(0.0),
        }
        Ok(())
    }
}

#[cfg(test)]
mod golden;
#[cfg(test)]
mod tests;
