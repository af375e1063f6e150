//! What is known of a chunk's rows once all exponentials are summed: losses, factors, `dh`, and the rows for `dW`.
use super::{
    chunk::{Chunk, Factors, Sums},
    gradient::Gradient,
    plan::scaled_stride,
    target::ChunkTargets,
};
use crate::{
    Context,
    panels::Unpack,
    shared::Shared,
    simd::{LANES, Simd},
};

pub(super) struct Finish<'a> {
    pub chunk: &'a Chunk<'a>,
    /// All rows, `[rows, features]`.
    pub h: &'a [f32],
    /// Which of them the chunk holds.
    pub rows: &'a [usize],
    pub targets: &'a ChunkTargets<'a>,
    /// Row weights times gradient scale.
    pub weights: &'a [f32],
    pub row_loss: Shared<'a>,
    pub row_unsmoothed: Option<Shared<'a>>,
    pub row_prediction: Shared<'a, u32>,
    pub gradient: Option<&'a Gradient<'a>>,
}

/// What is known of the logits of a row over all classes.
pub(super) struct RowSums {
    /// Logarithm of the sum of the exponentials of all logits.
    pub logsumexp: f64,
    /// The largest logit.
    pub largest: f32,
    /// The class with the largest logit, the lowest of equals; 0 if no logit is a number.
    pub best: u32,
    /// Sum of the exponentials of the distances to the reference.
    pub exponentials: f64,
    /// Sum of the logits that a share of each target is spread over.
    logits: f64,
    targets: f64,
    products: f64,
}

impl RowSums {
    /// Reads what the pieces left; they must have ended.
    pub(super) fn new(chunk: &Chunk<'_>, panel: usize, lane: usize) -> Self {
        // SAFETY: nobody writes sums and references any more.
        let read = |range: usize, sum: Sums| unsafe { *chunk.sums.at(chunk.sum(range, panel, sum) + lane) };
        // SAFETY: as above.
        let reference = unsafe { *chunk.references.at(panel * LANES + lane) };
        let sum = |sum: Sums| (0..chunk.plan.ranges).map(|range| f64::from(read(range, sum))).sum();
        let (mut largest, mut best) = (f32::NEG_INFINITY, 0);
        for range in 0..chunk.plan.ranges {
            let found = read(range, Sums::Largest);
            if found > largest {
                let begin = chunk.plan.range(range).start * chunk.plan.block;
                (largest, best) = (found, (begin + read(range, Sums::Best) as usize) as u32);
            }
        }
        let exponentials: f64 = sum(Sums::Exponentials);
        Self {
            logsumexp: f64::from(reference) + exponentials.ln(),
            largest,
            best,
            exponentials,
            logits: sum(Sums::Logits),
            targets: sum(Sums::Targets),
            products: sum(Sums::Products),
        }
    }

    /// Whether all logits are numbers below infinity and one is above its negative.
    pub(super) fn is_sound(&self) -> bool {
        self.largest.is_finite() && !self.logits.is_nan()
    }
}

/// What is done with each panel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// Losses, predictions and the factors of the gradients.
    Factors,
    /// `dh`, and what `dW` needs.
    Rows,
}

