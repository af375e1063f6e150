//! Functions of one or two numbers, with their slopes, in 64 bits: what every backend means by them.
use serde::Deserialize;

/// A function of one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Unary {
    /// `-x`.
    Negative,
    /// `|x|`.
    Abs,
    /// `e^x`.
    Exp,
    /// `e^x - 1`.
    Expm1,
    /// Natural logarithm.
    Log,
    /// `log(1 + x)`.
    Log1p,
    /// Square root.
    Sqrt,
    /// `1 / sqrt(x)`.
    Rsqrt,
    /// `x^2`.
    Square,
    /// `1 / x`.
    Reciprocal,
    /// -1, 0 or 1.
    Sign,
    /// Sine.
    Sin,
    /// Cosine.
    Cos,
    /// The next whole number below.
    Floor,
    /// The next whole number above.
    Ceil,
    /// The nearest whole number, of two the even one.
    Round,
    /// 1 where `x` is 0, else 0.
    LogicalNot,
    /// `x` without a gradient.
    StopGradient,
}

impl Unary {
    /// The value.
    #[must_use]
    pub fn value(self, x: f64) -> f64 {
        match self {
            Self::Negative => -x,
            Self::Abs => x.abs(),
            Self::Exp => x.exp(),
            Self::Expm1 => x.exp_m1(),
            Self::Log => x.ln(),
            Self::Log1p => x.ln_1p(),
            Self::Sqrt => x.sqrt(),
            Self::Rsqrt => x.sqrt().recip(),
            Self::Square => x * x,
            Self::Reciprocal => x.recip(),
            Self::Sign if x == 0.0 || x.is_nan() => x,
            Self::Sign => x.signum(),
            Self::Sin => x.sin(),
            Self::Cos => x.cos(),
            Self::Floor => x.floor(),
            Self::Ceil => x.ceil(),
            Self::Round => x.round_ties_even(),
            Self::LogicalNot => f64::from(u8::from(x == 0.0)),
            Self::StopGradient => x,
        }
    }

    /// The slope at `x`.
    #[must_use]
    pub fn slope(self, x: f64) -> f64 {
        match self {
            Self::Negative => -1.0,
            Self::Abs => Self::Sign.value(x),
            Self::Exp | Self::Expm1 => x.exp(),
            Self::Log => x.recip(),
            Self::Log1p => (1.0 + x).recip(),
            Self::Sqrt => 0.5 / x.sqrt(),
            Self::Rsqrt => -0.5 / (x * x.sqrt()),
            Self::Square => 2.0 * x,
            Self::Reciprocal => -(x * x).recip(),
            Self::Sin => x.cos(),
            Self::Cos => -x.sin(),
            Self::Sign | Self::Floor | Self::Ceil | Self::Round | Self::LogicalNot | Self::StopGradient => 0.0,
        }
    }

    /// Whether the slope is 0 everywhere.
    #[must_use]
    pub fn is_flat(self) -> bool {
        matches!(self, Self::Sign | Self::Floor | Self::Ceil | Self::Round | Self::LogicalNot | Self::StopGradient)
    }

    /// Whether it takes whole numbers to whole numbers.
    #[must_use]
    pub fn keeps_integers(self) -> bool {
        matches!(self, Self::Negative | Self::Abs | Self::Square | Self::Sign | Self::StopGradient)
    }
}

/// A function of two numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Binary {
    /// `a + b`.
    Add,
    /// `a - b`.
    Subtract,
    /// `a b`.
    Multiply,
    /// `a / b`.
    Divide,
    /// `a / b`, rounded down.
    FloorDivide,
    /// What `a / b`, rounded down, leaves.
    Mod,
    /// `a^b`.
    Power,
    /// The larger one.
    Maximum,
    /// The smaller one.
    Minimum,
    /// Whether they are equal.
    Equal,
    /// Whether they differ.
    NotEqual,
    /// Whether `a < b`.
    Less,
    /// Whether `a <= b`.
    LessEqual,
    /// Whether `a > b`.
    Greater,
    /// Whether `a >= b`.
    GreaterEqual,
    /// Whether neither is 0.
    LogicalAnd,
    /// Whether not both are 0.
    LogicalOr,
}

