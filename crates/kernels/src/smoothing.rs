//! Label smoothing: what part of a target is spread over the classes.

/// How a part `e` of the target is spread over V classes.
///
/// # Source
/// `CategoricalCrossentropy` of Keras, `label_smoothed_nll_loss` of fairseq, `XentLoss` of Joey NMT.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SmoothingDefinition {
    /// `y (1 - e) + e / V`: over all classes, as in Keras, PyTorch and Hugging Face.
    #[default]
    Keras,
    /// `y (1 - e - s) + s` with `s = e / (V - 1)`: over all classes but the right one.
    Fairseq,
    /// `y (1 - e - s) + s` with `s = e / (V - 2)`, and no share for padding.
    JoeyNmt {
        /// The class of padding.
        padding: u32,
    },
}

impl SmoothingDefinition {
    /// Fewest classes that it is defined for.
    #[must_use]
    pub fn fewest_classes(self) -> usize {
        match self {
            Self::Keras => 1,
            Self::Fairseq => 2,
            Self::JoeyNmt { padding } => 3.max(padding as usize + 1),
        }
    }
}

/// Smoothed targets are `y kept + spread`; those of a class that is left out `y kept`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Smoothing {
    /// Factor of targets.
    pub kept: f64,
    /// What is added to the target of each class.
    pub spread: f64,
    /// The class that nothing is added to.
    pub left_out: Option<usize>,
}

impl Smoothing {
    /// The smoothing of a part `e` for so many classes.
    ///
    /// # Panics
    /// If there are fewer classes than the definition needs.
    #[must_use]
    pub fn new(definition: SmoothingDefinition, e: f32, classes: usize) -> Self {
        let e = f64::from(e);
        if e == 0.0 {
            return Self { kept: 1.0, spread: 0.0, left_out: None };
        }
        assert!(
            classes >= definition.fewest_classes(),
            "cross-entropy: {classes} classes are too few for {definition:?}"
        );
        match definition {
            SmoothingDefinition::Keras => Self { kept: 1.0 - e, spread: e / classes as f64, left_out: None },
            SmoothingDefinition::Fairseq => {
                let spread = e / (classes - 1) as f64;
                Self { kept: 1.0 - e - spread, spread, left_out: None }
            }
            SmoothingDefinition::JoeyNmt { padding } => {
                let spread = e / (classes - 2) as f64;
                Self { kept: 1.0 - e - spread, spread, left_out: Some(padding as usize) }
            }
        }
    }

    /// Sum of the smoothed targets of a row, of whose targets `mass` is the sum.
    #[must_use]
    pub fn mass(&self, mass: f64, classes: usize) -> f64 {
        let counted = classes - usize::from(self.left_out.is_some());
        mass * self.kept + self.spread * counted as f64
    }

    /// The smoothed target of a class.
    #[must_use]
    pub fn target(&self, y: f64, class: usize) -> f64 {
        y * self.kept + if self.left_out == Some(class) { 0.0 } else { self.spread }
    }
}