impl Finish<'_> {
    pub(super) fn run(&self, context: &Context, parts: &[Part]) {
        context.pool.run(self.chunk.panels, &|panel| {
            for part in parts {
                match part {
                    Part::Factors => self.factors(panel),
                    Part::Rows => self.rows(panel, context.simd),
                }
            }
        });
    }

    /// Losses, predictions and the factors of the gradients of a panel.
    fn factors(&self, panel: usize) {
        let chunk = self.chunk;
        for lane in 0..LANES {
            let token = panel * LANES + lane;
            // SAFETY: rows and lanes of this panel belong to this piece.
            unsafe {
                let factor = |factor: Factors| chunk.factors.at(chunk.factor(panel, factor) + lane);
                if token >= chunk.tokens {
                    *factor(Factors::Exponential) = 0.0;
                    *factor(Factors::Target) = 0.0;
                    *factor(Factors::Gradient) = 0.0;
                    continue;
                }
                let sums = RowSums::new(chunk, panel, lane);
                let smoothing = &self.targets.smoothing;
                let (whole, picked) = match self.targets.id(token) {
                    Some(_) => (1.0, f64::from(*chunk.picked.at(token))),
                    None => (sums.targets, sums.products),
                };
                let mass = smoothing.mass(whole, chunk.linear.classes);
                let mut product = picked * smoothing.kept;
                if smoothing.spread > 0.0 {
                    product += smoothing.spread * sums.logits;
                }
                let sound = sums.is_sound();
                let loss = |mass: f64, product: f64| {
                    if sound { (mass * sums.logsumexp - product) as f32 } else { f32::NAN }
                };
                *self.row_loss.at(self.rows[token]) = loss(mass, product);
                if let Some(unsmoothed) = self.row_unsmoothed {
                    *unsmoothed.at(self.rows[token]) = loss(whole, picked);
                }
                *self.row_prediction.at(self.rows[token]) = sums.best;
                let weight = if sound { self.weights[token] } else { f32::NAN };
                let exponential = (f64::from(weight) * mass / sums.exponentials) as f32;
                *factor(Factors::Exponential) = exponential;
                *factor(Factors::Target) = weight;
                *factor(Factors::Gradient) = if self.targets.explicit() { 1.0 } else { exponential };
            }
        }
    }

    /// `dh` of a panel, and what `dW` needs: the rows of `h` times their factors, the targets subtracted from the exponentials.
    fn rows(&self, panel: usize, simd: Simd) {
        let (chunk, Some(gradient)) = (self.chunk, self.gradient) else { return };
        let features = chunk.linear.features;
        let tokens = panel * LANES..chunk.tokens.min((panel + 1) * LANES);
        let length = features * LANES;
        // SAFETY: this panel of everything belongs to this piece.
        let (dh, factor) = unsafe {
            let dh = chunk.dh.part(panel * length, length);
            for range in 1..chunk.plan.ranges {
                let other = chunk.dh.part((range * chunk.panels + panel) * length, length);
                dh.iter_mut().zip(other).for_each(|(sum, other)| *sum += *other);
            }
            (dh, &*chunk.factors.part(chunk.factor(panel, Factors::Gradient), LANES))
        };
        if !self.targets.explicit() {
            for vector in dh.as_chunks_mut::<LANES>().0 {
                vector.iter_mut().zip(factor).for_each(|(dh, factor)| *dh *= factor);
            }
            for (lane, token) in tokens.clone().enumerate() {
                let Some(id) = self.targets.id(token) else { continue };
                let weight = self.weights[token];
                let row = &chunk.linear.kernel[id * features..][..features];
                dh.as_chunks_mut::<LANES>().0.iter_mut().zip(row).for_each(|(dh, w)| dh[lane] -= weight * w);
                // In units of the factor, the target is the sum of the exponentials.
                let sum = RowSums::new(chunk, panel, lane).exponentials;
                // SAFETY: as above.
                unsafe { *chunk.values.at(chunk.value(panel, id) + lane) -= sum as f32 };
            }
        }
        // SAFETY: each row belongs to one lane of one panel.
        let row = |row: &usize| unsafe { gradient.dh.part(row * features, features) };
        simd.run(Unpack::new(dh, |lane| self.rows.get(panel * LANES + lane).map(row), gradient.dh_keeps));
        for (token, factor) in tokens.zip(factor) {
            // SAFETY: as above.
            let to = unsafe { chunk.scaled.part(token * scaled_stride(features), features) };
            let from = &self.h[self.rows[token] * features..][..features];
            to.iter_mut().zip(from).for_each(|(to, h)| *to = factor * h);
        }
    }
}