impl Binary {
    /// The value.
    #[must_use]
    pub fn value(self, a: f64, b: f64) -> f64 {
        let truth = |truth: bool| f64::from(u8::from(truth));
        match self {
            Self::Add => a + b,
            Self::Subtract => a - b,
            Self::Multiply => a * b,
            Self::Divide => a / b,
            Self::FloorDivide => (a / b).floor(),
            Self::Mod => a - (a / b).floor() * b,
            Self::Power => a.powf(b),
            // What is not a number stays.
            Self::Maximum => {
                if a > b || a.is_nan() {
                    a
                } else {
                    b
                }
            }
            Self::Minimum => {
                if a < b || a.is_nan() {
                    a
                } else {
                    b
                }
            }
            Self::Equal => truth(a == b),
            Self::NotEqual => truth(a != b),
            Self::Less => truth(a < b),
            Self::LessEqual => truth(a <= b),
            Self::Greater => truth(a > b),
            Self::GreaterEqual => truth(a >= b),
            Self::LogicalAnd => truth(a != 0.0 && b != 0.0),
            Self::LogicalOr => truth(a != 0.0 || b != 0.0),
        }
    }

    /// The slope by `a`. Of two equal ones each has half of an extreme.
    #[must_use]
    pub fn slope_a(self, a: f64, b: f64) -> f64 {
        match self {
            Self::Add | Self::Subtract | Self::Mod => 1.0,
            Self::Multiply => b,
            Self::Divide => b.recip(),
            Self::Power if b == 0.0 => 0.0,
            Self::Power => b * a.powf(b - 1.0),
            Self::Maximum => share(a > b, a == b),
            Self::Minimum => share(a < b, a == b),
            _ => 0.0,
        }
    }

    /// The slope by `b`.
    #[must_use]
    pub fn slope_b(self, a: f64, b: f64) -> f64 {
        match self {
            Self::Add => 1.0,
            Self::Subtract => -1.0,
            Self::Multiply => a,
            Self::Divide => -a / (b * b),
            Self::Mod => -(a / b).floor(),
            Self::Power if a == 0.0 && b >= 0.0 => 0.0,
            Self::Power => a.powf(b) * a.ln(),
            Self::Maximum => share(b > a, a == b),
            Self::Minimum => share(b < a, a == b),
            _ => 0.0,
        }
    }

    /// Whether the value is 1 or 0: true or false.
    #[must_use]
    pub fn is_truth(self) -> bool {
        matches!(
            self,
            Self::Equal
                | Self::NotEqual
                | Self::Less
                | Self::LessEqual
                | Self::Greater
                | Self::GreaterEqual
                | Self::LogicalAnd
                | Self::LogicalOr
        )
    }

    /// Whether the slopes are 0 everywhere.
    #[must_use]
    pub fn is_flat(self) -> bool {
        self.is_truth() || self == Self::FloorDivide
    }

    /// Whether it takes whole numbers to whole numbers.
    #[must_use]
    pub fn keeps_integers(self) -> bool {
        matches!(
            self,
            Self::Add | Self::Subtract | Self::Multiply | Self::FloorDivide | Self::Mod | Self::Maximum | Self::Minimum
        )
    }
}

fn share(whole: bool, half: bool) -> f64 {
    match (whole, half) {
        (true, _) => 1.0,
        (false, true) => 0.5,
        (false, false) => 0.0,
    }
}

/// How the elements along axes become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Reduction {
    /// Their sum.
    Sum,
    /// Their mean.
    Mean,
    /// Their product.
    Prod,
    /// The largest.
    Max,
    /// The smallest.
    Min,
}

impl Reduction {
    /// What the first element is joined with.
    #[must_use]
    pub fn start(self) -> f64 {
        match self {
            Self::Sum | Self::Mean => 0.0,
            Self::Prod => 1.0,
            Self::Max => f64::NEG_INFINITY,
            Self::Min => f64::INFINITY,
        }
    }

    /// What two become.
    #[must_use]
    pub fn join(self, left: f64, right: f64) -> f64 {
        match self {
            Self::Sum | Self::Mean => left + right,
            Self::Prod => left * right,
            Self::Max => Binary::Maximum.value(left, right),
            Self::Min => Binary::Minimum.value(left, right),
        }
    }
}
