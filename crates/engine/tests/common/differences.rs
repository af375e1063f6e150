//! Gradients against central differences.
use super::{
    candle_double,
    case::{Case, Found},
    floats, integers,
};

impl Case {
    /// Compares gradients of `total` by some elements of each weight with central differences, in double precision; the
    /// tolerance is relative to the largest element of a gradient.
    pub fn check_differences(&self, elements: usize, tolerance: f64, total: impl Fn(&Found) -> f64) {
        let exact = self.step(&candle_double(), 1.0, 1);
        for weight in 0..self.model.plan.weights.len() {
            let gradient = &exact.gradients[weight];
            let largest = gradient.iter().fold(0.0f32, |largest, x| largest.max(x.abs()));
            let values = floats(7 + weight as u32, gradient.len(), 0.5);
            for at in integers(weight as u32, elements, 0, gradient.len() as i32) {
                let at = at as usize;
                let loss = |step: f32| {
                    let mut moved = values.clone();
                    moved[at] += step;
                    self.model.set(weight, &moved);
                    (total(&self.step(&candle_double(), 1.0, 1)), f64::from(moved[at]))
                };
                let ((above, right), (below, left)) = (loss(1e-3), loss(-1e-3));
                let slope = (above - below) / (right - left);
                let error = (slope - f64::from(gradient[at])).abs();
                let name = self.model.name(weight);
                // A slope that is 0 has rounding for a gradient.
                let largest = f64::from(largest).max(1e-6);
                assert!(error <= tolerance * largest, "{name} [{at}]: {slope}, gradient {}", gradient[at]);
            }
            self.model.set(weight, &values);
        }
    }
}
